"""Many rows of one matrix times columns, and a plain reading of memory: what a machine's rates are measured with.

The kernels are those of a pass, called as a pass calls them; what a pass has around them (phases, tiles, residual) is left out.
"""

from typing import Any, Final

from freehold.engine.kernels.emit import Emitter, Value
from freehold.engine.kernels.matmul import PANEL_BLOCKS
from freehold.engine.kernels.records import PANEL_BYTES
from freehold.engine.kernels.targets import Target

_STREAMS: Final = 8  # vectors in flight: enough for any core's load ports


def emit_rows(module: Any, name: str, target: Target) -> None:
    """(pack, dots, single, few, rows, row bytes, panels, blocks, columns record, columns, scratch): totals are thrown away."""
    e = Emitter(module, name, 11, target.lanes)
    pack, dots, single, few, base, row_bytes, panels, blocks, record, columns, scratch = e.arguments
    totals, rows = e.add(scratch, PANEL_BYTES), e.stack(8 * e.lanes)
    panel_bytes = e.mul(row_bytes, e.lanes)

    def one(i: Value) -> None:
        e.call(single, e.add(base, e.mul(i, panel_bytes)), row_bytes, blocks, record, totals)

    def some(i: Value) -> None:
        e.call(few, e.add(base, e.mul(i, panel_bytes)), row_bytes, blocks, record, columns, totals)

    def many(i: Value) -> None:
        first = e.add(base, e.mul(i, panel_bytes))
        for lane in range(e.lanes):
            e.store(e.add(first, e.mul(row_bytes, lane)), rows, 8 * lane, align=8)
        e.each(columns, lambda c: e.store(e.const(e.floats, 0.0), totals, e.mul(c, 4 * e.lanes)))

        def part(j: Value) -> None:
            start = e.mul(j, PANEL_BLOCKS)
            size = e.minimum(PANEL_BLOCKS, e.sub(blocks, start))
            e.call(pack, rows, start, size, scratch, e.add(first, panel_bytes))
            e.call(dots, scratch, start, size, record, columns, totals)

        e.each(e.ceil_div(blocks, PANEL_BLOCKS), part)

    with e.builder.if_then(e.less(columns, 2)):
        e.each(panels, one)
        e.returns()
    with e.builder.if_then(e.less(columns, target.few_columns + 1)):
        e.each(panels, some)
        e.returns()
    e.each(panels, many)
    e.returns()


def emit_read(module: Any, name: str, target: Target) -> None:
    """(address, bytes, where one vector may be left): reads it all, and keeps what no compiler can do without."""
    e = Emitter(module, name, 3, target.lanes)
    address, size_bytes, out = e.arguments
    step = 4 * e.lanes * _STREAMS

    def body(i: Value, sums: list[Value]) -> list[Value]:
        at = e.add(address, e.mul(i, step))
        return [e.builder.xor(s, e.load(e.ints, at, 4 * e.lanes * j)) for j, s in enumerate(sums)]

    sums = e.loop(e.div(size_bytes, step), body, [e.const(e.ints, 0)] * _STREAMS)
    total = sums[0]
    for value in sums[1:]:
        total = e.builder.xor(total, value)
    e.store(total, out)
    e.returns()
