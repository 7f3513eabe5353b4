"""Matrix times columns, in two steps that every tensor type shares.

1. *Pack*: the weights of one panel (as many rows as the target has lanes) are unpacked from their blocks into scratch that
   stays in the first cache, rows side by side: lane = row. One unpacker a tensor type (`formats`).
2. *Dots*: the panel meets each column. A lane sums its own row, so no sum ever crosses a vector.

    panel of quantised blocks, one for 32 weights        columns, one header for 32 activations
    +-----------------------------------------+          q  int8 x 32
    | 8 vectors: lane r = 4 weights of row r  |          header  f32 scale, scale * sum(q),
    | scale (one or two vectors of f32)       |                  scale * sum(q[:16]), scale * sum(q[16:])
    | min   (one or two vectors of f32)       |
    +-----------------------------------------+          weight = scale * unsigned + min

For one row and column, whatever the batch and whoever computes it, the float operations are these and in this order, for each
block: t = exact i32 dot; total = fma(scale * t, column scale, total); total = fma(min, column sum, total). This makes an
answer independent of its batch mates, of how its prompt was cut and of the number of threads.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeAlias

from llvmlite import ir

from freehold.engine.kernels.emit import F32, I32, Count, Emitter, Value
from freehold.engine.kernels.records import BLOCK
from freehold.engine.kernels.targets import Target

HEADER_BYTES: Final = 16
PANEL_BLOCKS: Final = 32  # of one packing: 20 KiB of panel at 16 lanes, inside a 32 KiB first cache
GROUP: Final = 4  # columns that share one load of the weights


Piece: TypeAlias = tuple[int, Sequence[Any]]  # what an unpacker saves at a time: its number in the block of the file, its parts


class Columns(IntEnum):
    """The record of a set of activation columns: addresses and bytes from one column to the next."""

    Q = 0
    Q_PITCH = 1
    HEADERS = 2
    HEADERS_PITCH = 3
    X = 4
    X_PITCH = 5


@dataclass(frozen=True, slots=True)
class Quantised:
    """A panel of unsigned weights with `parts` scales and mins to a block of 32."""

    parts: int
    weight_bits: int

    @property
    def name(self) -> str:
        return f"q{self.weight_bits}x{self.parts}"

    def block_bytes(self, lanes: int) -> int:
        return (8 + 2 * self.parts) * 4 * lanes

    def save(self, e: Emitter, panel: Value, block: int, parts: Sequence[Any]) -> None:
        """Write block `block` of a panel."""
        groups, scales, mins = parts
        for i, value in enumerate((*groups, *scales, *mins)):
            e.store(value, panel, block * self.block_bytes(e.lanes) + i * 4 * e.lanes, align=4 * e.lanes)

    def emit_dots(self, e: Emitter, target: Target, columns: int) -> None:
        """(panel, first block, blocks, columns record, first column, totals): totals[column] += panel . column."""
        panel, first, blocks, record, column, totals = e.arguments
        width = 4 * e.lanes
        numbers, place = [e.add(column, c) for c in range(columns)], self.columns(e, record)
        places = [place(number, first) for number in numbers]
        outs = [e.add(totals, e.mul(number, width)) for number in numbers]

        def step(i: Value, sums: list[Value]) -> list[Value]:
            block = e.add(panel, e.mul(i, self.block_bytes(e.lanes)))
            vectors = [e.load(e.ints, block, j * width, align=width) for j in range(8)]
            factors = [e.load(e.floats, block, (8 + j) * width, align=width) for j in range(2 * self.parts)]
            results = []
            for (q, h), total in zip(places, sums, strict=True):
                q, h = e.add(q, e.mul(i, BLOCK)), e.add(h, e.mul(i, HEADER_BYTES))
                results.append(self._accumulate(e, target, vectors, factors, q, h, total))
            return results

        starts = [e.load(e.floats, out) for out in outs]
        for out, total in zip(outs, e.loop(blocks, step, starts), strict=True):
            e.store(total, out)

    def columns(self, e: Emitter, record: Value) -> Callable[[Count, Value], tuple[Value, Value]]:
        """Where a column, given by its number, has its activations and its headers from a block on."""
        fields = (Columns.Q, Columns.Q_PITCH, Columns.HEADERS, Columns.HEADERS_PITCH)
        q, q_pitch, headers, headers_pitch = (e.field(record, field) for field in fields)

        def place(column: Count, block: Value) -> tuple[Value, Value]:
            return (
                e.add(q, e.mul(column, q_pitch), e.mul(block, BLOCK)),
                e.add(headers, e.mul(column, headers_pitch), e.mul(block, HEADER_BYTES)),
            )

        return place

    def together(self, lanes: int) -> int:
        """Pieces that meet a column at once."""
        return 1

    def meet(self, e: Emitter, target: Target, pieces: Sequence[Piece], place: tuple[Value, Value], total: Value) -> Value:
        """total + pieces . column, which has its part of their block of the file at `place`."""
        for block, (groups, scales, mins) in pieces:
            q, h = e.add(place[0], block * BLOCK), e.add(place[1], block * HEADER_BYTES)
            total = self._accumulate(e, target, list(groups), [*scales, *mins], q, h, total)
        return total

    def _accumulate(
        self, e: Emitter, target: Target, vectors: list[Value], factors: list[Value], q: Value, h: Value, total: Value
    ) -> Value:
        def header(index: int) -> Value:
            return e.splat(e.load(F32, h, 4 * index, align=4))

        each = 8 // self.parts
        weighted = None
        for part in range(self.parts):
            taken = range(part * each, (part + 1) * each)
            activations = [e.splat(e.load(I32, q, 4 * j)) for j in taken]
            dot = e.to_float(target.dot(e, [vectors[j] for j in taken], activations, self.weight_bits))
            scale = factors[part]
            weighted = e.builder.fmul(dot, scale) if weighted is None else target.multiply_add(e, dot, scale, weighted)
        total = target.multiply_add(e, weighted, header(0), total)
        for part in range(self.parts):
            total = target.multiply_add(e, factors[self.parts + part], header(1 if self.parts == 1 else 2 + part), total)
        return total

    def emit_expand(self, e: Emitter, scale_by: float) -> None:
        """(panel, blocks, lane, out): the weights of one row as f32, times `scale_by`."""
        panel, blocks, lane, out = e.arguments
        b, width, each = e.builder, 4 * e.lanes, 8 // self.parts

        def block(i: Value) -> None:
            place = e.add(panel, e.mul(i, self.block_bytes(e.lanes)), e.mul(lane, 4))
            for group in range(8):
                word, part = e.load(I32, place, group * width), group // each
                scale = e.load(F32, place, (8 + part) * width)
                low = e.load(F32, place, (8 + self.parts + part) * width)
                for j in range(4):
                    byte = b.and_(b.lshr(word, ir.Constant(I32, 8 * j)), ir.Constant(I32, 255))
                    value = b.fadd(b.fmul(b.uitofp(byte, F32), scale), low)
                    value = value if scale_by == 1.0 else b.fmul(value, e.f32(scale_by))
                    e.store(value, out, e.add(e.mul(i, 4 * BLOCK), 4 * (4 * group + j)))

        e.each(blocks, block)


@dataclass(frozen=True, slots=True)
class Floats:
    """A panel of f32 weights, for tensors that are floats in the file."""

    name: str = "f32"

    def block_bytes(self, lanes: int) -> int:
        return BLOCK * 4 * lanes

    def save(self, e: Emitter, panel: Value, block: int, parts: Sequence[Any]) -> None:
        """Here `block` counts single weights."""
        e.store(parts[0], panel, block * 4 * e.lanes, align=4 * e.lanes)

    def emit_dots(self, e: Emitter, target: Target, columns: int) -> None:
        panel, first, blocks, record, column, totals = e.arguments
        width = 4 * e.lanes
        numbers, place = [e.add(column, c) for c in range(columns)], self.columns(e, record)
        xs = [place(number, first) for number in numbers]
        outs = [e.add(totals, e.mul(number, width)) for number in numbers]

        def step(i: Value, sums: list[Value]) -> list[Value]:
            for j in range(4):
                at = e.add(e.mul(i, 4), j)
                weights = e.load(e.floats, panel, e.mul(at, width), align=width)
                factors = [e.splat(e.load(F32, x, e.mul(at, 4))) for x in xs]
                sums = [target.multiply_add(e, weights, factor, s) for factor, s in zip(factors, sums, strict=True)]
            return sums

        starts = [e.load(e.floats, out) for out in outs]
        for out, total in zip(outs, e.loop(e.mul(blocks, BLOCK // 4), step, starts), strict=True):
            e.store(total, out)

    def columns(self, e: Emitter, record: Value) -> Callable[[Count, Value], Value]:
        x, pitch = e.field(record, Columns.X), e.field(record, Columns.X_PITCH)
        return lambda column, block: e.add(x, e.mul(column, pitch), e.mul(block, 4 * BLOCK))

    def together(self, lanes: int) -> int:
        """Half of the machine's registers: pieces are single weights."""
        return lanes

    def meet(self, e: Emitter, target: Target, pieces: Sequence[Piece], place: Value, total: Value) -> Value:
        for number, (weights,) in pieces:
            total = target.multiply_add(e, weights, e.splat(e.load(F32, place, 4 * number)), total)
        return total

    def emit_expand(self, e: Emitter, scale_by: float) -> None:
        panel, blocks, lane, out = e.arguments
        place = e.add(panel, e.mul(lane, 4))

        def weight(i: Value) -> None:
            value = e.load(F32, place, e.mul(i, 4 * e.lanes))
            value = value if scale_by == 1.0 else e.builder.fmul(value, e.f32(scale_by))
            e.store(value, out, e.mul(i, 4))

        e.each(e.mul(blocks, BLOCK), weight)


Panel = Quantised | Floats


def emit_dots(module: Any, name: str, panel: Panel, target: Target) -> None:
    """(panel, first block, blocks, columns record, columns, totals): all columns, in groups and then singly."""
    parts = {}
    for size in (GROUP, 1):
        part = Emitter(module, f"{name}_{size}", 6, target.lanes, internal=True)
        panel.emit_dots(part, target, size)
        part.returns()
        parts[size] = part
    e = Emitter(module, name, 6, target.lanes)
    address, first, blocks, record, columns, totals = e.arguments
    groups = e.div(columns, GROUP)
    e.each(groups, lambda i: e.call(parts[GROUP], address, first, blocks, record, e.mul(i, GROUP), totals))
    done = e.mul(groups, GROUP)
    e.each(e.sub(columns, done), lambda i: e.call(parts[1], address, first, blocks, record, e.add(done, i), totals))
    e.returns()


def emit_expand(module: Any, name: str, panel: Panel, scale_by: float, target: Target) -> None:
    e = Emitter(module, name, 4, target.lanes)
    panel.emit_expand(e, scale_by)
    e.returns()
