"""Which bytes of a model stay in memory and which are read anew in each pass.

Decided here, from a header alone: the placement that a number of bytes allows. Pure, so that what is predicted before a
download and what is done at load are the same. How many bytes there are is decided in `memory`.

Every byte of a dense model is read once a pass, so no tile deserves memory more than another; what matters is that the streamed
ones come evenly over the pass, for then the disk never waits for compute, nor compute for the disk, longer than the ring evens
out. Tiles so small that a read costs more than their bytes are streamed only when nothing else is left.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from freehold.engine.tiles import SECTOR_BYTES, TILE_BYTES, InFile, Tile, Use, cut

SLOTS: Final = 6  # two are read into, one is checked, two are computed from; one for whoever is late
ROWS_CACHE_BYTES: Final = 8 << 20  # embedding rows of late at most, where the table is not in memory
_UNCUT: Final = 1 << 62  # an expert is read as a whole
_SMALL_BYTES: Final = 1 << 20  # at 2-3 GB/s a read of this size takes three times the latency of a disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """`tiles` are in the order of use; `is_streamed` says of each whether it is read in each pass."""

    tiles: tuple[Tile, ...] = field(repr=False)
    is_streamed: tuple[bool, ...] = field(repr=False)
    vectors_bytes: int  # norms, biases: always resident
    embedding_bytes: int  # of a table that is not the head too
    embedding_resident: bool  # else its rows are read when they are asked for
    rows_cache_bytes: int  # for embedding rows of late
    experts: tuple[tuple[tuple[Tile, ...], ...], ...] = field(default=(), repr=False)  # of each layer, each one's matrices
    expert_slots: int = 0  # experts that are in memory at a time; 0 is all of them
    experts_used: int = 0  # by a token, of each layer's

    @property
    def is_whole(self) -> bool:
        """Everything is in memory: nothing is read after loading."""
        return self.embedding_resident and not any(self.is_streamed) and not self.expert_slots

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
        experts = 0 if self.expert_slots else self.experts_bytes
        return tiles + self.vectors_bytes + (self.embedding_bytes if self.embedding_resident else 0) + experts

    @property
    def experts_bytes(self) -> int:
        return sum(tile.size_bytes for layer in self.experts for expert in layer for tile in expert)

    @property
    def expert_slot_bytes(self) -> int:
        """Memory for any one expert, as `expert_cache` lays it out."""
        parts = zip(*(expert for layer in self.experts for expert in layer), strict=True)
        return sum(slot_bytes(part) for part in parts)

    @property
    def pass_bytes(self) -> int:
        """What one pass computes from, wherever it lies, but for experts."""
        return sum(tile.size_bytes for tile in self.tiles)

    @property
    def slot_bytes(self) -> int:
        """Of one slot of the ring, which holds the largest streamed tile and the sectors it begins and ends in; 0 without one."""
        return slot_bytes(self.streamed)

    @property
    def memory_bytes(self) -> int:
        """All that the weights take: resident ones, the ring, and embedding rows of late."""
        streamed = SLOTS * self.slot_bytes + (0 if self.is_whole else self.rows_cache_bytes)
        return self.resident_bytes + streamed + self.expert_slots * self.expert_slot_bytes


def place(
    order: Iterable[Sequence[Use]],
    tensors: Mapping[str, InFile],
    memory_bytes: int,
    *,
    experts: Iterable[Iterable[Sequence[Use]]] = (),
    experts_used: int = 0,
    embedding: str = "token_embd.weight",
    tile_bytes: int = TILE_BYTES,
) -> Placement:
    """The placement of a model in `memory_bytes`. `order` is the model's own: the groups of matrices that a pass uses, one after
    the other. Streams what does not fit, all of it if need be: whether that is enough is for the caller to see by `memory_bytes`.

    Of the experts of a mixture (each layer's, each one's matrices) a pass uses few: where not all fit, what every pass uses
    has the first claim to memory, but for as many experts as a token uses in a layer; the rest holds experts by use.
    """
    groups = [tuple(group) for group in order]
    used = {use.tensor for group in groups for use in group}
    tiles = tuple(cut(groups, tensors, tile_bytes))
    table = tensors[embedding]
    rows_bytes = table.type.row_bytes(table.shape[0]) * table.shape[-1]
    cache_bytes = min(ROWS_CACHE_BYTES, rows_bytes)
    vectors = sum(info.type.row_bytes(info.shape[0]) for info in tensors.values() if len(info.shape) == 1)
    table_bytes = 0 if embedding in used else rows_bytes
    all_bytes = sum(tile.size_bytes for tile in tiles)
    whole = Placement(
        tiles=tiles,
        is_streamed=(False,) * len(tiles),
        vectors_bytes=vectors,
        embedding_bytes=table_bytes,
        embedding_resident=True,
        rows_cache_bytes=cache_bytes,
        experts=tuple(tuple(tuple(cut([[use] for use in uses], tensors, _UNCUT)) for uses in layer) for layer in experts),
        experts_used=experts_used,
    )
    if whole.memory_bytes <= memory_bytes:
        return whole
    expert_bytes, least_experts = whole.expert_slot_bytes, experts_used if whole.experts else 0

    def placement(streamed: Sequence[bool]) -> Placement:
        made = replace(whole, is_streamed=tuple(streamed), embedding_resident=False, expert_slots=least_experts)
        if not whole.experts:
            return made
        more = max(0, memory_bytes - made.memory_bytes) // expert_bytes
        return replace(made, expert_slots=min(least_experts + more, sum(map(len, whole.experts))))

    spare = memory_bytes - least_experts * expert_bytes - vectors - cache_bytes
    if (
        table_bytes or whole.experts
    ) and all_bytes <= spare:  # a table that is no head costs a few rows a token, wherever it lies
        return placement([False] * len(tiles))
    ring_bytes = SLOTS * slot_bytes(tiles)
    return placement(spread([tile.size_bytes for tile in tiles], all_bytes - spare + ring_bytes))


def slot_bytes(tiles: Iterable[Tile]) -> int:
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
