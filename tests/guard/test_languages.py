import pytest

from freehold.guard.languages import language_named
from freehold.guard.syntax import Language


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("py", Language.PYTHON),
        ("C#", Language.CSHARP),
        (".ps1", Language.POWERSHELL),
        ("command_prompt", Language.BATCH),
        (" Bash ", Language.SHELL),
        ("tsx", Language.TSX),
        ("klingon", None),
        ("", None),
    ],
)
def test_a_language_is_known_by_what_people_call_it(name: str, language: Language | None) -> None:
    assert language_named(name) is language


def test_every_language_is_known_by_its_own_name() -> None:
    assert [language_named(language) for language in Language] == list(Language)
