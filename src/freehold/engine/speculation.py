"""Drafts by prompt lookup: where an answer repeats what is there already, the likely next tokens are those that came then.

Decided here: what is proposed, how likely each token of it is to be right, and how many drafts a pass should take. What counts as
right is the sampler's: a draft stands only where the token drawn at its place is the same, so drafts never change an answer.

Nothing is computed to learn how good drafts are: each token that is chosen is held against what the lookup would have said,
whether it was asked or not. On a text that does not repeat itself the odds fall, no draft is taken, and a token costs
its entry in the index: some microseconds.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Final

MAX_COLUMNS: Final = 64  # of drafts in one pass, all sequences together
PASS_COLUMNS: Final = 256  # kernels.records.MAX_COLUMNS: more would be a second pass over the weights
HOPELESS: Final = 0.02  # a draft with so small a chance is not taken even where columns are free
WORTH: Final = 1.05  # drafts are taken where they promise this much more than a pass without: times are estimates

_CANDIDATES: Final = 16  # earlier places that are compared, latest first
_LONGEST: Final = 64  # matching tokens beyond which longer is no better
# Chance that a match goes on, by the bit length of the matching tokens: 0 (the last did not match), 2-3, 4-7, ... 32 and more.
_BEFORE: Final = (0.1, 0.1, 0.15, 0.25, 0.6, 0.85, 0.95)
_BEFORE_WEIGHT: Final = 4.0  # tokens seen that outweigh it
_MEMORY: Final = 0.95  # of what was seen, a token later: the last 20 count


class Lookup:
    """One sequence's. `receive` each token once, in order; `propose` at any time."""

    def __init__(self, tokens: Sequence[int] = ()) -> None:
        self._tokens: list[int] = []
        self._latest: dict[tuple[int, int], int] = {}  # a pair of tokens -> the place after it, as last seen
        self._earlier: list[int] = [-1]  # by place: the same pair's place before, or -1
        self._source = -1  # the place whose token is expected next, or -1
        self._length = 0  # tokens before it that match our end
        self._hits = [chance * _BEFORE_WEIGHT for chance in _BEFORE]
        self._trials = [_BEFORE_WEIGHT] * len(_BEFORE)
        for token in tokens:
            self._append(token)
        self._search()

    def receive(self, token: int) -> None:
        """The sequence's next token, now that it is chosen."""
        expected = self._source
        if expected < 0:
            self._append(token)
            self._search()
            return
        is_hit = self._tokens[expected] == token
        self._learn(is_hit)
        self._append(token)
        if is_hit:
            self._source, self._length = expected + 1, self._length + 1
            return
        self._search()
        if self._source < 0 and self._length:  # one token differs: perhaps the rest goes on as before
            self._source, self._length = expected + 1, 0
        elif self._source < 0:
            self._length = 0

    def propose(self, count: int) -> list[tuple[int, float]]:
        """Up to `count` next tokens, each with the chance that it and all before it are right."""
        if self._source < 0:
            return []
        drafts = self._tokens[self._source : self._source + count]
        chances = accumulate((self._chance(self._length + i) for i in range(len(drafts))), lambda a, b: a * b)
        return list(zip(drafts, chances, strict=True))

    def _chance(self, length: int) -> float:
        bucket = _bucket(length)
        return self._hits[bucket] / self._trials[bucket]

    def _learn(self, is_hit: bool) -> None:
        bucket = _bucket(self._length)
        self._hits[bucket] = self._hits[bucket] * _MEMORY + is_hit
        self._trials[bucket] = self._trials[bucket] * _MEMORY + 1

    def _append(self, token: int) -> None:
        tokens = self._tokens
        tokens.append(token)
        if len(tokens) > 1:
            pair = (tokens[-2], token)
            self._earlier.append(self._latest.get(pair, -1))
            self._latest[pair] = len(tokens)

    def _search(self) -> None:
        """The longest match of our end, the latest of several."""
        tokens, end = self._tokens, len(self._tokens)
        self._source = -1
        if end < 2:
            return
        best, place = 0, self._earlier[end - 1]
        for _ in range(_CANDIDATES):
            if place < 0:
                break
            length = 2
            while length < min(place, _LONGEST) and tokens[place - 1 - length] == tokens[end - 1 - length]:
                length += 1
            if length > best:
                best, self._source = length, place
            if length == _LONGEST:
                break
            place = self._earlier[place - 1]
        if self._source >= 0:
            self._length = best


def _bucket(length: int) -> int:
    return min(length.bit_length(), len(_BEFORE) - 1)


# Seconds of a pass by its columns, one being 1: a 1.5B model of Q4_K in memory, one thread (docs/engine.md). It gives the first
# guess, and the shape between measured points.
_CURVE: Final = ((1, 1.0), (2, 1.3), (4, 1.35), (8, 2.6), (16, 4.2), (64, 12.0), (256, 46.0))
_STEADY: Final = 10  # samples after which a new one counts for a tenth
_OUTLIER: Final = 3.0  # a pass that took so many times the usual is counted as this: the machine did something else


@dataclass(slots=True)
class _Point:
    columns: float
    seconds: float
    count: int = 1

    def add(self, columns: int, seconds: float) -> None:
        self.count = min(self.count + 1, _STEADY)
        self.columns += (columns - self.columns) / self.count
        self.seconds += (min(seconds, _OUTLIER * self.seconds) - self.seconds) / self.count


@dataclass(slots=True)
class PassTimes:
    """How long a pass takes by its columns, learned from the passes that were made."""

    _points: dict[int, _Point] = field(default_factory=dict)  # by the bit length of columns - 1
    _known: list[tuple[float, float]] = field(default_factory=list)  # (place on the curve, seconds), made when asked for

    @property
    def is_known(self) -> bool:
        return bool(self._points)

    @property
    def single_s(self) -> float | None:
        """Of a pass of one column: what one token of one answer takes by itself."""
        return self._points[0].seconds if 0 in self._points else None

    @property
    def longest_s(self) -> float:
        """Of the passes of any one size, as they usually take."""
        return max((point.seconds for point in self._points.values()), default=0.0)

    def note(self, columns: int, seconds: float) -> None:
        self._known.clear()
        bucket = (columns - 1).bit_length()
        if bucket in self._points:
            self._points[bucket].add(columns, seconds)
        else:
            self._points[bucket] = _Point(columns, seconds)

    def expected(self, columns: int) -> float:
        """Seconds, or where nothing was measured yet, in units of a pass of one column. Never falls with more columns."""
        if not self._points:
            return _curve(columns)
        if not self._known:
            longest_s = 0.0
            for _, point in sorted(self._points.items()):
                longest_s = max(longest_s, point.seconds)
                self._known.append((_curve(point.columns), longest_s))
        return _between(self._known, _curve(columns))


def _between(known: Sequence[tuple[float, float]], x: float) -> float:
    """On the line through the two points around x; beyond the ends, in proportion."""
    at = bisect_left(known, (x, 0.0))
    if at == len(known):
        return known[-1][1] * x / known[-1][0]
    if at == 0:
        return known[0][1] * min(1.0, x / known[0][0])
    (x0, y0), (x1, y1) = known[at - 1], known[at]
    return y1 if x1 == x0 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _curve(columns: float) -> float:
    for (n0, t0), (n1, t1) in pairwise(_CURVE):
        if columns <= n1:
            return t0 + (t1 - t0) * (columns - n0) / (n1 - n0)
    return _CURVE[-1][1] * columns / _CURVE[-1][0]


def allot(chances: Sequence[Sequence[float]], columns: int, times: PassTimes) -> list[int]:
    """How many drafts of each answer the next pass takes, so that tokens come fastest. `columns` are in the pass without them.

    `chances[i]` are those of answer i's drafts, falling. Columns that are there anyway beside the answers cost what they cost:
    only what drafts add is held against the tokens they promise.
    """
    answers = len(chances)
    ranked = sorted(((chance, i) for i, row in enumerate(chances) for chance in row if chance > HOPELESS), reverse=True)
    ranked = ranked[: max(0, min(MAX_COLUMNS, PASS_COLUMNS - columns))]
    if not ranked:
        return [0] * answers
    alone_s, whole_s = times.expected(answers), times.expected(columns)
    best_rate, best, tokens = WORTH * answers / alone_s, 0, float(answers)
    for count, (chance, _) in enumerate(ranked, 1):
        tokens += chance
        rate = tokens / (times.expected(columns + count) - whole_s + alone_s)
        if rate > best_rate:
            best_rate, best = rate, count
    taken = [0] * answers
    for _, i in ranked[:best]:
        taken[i] += 1
    return taken
