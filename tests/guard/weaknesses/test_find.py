"""The way from a text to its weaknesses: whatever the text, in bounded work."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.guard.syntax import Language
from freehold.guard.weaknesses import flow
from freehold.guard.weaknesses.find import UNREAD, find
from freehold.guard.weaknesses.grammar import GRAMMARS
from freehold.guard.weaknesses.rules import KINDS

WORDS = """
def f ( ) { } [ ] ; : , . = += == != < > if else for while return class new func var let const => -> $x "SELECT " + % 'a' `b`
import from require exec eval request . args <?php ?> #include free ( p ) switch case default try catch except finally public
static void int String char * & :: @Get lambda yield await async 0x10 1e9 None null nil
"""
PROGRAMS = st.lists(st.sampled_from([*WORDS.split(), "\n", "    ", " "]), max_size=60).map(" ".join)


@pytest.mark.parametrize("language", list(GRAMMARS))
@settings(max_examples=40)
@given(program=PROGRAMS | st.text(max_size=200))
def test_no_text_raises(language: Language, program: str) -> None:
    for weakness in find(program, language):
        assert weakness.rule in KINDS
        assert 0 <= weakness.start <= weakness.end <= len(program)
        assert 0 < weakness.confidence <= 1


@given(st.text(max_size=300))
def test_no_text_raises_when_its_language_is_guessed(text: str) -> None:
    find(text, None)


@pytest.mark.parametrize("language", list(GRAMMARS))
@pytest.mark.parametrize(
    "bomb", ["(" * 5000, "[" * 5000, "{" * 5000, "a." * 20_000, "x+" * 20_000 + "x", "if(a)" * 3000, "!" * 9000, "\x00" * 9000]
)
def test_nested_and_long_programs_end_and_say_so_where_they_were_not_read(language: Language, bomb: str) -> None:
    assert {weakness.rule for weakness in find(bomb, language)} <= {UNREAD}


def test_a_text_too_long_is_not_called_clean() -> None:
    [weakness] = find("x = 1\n" * 30_000, Language.PYTHON)
    assert (weakness.rule, weakness.cwe, weakness.confidence) == (UNREAD, 0, 1.0)


def test_more_work_than_there_is_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.guard.weaknesses.flow.LIMIT_STEPS", 20)
    assert [w.rule for w in find("a = 1\n" * 50, Language.PYTHON)] == [UNREAD]


def test_functions_that_call_each_other_are_followed_no_further_than_the_limit() -> None:
    calls = "\n".join(f"def f{n}(x):\n    return f{(n + 1) % 40}(x) + f{(n + 2) % 40}(x)" for n in range(40))
    find(f"{calls}\nimport os\nos.system(f0(input()))\n", Language.PYTHON)


def test_containers_that_hold_themselves_or_meet_after_a_branch_end() -> None:
    program = "a = []\nb = []\nif x:\n    a = []\n    b = {}\na.append(a)\na.append(b)\nb.append(a)\nprint(a, b)\n"
    assert find(program, Language.PYTHON) == ()


def test_a_file_as_people_write_them_is_read_whole() -> None:
    program = Path(flow.__file__).read_text(encoding="utf-8")
    assert UNREAD not in {weakness.rule for weakness in find(program, Language.PYTHON)}


def test_places_are_in_characters_and_lines_from_one() -> None:
    program = "# ähm — 🙂\nimport os\nos.system('ls ' + input())\n"
    [weakness] = [w for w in find(program, Language.PYTHON) if w.confidence > 0.7]
    assert program[weakness.start : weakness.end] == "os.system('ls ' + input())"
    assert weakness.line == 3


def test_a_language_nobody_analyses_has_no_weaknesses() -> None:
    assert find("SELECT 1", Language.SQL) == ()
    assert find("words, and no code", None) == ()


def test_the_name_of_a_file_says_its_language() -> None:
    program = "x = eval(location.hash)"
    assert [w.rule for w in find(program, None, "a.js")] == ["code-injection"]
    assert find(program, None, "a.txt") == ()


def test_findings_say_nothing_of_the_code() -> None:
    [weakness] = [w for w in find('password = "hunter2-hunter2"', Language.PYTHON) if w.rule == "hard-coded-secret"]
    assert "hunter2" not in repr(weakness)


def test_every_kind_says_what_is_wrong_and_what_to_do() -> None:
    for kind in KINDS.values():
        assert kind.words.endswith(".")
        assert kind.fix.endswith(".")
        assert 0 < kind.confidence <= 1
