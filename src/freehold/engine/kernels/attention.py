"""Rotary embedding, the write into the KV cache, and attention over its pages.

A query walks its sequence's pages from the first that it sees to the one that holds its own position, keeping a running
maximum and sum (online softmax). Scores sum over dimensions in order, outputs over positions in order. Up to four neighbouring
tokens walk together and share the loads; each one's operations are the same as alone.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from llvmlite import ir

from freehold.core.errors import InternalError
from freehold.engine.kernels.elementwise import exp, quantise, rms_norm, soft_cap
from freehold.engine.kernels.emit import F32, I32, Count, Emitter, Value
from freehold.engine.kernels.graph import Graph, Rope
from freehold.engine.kernels.held import HELD
from freehold.engine.kernels.matmul import HEADER_BYTES, Columns
from freehold.engine.kernels.records import BLOCK, Layer, Step
from freehold.engine.kernels.targets import Target
from freehold.engine.kv_cache import PAGE_POSITIONS

TILE: Final = 4  # tokens that attend together


def emit_place(module: Any, name: str, graph: Graph, target: Target) -> None:
    """(step, layer record, layer, item): finish one head of q, k or v for all tokens.

    Items count q heads, then k heads, then v heads. Queries are turned, scaled and stay; keys are turned and go to the cache;
    values go to the cache.
    """
    head_dim, held = graph.head_dim, HELD[graph.kv_type]
    e = Emitter(module, name, 4, target.lanes)
    step, record, layer, item = e.arguments
    heads, kv_heads, tokens = e.field(step, Step.HEADS), e.field(step, Step.KV_HEADS), e.field(step, Step.TOKENS)
    bias, column = e.field(record, Layer.BIAS), e.mul(item, 4 * head_dim)

    def vectors(t: Value) -> tuple[Value, Value]:
        return e.add(e.field(step, Step.QKV), e.mul(t, e.field(step, Step.QKV_PITCH)), column), _position(e, step, t)

    def add_bias(t: Value) -> None:
        at, _ = vectors(t)
        for i in range(0, 4 * head_dim, 4 * e.lanes):
            total = e.builder.fadd(e.load(e.floats, at, i), e.load(e.floats, e.add(bias, column), i))
            e.store(total, at, i)

    def normalise(at: Value, weight: Layer) -> None:
        if graph.qk_norm:
            epsilon = e.bits(e.builder.trunc(e.field(step, Step.EPSILON), I32), F32)
            rms_norm(e, target, at, e.field(record, weight), epsilon, at, e.i64(head_dim // BLOCK))

    def query(t: Value) -> None:
        at, position = vectors(t)
        normalise(at, Layer.Q_NORM)
        scale = e.const(e.floats, graph.query_scale)
        for i, value in enumerate(_turn(e, target, record, graph, at, position)):
            e.store(e.builder.fmul(value, scale), at, 4 * e.lanes * i)

    def key(t: Value) -> None:
        at, position = vectors(t)
        normalise(at, Layer.K_NORM)
        keys = _page(e, step, layer, e.sub(item, heads), e.div(position, PAGE_POSITIONS), t, graph)
        turned = _turn(e, target, record, graph, at, position)
        held.write_key(e, target, keys, e.builder.urem(position, e.i64(PAGE_POSITIONS)), turned)

    def value(t: Value) -> None:
        at, position = vectors(t)
        head = e.sub(item, e.add(heads, kv_heads))
        keys = _page(e, step, layer, head, e.div(position, PAGE_POSITIONS), t, graph)
        whole = [e.load(e.floats, at, 4 * e.lanes * i) for i in range(head_dim // e.lanes)]
        held.write_value(e, target, keys, e.builder.urem(position, e.i64(PAGE_POSITIONS)), whole)

    with e.when(e.less(0, bias)):
        e.each(tokens, add_bias)
    is_query, is_key = e.less(item, heads), e.less(item, e.add(heads, kv_heads))
    with e.when(is_query):
        e.each(tokens, query)
    with e.when(e.builder.and_(is_key, e.builder.not_(is_query))):
        e.each(tokens, key)
    with e.when(e.builder.not_(is_key)):
        e.each(tokens, value)
    e.returns()


def _position(e: Emitter, step: Value, token: Value) -> Value:
    return e.load_index(e.field(step, Step.POSITIONS), token)


def _turn(e: Emitter, target: Target, record: Value, graph: Graph, at: Value, position: Value) -> list[Value]:
    """The rotated head: x * cos + partner * sin, with the sign of the rotation in the table's sin."""
    width = 4 * e.lanes
    table = e.add(e.field(record, Layer.ROPE), e.mul(position, 8 * graph.rotated))
    count = graph.rotated // e.lanes
    values = [e.load(e.floats, at, i * width) for i in range(graph.head_dim // e.lanes)]
    turning, passing = values[:count], values[count:]
    if graph.rope is Rope.INTERLEAVED:
        partners = [e.shuffle(v, v, [lane ^ 1 for lane in range(e.lanes)]) for v in turning]
    else:
        partners = turning[count // 2 :] + turning[: count // 2]
    turned = []
    for i, (value, partner) in enumerate(zip(turning, partners, strict=True)):
        cos, sin = e.load(e.floats, table, i * width), e.load(e.floats, table, 4 * graph.rotated + i * width)
        turned.append(target.multiply_add(e, partner, sin, e.builder.fmul(value, cos)))
    return turned + passing


def _page(e: Emitter, step: Value, layer: Value, kv_head: Value, page: Value, token: Value, graph: Graph) -> Value:
    """Address of one head's part, which its keys begin, in the `page`-th page of the token's sequence."""
    sequence = e.load_index(e.field(step, Step.SEQUENCES), token)
    table = e.add(e.field(step, Step.TABLES), e.mul(sequence, e.field(step, Step.TABLES_PITCH)))
    return e.add(
        e.field(step, Step.CACHE),
        e.mul(layer, e.field(step, Step.CACHE_LAYER_BYTES)),
        e.mul(e.load_index(table, page), e.field(step, Step.CACHE_PAGE_BYTES)),
        e.mul(kv_head, graph.kv_type.head_bytes(graph.head_dim)),
    )


def emit_attend(module: Any, name: str, graph: Graph, target: Target) -> None:
    """(step, layer, tile, head): attention of the tile's tokens at one head, quantised for the next matrix."""
    walks = {count: _emit_walk(module, f"{name}_{count}", graph, target, count) for count in (1, TILE)}
    e = Emitter(module, name, 4, target.lanes)
    step, layer, tile, head = e.arguments
    first = e.load_index(e.field(step, Step.TILE_FIRST), tile)
    count = e.load_index(e.field(step, Step.TILE_COUNT), tile)
    whole = e.builder.icmp_signed("==", count, e.i64(TILE))
    with e.when(whole):
        e.call(walks[TILE], step, layer, first, head)
    singles = e.select(whole, 0, count)
    e.each(singles, lambda i: e.call(walks[1], step, layer, e.add(first, i), head))
    e.returns()


def _emit_walk(module: Any, name: str, graph: Graph, target: Target, count: int) -> Emitter:
    """(step, layer, first token, head)"""
    e = Emitter(module, name, 4, target.lanes, internal=True)
    walk = (_WindowedWalk if graph.windowed else _Walk)(e, target, graph, count)
    walk.emit()
    e.returns()
    return e


class _Walk:
    """Emits the walk of `count` neighbouring tokens over their pages."""

    def __init__(self, e: Emitter, target: Target, graph: Graph, count: int) -> None:
        self.e, self.target, self.graph, self.head_dim, self.count = e, target, graph, graph.head_dim, count
        self.held = HELD[graph.kv_type]
        self.step, self.layer, self.first, self.head = e.arguments
        self.width = 4 * e.lanes
        self.tokens = [e.add(self.first, i) for i in range(count)]
        self.positions = [_position(e, self.step, token) for token in self.tokens]
        self.scores = [e.stack(4 * PAGE_POSITIONS) for _ in range(count)]
        self.outs = [e.stack(4 * self.head_dim) for _ in range(count)]

    def emit(self) -> None:
        e, step = self.e, self.step
        group = e.div(e.field(step, Step.HEADS), e.field(step, Step.KV_HEADS))
        kv_head = e.div(self.head, group)
        column = e.mul(self.head, 4 * self.head_dim)
        queries = [e.add(e.field(step, Step.QKV), e.mul(t, e.field(step, Step.QKV_PITCH)), column) for t in self.tokens]
        for out in self.outs:
            for i in range(0, 4 * self.head_dim, self.width):
                e.store(e.const(e.floats, 0.0), out, i)
        lowest, zero = e.f32(float("-inf")), e.f32(0.0)

        def page(i: Value, carried: list[Value]) -> list[Value]:
            number = e.add(i, first)
            keys = _page(e, step, self.layer, kv_head, number, self.first, self.graph)
            self._score(queries, keys)
            start = e.mul(number, PAGE_POSITIONS)
            seen = [e.minimum(e.sub(e.add(p, 1), start), PAGE_POSITIONS) for p in self.positions]
            hidden = self._hidden(start)
            carried = self._soften(hidden, seen, carried)
            self._weigh(keys)
            self._gather(hidden, seen, e.add(keys, PAGE_POSITIONS * self.head_dim * self.held.element_bytes))
            return carried

        first = self._first_page()
        pages = e.sub(e.add(e.div(self.positions[-1], PAGE_POSITIONS), 1), first)
        carried = e.loop(pages, page, [lowest] * self.count + [zero] * self.count)
        self._finish(carried[self.count :])

    def _first_page(self) -> Count:
        return 0

    def _hidden(self, start: Value) -> list[Value] | None:
        """Per query: how many positions of the page that begins at `start` are too old for it. None where none ever are."""
        return None

    def _score(self, queries: Sequence[Value], keys: Value) -> None:
        """scores[query][position] = query . key, summed over the dimensions in order."""
        e, together, size = self.e, 4, self.held.element_bytes  # vectors of positions
        for start in range(0, PAGE_POSITIONS, together * e.lanes):

            def dimension(d: Value, sums: list[Value], start: int = start) -> list[Value]:
                at = e.add(keys, e.mul(d, size * PAGE_POSITIONS), size * start)
                row = self.held.read(e, self.target, at, together)
                out = []
                for i, query in enumerate(queries):
                    factor = e.splat(e.load(F32, query, e.mul(d, 4)))
                    out += [self.target.multiply_add(e, factor, row[j], sums[i * together + j]) for j in range(together)]
                return out

            sums = e.loop(self.head_dim, dimension, [e.const(e.floats, 0.0)] * (together * self.count))
            for j in range(together):
                scales = self.held.key_scales(e, keys, self.head_dim, start + j * e.lanes)
                for i, scores in enumerate(self.scores):
                    total = sums[i * together + j]
                    e.store(total if scales is None else e.builder.fmul(total, scales), scores, 4 * start + j * self.width)

    def _soften(self, hidden: Sequence[Value] | None, seen: Sequence[Value], carried: list[Value]) -> list[Value]:
        """Scores to weights relative to the running maximum; what was summed before is scaled to it."""
        e, b = self.e, self.e.builder
        maxima, sums = [], []
        for i, scores in enumerate(self.scores):
            limit = e.splat(b.trunc(seen[i], I32))
            rows, masks = [], []
            for j in range(PAGE_POSITIONS // e.lanes):
                places = ir.Constant(e.ints, list(range(j * e.lanes, (j + 1) * e.lanes)))
                mask = b.icmp_signed("<", places, limit)
                if hidden is not None:
                    mask = b.and_(mask, b.icmp_signed(">=", places, e.splat(b.trunc(hidden[i], I32))))
                masks.append(mask)
                score = e.load(e.floats, scores, j * self.width)
                if self.graph.attention_cap:
                    score = soft_cap(e, self.target, score, self.graph.attention_cap)
                rows.append(b.select(masks[-1], score, e.const(e.floats, float("-inf"))))
            top = rows[0]
            for row in rows[1:]:
                top = e.maximum(top, row)
            top = e.maximum(e.fold(top, e.maximum), carried[i])
            spread, total = e.splat(top), None
            for j, (row, mask) in enumerate(zip(rows, masks, strict=True)):
                weight = b.select(mask, exp(e, self.target, b.fsub(row, spread)), e.const(e.floats, 0.0))
                e.store(weight, scores, j * self.width)
                total = weight if total is None else b.fadd(total, weight)
            # exp of a vector: the one exp there is. Before the first position the maximum is -inf and there is nothing to scale.
            factor = exp(e, self.target, e.splat(b.fsub(carried[i], top)))
            self._scale(self.outs[i], factor, self.outs[i])
            scaled = b.fmul(carried[self.count + i], b.extract_element(factor, ir.Constant(I32, 0)))
            maxima.append(top)
            sums.append(b.fadd(scaled, e.fold(total, b.fadd)))
        return maxima + sums

    def _scale(self, source: Value, factor: Value, target: Value) -> None:
        """target = source * factor, along a head."""
        e = self.e

        def one(i: Value) -> None:
            at = e.mul(i, self.width)
            e.store(e.builder.fmul(e.load(e.floats, source, at), factor), target, at)

        e.each(self.head_dim // e.lanes, one)

    def _weigh(self, keys: Value) -> None:
        """Weights times the scales of their values, where those have any. Places not yet written are not read afterwards."""
        e = self.e
        for first in range(0, PAGE_POSITIONS, e.lanes):
            if (scales := self.held.value_scales(e, keys, self.head_dim, first)) is not None:
                for scores in self.scores:
                    e.store(e.builder.fmul(e.load(e.floats, scores, 4 * first), scales), scores, 4 * first)

    def _gather(self, hidden: Sequence[Value] | None, seen: Sequence[Value], values: Value) -> None:
        """outs[query] += weight * value, over the positions in order. Positions not yet written are not touched."""
        e = self.e
        common = seen[0]  # neighbours: the first sees the fewest
        common = e.select(e.less(common, 0), 0, common)

        def chunk(start: Value) -> None:
            self._gather_chunk(range(self.count), e.i64(0), common, values, start)
            for i in range(1, self.count):
                self._gather_chunk([i], common, seen[i], values, start)

        self._each_chunk(chunk)

    def _each_chunk(self, body: Callable[[Value], None]) -> None:
        """body(first dimension) for all pieces of an output."""
        size = self._chunk() * self.e.lanes
        self.e.each(self.head_dim // size, lambda i: body(self.e.mul(i, size)))

    def _chunk(self) -> int:
        """Vectors of an output held in registers: all queries' together at most half of the machine's."""
        limit = (16 if self.e.lanes == 16 else 8) // self.count
        whole = self.head_dim // self.e.lanes
        return max(size for size in range(1, limit + 1) if whole % size == 0)

    def _gather_chunk(self, which: Sequence[int], low: Value, high: Value, values: Value, start: Value) -> None:
        e, count, size_bytes = self.e, self._chunk(), self.held.element_bytes
        first = e.add(values, e.mul(start, size_bytes))

        def position(i: Value, sums: list[Value]) -> list[Value]:
            place = e.add(low, i)
            at = e.add(first, e.mul(place, size_bytes * self.head_dim))
            row = self.held.read(e, self.target, at, count)
            out = []
            for n, query in enumerate(which):
                weight = e.splat(e.load(F32, self.scores[query], e.mul(place, 4)))
                out += [self.target.multiply_add(e, weight, row[j], sums[n * count + j]) for j in range(count)]
            return out

        places = [(e.add(self.outs[query], e.mul(start, 4)), j * self.width) for query in which for j in range(count)]
        sums = e.loop(e.sub(high, low), position, [e.load(e.floats, out, at) for out, at in places])
        for (out, at), total in zip(places, sums, strict=True):
            e.store(total, out, at)

    def _finish(self, sums: Sequence[Value]) -> None:
        e, b = self.e, self.e.builder
        record = e.field(self.step, Step.ATTENDED)
        blocks = self.head_dim // BLOCK
        for token, out, total in zip(self.tokens, self.outs, sums, strict=True):
            x = e.add(e.field(record, Columns.X), e.mul(token, e.field(record, Columns.X_PITCH)))
            x = e.add(x, e.mul(self.head, 4 * self.head_dim))
            q = e.add(e.field(record, Columns.Q), e.mul(token, e.field(record, Columns.Q_PITCH)))
            headers = e.add(e.field(record, Columns.HEADERS), e.mul(token, e.field(record, Columns.HEADERS_PITCH)))
            self._scale(out, e.splat(b.fdiv(e.f32(1.0), total)), x)
            first = e.mul(self.head, blocks)
            quantise(e, x, e.add(q, e.mul(first, BLOCK)), e.add(headers, e.mul(first, HEADER_BYTES)), blocks)


class _WindowedWalk(_Walk):
    """A walk that begins at the first page inside the layer's window: of its positions, some are hidden, too old to be seen."""

    def _window(self) -> Value:
        e = self.e
        records = e.field(self.step, Step.LAYER_RECORDS)
        return e.field(e.add(records, e.mul(self.layer, 8 * Layer.LENGTH)), Layer.WINDOW)

    def _first_page(self) -> Count:
        """Neighbours walk from the page that the first of them needs."""
        e = self.e
        oldest = e.sub(e.add(self.positions[0], 1), self._window())
        return e.div(e.select(e.less(oldest, 0), 0, oldest), PAGE_POSITIONS)

    def _hidden(self, start: Value) -> list[Value] | None:
        e = self.e
        edge = e.add(start, self._window())
        hidden = [e.sub(e.add(p, 1), edge) for p in self.positions]
        return [e.minimum(e.select(e.less(h, 0), 0, h), PAGE_POSITIONS) for h in hidden]

    def _gather(self, hidden: Sequence[Value] | None, seen: Sequence[Value], values: Value) -> None:
        """What all neighbours see is read once for all; what lies before and behind it, for each that sees it."""
        if hidden is None:
            raise InternalError("a windowed walk always has an edge")
        e = self.e
        low, common = hidden[-1], seen[0]  # neighbours: the last sees the latest, the first the fewest
        high = e.select(e.less(common, low), low, common)

        def chunk(start: Value) -> None:
            for i in range(self.count - 1):
                self._gather_chunk([i], hidden[i], e.minimum(low, seen[i]), values, start)
            self._gather_chunk(range(self.count), low, high, values, start)
            for i in range(1, self.count):
                self._gather_chunk([i], high, seen[i], values, start)

        self._each_chunk(chunk)
