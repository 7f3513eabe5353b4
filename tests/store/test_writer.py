import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from freehold.core.errors import RecordNotWritten
from freehold.core.exchange import ExchangeId
from freehold.core.receipts import Claims, Receipt
from freehold.store.config import StoreConfig
from freehold.store.reader import RecordReader
from freehold.store.writer import RecordWriter
from tests.store.drafts import FINDING, MODELLED, ChainSigner, chain_holds, draft


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "record.db"


@pytest.fixture
def writer(path: Path) -> Iterator[RecordWriter]:
    writer = RecordWriter(path, ChainSigner())
    yield writer
    writer.close()


def chain(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT exchange_id, digest FROM ledger JOIN receipt ON ledger_seq = seq ORDER BY seq"
        return [(str(i), str(d)) for i, d in connection.execute(query)]


async def test_a_record_is_there_when_it_is_acknowledged(writer: RecordWriter, path: Path) -> None:
    wanted = draft("xc_1", findings=(FINDING, FINDING), energy=MODELLED)
    receipt = await writer.record(wanted)
    with closing(RecordReader(path)) as reader:
        assert reader.recent(9) == [(1, wanted.entry)]
        stored = reader.receipt(ExchangeId("xc_1"))
    assert stored is not None
    assert (stored.receipt, stored.salt, stored.key_id) == (receipt, b"salt", "key_1")


async def test_many_at_once_make_one_unbroken_chain(writer: RecordWriter, path: Path) -> None:
    receipts = await asyncio.gather(*(writer.record(draft(f"xc_{i}")) for i in range(600)))
    assert [r.exchange_id for r in receipts] == [f"xc_{i}" for i in range(600)]
    assert len(chain(path)) == 600
    assert chain_holds(chain(path))


async def test_a_group_shares_one_commit(writer: RecordWriter, path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        before = other.execute("PRAGMA data_version").fetchone()[0]
        await asyncio.gather(*(writer.record(draft(f"xc_{i}")) for i in range(200)))
        after = other.execute("PRAGMA data_version").fetchone()[0]
    assert 1 <= after - before <= 10


async def test_the_chain_goes_on_after_a_restart(path: Path) -> None:
    for i in range(3):
        writer = RecordWriter(path, ChainSigner())
        await writer.record(draft(f"xc_{i}"))
        writer.close()
    assert chain_holds(chain(path))


async def test_two_writers_on_one_file_share_one_chain(writer: RecordWriter, path: Path) -> None:
    with closing(RecordWriter(path, ChainSigner())) as other:
        await asyncio.gather(*((writer, other)[i % 2].record(draft(f"xc_{i}")) for i in range(200)))
    assert len(chain(path)) == 200
    assert chain_holds(chain(path))


async def test_one_draft_that_does_not_fit_hurts_no_other(writer: RecordWriter, path: Path) -> None:
    await writer.record(draft("xc_1"))
    results = await asyncio.gather(*(writer.record(draft(f"xc_{i}")) for i in range(5)), return_exceptions=True)
    assert [isinstance(r, RecordNotWritten) for r in results] == [False, True, False, False, False]
    assert "xc_1" in str(results[1])
    assert writer.status().ready
    assert chain_holds(chain(path))


async def test_a_signer_that_fails_stores_nothing(path: Path) -> None:
    class Failing:
        def sign(self, claims: Claims, previous: str | None) -> Receipt:
            raise ValueError("no key today")

    with closing(RecordWriter(path, Failing())) as writer:
        with pytest.raises(RecordNotWritten, match="no key today"):
            await writer.record(draft())
        assert chain(path) == []


async def test_a_file_that_was_moved_away_takes_no_more_records_until_it_is_back(writer: RecordWriter, path: Path) -> None:
    await writer.record(draft("xc_1"))
    away = await asyncio.to_thread(path.rename, path.with_name("away.db"))
    with pytest.raises(RecordNotWritten, match="deleted or replaced under the running node"):
        await writer.record(draft("xc_2"))
    assert not writer.status().ready
    await asyncio.to_thread(away.rename, path)
    await asyncio.wait_for(_until_ready(writer), 30)  # the probe finds it
    await writer.record(draft("xc_3"))
    assert [i for i, _ in chain(path)] == ["xc_1", "xc_3"]


async def test_closing_writes_what_is_waiting_and_then_refuses(path: Path) -> None:
    writer = RecordWriter(path, ChainSigner())
    waiting = [asyncio.ensure_future(writer.record(draft(f"xc_{i}"))) for i in range(20)]
    await asyncio.sleep(0)  # let each enter the queue
    await asyncio.to_thread(writer.close)
    await asyncio.gather(*waiting)
    assert len(chain(path)) == 20
    with pytest.raises(RecordNotWritten, match="shutting down"):
        await writer.record(draft("late"))
    assert not writer.status().ready
    writer.close()


async def test_a_client_that_leaves_takes_no_record_away(writer: RecordWriter, path: Path) -> None:
    left = asyncio.ensure_future(writer.record(draft("xc_left")))
    await asyncio.sleep(0)
    left.cancel()
    await writer.record(draft("xc_next"))
    assert [i for i, _ in chain(path)] == ["xc_left", "xc_next"]


async def test_a_queue_that_is_full_refuses_with_the_reason(path: Path) -> None:
    config = StoreConfig(queue_drafts=2)
    with closing(RecordWriter(path, ChainSigner(), config)) as writer, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")  # the disk is busy
        results = [asyncio.ensure_future(writer.record(draft(f"xc_{i}"))) for i in range(6)]
        await asyncio.sleep(0)
        other.rollback()
        done = await asyncio.gather(*results, return_exceptions=True)
    refused = [r for r in done if isinstance(r, RecordNotWritten)]
    assert 3 <= len(refused) <= 4
    assert "2 records wait" in refused[0].message
    assert chain_holds(chain(path))


async def _until_ready(writer: RecordWriter) -> None:
    while not writer.status().ready:  # noqa: ASYNC110 - status is a thread's, there is no event to wait for
        await asyncio.sleep(0.01)


async def test_a_lock_held_too_long_is_told_and_the_writer_recovers_by_itself(path: Path) -> None:
    with closing(RecordWriter(path, ChainSigner(), StoreConfig(busy_timeout_s=0.05))) as writer:
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(RecordNotWritten, match="held by another process"):
                await writer.record(draft("xc_1"))
            assert "held by another process" in writer.status().detail
            assert not writer.status().ready
        await asyncio.wait_for(_until_ready(writer), 30)
        await writer.record(draft("xc_1"))
    assert chain_holds(chain(path))


FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
from freehold.core.errors import RecordNotWritten
from freehold.store.writer import RecordWriter
from tests.store.drafts import ChainSigner, draft

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])

def limit(size_bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))

async def main():
    writer = RecordWriter(path, ChainSigner())
    await writer.record(draft("first"))
    limit(path.with_name(path.name + "-wal").stat().st_size + 20_000)
    kept = failed = 0
    while not failed:
        try:
            await writer.record(draft(f"xc_{kept}", salt=b"s" * 3000))
            kept += 1
        except RecordNotWritten as exc:
            failed = 1
            print(exc.message)
    assert not writer.status().ready, writer.status()
    await asyncio.sleep(0.3)  # some probes, which must fail too
    assert not writer.status().ready, "a probe fitted where a record did not"
    limit(resource.RLIM_INFINITY)
    while not writer.status().ready:
        await asyncio.sleep(0.01)
    await writer.record(draft("last"))
    writer.close()
    print("kept", kept + 2)

asyncio.run(main())
"""


def test_a_full_disk_is_told_and_nothing_acknowledged_is_lost(path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    told, kept = ran.stdout.splitlines()
    assert "could not be written" in told
    assert str(path) in told
    assert kept == f"kept {len(chain(path))}"
    assert chain_holds(chain(path))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


async def _fill(writer: RecordWriter) -> None:
    for i in range(1000):
        await writer.record(draft(f"xc_{i}", salt=b"s" * 8000))


async def test_a_really_full_disk_is_called_full(small_disk: Path) -> None:
    path = small_disk / "record.db"
    with closing(RecordWriter(path, ChainSigner())) as writer:
        with pytest.raises(RecordNotWritten, match="is full; free some space"):
            await _fill(writer)
        assert not writer.status().ready
        await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
        await asyncio.wait_for(_until_ready(writer), 30)
        await writer.record(draft("last"))
    assert chain_holds(chain(path))


KILLED = """
import asyncio, itertools, sys
from pathlib import Path
from freehold.store.writer import RecordWriter
from tests.store.drafts import ChainSigner, draft

writer = RecordWriter(Path(sys.argv[1]), ChainSigner())

async def client(name):
    for n in itertools.count():
        receipt = await writer.record(draft(f"{name}-{n}"))
        sys.stdout.write(f"{receipt.exchange_id} {receipt.digest}\\n")
        sys.stdout.flush()

async def main():
    await asyncio.gather(*(client(f"{sys.argv[2]}{i}") for i in range(20)))

asyncio.run(main())
"""


def test_what_was_acknowledged_survives_a_kill_in_mid_load(path: Path) -> None:
    acknowledged: list[tuple[str, str]] = []
    for round_, lines in enumerate((1, 150, 400)):
        command = [sys.executable, "-c", KILLED, str(path), f"r{round_}c"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            acknowledged += [_pair(process.stdout.readline()) for _ in range(lines)]
            process.send_signal(signal.SIGKILL)
            acknowledged += [_pair(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    kept = chain(path)
    assert len(acknowledged) >= 551
    assert set(acknowledged) <= set(kept)
    assert chain_holds(kept)


def test_two_processes_killed_in_mid_load_leave_one_unbroken_chain(path: Path) -> None:
    acknowledged: list[tuple[str, str]] = []
    commands = [[sys.executable, "-c", KILLED, str(path), f"p{i}c"] for i in range(2)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    for process in processes:
        assert process.stdout is not None
        acknowledged += [_pair(process.stdout.readline()) for _ in range(50)]
    for process in processes:
        process.send_signal(signal.SIGKILL)
    for process in processes:
        process.communicate()
    assert set(acknowledged) <= set(chain(path))
    assert chain_holds(chain(path))


def _pair(line: str) -> tuple[str, str]:
    exchange_id, digest = line.split()
    return exchange_id, digest
