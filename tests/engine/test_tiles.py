from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from freehold.engine.tensor_types import TensorType
from freehold.engine.tiles import TILE_BYTES, Use, cut, rows_per_tile


@dataclass(frozen=True)
class Info:
    type: TensorType
    shape: tuple[int, ...]
    offset: int = 0
    part: int = 0


def use(name: str, rows: int, multiple: int = 16, first_row: int = 0, tensor: str | None = None) -> Use:
    return Use(name=name, tensor=tensor or name, first_row=first_row, rows=rows, multiple=multiple)


@given(
    rows=st.integers(1, 5000),
    multiple=st.sampled_from([8, 16, 32, 64, 128]),
    length=st.sampled_from([32, 256, 4096]),
    limit=st.integers(1, 1 << 20),
)
def test_tiles_cover_a_matrix_in_order_without_cutting_what_is_needed_together(
    rows: int, multiple: int, length: int, limit: int
) -> None:
    info = Info(TensorType.Q8_0, (length, rows), offset=4096)
    tiles = cut([[use("a", rows, multiple)]], {"a": info}, limit)
    row_bytes = info.type.row_bytes(length)
    at, row = info.offset, 0
    for tile in tiles:
        assert (tile.offset, tile.first_row, tile.size_bytes) == (at, row, tile.rows * row_bytes)
        assert tile.first_row % multiple == 0
        assert tile.rows == tiles[0].rows or tile is tiles[-1]
        assert tile.size_bytes <= max(limit, multiple * row_bytes)
        at, row = tile.end, row + tile.rows
    assert row == rows


@given(rows=st.integers(1, 300).map(lambda n: 32 * n), limit=st.integers(1000, 1 << 18))
def test_matrices_used_side_by_side_are_cut_at_the_same_rows(rows: int, limit: int) -> None:
    tensors = {"gate": Info(TensorType.Q4_K, (256, rows)), "up": Info(TensorType.Q6_K, (256, rows), offset=1 << 20)}
    tiles = cut([[use("gate", rows, 32), use("up", rows, 32)]], tensors, limit)
    gates, ups = tiles[::2], tiles[1::2]
    assert {tile.use for tile in gates} == {"gate"}
    assert [(tile.first_row, tile.rows) for tile in gates] == [(tile.first_row, tile.rows) for tile in ups]


def test_rows_of_a_fused_tensor_are_cut_where_they_lie_in_it() -> None:
    tensors = {"qkv": Info(TensorType.F32, (32, 96), offset=1000, part=1)}
    parts = [[use(name, 32, 32, first_row=32 * i, tensor="qkv")] for i, name in enumerate("qkv")]
    assert [(tile.use, tile.part, tile.offset, tile.first_row) for tile in cut(parts, tensors)] == [
        ("q", 1, 1000, 0),
        ("k", 1, 1000 + 32 * 128, 0),
        ("v", 1, 1000 + 64 * 128, 0),
    ]


def test_the_last_tile_is_not_a_sliver() -> None:
    # Llama 3 8B's feed-forward part: 14336 rows of 2304 bytes.
    step = rows_per_tile(2304, 14336, 32, TILE_BYTES)
    tiles = [min(step, 14336 - first) for first in range(0, 14336, step)]
    assert len(tiles) == 4
    assert min(tiles) > 0.95 * max(tiles)
