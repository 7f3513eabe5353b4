from pathlib import Path

import pytest

from freehold.core.errors import DeviceError
from freehold.place import find_place


def test_a_home_that_cannot_be_made_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv("FREEHOLD_HOME", str(home))
        with pytest.raises(DeviceError, match=f"cannot make the home {home}: .*; set FREEHOLD_HOME"):
            find_place()
