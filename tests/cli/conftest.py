"""Every command here runs in a home of its test's own, whatever the machine's environment says."""

from pathlib import Path

import pytest

from freehold import config

USER_HOME = config.home()  # before a test has one of its own


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path))
    monkeypatch.delenv("FREEHOLD_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def user_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own home, to look at the embedded model in it."""
    if not (USER_HOME / "models" / "smollm2-135m" / "manifest.json").exists():
        pytest.skip("the embedded model is not here: run `freehold models pull smollm2-135m`")
    monkeypatch.setenv("FREEHOLD_HOME", str(USER_HOME))
    return USER_HOME
