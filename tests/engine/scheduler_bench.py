"""A scheduler over a model that computes in microseconds, for tests of what is scheduled and what comes out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from freehold.core.ports import StepMeter
from freehold.core.watermark import Watermark
from freehold.engine.constraint import Constraint
from freehold.engine.draft import DraftModel
from freehold.engine.gguf import read_header
from freehold.engine.kv_cache import KvCache
from freehold.engine.sampler import Settings
from freehold.engine.scheduler import Limits, Scheduler
from freehold.engine.sequence import Failed, Finished, Grown, Request
from freehold.engine.stops import Piece
from freehold.engine.tokenizer import BpeTokenizer
from freehold.engine.work import ModelWork
from tests.fakes.history_model import HistoryModel
from tests.fakes.tiny_gguf import BytesPrefix, tiny_gguf

TOKENIZER = BpeTokenizer(read_header(BytesPrefix(tiny_gguf()), "tiny").metadata, "tiny")


class Bench:
    """A scheduler over a history model, and what came out of it."""

    def __init__(
        self,
        *,
        pages: int = 40,
        page_table: int = 4,
        end_rate: float = 0.0,
        repeat_rate: float = 0.0,
        draft_model: DraftModel | None = None,
        meter: "Callable[[Bench], StepMeter] | None" = None,
        work: ModelWork | None = None,
        **limits: Any,
    ) -> None:
        chosen = {"context_tokens": 256, "max_sequences": 8, "queue_limit": 16, "prefill_chunk_tokens": 32, "threads": 2} | limits
        self.cache = KvCache(1, 1, 32, pages, chosen["max_sequences"], page_table)
        self.model = HistoryModel(
            self.cache, TOKENIZER.vocabulary, ends=TOKENIZER.end_ids, end_rate=end_rate, repeat_rate=repeat_rate
        )
        self.now_s = 0.0
        told = meter(self) if meter is not None else None
        self.scheduler = Scheduler(self.model, self.cache, TOKENIZER, Limits(**chosen), self.clock, draft_model, told, work)
        self.texts: dict[int, str] = {}
        self.pieces: dict[int, list[Piece]] = {}
        self.ended: dict[int, Finished | Failed] = {}

    def clock(self) -> float:
        self.now_s += 0.25
        return self.now_s

    def submit(
        self,
        number: int,
        prompt: Sequence[int],
        *,
        scope: str | None = None,
        constraint: Constraint | None = None,
        watermark: Watermark | None = None,
        can_wait: bool = False,
        **changes: Any,
    ) -> None:
        values: dict[str, Any] = {"seed": number, "temperature": 1.0, "max_tokens": 20} | changes
        request = Request(
            id=number,
            prompt=tuple(prompt),
            settings=Settings(**values),
            scope=scope,
            constraint=constraint,
            watermark=watermark,
            can_wait=can_wait,
        )
        self.scheduler.submit(request)

    def step(self) -> None:
        for output in self.scheduler.step():
            if isinstance(output, Grown):
                assert output.request not in self.ended
                self.pieces.setdefault(output.request, []).append(output.piece)
                self.texts[output.request] = self.texts.get(output.request, "") + output.piece.text
            else:
                self.ended[output.request] = output

    def run(self) -> None:
        while self.scheduler.stats().running or self.scheduler.stats().waiting:
            self.step()

    def finished(self, number: int) -> Finished:
        found = self.ended[number]
        assert isinstance(found, Finished)
        return found


def prompt(seed: int, size: int) -> list[int]:
    return [int(token) for token in np.random.default_rng(seed).integers(3, 250, size)]


def alone(number: int, size: int, **changes: Any) -> str:
    bench = Bench()
    bench.submit(number, prompt(number, size), **changes)
    bench.run()
    return bench.texts[number]
