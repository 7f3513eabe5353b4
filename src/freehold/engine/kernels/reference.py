"""The kernels' arithmetic in plain NumPy: what they are tested against, never what answers.

Dequantisation is written from the block layouts, the rest from the formulas; activations are rounded to signed bytes exactly as
the kernels do it, so that what is left between the two is the order of float sums.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from freehold.engine.kernels.graph import Rope
from freehold.engine.kernels.records import BLOCK
from freehold.engine.kv_cache import KvType
from freehold.engine.tensor_types import TensorType

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


def dequantise(type_: TensorType, rows: Bytes) -> Floats:
    """Rows of blocks (R, bytes) to weights (R, K)."""
    blocks = rows.reshape(-1, type_.block_bytes)
    return np.asarray(_DEQUANTISE[type_](blocks), np.float32).reshape(len(rows), -1)


def quantise(x: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Columns (C, K) to int8 (C, K) and scales (C, K / 32)."""
    blocks = x.reshape(len(x), -1, BLOCK)
    largest = np.abs(blocks).max(-1, keepdims=True)
    inverse = np.divide(np.float32(127), largest, out=np.zeros_like(largest), where=largest > 0)
    return np.rint(blocks * inverse).astype(np.int8).reshape(x.shape), (largest / np.float32(127))[..., 0]


def rounded(x: Floats) -> Floats:
    """What is left of activations after quantising."""
    q, scales = quantise(x)
    return np.asarray(q.reshape(len(x), -1, BLOCK) * scales[..., None], np.float32).reshape(x.shape)


def multiply(type_: TensorType, rows: Bytes, x: Floats) -> npt.NDArray[np.float64]:
    """Columns (C, K) by a matrix (R, K): (C, R). Float tensors meet the activations unrounded."""
    columns = x if type_.block_elements == 1 else rounded(x)
    return columns.astype(np.float64) @ dequantise(type_, rows).astype(np.float64).T


def rms_norm(x: Floats, weight: Floats, epsilon: float) -> Floats:
    mean = np.mean(x.astype(np.float64) ** 2, -1, keepdims=True)
    return np.asarray(x / np.sqrt(mean + epsilon) * weight, np.float32)


def silu(x: Floats) -> Floats:
    return np.asarray(x / (1 + np.exp(-x.astype(np.float64))), np.float32)


def gelu(x: Floats) -> Floats:
    wide = x.astype(np.float64)
    return np.asarray(wide * (1 + np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3))) / 2, np.float32)


def soft_cap(x: npt.NDArray[Any], cap: float) -> npt.NDArray[Any]:
    return cap * np.tanh(x / cap)


def turn(x: Floats, angles: npt.NDArray[np.float64], rope: Rope) -> Floats:
    """Rotate the first R dimensions of heads (T, H, D) by angles (T, R / 2)."""
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    out = x.copy()
    half = angles.shape[-1]
    x, turned = x[..., : 2 * half], out[..., : 2 * half]
    a, b = (slice(0, None, 2), slice(1, None, 2)) if rope is Rope.INTERLEAVED else (slice(0, half), slice(half, None))
    turned[..., a] = x[..., a] * cos - x[..., b] * sin
    turned[..., b] = x[..., b] * cos + x[..., a] * sin
    return out


def held(x: Floats, kv_type: KvType) -> npt.NDArray[np.float64]:
    """What is left of keys or values (S, KV, D) in the cache: f16, or int8 with a scale a head and position."""
    if kv_type is KvType.F16:
        return x.astype(np.float16).astype(np.float64)
    scales = np.abs(x).max(-1, keepdims=True).astype(np.float64) / 127
    return np.asarray(np.rint(np.divide(x, scales, out=np.zeros(x.shape), where=scales > 0)) * scales)


def attend(
    q: Floats,
    k: Floats,
    v: Floats,
    positions: npt.NDArray[np.int64],
    *,
    scale: float | None = None,
    window: int = 0,
    cap: float = 0.0,
    kv_type: KvType = KvType.F16,
) -> Floats:
    """Causal attention of queries (T, H, D) over keys and values (S, KV, D) as the cache holds them: (T, H, D).

    A token sees `window` positions, its own among them; 0 is all.
    """
    repeat = q.shape[1] // k.shape[1]
    keys, values = (np.repeat(held(a, kv_type), repeat, 1) for a in (k, v))
    scores = np.einsum("thd,shd->hts", q, keys) * (q.shape[-1] ** -0.5 if scale is None else scale)
    scores = soft_cap(scores, cap) if cap else scores
    behind = positions[:, None] - np.arange(len(k))
    scores = np.where((behind >= 0) & (behind < (window or len(k))), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.asarray(np.einsum("hts,shd->thd", weights, values), np.float32)


# ---- blocks: (N, bytes) -> (N, elements) --------------------------------------------------------------------------


def _half(blocks: Bytes, offset: int) -> Floats:
    return np.ascontiguousarray(blocks[:, offset : offset + 2]).view(np.float16).astype(np.float32)  # (N, 1)


def _nibbles(blocks: Bytes, offset: int, count: int) -> npt.NDArray[np.int32]:
    """Low nibbles of `count` bytes, then the high ones."""
    part = blocks[:, offset : offset + count].astype(np.int32)
    return np.concatenate([part & 15, part >> 4], 1)


def _fifth(blocks: Bytes, offset: int) -> npt.NDArray[np.int32]:
    bits = np.unpackbits(blocks[:, offset : offset + 4], axis=1, bitorder="little")
    return bits.astype(np.int32) << 4


def _k_factors(blocks: Bytes) -> tuple[Floats, Floats]:
    """Scales and mins (N, 8, 1) of Q4_K and Q5_K, from 12 bytes at 4."""
    s = blocks[:, 4:16].astype(np.int32)
    scales = np.concatenate([s[:, :4] & 63, (s[:, 8:] & 15) | (s[:, :4] >> 6 << 4)], 1)
    mins = np.concatenate([s[:, 4:8] & 63, (s[:, 8:] >> 4) | (s[:, 4:8] >> 6 << 4)], 1)
    return (_half(blocks, 0) * scales)[..., None].astype(np.float32), (_half(blocks, 2) * mins)[..., None].astype(np.float32)


def _k_nibbles(blocks: Bytes, offset: int) -> npt.NDArray[np.int32]:
    parts = [_nibbles(blocks, offset + 32 * i, 32) for i in range(4)]
    return np.concatenate(parts, 1).reshape(-1, 8, 32)


def _q4_k(blocks: Bytes) -> Any:
    scales, mins = _k_factors(blocks)
    return _k_nibbles(blocks, 16) * scales - mins


def _q5_k(blocks: Bytes) -> Any:
    scales, mins = _k_factors(blocks)
    high = blocks[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[None, :, None] & 1
    return (_k_nibbles(blocks, 48) | high.astype(np.int32) << 4) * scales - mins


def _q6_k(blocks: Bytes) -> Any:
    halves = []
    for half in range(2):
        low = _nibbles(blocks, 64 * half, 64).reshape(-1, 4, 32)
        pairs = blocks[:, None, 128 + 32 * half : 160 + 32 * half].astype(np.int32)
        halves.append(low | (pairs >> np.array([0, 2, 4, 6])[None, :, None] & 3) << 4)
    q = np.concatenate(halves, 1).reshape(-1, 16, 16) - 32
    scales = blocks[:, 192:208].view(np.int8).astype(np.float32)[..., None]
    return _half(blocks, 208)[..., None] * scales * q


def _pairs(blocks: Bytes, offset: int) -> npt.NDArray[np.int32]:
    """Two-bit numbers (N, 8, 32) of 64 bytes: a half of 128 weights shares 32 bytes, block j of it bits 2 j."""
    bytes_ = blocks[:, offset : offset + 64].reshape(-1, 2, 1, 32)
    return (bytes_ >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3).astype(np.int32).reshape(-1, 8, 32)


def _q2_k(blocks: Bytes) -> Any:
    factors = blocks[:, :16].astype(np.int32)[..., None]
    scales, mins = _half(blocks, 80)[..., None] * (factors & 15), _half(blocks, 82)[..., None] * (factors >> 4)
    return _pairs(blocks, 16).reshape(-1, 16, 16) * scales - mins


def _q3_k(blocks: Bytes) -> Any:
    high = np.unpackbits(blocks[:, :32, None], axis=2, bitorder="little").transpose(0, 2, 1)  # (N, 8, 32)
    q = (_pairs(blocks, 32) | high.astype(np.int32) << 2).reshape(-1, 16, 16) - 4
    low = _nibbles(blocks, 96, 8)
    upper = blocks[:, None, 104:108].astype(np.int32) >> np.array([0, 2, 4, 6])[:, None] & 3
    scales = (low | upper.reshape(-1, 16) << 4) - 32
    return _half(blocks, 108)[..., None] * scales[..., None] * q


# Written as the table of ggml-common.h has it; the kernels hold it 128 higher.
_IQ4_VALUES: Final = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113])


def _iq4_xs(blocks: Bytes) -> Any:
    low = (blocks[:, 4:8, None] >> np.array([0, 4], np.uint8) & 15).reshape(-1, 8).astype(np.int32)
    upper = np.ascontiguousarray(blocks[:, 2:4]).view(np.uint16).astype(np.int32) >> 2 * np.arange(8) & 3
    values = np.stack([_IQ4_VALUES[_nibbles(blocks, 8 + 16 * j, 16)] for j in range(8)], 1)
    return (_half(blocks, 0) * ((low | upper << 4) - 32))[..., None] * values


_DEQUANTISE: Final[Mapping[TensorType, Callable[[Bytes], Any]]] = {
    TensorType.F32: lambda b: b.view(np.float32),
    TensorType.F16: lambda b: b.view(np.float16),
    TensorType.BF16: lambda b: (b.view(np.uint16).astype(np.uint32) << 16).view(np.float32),
    TensorType.Q4_0: lambda b: _half(b, 0) * (_nibbles(b, 2, 16) - 8),
    TensorType.Q4_1: lambda b: _half(b, 0) * _nibbles(b, 4, 16) + _half(b, 2),
    TensorType.Q5_0: lambda b: _half(b, 0) * ((_nibbles(b, 6, 16) | _fifth(b, 2)) - 16),
    TensorType.Q5_1: lambda b: _half(b, 0) * (_nibbles(b, 8, 16) | _fifth(b, 4)) + _half(b, 2),
    TensorType.Q8_0: lambda b: _half(b, 0) * b[:, 2:].view(np.int8),
    TensorType.Q2_K: _q2_k,
    TensorType.Q3_K: _q3_k,
    TensorType.Q4_K: _q4_k,
    TensorType.Q5_K: _q5_k,
    TensorType.Q6_K: _q6_k,
    TensorType.IQ4_NL: lambda b: _half(b, 0) * _IQ4_VALUES[_nibbles(b, 2, 16)],
    TensorType.IQ4_XS: _iq4_xs,
}
