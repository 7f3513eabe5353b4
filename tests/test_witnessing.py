import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from freehold.core.errors import UpstreamError, UpstreamRejected, UpstreamUnavailable, VerificationError
from freehold.gateway.log_routes import LogServices
from freehold.gateway.serve import bind, serving
from freehold.gateway.server import create_app
from freehold.log_keeper import LogKeeper
from freehold.provenance import checkpoint as checkpoints
from freehold.provenance import witness
from freehold.provenance.keys import NodeKey
from freehold.provenance.log_config import LogConfig, WitnessConfig
from freehold.store.config import StoreConfig
from freehold.store.database import open_reader
from freehold.store.tree import Checkpoint
from freehold.tile_log import TileLog
from freehold.witnessing import Witness, ask
from tests.fakes.oversight import AlarmBell
from tests.gateway.node import TestNode
from tests.store.logs import KEY, write_log
from tests.store.test_tree import add


class Other:
    """A node that witnesses the log of `KEY`."""

    def __init__(self, folder: Path, *, knows: bool = True) -> None:
        self.path = folder / "witness.db"
        self.alarms = AlarmBell()
        self.log = TileLog(self.path, StoreConfig(), NodeKey.generate(), "w.example/log")
        logs = {"a.example/log": log_of(folder / "record.db").log_key} if knows else {}
        self.witness = Witness(self.path, StoreConfig(), logs, self.log, self.alarms, unix_ns=lambda: 1_795_000_000 * 10**9)
        self.url = ""

    @property
    def config(self) -> WitnessConfig:
        return WitnessConfig(url=self.url, key=str(self.log.witness_key))

    def rows(self) -> list[str]:
        with closing(open_reader(self.path, 1.0)) as connection:
            return [row["kind"] for row in connection.execute("SELECT kind FROM audit")]


def kinds(bell: AlarmBell) -> list[str]:
    return [alert.kind for alert in bell.alerts]


def log_of(path: Path) -> TileLog:
    return TileLog(path, StoreConfig(), KEY, "a.example/log")


@contextlib.asynccontextmanager
async def serving_witness(folder: Path, *, knows: bool = True) -> AsyncIterator[Other]:
    other, node = Other(folder, knows=knows), TestNode()
    keeper = LogKeeper(other.log, LogConfig(), (), other.alarms)
    services = replace(node.services(), log=LogServices(state=keeper, witness=other.witness))
    async with serving(create_app(services), node.config, bind(node.config, has_keys=True)) as url:
        other.url = f"{url}/witness"
        yield other


async def asked(other: Other, log: TileLog) -> Checkpoint:
    """Publish and ask; the checkpoint as it is kept after that."""
    last = await asyncio.to_thread(log.publish)
    assert last is not None
    async with aiohttp.ClientSession() as http:
        await ask(http, other.config, log, last)
    kept = await asyncio.to_thread(log.publish)
    assert kept is not None
    return kept


def copy(path: Path, to: Path) -> TileLog:
    shutil.copy(path, to)
    return log_of(to)


async def test_a_log_that_grows_is_cosigned_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    await write_log(path)
    log = log_of(path)
    async with serving_witness(tmp_path) as other:
        for size in (12, 13, 400, 400):
            if size > 12:
                add(path, size - log_size(log))
            kept = await asked(other, log)
            (one,) = checkpoints.cosignatures(checkpoints.parse(kept.note).note, [other.log.witness_key])
            assert (kept.size, kept.cosigned_by, one.at_s) == (size, 1, 1_795_000_000)
            assert log.cosigned_size(other.log.witness_key) == size
        assert kinds(other.alarms) == []
        assert other.rows() == []  # what it cosigns adds nothing to its own log


async def test_a_command_that_asks_between_publishing_and_asking_is_no_fork(tmp_path: Path) -> None:
    await write_log(tmp_path / "record.db")
    log = log_of(tmp_path / "record.db")
    async with serving_witness(tmp_path) as other, aiohttp.ClientSession() as http:
        older = log.publish()
        assert older is not None
        add(tmp_path / "record.db", 2)
        await asked(other, log)
        await ask(http, other.config, log, older)
        assert log.cosigned_size(other.log.witness_key) == 14


def log_size(log: TileLog) -> int:
    last = log.publish()
    return 0 if last is None else last.size


async def test_a_forked_log_is_refused_by_the_witness_told_by_both_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    await write_log(path)
    fork = copy(path, tmp_path / "fork.db")
    log = log_of(path)
    async with serving_witness(tmp_path) as other:
        add(path, 3)
        await asked(other, log)
        add(tmp_path / "fork.db", 2, "fork")
        with pytest.raises(VerificationError, match="has cosigned 15 rows of this log, which has 14: its end was cut off"):
            await asked(other, fork)
        add(tmp_path / "fork.db", 1, "fork")
        with pytest.raises(VerificationError, match="does not begin with the one of 15 rows"):
            await asked(other, fork)  # of the same size
        add(tmp_path / "fork.db", 2, "fork")
        for _ in range(2):
            with pytest.raises(VerificationError, match="the log was forked"):
                await asked(other, fork)
        assert kinds(other.alarms) == ["log_forked"] * 2
        assert other.rows() == ["witness_refused"] * 2
        assert (await asked(other, log)).size == 15


async def test_what_was_seen_survives_the_witness(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    await write_log(path)
    old = copy(path, tmp_path / "old.db")
    async with serving_witness(tmp_path) as other:
        add(path, 5)
        await asked(other, log_of(path))
        key = other.log
    async with serving_witness(tmp_path) as again:
        assert again.log.witness_key != key.witness_key  # a new process; the file alone remembers
        with pytest.raises(VerificationError, match="has cosigned 17 rows"):
            await asked(again, old)


async def test_a_witness_that_does_not_know_the_log_says_what_to_do(tmp_path: Path) -> None:
    await write_log(tmp_path / "record.db")
    async with serving_witness(tmp_path, knows=False) as other:
        with pytest.raises(UpstreamRejected, match=r"HTTP 404 \(list the log's key there, in witness_for"):
            await asked(other, log_of(tmp_path / "record.db"))


async def test_a_cosignature_by_another_key_than_configured_is_not_taken(tmp_path: Path) -> None:
    await write_log(tmp_path / "record.db")
    async with serving_witness(tmp_path) as other:
        log = log_of(tmp_path / "record.db")
        wrong = TileLog(tmp_path / "x.db", StoreConfig(), NodeKey.generate(), "w.example/log").witness_key
        last = log.publish()
        assert last is not None
        async with aiohttp.ClientSession() as http:
            with pytest.raises(UpstreamError, match="did not sign with the key"):
                await ask(http, WitnessConfig(url=other.url, key=str(wrong)), log, last)
            with pytest.raises(UpstreamUnavailable, match="cannot be asked"):
                await ask(http, WitnessConfig(url="http://127.0.0.1:9/witness", key=str(wrong)), log, last)


def test_two_submissions_at_once_cannot_roll_the_witness_back(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    asyncio.run(write_log(path))
    log, other = log_of(path), Other(tmp_path)
    first = log.publish()
    assert first is not None
    small = log.submission(0, first)
    add(path, 5)
    second = log.publish()
    assert second is not None
    assert other.witness.add_checkpoint(log.submission(0, second)).status == 200
    answer = other.witness.add_checkpoint(small)
    assert (answer.status, answer.body, answer.media_type) == (409, "17\n", "text/x.tlog.size")
    assert other.witness.add_checkpoint(witness.encode(17, [], first.note)).status == 400  # an old head given as new


def test_the_protocols_statuses(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    asyncio.run(write_log(path))
    log, other = log_of(path), Other(tmp_path)
    last = log.publish()
    assert last is not None
    good = log.submission(0, last)
    forged = good.replace(b"\n12\n", b"\n13\n")
    unknown = TileLog(path, StoreConfig(), KEY, "b.example/log").publish()
    assert unknown is not None
    proof = witness.encode(0, [bytes(32)], last.note)
    cases = {400: b"junk", 404: witness.encode(0, [], unknown.note), 403: forged, 422: proof, 200: good}
    assert {other.witness.add_checkpoint(body).status: body for body in cases.values()} == cases
    assert kinds(other.alarms) == []  # nothing was cosigned yet that it could contradict


async def test_the_node_asks_and_tells_once_what_fails(tmp_path: Path) -> None:
    await write_log(tmp_path / "record.db")
    bell = AlarmBell()
    outcomes: list[tuple[str, str]] = []
    async with serving_witness(tmp_path) as other, aiohttp.ClientSession() as http:
        there, gone = other.config, WitnessConfig(url="http://127.0.0.1:9/witness", key=str(other.log.witness_key))
        keeper = LogKeeper(log_of(tmp_path / "record.db"), LogConfig(), (there,), bell, count=lambda *said: outcomes.append(said))
        for _ in range(2):  # the second time nothing has come, and nobody is asked
            await keeper.ask_once(http)
        assert outcomes == [("w.example/log", "cosigned")]
        assert keeper.status()["witness w.example/log"].detail == "has cosigned 12 rows"
        lonely = LogKeeper(log_of(tmp_path / "record.db"), LogConfig(), (gone,), bell)
        for _ in range(2):
            await lonely.ask_once(http)
        assert kinds(bell) == ["witness_failed"]
        assert "cannot be asked" in lonely.status()["witness w.example/log"].detail
