"""Columns by matrices, and matrices as plain numbers.

Up to 16 columns meet the blocks as signed bytes (`Columns` holds them, with their scales): dot products of four bytes at a time
are exact, and each column's sums are taken in an order that the row length and the type alone decide, so its bits do not depend
on the columns beside it. More columns, of a prompt, meet tiles of bf16 weights in the matrix units.

    program (rows / R)    R rows x G groups x C columns at a time; G groups lie on the threads, rows and columns in registers
"""

from dataclasses import dataclass
from typing import Final

import torch
import triton
import triton.language as tl

from freehold.engine.gpu.unpack import (
    FLOATS,
    GROUP,
    PLANES,
    QUANTISED,
    Layout,
    four,
    places,
    planar_layout,
    raw_layout,
    to_planes,
    unpack,
    unpack_chunk,
)
from freehold.engine.tensor_types import TensorType

MAX_COLUMNS: Final = 16
_Q8_0 = tl.constexpr(int(TensorType.Q8_0))
_Q4_K = tl.constexpr(int(TensorType.Q4_K))
_Q5_K = tl.constexpr(int(TensorType.Q5_K))
_Q6_K = tl.constexpr(int(TensorType.Q6_K))


@dataclass(frozen=True, slots=True)
class DeviceMatrix:
    """A matrix on the device: rows of blocks (R, K), at any 16-byte boundary (2-byte for raw rows of 2-byte types)."""

    type: TensorType
    elements: int  # K
    rows: int  # R
    data: torch.Tensor  # flat uint8
    layout: Layout


def as_landed(type_: TensorType, elements: int, rows: int, data: torch.Tensor) -> DeviceMatrix:
    return DeviceMatrix(type_, elements, rows, data, raw_layout(type_, elements))


def resident(type_: TensorType, elements: int, rows: int, data: torch.Tensor) -> DeviceMatrix:
    """Laid out for reading in wide words. Copies where the file's layout is not that already."""
    if type_ not in PLANES:
        return as_landed(type_, elements, rows, data)
    layout = planar_layout(type_, elements)
    out = torch.zeros(rows * layout.row_bytes, dtype=torch.uint8, device=data.device)
    to_planes(type_, elements, data.view(rows, -1), out.view(rows, -1))
    return DeviceMatrix(type_, elements, rows, out, layout)


class Columns:
    """Activations (T, K): whole numbers of 8 bits for blocks, bf16 for the matrix units, f32 for float matrices.

    xs is a block of 32's scale; bs the sum of its bytes times it, and hs of each 16: these meet the blocks' mins.
    """

    def __init__(self, tokens: int, elements: int, device: torch.device, half: torch.dtype = torch.bfloat16) -> None:
        self.elements = elements
        self.x = torch.zeros((tokens, elements), dtype=torch.float32, device=device)
        self.half = torch.zeros((tokens, elements), dtype=half, device=device)
        self.q = torch.zeros((tokens, elements), dtype=torch.int8, device=device)
        self.xs = torch.zeros((tokens, elements // GROUP), dtype=torch.float32, device=device)
        self.bs = torch.zeros((tokens, elements // GROUP), dtype=torch.float32, device=device)
        self.hs = torch.zeros((tokens, elements // GROUP * 2), dtype=torch.float32, device=device)

    def part(self, low: int, high: int) -> "Columns":
        """Some tokens' columns, in the same memory."""
        some = Columns.__new__(Columns)
        some.elements = self.elements
        for name in ("x", "half", "q", "xs", "bs", "hs"):
            setattr(some, name, getattr(self, name)[low:high])
        return some


@triton.jit
def _dot(words, x, total, SIGNED: tl.constexpr, NATIVE: tl.constexpr):
    """Add the products of 16 bytes (1, R, G, 4) with 16 signed ones (C, 1, G, 4) to total (C, R, G). Whole numbers: no order."""
    if NATIVE:
        w0, w1, w2, w3 = four(words)
        x0, x1, x2, x3 = four(x)
        if SIGNED:
            total = tl.inline_asm_elementwise(
                "dp4a.s32.s32 $0, $1, $5, $9; dp4a.s32.s32 $0, $2, $6, $0; "
                "dp4a.s32.s32 $0, $3, $7, $0; dp4a.s32.s32 $0, $4, $8, $0;",
                "=&r,r,r,r,r,r,r,r,r,r", [w0, w1, w2, w3, x0, x1, x2, x3, total], dtype=tl.int32, is_pure=True, pack=1,
            )  # fmt: skip
        else:
            total = tl.inline_asm_elementwise(
                "dp4a.u32.s32 $0, $1, $5, $9; dp4a.u32.s32 $0, $2, $6, $0; "
                "dp4a.u32.s32 $0, $3, $7, $0; dp4a.u32.s32 $0, $4, $8, $0;",
                "=&r,r,r,r,r,r,r,r,r,r", [w0, w1, w2, w3, x0, x1, x2, x3, total], dtype=tl.int32, is_pure=True, pack=1,
            )  # fmt: skip
    else:
        shift = 8 * tl.arange(0, 4)[None, None, None, None, :]
        left, right = words[:, :, :, :, None], x[:, :, :, :, None]
        if SIGNED:
            weight = (left << (24 - shift)) >> 24
        else:
            weight = (left >> shift) & 255
        total += tl.sum(tl.sum(weight * ((right << (24 - shift)) >> 24), 4), 3)
    return total


@triton.jit
def _total(x, G: tl.constexpr, LEVELS: tl.constexpr):
    """Sum of (C, R, G) over G in halves: each step is one sum of two, so the order is not the compiler's to choose."""
    for i in tl.static_range(LEVELS):
        x = tl.sum(tl.reshape(x, (x.shape[0], x.shape[1], 2, G >> (i + 1))), 2)
    return tl.reshape(x, (x.shape[0], x.shape[1]))


@triton.jit
def _four_words(x, at, mask):
    return tl.load(
        x.to(tl.pointer_type(tl.int32)) + (at[:, :, :, None] * 4 + tl.arange(0, 4)[None, None, None, :]), mask=mask, other=0
    )


@triton.jit
def _multiply(
    out, pitch, data, row_units, rows, groups, p1, p2, p3, q, xs, hs, bs, columns,
    TYPE: tl.constexpr, ALIGNED: tl.constexpr, C: tl.constexpr, R: tl.constexpr, G: tl.constexpr,
    NATIVE: tl.constexpr, STAGES: tl.constexpr, LEVELS: tl.constexpr,
):  # fmt: skip
    """Columns in fours at most: more at a time do not fit the registers. Steps of 32 weights, of 64 in Q4_K and Q5_K."""
    FOUR: tl.constexpr = 4 if C > 4 else C
    STEP: tl.constexpr = 2 if TYPE == _Q4_K or TYPE == _Q5_K else 1
    SIGNED: tl.constexpr = TYPE == _Q8_0
    r = tl.program_id(0) * R + tl.arange(0, R)[None, :, None]
    row = tl.minimum(r, rows - 1) * row_units
    t0 = tl.zeros((FOUR, R, G), tl.float32)
    t1, t2, t3 = t0, t0, t0
    steps = groups // STEP
    for start in tl.range(0, steps, G, num_stages=STAGES):
        g = start + tl.arange(0, G)[None, None, :]
        inside = g < steps
        mask = inside & (row >= 0)
        if STEP == 2:
            a0, a1, b0, b1, scale_a, min_a, scale_b, min_b = unpack_chunk(data, row, g, mask, TYPE)
        else:
            a0, b0, scale_a, min_a, scale_b, min_b = unpack(data, row, g, mask, p1, p2, p3, TYPE, ALIGNED)
            a1, b1 = a0, b0
        for n in tl.static_range(C // FOUR):
            c = n * FOUR + tl.arange(0, FOUR)[:, None, None]
            there = inside & (c < columns)
            wide = there[:, :, :, None]
            first, second = places(g, TYPE)
            none = tl.zeros((FOUR, R, G), tl.int32)
            t = t0 if n == 0 else t1 if n == 1 else t2 if n == 2 else t3
            # Fused multiply-adds are written out: a compiler that fused them for one column count alone would change bits.
            if STEP == 2:
                at = c * (groups * 2) + g * 4
                dot_a = _dot(a0, _four_words(q, at, wide), none, SIGNED, NATIVE)
                dot_a = _dot(a1, _four_words(q, at + 1, wide), dot_a, SIGNED, NATIVE)
                dot_b = _dot(b0, _four_words(q, at + 2, wide), none, SIGNED, NATIVE)
                dot_b = _dot(b1, _four_words(q, at + 3, wide), dot_b, SIGNED, NATIVE)
                block = c * groups + 2 * g
                t = tl.fma(scale_a * tl.load(xs + block, mask=there, other=0.0), dot_a.to(tl.float32), t)
                t = tl.fma(scale_b * tl.load(xs + block + 1, mask=there, other=0.0), dot_b.to(tl.float32), t)
                t = tl.fma(min_a, tl.load(bs + block, mask=there, other=0.0), t)
                t = tl.fma(min_b, tl.load(bs + block + 1, mask=there, other=0.0), t)
            elif TYPE == _Q6_K:
                dot_a = _dot(a0, _four_words(q, c * (groups * 2) + first, wide), none, SIGNED, NATIVE)
                dot_b = _dot(b0, _four_words(q, c * (groups * 2) + second, wide), none, SIGNED, NATIVE)
                xs_a = tl.load(xs + (c * groups + first // 2), mask=there, other=0.0)
                xs_b = tl.load(xs + (c * groups + second // 2), mask=there, other=0.0)
                t = tl.fma(scale_a * xs_a, dot_a.to(tl.float32), t)
                t = tl.fma(scale_b * xs_b, dot_b.to(tl.float32), t)
                t = tl.fma(min_a, tl.load(hs + (c * (groups * 2) + first), mask=there, other=0.0), t)
                t = tl.fma(min_b, tl.load(hs + (c * (groups * 2) + second), mask=there, other=0.0), t)
            else:
                dot = _dot(a0, _four_words(q, c * (groups * 2) + first, wide), none, SIGNED, NATIVE)
                dot = _dot(b0, _four_words(q, c * (groups * 2) + second, wide), dot, SIGNED, NATIVE)
                t = tl.fma(scale_a * tl.load(xs + (c * groups + g), mask=there, other=0.0), dot.to(tl.float32), t)
                if not SIGNED:
                    t = tl.fma(min_a, tl.load(bs + (c * groups + g), mask=there, other=0.0), t)
            if n == 0:
                t0 = t
            elif n == 1:
                t1 = t
            elif n == 2:
                t2 = t
            else:
                t3 = t
    r2 = tl.program_id(0) * R + tl.arange(0, R)[None, :]
    for n in tl.static_range(C // FOUR):
        t = t0 if n == 0 else t1 if n == 1 else t2 if n == 2 else t3
        c2 = n * FOUR + tl.arange(0, FOUR)[:, None]
        tl.store(out + c2 * pitch + r2, _total(t, G, LEVELS), mask=(c2 < columns) & (r2 < rows))


@triton.jit
def _multiply_floats(
    out, pitch, data, rows, elements, x, columns, C: tl.constexpr, R: tl.constexpr, K: tl.constexpr, LEVELS: tl.constexpr,
):  # fmt: skip
    r = tl.program_id(0) * R + tl.arange(0, R)[None, :, None]
    c = tl.arange(0, C)[:, None, None]
    row = tl.minimum(r, rows - 1).to(tl.int64) * elements
    total = tl.zeros((C, R, K), tl.float32)
    for start in range(0, elements, K):
        k = start + tl.arange(0, K)[None, None, :]
        inside = k < elements
        weights = tl.load(data + row + k, mask=inside & (row >= 0), other=0.0).to(tl.float32)
        values = tl.load(x + c * elements + k, mask=inside & (c < columns), other=0.0)
        total = tl.fma(weights, values, total)
    result = _total(total, K, LEVELS)
    c2 = tl.arange(0, C)[:, None]
    r2 = tl.program_id(0) * R + tl.arange(0, R)[None, :]
    tl.store(out + c2 * pitch + r2, result, mask=(c2 < columns) & (r2 < rows))


@triton.jit
def _expand(
    out, data, row_units, rows, groups, p1, p2, p3, TYPE: tl.constexpr, ALIGNED: tl.constexpr, R: tl.constexpr, G: tl.constexpr
):
    r = tl.program_id(0) * R + tl.arange(0, R)[None, :, None]
    g = tl.program_id(1) * G + tl.arange(0, G)[None, None, :]
    inside = (g < groups) & (r < rows)
    a, b, scale_a, min_a, scale_b, min_b = unpack(data, r * row_units, g, inside, p1, p2, p3, TYPE, ALIGNED)
    first, second = places(g, TYPE)
    SIGNED: tl.constexpr = TYPE == _Q8_0
    lane = tl.arange(0, 16)[None, None, None, :]
    wide = inside[:, :, :, None]
    line = out + r.to(tl.int64) * (groups * 32)
    values_a = _sixteen(a, scale_a, min_a, SIGNED).to(out.dtype.element_ty)
    values_b = _sixteen(b, scale_b, min_b, SIGNED).to(out.dtype.element_ty)
    tl.store((line + first * 16)[:, :, :, None] + lane, values_a, mask=wide)
    tl.store((line + second * 16)[:, :, :, None] + lane, values_b, mask=wide)


@triton.jit
def _sixteen(words, scale, low, SIGNED: tl.constexpr):
    """Words (1, R, G, 4) as weights (1, R, G, 16)."""
    if SIGNED:
        v0, v1, v2, v3 = (words << 24) >> 24, (words << 16) >> 24, (words << 8) >> 24, words >> 24
    else:
        v0, v1, v2, v3 = words & 255, (words >> 8) & 255, (words >> 16) & 255, (words >> 24) & 255
    pairs = tl.join(tl.join(v0, v2), tl.join(v1, v3))  # last two dimensions: byte // 2, byte % 2
    whole = tl.reshape(pairs, (words.shape[0], words.shape[1], words.shape[2], 16)).to(tl.float32)
    return tl.fma(scale[:, :, :, None], whole, low[:, :, :, None])


@triton.jit
def _product(
    out,
    pitch,
    x,
    weights,
    tokens,
    rows,
    elements,
    BT: tl.constexpr,
    BR: tl.constexpr,
    BK: tl.constexpr,
    STAGES: tl.constexpr,
    NATIVE: tl.constexpr,
):
    """x (T, K) by weights (R, K): out (T, R) f32. One order of sums whatever T is."""
    t = tl.program_id(1) * BT + tl.arange(0, BT)
    r = tl.program_id(0) * BR + tl.arange(0, BR)
    k = tl.arange(0, BK)
    x_at = x + tl.minimum(t, tokens - 1)[:, None] * elements + k[None, :]
    w_at = weights + tl.minimum(r, rows - 1)[None, :].to(tl.int64) * elements + k[:, None]
    total = tl.zeros((BT, BR), tl.float32)
    for start in tl.range(0, elements, BK, num_stages=STAGES):
        inside = start + k < elements
        left = tl.load(x_at + start, mask=inside[None, :], other=0.0)
        right = tl.load(w_at + start, mask=inside[:, None], other=0.0)
        if not NATIVE:  # NumPy has matrix products of f32, none of 16 bits
            left, right = left.to(tl.float32), right.to(tl.float32)
        total = tl.dot(left, right, total)
    tl.store(out + t[:, None] * pitch + r[None, :], total, mask=(t[:, None] < tokens) & (r[None, :] < rows))


@dataclass(frozen=True, slots=True)
class Tuning:
    """Rows a program and warps. The order of a column's sums depends on `groups`: one choice for all column counts."""

    groups: int = 32
    warps: int = 1
    rows: int = 0  # 0: by the column count
    stages: int = 1


_TUNING: Final = Tuning()
_FLOATS_STEP: Final = 512
# Tokens and rows a program, and warps. All go through a row in the same steps, so a sum's order is one.
_STEP: Final = 64
_NARROW: Final = {"BT": 64, "BR": 128, "STAGES": 4, "num_warps": 4}  # 96 KB of a multiprocessor's shared memory, as any card has
_WIDE: Final = {"BT": 128, "BR": 256, "STAGES": 3, "num_warps": 8}  # 144 KB
_INTERPRETED: Final = {"BT": 64, "BR": 256, "STAGES": 1, "num_warps": 1}
_WIDE_BYTES: Final = 150 << 10
_WIDE_TOKENS: Final = 256  # below, a wide grid leaves multiprocessors without work
_INTERPRETED_ROWS: Final = 512  # a program costs the interpreter much the same, whatever it does


def interpreted() -> bool:
    return bool(triton.knobs.runtime.interpret)


def bucket(columns: int) -> int:
    """The column count that a kernel is built for."""
    return 1 << (columns - 1).bit_length()


def multiply(
    matrix: DeviceMatrix, columns: Columns, first: int, count: int, out: torch.Tensor, tuning: Tuning | None = None
) -> None:
    """out[:count, :rows] = columns[first : first + count] by the matrix; up to MAX_COLUMNS. `out` f32, its rows contiguous."""
    c = bucket(count)
    tuning = tuning or _TUNING
    rows_each = _INTERPRETED_ROWS if interpreted() else tuning.rows or (4 if c == 4 else 2)
    grid = (triton.cdiv(matrix.rows, rows_each),)
    last = first + count
    if matrix.type in QUANTISED:
        groups = matrix.elements // GROUP
        _multiply[grid](
            out, out.stride(0), matrix.data, matrix.layout.row_units, matrix.rows, groups, *matrix.layout.planes,
            columns.q[first:last], columns.xs[first:last], columns.hs[first:last], columns.bs[first:last], count,
            TYPE=int(matrix.type), ALIGNED=matrix.layout.aligned, C=c, R=rows_each, G=tuning.groups,
            NATIVE=not interpreted(), STAGES=tuning.stages, LEVELS=tuning.groups.bit_length() - 1,
            num_warps=tuning.warps,
        )  # fmt: skip
        return
    if interpreted():
        rows_each //= 4
        grid = (triton.cdiv(matrix.rows, rows_each),)
    _multiply_floats[grid](
        out, out.stride(0), matrix.data.view(FLOATS[matrix.type]), matrix.rows, matrix.elements, columns.x[first:last], count,
        C=c, R=rows_each, K=_FLOATS_STEP, LEVELS=_FLOATS_STEP.bit_length() - 1, num_warps=4,
    )  # fmt: skip


def expand(matrix: DeviceMatrix, first: int, count: int, out: torch.Tensor) -> None:
    """out (count, K), f32, f16 or bf16 = rows `first` to `first + count`."""
    start = first * matrix.layout.row_bytes
    data = matrix.data[start : start + count * matrix.layout.row_bytes]
    if matrix.type in FLOATS:
        out.copy_(data.view(FLOATS[matrix.type]).view(count, -1))
        return
    groups = matrix.elements // GROUP
    each = _INTERPRETED_ROWS if interpreted() else 4
    grid = (triton.cdiv(count, each), triton.cdiv(groups, 32))
    _expand[grid](
        out, data, matrix.layout.row_units, count, groups, *matrix.layout.planes,
        TYPE=int(matrix.type), ALIGNED=matrix.layout.aligned, R=each, G=32, num_warps=4,
    )  # fmt: skip


def product(x: torch.Tensor, weights: torch.Tensor, out: torch.Tensor, **tuning: int) -> None:
    """out (T, R) f32 = x (T, K) by weights (R, K), both bf16 or f16, through the matrix units."""
    tokens, elements = x.shape
    rows = len(weights)
    blocks = _blocks(tokens, x.device) | tuning
    grid = (triton.cdiv(rows, blocks["BR"]), triton.cdiv(tokens, blocks["BT"]))
    _product[grid](out, out.stride(0), x, weights, tokens, rows, elements, BK=_STEP, NATIVE=not interpreted(), **blocks)


def _blocks(tokens: int, device: torch.device) -> dict[str, int]:
    if interpreted():
        return _INTERPRETED
    shared = torch.cuda.get_device_properties(device).shared_memory_per_block_optin
    return _WIDE if tokens >= _WIDE_TOKENS and shared >= _WIDE_BYTES else _NARROW
