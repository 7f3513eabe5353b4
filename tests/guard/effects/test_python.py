"""What Python programs do: those of `programs/python.txt`, and any other text."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.effects import Place
from freehold.guard.effects.analyse import LIMIT_CHARS, analyse
from freehold.guard.effects.python_parse import is_too_deep
from freehold.guard.syntax import Language
from tests.guard.effects.programs import asked_about, programs


def rules(text: str) -> set[str]:
    return {effect.rule.removeprefix("effect-") for effect in analyse(text, Language.PYTHON)}


PROGRAMS = programs("python")
DANGEROUS = [(text, rule) for text, rule in PROGRAMS if rule != "nothing"]
HARMLESS = [text for text, rule in PROGRAMS if rule == "nothing"]
WORDS = ["os", "system", "exec", "eval", *"()[].,=+%:*", "'a'", "import", "from", "lambda", "\n", "x", "def", "in", "for", "if"]


@pytest.mark.parametrize(("text", "rule"), DANGEROUS)
def test_what_a_program_does_is_found(text: str, rule: str) -> None:
    assert rule in rules(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_a_program_of_every_day_has_nothing_to_ask_about(text: str) -> None:
    assert not asked_about(analyse(text, Language.PYTHON))


def test_the_variables_that_are_known_at_the_start_are_values() -> None:
    found = analyse("import os\nos.remove(target)", Language.PYTHON, variables={"target": "/etc/hosts"})
    assert [effect.target for effect in found if effect.place is Place.SYSTEM][:1] == ["/etc/hosts"]


def test_the_working_folder_decides_what_is_of_the_workspace() -> None:
    (effect,) = analyse("open('/srv/app/x', 'w')", Language.PYTHON, folder="/srv/app")
    assert effect.place is Place.WORKSPACE


def test_what_one_of_several_modes_does_comes_in_their_order() -> None:
    effects = analyse("def f(path, how):\n    return open(path, 'r' if how else 'a' if path else 'w')\n", Language.PYTHON)
    assert [effect.kind.value for effect in effects] == ["read", "write", "overwrite"]


def test_no_content_is_in_the_reasons() -> None:
    for text, _ in DANGEROUS:
        for effect in analyse(text, Language.PYTHON):
            assert "x.example" not in effect.because
            assert "authorized_keys" not in effect.because


@pytest.mark.parametrize(
    "text",
    [
        *(
            "(" * 5000,
            "[" * 300 + "]" * 300,
            "-" * 50_000 + "1",
            "not " * 30_000 + "a",
            "a" + ".b" * 40_000,
            "+".join("a" * 40_000),
        ),
        *(
            "lambda:" * 15_000 + "1",
            "a if b else " * 10_000 + "c",
            "x=" * 40_000 + "1",
            "1" * 100_000,
            '"a"' * 40_000,
            "a**" * 30_000,
        ),
        *(
            "\x00" * 100,
            "\ud800",
            "x = 1\\",
            *(
                "\n" * 100_000,
                " " * 100_000 + "x!",
                "```" + " " * 100_000,
                "x(" * 50_000,
                "x" * 100_000 + "(",
                "print\n" * 20_000,
            ),
            *("'%" + "0" * 60_000 + "' % 1", "'{" + "a" * 60_000 + "'.format(1)", "f(\n" * 30_000),
            "if a:\n" + "".join(" " * i + "if a:\n" for i in range(1, 99)),
            "f'" + "{" * 200 + "'",
        ),
        "\n".join(f"def f{i}(): return f{i + 1}() + f{i + 1}()" for i in range(2000)),
        "\n".join(f"x{i} = [x{i - 1}] * 9" for i in range(1, 3000)),
        "x = 'a' * 10 ** 9\ny = x * 10 ** 9\nz = 1 << 10 ** 9\nexec(y)",
        "".join(f"if a:\n b{i} = 1\n" for i in range(6000)),
    ],
)
def test_a_text_that_is_made_to_be_slow_is_bounded(text: str) -> None:
    analyse(text, Language.PYTHON)


def test_a_text_too_long_is_unknown() -> None:
    assert rules("x = 1\n" * LIMIT_CHARS) == {"unknown-nothing"}


def test_no_ordinary_program_is_too_deep() -> None:
    assert not is_too_deep("x = [" + ", ".join(f"{i} + {i}" for i in range(5000)) + "]")
    assert is_too_deep("+".join("a" * 5000))


@given(st.text(max_size=300))
@settings(max_examples=200)
def test_any_text_is_analysed(text: str) -> None:
    analyse(text, Language.PYTHON)


@given(st.lists(st.sampled_from([text for text, _ in DANGEROUS] + HARMLESS), max_size=3), st.integers(0, 400))
@settings(max_examples=150)
def test_any_beginning_of_programs_is_analysed(programs: list[str], cut: int) -> None:
    analyse("\n".join(programs)[:cut], Language.PYTHON)


@given(st.lists(st.sampled_from(WORDS), max_size=60))
@settings(max_examples=200)
def test_any_row_of_words_is_analysed(words: list[str]) -> None:
    analyse(" ".join(words), Language.PYTHON)


@pytest.mark.parametrize("text", HARMLESS)
def test_the_harmless_examples_are_python(text: str) -> None:
    assert ast.parse(text)
