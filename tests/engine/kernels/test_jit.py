import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from freehold.engine.kernels import jit
from freehold.engine.kernels.emit import Emitter
from tests.engine.kernels.native import call


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path))
    return tmp_path / "cache" / "kernels"


def compiled(value: int = 7) -> int:
    """A function that writes `value` to an address."""

    def emit(module: Any) -> None:
        e = Emitter(module, "writes", 1, 4)
        e.store(e.i64(value), e.arguments[0])
        e.returns()

    return jit.compile_function("writes", emit)


def written(address: int) -> int:
    out = np.zeros(1, np.int64)
    call(address, out.ctypes.data)
    return int(out[0])


def test_code_is_kept_and_used_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(compiled()) == 7
    assert len(list(folder.glob("*.o"))) == 1

    def never(*_: object) -> None:
        raise AssertionError("compiled twice")

    monkeypatch.setattr(jit, "_optimise", never)
    assert written(compiled()) == 7


def test_other_code_has_another_key(folder: Path) -> None:
    assert (written(compiled(1)), written(compiled(2))) == (1, 2)
    assert len(list(folder.glob("*.o"))) == 2


def test_a_damaged_file_is_compiled_anew(folder: Path) -> None:
    compiled()
    (kept,) = folder.glob("*.o")
    kept.write_bytes(kept.read_bytes()[:-9])
    assert written(compiled()) == 7


def test_a_folder_others_may_write_is_not_trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled()
    folder.chmod(0o777)
    assert jit._read(next(folder.glob("*.o"))) is None


def test_the_folder_is_private(folder: Path) -> None:
    compiled()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_uid == os.getuid()


def test_without_a_writable_folder_it_still_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path / "file"))
    assert written(compiled()) == 7


def test_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FREEHOLD_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/x")
    assert jit.cache_folder() == Path("/var/cache/x/freehold/kernels")
