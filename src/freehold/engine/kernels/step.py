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
    ffn      32 rows of gate and of up an item: SiLU, product and quantisation at once
    down     rows, added to the residual
"""

from collections.abc import Callable
from typing import Any, Final

from freehold.engine.kernels.elementwise import quantise, quantise_block, rms_norm, silu_times
from freehold.engine.kernels.emit import F32, I32, I64, Count, Emitter, Value
from freehold.engine.kernels.matmul import BLOCK, HEADER_BYTES, PANEL_BLOCKS, Columns
from freehold.engine.kernels.records import CLOSED, LINE_BYTES, MAX_COLUMNS, PANEL_BYTES, SCRATCH_BYTES, Layer, Matrix, Step
from freehold.engine.kernels.targets import Target

_SPINS: Final = 4000  # some 50 us of pausing before the core is offered to others
_SHARES: Final = 2  # items a thread, where rows are cut freely: evens out a preempted thread; each start costs a cold panel


def emit_step(module: Any, name: str, target: Target) -> None:
    """(step record, thread). Thread OPEN computes nothing: it lets the others in."""
    _Step(module, name, target).emit()


class _Step:
    def __init__(self, module: Any, name: str, target: Target) -> None:
        self.target = target
        self.norm = _emit_norm(module, f"{name}_norm", target)
        self.panel = _emit_panel(module, f"{name}_panel", target)
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
        self._embed()
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
        e = self.e
        number = e.load(I64, self.phase_number)
        taken = e.add(e.field(self.step, Step.SYNC), e.mul(number, LINE_BYTES), 2 * LINE_BYTES)
        done = e.add(taken, 8)

        def take() -> Value:
            item = e.builder.atomic_rmw("add", e.pointer(taken), e.i64(1), "monotonic")
            more = e.less(item, items)
            with e.when(more):
                body(item)
                e.builder.atomic_rmw("add", e.pointer(done), e.i64(1), "acq_rel")
            return more

        e.repeat(take)
        _emit_wait(e, self.target, e.pointer(done), e.i64(items))
        e.store(e.add(number, 1), self.phase_number)

    def _shared_rows(self, units: Value, body: Callable[[Value], None]) -> None:
        """A phase over `units` of rows, cut into a few shares a thread."""
        e = self.e
        shares = e.minimum(units, e.mul(e.field(self.step, Step.THREADS), _SHARES))

        def share(i: Value) -> None:
            low, high = e.div(e.mul(i, units), shares), e.div(e.mul(e.add(i, 1), units), shares)
            e.each(e.sub(high, low), lambda j: body(e.add(low, j)))

        self._phase(shares, share)

    def _embed(self) -> None:
        e, lanes = self.e, self.e.lanes
        tokens, matrix = e.field(self.step, Step.TOKENS), e.field(self.step, Step.EMBEDDING)
        data, row_bytes = e.field(matrix, Matrix.DATA), e.field(matrix, Matrix.ROW_BYTES)
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
        hidden = e.field(step, Step.HIDDEN)
        self._phase(tokens, lambda t: self._normalise(t, t, e.field(record, Layer.ATTENTION_NORM)))
        self._shared_rows(all_heads, lambda item: self._one_head(number, record, item))
        attend = e.field(step, Step.ATTEND)
        pairs = e.mul(e.field(step, Step.TILES), heads)
        self._phase(pairs, lambda i: e.call(attend, step, number, e.div(i, heads), e.builder.urem(i, heads)))
        self._add_rows(e.add(record, 8 * Layer.OUTPUT), e.field(step, Step.ATTENDED))
        self._phase(tokens, lambda t: self._normalise(t, t, e.field(record, Layer.FFN_NORM)))
        self._shared_rows(e.field(step, Step.FFN_GROUPS), lambda group: self._ffn_group(record, group, hidden))
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
                e.store(self._total(self.totals, c), logits)

            e.each(outputs, copy)

        self._shared_rows(wanted, rows)

    # ---- items ----------------------------------------------------------------------------------------------

    def _normalise(self, token: Value, column: Value, weight: Value) -> None:
        self.e.call(self.norm, self.step, token, column, weight)

    def _multiply(self, matrix: Value, row: Value, columns: Value, count: Value, totals: Value) -> None:
        self.e.call(self.panel, matrix, row, columns, count, self.packed, totals)

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
        """residual += matrix . columns"""
        e, step = self.e, self.step
        tokens = e.field(step, Step.TOKENS)

        def rows(i: Value) -> None:
            row = e.mul(i, e.lanes)
            self._multiply(matrix, row, columns, tokens, self.totals)

            def add(t: Value) -> None:
                place = e.add(e.field(step, Step.X), e.mul(t, e.field(step, Step.X_PITCH)), e.mul(row, 4))
                e.store(e.builder.fadd(e.load(e.floats, place), self._total(self.totals, t)), place)

            e.each(tokens, add)

        self._shared_rows(e.div(e.field(matrix, Matrix.ROWS), e.lanes), rows)

    def _ffn_group(self, record: Value, group: Value, hidden: Value) -> None:
        e, step = self.e, self.step
        tokens, columns = e.field(step, Step.TOKENS), e.field(step, Step.FFN)
        panels = BLOCK // e.lanes
        size = 4 * e.lanes * MAX_COLUMNS
        sides = [[e.add(self.totals, (side * panels + p) * size) for p in range(panels)] for side in range(2)]
        for matrix, totals in zip((Layer.GATE, Layer.UP), sides, strict=True):
            for p in range(panels):
                row = e.add(e.mul(group, BLOCK), p * e.lanes)
                self._multiply(e.add(record, 8 * matrix), row, hidden, tokens, totals[p])

        def token(t: Value) -> None:
            x = _column(e, columns, Columns.X, t, e.mul(group, 4 * BLOCK))
            for p in range(panels):
                value = silu_times(e, self.target, self._total(sides[0][p], t), self._total(sides[1][p], t))
                e.store(value, x, p * 4 * e.lanes)
            q = _column(e, columns, Columns.Q, t, e.mul(group, BLOCK))
            quantise_block(e, x, q, _column(e, columns, Columns.HEADERS, t, e.mul(group, HEADER_BYTES)))

        e.each(tokens, token)


def _column(e: Emitter, columns: Value, what: Columns, column: Value, offset: Count) -> Value:
    """Address in column `column`; each pitch follows its address in the record."""
    return e.add(e.field(columns, what), e.mul(column, e.field(columns, what + 1)), offset)


def _emit_norm(module: Any, name: str, target: Target) -> Emitter:
    """(step, token, column, weight): the residual of `token`, normalised, becomes column `column` of HIDDEN."""
    e = Emitter(module, name, 4, target.lanes, internal=True)
    step, token, column, weight = e.arguments
    columns = e.field(step, Step.HIDDEN)
    blocks = e.field(e.field(step, Step.EMBEDDING), Matrix.BLOCKS)
    source = e.add(e.field(step, Step.X), e.mul(token, e.field(step, Step.X_PITCH)))
    epsilon = e.bits(e.builder.trunc(e.field(step, Step.EPSILON), I32), F32)
    x = _column(e, columns, Columns.X, column, 0)
    rms_norm(e, target, source, weight, epsilon, x, blocks)
    quantise(e, x, _column(e, columns, Columns.Q, column, 0), _column(e, columns, Columns.HEADERS, column, 0), blocks)
    e.returns()
    return e


def _emit_panel(module: Any, name: str, target: Target) -> Emitter:
    """(matrix, first row, columns record, columns, packed, totals): totals (columns, lanes) = rows . columns.

    Rows past the end repeat the last one: their totals are not used.
    """
    e = Emitter(module, name, 6, target.lanes, internal=True)
    matrix, first, columns, count, packed, totals = e.arguments
    data, row_bytes = e.field(matrix, Matrix.DATA), e.field(matrix, Matrix.ROW_BYTES)
    row_count, blocks = e.field(matrix, Matrix.ROWS), e.field(matrix, Matrix.BLOCKS)
    base, past = e.add(data, e.mul(first, row_bytes)), e.add(first, e.lanes)
    is_single = e.builder.and_(e.less(count, 2), e.builder.not_(e.less(row_count, past)))
    with e.builder.if_then(is_single):
        e.call(e.field(matrix, Matrix.SINGLE), base, row_bytes, blocks, columns, totals)
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
    """Spin until the counter has reached the goal; after a while, let others have the core between looks."""
    spins = e.stack(8)
    e.store(e.i64(0), spins)

    def wait() -> Value:
        waiting = e.less(e.builder.load_atomic(counter, "acquire", 8, typ=I64), goal)
        with e.when(waiting):
            tried = e.add(e.load(I64, spins), 1)
            e.store(tried, spins)
            target.pause(e)
            with e.when(e.less(_SPINS, tried)):
                e.external("sched_yield")
        return waiting

    e.repeat(wait)
