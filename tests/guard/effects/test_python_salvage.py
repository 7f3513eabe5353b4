"""Texts that Python does not take: what stands whole in them is read, and what does not is not passed over."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.guard.effects.analyse import analyse
from freehold.guard.effects.python_parse import parse
from freehold.guard.effects.python_salvage import salvage
from freehold.guard.syntax import Language


def rules(text: str) -> set[str]:
    return {effect.rule.removeprefix("effect-") for effect in analyse(text, Language.PYTHON)}


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("def f(:\n    import shutil\n    shutil.rmtree('/')\n", ["import shutil", "shutil.rmtree('/')"]),
        ("for x in y\n  os.remove('/etc/passwd')\n", ["os.remove('/etc/passwd')"]),
        ("import os\nos.system('rm -rf /'\nx = 1", ["import os"]),
        ("if a:\n\tb(1)\n  else c:\n os.unlink('q')\n", ["b(1)", "os.unlink('q')"]),
        ("x = 1\ny = [z(2)\n", ["x = 1", "z(2)"]),
    ],
)
def test_what_stands_whole_is_read(text: str, pieces: list[str]) -> None:
    found = [ast.unparse(statement) for statement in salvage(text).body]
    assert [piece for piece in found if piece in pieces] == pieces


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.system('rm -rf /'\nx = 1",
        "os.fork(;\nimport x",
        'int main() { system("rm -rf /"); }',
        "const fs = require('fs'); fs.unlinkSync('/etc/passwd'); }",
        "x = [1,\nundefined_here('a')\n)",
    ],
)
def test_what_may_act_and_could_not_be_read_is_unknown(text: str) -> None:
    assert parse(text) is None
    assert "unknown-nothing" in rules(text)


def test_a_delete_inside_a_broken_function_is_found() -> None:
    assert any(rule.startswith("delete") for rule in rules("import shutil\ndef f(:\n    shutil.rmtree('/')\n"))


@pytest.mark.parametrize("text", ["x = [1, 2\nprint(x)", "it's a sentence, with a comma", "total = 1 +\nprint(len('a'))"])
def test_what_cannot_act_is_not_asked_about(text: str) -> None:
    assert parse(text) is None
    assert not rules(text)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["os", ".", "system", "(", ")", "'a'", "\n", "  ", "def f", ":", "import", "=", "[", "é"])))
def test_any_text_comes_back(words: list[str]) -> None:
    salvage(" ".join(words))
