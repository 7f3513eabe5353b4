"""Commands as people and attackers write them, without a word on which shell they are for."""

from pathlib import Path

import pytest

from freehold.core.findings import Action
from freehold.guard.effects.dialect import shell_dialect
from tests.guard.effects.windows_cases import ORDER, verdict

CASES = Path(__file__).parent / "windows"


def _lines(name: str) -> list[str]:
    return [line for line in (CASES / name).read_text().splitlines() if line and not line.startswith("# ")]


def _worst(text: str) -> Action:
    return max((verdict(text, language) for language in shell_dialect(text)), key=ORDER.index)


@pytest.mark.parametrize("text", _lines("dangerous.txt"))
def test_what_reaches_beyond_the_workspace_is_asked_about(text: str) -> None:
    assert _worst(text) in (Action.ASK, Action.BLOCK)


@pytest.mark.parametrize("text", _lines("harmless.txt"))
def test_everyday_work_goes_on(text: str) -> None:
    assert _worst(text) in (Action.ALLOW, Action.TAG)
