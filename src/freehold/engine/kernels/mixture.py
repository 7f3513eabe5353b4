"""A pass over a mixture of experts, in pieces: who is chosen is decided between two calls, in `models.moe`.

A call computes the experts that were chosen in the layer before, then one layer up to the scores of its router. Its first phases:

    gather   a slot an item: a slot is one choice of one token; the tokens that want an expert come to lie side by side
    ffn      rows of gate and up of an expert an item, times its slots: as in a dense model
    down     rows of an expert an item, into its slots' outputs
    join     a token an item: the outputs of its slots, weighted and added in the order of its own choices, to the residual

and, instead of a dense model's feed-forward part, its last:

    router   rows of the router an item, times all tokens

What an expert makes of a token does not depend on who else wants it, and a token's choices are added in its own order: answers
stay independent of what is computed beside them.
"""

from typing import Any

from freehold.engine.kernels.emit import F32, I32, Value, vector
from freehold.engine.kernels.graph import Graph
from freehold.engine.kernels.matmul import HEADER_BYTES, Columns
from freehold.engine.kernels.records import BLOCK, Expert, Layer, Matrix, Mixture, Step
from freehold.engine.kernels.step import StepEmitter, column_place
from freehold.engine.kernels.targets import Target


def emit_mixture_step(module: Any, name: str, graph: Graph, target: Target) -> None:
    """(step record, thread), as `emit_step`."""
    _MixtureStep(module, name, graph, target).emit()


class _MixtureStep(StepEmitter):
    def _before_layers(self) -> None:
        self._gather()
        self._experts()
        self._join_experts()

    def _ffn(self, record: Value) -> None:
        e, step, mixture = self.e, self.step, self._mixture()
        router, tokens = e.add(record, 8 * Layer.ROUTER), e.field(step, Step.TOKENS)

        def rows(i: Value) -> None:
            row = e.mul(i, e.lanes)
            self._multiply(router, row, e.field(step, Step.HIDDEN), tokens, self.totals)

            def copy(t: Value) -> None:
                scores = e.add(e.field(mixture, Mixture.SCORES), e.mul(t, e.field(mixture, Mixture.SCORES_PITCH)))
                e.store(self._total(self.totals, t), scores, e.mul(row, 4))

            e.each(tokens, copy)

        self._shared_rows(e.ceil_div(e.field(router, Matrix.ROWS), e.lanes), router, rows)

    def _mixture(self) -> Value:
        return self.e.field(self.step, Step.MIXTURE)

    def _gather(self) -> None:
        e, mixture = self.e, self._mixture()
        source, target = e.field(self.step, Step.HIDDEN), e.field(mixture, Mixture.GATHERED)
        blocks = e.field(e.field(self.step, Step.EMBEDDING), Matrix.BLOCKS)

        def slot(i: Value) -> None:
            token = e.load_index(e.field(mixture, Mixture.TOKEN_OF_SLOT), i)

            def copy(what: Columns, block_bytes: int, count: Value) -> None:
                read, write = column_place(e, source, what, token, 0), column_place(e, target, what, i, 0)
                words = vector(block_bytes // 4, I32)
                e.each(count, lambda j: e.store(e.load(words, read, e.mul(j, block_bytes)), write, e.mul(j, block_bytes)))

            copy(Columns.Q, BLOCK, blocks)
            copy(Columns.HEADERS, HEADER_BYTES, blocks)
            with e.when(e.less(0, e.field(mixture, Mixture.GATHERS_FLOATS))):
                copy(Columns.X, BLOCK, e.mul(blocks, 4))

        self._phase(e.field(mixture, Mixture.SLOTS), slot)

    def _experts(self) -> None:
        """An expert's rows are cut into shares: few experts occupy all threads, many are not cut."""
        e, mixture = self.e, self._mixture()
        shares, groups = e.field(mixture, Mixture.SHARES), e.field(self.step, Step.FFN_GROUPS)
        items = e.mul(e.field(mixture, Mixture.EXPERTS), shares)

        def expert_of(item: Value) -> Value:
            return e.add(e.field(mixture, Mixture.EXPERT_RECORDS), e.mul(e.div(item, shares), 8 * Expert.LENGTH))

        def part(item: Value, units: Value) -> tuple[Value, Value]:
            share = e.builder.urem(item, shares)
            low, high = e.div(e.mul(share, units), shares), e.div(e.mul(e.add(share, 1), units), shares)
            return low, e.sub(high, low)

        def gate_and_up(item: Value) -> None:
            expert = expert_of(item)
            gate, up, hidden, columns = (
                e.add(expert, 8 * place) for place in (Expert.GATE, Expert.UP, Expert.HIDDEN, Expert.FFN)
            )
            low, count = part(item, groups)
            slots = e.field(expert, Expert.SLOTS)
            e.each(count, lambda i: self._ffn_group(gate, up, e.add(low, i), hidden, columns, slots))

        def down(item: Value) -> None:
            expert = expert_of(item)
            matrix, slots, pitch = (
                e.add(expert, 8 * Expert.DOWN),
                e.field(expert, Expert.SLOTS),
                e.field(mixture, Mixture.OUT_PITCH),
            )
            low, count = part(item, e.div(e.field(matrix, Matrix.ROWS), e.lanes))

            def rows(i: Value) -> None:
                row = e.mul(e.add(low, i), e.lanes)
                self._multiply(matrix, row, e.add(expert, 8 * Expert.FFN), slots, self.totals)
                out = e.add(e.field(expert, Expert.OUT), e.mul(row, 4))
                e.each(slots, lambda s: e.store(self._total(self.totals, s), out, e.mul(s, pitch)))

            e.each(count, rows)

        self._phase(items, gate_and_up)
        self._phase(items, down)

    def _join_experts(self) -> None:
        e, step, mixture = self.e, self.step, self._mixture()
        used, blocks = e.field(mixture, Mixture.USED), e.field(e.field(step, Step.EMBEDDING), Matrix.BLOCKS)
        out, pitch = e.field(mixture, Mixture.OUT), e.field(mixture, Mixture.OUT_PITCH)
        width = 4 * e.lanes

        def token(t: Value) -> None:
            first, x = e.mul(t, used), e.add(e.field(step, Step.X), e.mul(t, e.field(step, Step.X_PITCH)))

            def some(i: Value) -> None:
                at = e.mul(i, width)

                def choice(rank: Value, carried: list[Value]) -> list[Value]:
                    pick = e.add(first, rank)
                    slot = e.load_index(e.field(mixture, Mixture.SLOT_OF_PICK), pick)
                    weight = e.splat(e.load(F32, e.field(mixture, Mixture.WEIGHTS), e.mul(pick, 4), align=4))
                    value = e.load(e.floats, out, e.add(e.mul(slot, pitch), at))
                    return [self.target.multiply_add(e, weight, value, carried[0])]

                (total,) = e.loop(used, choice, [e.const(e.floats, 0.0)])
                e.store(e.builder.fadd(e.load(e.floats, x, at), total), x, at)

            e.each(e.mul(blocks, BLOCK // e.lanes), some)

        self._phase(e.select(e.less(0, e.field(mixture, Mixture.JOINS)), e.field(step, Step.TOKENS), 0), token)
