"""The instruction sets we write kernels for, and which of them this host has.

    vnni      x86 with AVX-512 VNNI: 16 lanes, vpdpbusd
    avx2      x86 with AVX2, FMA and F16C: 8 lanes, vpmaddubsw and vpmaddwd
    portable  any CPU LLVM knows, aarch64 included: 4 lanes, no intrinsic of any one machine

All three compute exact integer dot products of 32 weights, and differ only in the rounding of the float work around them.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from llvmlite import binding as llvm
from llvmlite import ir

from freehold.core.errors import ConfigError
from freehold.engine.kernels.emit import F16, F32, I8, I16, I32, VOID, Emitter, Value, vector

FORCE_VARIABLE: Final = "FREEHOLD_KERNELS"


class Target(Protocol):
    """What differs between instruction sets."""

    @property
    def name(self) -> str: ...

    @property
    def lanes(self) -> int: ...

    @property
    def few_columns(self) -> int:
        """Up to which a panel meets columns in registers and is not packed first: what was measured to be faster."""

    @property
    def any_bytes(self) -> bool:
        """Whether `dot` takes all bytes for weights, whatever it is told of their bits."""

    def dot(self, e: Emitter, weights: Sequence[Value], activations: Sequence[Value], weight_bits: int) -> Value:
        """Sum over pairs of (lanes x 4 unsigned bytes) times (lanes x 4 signed bytes), four neighbours to a lane: i32 lanes.

        Weights are below 2 ** weight_bits, unless `any_bytes`. Exact.
        """

    def look_up(self, e: Emitter, table: Sequence[int], words: Value) -> Value:
        """Each byte of i32 lanes, which is below 16, as an index into 16 bytes."""

    def multiply_add(self, e: Emitter, a: Value, b: Value, c: Value) -> Value:
        """a * b + c."""

    def from_half(self, e: Emitter, halves: Value) -> Value:
        """<n x i16> holding f16 -> <n x f32>."""

    def to_half(self, e: Emitter, floats: Value) -> Value:
        """<n x f32> -> <n x i16> holding f16, to nearest even."""

    def settled(self, e: Emitter, value: Value) -> Value:
        """The same vector of i32 lanes, made before whatever is written after this. Where registers are many."""

    def pause(self, e: Emitter) -> None:
        """Tell the core that this is a spin loop."""


@dataclass(frozen=True, slots=True)
class _X86:
    def multiply_add(self, e: Emitter, a: Value, b: Value, c: Value) -> Value:
        return e.fma(a, b, c)

    def from_half(self, e: Emitter, halves: Value) -> Value:
        n = halves.type.count
        return e.builder.fpext(e.bits(halves, vector(n, F16)), vector(n, F32))

    def to_half(self, e: Emitter, floats: Value) -> Value:
        n = floats.type.count
        return e.bits(e.builder.fptrunc(floats, vector(n, F16)), vector(n, I16))

    def pause(self, e: Emitter) -> None:
        e.named("llvm.x86.sse2.pause", VOID)


def _shuffle_bytes(e: Emitter, name: str, table: Sequence[int], words: Value) -> Value:
    """vpshufb looks up within each 128 bits: the table is there once for each."""
    bytes_ = vector(4 * e.lanes, I8)
    tables = ir.Constant(bytes_, [*table] * (e.lanes // 4))
    return e.bits(e.named(name, bytes_, tables, e.bits(words, bytes_)), e.ints)


@dataclass(frozen=True, slots=True)
class Vnni(_X86):
    name: str = "vnni"
    lanes: int = 16
    few_columns: int = 64
    any_bytes: bool = True

    def settled(self, e: Emitter, value: Value) -> Value:
        # Without it, LLVM mixes loads of all rows with the arithmetic of earlier ones and spills most of what it loads.
        same = ir.FunctionType(value.type, [value.type])
        return e.builder.asm(same, "", "=v,0", [value], True)

    def dot(self, e: Emitter, weights: Sequence[Value], activations: Sequence[Value], weight_bits: int) -> Value:
        # LLVM 21 changed the operands of vpdpbusd from i32 to i8 lanes.
        operand = vector(64, I8) if llvm.llvm_version_info[0] >= 21 else e.ints
        sums = [e.const(e.ints, 0)] * 2  # one waits for its last product while the other takes its next
        for i, (w, a) in enumerate(zip(weights, activations, strict=True)):
            sums[i % 2] = e.named("llvm.x86.avx512.vpdpbusd.512", e.ints, sums[i % 2], e.bits(w, operand), e.bits(a, operand))
        return e.builder.add(*sums)

    def look_up(self, e: Emitter, table: Sequence[int], words: Value) -> Value:
        return _shuffle_bytes(e, "llvm.x86.avx512.pshuf.b.512", table, words)


@dataclass(frozen=True, slots=True)
class Avx2(_X86):
    name: str = "avx2"
    lanes: int = 8
    few_columns: int = 8
    any_bytes: bool = False

    def settled(self, e: Emitter, value: Value) -> Value:
        return value

    def dot(self, e: Emitter, weights: Sequence[Value], activations: Sequence[Value], weight_bits: int) -> Value:
        if weight_bits == 8:
            return self._dot_bytes(e, weights, activations)
        bytes_, words, ones = vector(32, I8), vector(16, I16), e.const(vector(16, I16), 1)
        # vpmaddubsw adds two products into 16 bits and saturates: only so many of them may be summed before widening.
        run = 32767 // (2 * (2**weight_bits - 1) * 127)
        total, narrow = e.const(e.ints, 0), None
        for i, (w, a) in enumerate(zip(weights, activations, strict=True)):
            pair = e.named("llvm.x86.avx2.pmadd.ub.sw", words, e.bits(w, bytes_), e.bits(a, bytes_))
            narrow = pair if narrow is None else e.builder.add(narrow, pair)
            if (i + 1) % run == 0 or i + 1 == len(weights):
                total = e.builder.add(total, e.named("llvm.x86.avx2.pmadd.wd", e.ints, narrow, ones))
                narrow = None
        return total

    def look_up(self, e: Emitter, table: Sequence[int], words: Value) -> Value:
        return _shuffle_bytes(e, "llvm.x86.avx2.pshuf.b", table, words)

    def _dot_bytes(self, e: Emitter, weights: Sequence[Value], activations: Sequence[Value]) -> Value:
        """Full bytes would saturate vpmaddubsw: even and odd bytes apart, as 16-bit words."""
        words, eight = vector(16, I16), e.const(vector(16, I16), 8)
        total = e.const(e.ints, 0)
        for w, a in zip(weights, activations, strict=True):
            w, a = e.bits(w, words), e.bits(a, words)
            even = (e.builder.and_(w, e.const(words, 255)), e.builder.ashr(e.builder.shl(a, eight), eight))
            odd = (e.builder.lshr(w, eight), e.builder.ashr(a, eight))
            for x, y in (even, odd):
                total = e.builder.add(total, e.named("llvm.x86.avx2.pmadd.wd", e.ints, x, y))
        return total


@dataclass(frozen=True, slots=True)
class Portable:
    name: str = "portable"
    lanes: int = 4
    few_columns: int = 8
    any_bytes: bool = True

    def settled(self, e: Emitter, value: Value) -> Value:
        return value

    def dot(self, e: Emitter, weights: Sequence[Value], activations: Sequence[Value], weight_bits: int) -> Value:
        b, bytes_, words = e.builder, vector(16, I8), vector(16, I16)
        total = e.const(e.ints, 0)
        for w, a in zip(weights, activations, strict=True):
            # 255 * 127 fits 16 bits; a product is then split into four i32 lanes by its place in the group.
            product = b.mul(b.zext(e.bits(w, bytes_), words), b.sext(e.bits(a, bytes_), words))
            for place in range(4):
                quarter = e.shuffle(product, product, range(place, 16, 4))
                total = b.add(total, b.sext(quarter, e.ints))
        return total

    def look_up(self, e: Emitter, table: Sequence[int], words: Value) -> Value:
        """A tree of choices, a bit of the index each."""
        b, bytes_ = e.builder, vector(16, I8)
        indices = e.bits(words, bytes_)
        values = [e.const(bytes_, value) for value in table]
        for bit in range(4):
            is_set = b.icmp_unsigned("!=", b.and_(indices, e.const(bytes_, 1 << bit)), e.const(bytes_, 0))
            values = [b.select(is_set, odd, even) for even, odd in zip(values[::2], values[1::2], strict=True)]
        return e.bits(values[0], e.ints)

    def multiply_add(self, e: Emitter, a: Value, b: Value, c: Value) -> Value:
        return e.builder.fadd(e.builder.fmul(a, b), c)

    def from_half(self, e: Emitter, halves: Value) -> Value:
        """Exponent and mantissa moved into place and scaled by 2^112: exact for every finite f16, subnormals included."""
        b, n = e.builder, halves.type.count
        ints, floats = vector(n, I32), vector(n, F32)
        wide = b.zext(halves, ints)
        magnitude = b.shl(b.and_(wide, e.const(ints, 0x7FFF)), e.const(ints, 13))
        sign = b.shl(b.and_(wide, e.const(ints, 0x8000)), e.const(ints, 16))
        scaled = b.fmul(e.bits(magnitude, floats), e.const(floats, 2.0**112))
        return e.bits(b.or_(e.bits(scaled, ints), sign), floats)

    def to_half(self, e: Emitter, floats: Value) -> Value:
        b, n = e.builder, floats.type.count
        ints = vector(n, I32)

        def const(value: int) -> Value:
            return e.const(ints, value)

        bits = e.bits(floats, ints)
        magnitude = b.and_(bits, const(0x7FFFFFFF))
        odd = b.and_(b.lshr(magnitude, const(13)), const(1))
        rounded = b.add(b.add(magnitude, const(0xFFF)), odd)  # half of the dropped bits, less one where even
        normal = b.lshr(b.sub(rounded, const(0x38000000)), const(13))  # exponent bias 127 -> 15
        normal = b.select(b.icmp_signed("<", normal, const(0x7C00)), normal, const(0x7C00))
        # Below 2^-14: adding 0.5 puts an ulp of 2^-24, f16's smallest, at the end of the mantissa.
        shifted = b.fadd(e.bits(magnitude, floats.type), e.const(floats.type, 0.5))
        subnormal = b.sub(e.bits(shifted, ints), const(0x3F000000))
        value = b.select(b.icmp_signed("<", magnitude, const(0x38800000)), subnormal, normal)
        sign = b.and_(b.lshr(bits, const(16)), const(0x8000))
        return b.trunc(b.or_(value, sign), vector(n, I16))

    def pause(self, e: Emitter) -> None:
        """Nothing that every machine has."""


TARGETS: Final[Mapping[str, Target]] = {target.name: target for target in (Vnni(), Avx2(), Portable())}

_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "vnni": ("avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512vnni", "fma", "f16c"),
    "avx2": ("avx2", "fma", "f16c"),
    "portable": (),
}


def host_targets() -> list[str]:
    """The names of the targets this host can run, best first."""
    features = llvm.get_host_cpu_features()
    return [name for name, needs in _NEEDS.items() if all(features.get(feature, False) for feature in needs)]


def choose_target(name: str | None = None) -> Target:
    """The named target, else the one FREEHOLD_KERNELS names, else the host's best."""
    possible = host_targets()
    wanted = name or os.environ.get(FORCE_VARIABLE) or possible[0]
    if wanted not in TARGETS:
        raise ConfigError(f"kernels {wanted!r} are not known; choose one of {', '.join(TARGETS)}")
    if wanted not in possible:
        raise ConfigError(f"this CPU cannot run the {wanted} kernels; it can run {', '.join(possible)}")
    return TARGETS[wanted]
