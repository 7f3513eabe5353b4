"""docs/calls.md says what the code does."""

import re
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest

from freehold.core.effects import EffectKind, Place
from freehold.guard.calls.kinds import ToolKind
from freehold.guard.calls.presets import DEVELOPER, LOCKED, PRODUCTION
from freehold.guard.calls.settings import CallRule, CallSettings, ToolSettings

PAGE = (Path(__file__).parents[3] / "docs" / "calls.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", [DEVELOPER, PRODUCTION, LOCKED])
def test_the_presets_of_the_page_are_those_in_force(table: str) -> None:
    assert dedent(table.strip("\n")) in PAGE


def test_every_kind_place_and_setting_is_on_the_page() -> None:
    settings = {field.encode_name for kind in (CallSettings, CallRule, ToolSettings) for field in msgspec.structs.fields(kind)}
    names = {*EffectKind, *Place, *ToolKind, *settings}
    assert {name for name in names if not re.search(rf"`(?:\[*)?{name}\b|\[calls\.{name}\]", PAGE)} == set()
