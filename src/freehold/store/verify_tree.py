"""Holds the hash tree and the signed tree heads against the rows of the log, which `verify` has checked by their links and seals.

The tree may be behind the rows: it grows after them. It may not be ahead, nor hold another hash than a row's; every checkpoint
must be signed, and its root be that of the rows, whatever became of the tree.
"""

import sqlite3
from typing import Protocol

from freehold.core import merkle
from freehold.core.errors import ArtefactError
from freehold.core.merkle import HASH_BYTES, leaf_hash
from freehold.store.exchanges import Broken, Stop
from freehold.store.tree import TILE_HASHES, TILE_LEVELS, Checkpoint, Tree, checkpoints


class Heads(Protocol):
    def head(self, note: str) -> tuple[int, bytes]:
        """Size and root of a checkpoint. Raises ArtefactError where no trusted key signed it."""


class TreeFold:
    """`take` each row's entry in order, then `check`, which raises Stop. Keeps one hash for each 256 rows."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._tree = Tree(connection)
        self.size = self._tree.size()
        self.checkpoints = 0
        self._growing = merkle.GrowingRoot()
        self._roots = {one.size: b"" for one in checkpoints(connection)}
        self._tile: list[bytes] = []  # leaves of the tile under way
        self._full: list[bytes] = []  # roots of the full ones
        self._wrong: Broken | None = None

    def take(self, entry: bytes) -> None:
        leaf = leaf_hash(entry)
        self._growing.add(leaf)
        if self._growing.size in self._roots:
            self._roots[self._growing.size] = self._growing.root()
        if self._growing.size > self.size:
            return
        self._tile.append(leaf)
        if len(self._tile) == TILE_HASHES:
            self._compare(0, len(self._full), self._tile)
            self._full.append(merkle.root_of(self._tile))
            self._tile = []

    def check(self, heads: Heads) -> None:
        if self.size > self._growing.size:
            raise self._cut_off(f"the tree is over {self.size} rows")
        if self._tile:
            self._compare(0, len(self._full), self._tile)
        level, hashes = 1, self._full
        while hashes:
            tiles = [hashes[i : i + TILE_HASHES] for i in range(0, len(hashes), TILE_HASHES)]
            for n, tile in enumerate(tiles):
                self._compare(level, n, tile)
            level, hashes = level + 1, [merkle.root_of(tile) for tile in tiles if len(tile) == TILE_HASHES]
        if self._wrong is not None:
            raise Stop(self._wrong)
        for one in checkpoints(self._connection):
            self._check_head(one, heads)
            self.checkpoints += 1

    def _compare(self, level: int, n: int, wanted: list[bytes]) -> None:
        """What is wrong first is told at the end: a row that is wrong says more than a hash of it."""
        there = self._tree.tile(level, n)
        self._tree.forget()
        if self._wrong is not None or there == b"".join(wanted):
            return
        at = next((i for i, hash_ in enumerate(wanted) if there[i * HASH_BYTES : (i + 1) * HASH_BYTES] != hash_), len(wanted))
        row = ((n * TILE_HASHES + at) << (TILE_LEVELS * level)) + 1
        detail = f"tile {n} of level {level} of the tree is not made of the rows: changed or swapped"
        self._wrong = Broken(what="changed", n=row, detail=detail)

    def _check_head(self, one: Checkpoint, heads: Heads) -> None:
        try:
            size, root = heads.head(one.note)
        except ArtefactError as error:
            detail = f"the checkpoint of {one.size} rows does not hold: {error.message}"
            raise Stop(Broken(what="forged", n=one.size, detail=detail)) from error
        if size != one.size:
            raise Stop(Broken(what="changed", n=one.size, detail=f"the checkpoint of {one.size} rows is one of {size}"))
        if size > self._growing.size:
            raise self._cut_off(f"a checkpoint was signed over {size} rows")
        if self._roots[size] != root:
            detail = f"the first {size} rows are not those that a checkpoint was signed over: the log was written anew"
            raise Stop(Broken(what="changed", n=size, detail=detail))

    def _cut_off(self, why: str) -> Stop:
        last = self._growing.size
        return Stop(Broken(what="truncated", n=last + 1, detail=f"{why}, the log ends with row {last}: its end was cut off"))
