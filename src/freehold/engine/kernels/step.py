"""One pass over a whole model, as one native function that every thread of the team runs.

The pass is a list of phases. In a phase, threads take items from a shared counter until there are none, and then wait until all
items are done: who computes an item never changes its value. A thread that the system keeps from running holds up nobody unless
it holds an item: phases wait for items, not for threads, and a pass does not wait for threads that never entered it. A layer is
seven phases:

    norm     a token an item
    heads    some heads of q, k or v an item: its rows of the matrix, bias, rotation, write into the cache
    attend   a tile of tokens at a head an item
    output   rows of the attention's output matrix, added to the residual
    norm     a token an item
    ffn      32 rows of gate and of up an item: activation, product and quantisation at once
    down     rows, added to the residual

Where a graph normalises what a branch gives before adding it, `output` and `down` write it beside the residual. It is
normalised and added in the norm that follows `output`, and after `down` in an eighth phase.
"""

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir

from freehold.engine.kernels.elementwise import gelu_times, quantise, quantise_block, rms_norm, silu_times, soft_cap
from freehold.engine.kernels.emit import F32, I32, I64, Count, Emitter, Value
from freehold.engine.kernels.graph import Activation, Graph
from freehold.engine.kernels.matmul import HEADER_BYTES, PANEL_BLOCKS, Columns
from freehold.engine.kernels.records import (
    BLOCK,
    CLOSED,
    LINE_BYTES,
    MAX_COLUMNS,
    PANEL_BYTES,
    SCRATCH_BYTES,
    Layer,
    Matrix,
    Ring,
    Step,
    Tile,
)
from freehold.engine.kernels.targets import Target

_SPINS: Final = 4000  # some 50 us of pausing before the core is offered to others
_YIELDS: Final = 200  # looks between offers before the thread sleeps: whoever it waits for, or who reads for it, needs a core
_ARRIVAL_SPINS: Final = 200  # a tile takes milliseconds to come, and the threads that bring it need the core
_SLEEP_US: Final = 20  # 70 us with the kernel's usual slack


def emit_step(module: Any, name: str, graph: Graph, target: Target) -> None:
    """(step record, thread). Thread OPEN computes nothing: it lets the others in."""
    StepEmitter(module, name, graph, target).emit()


class StepEmitter:
    def __init__(self, module: Any, name: str, graph: Graph, target: Target) -> None:
        self.graph, self.target = graph, target
        self.norm = _emit_norm(module, f"{name}_norm", target)
        self.join = _emit_join(module, f"{name}_join", target) if graph.post_norms else None
        self.panel = _emit_panel(module, f"{name}_panel", target, _emit_arrival(module, f"{name}_arrival", target))
        self.e = Emitter(module, name, 2, target.lanes)
        self.step, self.thread = self.e.arguments
        scratch = self.e.add(self.e.field(self.step, Step.SCRATCH), self.e.mul(self.thread, SCRATCH_BYTES))
        self.packed, self.totals = scratch, self.e.add(scratch, PANEL_BYTES)
        self.phase_number = self.e.stack(8)  # of this thread
        self.e.store(self.e.i64(0), self.phase_number)

    def emit(self) -> None:
        e = self.e
        entered = e.pointer(e.field(self.step, Step.SYNC))
        with e.builder.if_then(e.less(self.thread, 0)):
            e.builder.atomic_rmw("xchg", entered, e.i64(0), "release")
            e.returns()
        with e.when(e.less(0, self.thread)):
            before = e.builder.atomic_rmw("add", entered, e.i64(1), "acq_rel")
            with e.builder.if_then(e.builder.not_(e.less(before, CLOSED))):
                e.returns()
        with e.when(e.less(0, e.field(self.step, Step.EMBEDS))):
            self._embed()
        self._before_layers()
        record_bytes = 8 * Layer.LENGTH
        records = e.field(self.step, Step.LAYER_RECORDS)
        e.each(e.field(self.step, Step.LAYERS), lambda i: self._layer(i, e.add(records, e.mul(i, record_bytes))))
        self._head()
        self._leave()
        e.returns()

    def _leave(self) -> None:
        """The first thread closes the pass and goes last: after it, the caller may change the record."""
        e, b = self.e, self.e.builder
        sync = e.field(self.step, Step.SYNC)
        left = e.pointer(e.add(sync, LINE_BYTES))
        with b.if_else(e.less(0, self.thread)) as (worker, first):
            with worker:
                b.atomic_rmw("add", left, e.i64(1), "release")
            with first:
                entered = b.atomic_rmw("add", e.pointer(sync), e.i64(CLOSED), "acq_rel")
                _emit_wait(e, self.target, left, entered)

    # ---- phases ---------------------------------------------------------------------------------------------

    def _phase(self, items: Count, body: Callable[[Value], None]) -> None:
        """Once a tile has failed to come, items are taken and not computed: the pass is over soon, and worth nothing."""
        e = self.e
        number = e.load(I64, self.phase_number)
        ring = e.field(self.step, Step.RING)
        taken = e.add(e.field(self.step, Step.SYNC), e.mul(number, LINE_BYTES), 2 * LINE_BYTES)
        done = e.add(taken, 8)

        def take() -> Value:
            item = e.builder.atomic_rmw("add", e.pointer(taken), e.i64(1), "monotonic")
            more = e.less(item, items)
            with e.when(more):
                with e.when(e.less(e.field(ring, Ring.FAILED), 1)):
                    body(item)
                e.builder.atomic_rmw("add", e.pointer(done), e.i64(1), "acq_rel")
            return more

        e.repeat(take)
        _emit_wait(e, self.target, e.pointer(done), e.i64(items))
        e.store(e.add(number, 1), self.phase_number)

    def _shared_rows(self, units: Value, matrix: Value, body: Callable[[Value], None]) -> None:
        """A phase over `units` of rows, cut into shares that are taken in the order of rows: threads work near each other,
        and what they need together of a matrix that is streamed is no more than the ring holds."""
        e = self.e
        shares = e.minimum(units, e.field(matrix, Matrix.SHARES))

        def share(i: Value) -> None:
            low, high = e.div(e.mul(i, units), shares), e.div(e.mul(e.add(i, 1), units), shares)
            e.each(e.sub(high, low), lambda j: body(e.add(low, j)))

        self._phase(shares, share)

    def _embed(self) -> None:
        """The embedding is one tile: the whole table, or the rows that this pass asks for."""
        e, lanes = self.e, self.e.lanes
        tokens, matrix = e.field(self.step, Step.TOKENS), e.field(self.step, Step.EMBEDDING)
        data, row_bytes = e.field(e.field(matrix, Matrix.TILES), Tile.BASE), e.field(matrix, Matrix.ROW_BYTES)
        blocks, rows = e.field(matrix, Matrix.BLOCKS), e.stack(8 * lanes)

        def some(item: Value) -> None:
            first = e.mul(item, lanes)
            for lane in range(lanes):
                token = e.minimum(e.add(first, lane), e.sub(tokens, 1))
                row = e.load_index(e.field(self.step, Step.TOKEN_IDS), token)
                e.store(e.add(data, e.mul(row, row_bytes)), rows, 8 * lane)

            def part(i: Value) -> None:
                start = e.mul(i, PANEL_BLOCKS)
                count = e.minimum(PANEL_BLOCKS, e.sub(blocks, start))
                e.call(e.field(matrix, Matrix.PACK), rows, start, count, self.packed, data)

                def row(lane: Value) -> None:
                    x = e.add(e.field(self.step, Step.X), e.mul(e.add(first, lane), e.field(self.step, Step.X_PITCH)))
                    e.call(e.field(matrix, Matrix.EXPAND), self.packed, count, lane, e.add(x, e.mul(start, 4 * BLOCK)))

                e.each(e.minimum(lanes, e.sub(tokens, first)), row)

            e.each(e.ceil_div(blocks, PANEL_BLOCKS), part)

        self._phase(e.ceil_div(tokens, lanes), some)

    def _layer(self, number: Value, record: Value) -> None:
        e, step = self.e, self.step
        tokens, heads = e.field(step, Step.TOKENS), e.field(step, Step.HEADS)
        all_heads = e.add(heads, e.mul(e.field(step, Step.KV_HEADS), 2))
        self._phase(tokens, lambda t: self._normalise(t, t, e.field(record, Layer.ATTENTION_NORM)))
        self._shared_rows(all_heads, e.add(record, 8 * Layer.Q), lambda item: self._one_head(number, record, item))
        attend = e.field(step, Step.ATTEND)
        pairs = e.mul(e.field(step, Step.TILES), heads)
        self._phase(pairs, lambda i: e.call(attend, step, number, e.div(i, heads), e.builder.urem(i, heads)))
        self._add_rows(e.add(record, 8 * Layer.OUTPUT), e.field(step, Step.ATTENDED))

        def between(t: Value) -> None:
            self._join(t, record, Layer.ATTENTION_POST_NORM)
            self._normalise(t, t, e.field(record, Layer.FFN_NORM))

        self._phase(tokens, between)
        self._ffn(record)
        if self.graph.post_norms:
            self._phase(tokens, lambda t: self._join(t, record, Layer.FFN_POST_NORM))

    def _before_layers(self) -> None:
        """Phases of a graph that is not computed in one go."""

    def _ffn(self, record: Value) -> None:
        """The phases from HIDDEN to what is added to the residual."""
        e, step = self.e, self.step
        gate, up = e.add(record, 8 * Layer.GATE), e.add(record, 8 * Layer.UP)
        hidden, columns, tokens = (e.field(step, part) for part in (Step.HIDDEN, Step.FFN, Step.TOKENS))
        groups = e.field(step, Step.FFN_GROUPS)
        self._shared_rows(groups, gate, lambda group: self._ffn_group(gate, up, group, hidden, columns, tokens))
        self._add_rows(e.add(record, 8 * Layer.DOWN), e.field(step, Step.FFN))

    def _head(self) -> None:
        e, step = self.e, self.step
        outputs, matrix = e.field(step, Step.OUTPUTS), e.field(step, Step.HEAD)
        which, weight = e.field(step, Step.OUTPUT_TOKENS), e.field(step, Step.FINAL_NORM)
        self._phase(outputs, lambda i: self._normalise(e.load_index(which, i), i, weight))
        panels = e.ceil_div(e.field(matrix, Matrix.ROWS), e.lanes)
        wanted = e.select(e.less(0, outputs), panels, 0)

        def rows(i: Value) -> None:
            row = e.mul(i, e.lanes)
            self._multiply(matrix, row, e.field(step, Step.HIDDEN), outputs, self.totals)

            def copy(c: Value) -> None:
                logits = e.add(e.field(step, Step.LOGITS), e.mul(c, e.field(step, Step.LOGITS_PITCH)), e.mul(row, 4))
                total, cap = self._total(self.totals, c), self.graph.logit_cap
                e.store(soft_cap(e, self.target, total, cap) if cap else total, logits)

            e.each(outputs, copy)

        self._shared_rows(wanted, matrix, rows)

    # ---- items ----------------------------------------------------------------------------------------------

    def _normalise(self, token: Value, column: Value, weight: Value) -> None:
        self.e.call(self.norm, self.step, token, column, weight)

    def _join(self, token: Value, record: Value, weight: Layer) -> None:
        if self.join is not None:
            self.e.call(self.join, self.step, token, self.e.field(record, weight))

    def _multiply(self, matrix: Value, row: Value, columns: Value, count: Value, totals: Value) -> None:
        self.e.call(self.panel, self.step, matrix, row, columns, count, self.packed, totals)

    def _total(self, totals: Value, column: Value) -> Value:
        return self.e.load(self.e.floats, totals, self.e.mul(column, 4 * self.e.lanes))

    def _one_head(self, number: Value, record: Value, item: Value) -> None:
        e, step = self.e, self.step
        heads, kv_heads, head_dim = (e.field(step, f) for f in (Step.HEADS, Step.KV_HEADS, Step.HEAD_DIM))
        tokens = e.field(step, Step.TOKENS)
        is_q, is_k = e.less(item, heads), e.less(item, e.add(heads, kv_heads))
        part = e.select(is_q, Layer.Q, e.select(is_k, Layer.K, Layer.V))
        before = e.select(is_q, 0, e.select(is_k, heads, e.add(heads, kv_heads)))
        matrix, first_row = e.add(record, e.mul(part, 8)), e.mul(e.sub(item, before), head_dim)

        def rows(i: Value) -> None:
            shift = e.mul(i, e.lanes)
            self._multiply(matrix, e.add(first_row, shift), e.field(step, Step.HIDDEN), tokens, self.totals)
            column = e.mul(e.add(e.mul(item, head_dim), shift), 4)

            def copy(t: Value) -> None:
                place = e.add(e.field(step, Step.QKV), e.mul(t, e.field(step, Step.QKV_PITCH)), column)
                e.store(self._total(self.totals, t), place)

            e.each(tokens, copy)

        e.each(e.div(head_dim, e.lanes), rows)
        e.call(e.field(step, Step.PLACE), step, record, number, item)

    def _add_rows(self, matrix: Value, columns: Value) -> None:
        """residual += matrix . columns; with post norms, branch = matrix . columns"""
        e, step = self.e, self.step
        tokens, adds = e.field(step, Step.TOKENS), not self.graph.post_norms
        target = e.field(step, Step.X if adds else Step.BRANCH)

        def rows(i: Value) -> None:
            row = e.mul(i, e.lanes)
            self._multiply(matrix, row, columns, tokens, self.totals)

            def add(t: Value) -> None:
                place, total = e.add(target, e.mul(t, e.field(step, Step.X_PITCH)), e.mul(row, 4)), self._total(self.totals, t)
                e.store(e.builder.fadd(e.load(e.floats, place), total) if adds else total, place)

            e.each(tokens, add)

        self._shared_rows(e.div(e.field(matrix, Matrix.ROWS), e.lanes), matrix, rows)

    def _ffn_group(self, gate: Value, up: Value, group: Value, hidden: Value, columns: Value, tokens: Value) -> None:
        """32 rows of gate and of up times `tokens` columns of `hidden`, into `columns`."""
        e = self.e
        panels = BLOCK // e.lanes
        activate = silu_times if self.graph.activation is Activation.SILU else gelu_times
        size = 4 * e.lanes * MAX_COLUMNS
        sides = [[e.add(self.totals, (side * panels + p) * size) for p in range(panels)] for side in range(2)]
        for matrix, totals in zip((gate, up), sides, strict=True):
            for p in range(panels):
                row = e.add(e.mul(group, BLOCK), p * e.lanes)
                self._multiply(matrix, row, hidden, tokens, totals[p])

        def token(t: Value) -> None:
            x = column_place(e, columns, Columns.X, t, e.mul(group, 4 * BLOCK))
            for p in range(panels):
                value = activate(e, self.target, self._total(sides[0][p], t), self._total(sides[1][p], t))
                e.store(value, x, p * 4 * e.lanes)
            q = column_place(e, columns, Columns.Q, t, e.mul(group, BLOCK))
            quantise_block(e, x, q, column_place(e, columns, Columns.HEADERS, t, e.mul(group, HEADER_BYTES)))

        e.each(tokens, token)


def column_place(e: Emitter, columns: Value, what: Columns, column: Value, offset: Count) -> Value:
    """Address in column `column`; each pitch follows its address in the record."""
    return e.add(e.field(columns, what), e.mul(column, e.field(columns, what + 1)), offset)


def _emit_norm(module: Any, name: str, target: Target) -> Emitter:
    """(step, token, column, weight): the residual of `token`, normalised, becomes column `column` of HIDDEN."""
    e = Emitter(module, name, 4, target.lanes, internal=True)
    step, token, column, weight = e.arguments
    columns = e.field(step, Step.HIDDEN)
    blocks = e.field(e.field(step, Step.EMBEDDING), Matrix.BLOCKS)
    source = e.add(e.field(step, Step.X), e.mul(token, e.field(step, Step.X_PITCH)))
    x = column_place(e, columns, Columns.X, column, 0)
    rms_norm(e, target, source, weight, _epsilon(e, step), x, blocks)
    quantise(e, x, column_place(e, columns, Columns.Q, column, 0), column_place(e, columns, Columns.HEADERS, column, 0), blocks)
    e.returns()
    return e


def _emit_join(module: Any, name: str, target: Target) -> Emitter:
    """(step, token, weight): the branch of `token`, normalised, is added to its residual."""
    e = Emitter(module, name, 3, target.lanes, internal=True)
    step, token, weight = e.arguments
    blocks, offset = e.field(e.field(step, Step.EMBEDDING), Matrix.BLOCKS), e.mul(token, e.field(step, Step.X_PITCH))
    branch, residual = (e.add(e.field(step, what), offset) for what in (Step.BRANCH, Step.X))
    rms_norm(e, target, branch, weight, _epsilon(e, step), branch, blocks)

    def add(i: Value) -> None:
        at = e.mul(i, 4 * e.lanes)
        e.store(e.builder.fadd(e.load(e.floats, residual, at), e.load(e.floats, branch, at)), residual, at)

    e.each(e.mul(blocks, BLOCK // e.lanes), add)
    e.returns()
    return e


def _epsilon(e: Emitter, step: Value) -> Value:
    return e.bits(e.builder.trunc(e.field(step, Step.EPSILON), I32), F32)


def _emit_panel(module: Any, name: str, target: Target, arrival: Emitter) -> Emitter:
    """(step, matrix, first row, columns record, columns, packed, totals): totals (columns, lanes) = rows . columns.

    Rows past the end repeat the last one: their totals are not used. No panel crosses tiles. Where the tile does not come, the
    totals are zeros and the ring has failed.
    """
    rows = _emit_rows(module, f"{name}_rows", target)
    e = Emitter(module, name, 7, target.lanes, internal=True)
    step, matrix, first, columns, count, packed, totals = e.arguments
    tile = e.add(e.field(matrix, Matrix.TILES), _tile_number(e, first, e.field(matrix, Matrix.TILE_ROWS)))
    number = e.field(step, Step.PASS)
    with e.builder.if_then(e.less(_arrived(e, tile), number), likely=False):
        e.call(arrival, step, tile)
        with e.builder.if_then(e.less(_arrived(e, tile), number)):
            e.each(count, lambda c: e.store(e.const(e.floats, 0.0), totals, e.mul(c, 4 * e.lanes)))
            e.returns()
    e.call(rows, matrix, e.field(tile, Tile.BASE), first, columns, count, packed, totals)
    streamed = e.field(tile, Tile.ROWS)
    with e.when(e.less(0, streamed)):
        used = e.minimum(e.lanes, e.sub(e.field(matrix, Matrix.ROWS), first))
        before = e.builder.atomic_rmw("add", e.pointer(e.add(tile, 8 * Tile.DONE)), used, "acq_rel")
        with e.when(e.less(e.sub(e.mul(number, streamed), 1), e.add(before, used))):
            ring = e.field(step, Step.RING)
            wake = e.builder.trunc(e.field(ring, Ring.WAKE), I32)
            e.external("write", wake, e.pointer(ring), e.i64(1))  # any byte will do
    e.returns()
    return e


def _tile_number(e: Emitter, row: Value, tile_rows: Value) -> Value:
    """Offset of a row's record. Rows are counted in 32 bits, which divide in a third of the time that 64 take."""
    number = e.builder.udiv(e.builder.trunc(row, I32), e.builder.trunc(tile_rows, I32))
    return e.mul(e.builder.zext(number, I64), 8 * Tile.LENGTH)


def _arrived(e: Emitter, tile: Value) -> Value:
    return e.builder.load_atomic(e.pointer(e.add(tile, 8 * Tile.ARRIVED)), "acquire", 8, typ=I64)


def _emit_arrival(module: Any, name: str, target: Target) -> Emitter:
    """(step, tile): until the tile has arrived for this pass, or the ring has failed."""
    e = Emitter(module, name, 2, target.lanes, internal=True)
    step, tile = e.arguments
    failed = e.pointer(e.add(e.field(step, Step.RING), 8 * Ring.FAILED))
    number = e.field(step, Step.PASS)

    def missing() -> Value:
        here = e.builder.icmp_signed(">=", _arrived(e, tile), number)
        has_failed = e.less(0, e.builder.load_atomic(failed, "acquire", 8, typ=I64))
        return e.builder.not_(e.builder.or_(here, has_failed))

    _emit_wait_while(e, target, missing, spins=_ARRIVAL_SPINS, yields=0)
    e.returns()
    return e


def _emit_rows(module: Any, name: str, target: Target) -> Emitter:
    """(matrix, address of row 0, first row, columns record, columns, packed, totals): totals = rows . columns, (columns, lanes)

    The address of row 0 is where it would lie: the first row alone must be there.
    """
    e = Emitter(module, name, 7, target.lanes, internal=True)
    matrix, data, first, columns, count, packed, totals = e.arguments
    row_bytes = e.field(matrix, Matrix.ROW_BYTES)
    row_count, blocks = e.field(matrix, Matrix.ROWS), e.field(matrix, Matrix.BLOCKS)
    base, past = e.add(data, e.mul(first, row_bytes)), e.add(first, e.lanes)
    is_whole = e.builder.not_(e.less(row_count, past))
    with e.builder.if_then(e.builder.and_(e.less(count, 2), is_whole)):
        e.call(e.field(matrix, Matrix.SINGLE), base, row_bytes, blocks, columns, totals)
        e.returns()
    with e.builder.if_then(e.builder.and_(e.less(count, target.few_columns + 1), is_whole)):
        e.call(e.field(matrix, Matrix.FEW), base, row_bytes, blocks, columns, count, totals)
        e.returns()
    rows = e.stack(8 * e.lanes)
    for lane in range(e.lanes):
        row = e.minimum(e.add(first, lane), e.sub(row_count, 1))
        e.store(e.add(data, e.mul(row, row_bytes)), rows, 8 * lane, align=8)
    ahead = e.add(data, e.mul(past, row_bytes))
    e.each(count, lambda c: e.store(e.const(e.floats, 0.0), totals, e.mul(c, 4 * e.lanes)))

    def part(i: Value) -> None:
        start = e.mul(i, PANEL_BLOCKS)
        size = e.minimum(PANEL_BLOCKS, e.sub(blocks, start))
        e.call(e.field(matrix, Matrix.PACK), rows, start, size, packed, ahead)
        e.call(e.field(matrix, Matrix.DOTS), packed, start, size, columns, count, totals)

    e.each(e.ceil_div(blocks, PANEL_BLOCKS), part)
    e.returns()
    return e


def _emit_wait(e: Emitter, target: Target, counter: Value, goal: Value) -> None:
    """Until the counter has reached the goal."""
    _emit_wait_while(e, target, lambda: e.less(e.builder.load_atomic(counter, "acquire", 8, typ=I64), goal))


def _emit_wait_while(
    e: Emitter, target: Target, condition: Callable[[], Value], spins: int = _SPINS, yields: int = _YIELDS
) -> None:
    """Spin while it holds; after a while, let others have the core between looks; after another, sleep between them."""
    count = e.stack(8)
    e.store(e.i64(0), count)

    def wait() -> Value:
        waiting = condition()
        with e.when(waiting):
            tried = e.add(e.load(I64, count), 1)
            e.store(tried, count)
            target.pause(e)
            with e.when(e.less(spins, tried)), e.builder.if_else(e.less(tried, spins + yields)) as (early, late):
                with early:
                    e.external("sched_yield")
                with late:
                    e.external("usleep", ir.Constant(I32, _SLEEP_US))
        return waiting

    e.repeat(wait)
