"""The hash tree over the log's rows (RFC 6962, `core/merkle.py`): kept in tiles, grown behind the log, and made anew when lost.

Leaf n-1 is the hash of row n's entry, the very bytes that its link is taken over: the sealed chain and the tree tell the same.
The tree is derived from the rows and never grows in their transaction: `grow` follows, a batch at a time, up to the last sealed
row.
Tile n of level l holds the roots of 256**l leaves each, from n*256 on, up to 256 of them (c2sp.org/tlog-tiles); one of fewer is
the start of the one it becomes.

A checkpoint is a tree head that the node has signed. The next is signed only where the rows still give the last one's root:
the node never says two different things of its log unless someone took the last one away with its rows.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from freehold.core import merkle
from freehold.core.errors import VerificationError
from freehold.core.exchange import KeyId
from freehold.core.merkle import HASH_BYTES, leaf_hash
from freehold.store.audit import BEFORE_THE_FIRST, Before, entry_of, link_of, seal_message
from freehold.store.database import transaction

TILE_LEVELS = 8  # of the tree in one tile
TILE_HASHES = 1 << TILE_LEVELS
BATCH_ROWS = 1024  # some 10 ms of the write lock

_ROWS = """
    SELECT n, at_ns, kind, exchange_id, ledger_seq, facts, digest, link, seal, signed_by FROM audit
    WHERE n BETWEEN ? AND ? ORDER BY n
"""
_SEALED_FROM = "SELECT n FROM audit WHERE n >= ? AND seal IS NOT NULL ORDER BY n LIMIT 1"
_SEALED_TO = "SELECT n FROM audit WHERE n BETWEEN ? AND ? AND seal IS NOT NULL ORDER BY n DESC LIMIT 1"
_PUT = "INSERT INTO tree_tile (level, n, hashes) VALUES (?, ?, ?) ON CONFLICT (level, n) DO UPDATE SET hashes = excluded.hashes"

CheckSeal = Callable[[KeyId, bytes, bytes], None]  # key, seal, message; raises VerificationError


class TreeBroken(VerificationError):
    """The rows, the tree and the last checkpoint don't tell the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Of a tree: how many rows, and the root over them."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A signed tree head, as a signed note (c2sp.org/tlog-checkpoint)."""

    size: int
    at_ns: int
    note: str
    cosigned_by: int


class Tree:
    """The tree as a connection sees it. Tiles that were read are kept: make a new one for each transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._tiles: dict[tuple[int, int], bytes] = {}

    def size(self) -> int:
        last = self._connection.execute(
            "SELECT n, length(hashes) AS bytes FROM tree_tile WHERE level = 0 ORDER BY n DESC LIMIT 1"
        ).fetchone()
        return 0 if last is None else int(last["n"] * TILE_HASHES + last["bytes"] // HASH_BYTES)

    def tile(self, level: int, n: int) -> bytes:
        """Up to 256 hashes, one after the other; empty where there is none."""
        if (level, n) not in self._tiles:
            query = "SELECT hashes FROM tree_tile WHERE level = ? AND n = ?"
            row = self._connection.execute(query, (level, n)).fetchone()
            self._tiles[level, n] = b"" if row is None else row["hashes"]
        return self._tiles[level, n]

    def perfect(self, level: int, index: int) -> bytes:
        """`merkle.Perfect` out of the tiles. Raises TreeBroken for one that is not there."""
        tile_level, within = divmod(level, TILE_LEVELS)
        n, first = divmod(index << within, TILE_HASHES)
        hashes = _split(self.tile(tile_level, n))[first : first + (1 << within)]
        if len(hashes) != 1 << within:
            raise TreeBroken(f"tile {n} of level {tile_level} of the tree is missing or cut short; make it anew")
        return merkle.root_of(hashes)

    def forget(self) -> None:
        """Keep no tile that was read: for who reads each once."""
        self._tiles.clear()

    def root(self, size: int) -> bytes:
        return merkle.root(size, self.perfect)

    def add(self, leaves: Sequence[bytes]) -> None:
        """Put leaves' hashes behind the last, and what follows from them in the levels above, in the caller's transaction."""
        size, hashes, level = self.size(), list(leaves), 0
        while hashes:
            n, width = divmod(size >> (TILE_LEVELS * level), TILE_HASHES)
            all_ = [*_split(self.tile(level, n)[: width * HASH_BYTES]), *hashes]
            tiles = [all_[i : i + TILE_HASHES] for i in range(0, len(all_), TILE_HASHES)]
            for at, tile in enumerate(tiles, n):
                self._tiles[level, at] = b"".join(tile)
                self._connection.execute(_PUT, (level, at, self._tiles[level, at]))
            hashes = [merkle.root_of(tile) for tile in tiles if len(tile) == TILE_HASHES]
            level += 1

    def clear(self) -> None:
        self._connection.execute("DELETE FROM tree_tile")
        self._tiles.clear()


def _split(tile: bytes) -> list[bytes]:
    return [tile[i : i + HASH_BYTES] for i in range(0, len(tile), HASH_BYTES)]


def entries(connection: sqlite3.Connection, first_n: int, last_n: int) -> Iterator[tuple[sqlite3.Row, bytes]]:
    """Rows `first_n` to `last_n` with their entries. Raises TreeBroken for one that is missing, or not what its link binds."""
    before: Before = BEFORE_THE_FIRST
    expected = max(1, first_n - 1)
    for row in connection.execute(_ROWS, (expected, last_n)):
        if row["n"] != expected:
            break
        if expected >= first_n:
            names = (row["exchange_id"], row["ledger_seq"])
            entry = entry_of(before, row["n"], row["at_ns"], row["kind"], names, row["digest"])
            if link_of(entry) != row["link"]:
                raise TreeBroken(f"row {row['n']} of the log is not what its link binds; see: freehold log verify")
            yield row, entry
        before = (row["link"], row["seal"], row["signed_by"])
        expected += 1
    if expected <= last_n:
        raise TreeBroken(f"row {expected} of the log is missing; see: freehold log verify")


def grow(connection: sqlite3.Connection, batch_rows: int = BATCH_ROWS) -> bool:
    """Add a batch of sealed rows to the tree, in one transaction; whether there may be more.

    Raises TreeBroken where the last leaf is not that of its row.
    """
    with transaction(connection):
        tree = Tree(connection)
        size = tree.size()
        last = connection.execute(_SEALED_FROM, (size + batch_rows,)).fetchone()
        if last is None:
            last = connection.execute(_SEALED_TO, (size + 1, size + batch_rows)).fetchone()
        last_n = size if last is None else last["n"]
        leaves = [leaf_hash(entry) for _, entry in entries(connection, max(size, 1), last_n)] if last_n else []
        if size:
            if not leaves or leaves[0] != tree.perfect(0, size - 1):
                raise TreeBroken(f"row {size} of the log is not the one in the tree")
            leaves = leaves[1:]
        tree.add(leaves)
        return bool(leaves)


def sealed_head(connection: sqlite3.Connection, check_seal: CheckSeal) -> Head | None:
    """The tree as it is, where a trusted key's seal vouches for its last row; None while it is empty.

    Raises VerificationError where it does not.
    """
    tree = Tree(connection)
    size = tree.size()
    if not size:
        return None
    row = connection.execute("SELECT link, seal, signed_by FROM audit WHERE n = ?", (size,)).fetchone()
    if row is None or row["seal"] is None:
        raise TreeBroken(f"row {size} of the log, the last in the tree, has no seal; see: freehold log verify")
    check_seal(KeyId(row["signed_by"]), row["seal"], seal_message(size, row["link"]))
    return Head(size=size, root=tree.root(size))


def last_checkpoint(connection: sqlite3.Connection) -> Checkpoint | None:
    return _checkpoint(connection, "SELECT * FROM checkpoint ORDER BY size DESC LIMIT 1")


def checkpoint_over(connection: sqlite3.Connection, size: int) -> Checkpoint | None:
    """The one to prove rows up to `size` with: the first that a witness has cosigned, else the last there is."""
    cosigned = "SELECT * FROM checkpoint WHERE size >= ? AND cosigned_by > 0 ORDER BY size LIMIT 1"
    found = _checkpoint(connection, cosigned, size)
    return found or _checkpoint(connection, "SELECT * FROM checkpoint WHERE size >= ? ORDER BY size DESC LIMIT 1", size)


def checkpoints(connection: sqlite3.Connection) -> Iterator[Checkpoint]:
    for row in connection.execute("SELECT * FROM checkpoint ORDER BY size"):
        yield Checkpoint(size=row["size"], at_ns=row["at_ns"], note=row["note"], cosigned_by=row["cosigned_by"])


def keep_checkpoint(connection: sqlite3.Connection, made: Checkpoint) -> None:
    """Store it; those before it that nobody cosigned go. One of the same size never gives way to fewer cosignatures."""
    connection.execute(
        "INSERT INTO checkpoint (size, at_ns, note, cosigned_by) VALUES (?, ?, ?, ?) ON CONFLICT (size) DO UPDATE SET "
        "note = excluded.note, cosigned_by = excluded.cosigned_by WHERE excluded.cosigned_by >= cosigned_by",
        (made.size, made.at_ns, made.note, made.cosigned_by),
    )
    connection.execute("DELETE FROM checkpoint WHERE size < ? AND cosigned_by = 0", (made.size,))


def _checkpoint(connection: sqlite3.Connection, query: str, *parameters: object) -> Checkpoint | None:
    row = connection.execute(query, parameters).fetchone()
    if row is None:
        return None
    return Checkpoint(size=row["size"], at_ns=row["at_ns"], note=row["note"], cosigned_by=row["cosigned_by"])
