"""Matrices cut into tiles: the pieces in which weights are placed, read, checked and given up.

Decided here: where a tile begins and ends, and the order in which a pass over the model uses them. Where a tile lies is decided
in `tiers`, how a streamed one gets into memory in `ring`.

    a matrix of a layer          | tile 0 | tile 1 | ... | last |      whole rows, about 8 MiB, of one size but the last
    two that are used together   gate 0, up 0, gate 1, up 1, ...       equal rows a tile: neighbours hold the same rows

A small read buffer that is used again and again stays in the last cache: 8 MiB read 1.3 times faster than layers of a file.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from freehold.engine.tensor_types import TensorType

SECTOR_BYTES: Final = 4096  # what O_DIRECT reads in whole, on every disk in use
TILE_BYTES: Final = (8 << 20) - 2 * SECTOR_BYTES  # with the sectors it begins and ends in, four huge pages


class InFile(Protocol):
    """What a header says of a tensor. `shape` is in ggml's order: shape[0] is the row length."""

    @property
    def type(self) -> TensorType: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def offset(self) -> int: ...

    @property
    def part(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A matrix as a pass uses it: some rows of a tensor. `multiple` rows are needed together, and never cut apart."""

    name: str
    tensor: str
    first_row: int
    rows: int
    multiple: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Rows `first_row` .. `first_row + rows` of the matrix `use`, and where they lie: file `part` of the model, from `offset`."""

    use: str
    type: TensorType
    first_row: int
    rows: int
    part: int
    offset: int
    size_bytes: int

    @property
    def end(self) -> int:
        return self.offset + self.size_bytes


def cut(order: Iterable[Sequence[Use]], tensors: Mapping[str, InFile], limit_bytes: int = TILE_BYTES) -> list[Tile]:
    """Tiles in the order of use. A tile may be above the limit where a single item of a phase is."""
    return [tile for group in order for tile in _group(group, tensors, limit_bytes)]


def rows_per_tile(row_bytes: int, rows: int, multiple: int, limit_bytes: int) -> int:
    """Tiles of about one size, the last one not much smaller than the others."""
    most = max(1, limit_bytes // row_bytes // multiple) * multiple
    tiles = -(-rows // most)
    return -(-rows // tiles // multiple) * multiple


def _group(group: Sequence[Use], tensors: Mapping[str, InFile], limit_bytes: int) -> Iterator[Tile]:
    """Matrices used side by side have rows of one number: tile i of each, then tile i + 1."""
    widest = max(_row_bytes(tensors[use.tensor]) for use in group)
    rows = group[0].rows
    step = rows_per_tile(widest, rows, max(use.multiple for use in group), limit_bytes)
    for first in range(0, rows, step):
        for use in group:
            info = tensors[use.tensor]
            row_bytes, count = _row_bytes(info), min(step, use.rows - first)
            yield Tile(
                use=use.name,
                type=info.type,
                first_row=first,
                rows=count,
                part=info.part,
                offset=info.offset + (use.first_row + first) * row_bytes,
                size_bytes=count * row_bytes,
            )


def _row_bytes(info: InFile) -> int:
    return info.type.row_bytes(info.shape[0])
