"""What stands between the matrices: exp, activations, soft caps, RMS norm, the quantiser of columns; each along one column.

Activations are quantised by blocks of 32 to signed bytes, scale = largest / 127, as llama.cpp's Q8_0 does it; the scale stays
f32.
"""

import math
from functools import partial
from typing import Final

from freehold.engine.kernels.emit import F32, I8, I32, Count, Emitter, Value, vector
from freehold.engine.kernels.matmul import HEADER_BYTES
from freehold.engine.kernels.records import BLOCK
from freehold.engine.kernels.targets import Target

# exp(r) for |r| <= ln(2) / 2: Cephes expf. Largest relative error over 5 million points: 8.4e-8 on every target.
_EXP: Final = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LN2_HIGH, _LN2_LOW, _LOG2_E = 0.693359375, -2.12194440e-4, 1.44269504088896341
_GELU: Final = 2 * math.sqrt(2 / math.pi)
_ROUND: Final = 12582912.0  # 1.5 * 2^23: adding it leaves the nearest integer in the low mantissa bits


def exp(e: Emitter, target: Target, x: Value) -> Value:
    """e^x of a vector; x is clamped to [-87, 88], where the result is still a normal number. exp(0) is exactly 1."""
    b, type_ = e.builder, x.type
    ints = vector(type_.count, I32)
    fma = partial(target.multiply_add, e)

    def const(value: float) -> Value:
        return e.const(type_, value)

    x = e.maximum(x, const(-87.0))
    x = b.select(b.fcmp_ordered("<", x, const(88.0)), x, const(88.0))
    shifted = fma(x, const(_LOG2_E), const(_ROUND))
    n = b.fsub(shifted, const(_ROUND))
    r = fma(n, const(-_LN2_HIGH), x)
    r = fma(n, const(-_LN2_LOW), r)
    p = const(_EXP[0])
    for coefficient in _EXP[1:]:
        p = fma(p, r, const(coefficient))
    p = b.fadd(fma(p, b.fmul(r, r), r), const(1.0))
    exponent = b.shl(b.add(b.fptosi(n, ints), e.const(ints, 127)), e.const(ints, 23))
    return b.fmul(p, e.bits(exponent, type_))


def silu_times(e: Emitter, target: Target, gate: Value, up: Value) -> Value:
    """gate * sigmoid(gate) * up."""
    b, one = e.builder, e.const(gate.type, 1.0)
    return b.fmul(b.fdiv(gate, b.fadd(one, exp(e, target, b.fneg(gate)))), up)


def gelu_times(e: Emitter, target: Target, gate: Value, up: Value) -> Value:
    """gelu(gate) * up in the tanh form: x * (1 + tanh(u)) / 2 is x * sigmoid(2 u), with u = sqrt(2 / pi) * (x + 0.044715 x^3)."""
    b, type_ = e.builder, gate.type
    cube = b.fmul(b.fmul(gate, gate), gate)
    twice = b.fmul(target.multiply_add(e, cube, e.const(type_, 0.044715), gate), e.const(type_, _GELU))
    return b.fmul(b.fdiv(gate, b.fadd(e.const(type_, 1.0), exp(e, target, b.fneg(twice)))), up)


def soft_cap(e: Emitter, target: Target, x: Value, cap: float) -> Value:
    """cap * tanh(x / cap), as cap - 2 cap / (1 + exp(2 x / cap)): right to 2e-7 of the cap."""
    b, type_ = e.builder, x.type
    grown = b.fadd(exp(e, target, b.fmul(x, e.const(type_, 2 / cap))), e.const(type_, 1.0))
    return b.fsub(e.const(type_, cap), b.fdiv(e.const(type_, 2 * cap), grown))


def quantise_block(e: Emitter, x: Value, q: Value, header: Value) -> None:
    """32 f32 at `x` to 32 int8 at `q` and their header."""
    b, width = e.builder, 4 * e.lanes
    values = [e.load(e.floats, x, i * width) for i in range(BLOCK // e.lanes)]
    absolute = [e.bits(b.and_(e.bits(v, e.ints), e.const(e.ints, 0x7FFFFFFF)), e.floats) for v in values]
    largest = absolute[0]
    for value in absolute[1:]:
        largest = e.maximum(largest, value)
    largest = e.fold(largest, e.maximum)
    scale = b.fdiv(largest, e.f32(127.0))
    inverse = b.select(b.fcmp_ordered(">", largest, e.f32(0.0)), b.fdiv(e.f32(127.0), largest), e.f32(0.0))
    spread, offset = e.splat(inverse), e.const(e.floats, _ROUND)
    ints = []
    for i, value in enumerate(values):
        rounded = b.fadd(b.fmul(value, spread), offset)
        whole = b.sub(e.bits(rounded, e.ints), e.bits(offset, e.ints))
        e.store(b.trunc(whole, vector(e.lanes, I8)), q, i * e.lanes)
        ints.append(whole)
    half = len(ints) // 2
    low, high = (_sum_ints(e, part) for part in (ints[:half], ints[half:]))
    sums = [b.fmul(scale, b.sitofp(total, F32)) for total in (b.add(low, high), low, high)]
    for i, value in enumerate((scale, *sums)):
        e.store(value, header, 4 * i, align=4)


def _sum_ints(e: Emitter, parts: list[Value]) -> Value:
    total = parts[0]
    for part in parts[1:]:
        total = e.builder.add(total, part)
    return e.fold(total, e.builder.add)


def quantise(e: Emitter, x: Value, q: Value, headers: Value, blocks: Count) -> None:
    def block(i: Value) -> None:
        quantise_block(e, e.add(x, e.mul(i, 4 * BLOCK)), e.add(q, e.mul(i, BLOCK)), e.add(headers, e.mul(i, HEADER_BYTES)))

    e.each(blocks, block)


def rms_norm(e: Emitter, target: Target, x: Value, weight: Value, epsilon: Value, out: Value, blocks: Value) -> None:
    """out = x / sqrt(mean(x * x) + epsilon) * weight, over blocks of 32."""
    b, width, count = e.builder, 4 * e.lanes, BLOCK // e.lanes

    def square(i: Value, sums: list[Value]) -> list[Value]:
        at = e.add(x, e.mul(i, 4 * BLOCK))
        values = [e.load(e.floats, at, j * width) for j in range(count)]
        return [target.multiply_add(e, v, v, s) for v, s in zip(values, sums, strict=True)]

    sums = e.loop(blocks, square, [e.const(e.floats, 0.0)] * count)
    total = sums[0]
    for part in sums[1:]:
        total = b.fadd(total, part)
    mean = b.fdiv(e.fold(total, b.fadd), b.sitofp(e.mul(blocks, BLOCK), F32))
    scale = e.splat(b.fdiv(e.f32(1.0), e.intrinsic("llvm.sqrt", b.fadd(mean, epsilon))))

    def apply(i: Value) -> None:
        at = e.mul(i, width)
        e.store(b.fmul(b.fmul(e.load(e.floats, x, at), scale), e.load(e.floats, weight, at)), out, at)

    e.each(e.mul(blocks, count), apply)
