"""Continuous batching: which tokens of which sequences each compute step takes.

One step computes the next token of every running answer, and beside them a chunk of the prompts that are being read in. The chunk
is shared evenly among those, so that a short prompt does not wait behind a long one. Decided here too: who is admitted (by
free KV pages), who gives way when pages run out (the youngest: its positions are computed again later, with the same result, as
kernels are batch-invariant), and what share of the work each request is charged.

One thread calls `wait` and `step`; the others are for any thread.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from freehold.core.errors import FreeholdError, InternalError, InvalidRequest, UpstreamUnavailable
from freehold.core.events import FinishReason, TokenLogprob, Worked
from freehold.core.ports import MonotonicClock
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache
from freehold.engine.models import Batch
from freehold.engine.sampler import Chosen, Sampler, Settings
from freehold.engine.stops import Piece, StopFilter
from freehold.engine.tokenizer import BpeTokenizer, Detokenizer


class Model(Protocol):
    """A forward pass over a KV cache."""

    def step(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Compute the batch's tokens. Returns (wanted, vocabulary) logits, in batch order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    context_tokens: int
    max_sequences: int
    queue_limit: int
    prefill_chunk_tokens: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    id: int
    prompt: tuple[int, ...] = field(repr=False)
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A request's answer has grown by a piece, and has cost `worked` up to here."""

    request: int
    piece: Piece
    worked: Worked


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    request: int
    reason: FinishReason
    input_tokens: int
    output_tokens: int
    worked: Worked


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    request: int
    error: FreeholdError


Output: TypeAlias = Grown | Finished | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerStats:
    running: int
    waiting: int
    free_pages: int
    pages: int
    prompt_tokens: int  # computed since the start
    output_tokens: int
    busy_s: float


class _Sequence:
    """One request on its way. `tokens[:computed]` have keys and values in the cache."""

    def __init__(self, request: Request, tokenizer: BpeTokenizer) -> None:
        self.request = request
        self.tokens = list(request.prompt)
        self.computed = 0
        self.slot: int | None = None
        self.outputs = 0
        self.sampler = Sampler(request.settings, request.prompt, tokenizer.vocabulary)
        self.detokenizer = Detokenizer(tokenizer)
        self.stops = StopFilter(request.settings.stop)
        self.compute_s = 0.0
        self.started_s: float | None = None
        self.first_token_s: float | None = None

    @property
    def left(self) -> int:
        """Tokens still to compute: 1 while the answer runs, more while the prompt is read in."""
        return len(self.tokens) - self.computed

    def worked(self, now_s: float) -> Worked:
        started = self.started_s if self.started_s is not None else now_s
        first = self.first_token_s if self.first_token_s is not None else now_s
        return Worked(compute_s=self.compute_s, prefill_s=first - started, decode_s=now_s - first)


class Scheduler:
    def __init__(
        self, model: Model, cache: KvCache, tokenizer: BpeTokenizer, limits: Limits, clock: MonotonicClock = time.perf_counter
    ) -> None:
        if cache.pages * PAGE_POSITIONS < limits.context_tokens:
            raise InternalError(f"{cache.pages} KV pages cannot hold one sequence of {limits.context_tokens} tokens")
        self._model, self._cache, self._tokenizer, self._limits, self._clock = model, cache, tokenizer, limits, clock
        self._changed = threading.Condition()
        self._waiting: deque[_Sequence] = deque()
        self._running: list[_Sequence] = []  # in the order of admission
        self._cancelled: set[int] = set()
        self._prompt_tokens = self._output_tokens = 0
        self._busy_s = 0.0
        self._step_begun_s: float | None = None
        self._closed = False

    def submit(self, request: Request) -> None:
        """Raises InvalidRequest for a prompt that cannot fit, UpstreamUnavailable when too many wait."""
        context = self._limits.context_tokens
        if not request.prompt:
            raise InvalidRequest("the prompt is empty: send at least one message with text", param="messages")
        if len(request.prompt) >= context:
            raise InvalidRequest(
                f"the prompt has {len(request.prompt)} tokens; the context of {context} must hold it and the answer: shorten it",
                param="messages",
                code="context_length_exceeded",
            )
        sequence = _Sequence(request, self._tokenizer)
        with self._changed:
            if len(self._waiting) >= self._limits.queue_limit:
                raise UpstreamUnavailable(
                    f"{len(self._waiting)} requests are waiting already; retry in a moment", retry_after_s=2.0
                )
            self._waiting.append(sequence)
            self._changed.notify()

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

    def stats(self) -> SchedulerStats:
        with self._changed:
            return SchedulerStats(
                running=len(self._running),
                waiting=len(self._waiting),
                free_pages=self._cache.free_pages,
                pages=self._cache.pages,
                prompt_tokens=self._prompt_tokens,
                output_tokens=self._output_tokens,
                busy_s=self._busy_s,
            )

    def step_age_s(self) -> float:
        """How long the step that runs now has been running; 0 between steps."""
        begun_s = self._step_begun_s
        return 0.0 if begun_s is None else self._clock() - begun_s

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
        for sequence, _ in shares:
            sequence.started_s = begun_s if sequence.started_s is None else sequence.started_s
        try:
            logits = self._model.step(_batch(shares))
        except Exception as exc:  # the batch is lost, the engine is not
            return self._fail_all(shares, exc)
        self._charge(shares, self._clock() - begun_s)
        outputs: list[Output] = []
        rows = iter(logits)
        for sequence, count in shares:
            sequence.computed += count
            if sequence.left == 0:
                outputs += self._advance(sequence, next(rows))
        self._retire({output.request for output in outputs if isinstance(output, (Finished, Failed))})
        return outputs

    def _drop_cancelled(self) -> None:
        for sequence in [sequence for sequence in self._running if sequence.request.id in self._cancelled]:
            self._release(sequence)
        self._waiting = deque(sequence for sequence in self._waiting if sequence.request.id not in self._cancelled)
        self._cancelled.clear()

    def _admit(self) -> None:
        """In order of arrival. One page for each running sequence stays free, so that a newcomer is not turned out at once."""
        while self._waiting and self._cache.free_sequences and len(self._running) < self._limits.max_sequences:
            sequence = self._waiting[0]
            pages = -(-len(sequence.tokens) // PAGE_POSITIONS)
            if pages + len(self._running) > self._cache.free_pages:
                return
            self._waiting.popleft()
            sequence.slot = self._cache.open()
            self._cache.reserve(sequence.slot, len(sequence.tokens))
            self._running.append(sequence)

    def _shares(self) -> list[tuple[_Sequence, int]]:
        """How many tokens of each running sequence the next step computes."""
        for sequence in list(self._running):
            if sequence.left == 1:
                self._make_room(sequence)
        answering = [(sequence, 1) for sequence in self._running if sequence.left == 1]
        reading = sorted((sequence for sequence in self._running if sequence.left > 1), key=lambda sequence: sequence.left)
        budget = self._limits.prefill_chunk_tokens
        chunks = []
        for i, sequence in enumerate(reading):
            share = min(sequence.left, -(-budget // (len(reading) - i)))
            if share > 0:
                chunks.append((sequence, share))
                budget -= share
        return answering + chunks

    def _make_room(self, sequence: _Sequence) -> None:
        """Back the sequence's next position with a page, if need be by turning out the youngest."""
        while sequence.slot is not None:
            if self._cache.pages_needed(sequence.slot, len(sequence.tokens)) <= self._cache.free_pages:
                self._cache.reserve(sequence.slot, len(sequence.tokens))
                return
            youngest = self._running[-1]
            self._release(youngest)
            youngest.computed = 0
            self._waiting.appendleft(youngest)

    def _advance(self, sequence: _Sequence, logits: npt.NDArray[np.float32]) -> list[Output]:
        """Choose the next token and see what it means. An error here is this request's alone."""
        try:
            return self._take(sequence, sequence.sampler.choose(logits))
        except FreeholdError as exc:
            return [Failed(request=sequence.request.id, error=exc)]
        except Exception as exc:
            return [Failed(request=sequence.request.id, error=_internal(exc))]

    def _take(self, sequence: _Sequence, chosen: Chosen) -> list[Output]:
        request = sequence.request
        sequence.tokens.append(chosen.token)
        sequence.outputs += 1
        sequence.first_token_s = self._clock() if sequence.first_token_s is None else sequence.first_token_s
        pieces = []
        reason: FinishReason | None = None
        if chosen.token in self._tokenizer.end_ids:
            reason = FinishReason.STOP
        else:
            pieces.append(sequence.stops.receive(sequence.detokenizer.receive(chosen.token), self._logprob(chosen)))
            if sequence.stops.stopped:
                reason = FinishReason.STOP
            elif sequence.outputs == request.settings.max_tokens or len(sequence.tokens) == self._limits.context_tokens:
                reason = FinishReason.LENGTH
        if reason is not None and not sequence.stops.stopped:
            if rest := sequence.detokenizer.close():
                pieces.append(sequence.stops.receive(rest))
            if not sequence.stops.stopped:
                pieces.append(sequence.stops.close())
        worked = sequence.worked(self._clock())
        outputs: list[Output] = [
            Grown(request=request.id, piece=piece, worked=worked) for piece in pieces if piece.text or piece.logprobs
        ]
        if reason is not None:
            outputs.append(self._finished(sequence, reason))
        return outputs

    def _finished(self, sequence: _Sequence, reason: FinishReason) -> Finished:
        return Finished(
            request=sequence.request.id,
            reason=reason,
            input_tokens=len(sequence.request.prompt),
            output_tokens=sequence.outputs,
            worked=sequence.worked(self._clock()),
        )

    def _logprob(self, chosen: Chosen) -> TokenLogprob | None:
        if chosen.logprob is None:
            return None
        text = self._tokenizer.token_bytes
        return TokenLogprob(
            token=text(chosen.token).decode(errors="replace"),
            token_bytes=text(chosen.token),
            logprob=chosen.logprob,
            top=tuple((text(token).decode(errors="replace"), text(token), value) for token, value in chosen.top),
        )

    def _charge(self, shares: Sequence[tuple[_Sequence, int]], spent_s: float) -> None:
        """Split the step's thread-seconds by tokens; the shares add up to the whole."""
        tokens = sum(count for _, count in shares)
        for sequence, count in shares:
            sequence.compute_s += spent_s * self._limits.threads * count / tokens
        with self._changed:
            self._busy_s += spent_s
            self._prompt_tokens += sum(count for sequence, count in shares if sequence.outputs == 0)
            self._output_tokens += sum(sequence.left == count for sequence, count in shares)

    def _retire(self, ended: set[int]) -> None:
        with self._changed:
            for sequence in [sequence for sequence in self._running if sequence.request.id in ended]:
                self._release(sequence)

    def _release(self, sequence: _Sequence) -> None:
        if sequence.slot is not None:
            self._cache.free(sequence.slot)
            sequence.slot = None
        self._running.remove(sequence)

    def _fail_all(self, shares: Sequence[tuple[_Sequence, int]], cause: Exception) -> list[Output]:
        error = cause if isinstance(cause, FreeholdError) else _internal(cause)
        self._retire({sequence.request.id for sequence, _ in shares})
        return [Failed(request=sequence.request.id, error=error) for sequence, _ in shares]


def _batch(shares: Sequence[tuple[_Sequence, int]]) -> Batch:
    """The next `count` tokens of each sequence, and logits for those that complete what is known of theirs."""
    tokens: list[int] = []
    positions: list[int] = []
    sequences: list[int] = []
    wanted: list[bool] = []
    for sequence, count in shares:
        assert sequence.slot is not None
        end = sequence.computed + count
        tokens += sequence.tokens[sequence.computed : end]
        positions += range(sequence.computed, end)
        sequences += [sequence.slot] * count
        wanted += [False] * (count - 1) + [end == len(sequence.tokens)]
    return Batch(
        tokens=np.array(tokens, np.int32),
        positions=np.array(positions, np.int32),
        sequences=np.array(sequences, np.int32),
        wants_logits=np.array(wanted, np.bool_),
    )


def _internal(cause: Exception) -> InternalError:
    error = InternalError(f"the engine failed on this request with {type(cause).__name__}; the log has the details")
    error.__cause__ = cause
    return error
