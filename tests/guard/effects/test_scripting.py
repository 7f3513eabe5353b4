"""What programs in Ruby, PHP, Perl and the compiled languages do: those of `programs/`, and any other text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.guard.effects.analyse import analyse
from freehold.guard.effects.scripting_table import calls_of, parse_call
from freehold.guard.syntax import Language
from tests.guard.effects.programs import asked_about, programs

SCRIPTS = [(Language(name), text, rule) for name in ("ruby", "php", "perl") for text, rule in programs(name)]
COMPILED = [(Language(rule.split()[0]), text, rule.split()[1]) for text, rule in programs("compiled")]
ALL = SCRIPTS + COMPILED
LANGUAGES = sorted({language for language, _, _ in ALL})


def rules(text: str, language: Language) -> set[str]:
    return {effect.rule.removeprefix("effect-") for effect in analyse(text, language)}


@pytest.mark.parametrize(("language", "text", "rule"), [one for one in ALL if one[2] != "nothing"])
def test_what_a_program_does_is_found(language: Language, text: str, rule: str) -> None:
    assert rule in rules(text, language)


@pytest.mark.parametrize(("language", "text"), [one[:2] for one in ALL if one[2] == "nothing"])
def test_a_program_of_every_day_has_nothing_to_ask_about(language: Language, text: str) -> None:
    assert not asked_about(analyse(text, language))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "text",
    [
        "(" * 30_000,
        "{" * 30_000,
        '"' * 30_001,
        "a." * 30_000,
        "a+" * 20_000,
        "$x=" * 20_000,
        "<<A\n" * 5000,
        "f(" * 20_000,
        "\x00\ud800" * 99,
    ],
)
def test_a_text_that_is_made_to_be_slow_is_bounded(language: Language, text: str) -> None:
    analyse(text, language)


@given(st.sampled_from(LANGUAGES), st.text(max_size=200))
@settings(max_examples=200)
def test_any_text_is_analysed(language: Language, text: str) -> None:
    analyse(text, language)


@given(st.sampled_from(ALL), st.integers(0, 300), st.integers(0, 300))
@settings(max_examples=200)
def test_any_part_of_a_program_is_analysed(program: tuple[Language, str, str], start: int, end: int) -> None:
    analyse(program[1][start:end], program[0])


@pytest.mark.parametrize(
    "file", ["python_calls", "javascript_calls", "sql_names", *(f"scripting_{name}" for name in ("php", "ruby", "perl"))]
)
def test_every_line_of_the_tables_is_read(file: str) -> None:
    assert len(calls_of(file)) > 20


def test_there_are_hundreds_of_calls_of_python_and_of_javascript() -> None:
    assert len(calls_of("python_calls")) > 400
    assert len(calls_of("javascript_calls")) > 200


@pytest.mark.parametrize(
    "line", ["deletes path 0", "delete folder 0", "delete path", "gives nothing", "http", "open 0", "shell", "", "run nowhere"]
)
def test_a_line_that_says_nothing_is_refused(line: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        parse_call("a.b", line)
