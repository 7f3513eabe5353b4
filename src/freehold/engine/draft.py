"""Drafts by a small model of the same vocabulary, for answers that repeat nothing.

Decided here: how far it looks ahead, and whether it is asked at all. Its passes are time that the large model does not get, so it
is used while (tokens a pass) / (time of drafting and pass) is above what the large model does alone, by what was measured of
both; an answer whose drafts are mostly wrong is left alone for a while, and for longer each time. Whether a draft stands is
decided where all drafts are judged: by what the large model's sampler drew.

The small model keeps keys and values of its own. A sequence's are dropped when it ends, and when pages are needed: they
can be computed again.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from freehold.core.errors import UnsupportedArtefact
from freehold.core.ports import MonotonicClock
from freehold.engine.kv_cache import KvCache
from freehold.engine.models.llama import Batch
from freehold.engine.speculation import PASS_COLUMNS, WORTH, PassTimes
from freehold.engine.vocabulary import Tokenizer

PADDING: Final = 1024  # rows by which models of one family and different sizes differ: Qwen 2.5 by 128
LONGEST: Final = 8  # drafts of one answer in one pass
FIRST_GUESS: Final = 0.7  # chance that a draft is right, before any was judged
_MEMORY: Final = 0.9  # of what was judged, a draft later
_WEIGHT: Final = 4.0  # drafts that outweigh the first guess
_PAUSE_TOKENS: Final = 128  # after which an answer whose drafts did not pay is tried again; doubled each time
_LONGEST_PAUSE: Final = 2048


class SmallModel(Protocol):
    def step(self, batch: Batch) -> npt.NDArray[np.float32]:
        """As `scheduler.Model`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """An answer to look ahead of: `tokens` are all that is known of it, `room` how many more it may have."""

    request: int
    tokens: Sequence[int]
    room: int


@dataclass(slots=True)
class _State:
    slot: int
    fed: list[int] = field(default_factory=list)  # tokens with keys and values
    sure: int = 0  # of them, those that are the sequence's: the others are drafts
    right: float = FIRST_GUESS * _WEIGHT
    judged: float = _WEIGHT
    silent_until: int = 0  # tokens of the sequence
    pause: int = _PAUSE_TOKENS
    proposed: list[int] = field(default_factory=list)  # last, to follow the token before place `proposed_at`
    proposed_at: int = 0

    def judge(self, tokens: Sequence[int]) -> None:
        """Hold what was proposed against what was chosen, whether a pass took it or not."""
        for draft, token in zip(self.proposed, tokens[self.proposed_at :], strict=False):
            self.right, self.judged = self.right * _MEMORY + (draft == token), self.judged * _MEMORY + 1
            if draft != token:
                break
        self.proposed = []

    def rest(self, tokens: int) -> None:
        """Leave the sequence, now of so many tokens, alone for a while; then it begins with a fresh mind."""
        self.silent_until = tokens + self.pause
        self.pause = min(2 * self.pause, _LONGEST_PAUSE)
        self.right, self.judged = FIRST_GUESS * _WEIGHT, _WEIGHT

    @property
    def chance(self) -> float:
        return self.right / self.judged


class DraftModel:
    """For the scheduler's thread alone."""

    def __init__(
        self, model: SmallModel, cache: KvCache, vocabulary: int, ends: frozenset[int], clock: MonotonicClock = time.perf_counter
    ) -> None:
        self._model, self._cache, self._vocabulary, self._ends, self._clock = model, cache, vocabulary, ends, clock
        self._states: dict[int, _State] = {}  # longest unused first
        self._times = PassTimes()
        self.busy_s = 0.0

    def propose(self, asks: Sequence[Ask], columns: int, times: PassTimes) -> list[list[tuple[int, float]]]:
        """Drafts for each answer, each with the chance that it and all before it are right; none where they would not pay.

        `columns` are in the large model's next pass without them, and `times` what its passes take.
        """
        asked = {ask.request for ask in asks}
        states = [self._state(ask, asked) for ask in asks]
        for ask, state in zip(asks, states, strict=True):
            if state is not None:
                state.judge(ask.tokens)
        ready = [(ask, state) for ask, state in zip(asks, states, strict=True) if state is not None and self._may(ask, state)]
        ready.sort(key=lambda pair: pair[1].chance, reverse=True)
        count = 0
        while ready and not (count := self._count([state.chance for _, state in ready], columns, times)):
            ask, state = ready.pop()  # the least likely is left alone; perhaps it pays for the others
            state.rest(len(ask.tokens))
        found: dict[int, list[tuple[int, float]]] = {}
        for (ask, state), drafts in zip(ready, self._draft(ready, count) if ready else (), strict=True):
            state.proposed, state.proposed_at = drafts, len(ask.tokens)
            found[ask.request] = [(token, state.chance ** (i + 1)) for i, token in enumerate(self._cut(drafts))]
        return [found.get(ask.request, []) for ask in asks]

    def forget(self, request: int) -> None:
        """The sequence has ended, or has lost its pages."""
        if (state := self._states.pop(request, None)) is not None:
            self._cache.free(state.slot)

    # ---- whether and how far --------------------------------------------------------------------------------

    def _may(self, ask: Ask, state: _State) -> bool:
        """Tokens that the small model lacks are padding of the large one's vocabulary: whoever writes them is left alone."""
        if len(ask.tokens) < state.silent_until or ask.room < 2:
            return False
        return max(ask.tokens[state.sure :], default=0) < self._vocabulary

    def _count(self, chances: Sequence[float], columns: int, times: PassTimes) -> int:
        """Drafts of each answer with which tokens come fastest; 0 where they come faster without."""
        if not (times.is_known and self._times.is_known):
            return 1 if times.is_known else 0  # the first one measures the small model
        answers = len(chances)
        alone_s, whole_s, draft_s = times.expected(answers), times.expected(columns), self._times.expected(answers)
        best_rate, best, tokens = WORTH * answers / alone_s, 0, float(answers)
        for count in range(1, LONGEST + 1):
            tokens += sum(chance**count for chance in chances)
            if columns + count * answers > PASS_COLUMNS:
                break
            pass_s = times.expected(columns + count * answers) - whole_s + alone_s
            rate = tokens / (pass_s + count * draft_s)
            if rate > best_rate:
                best_rate, best = rate, count
        return best

    def _cut(self, drafts: list[int]) -> list[int]:
        """Nothing from an end on."""
        ends = [i for i, token in enumerate(drafts) if token in self._ends]
        return drafts[: ends[0]] if ends else drafts

    # ---- the small model's own passes -----------------------------------------------------------------------

    def _state(self, ask: Ask, asked: set[int]) -> _State | None:
        """What is kept for the sequence, made if there is none; None where it has no place beside the others that are asked."""
        state = self._states.pop(ask.request, None)
        if state is None:
            if not self._cache.free_sequences and not self._drop_one(asked):
                return None
            state = _State(slot=self._cache.open())
        self._states[ask.request] = state
        return state if self._reserve(ask, state, asked) else None

    def _reserve(self, ask: Ask, state: _State, asked: set[int]) -> bool:
        positions = len(ask.tokens) + LONGEST
        if positions > self._cache.max_positions:
            return False
        while self._cache.pages_needed(state.slot, positions) > self._cache.free_pages:
            if not self._drop_one(asked):
                return False
        self._cache.reserve(state.slot, positions)
        return True

    def _drop_one(self, asked: set[int]) -> bool:
        """Forget the sequence that was asked for longest ago."""
        unused = next((request for request in self._states if request not in asked), None)
        if unused is None:
            return False
        self.forget(unused)
        return True

    def _draft(self, asks: Sequence[tuple[Ask, _State]], count: int) -> list[list[int]]:
        drafts: list[list[int]] = [[] for _ in asks]
        self._catch_up(asks)
        waiting = [(state, list(ask.tokens[len(state.fed) :]), own) for (ask, state), own in zip(asks, drafts, strict=True)]
        for _ in range(count):
            logits = self._pass([(state, tokens) for state, tokens, _ in waiting], wanted=True)
            for i, (state, _, own) in enumerate(waiting):
                token = int(logits[i, : self._vocabulary].argmax())
                own.append(token)
                waiting[i] = (state, [token], own)
        return [own[: ask.room - 1] for (ask, _), own in zip(asks, drafts, strict=True)]

    def _catch_up(self, asks: Sequence[tuple[Ask, _State]]) -> None:
        """All tokens of each sequence but its last few, computed with the first draft. What was drafted in vain goes."""
        for ask, state in asks:
            last = len(ask.tokens) - 1  # it is fed in any case: its logits are the first draft
            while state.sure < min(len(state.fed), last) and state.fed[state.sure] == ask.tokens[state.sure]:
                state.sure += 1
            del state.fed[state.sure :]
            while len(ask.tokens) - len(state.fed) > LONGEST + 1:
                start = len(state.fed)
                self._pass([(state, list(ask.tokens[start : min(start + PASS_COLUMNS, len(ask.tokens) - 1)]))], wanted=False)

    def _pass(self, parts: Sequence[tuple[_State, list[int]]], *, wanted: bool) -> npt.NDArray[np.float32]:
        """Feed tokens to sequences. Returns the logits after the last of each."""
        tokens = np.array([token for _, some in parts for token in some], np.int32)
        positions = [np.arange(len(state.fed), len(state.fed) + len(some), dtype=np.int32) for state, some in parts]
        sequences = [np.full(len(some), state.slot, np.int32) for state, some in parts]
        last = np.zeros(len(tokens), np.bool_)
        last[np.cumsum([len(some) for _, some in parts]) - 1] = wanted
        begun_s = self._clock()
        logits = self._model.step(
            Batch(tokens=tokens, positions=np.concatenate(positions), sequences=np.concatenate(sequences), wants_logits=last)
        )
        spent_s = self._clock() - begun_s
        self._times.note(len(tokens), spent_s)
        self.busy_s += spent_s
        for state, some in parts:
            state.fed += some
        return logits


def check_vocabulary(small: Tokenizer, large: Tokenizer, name: str) -> None:
    """Raises UnsupportedArtefact unless every token means the same to both. One may have more at its end: padding."""
    ours, theirs = small.texts, large.texts
    for i, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            raise UnsupportedArtefact(
                f"{name} cannot draft for this model: token {i} is {one!r:.40} to it and {other!r:.40} to the model; "
                "choose one of the same family in engine.draft_model, or none"
            )
    if abs(len(ours) - len(theirs)) > PADDING:
        raise UnsupportedArtefact(
            f"{name} cannot draft for this model: it has {len(ours)} tokens and the model {len(theirs)}; "
            "choose one of the same family in engine.draft_model, or none"
        )
