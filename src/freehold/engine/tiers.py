"""Which bytes of a model stay in memory and which are read anew in each pass.

Decided here, from a header alone: the placement that a number of bytes allows. Pure, so that what is predicted before a
download and what is done at load are the same. How many bytes there are is decided in `memory`.

Every byte of a dense model is read once a pass, so no tile deserves memory more than another; what matters is that the streamed
ones come evenly over the pass, for then the disk never waits for compute, nor compute for the disk, longer than the ring evens
out. Tiles so small that a read costs more than their bytes are streamed only when nothing else is left.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from freehold.engine.tensor_types import TensorType
from freehold.engine.tiles import SECTOR_BYTES, TILE_BYTES, InFile, Tile, Use, cut

SLOTS: Final = 6  # two are read into, one is checked, two are computed from; one for whoever is late
ROWS_CACHE_BYTES: Final = 8 << 20  # embedding rows of late, where the table is not in memory
_SMALL_BYTES: Final = 1 << 20  # at 2-3 GB/s a read of this size takes three times the latency of a disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """`tiles` are in the order of use; `is_streamed` says of each whether it is read in each pass."""

    tiles: tuple[Tile, ...] = field(repr=False)
    is_streamed: tuple[bool, ...] = field(repr=False)
    vectors_bytes: int  # norms, biases: always resident
    embedding_bytes: int  # of a table that is not the head too
    embedding_resident: bool  # else its rows are read when they are asked for
    embedding_row_bytes: int

    @property
    def is_whole(self) -> bool:
        """Everything is in memory: nothing is read after loading."""
        return self.embedding_resident and not any(self.is_streamed)

    @property
    def streamed(self) -> list[Tile]:
        return [tile for tile, streamed in zip(self.tiles, self.is_streamed, strict=True) if streamed]

    @property
    def streamed_bytes(self) -> int:
        """Read from disk in each pass."""
        return sum(tile.size_bytes for tile in self.streamed)

    @property
    def resident_bytes(self) -> int:
        tiles = sum(tile.size_bytes for tile in self.tiles) - self.streamed_bytes
        return tiles + self.vectors_bytes + (self.embedding_bytes if self.embedding_resident else 0)

    @property
    def pass_bytes(self) -> int:
        """What one pass computes from, wherever it lies."""
        return sum(tile.size_bytes for tile in self.tiles)

    @property
    def slot_bytes(self) -> int:
        """Of one slot of the ring, which holds the largest streamed tile and the sectors it begins and ends in; 0 without one."""
        return slot_bytes(self.streamed)

    @property
    def memory_bytes(self) -> int:
        """All that the weights take: resident ones, the ring, and embedding rows of late."""
        return self.resident_bytes + _overhead(self.slot_bytes, rows_read=not self.is_whole)

    def bytes_by_type(self, *, streamed: bool) -> Mapping[TensorType, int]:
        """Bytes that a pass computes from, of tiles that are streamed or of those that are not."""
        found: Counter[TensorType] = Counter()
        for tile, is_streamed in zip(self.tiles, self.is_streamed, strict=True):
            if is_streamed is streamed:
                found[tile.type] += tile.size_bytes
        return found


def place(
    order: Iterable[Sequence[Use]],
    tensors: Mapping[str, InFile],
    memory_bytes: int,
    *,
    embedding: str = "token_embd.weight",
    tile_bytes: int = TILE_BYTES,
) -> Placement:
    """The placement of a model in `memory_bytes`. `order` is the model's own: the groups of matrices that a pass uses, one after
    the other. Streams what does not fit, all of it if need be: whether that is enough is for the caller to see by `memory_bytes`.
    """
    groups = [tuple(group) for group in order]
    used = {use.tensor for group in groups for use in group}
    tiles = tuple(cut(groups, tensors, tile_bytes))
    table = tensors[embedding]
    row_bytes = table.type.row_bytes(table.shape[0])
    vectors = sum(info.type.row_bytes(info.shape[0]) for info in tensors.values() if len(info.shape) == 1)
    table_bytes = 0 if embedding in used else row_bytes * table.shape[-1]
    all_bytes = sum(tile.size_bytes for tile in tiles)

    def placement(streamed: Sequence[bool], *, whole: bool) -> Placement:
        return Placement(
            tiles=tiles,
            is_streamed=tuple(streamed),
            vectors_bytes=vectors,
            embedding_bytes=table_bytes,
            embedding_resident=whole,
            embedding_row_bytes=row_bytes,
        )

    if vectors + table_bytes + all_bytes <= memory_bytes:
        return placement([False] * len(tiles), whole=True)
    spare = memory_bytes - vectors - _overhead(0, rows_read=True)
    if table_bytes and all_bytes <= spare:  # a table that is no head costs a few rows a token, wherever it lies
        return placement([False] * len(tiles), whole=False)
    ring_bytes = SLOTS * slot_bytes(tiles)
    return placement(spread([tile.size_bytes for tile in tiles], all_bytes - spare + ring_bytes), whole=False)


def slot_bytes(tiles: Sequence[Tile]) -> int:
    """Memory for any one of them, with the sectors it begins and ends in; 0 for none."""
    largest = max((tile.size_bytes for tile in tiles), default=0)
    return (-(-largest // SECTOR_BYTES) + 2) * SECTOR_BYTES if largest else 0


def spread(sizes: Sequence[int], streamed_bytes: int) -> list[bool]:
    """Which to stream, for at least `streamed_bytes` (all, where that is more than there is), evenly over the order."""
    large = [size >= _SMALL_BYTES for size in sizes]
    if sum(size for size, is_large in zip(sizes, large, strict=True) if is_large) < streamed_bytes:
        large = [True] * len(sizes)
    total = sum(size for size, is_large in zip(sizes, large, strict=True) if is_large)
    chosen, passed, taken = [False] * len(sizes), 0, 0
    for i, size in enumerate(sizes):
        if large[i]:
            passed += size
            # Never behind the even share of what has been passed: at the end, never below what was asked for.
            if taken * total < streamed_bytes * passed:
                chosen[i] = True
                taken += size
    return chosen


def _overhead(each_slot_bytes: int, *, rows_read: bool) -> int:
    return SLOTS * each_slot_bytes + (ROWS_CACHE_BYTES if rows_read else 0)
