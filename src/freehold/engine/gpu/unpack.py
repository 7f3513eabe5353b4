"""Reads quantised blocks on the device: where each field of a block lies, and how fields become numbers.

A *group* is 32 weights of one row, in two halves of 16 neighbours that share their scales: whatever the type, a thread reads one
group, as words of four weights. Two layouts hold the same fields:

    raw      a row is blocks as in the file: 18 to 210 bytes each, at 2-byte boundaries, so words are put together from halves
    planar   a row is one plane a field, each starting at a 16-byte boundary: words come 16 bytes at a time

Q4_K and Q5_K blocks are multiples of 16 bytes and need no other layout. Tiles that stay in VRAM are laid out in planes as they
are loaded, those that are streamed are used as they land: there the link is the limit, not the load unit. Block layouts:
ggml-common.h; each is drawn in kernels/formats.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
import triton
import triton.language as tl

from freehold.engine.tensor_types import TensorType

GROUP: Final = 32
UNIT_BYTES: Final = 16

# Fields in the order of their planes: (offset in the block, bytes). Types that are not here are read as they are.
PLANES: Final[Mapping[TensorType, tuple[tuple[int, int], ...]]] = {
    TensorType.Q4_0: ((2, 16), (0, 2)),
    TensorType.Q4_1: ((4, 16), (0, 4)),
    TensorType.Q5_0: ((6, 16), (2, 4), (0, 2)),
    TensorType.Q5_1: ((8, 16), (4, 4), (0, 4)),
    TensorType.Q8_0: ((2, 32), (0, 2)),
    TensorType.Q6_K: ((0, 128), (128, 64), (192, 16), (208, 2)),
}
QUANTISED: Final = frozenset({*PLANES, TensorType.Q4_K, TensorType.Q5_K})
FLOATS: Final[Mapping[TensorType, torch.dtype]] = {
    TensorType.F32: torch.float32,
    TensorType.F16: torch.float16,
    TensorType.BF16: torch.bfloat16,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How a row lies in memory. Counts are of 16 bytes where `aligned`, of 2 bytes otherwise."""

    aligned: bool
    row_bytes: int
    planes: tuple[int, int, int] = (0, 0, 0)  # where planes 1, 2 and 3 start in a row; plane 0 starts at 0

    @property
    def row_units(self) -> int:
        return self.row_bytes // (UNIT_BYTES if self.aligned else 2)


def raw_layout(type_: TensorType, elements: int) -> Layout:
    """Rows as the file has them."""
    return Layout(aligned=type_ in (TensorType.Q4_K, TensorType.Q5_K), row_bytes=type_.row_bytes(elements))


def planar_layout(type_: TensorType, elements: int) -> Layout:
    """Rows in planes; the raw layout for types that need none. A row takes at most 60 bytes more than in the file."""
    if type_ not in PLANES:
        return raw_layout(type_, elements)
    blocks = elements // type_.block_elements
    starts = [0]
    for _, size in PLANES[type_]:
        starts.append(starts[-1] + -(-blocks * size // UNIT_BYTES))
    planes = [*starts[1:-1], 0, 0, 0][:3]
    return Layout(aligned=True, row_bytes=starts[-1] * UNIT_BYTES, planes=(planes[0], planes[1], planes[2]))


def to_planes(type_: TensorType, elements: int, rows: torch.Tensor, out: torch.Tensor) -> None:
    """Copy rows of blocks (R, bytes) to rows of planes, out (R, bytes), both uint8 on one device."""
    if type_ not in PLANES:
        out.copy_(rows)
        return
    blocks = rows.view(len(rows), -1, type_.block_bytes)
    layout = planar_layout(type_, elements)
    for start, (offset, size) in zip((0, *layout.planes), PLANES[type_], strict=False):
        plane = out[:, start * UNIT_BYTES : start * UNIT_BYTES + blocks.shape[1] * size]
        plane.view(len(rows), -1, size).copy_(blocks[:, :, offset : offset + size])


_Q4_1 = tl.constexpr(int(TensorType.Q4_1))
_Q5_0 = tl.constexpr(int(TensorType.Q5_0))
_Q5_1 = tl.constexpr(int(TensorType.Q5_1))
_Q8_0 = tl.constexpr(int(TensorType.Q8_0))
_Q4_K = tl.constexpr(int(TensorType.Q4_K))
_Q5_K = tl.constexpr(int(TensorType.Q5_K))
_Q6_K = tl.constexpr(int(TensorType.Q6_K))


@triton.jit
def places(g, TYPE: tl.constexpr):
    """Where a group's halves lie in the row, counted in 16 weights."""
    if TYPE == _Q4_K or TYPE == _Q5_K:
        first = g // 8 * 16 + g % 8 // 2 * 4 + g % 2
        second = first + 2
    elif TYPE == _Q6_K:
        first = g // 8 * 16 + g % 8 // 4 * 8 + g % 4
        second = first + 4
    else:
        first = 2 * g
        second = first + 1
    return first, second


@triton.jit
def unpack(data, row, g, mask, p1, p2, p3, TYPE: tl.constexpr, ALIGNED: tl.constexpr):
    """One group of each row: row (1, R, 1) in units, g (1, 1, G), mask (1, R, G).

    Returns the halves' words (1, R, G, 4), then scale and min of the first and of the second half, (1, R, G):
    weight = scale * byte + min, where bytes are unsigned, for Q8_0 signed.
    """
    if TYPE == _Q4_K or TYPE == _Q5_K:
        a, b, scale_a, min_a, scale_b, min_b = _k_group(data, row, g, mask, TYPE)
    elif TYPE == _Q6_K:
        a, b, scale_a, min_a, scale_b, min_b = _q6_k_group(data, row, g, mask, p1, p2, p3, ALIGNED)
    else:
        a, b, scale_a, min_a = _group(data, row, g, mask, p1, p2, TYPE, ALIGNED)
        scale_b, min_b = scale_a, min_a
    return a, b, scale_a, min_a, scale_b, min_b


@triton.jit
def _words(data, unit, mask, ALIGNED: tl.constexpr):
    """16 bytes as four words: (1, R, G, 4). Aligned, `unit` counts 16 bytes, otherwise 2."""
    lane = tl.arange(0, 4)[None, None, None, :]
    wide = mask[:, :, :, None]
    if ALIGNED:
        words = tl.load(data.to(tl.pointer_type(tl.int32)) + (unit[:, :, :, None] * 4 + lane), mask=wide, other=0)
    else:
        halves = data.to(tl.pointer_type(tl.uint16)) + (unit[:, :, :, None] + 2 * lane)
        low = tl.load(halves, mask=wide, other=0).to(tl.int32)
        words = low | (tl.load(halves + 1, mask=wide, other=0).to(tl.int32) << 16)
    return words


@triton.jit
def _half(data, at, mask):
    """f16 number `at`, counted in 2 bytes, as f32."""
    return tl.load(data.to(tl.pointer_type(tl.float16)) + at, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def four(x):
    """(.., 4) as four tensors."""
    pairs = tl.reshape(x, (x.shape[0], x.shape[1], x.shape[2], 2, 2))
    even, odd = tl.split(pairs)
    x0, x2 = tl.split(even)
    x1, x3 = tl.split(odd)
    return x0, x1, x2, x3


@triton.jit
def unpack_chunk(data, row, chunk, mask, TYPE: tl.constexpr):
    """64 weights of Q4_K or Q5_K, which share 32 bytes: words of the first 32 (twice 4), of the second, their scales and mins."""
    block, i = chunk // 4, chunk % 4
    UNITS: tl.constexpr = 11 if TYPE == _Q5_K else 9
    base = row + block * UNITS
    at = base + (UNITS - 8) + 2 * i
    words_0, words_1 = _words(data, at, mask, True), _words(data, at + 1, mask, True)
    a0, a1 = words_0 & 0x0F0F0F0F, words_1 & 0x0F0F0F0F
    b0, b1 = (words_0 >> 4) & 0x0F0F0F0F, (words_1 >> 4) & 0x0F0F0F0F
    if TYPE == _Q5_K:
        shift = (2 * i)[:, :, :, None]
        fifth_0 = _words(data, base + 1 + 0 * i, mask, True) >> shift
        fifth_1 = _words(data, base + 2 + 0 * i, mask, True) >> shift
        a0 |= (fifth_0 & 0x01010101) << 4
        a1 |= (fifth_1 & 0x01010101) << 4
        b0 |= (fifth_0 >> 1 & 0x01010101) << 4
        b1 |= (fifth_1 >> 1 & 0x01010101) << 4
    scale_a, min_a, scale_b, min_b = _k_factors(data, base + 0 * i, i, mask)
    return a0, a1, b0, b1, scale_a, min_a, scale_b, min_b


@triton.jit
def _k_factors(data, base, i, mask):
    """Scales and mins of sub-blocks 2 i and 2 i + 1. The first four have six bits in one place, the others four and two."""
    head, low, mid, high = four(_words(data, base, mask, True))
    d = _low_half(head)
    dmin = -_low_half(head >> 16)
    early = i < 2
    shift = 16 * (i % 2)
    low, mid, high = low >> shift, mid >> shift, high >> shift
    # Two bytes at a time: sub-block 2 i in the low one, 2 i + 1 in the next.
    scales = tl.where(early, low & 0x3F3F, (high & 0x0F0F) | ((low >> 2) & 0x3030))
    mins = tl.where(early, mid & 0x3F3F, ((high >> 4) & 0x0F0F) | ((mid >> 2) & 0x3030))
    scale_a, scale_b = d * (scales & 255).to(tl.float32), d * (scales >> 8).to(tl.float32)
    min_a, min_b = dmin * (mins & 255).to(tl.float32), dmin * (mins >> 8).to(tl.float32)
    return scale_a, min_a, scale_b, min_b


@triton.jit
def _k_group(data, row, g, mask, TYPE: tl.constexpr):
    """f16 d, f16 dmin, 12 bytes of scales and mins | Q5_K: 32 bytes of fifth bits | 4 x 32 bytes of nibbles."""
    block, j = g // 8, g % 8
    i = j // 2
    UNITS: tl.constexpr = 11 if TYPE == _Q5_K else 9
    base = row + block * UNITS
    words = _words(data, base + (UNITS - 8) + j, mask, True)
    a = words & 0x0F0F0F0F
    b = (words >> 4) & 0x0F0F0F0F
    if TYPE == _Q5_K:
        fifth = _words(data, base + 1 + j % 2, mask, True) >> (2 * i)[:, :, :, None]
        a |= (fifth & 0x01010101) << 4
        b |= (fifth >> 1 & 0x01010101) << 4
    scale_a, min_a, scale_b, min_b = _k_factors(data, base + 0 * j, i, mask)
    return a, b, scale_a, min_a, scale_b, min_b


@triton.jit
def _low_half(word):
    return word.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)


@triton.jit
def _q6_k_group(data, row, g, mask, p1, p2, p3, ALIGNED: tl.constexpr):
    """128 bytes of low nibbles | 64 bytes of upper bit pairs | 16 int8 scales | f16 d. weight = d * scale * (q - 32)"""
    block, j = g // 8, g % 8
    half, quarter = j // 4, j % 4
    if ALIGNED:
        low = _words(data, row + block * 8 + j, mask, True)
        high = _words(data, row + p1 + block * 4 + (2 * half + quarter % 2), mask, True)
        scales = (row + p2 + block) * 16
        d = _half(data, (row + p3) * 8 + block, mask)
    else:
        base = row + block * 105
        low = _words(data, base + 8 * j, mask, False)
        high = _words(data, base + 64 + (16 * half + 8 * (quarter % 2)), mask, False)
        scales = base * 2 + 192
        d = _half(data, base + 104, mask)
    bits = high >> (2 * (quarter // 2))[:, :, :, None]
    a = (low & 0x0F0F0F0F) | ((bits & 0x03030303) << 4)
    b = ((low >> 4) & 0x0F0F0F0F) | ((bits >> 4 & 0x03030303) << 4)
    bytes_ = data.to(tl.pointer_type(tl.int8)) + (scales + 8 * half + quarter)
    scale_a = d * tl.load(bytes_, mask=mask, other=0).to(tl.float32)
    scale_b = d * tl.load(bytes_ + 4, mask=mask, other=0).to(tl.float32)
    return a, b, scale_a, -32.0 * scale_a, scale_b, -32.0 * scale_b


@triton.jit
def _group(data, row, g, mask, p1, p2, TYPE: tl.constexpr, ALIGNED: tl.constexpr):
    """Blocks of 32: f16 d, in the _1 types f16 m | in the Q5 types 4 bytes, bit i of weight i's fifth | nibbles, or bytes."""
    HAS_MIN: tl.constexpr = TYPE == _Q4_1 or TYPE == _Q5_1
    FIVE: tl.constexpr = TYPE == _Q5_0 or TYPE == _Q5_1
    HEAD: tl.constexpr = 2 if HAS_MIN else 1  # 2-byte units
    # Where plane 1, or 2 behind fifth bits, has d and m; where the nibbles or bytes are.
    if ALIGNED:
        if FIVE:
            head = (row + p2) * 8 + g * HEAD
        else:
            head = (row + p1) * 8 + g * HEAD
        if TYPE == _Q8_0:
            at = row + 2 * g
        else:
            at = row + g
    else:
        if TYPE == _Q8_0:
            head = row + g * 17
        elif FIVE:
            head = row + g * (HEAD + 10)
        else:
            head = row + g * (HEAD + 8)
        at = head + HEAD + (2 if FIVE else 0)
    scale = _half(data, head, mask)
    words = _words(data, at, mask, ALIGNED)
    if TYPE == _Q8_0:
        a = words
        b = _words(data, at + (1 if ALIGNED else 8), mask, ALIGNED)
        low = scale * 0.0
    else:
        a = words & 0x0F0F0F0F
        b = (words >> 4) & 0x0F0F0F0F
        if HAS_MIN:
            low = _half(data, head + 1, mask)
        elif FIVE:
            low = scale * -16.0
        else:
            low = scale * -8.0
    if FIVE:
        if ALIGNED:
            fifth = tl.load(data.to(tl.pointer_type(tl.int32)) + ((row + p1) * 4 + g), mask=mask, other=0)
        else:
            halves = data.to(tl.pointer_type(tl.uint16)) + (head + HEAD)
            fifth = tl.load(halves, mask=mask, other=0).to(tl.int32)
            fifth |= tl.load(halves + 1, mask=mask, other=0).to(tl.int32) << 16
        shift = 4 * tl.arange(0, 4)[None, None, None, :]
        a |= _spread(fifth[:, :, :, None] >> shift)
        b |= _spread(fifth[:, :, :, None] >> (shift + 16))
    return a, b, scale, low


@triton.jit
def _spread(bits):
    """Bits 0 to 3, one to bit 4 of each byte."""
    return (((bits & 15) * 0x00204081) & 0x01010101) << 4
