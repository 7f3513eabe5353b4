"""Build tools that run what a file says, where the script itself wrote that file or gives it as input: make, npm.

Of a file that was there before nothing is known: it runs, in the working folder. Sources: POSIX.1-2024 (`make`), GNU make manual
("How to Use Variables", "Recipe Execution"), docs.npmjs.com ("scripts"). The rest of these programs is in the table.
"""

import json
import re
from collections.abc import Iterable, Iterator

from freehold.guard.effects.places import normal
from freehold.guard.effects.shell_call import Call, Handler
from freehold.guard.effects.shell_names import named
from freehold.guard.effects.shell_state import LIMIT_VALUE, Shell, marks_of
from freehold.guard.effects.shell_table import tabled
from freehold.guard.syntax import Language

_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_MAKE_TAKES = frozenset(("-f", "-C", "-j", "-I", "-o", "-W", "--file", "--makefile", "--directory", "--eval"))
_RECIPE = re.compile(r"^(?:\t|[\w./%$() -]+:[^=\n;]*;)[ \t@+-]*(.+)", re.MULTILINE)
_FUNCTION = re.compile(r"\$[({]shell +([^\n]{0,500})[)}]|^\w+ *!= *(.+)", re.MULTILINE)
_ASSIGNED = re.compile(r"^(?:export +)?(\w+)[ \t]*[:?+]{0,2}=[ \t]*(.*)", re.MULTILINE)
_VARIABLE = re.compile(r"\$(?:(\$)|[({](\w+)[)}]|([@<^*?+])|[({](?!shell )[a-z-]+ [^(){}\n]{0,500}[)}])")
_GIVEN = {"MAKE": "make", "RM": "rm -f", "CC": "cc", "CXX": "c++", "AR": "ar", "LD": "ld", "CPP": "cpp", "SHELL": "sh"}
LIMIT_CHARS = 32 << 10  # of a build file
LIMIT_LINES = 40  # of recipes, and scripts of a package


def make(call: Call) -> str:
    flags = call.flags(_MAKE_TAKES)
    files = [value for option in ("-f", "--file", "--makefile") for value in flags.values.get(option, ())]
    for text in (*flags.values.get("--eval", ()), *_contents(call, files or _MAKEFILES)):
        _each(call, _recipes(text, call.shell))
    return tabled(call)


def _contents(call: Call, paths: Iterable[str]) -> Iterator[str]:
    """What is known of files: that the script wrote them, or that they are its input. Each content once: make calls make."""
    shell = call.shell
    for path in paths:
        text = call.stdin if path in INPUTS else shell.files.get(normal(shell.resolve(path)), "")
        name = f"built {path}\n{text}"
        if text and name not in shell.called:
            shell.called.add(name)
            if marks_of(text):
                call.code(Language.SHELL, marks_of(text))
            yield text


def _recipes(text: str, shell: Shell) -> Iterator[str]:
    text = text[:LIMIT_CHARS].replace("\\\n", " ")
    known = _GIVEN | dict(_ASSIGNED.findall(text))

    def value(found: re.Match[str]) -> str:
        if found[1]:
            return "$$"
        return known.get(found[2], shell.value(found[2]) or "") if found[2] else "a-file"

    for found in (*_FUNCTION.finditer(text), *_RECIPE.finditer(text)):
        line = found[found.lastindex or 1][:LIMIT_VALUE]
        for _ in range(3):  # variables of variables
            line = _VARIABLE.sub(value, line)[:LIMIT_VALUE]
        yield line.replace("$(shell ", "$(").replace("$$", "$")


def _each(call: Call, lines: Iterable[str]) -> None:
    for number, line in enumerate(lines):
        if number == LIMIT_LINES:
            call.shell.unknown("more lines of a build file than are looked at")
            return
        call.shell.nested(line)


def npm(call: Call) -> str:
    """Scripts of a package that this script wrote; which of them run is not looked at."""
    for text in _contents(call, ["package.json"]):
        _each(call, _scripts(text))
    words = [arg for arg in call.args if not arg.startswith("-")]
    if words[:1] == ["set-script"]:
        _each(call, words[2:3])
    elif words[:2] == ["pkg", "set"]:
        _each(call, [word.partition("=")[2] for word in words[2:] if word.startswith("scripts.")])
    return tabled(call)


def _scripts(text: str) -> list[str]:
    try:
        document = json.loads(text[:LIMIT_VALUE])
    except (ValueError, RecursionError):
        return []
    scripts = document.get("scripts") if isinstance(document, dict) else None
    return [line for line in scripts.values() if isinstance(line, str)] if isinstance(scripts, dict) else []


INPUTS = named("inputs")
BUILDERS: dict[str, Handler] = {
    **dict.fromkeys(("make", "gmake", "bmake"), make),
    **dict.fromkeys(("npm", "pnpm", "yarn", "cnpm"), npm),
}
