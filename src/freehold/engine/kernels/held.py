"""How keys and values lie in a page of the KV cache: written and read one way for each type of `kv_cache`, whose layout this is.

A head's part of a page begins at its keys. Attention reads rows of elements as f32; where they are scaled, scores and weights are
multiplied by the scales of their positions, so that no element is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from llvmlite import ir

from freehold.engine.kernels.emit import I8, I16, I32, Emitter, Value, vector
from freehold.engine.kernels.targets import Target
from freehold.engine.kv_cache import PAGE_POSITIONS, KvType

_ROUND: Final = 12582912.0  # 1.5 * 2^23: adding it leaves the nearest integer in the low mantissa bits


class Held(Protocol):
    @property
    def element_bytes(self) -> int: ...

    def write_key(self, e: Emitter, target: Target, keys: Value, position: Value, head: Sequence[Value]) -> None:
        """`head` (vectors of f32, end to end) becomes the key at `position` of the page."""

    def write_value(self, e: Emitter, target: Target, keys: Value, position: Value, head: Sequence[Value]) -> None: ...

    def read(self, e: Emitter, target: Target, address: Value, count: int) -> list[Value]:
        """`count` vectors of elements as f32, not yet scaled."""

    def key_scales(self, e: Emitter, keys: Value, head_dim: int, first: int) -> Value | None:
        """Scales of the keys at positions `first` and after, a vector of f32; None where elements are what they are."""

    def value_scales(self, e: Emitter, keys: Value, head_dim: int, first: int) -> Value | None: ...


@dataclass(frozen=True, slots=True)
class Halves:
    element_bytes: int = 2

    def write_key(self, e: Emitter, target: Target, keys: Value, position: Value, head: Sequence[Value]) -> None:
        _scatter(e, [target.to_half(e, part) for part in head], e.add(keys, e.mul(position, 2)), 2)

    def write_value(self, e: Emitter, target: Target, keys: Value, position: Value, head: Sequence[Value]) -> None:
        place = e.add(keys, e.mul(e.add(position, PAGE_POSITIONS), 2 * e.lanes * len(head)))
        for i, part in enumerate(head):
            e.store(target.to_half(e, part), place, 2 * e.lanes * i)

    def read(self, e: Emitter, target: Target, address: Value, count: int) -> list[Value]:
        return [target.from_half(e, e.load(vector(e.lanes, I16), address, 2 * e.lanes * i)) for i in range(count)]

    def key_scales(self, e: Emitter, keys: Value, head_dim: int, first: int) -> Value | None:
        return None

    def value_scales(self, e: Emitter, keys: Value, head_dim: int, first: int) -> Value | None:
        return None


@dataclass(frozen=True, slots=True)
class Bytes:
    element_bytes: int = 1

    def write_key(self, e: Emitter, target: Target, keys: Value, position: Value, head: Sequence[Value]) -> None:
        scale, parts = _rounded(e, head)
        _scatter(e, parts, e.add(keys, position), 1)
        e.store(scale, _scales(e, keys, e.lanes * len(head)), e.mul(position, 4), align=4)

    def write_value(self, e: Emitter, target: Target, keys: Value, position: Value, head: Sequence[Value]) -> None:
        head_dim = e.lanes * len(head)
        scale, parts = _rounded(e, head)
        place = e.add(keys, e.mul(e.add(position, PAGE_POSITIONS), head_dim))
        for i, part in enumerate(parts):
            e.store(part, place, e.lanes * i)
        e.store(scale, _scales(e, keys, head_dim), e.mul(e.add(position, PAGE_POSITIONS), 4), align=4)

    def read(self, e: Emitter, target: Target, address: Value, count: int) -> list[Value]:
        loaded = [e.load(vector(e.lanes, I8), address, e.lanes * i) for i in range(count)]
        return [e.to_float(e.builder.sext(part, e.ints)) for part in loaded]

    def key_scales(self, e: Emitter, keys: Value, head_dim: int, first: int) -> Value | None:
        return e.load(e.floats, _scales(e, keys, head_dim), 4 * first)

    def value_scales(self, e: Emitter, keys: Value, head_dim: int, first: int) -> Value | None:
        return e.load(e.floats, _scales(e, keys, head_dim), 4 * (PAGE_POSITIONS + first))


HELD: Final[Mapping[KvType, Held]] = {KvType.F16: Halves(), KvType.Q8: Bytes()}


def _scales(e: Emitter, keys: Value, head_dim: int) -> Value:
    return e.add(keys, 2 * PAGE_POSITIONS * head_dim)


def _scatter(e: Emitter, parts: Sequence[Value], place: Value, element_bytes: int) -> None:
    """One element a dimension, each a page's positions apart."""
    for i, part in enumerate(parts):
        for lane in range(e.lanes):
            one = e.builder.extract_element(part, ir.Constant(I32, lane))
            e.store(one, place, (i * e.lanes + lane) * element_bytes * PAGE_POSITIONS, align=element_bytes)


def _rounded(e: Emitter, head: Sequence[Value]) -> tuple[Value, list[Value]]:
    """The scale, and the head as int8: the largest becomes 127."""
    b = e.builder
    absolute = [e.bits(b.and_(e.bits(part, e.ints), e.const(e.ints, 0x7FFFFFFF)), e.floats) for part in head]
    largest = absolute[0]
    for part in absolute[1:]:
        largest = e.maximum(largest, part)
    largest = e.fold(largest, e.maximum)
    inverse = b.select(b.fcmp_ordered(">", largest, e.f32(0.0)), b.fdiv(e.f32(127.0), largest), e.f32(0.0))
    spread, offset = e.splat(inverse), e.const(e.floats, _ROUND)
    parts = []
    for part in head:
        whole = b.sub(e.bits(b.fadd(b.fmul(part, spread), offset), e.ints), e.bits(offset, e.ints))
        parts.append(b.trunc(whole, vector(e.lanes, I8)))
    return b.fdiv(largest, e.f32(127.0)), parts
