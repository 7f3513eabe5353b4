"""One request on its way through the engine: its tokens, and what each newly chosen one means for the answer.

Decided here: how a row of logits becomes a token and a piece of text, when an answer ends, and what a request is told. Which
sequence is computed when is the scheduler's.
"""

from collections.abc import Sequence as Rows
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, TypeAlias

import numpy as np

from freehold.core.errors import FreeholdError, InternalError
from freehold.core.events import FinishReason, TokenLogprob, Worked
from freehold.core.measurement import Metered
from freehold.core.ports import MonotonicClock, StepMeter
from freehold.core.watermark import Watermark
from freehold.engine.constraint import Constraint
from freehold.engine.kv_cache import PAGE_POSITIONS
from freehold.engine.sampler import Chosen, Floats, Sampler, Settings
from freehold.engine.speculation import Lookup
from freehold.engine.stops import Piece, StopFilter
from freehold.engine.tokenizer import Detokenizer
from freehold.engine.vocabulary import Tokenizer

FORCED: Final = 0.95  # chance that a token that a form forces is cut as the tokenizer would cut it


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`scope` names those who may share the pages of equal prompts with each other; None shares with nobody.

    `shown` are control tokens whose text is written into the answer: others stand for nothing. One that `can_wait` gives way to
    those that cannot.
    """

    id: int
    prompt: tuple[int, ...] = field(repr=False)
    settings: Settings
    scope: str | None = None
    constraint: Constraint | None = field(repr=False, default=None)
    shown: frozenset[int] = frozenset()
    watermark: Watermark | None = None
    can_wait: bool = False


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
    cached_tokens: int = 0  # of the input tokens, those whose keys and values were there already
    tokens: tuple[int, ...] = field(repr=False, default=())  # all that were chosen, an end token included


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    request: int
    error: FreeholdError


Output: TypeAlias = Grown | Finished | Failed


class Sequence:
    """`tokens[:computed]` have keys and values in the cache."""

    def __init__(
        self, request: Request, tokenizer: Tokenizer, context_tokens: int, clock: MonotonicClock, meter: StepMeter | None = None
    ) -> None:
        self.request = request
        self.tokens = list(request.prompt)
        self.computed = 0
        self.slot: int | None = None
        self.outputs = 0
        self.cached_tokens: int | None = None  # None until it is admitted
        self.kept_pages = 0  # of its pages, those that were offered to others
        self.compute_s = 0.0
        self.started_s: float | None = None
        self.first_token_s: float | None = None
        self._meter = meter
        self._tokenizer, self._context_tokens, self._clock = tokenizer, context_tokens, clock
        self._sampler = Sampler(request.settings, request.prompt, tokenizer.vocabulary, request.watermark)
        self._detokenizer = Detokenizer(tokenizer)
        self._stops = StopFilter(request.settings.stop)
        self._digests: list[bytes] = []
        self._lookup: Lookup | None = None

    @property
    def left(self) -> int:
        """Tokens still to compute: 1 while the answer runs, more while the prompt is read in."""
        return len(self.tokens) - self.computed

    @property
    def room(self) -> int:
        """Tokens that the answer can still grow by."""
        most = self._context_tokens - len(self.tokens)
        limit = self.request.settings.max_tokens
        return most if limit is None else min(most, limit - self.outputs)

    def worked(self, now_s: float, metered: Metered | None = None) -> Worked:
        started = self.started_s if self.started_s is not None else now_s
        first = self.first_token_s if self.first_token_s is not None else now_s
        return Worked(compute_s=self.compute_s, prefill_s=first - started, decode_s=now_s - first, metered=metered)

    # ---- what is known of it beforehand ---------------------------------------------------------------------

    def digests(self, pages: int) -> list[bytes]:
        """Of its first `pages` whole pages of tokens, each with all before it and the scope; none where nothing is shared."""
        if self.request.scope is None:
            return []
        while len(self._digests) < pages:
            start = PAGE_POSITIONS * len(self._digests)
            before = self._digests[-1] if self._digests else _digest(self.request.scope.encode())
            self._digests.append(_digest(before + np.array(self.tokens[start : start + PAGE_POSITIONS], "<u4").tobytes()))
        return self._digests[:pages]

    @property
    def coming(self) -> list[bytes]:
        """Digests of the pages that it will have computed once its prompt is read in."""
        return self.digests(len(self.tokens) // PAGE_POSITIONS)[self.computed // PAGE_POSITIONS :] if self.left > 1 else []

    def likely(self, count: int) -> list[tuple[int, float]]:
        """Up to `count` tokens that may come next, with their chances. Nothing beyond an end of the answer.

        First what the form asked of it leaves no choice about, else by prompt lookup.
        """
        if self._lookup is None:
            self._lookup = Lookup(self.tokens)
        count = min(count, self.room - 1)
        forced = self.request.constraint.forced()[:count] if self.request.constraint is not None and count > 0 else ()
        drafts = [(token, FORCED ** (i + 1)) for i, token in enumerate(forced)] or self._lookup.propose(count)
        ends = [i for i, (token, _) in enumerate(drafts) if token in self._tokenizer.end_ids]
        return drafts[: ends[0]] if ends else drafts

    # ---- its answer -----------------------------------------------------------------------------------------

    def advance(self, rows: Rows[Floats], drafts: Rows[int]) -> list[Output]:
        """Choose a token from each row of logits, as long as the one before it was as drafted. `rows` are one more than `drafts`.

        A draft that stands has its keys and values already. An error here is this request's alone.
        """
        outputs: list[Output] = []
        try:
            for i, logits in enumerate(rows):
                taken = self._take(self._choose(logits))
                outputs += taken
                if taken and isinstance(taken[-1], Finished):
                    break
                if i == len(drafts) or self.tokens[-1] != drafts[i]:
                    break
                self.computed += 1
        except FreeholdError as exc:
            outputs.append(Failed(request=self.request.id, error=exc))
        except Exception as exc:
            outputs.append(Failed(request=self.request.id, error=internal(exc)))
        return outputs

    def _choose(self, logits: Floats) -> Chosen:
        constraint = self.request.constraint
        chosen = self._sampler.choose(logits, constraint.mask() if constraint is not None else None)
        if constraint is not None:
            constraint.accept(chosen.token)
        return chosen

    def _take(self, chosen: Chosen) -> list[Output]:
        self.tokens.append(chosen.token)
        self.outputs += 1
        if self._lookup is not None:
            self._lookup.receive(chosen.token)
        self.first_token_s = self._clock() if self.first_token_s is None else self.first_token_s
        pieces = []
        is_end = chosen.token in self._tokenizer.end_ids
        if not is_end:
            pieces.append(self._stops.receive(self._text(chosen.token), self._logprob(chosen)))
        reason = FinishReason.STOP if is_end else self._reason()
        if reason is not None and not self._stops.stopped:
            if rest := self._detokenizer.close():
                pieces.append(self._stops.receive(rest))
            if not self._stops.stopped:
                pieces.append(self._stops.close())
        worked = self.worked(self._clock(), self._meter.so_far(self.request.id) if self._meter is not None else None)
        outputs: list[Output] = [
            Grown(request=self.request.id, piece=piece, worked=worked) for piece in pieces if piece.text or piece.logprobs
        ]
        if reason is not None:
            outputs.append(self._finished(reason))
        return outputs

    def _reason(self) -> FinishReason | None:
        """Why the answer ends with the token just taken, if it does."""
        constraint = self.request.constraint
        if self._stops.stopped or (constraint is not None and constraint.is_over):
            return FinishReason.STOP
        return FinishReason.LENGTH if self.room == 0 else None

    def _text(self, token: int) -> str:
        if token in self.request.shown:
            return self._detokenizer.close() + self._tokenizer.text_of(token)
        return self._detokenizer.receive(token)

    def _finished(self, reason: FinishReason) -> Finished:
        return Finished(
            request=self.request.id,
            reason=reason,
            input_tokens=len(self.request.prompt),
            output_tokens=self.outputs,
            worked=self.worked(self._clock(), self._meter.settle(self.request.id) if self._meter is not None else None),
            cached_tokens=self.cached_tokens or 0,
            tokens=tuple(self.tokens[len(self.request.prompt) :]),
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


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=32).digest()


def internal(cause: Exception) -> InternalError:
    error = InternalError(f"the engine failed on this request with {type(cause).__name__}; the log has the details")
    error.__cause__ = cause
    return error
