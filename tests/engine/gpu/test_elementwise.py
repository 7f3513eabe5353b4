from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from freehold.engine.gpu.elementwise import gate, normalise, place
from freehold.engine.gpu.multiply import Columns
from freehold.engine.kernels import reference
from freehold.engine.kernels.graph import Activation, Graph, Rope
from tests.engine.gpu.card import DEVICE, HALF, on_device


def floats(seed: int, *shape: int) -> npt.NDArray[Any]:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def same(columns: Columns, expected: npt.NDArray[Any]) -> None:
    """All forms of the same numbers."""
    np.testing.assert_allclose(columns.x.cpu().numpy(), expected, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(columns.half.float().cpu().numpy(), expected, rtol=1e-2, atol=1e-6)
    blocks = columns.q.cpu().numpy().reshape(len(expected), -1, 32).astype(np.float32)
    scales = columns.xs.cpu().numpy()
    largest = np.abs(expected.reshape(blocks.shape)).max(-1)
    np.testing.assert_allclose(scales, largest / 127, rtol=1e-5)
    assert np.abs(blocks * scales[..., None] - expected.reshape(blocks.shape)).max() <= 0.51 * scales.max()
    sums = (blocks * scales[..., None]).reshape(len(expected), -1, 16).sum(-1)
    np.testing.assert_allclose(columns.hs.cpu().numpy(), sums, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("post", [False, True])
def test_the_stream_is_added_to_and_normalised(post: bool) -> None:
    x, delta, weight, after = floats(1, 3, 96), floats(2, 3, 96), floats(3, 96), floats(4, 96)
    stream, out = on_device(x.copy()), Columns(3, 96, DEVICE, HALF)
    normalise(stream, on_device(weight), 1e-5, out, on_device(delta), on_device(after) if post else None)
    summed = x + (reference.rms_norm(delta, after, 1e-5) if post else delta)
    np.testing.assert_allclose(stream.cpu().numpy(), summed, rtol=1e-5, atol=1e-5)
    same(out, reference.rms_norm(summed, weight, 1e-5))


def test_a_block_of_noughts_stays_noughts() -> None:
    out = Columns(1, 64, DEVICE, HALF)
    normalise(torch.zeros((1, 64), device=DEVICE), torch.ones(64, device=DEVICE), 1e-5, out)
    assert not out.q.any()
    assert not out.xs.any()


@pytest.mark.parametrize("activation", Activation)
def test_the_gate_opens_the_way_up(activation: Activation) -> None:
    pair, out = floats(5, 2, 2 * 96) * 3, Columns(2, 96, DEVICE, HALF)
    gate(on_device(pair), activation, out)
    opened: npt.NDArray[Any] = pair[:, :96].astype(np.float64)
    if activation is Activation.SILU:
        opened = reference.silu(pair[:, :96])
    else:
        opened = 0.5 * opened * (1 + np.tanh(np.sqrt(2 / np.pi) * (opened + 0.044715 * opened**3)))
    same(out, (opened * pair[:, 96:]).astype(np.float32))


@pytest.mark.parametrize("rope", Rope)
@pytest.mark.parametrize("extras", [False, True])
def test_heads_turn_and_keys_and_values_land_on_their_pages(rope: Rope, extras: bool) -> None:
    heads, kv, dim, positions = 4, 2, 32, np.array([70, 3], np.int32)
    graph = Graph(head_dim=dim, rotated=dim, query_scale=0.25, rope=rope)
    qkv, bias, norms = floats(6, 2, (heads + 2 * kv) * dim), floats(7, (heads + 2 * kv) * dim), (floats(8, dim), floats(9, dim))
    angles = np.arange(80)[:, None] * 10000.0 ** (-np.arange(dim // 2) / (dim // 2))
    table = _table(angles, rope)
    pages = np.array([[0, 5], [2, 0]], np.int32)
    store = torch.zeros((6, kv, 2, 64, dim), dtype=torch.float16, device=DEVICE)
    out = on_device(qkv.copy())
    where = (on_device(positions), on_device(np.array([0, 1], np.int32)), on_device(pages))
    extra: dict[str, Any] = {"bias": on_device(bias), "norms": (on_device(norms[0]), on_device(norms[1]))} if extras else {}
    place(out, graph, (heads, kv), on_device(table), where, store, epsilon=1e-6, **extra)
    q, k, v = np.split(qkv + (bias if extras else 0), [heads * dim, (heads + kv) * dim], 1)
    q, k, v = (part.reshape(2, -1, dim).astype(np.float32) for part in (q, k, v))
    if extras:
        q, k = reference.rms_norm(q, norms[0], 1e-6), reference.rms_norm(k, norms[1], 1e-6)
    q, k = (reference.turn(part, angles[positions], rope) for part in (q, k))
    np.testing.assert_allclose(out[:, : heads * dim].cpu().numpy().reshape(q.shape), q * 0.25, rtol=1e-4, atol=1e-5)
    kept = store.cpu().numpy()
    for token, (page, row) in enumerate(((5, 6), (2, 3))):
        np.testing.assert_allclose(kept[page, :, 0, row], k[token], rtol=2e-3, atol=1e-3)
        np.testing.assert_allclose(kept[page, :, 1, row], v[token], rtol=2e-3, atol=1e-3)
    assert np.count_nonzero(np.abs(kept).sum(-1)) == 2 * 2 * kv


def _table(angles: npt.NDArray[Any], rope: Rope) -> npt.NDArray[Any]:
    cos, sin = np.cos(angles), np.sin(angles)
    table = np.empty((len(angles), 2, 2 * angles.shape[1]), np.float32)
    if rope is Rope.INTERLEAVED:
        table[:, 0, 0::2] = table[:, 0, 1::2] = cos
        table[:, 1, 0::2], table[:, 1, 1::2] = -sin, sin
    else:
        table[:, 0], table[:, 1] = np.concatenate([cos, cos], 1), np.concatenate([-sin, sin], 1)
    return table
