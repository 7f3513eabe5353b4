"""What the judges do for a text grows with its length, whatever is in it: these took minutes, each by one form that went back.

Counted in time of the processor, and with much room: what grows with the square takes many times as long.
"""

import json
import time
from collections.abc import Callable

import pytest

from freehold.guard.calls.judge import CallJudge
from freehold.guard.calls.settings import CallSettings
from freehold.guard.calls.shapes import looks_like
from freehold.guard.effects.analyse import analyse
from freehold.guard.syntax import Language
from freehold.guard.weaknesses.fences import Fences
from freehold.guard.weaknesses.find import find
from freehold.guard.weaknesses.guess import guess
from freehold.guard.weaknesses.packages import squatted

CHARS = 100_000
LIMIT_S = 5.0
JUDGE = CallJudge(CallSettings())


def many(piece: str, chars: int = CHARS) -> str:
    return piece * (chars // len(piece))


def call(tool: str, **arguments: object) -> object:
    return JUDGE.judge(tool, json.dumps(arguments))


def fenced(text: str) -> None:
    fences = Fences()
    fences.feed(text, len(text))
    fences.end()


BOMBS: dict[str, Callable[[], object]] = {
    "comments before SQL": lambda: looks_like(many("/**/", 160) + "x"),
    "blank lines in front of code": lambda: guess(many("\n")),
    "a namespace and blanks": lambda: guess("namespace a" + many("\t ") + "x"),
    "a name in a patch with blanks": lambda: call("apply_patch", patch="*** Begin Patch\n*** Add File: a" + many(" ") + "b\n+x"),
    "a name in a unified diff": lambda: call("apply_patch", patch="+++ a" + many(" \t") + "b\n+x"),
    "set and tabs": lambda: analyse("set " + many("\t") + "x", Language.BATCH),
    "set of a value with blanks": lambda: analyse("set a=" + many(" ") + "b", Language.BATCH),
    "a variable of an image without a value": lambda: analyse("FROM a\nENV " + many("a1"), Language.DOCKERFILE),
    "commands of an editor": lambda: analyse("vim -c '" + many("%r \n \n") + "x'", Language.SHELL),
    "blank lines for expect": lambda: analyse("expect -c '" + many("\n") + "x'", Language.SHELL),
    "blanks behind what runs": lambda: analyse("lua -e 'run" + many(" ") + "x'", Language.SHELL),
    "a value that doubles": lambda: analyse("x=a;" + many("x=$x$x;"), Language.SHELL),
    "a long input for many programs": lambda: analyse(f"echo {many('a', 60_000)}" + many("|tr a b", 40_000), Language.SHELL),
    "an option of many words": lambda: analyse("x --" + many("exec") + ":a", Language.SHELL),
    "options of many words": lambda: analyse(many("x --" + many("exec", 4_000) + "!a;"), Language.SHELL),
    "folders in folders": lambda: analyse(many("cd a;"), Language.SHELL),
    "types of PowerShell": lambda: analyse(many("[ ka[,]"), Language.POWERSHELL),
    "names of fields in Go": lambda: find("package a\ntype a struct {a\n," + many("a") + "}", Language.GO),
    "a module with a long name": lambda: squatted("from " + many("a"), Language.PYTHON),
    "tildes": lambda: fenced(many("~", 1_000_000)),
    "many fences": lambda: fenced(many("```\n```\n", 1_000_000)),
    "members without a command": lambda: call("bash", **{f"k{number}": "ls" for number in range(40_000)}),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_work_grows_with_the_length_of_a_text(bomb: str) -> None:
    began = time.process_time()
    BOMBS[bomb]()
    assert time.process_time() - began < LIMIT_S


@pytest.mark.parametrize("text", ["x=a;" + many("x=$x$x;"), "x=a;" + many("y=$(echo $x$x);x=$y;")])
def test_what_is_too_much_work_is_unknown(text: str) -> None:
    assert "effect-unknown-nothing" in {effect.rule for effect in analyse(text, Language.SHELL)}
