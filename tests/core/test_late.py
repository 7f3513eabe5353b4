import sys
from collections.abc import Mapping

import pytest

from freehold.core.late import Late


def test_a_module_is_imported_when_one_of_its_values_is_asked_for() -> None:
    sys.modules.pop("json.tool", None)
    table: Mapping[str, object] = Late("json", {"main": "tool:main", "missing": "tool:nothing", "nowhere": "nowhere:main"})
    assert list(table) == ["main", "missing", "nowhere"]
    assert "main" in table
    assert "json.tool" not in sys.modules
    assert table["main"] is sys.modules["json.tool"].main
    assert table["main"] is table["main"]


def test_what_is_not_there_raises_each_time() -> None:
    table: Mapping[str, object] = Late("json", {"missing": "tool:nothing", "nowhere": "nowhere:main"})
    for _ in range(2):
        with pytest.raises(AttributeError):
            table["missing"]
        with pytest.raises(ModuleNotFoundError):
            table["nowhere"]
    with pytest.raises(KeyError):
        table["unheard of"]
