"""From float32 to the blocks of ggml's types: Q8_0, Q5_0, Q4_K and Q6_K, F16 and BF16.

Rows of a tensor go in, the bytes of their blocks come out; the layouts are those that `kernels.formats` reads. A block's scale
(and minimum) is searched for: several roundings are tried, the best scale for each is solved for by least squares, and the one
with the least weighted error stays. Large weights count more, as they do in what the row is used for.

Everything is NumPy over chunks that fit a core's cache; memory is that of a chunk, whatever the tensor's size.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from freehold.core.errors import MalformedArtefact
from freehold.engine.tensor_types import TensorType

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_LARGEST: Final = np.float32(65504)  # float16's; no weight of a model that works comes near it
_CHUNK_BLOCKS: Final = 256  # of 256 weights: with what is computed of them some 1.5 MB
_TRIES_4: Final = np.arange(-10, 11, dtype=np.float32) * np.float32(
    0.1
)  # levels more or less than there are, for the widest block
_TRIES_6: Final = np.arange(-9, 10, dtype=np.float32) * np.float32(0.1)


def quantise(type_: TensorType, rows: Floats) -> Bytes:
    """Rows (R, K) to blocks (R, bytes). Raises MalformedArtefact for weights that are not finite and rows of no whole blocks."""
    row_bytes = type_.row_bytes(rows.shape[-1])
    if not np.isfinite(rows).all():
        raise MalformedArtefact("a weight is not a finite number")
    blocks = np.ascontiguousarray(rows, np.float32).reshape(-1, type_.block_elements)
    if type_ not in (TensorType.F32, TensorType.BF16):
        blocks = np.clip(blocks, -_LARGEST, _LARGEST)
    step = _CHUNK_BLOCKS * 256 // type_.block_elements
    out = np.empty((len(blocks), type_.block_bytes), np.uint8)
    for low in range(0, len(blocks), step):
        out[low : low + step] = QUANTISERS[type_](blocks[low : low + step])
    return out.reshape(len(rows), row_bytes)


def _f16(x: Floats) -> Bytes:
    """(N) float32 to the bytes (N, 2) of float16. What is too large becomes the largest there is."""
    return np.ascontiguousarray(np.clip(x, -_LARGEST, _LARGEST).astype("<f2")).view(np.uint8).reshape(-1, 2)


def _rounded_f16(x: Floats) -> Floats:
    return np.clip(x, -_LARGEST, _LARGEST).astype(np.float16).astype(np.float32)


def _inverse(x: Floats) -> Floats:
    """1 / x, and 0 where x is 0, or so small that 1 / x is too large."""
    with np.errstate(divide="ignore", over="ignore"):
        found = np.float32(1) / x
    return np.where(np.isfinite(found), found, np.float32(0))


def _bf16(blocks: Floats) -> Bytes:
    bits = blocks.view(np.uint32)
    return np.asarray(((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")).view(np.uint8)


def _q8_0(blocks: Floats) -> Bytes:
    """d (f16), 32 signed bytes."""
    scale = np.abs(blocks).max(1) / np.float32(127)
    q = np.rint(blocks * _inverse(scale)[:, None]).astype(np.int8)
    return np.concatenate([_f16(scale), q.view(np.uint8)], 1)


def _q5_0(blocks: Floats) -> Bytes:
    """d (f16), 32 fifth bits, 32 nibbles: d * (q - 16). The largest weight, with its sign, is q = 0."""
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(1)[:, None], 1)[:, 0]
    scale = largest / np.float32(-16)
    q = np.clip(np.floor(blocks * _inverse(scale)[:, None] + np.float32(16.5)), 0, 31).astype(np.uint8)
    high = np.packbits(q >> 4, axis=1, bitorder="little")
    return np.concatenate([_f16(scale), high, (q[:, :16] & 15) | (q[:, 16:] << 4)], 1)


def _q4_k(blocks: Floats) -> Bytes:
    """d, dmin (f16), 8 scales and 8 minima of 6 bits, 256 nibbles: d * scale * q - dmin * minimum."""
    x = blocks.reshape(-1, 8, 32)
    scales, minima = _scale_and_minimum(x.reshape(-1, 32), 15)
    scales, minima = scales.reshape(-1, 8), minima.reshape(-1, 8)
    d, dmin = scales.max(1) / np.float32(63), minima.max(1) / np.float32(63)
    six = np.clip(np.rint(scales * _inverse(d)[:, None]), 0, 63).astype(np.uint8)
    six_min = np.clip(np.rint(minima * _inverse(dmin)[:, None]), 0, 63).astype(np.uint8)
    scale, minimum = _rounded_f16(d)[:, None] * six, _rounded_f16(dmin)[:, None] * six_min
    q = np.clip(np.rint((x + minimum[..., None]) * _inverse(scale)[..., None]), 0, 15).astype(np.uint8)
    low = np.concatenate([six[:, :4] | (six[:, 4:] >> 4) << 6, six_min[:, :4] | (six_min[:, 4:] >> 4) << 6], 1)
    packed = np.concatenate([low, (six[:, 4:] & 15) | (six_min[:, 4:] & 15) << 4], 1)
    pairs = q.reshape(-1, 4, 2, 32)
    return np.concatenate([_f16(d), _f16(dmin), packed, (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(-1, 128)], 1)


def _q6_k(blocks: Floats) -> Bytes:
    """256 low nibbles, 256 pairs of high bits, 16 scales (signed bytes), d (f16): d * scale * (q - 32)."""
    x = blocks.reshape(-1, 16, 16)
    scales = _signed_scale(x.reshape(-1, 16), 32).reshape(-1, 16)
    largest = np.take_along_axis(scales, np.abs(scales).argmax(1)[:, None], 1)[:, 0]
    d = largest / np.float32(-128)
    eight = np.clip(np.rint(scales * _inverse(d)[:, None]), -128, 127).astype(np.int8)
    scale = _rounded_f16(d)[:, None] * eight
    q = (np.clip(np.rint(x * _inverse(scale)[..., None]), -32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low = q[:, :, :2] & 15 | (q[:, :, 2:] & 15) << 4
    high = q[:, :, 0] >> 4 | q[:, :, 1] >> 4 << 2 | q[:, :, 2] >> 4 << 4 | q[:, :, 3] >> 4 << 6
    return np.concatenate([low.reshape(-1, 128), high.reshape(-1, 64), eight.view(np.uint8), _f16(d)], 1)


def _scale_and_minimum(blocks: Floats, levels: int) -> tuple[Floats, Floats]:
    """For each of (N, W): s and m, none below 0, so that s * q - m with q in 0..levels is near the block."""
    x = np.ascontiguousarray(blocks.T)  # (W, N): sums over a block are sums of long rows
    q, wq, product = np.empty_like(x), np.empty_like(x), np.empty_like(x)

    def dot(a: Floats, b: Floats) -> Floats:
        return np.asarray(np.multiply(a, b, out=product).sum(0))

    weights = np.sqrt(dot(x, x) / np.float32(len(x))) + np.abs(x)
    best_low, high = np.minimum(x.min(0), 0), x.max(0)
    w, wx = weights.sum(0), dot(weights, x)
    wxx = np.multiply(product, x, out=product).sum(0)
    best = np.full(len(w), np.inf, np.float32)
    best_scale = (high - best_low) / levels
    for more in (np.float32(0), *_TRIES_4):
        finer = (levels + more) * _inverse(high - best_low)
        np.clip(np.rint(np.multiply(np.subtract(x, best_low, out=q), finer, out=q), out=q), 0, levels, out=q)
        sq = np.multiply(weights, q, out=wq).sum(0)
        sqq, sqx = dot(wq, q), dot(wq, x)
        # Least squares of s * q + l over the weights; l may not be above 0, and is 0 where it would be.
        determinant = w * sqq - sq * sq
        inverse = _inverse(np.maximum(determinant, 0))
        scale, low = (w * sqx - wx * sq) * inverse, (sqq * wx - sq * sqx) * inverse
        is_above = low > 0
        scale, low = np.where(is_above, sqx * _inverse(sqq), scale), np.where(is_above, np.float32(0), low)
        error = wxx + scale * scale * sqq + low * low * w + 2 * (scale * low * sq - scale * sqx - low * wx)
        is_better = (determinant > 0) & (error < best) & (scale > 0)
        best = np.where(is_better, error, best)
        best_scale, best_low = np.where(is_better, scale, best_scale), np.where(is_better, low, best_low)
    return best_scale, -best_low


def _signed_scale(blocks: Floats, half: int) -> Floats:
    """For each of (N, W): s of either sign, so that s * q with q in -half..half - 1 is near the block."""
    x = np.ascontiguousarray(blocks.T)  # (W, N)
    weights, q, product = x * x, np.empty_like(x), np.empty_like(x)
    inverse = _inverse(np.take_along_axis(x, np.abs(x).argmax(0)[None], 0)[0])
    best_scale, best = np.zeros_like(inverse), np.zeros_like(inverse)
    for more in (np.float32(0), *_TRIES_6):
        np.clip(np.rint(np.multiply(x, -(half + more) * inverse, out=q), out=q), -half, half - 1, out=q)
        wq = np.multiply(weights, q, out=product)
        sqx = np.multiply(wq, x).sum(0)
        sqq = np.multiply(wq, q, out=product).sum(0)
        scale = sqx * _inverse(sqq)
        gain = scale * sqx  # what the error is smaller by than without any scale
        is_better = gain > best
        best, best_scale = np.where(is_better, gain, best), np.where(is_better, scale, best_scale)
    return best_scale


QUANTISERS: Final[Mapping[TensorType, Callable[[Floats], Any]]] = {
    TensorType.F32: lambda blocks: blocks.view(np.uint8),
    TensorType.F16: lambda blocks: _f16(blocks[:, 0]),
    TensorType.BF16: _bf16,
    TensorType.Q5_0: _q5_0,
    TensorType.Q8_0: _q8_0,
    TensorType.Q4_K: _q4_k,
    TensorType.Q6_K: _q6_k,
}
