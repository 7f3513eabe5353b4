"""What JavaScript and TypeScript programs do: those of `programs/javascript.txt`, and any other text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.guard.effects.analyse import analyse
from freehold.guard.syntax import Language
from tests.guard.effects.programs import asked_about, programs

PROGRAMS = programs("javascript")
DANGEROUS = [(text, rule) for text, rule in PROGRAMS if rule != "nothing"]
HARMLESS = [text for text, rule in PROGRAMS if rule == "nothing"]
WORDS = [
    "eval",
    "require",
    *"()[]{}.,;=+`'",
    "=>",
    "function",
    "const",
    "x",
    "class",
    "async",
    "await",
    "...",
    "new",
    "${",
    "\n",
    "this",
]


def rules(text: str) -> set[str]:
    return {effect.rule.removeprefix("effect-") for effect in analyse(text, Language.JAVASCRIPT)}


@pytest.mark.parametrize(("text", "rule"), DANGEROUS)
def test_what_a_program_does_is_found(text: str, rule: str) -> None:
    assert rule in rules(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_a_program_of_every_day_has_nothing_to_ask_about(text: str) -> None:
    assert not asked_about(analyse(text, Language.JAVASCRIPT))


def test_what_stands_in_a_page_or_a_fence_is_read() -> None:
    assert "delete-system" in rules("<html><script>require('fs').unlinkSync('/etc/hosts')</script></html>")
    assert "delete-system" in rules("Try this:\n```js\nrequire('fs').unlinkSync('/etc/hosts')\n```\nIt is fine.")


def test_what_does_not_parse_is_unknown_where_something_may_hide() -> None:
    assert rules("const = = ;;; ) eval(") == {"unknown-nothing"}
    assert rules("const = = ;;; ) hello(") == set()


def test_no_content_is_in_the_reasons() -> None:
    for text, _ in DANGEROUS:
        for effect in analyse(text, Language.JAVASCRIPT):
            assert "x.example" not in effect.because


@pytest.mark.parametrize(
    "text",
    [
        *("(" * 30_000, "[" * 30_000, "{" * 30_000, "`${" * 10_000, "a." * 30_000, "+".join("a" * 20_000), "<a>" * 10_000),
        *("a(" * 20_000, "x=>" * 20_000, "!" * 60_000, "'" * 60_001, "/*" * 30_000, "\x00" * 1000, "\ud800" * 100),
        *("<script" * 17_000, "```" + " " * 100_000, "a\n" * 50_000),
        "x".join(f"function f{i}() {{ f{i + 1}(); f{i + 1}() }}\n" for i in range(1500)),
        "var a = 'x'; " + "a = a + a; " * 2000,
        "p" + ".then(x => y(x))" * 3000,
    ],
)
def test_a_text_that_is_made_to_be_slow_is_bounded(text: str) -> None:
    analyse(text, Language.JAVASCRIPT)


@given(st.text(max_size=300))
@settings(max_examples=150)
def test_any_text_is_analysed(text: str) -> None:
    analyse(text, Language.TYPESCRIPT)


@given(st.lists(st.sampled_from([text for text, _ in PROGRAMS]), max_size=3), st.integers(0, 500))
@settings(max_examples=100)
def test_any_beginning_of_programs_is_analysed(texts: list[str], cut: int) -> None:
    analyse("\n".join(texts)[:cut], Language.JAVASCRIPT)


@given(st.lists(st.sampled_from(WORDS), max_size=50))
@settings(max_examples=150)
def test_any_row_of_words_is_analysed(words: list[str]) -> None:
    analyse(" ".join(words), Language.JAVASCRIPT)
