"""Every command here runs in a home of its test's own, whatever the machine's environment says."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path))
    monkeypatch.delenv("FREEHOLD_CONFIG", raising=False)
    return tmp_path
