"""Pairs of programs: one that has a weakness, and the same one mended. Each rule finds the first and leaves the second."""

from pathlib import Path

import pytest

from freehold.guard.syntax import Language
from freehold.guard.weaknesses.find import find
from freehold.guard.weaknesses.settings import CodeSettings

CASES = Path(__file__).parent / "cases"
LANGUAGES = {
    "python": Language.PYTHON,
    "go": Language.GO,
    "java": Language.JAVA,
    "javascript": Language.JAVASCRIPT,
    "typescript": Language.TYPESCRIPT,
    "php": Language.PHP,
    "ruby": Language.RUBY,
    "c": Language.C,
    "cpp": Language.CPP,
    "csharp": Language.CSHARP,
}
SURE = CodeSettings().min_confidence


def pairs() -> list[object]:
    """Of a file `=== rule`, the weak program, `---`, the mended one."""
    found: list[object] = []
    for file in sorted(CASES.glob("*.txt")):
        for number, case in enumerate(file.read_text(encoding="utf-8").split("=== ")[1:], 1):
            rule, _, programs = case.partition("\n")
            weak, _, mended = programs.partition("\n---\n")
            found.append(pytest.param(LANGUAGES[file.stem], rule, weak, mended, id=f"{file.stem}-{number}-{rule}"))
    return found


def rules_in(program: str, language: Language) -> set[str]:
    return {weakness.rule for weakness in find(program, language) if weakness.confidence >= SURE}


@pytest.mark.parametrize(("language", "rule", "weak", "mended"), pairs())
def test_the_weak_program_is_found_and_the_mended_one_is_not(language: Language, rule: str, weak: str, mended: str) -> None:
    assert rule in rules_in(weak, language)
    assert rule not in rules_in(mended, language)


def test_every_language_has_its_pairs() -> None:
    assert {file.stem for file in CASES.glob("*.txt")} == set(LANGUAGES)
    assert len(pairs()) >= 150
