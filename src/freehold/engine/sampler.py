"""Chooses the next token of one sequence from its logits.

The order of operations, each only where asked for:

    1. log-probabilities for the client, of the model's own distribution, before anything below
    2. penalties: repetition over prompt and answer, then presence and frequency over the answer; then the biases of single
       tokens, then a watermark's green ones
    3. the mask of a constraint: what may not come next is out
    4. temperature 0: the largest logit, ties to the lower token; else divide by temperature
    5. top_k, the k likeliest; 6. top_p, the likeliest that together reach p; 7. min_p, those at least p times the likeliest
    8. one draw from what is left

A sequence draws from its own counter-based generator: the n-th token of a seed is the same whatever else the engine is computing.
Filters never sort a whole vocabulary: the k largest are found among the blocks whose maxima are among the k largest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, log
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from freehold.core.errors import InternalError, InvalidRequest
from freehold.core.exchange import Sampling
from freehold.core.watermark import Watermark
from freehold.engine.constraint import Mask
from freehold.engine.green_list import Marker

Floats = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.int64]

MAX_TOP_LOGPROBS: Final = 20
MAX_STOPS: Final = 16
MAX_SEED: Final = (1 << 64) - 1
MAX_STOP_CHARS: Final = 256
_BLOCK: Final = 64
_FIRST_TRY: Final = 256  # in running text, what top_p keeps mostly lies within so many tokens
_BINS: Final = 1024
_BINS_PER_NAT: Final = 32  # 1024 / 32: down to e**-32 of the likeliest


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`Sampling` with every choice made and in range."""

    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 0  # 0 is no limit
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int
    stop: tuple[str, ...] = field(repr=False, default=())
    max_tokens: int | None = None
    top_logprobs: int | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()  # (token, what is added to its logit)

    @classmethod
    def of(cls, sampling: Sampling, seed: int) -> "Settings":
        """Raises InvalidRequest, naming the parameter."""
        for name, (low, high) in _RANGES.items():
            value = getattr(sampling, name)
            if value is not None and not low <= value <= high:  # also catches NaN
                raise InvalidRequest(f"{name} is {value}; it must be from {low:g} to {high:g}", param=name)
        if len(sampling.stop) > MAX_STOPS:
            raise InvalidRequest(f"{len(sampling.stop)} stop strings; the limit is {MAX_STOPS}", param="stop")
        if not all(0 < len(stop) <= MAX_STOP_CHARS for stop in sampling.stop):
            raise InvalidRequest(f"a stop string must have from 1 to {MAX_STOP_CHARS} characters", param="stop")
        chosen = {name: getattr(sampling, name) for name in _RANGES if getattr(sampling, name) is not None}
        return cls(seed=seed, stop=sampling.stop, logit_bias=sampling.logit_bias, **chosen)


_RANGES: Final[dict[str, tuple[float, float]]] = {
    "temperature": (0, 100),
    "top_p": (1e-9, 1),
    "top_k": (0, 1 << 31),
    "min_p": (0, 1),
    "repetition_penalty": (0.01, 100),
    "presence_penalty": (-100, 100),
    "frequency_penalty": (-100, 100),
    "max_tokens": (1, 1 << 31),
    "top_logprobs": (0, MAX_TOP_LOGPROBS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """`logprob` and `top` (token, log-probability; likeliest first) only where asked for."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """One sequence's. Not thread-safe."""

    def __init__(self, settings: Settings, prompt: Sequence[int], vocabulary: int, watermark: Watermark | None = None) -> None:
        self._settings = settings
        self._penalties = _Penalties(settings, prompt, vocabulary)
        self._marker = None if watermark is None else Marker(watermark, prompt, vocabulary)
        self._draws = 0

    def choose(self, logits: Floats, mask: Mask | None = None) -> Chosen:
        """The next token, one that the mask allows. `logits` is scratch afterwards.

        Raises InternalError for logits that are no numbers, and for a mask that allows nothing.
        """
        settings = self._settings
        largest = float(logits.max())
        if not -inf < largest < inf:  # NaN fails too
            raise InternalError("the model computed logits that are no numbers: its weights or kernels are damaged")
        reported = None
        if settings.top_logprobs is not None:
            reported = _log_probabilities(logits, settings.top_logprobs)
        self._penalties.apply(logits)
        for biased, bias in settings.logit_bias:
            logits[biased] += bias
        if self._marker is not None:
            self._marker.apply(logits)
        if mask is not None:
            _forbid(logits, mask)
        token = int(logits.argmax()) if settings.temperature == 0 else self._draw(logits)
        self._penalties.count(token)
        if self._marker is not None:
            self._marker.count(token)
        if reported is None or settings.top_logprobs is None:
            return Chosen(token=token)
        return Chosen(token=token, logprob=reported.of(token), top=reported.top)

    def _draw(self, logits: Floats) -> int:
        settings = self._settings
        # Subtracting before dividing keeps a tiny temperature from making infinities; below 1e-30 only the largest is left.
        scaled = (logits - logits.max()) * np.float32(1 / max(settings.temperature, 1e-30))
        tokens, weights = _filtered(scaled, settings)
        self._draws += 1
        point = uniform(settings.seed, self._draws)
        chosen = pick(weights, point)
        return chosen if tokens is None else int(tokens[chosen])


def _forbid(logits: Floats, mask: Mask) -> None:
    """Minus infinity for each token whose bit in the mask is 0. Raises InternalError where that is all of them."""
    allowed = np.unpackbits(mask.astype("<u4", copy=False).view(np.uint8), count=logits.size, bitorder="little")
    if not allowed.any():
        raise InternalError("the form asked of the answer allows no token at this place")
    logits[allowed == 0] = -inf


def _filtered(scaled: Floats, settings: Settings) -> tuple[Tokens | None, Floats]:
    """The tokens that may be drawn, in a fixed order, and their weights. Tokens None is the whole vocabulary.

    `scaled` has 0 as its largest value.
    """
    tokens: Tokens | None = None
    kept = scaled
    if 0 < settings.top_k < scaled.size:
        tokens = largest_first(scaled, settings.top_k)
        kept = scaled[tokens]
    weights = np.exp(kept)
    if settings.top_p < 1:
        nucleus = _nucleus(kept, weights, settings.top_p)
        tokens = nucleus if tokens is None else tokens[nucleus]
        weights = weights[nucleus]
    if settings.min_p > 0:
        likely = np.flatnonzero(weights >= settings.min_p * weights.max())
        tokens = likely if tokens is None else tokens[likely]
        weights = weights[likely]
    return tokens, weights


def _nucleus(values: Floats, weights: Floats, top_p: float) -> Tokens:
    """Indices of the likeliest that together reach `top_p` of the weight, the one that crosses it included."""
    goal = top_p * float(weights.sum(dtype=np.float64))
    order = largest_first(values, min(_FIRST_TRY, values.size))
    mass = np.cumsum(weights[order], dtype=np.float64)
    if mass[-1] >= goal or order.size == values.size:
        return order[: int(np.searchsorted(mass, goal)) + 1]
    return _wide_nucleus(values, weights, goal)


def _wide_nucleus(values: Floats, weights: Floats, goal: float) -> Tokens:
    """As above where it holds thousands of tokens: binned by value, and only the bin where `goal` is crossed is sorted."""
    bins = np.minimum(values * np.float32(-_BINS_PER_NAT), np.float32(_BINS - 1)).astype(np.int64)
    mass = np.cumsum(np.bincount(bins, weights, minlength=_BINS))
    crossing = min(int(np.searchsorted(mass, goal)), _BINS - 1)
    sure = np.flatnonzero(bins < crossing)
    unsure = np.flatnonzero(bins == crossing)
    order = unsure[largest_first(values[unsure], unsure.size)]
    before = mass[crossing - 1] if crossing else 0.0
    inside = before + np.cumsum(weights[order], dtype=np.float64)
    return np.concatenate((sure, order[: int(np.searchsorted(inside, goal)) + 1]))


def largest_first(values: Floats, count: int) -> Tokens:
    """Indices of the `count` largest, largest first, ties to the lower index."""
    candidates = _candidates(values, count)
    found = values[candidates]
    # lexsort's last key counts most; -0.0 equals 0.0 in it.
    return candidates[np.lexsort((candidates, -found))[:count]]


def _candidates(values: Floats, count: int) -> Tokens:
    """Indices of at least the `count` largest, and of few others where `values` is large."""
    blocks = values.size // _BLOCK
    if count >= blocks // 2:
        return np.arange(values.size, dtype=np.int64)
    # `count` blocks hold `count` values at or above the count-th largest block maximum, so nothing below it is needed.
    maxima = values[: blocks * _BLOCK].reshape(blocks, _BLOCK).max(axis=1)
    bound = np.partition(maxima, blocks - count)[blocks - count]
    return np.flatnonzero(values >= bound)


def pick(weights: Floats, point: float) -> int:
    """The index at which the running sum of `weights` passes `point`, in [0, 1), of the whole; never one of weight 0."""
    sums = np.add.reduceat(weights, np.arange(0, weights.size, _BLOCK), dtype=np.float64)
    running = np.cumsum(sums)
    goal = point * running[-1]
    block = min(int(np.searchsorted(running, goal, side="right")), sums.size - 1)
    start = block * _BLOCK
    inside = np.cumsum(weights[start : start + _BLOCK], dtype=np.float64) + (running[block - 1] if block else 0.0)
    found = start + min(int(np.searchsorted(inside, goal, side="right")), inside.size - 1)
    return found if weights[found] > 0 else int(weights.argmax())  # rounding at the very end of the sum


def uniform(seed: int, counter: int) -> float:
    """The counter-th number of a seed, in [0, 1): SplitMix64 (Steele, Lea and Flood, 2014), which no library can change on us."""
    mask = (1 << 64) - 1
    z = (seed + counter * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return ((z ^ (z >> 31)) >> 11) * 2.0**-53


@dataclass(frozen=True, slots=True)
class _Reported:
    logits: Floats
    log_total: float
    top: tuple[tuple[int, float], ...]

    def of(self, token: int) -> float:
        return float(self.logits[token]) - self.log_total


def _log_probabilities(logits: Floats, count: int) -> _Reported:
    largest = float(logits.max())
    log_total = largest + log(float(np.exp(logits - np.float32(largest)).sum(dtype=np.float64)))
    order = largest_first(logits, count) if count else np.empty(0, np.int64)
    top = tuple((int(token), float(logits[token]) - log_total) for token in order)
    return _Reported(logits.copy(), log_total, top)


class _Penalties:
    """What was said before weighs on what comes next. Costs nothing where no penalty is set."""

    def __init__(self, settings: Settings, prompt: Sequence[int], vocabulary: int) -> None:
        self._repetition = np.float32(settings.repetition_penalty)
        self._presence = np.float32(settings.presence_penalty)
        self._frequency = np.float32(settings.frequency_penalty)
        self._repeats = settings.repetition_penalty != 1
        self._counts_answer = settings.presence_penalty != 0 or settings.frequency_penalty != 0
        self._seen = np.zeros(vocabulary if self._repeats else 0, np.bool_)
        if self._repeats:
            self._seen[np.asarray(prompt, np.int64)] = True
        self._times: npt.NDArray[Any] = np.zeros(vocabulary if self._counts_answer else 0, np.float32)

    def apply(self, logits: Floats) -> None:
        if self._repeats:
            seen = np.flatnonzero(self._seen)
            found = logits[seen]
            # Keskar et al. 2019 (CTRL): divide what is positive, multiply what is negative, so that both become less likely.
            logits[seen] = np.where(found > 0, found / self._repetition, found * self._repetition)
        if self._counts_answer:
            said = np.flatnonzero(self._times)
            logits[said] -= self._presence + self._frequency * self._times[said]

    def count(self, token: int) -> None:
        if self._repeats:
            self._seen[token] = True
        if self._counts_answer:
            self._times[token] += 1
