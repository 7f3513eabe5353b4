"""What SQL does: the statements of `programs/sql.txt`, and any other text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.effects import EffectKind
from freehold.guard.effects.analyse import analyse
from freehold.guard.effects.sql_tokens import readings
from freehold.guard.syntax import Language
from tests.guard.effects.programs import asked_about, programs

PROGRAMS = programs("sql")
DANGEROUS = [(text, rule) for text, rule in PROGRAMS if rule != "nothing"]
HARMLESS = [text for text, rule in PROGRAMS if rule == "nothing"]
WORDS = [
    "DELETE",
    "FROM",
    "WHERE",
    "1",
    "=",
    "OR",
    "DROP",
    "TABLE",
    "t",
    ";",
    "'",
    '"',
    "(",
    ")",
    "--",
    "/*",
    "*/",
    "\n",
    "$$",
    "EXEC",
]


def rules(text: str) -> set[str]:
    return {effect.rule.removeprefix("effect-") for effect in analyse(text, Language.SQL)}


@pytest.mark.parametrize(("text", "rule"), DANGEROUS)
def test_what_a_statement_does_is_found(text: str, rule: str) -> None:
    assert rule in rules(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_statements_of_every_day_have_nothing_to_ask_about(text: str) -> None:
    assert not asked_about(analyse(text, Language.SQL))
    assert not rules(text) & {"delete-database"} or "WHERE" in text


def test_what_is_quoted_or_commented_is_no_statement() -> None:
    assert rules("SELECT 'a; DROP TABLE b' -- ; DROP TABLE c\n/* ; DROP TABLE d */") == set()


def test_tables_are_named_with_their_schema() -> None:
    effects = analyse('DELETE FROM "Sales"."Orders" WHERE id = 1', Language.SQL)
    assert [effect.target for effect in effects if effect.kind is EffectKind.DELETE] == ["sales.orders"]


def test_a_backslash_makes_two_readings() -> None:
    assert len(list(readings("SELECT 'a'"))) == 1
    assert len(list(readings("SELECT 'a\\''"))) == 2


@pytest.mark.parametrize(
    "text",
    [
        "(" * 60_000,
        "'" * 60_001,
        "/*" * 30_000,
        "SELECT " * 15_000,
        ";" * 60_000,
        "a." * 30_000,
        "x OR " * 20_000,
        "$a$" * 20_001,
    ],
)
def test_a_text_that_is_made_to_be_slow_is_bounded(text: str) -> None:
    analyse(text, Language.SQL)
    analyse("DELETE FROM t WHERE " + text, Language.SQL)


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_any_text_is_analysed(text: str) -> None:
    analyse(text, Language.SQL)


@given(st.lists(st.sampled_from(WORDS), max_size=40))
@settings(max_examples=200)
def test_any_row_of_words_is_analysed(words: list[str]) -> None:
    analyse(" ".join(words), Language.SQL)
