import asyncio
import os
from pathlib import Path

import pytest

from freehold.core.errors import ConfigError
from freehold.core.findings import Alert
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.detectors.detector import Detector
from freehold.guard.policy_file import PolicySource
from freehold.guard.stream_guard import InForce
from freehold.policy_read import policy_path, read_policy
from freehold.policy_watch import PolicyWatch

DETECTOR = Detector(id="few", pattern="few-[0-9]{4}", must_match=("few-1234",), must_not_match=())
TAG = '[[rules]]\nid = "a"\ndetectors = "few"\naction = "tag"\n'


class Alerts:
    """Implements `Alarm`."""

    def __init__(self) -> None:
        self.raised: list[Alert] = []

    def raise_alert(self, alert: Alert) -> None:
        self.raised.append(alert)


class Watched:
    def __init__(self, folder: Path, text: str) -> None:
        self.path = folder / "policy.toml"
        self.path.write_text(text)
        self.guard = StreamGuard(GuardConfig(engine="re2"), detectors=[DETECTOR], policy=read_policy(self.path))
        self.alerts, self.told = Alerts(), list[bool]()
        self.watch = PolicyWatch(self.path, self.guard, self.alerts, self.told.append)

    async def looks(self, count: int = 2) -> None:
        pending = None
        for _ in range(count):
            pending = await self.watch.look(pending)

    def masks(self) -> bool:
        return self.guard.redact("few-1234") != "few-1234"


async def test_a_changed_file_is_taken_once_it_has_settled(tmp_path: Path) -> None:
    watched = Watched(tmp_path, "")
    assert watched.masks()
    watched.path.write_text(TAG)
    await watched.looks(1)
    assert watched.masks()
    await watched.looks()
    assert not watched.masks()
    assert watched.told == [True]
    await watched.looks(3)
    assert watched.told == [True]


async def test_what_is_saved_while_a_change_is_taken_is_taken_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(tmp_path, "")
    prepare = watched.guard.prepare

    def slowly(source: PolicySource | None) -> InForce:
        watched.path.write_text(f"# saved again\n{TAG}")
        monkeypatch.undo()
        return prepare(source)

    monkeypatch.setattr(watched.guard, "prepare", slowly)
    watched.path.write_text("# saved\n")
    await watched.looks()
    assert watched.masks()
    await watched.looks()
    assert not watched.masks()


async def test_a_file_that_is_replaced_is_seen_though_its_size_and_time_are_the_same(tmp_path: Path) -> None:
    watched = Watched(tmp_path, TAG)
    other = tmp_path / "new"
    other.write_text(TAG.replace('"few"', '"fe*"'))
    times = watched.path.stat()
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(watched.path)
    await watched.looks()
    assert watched.told == [True]


async def test_a_broken_file_keeps_the_policy_raises_an_alert_and_is_told_by_the_status(tmp_path: Path) -> None:
    watched = Watched(tmp_path, TAG)
    watched.path.write_text(TAG + "[[rules]]\nid = 7\n")
    await watched.looks()
    assert not watched.masks()
    status = watched.guard.status()
    assert not status.ready
    assert f"{watched.path}:5: rules:" in status.detail
    assert [(a.kind, a.severity) for a in watched.alerts.raised] == [("policy_refused", "critical")]
    assert watched.told == [False]
    await watched.looks()
    assert watched.told == [False]
    watched.path.write_text("")
    await watched.looks()
    assert watched.guard.status().ready
    assert watched.masks()


async def test_a_file_that_is_gone_keeps_the_policy(tmp_path: Path) -> None:
    watched = Watched(tmp_path, TAG)
    watched.path.unlink()
    await watched.looks()
    assert not watched.masks()
    assert "cannot read the policy" in watched.guard.status().detail


async def test_a_pipe_in_the_files_place_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    watched = Watched(tmp_path, TAG)
    watched.path.unlink()
    os.mkfifo(watched.path)
    await watched.looks()
    assert "pipe" in watched.guard.status().detail
    watched.path.unlink()
    watched.path.write_text("")
    await watched.looks()
    assert watched.masks()
    assert watched.told == [False, True]


async def test_a_changed_term_file_is_a_changed_policy(tmp_path: Path) -> None:
    (tmp_path / "terms.txt").write_text("Falcon\n")
    watched = Watched(tmp_path, '[[dictionaries]]\nid = "d"\nfile = "terms.txt"\n')
    assert watched.guard.redact("Falcon, Eagle") == "[REDACTED:d], Eagle"
    (tmp_path / "terms.txt").write_text("Falcon\nEagle\n")
    await watched.looks()
    assert watched.guard.redact("Falcon, Eagle") == "[REDACTED:d], [REDACTED:d]"


def test_a_mark_that_an_editor_left_is_no_part_of_the_first_term(tmp_path: Path) -> None:
    (tmp_path / "terms.txt").write_text("\ufeffFalcon\nEagle\n")
    watched = Watched(tmp_path, '\ufeff[[dictionaries]]\nid = "d"\nfile = "terms.txt"\n')
    assert watched.guard.redact("Falcon, Eagle") == "[REDACTED:d], [REDACTED:d]"


async def test_it_runs_until_cancelled_and_reloads_when_told(tmp_path: Path) -> None:
    watched = Watched(tmp_path, "")
    running = asyncio.create_task(watched.watch.run())
    watched.path.write_text(TAG)
    assert await watched.watch.reload()
    assert not watched.masks()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_where_the_file_lies(tmp_path: Path) -> None:
    assert policy_path(None, tmp_path / "freehold.toml", tmp_path) is None
    assert policy_path("p.toml", tmp_path / "etc" / "freehold.toml", tmp_path) == tmp_path / "etc" / "p.toml"
    assert policy_path("p.toml", None, tmp_path) == tmp_path / "p.toml"
    assert policy_path("/etc/p.toml", None, tmp_path) == Path("/etc/p.toml")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the policy"):
        read_policy(tmp_path / "none.toml")
    path = tmp_path / "policy.toml"
    path.write_text('[[dictionaries]]\nid = "d"\nfile = "none.txt"\n')
    with pytest.raises(ConfigError, match=r"cannot read the terms in none\.txt"):
        read_policy(path)
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_policy(path)


async def test_whatever_a_file_does_the_watch_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(tmp_path, TAG)

    def fail(_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(watched.guard, "prepare", fail)
        assert not await watched.watch.reload()
    assert "MemoryError" in watched.guard.status().detail
    assert await watched.watch.reload()
    assert watched.guard.status().ready
