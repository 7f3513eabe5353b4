"""A model whose logits are a hash of the sequence's own past, kept in the pages of a real KV cache.

It computes in microseconds, and any mistake in pages, positions or order gives other logits.
"""

import threading
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache
from freehold.engine.models.llama import Batch


class HistoryModel:
    """Implements `scheduler.Model`. `end_rate` is how often, roughly, an end token is by far the likeliest.

    `repeat_rate` is how often the token of `PERIOD` places before is.
    """

    PERIOD = 9

    def __init__(
        self,
        cache: KvCache,
        vocabulary: int,
        *,
        ends: frozenset[int] = frozenset(),
        end_rate: float = 0.0,
        repeat_rate: float = 0.0,
    ) -> None:
        self._cache, self._vocabulary, self._ends, self._end_rate = cache, vocabulary, sorted(ends), end_rate
        self._repeat_rate = repeat_rate
        self._tokens = np.full((cache.pages, PAGE_POSITIONS), -1, np.int32)
        self.batches: list[Batch] = []
        self.may_step = threading.Event()
        self.may_step.set()

    def step(self, batch: Batch) -> npt.NDArray[np.float32]:
        self.may_step.wait()
        self.batches.append(batch)
        rows: list[Any] = []
        for token, position, slot, wants in zip(batch.tokens, batch.positions, batch.sequences, batch.wants_logits, strict=True):
            assert position < self._cache.positions_held(int(slot))
            table = self._cache.block_tables[slot]
            self._tokens[table[position // PAGE_POSITIONS], position % PAGE_POSITIONS] = token
            if wants:
                past = self._tokens[table[: position // PAGE_POSITIONS + 1]].reshape(-1)[: position + 1]
                rows.append(self.logits(past))
        return np.array(rows, np.float32).reshape(len(rows), self._vocabulary)

    def logits(self, past: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        rng = np.random.default_rng(int.from_bytes(blake2b(past.tobytes(), digest_size=8).digest(), "little"))
        logits = rng.standard_normal(self._vocabulary) * 4
        logits[self._ends] = -100.0
        if self._ends and rng.random() < self._end_rate:
            logits[self._ends[-1]] = 100.0
        if len(past) >= self.PERIOD and rng.random() < self._repeat_rate:
            logits[past[-self.PERIOD]] = 60.0
        return logits
