from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from freehold.engine.gpu.attention import Partials, Tiles, attend
from freehold.engine.gpu.multiply import Columns
from freehold.engine.kernels import reference
from freehold.engine.kernels.graph import Graph
from tests.engine.gpu.card import DEVICE, HALF, on_device

Floats: TypeAlias = npt.NDArray[Any]
HEADS, KV, DIM = 6, 2, 32


def attended(
    positions: npt.NDArray[Any],
    tokens_each: int,
    shares: int,
    share_pages: int = 2,
    window: int = 0,
    cap: float = 0.0,
    length: int = 0,
) -> tuple[Floats, Floats, Floats, Floats]:
    """(what the kernel gives, queries, keys, values) for tokens at `positions` of one sequence."""
    length = length or int(positions.max()) + 1
    q = np.random.default_rng(10).normal(0, 1, (len(positions), HEADS, DIM)).astype(np.float32)
    rng = np.random.default_rng(11)
    k, v = (rng.normal(0, 1, (length, KV, DIM)).astype(np.float32) for _ in range(2))
    pages = np.array([[7, 7, 7, 7, 7], [3, 0, 4, 1, 6]], np.int32)  # the second sequence is asked about
    store = np.full((8, KV, 2, 64, DIM), np.nan, np.float16)
    for position in range(length):
        page, row = pages[1, position // 64], position % 64
        store[page, :, 0, row], store[page, :, 1, row] = k[position], v[position]
    store[:, :, 0] = np.nan_to_num(store[:, :, 0])
    firsts = np.arange(0, len(positions), tokens_each, dtype=np.int32)
    counts = np.minimum(tokens_each, len(positions) - firsts).astype(np.int32)
    tiles = Tiles(on_device(firsts), on_device(counts), tokens_each, shares, share_pages)
    out = Columns(len(positions), HEADS * DIM, DEVICE, HALF)
    graph = Graph(head_dim=DIM, rotated=DIM, query_scale=DIM**-0.5, attention_cap=cap)
    where = (on_device(positions), on_device(np.full(len(positions), 1, np.int32)), on_device(pages))
    queries = on_device((q * DIM**-0.5).reshape(len(positions), -1))
    partials = Partials(len(positions), HEADS, shares, DIM, DEVICE)
    attend(queries, graph, (HEADS, KV), tiles, where, on_device(store), partials, out, window)
    return out.x.cpu().numpy().reshape(q.shape), q, k, v


@pytest.mark.parametrize(("tokens_each", "shares", "share_pages"), [(1, 3, 2), (4, 1, 1 << 20)])
def test_answers_and_prompts_attend_as_the_reference(tokens_each: int, shares: int, share_pages: int) -> None:
    positions = np.arange(254, 259, dtype=np.int32)
    out, q, k, v = attended(positions, tokens_each, shares, share_pages)
    np.testing.assert_allclose(out, reference.attend(q, k, v, positions.astype(np.int64)), rtol=2e-2, atol=4e-3)


def test_a_window_hides_what_lies_before_it() -> None:
    positions = np.array([200, 201], np.int32)
    near, *_ = attended(positions, 1, 3, window=64)
    _, q, k, v = attended(positions, 1, 3)
    for i, position in enumerate(positions):
        expected = reference.attend(
            q[i : i + 1], k[position - 63 : position + 1], v[position - 63 : position + 1], np.array([63])
        )
        np.testing.assert_allclose(near[i : i + 1], expected, rtol=2e-2, atol=4e-3)


def test_capped_scores_differ_and_stay_finite() -> None:
    positions = np.array([90], np.int32)
    capped, plain = attended(positions, 1, 1, 1 << 20, cap=0.5)[0], attended(positions, 1, 1, 1 << 20)[0]
    assert np.isfinite(capped).all()
    assert np.abs(capped - plain).max() > 1e-3


def test_an_answers_bits_do_not_depend_on_its_neighbours() -> None:
    positions = np.arange(150, 152, dtype=np.int32)
    whole, alone = attended(positions, 1, 2)[0], attended(positions[:1], 1, 2, length=152)[0]
    assert np.array_equal(whole[:1], alone)
