import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from freehold.core import merkle
from freehold.core.errors import VerificationError
from freehold.core.merkle import leaf_hash
from freehold.store import tree
from freehold.store.audit import append, decision
from freehold.store.config import StoreConfig
from freehold.store.database import open_reader, open_writer, transaction
from freehold.store.tree import Tree, TreeBroken
from freehold.tile_log import TileLog
from tests.store.logs import KEY, broken, check, honest, log_writer, tamper, write_log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A record of twelve rows."""
    asyncio.run(write_log(tmp_path / "record.db"))
    return tmp_path / "record.db"


@pytest.fixture
def log(path: Path) -> TileLog:
    return TileLog(path, StoreConfig(), KEY)


def add(path: Path, rows: int, kind: str = "test") -> None:
    with closing(open_writer(path, 1.0)) as connection, transaction(connection):
        append(connection, [decision(kind, {"i": i}, i) for i in range(rows)], KEY)


def roots(path: Path) -> tuple[bytes, bytes]:
    """Of the stored tree, and of all its rows made anew."""
    with closing(open_reader(path, 1.0)) as connection:
        kept = Tree(connection)
        leaves = [leaf_hash(entry) for _, entry in tree.entries(connection, 1, kept.size())]
        return kept.root(kept.size()), merkle.root_of(leaves)


@pytest.mark.parametrize("batches", [[243, 1, 1, 300], [1000], [244], [245]])
def test_a_tree_that_grew_in_steps_is_that_of_all_rows(path: Path, log: TileLog, batches: list[int]) -> None:
    for rows in batches:
        add(path, rows)
        log.publish()
    kept, anew = roots(path)
    assert kept == anew
    report = check(path)
    assert (report.broken, report.tree_size, report.rows) == (None, 12 + sum(batches), 12 + sum(batches))


def test_many_tiles_and_levels_are_right(tmp_path: Path) -> None:
    leaves = [leaf_hash(b"%d" % i) for i in range(66_000)]
    with closing(open_writer(tmp_path / "record.db", 1.0)) as connection, transaction(connection):
        for start in (0, 1, 257, 65_536, 65_537):
            kept = Tree(connection)
            kept.add(leaves[kept.size() : start])
        kept.add(leaves[kept.size() :])
        assert (kept.size(), kept.root(66_000)) == (66_000, merkle.root_of(leaves))
        assert kept.tile(2, 0) == merkle.root_of(leaves[:65_536])
        assert len(kept.tile(1, 1)) == 32  # of the 257 full tiles below, 256 are in the one before


def test_a_crash_between_batches_leaves_a_tree_that_goes_on(path: Path, log: TileLog) -> None:
    add(path, 700)
    add(path, 700)
    with closing(open_writer(path, 1.0)) as connection:
        assert tree.grow(connection, batch_rows=300)  # and here the process ended
        assert 0 < Tree(connection).size() < 1412
    assert check(path).broken is None
    last = log.publish()
    assert last is not None
    assert last.size == 1412
    assert roots(path)[0] == roots(path)[1]


def test_a_head_is_signed_once_for_what_did_not_change(path: Path, log: TileLog) -> None:
    first = log.publish()
    assert first is not None
    assert first == log.publish()
    add(path, 1)
    second = log.publish()
    assert second is not None
    assert second.size == first.size + 1


def test_a_tree_that_was_lost_is_made_anew_from_the_rows(path: Path, log: TileLog) -> None:
    first = log.publish()
    tamper(path, "DELETE FROM tree_tile")
    assert check(path).broken is None
    add(path, 1)
    assert log.publish() is not None
    assert first is not None
    assert roots(path)[0] == roots(path)[1]
    assert check(path).broken is None


def test_a_tile_that_was_changed_is_named_and_the_next_head_is_signed_over_the_rows(path: Path, log: TileLog) -> None:
    log.publish()
    tamper(path, "UPDATE tree_tile SET hashes = CAST(substr(hashes, 1, 64) || zeroblob(32) || substr(hashes, 97) AS BLOB)")
    found = broken(path)
    assert (found.what, found.n) == ("changed", 3)
    assert "tile 0 of level 0" in found.detail
    add(path, 1)
    log.publish()
    assert roots(path)[0] == roots(path)[1]
    assert check(path).broken is None


def test_swapped_tiles_are_named(path: Path, log: TileLog) -> None:
    add(path, 600)
    log.publish()
    tamper(
        path,
        "UPDATE tree_tile SET n = 9 WHERE level = 0 AND n = 0",
        "UPDATE tree_tile SET n = 0 WHERE level = 0 AND n = 1",
        "UPDATE tree_tile SET n = 1 WHERE level = 0 AND n = 9",
    )
    assert "tile 0 of level 0 of the tree is not made of the rows: changed or swapped" in broken(path).detail


def test_a_forged_checkpoint_is_named(path: Path, log: TileLog) -> None:
    last = log.publish()
    assert last is not None
    tamper(path, f"UPDATE checkpoint SET note = replace(note, '{chr(10)}12{chr(10)}', '{chr(10)}11{chr(10)}'), size = 11")
    found = broken(path)
    assert (found.what, found.n) == ("forged", 11)
    assert "the checkpoint of 11 rows does not hold" in found.detail


def test_a_checkpoint_put_under_another_size_is_named(path: Path, log: TileLog) -> None:
    log.publish()
    tamper(path, "UPDATE checkpoint SET size = 11")
    assert broken(path).detail == "the checkpoint of 11 rows is one of 12"


CUT = (
    "DELETE FROM audit WHERE n > 10",
    "DELETE FROM finding WHERE ledger_seq > 5",
    "DELETE FROM receipt WHERE ledger_seq > 5",
    "DELETE FROM ledger WHERE seq > 5",
    "UPDATE sqlite_sequence SET seq = 10 WHERE name = 'audit'",
    "UPDATE sqlite_sequence SET seq = 5 WHERE name = 'ledger'",
)


def test_an_end_cut_off_with_all_its_counters_shows_in_tree_and_checkpoint(path: Path, log: TileLog) -> None:
    log.publish()
    tamper(path, *CUT)
    found = broken(path)
    assert (found.what, found.n) == ("truncated", 11)
    assert "the tree is over 12 rows" in found.detail
    tamper(path, "DELETE FROM tree_tile")
    found = broken(path)
    assert (found.what, found.n) == ("truncated", 11)
    assert "a checkpoint was signed over 12 rows" in found.detail
    for _ in range(2):
        with pytest.raises(TreeBroken, match="its end was cut off"):
            log.publish()


def test_a_log_written_anew_with_the_nodes_key_is_not_signed_again(path: Path, log: TileLog, tmp_path: Path) -> None:
    log.publish()
    other = tmp_path / "other.db"
    asyncio.run(write_log(other, exchanges=8))
    with closing(open_reader(path, 1.0)) as connection:
        note = connection.execute("SELECT note FROM checkpoint").fetchone()["note"]
    tamper(other, f"INSERT INTO checkpoint (size, at_ns, note, cosigned_by) VALUES (12, 1, '{note}', 0)")
    assert "the log was written anew" in broken(other).detail
    with pytest.raises(TreeBroken, match="no longer those that the last checkpoint was signed over"):
        TileLog(other, StoreConfig(), KEY).publish()


def test_a_row_that_its_link_does_not_bind_is_not_signed(path: Path, log: TileLog) -> None:
    tamper(path, "UPDATE audit SET at_ns = at_ns + 1 WHERE n = 5")
    with pytest.raises(TreeBroken, match="row 5 of the log is not what its link binds"):
        log.publish()


def test_a_row_without_the_nodes_seal_is_not_signed(path: Path, log: TileLog) -> None:
    first = log.publish()
    with closing(open_writer(path, 1.0)) as connection, transaction(connection):
        append(connection, [decision("forged", {}, 1)])
    assert log.publish() == first  # it waits for the next seal
    tamper(path, "UPDATE audit SET seal = zeroblob(64), signed_by = (SELECT signed_by FROM audit WHERE n = 12) WHERE n = 13")
    with pytest.raises(VerificationError, match="the seal of the last row does not hold"):
        log.publish()


async def replayed(path: Path) -> None:
    with closing(log_writer(path)) as writer:
        await writer.record(honest("xc_later"))


def test_a_receipt_given_again_under_another_exchange_is_named(path: Path) -> None:
    asyncio.run(replayed(path))
    tamper(
        path,
        "UPDATE receipt SET envelope = (SELECT envelope FROM receipt WHERE ledger_seq = 2),"
        " digest = (SELECT digest FROM receipt WHERE ledger_seq = 2) WHERE ledger_seq = 5",
    )
    found = broken(path)
    assert (found.what, found.ledger_seq) == ("replayed", 5)
    assert found.detail == "its receipt is that of row 2 of the ledger, given again"
