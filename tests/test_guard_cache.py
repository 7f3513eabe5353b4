"""What compiling the rules gave is kept, and only trusted where nobody else could have written it."""

import sys
from pathlib import Path

import pytest

from freehold.core.errors import ConfigError
from freehold.guard import StreamGuard
from freehold.guard.config import GuardConfig
from freehold.guard.matcher import compiled, hyperscan
from freehold.guard_cache import _compiled_apart, compiling, open_guard, open_policy_guard
from freehold.place import find_place
from freehold.provenance.keys import node_key


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "freehold" / "guard.db"


@pytest.fixture
def handed_in(monkeypatch: pytest.MonkeyPatch) -> list[bytes | None]:
    """What each guard was given to begin with; none of them compiles anything."""
    seen: list[bytes | None] = []

    def begin(self: StreamGuard, config: GuardConfig, database: bytes | None, **more: object) -> None:
        seen.append(database)

    monkeypatch.setattr(StreamGuard, "__init__", begin)
    monkeypatch.setattr(StreamGuard, "database", lambda self: b"compiled")
    return seen


def test_rules_are_compiled_once_for_all_homes(kept: Path, handed_in: list[bytes | None]) -> None:
    open_guard(GuardConfig())
    open_guard(GuardConfig())
    assert handed_in == [None, b"compiled"]
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_may_write_is_not_read_but_replaced(kept: Path, handed_in: list[bytes | None]) -> None:
    kept.parent.mkdir()
    kept.write_bytes(b"planted")
    kept.chmod(0o666)
    open_guard(GuardConfig())
    assert handed_in == [None]
    assert (kept.read_bytes(), kept.stat().st_mode & 0o777) == (b"compiled", 0o600)


def test_without_a_folder_to_write_the_guard_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handed_in: list[bytes | None]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    open_guard(GuardConfig())
    assert handed_in == [None]


def test_rules_are_compiled_beside_other_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: Path, handed_in: list[bytes | None]
) -> None:
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path))
    place = find_place()
    with compiling(place):
        pass
    open_policy_guard(place, node_key(tmp_path / "keys"))
    assert handed_in == [None, b"compiled"]


def test_rules_that_are_kept_are_not_opened_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: Path, handed_in: list[bytes | None]
) -> None:
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path))
    open_guard(GuardConfig())
    with compiling(find_place()):
        pass
    assert handed_in == [None]


def test_a_policy_that_cannot_be_used_is_told_by_whoever_opens_the_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: Path
) -> None:
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path))
    (tmp_path / "policy.toml").write_text("rules = 7")
    (tmp_path / "freehold.toml").write_text('[guard]\npolicy = "policy.toml"\n')
    place = find_place(tmp_path / "freehold.toml")
    with compiling(place):
        pass
    assert not kept.exists()
    with pytest.raises(ConfigError):
        open_policy_guard(place, node_key(tmp_path / "keys"))


@pytest.mark.skipif(hyperscan is None, reason="not on every machine")
@pytest.mark.parametrize("interpreter", [sys.executable, "/bin/false", "/nowhere"])
def test_rules_are_compiled_in_another_process_and_in_ours_where_that_fails(
    monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    monkeypatch.setattr(sys, "executable", interpreter)
    groups = [{1: b"ab+c"}, {0: b"x", 2: b"[yz]"}]
    assert _compiled_apart(groups) == tuple(compiled(groups))


@pytest.mark.skipif(hyperscan is None, reason="not on every machine")
def test_a_rule_that_does_not_compile_is_told_as_if_nothing_were_apart() -> None:
    with pytest.raises(hyperscan.error):
        _compiled_apart([{0: b"(ab"}])


@pytest.mark.skipif(hyperscan is None, reason="not on every machine")
def test_nothing_is_imported_from_the_folder_that_a_command_is_given_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "msgspec.py").write_text("open('planted', 'w')")
    monkeypatch.chdir(tmp_path)
    assert _compiled_apart([{0: b"x"}])
    assert not (tmp_path / "planted").exists()
