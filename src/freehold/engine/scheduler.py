"""Continuous batching: which tokens of which sequences each compute step takes.

One step computes the next token of every running answer, drafts of the tokens after it where they promise more than they cost
(`speculation`), and beside them a chunk of the prompts that are being read in. The chunk is shared evenly among those, so that a
short prompt does not wait behind a long one. Decided here too: who is admitted (by free KV pages), which pages of earlier
sequences a newcomer begins with, who gives way when pages run out (the youngest: its positions are computed again later, with the
same result, as kernels are batch-invariant), that those who can wait give way to all others, and what share of the work each
request is charged.

One thread calls `wait` and `step`; the others are for any thread.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from freehold.core.errors import FreeholdError, InternalError, InvalidRequest, UpstreamUnavailable
from freehold.core.ports import MonotonicClock, PassShare, StepMeter
from freehold.engine.config import MAX_DRAFTS
from freehold.engine.draft import Ask, DraftModel
from freehold.engine.frames import Stats
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache
from freehold.engine.models.llama import Batch
from freehold.engine.sequence import Failed, Finished, Output, Request, Sequence, internal
from freehold.engine.speculation import PassTimes, allot
from freehold.engine.vocabulary import Tokenizer
from freehold.engine.work import ModelWork

log = logging.getLogger("freehold.engine")

LIKELY: Final = 0.5  # a draft by lookup below this chance is left to the draft model, where there is one
FIRST_CHUNK: Final = 64  # prompt tokens of a pass while nobody knows how long one takes
LARGEST_CHUNK: Final = 256  # records.MAX_COLUMNS: a pass takes no more at once
SMALLEST_CHUNK: Final = 16
READING_S: Final = 10.0  # a pass that only reads prompts in may take so long: until it ends, nobody new is seen
PAUSE_S: Final = 0.5  # running answers may wait so much longer for a chunk beside them
WAITING_PASSES: Final = 8  # one of these is of all: an answer that stands still would be given up as dead
STUCK_S: Final = 300.0
STUCK_TIMES: Final = 20.0  # of what a pass of so many columns usually takes
STUCK_UNKNOWN_S: Final = 900.0


class Model(Protocol):
    """A forward pass over a KV cache."""

    def step(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Compute the batch's tokens. Returns (wanted, vocabulary) logits, in batch order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`prefill_chunk_tokens` 0 is chosen by the time that passes take, `max_drafts` 0 is no speculation."""

    context_tokens: int
    max_sequences: int
    queue_limit: int
    prefill_chunk_tokens: int
    threads: int
    max_drafts: int = MAX_DRAFTS


@dataclass(frozen=True, slots=True)
class _Share:
    """What the next step computes of a sequence: its next `count` tokens, and drafts of those after them."""

    sequence: Sequence
    count: int
    drafts: tuple[int, ...] = ()

    @property
    def columns(self) -> int:
        return self.count + len(self.drafts)


class Scheduler:
    def __init__(
        self,
        model: Model,
        cache: KvCache,
        tokenizer: Tokenizer,
        limits: Limits,
        clock: MonotonicClock = time.perf_counter,
        draft_model: DraftModel | None = None,
        meter: StepMeter | None = None,
        work: ModelWork | None = None,
    ) -> None:
        """`meter` is told of each pass, and by `work` how it is shared among its requests: by columns where that is None."""
        if cache.pages * PAGE_POSITIONS < limits.context_tokens:
            raise InternalError(f"{cache.pages} KV pages cannot hold one sequence of {limits.context_tokens} tokens")
        self._model, self._cache, self._tokenizer, self._limits, self._clock = model, cache, tokenizer, limits, clock
        self._changed = threading.Condition()
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []  # in the order of admission
        self._cancelled: set[int] = set()
        self._times = PassTimes()
        self._meter, self._work = meter, work
        self._draft_model = draft_model
        self._prompt_tokens = self._output_tokens = self._cached_tokens = 0
        self._drafted_tokens = self._accepted_tokens = 0
        self._busy_s = 0.0
        self._passed_over = 0  # passes since those that can wait had to
        self._step_begun_s: float | None = None
        self._stuck_after_s = STUCK_UNKNOWN_S
        self._closed = False

    def submit(self, *requests: Request) -> None:
        """All or none. Raises InvalidRequest for a prompt that cannot fit, UpstreamUnavailable when too many wait."""
        sequences = [self._sequence(request) for request in requests]
        with self._changed:
            if len(self._waiting) >= self._limits.queue_limit:
                raise UpstreamUnavailable(
                    f"{len(self._waiting)} requests are waiting already; retry in a moment", retry_after_s=2.0
                )
            self._waiting += sequences
            self._changed.notify()

    def _sequence(self, request: Request) -> Sequence:
        context = self._limits.context_tokens
        if not request.prompt:
            raise InvalidRequest("the prompt is empty: send at least one message with text", param="messages")
        if len(request.prompt) >= context:
            raise InvalidRequest(
                f"the prompt has {len(request.prompt)} tokens; the context of {context} must hold it and the answer: shorten it",
                param="messages",
                code="context_length_exceeded",
            )
        return Sequence(request, self._tokenizer, context, self._clock, self._meter)

    def cancel(self, request: int) -> None:
        """Forget a request, wherever it is; one that has ended is no error. Takes effect before the next step."""
        with self._changed:
            self._cancelled.add(request)
            self._changed.notify()

    def wait(self) -> bool:
        """Until there is something to step, or `close` was called, which makes this False."""
        with self._changed:
            while not (self._closed or self._running or self._waiting or self._cancelled):
                self._changed.wait()
            return not self._closed

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def stats(self) -> Stats:
        """Counts alone; who asks again knows rates."""
        with self._changed:
            return Stats(
                running=len(self._running),
                waiting=len(self._waiting),
                free_pages=self._cache.free_pages,
                pages=self._cache.pages,
                prompt_tokens=self._prompt_tokens,
                output_tokens=self._output_tokens,
                busy_s=self._busy_s,
                cached_tokens=self._cached_tokens,
                drafted_tokens=self._drafted_tokens,
                accepted_tokens=self._accepted_tokens,
                token_s=self._times.single_s or 0.0,
                draft_model_s=self._draft_model.busy_s if self._draft_model is not None else 0.0,
            )

    def step_age_s(self) -> float:
        """How long the step that runs now has been running; 0 between steps."""
        begun_s = self._step_begun_s
        return 0.0 if begun_s is None else self._clock() - begun_s

    @property
    def is_stuck(self) -> bool:
        """A step has run for so long that it will not end."""
        return self.step_age_s() > self._stuck_after_s

    def step(self) -> list[Output]:
        """One pass over the weights. Returns what has come of it; nothing where there was nothing to do."""
        self._step_begun_s = self._clock()
        try:
            return self._step(self._step_begun_s)
        finally:
            self._step_begun_s = None

    def _step(self, begun_s: float) -> list[Output]:
        with self._changed:
            self._drop_cancelled()
            self._admit()
            shares = self._shares()
        if not shares:
            return []
        shares = self._with_drafts(shares)
        for share in shares:
            share.sequence.started_s = begun_s if share.sequence.started_s is None else share.sequence.started_s
        self._stuck_after_s = self._patience_s(sum(share.columns for share in shares))
        if self._meter is not None:
            self._meter.begin_pass()
        passed_s = self._clock()
        try:
            logits = self._model.step(_batch(shares))
        except Exception as exc:  # the batch is lost, the engine is not
            if self._meter is not None:
                self._meter.end_pass((), self._clock() - begun_s, self._limits.threads)
            return self._fail_all(shares, exc)
        ended_s = self._clock()
        self._times.note(sum(share.columns for share in shares), ended_s - passed_s)
        self._charge(shares, ended_s - begun_s)
        outputs: list[Output] = []
        rows = iter(logits)
        for share in shares:
            outputs += self._advance(share, rows)
        self._retire({output.request for output in outputs if isinstance(output, (Finished, Failed))})
        return outputs

    def _patience_s(self, columns: int) -> float:
        """A pass over weights that are read from a slow disk takes a minute and more, so its own kind says what is long."""
        if not self._times.is_known:
            return STUCK_UNKNOWN_S
        return max(STUCK_S, STUCK_TIMES * max(self._times.longest_s, self._times.expected(columns)))

    # ---- who runs -------------------------------------------------------------------------------------------

    def _drop_cancelled(self) -> None:
        for sequence in [sequence for sequence in self._running if sequence.request.id in self._cancelled]:
            self._release(sequence)
        self._waiting = deque(sequence for sequence in self._waiting if sequence.request.id not in self._cancelled)
        self._forget(self._cancelled)
        self._cancelled.clear()

    def _admit(self) -> None:
        """In order of arrival, those that can wait last. One page for each that runs stays free: no newcomer goes at once.

        Who begins like a prompt that is being read in right now waits for its pages instead of computing them as well; who cannot
        wait does so only for another who cannot.
        """
        if not self._waiting:
            return
        urgent = {digest for running in self._running if not running.request.can_wait for digest in running.coming}
        coming = urgent.union(digest for running in self._running for digest in running.coming)
        for sequence in sorted(self._waiting, key=lambda waiting: waiting.request.can_wait):
            # The last token is computed in any case: its logits choose the next one.
            digests = sequence.digests((len(sequence.tokens) - 1) // PAGE_POSITIONS)
            pages = self._cache.found(digests)
            if len(pages) < len(digests) and digests[len(pages)] in (coming if sequence.request.can_wait else urgent):
                continue
            while not self._has_room(sequence, pages):
                if not self._turn_out_for(sequence):
                    return
                pages = self._cache.found(digests)
            self._waiting.remove(sequence)
            self._begin(sequence, pages)
            coming.update(sequence.coming)
            if not sequence.request.can_wait:
                urgent.update(sequence.coming)

    def _has_room(self, sequence: Sequence, pages: list[int]) -> bool:
        """Whether a newcomer fits that begins with these pages."""
        if not self._cache.free_sequences or len(self._running) == self._limits.max_sequences:
            return False
        needed = -(-len(sequence.tokens) // PAGE_POSITIONS) - len(pages) + self._cache.idle_among(pages)
        return needed + len(self._running) <= self._cache.free_pages

    def _turn_out_for(self, newcomer: Sequence) -> bool:
        """Whether the youngest of those that can wait has made room for one that cannot."""
        youngest = next((running for running in reversed(self._running) if running.request.can_wait), None)
        if newcomer.request.can_wait or youngest is None:
            return False
        self._turn_out(youngest)
        return True

    def _turn_out(self, sequence: Sequence) -> None:
        """It waits again. Its positions are computed again later, with the same result."""
        self._release(sequence)
        sequence.computed = 0
        self._waiting.appendleft(sequence)

    def _begin(self, sequence: Sequence, pages: list[int]) -> None:
        sequence.slot = self._cache.open(pages)
        sequence.computed, sequence.kept_pages = len(pages) * PAGE_POSITIONS, len(pages)
        if sequence.cached_tokens is None:
            sequence.cached_tokens = sequence.computed
            self._cached_tokens += sequence.computed
        self._cache.reserve(sequence.slot, len(sequence.tokens))
        self._running.append(sequence)

    # ---- what the next step computes ------------------------------------------------------------------------

    def _shares(self) -> list[_Share]:
        turn = self._in_turn()
        for sequence in turn:
            if sequence.slot is not None and sequence.left == 1:
                self._make_room(sequence)
        turn = [sequence for sequence in turn if sequence.slot is not None]
        answering = [sequence for sequence in turn if sequence.left == 1]
        chunks = self._chunks([sequence for sequence in turn if sequence.left > 1], len(answering))
        return [_Share(sequence, 1) for sequence in answering] + chunks

    def _in_turn(self) -> list[Sequence]:
        """Those that cannot wait have the passes to themselves, but for one in so many."""
        urgent = [sequence for sequence in self._running if not sequence.request.can_wait]
        self._passed_over = self._passed_over + 1 if 0 < len(urgent) < len(self._running) else 0
        if self._passed_over % WAITING_PASSES == 0:
            return list(self._running)
        return urgent

    def _chunks(self, reading: list[Sequence], answering: int) -> list[_Share]:
        """The shortest first; what it leaves of its share goes to the others."""
        reading.sort(key=lambda sequence: sequence.left)
        budget = self._chunk_tokens(answering) if reading else 0
        chunks = []
        for i, sequence in enumerate(reading):
            count = min(sequence.left, -(-budget // (len(reading) - i)))
            if count > 0:
                chunks.append(_Share(sequence, count))
                budget -= count
        return chunks

    def _chunk_tokens(self, answering: int) -> int:
        if self._limits.prefill_chunk_tokens:
            return self._limits.prefill_chunk_tokens
        if not self._times.is_known:
            return FIRST_CHUNK
        if answering:
            alone_s = self._times.expected(answering)
            limit_s = alone_s + max(PAUSE_S, alone_s)
        else:
            limit_s = max(READING_S, 2 * self._times.expected(1))
        size = LARGEST_CHUNK
        while size > SMALLEST_CHUNK and self._times.expected(answering + size) > limit_s:
            size //= 2
        return min(size, LARGEST_CHUNK - min(answering, LARGEST_CHUNK // 2))

    def _with_drafts(self, shares: list[_Share]) -> list[_Share]:
        """The same, and for each answer the drafts that are worth a column, as far as its pages go."""
        answers = [share.sequence for share in shares if share.sequence.left == 1]  # these come first
        if not self._limits.max_drafts or not answers:
            return shares
        columns = sum(share.columns for share in shares)
        likely = [self._likely(sequence) for sequence in answers]
        if self._draft_model is not None:
            self._look_ahead(self._draft_model, answers, likely, columns)
        counts = allot([[chance for _, chance in row] for row in likely], columns, self._times)
        drafted = [
            _Share(sequence, 1, tuple(token for token, _ in row[: self._backed(sequence, count)]))
            for sequence, row, count in zip(answers, likely, counts, strict=True)
        ]
        return drafted + shares[len(answers) :]

    def _likely(self, sequence: Sequence) -> list[tuple[int, float]]:
        """An answer does without drafts where looking for them fails: whatever is wrong with its form is told when it chooses."""
        try:
            return sequence.likely(self._limits.max_drafts)
        except Exception:
            log.exception("engine_lookup_failed")
            return []

    def _look_ahead(
        self, draft_model: DraftModel, answers: list[Sequence], likely: list[list[tuple[int, float]]], columns: int
    ) -> None:
        """Put the small model's drafts where the lookup has none that are likely."""
        places = [i for i, row in enumerate(likely) if not row or row[0][1] < LIKELY]
        asks = [
            Ask(request=answers[i].request.id, tokens=answers[i].tokens, room=min(answers[i].room, self._limits.max_drafts + 1))
            for i in places
        ]
        try:
            found = draft_model.propose(asks, columns, self._times)
        except Exception:  # answers do without
            log.exception("engine_draft_model_failed")
            self._draft_model = None
            return
        for i, row in zip(places, found, strict=True):
            likely[i] = row or likely[i]

    def _backed(self, sequence: Sequence, drafts: int) -> int:
        """How many drafts have pages. Another page is taken for them only while there is one for each that runs."""
        assert sequence.slot is not None
        positions = len(sequence.tokens) + drafts
        if self._cache.pages_needed(sequence.slot, positions) and self._cache.free_pages > len(self._running):
            self._cache.reserve(sequence.slot, positions)
        return min(drafts, self._cache.positions_held(sequence.slot) - len(sequence.tokens))

    def _make_room(self, sequence: Sequence) -> None:
        """Back the sequence's next position with a page, if need be by turning out the youngest, those that can wait first."""
        while sequence.slot is not None:
            if self._cache.pages_needed(sequence.slot, len(sequence.tokens)) <= self._cache.free_pages:
                self._cache.reserve(sequence.slot, len(sequence.tokens))
                return
            waiting = [running for running in self._running if running.request.can_wait]
            self._turn_out((waiting or self._running)[-1])

    # ---- what has come of it --------------------------------------------------------------------------------

    def _advance(self, share: _Share, rows: Iterable[npt.NDArray[np.float32]]) -> list[Output]:
        sequence, outputs = share.sequence, list[Output]()
        sequence.computed += share.count
        if sequence.left == 0:
            before = sequence.outputs
            outputs = sequence.advance(list(islice(rows, 1 + len(share.drafts))), share.drafts)
            right = max(0, sequence.outputs - before - 1)
            with self._changed:
                self._output_tokens += sequence.outputs - before
                self._drafted_tokens += len(share.drafts)
                self._accepted_tokens += right
        self._keep(sequence)
        return outputs

    def _keep(self, sequence: Sequence) -> None:
        """Let others share the pages that are full now."""
        if sequence.slot is None:
            return
        full = sequence.computed // PAGE_POSITIONS
        for number, digest in enumerate(sequence.digests(full)[sequence.kept_pages :], sequence.kept_pages):
            self._cache.keep(sequence.slot, number, digest)
        sequence.kept_pages = full

    def _charge(self, shares: list[_Share], spent_s: float) -> None:
        """Split the step's thread-seconds by columns; the shares add up to the whole."""
        columns = sum(share.columns for share in shares)
        for share in shares:
            share.sequence.compute_s += spent_s * self._limits.threads * share.columns / columns
        if self._meter is not None:
            self._meter.end_pass(self._worked(shares), spent_s, self._limits.threads)
        with self._changed:
            self._busy_s += spent_s
            self._prompt_tokens += sum(share.count for share in shares if share.sequence.outputs == 0)

    def _worked(self, shares: list[_Share]) -> list[PassShare]:
        work = self._work
        if work is None:
            return [PassShare(share.sequence.request.id, share.columns, share.columns) for share in shares]
        flops_per_byte = work.flops_per_byte(self._times)
        return [
            PassShare(
                share.sequence.request.id,
                work.of(len(shares), share.sequence.computed + share.columns, share.columns, flops_per_byte),
                share.columns,
            )
            for share in shares
        ]

    def _retire(self, ended: set[int]) -> None:
        with self._changed:
            for sequence in [sequence for sequence in self._running if sequence.request.id in ended]:
                self._release(sequence)
        self._forget(ended)

    def _forget(self, requests: set[int]) -> None:
        """What they took and were not told is nobody's."""
        if self._meter is not None:
            for request in requests:
                self._meter.forget(request)

    def _release(self, sequence: Sequence) -> None:
        if sequence.slot is not None:
            self._cache.free(sequence.slot)
            sequence.slot = None
        if self._draft_model is not None:
            self._draft_model.forget(sequence.request.id)
        self._running.remove(sequence)

    def _fail_all(self, shares: list[_Share], cause: Exception) -> list[Output]:
        """Nothing that this step wrote is read again: what it began is thrown away with its sequences."""
        error = cause if isinstance(cause, FreeholdError) else internal(cause)
        failed = {share.sequence.request.id for share in shares}
        self._retire(failed)
        return [Failed(request=request, error=error) for request in failed]


def _batch(shares: list[_Share]) -> Batch:
    """The tokens of each share, and logits for those after which something is chosen."""
    tokens: list[int] = []
    positions: list[int] = []
    sequences: list[int] = []
    wanted: list[bool] = []
    for share in shares:
        sequence, start = share.sequence, share.sequence.computed
        assert sequence.slot is not None
        end = start + share.count
        tokens += [*sequence.tokens[start:end], *share.drafts]
        positions += range(start, start + share.columns)
        sequences += [sequence.slot] * share.columns
        wanted += [False] * (share.count - 1) + [end == len(sequence.tokens)] + [True] * len(share.drafts)
    return Batch(
        tokens=np.array(tokens, np.int32),
        positions=np.array(positions, np.int32),
        sequences=np.array(sequences, np.int32),
        wants_logits=np.array(wanted, np.bool_),
    )
