import asyncio
import itertools
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.core.exchange import ExchangeId
from freehold.core.limits import DAY_NS
from freehold.provenance.signer import NodeSigner
from freehold.store import retention
from freehold.store.config import StoreConfig
from freehold.store.reader import RecordReader
from freehold.store.retention import Purged, Retention
from freehold.store.writer import RecordWriter
from tests.store.drafts import FINDING
from tests.store.logs import KEY, broken, check, honest, tamper

NOW_NS = 1_795_000_000 * 1_000_000_000
CONFIG = StoreConfig(retention_days=40)
MARK = replace(FINDING, rule="mark-of-the-purged")


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Ten exchanges, ten days apart, the last of today, each with its placement; and one decision about the node."""
    path = tmp_path / "record.db"
    clock_ns = NOW_NS - 100 * DAY_NS
    for i in range(10):
        at_ns = clock_ns + (i + 1) * 10 * DAY_NS
        with closing(RecordWriter(path, NodeSigner(KEY), sealer=KEY, unix_ns=itertools.repeat(at_ns).__next__)) as writer:
            if i == 0:
                await writer.append("policy_loaded", {"digest": "d1"})
            await writer.append("placement", {"allowed": [f"mark-of-{i}"]}, ExchangeId(f"xc_{i}"))
            await writer.record(honest(f"xc_{i}", findings=(MARK,), received_at_ns=at_ns))
    return path


def purge(path: Path, config: StoreConfig = CONFIG, now_ns: int = NOW_NS) -> Purged:
    return Retention(path, config, KEY, lambda: now_ns).purge()


async def test_what_is_too_old_goes_and_the_log_holds_on_and_says_so(path: Path) -> None:
    assert purge(path) == Purged(exchanges=5, decisions=5)
    with closing(RecordReader(path)) as reader:
        assert [entry.exchange_id for _, entry in reader.after(0, 99)] == ["xc_5", "xc_6", "xc_7", "xc_8", "xc_9"]
        assert reader.receipt(ExchangeId("xc_0")) is None
    report = check(path)
    assert (report.broken, report.rows, report.purged) == (None, 22, 10)
    assert check(path, each_signature=True).broken is None


async def test_of_what_went_only_digests_are_left_in_the_file(path: Path) -> None:
    kept = sqlite3.connect(path).execute("SELECT digest FROM receipt").fetchall()
    purge(path, StoreConfig(retention_days=31), now_ns=NOW_NS + 500 * DAY_NS)
    raw = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"mark-of-" not in raw
    assert b"payloadType" not in raw
    assert all(digest.encode() in raw for (digest,) in kept)
    assert check(path).broken is None


async def test_decisions_about_the_node_itself_are_kept(path: Path) -> None:
    purge(path, now_ns=NOW_NS + 500 * DAY_NS)
    with closing(sqlite3.connect(path)) as connection:
        kept = connection.execute("SELECT kind FROM audit WHERE facts IS NOT NULL ORDER BY n").fetchall()
    assert kept == [("policy_loaded",), ("retention_purged",)]


async def test_a_record_goes_on_after_everything_was_purged(path: Path) -> None:
    purge(path, now_ns=NOW_NS + 500 * DAY_NS)
    with closing(RecordWriter(path, NodeSigner(KEY), sealer=KEY)) as writer:
        await writer.record(honest("xc_new"))
    report = check(path)
    assert (report.broken, report.purged, report.exchanges) == (None, 20, 11)


async def test_purging_again_changes_nothing_and_later_goes_on(path: Path) -> None:
    purge(path)
    before = check(path).head
    assert purge(path) == Purged()
    assert check(path).head == before
    assert purge(path, now_ns=NOW_NS + 15 * DAY_NS) == Purged(exchanges=2, decisions=2)
    assert check(path).broken is None


async def test_many_rows_go_in_several_steps(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 2)
    assert purge(path) == Purged(exchanges=5, decisions=5)
    assert check(path).broken is None


@pytest.mark.parametrize(
    "statements",
    [
        ["DELETE FROM ledger WHERE seq = 7"],
        ["UPDATE audit SET facts = NULL WHERE exchange_id = 'xc_6' AND kind = 'placement'"],
        ["UPDATE audit SET facts = NULL WHERE kind = 'policy_loaded'"],
        ["UPDATE audit SET facts = NULL WHERE kind = 'retention_purged'"],
        [
            "UPDATE audit SET facts = replace(facts, ':5', ':7') WHERE kind = 'retention_purged'",
            "DELETE FROM ledger WHERE seq < 8",
        ],
        ["UPDATE receipt SET digest = 'ff' WHERE ledger_seq = 5"],
    ],
)
async def test_nothing_can_pass_for_purged_that_was_not(path: Path, statements: list[str]) -> None:
    purge(path)
    tamper(path, *statements)
    assert broken(path).what in ("deleted", "changed", "reordered")


async def test_exchanges_from_before_the_log_are_purged_too(path: Path) -> None:
    tamper(path, "DELETE FROM audit", "DELETE FROM sqlite_sequence WHERE name = 'audit'")
    assert purge(path) == Purged(exchanges=5)
    report = check(path)
    assert (report.broken, report.before_log) == (None, 5)


async def test_without_a_retention_nothing_is_purged(path: Path) -> None:
    assert purge(path, StoreConfig(), now_ns=NOW_NS + 9999 * DAY_NS) == Purged()
    assert check(path).rows == 21


async def test_the_nodes_task_purges_at_once(path: Path) -> None:
    task = asyncio.create_task(Retention(path, CONFIG, KEY, lambda: NOW_NS).run())
    while check(path).purged < 10:  # noqa: ASYNC110 - the file tells, there is no event to wait for
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
