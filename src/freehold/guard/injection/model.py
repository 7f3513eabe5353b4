"""The classifier: two linear heads, trained by `bench/train_injection.py`, shipped as 8-bit weights and a page of evidence.

`content` scores the sentences of what tools and files bring, `prompt` the user's own words. A head has two layers. The first
sums the weights of a window's hashed features. The second adds up the evidence of the whole text: the best window, the patterns
found in it, between quotes or not, whether it talks about attacks. `data/model.zlib` holds the first, `data/model.json` the
second, how both were made, and the digest of the first.
"""

import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from importlib.resources import files
from itertools import combinations
from typing import Any, Literal

from freehold.guard.injection.features import A_GRAM, A_WORD, BUCKETS, PAIRS, Hashed
from freehold.guard.injection.patterns import Hit, Letters

HeadName = Literal["content", "prompt"]
HEAD_NAMES: tuple[HeadName, ...] = ("content", "prompt")

ZERO = 128  # the byte of a weight of 0
BEST_LIMIT = 6.0  # log-odds beyond it say no more: the first layer is sure of much
WINDOWS_LIMIT = 8.0  # log2: a longer text has more chances to look like an attack, but no more than this
UNSAID = -4.0  # log-odds that one word or a mark has at most, whatever stood around it in training
WORST = 6  # windows in which patterns are looked for
OTHERS = 3  # windows beside the best that count by themselves: an attack of several sentences, a jailbreak of pages
ABOUT_WORDS = 2  # so many words of security make a text about attacks


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """`weights` are a byte a bucket, the last that of no feature: what it is more than `ZERO`, times `scale`.

    They are added up as they are shipped: exactly, and in whatever order.
    """

    weights: bytes = field(repr=False)
    scale: float
    offset: float
    evidence: Mapping[str, float]
    pairs: Mapping[tuple[int, int], int] = field(init=False, repr=False)  # of each two concepts

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", {two: self.weights[bucket] - ZERO for two, bucket in PAIRS.items()})

    def log_odds(self, hashed: Hashed) -> list[float]:
        """One a window."""
        weights = self.weights
        words, grams = ([weights[bucket] for bucket in buckets] for buckets in (hashed.of_words, hashed.of_grams))
        of_words = [sum(words[A_WORD * start : A_WORD * end]) - ZERO * A_WORD * (end - start) for start, end in hashed.windows]
        of_grams = [sum(grams[A_GRAM * start : A_GRAM * end]) - ZERO * A_GRAM * (end - start) for start, end in hashed.grams]
        of_looks = [weights[shape] + weights[opening] + weights[first] - ZERO * 3 for shape, opening, first in hashed.looks]
        of_pairs = {present: self._of_pairs(present) for present in set(hashed.present)}
        parts = zip(hashed.windows, of_words, of_grams, of_looks, hashed.present, hashed.is_said, strict=True)
        odds = []
        for (start, end), own, concepts, look, present, is_said in parts:
            total = own + concepts + look + of_pairs[present]
            log_odds = self.scale * total / math.sqrt(end - start) + self.offset
            odds.append(log_odds if is_said or log_odds < UNSAID else UNSAID)
        return odds

    def _of_pairs(self, present: frozenset[int]) -> int:
        return sum(map(self.pairs.__getitem__, combinations(sorted(present), 2))) if len(present) > 1 else 0

    def weighed(self, facts: Iterable[tuple[str, float]]) -> float:
        """The probability of an attack, by what is known of a text."""
        get = self.evidence.get
        total = sum(get(name, 0.0) * value for name, value in facts)
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))


def worst(hashed: Hashed, odds: Sequence[float], letters: bytes) -> Letters:
    """The concepts of the windows with the highest odds, in the text's order: patterns are looked for there alone.

    So a long text is not suspect for having many sentences, and costs no more than a short one.
    """
    if len(odds) <= WORST:
        return Letters(letters, range(len(letters)))
    numbers: list[int] = []
    for window in sorted(nlargest(WORST, range(len(odds)), odds.__getitem__)):
        start, end = hashed.windows[window]
        numbers += range(max(start, numbers[-1] + 1 if numbers else 0), end)
    return Letters(bytes(letters[number] for number in numbers), numbers)


def facts_of(odds: Sequence[float], kind: str, hits: Iterable[Hit], about: int) -> list[tuple[str, float]]:
    """What the second layer weighs. `odds` are the windows', `kind` is the text's, `about` counts words of security."""
    count = len(odds)
    best, *others = map(_limited, nlargest(OTHERS + 1, odds))
    usual = _limited((sum(odds) - best) / (count - 1)) if count > 1 else -BEST_LIMIT / 2
    found = [
        ("offset", 1.0),
        ("others", sum(others) / len(others) if others else -BEST_LIMIT / 2),
        ("best", best),
        ("high", max(0.0, best)),
        ("usual", usual),
        ("windows", min(WINDOWS_LIMIT, math.log2(count))),
        (f"in {kind}", 1.0),
        (f"best in {kind}", best),
    ]
    found += [(f"{hit.pattern.name} quoted" if hit.is_quoted else hit.pattern.name, 1.0) for hit in hits]
    if about >= ABOUT_WORDS:
        found += [("about", 1.0), ("about best", best)]
    return found


def _limited(log_odds: float) -> float:
    return max(-BEST_LIMIT, min(BEST_LIMIT, log_odds))


def parse(weights: bytes, manifest: Mapping[str, Any]) -> dict[HeadName, Head]:
    """The heads of a weights file, in which their weights stand one after the other, and its manifest."""
    unpacked = zlib.decompress(weights)
    heads: dict[HeadName, Head] = {}
    for number, name in enumerate(HEAD_NAMES):
        own = unpacked[number * BUCKETS : (number + 1) * BUCKETS] + bytes((ZERO,))
        scale, offset = manifest["scales"][name]
        heads[name] = Head(weights=own, scale=scale, offset=offset, evidence=manifest["evidence"][name])
    return heads


_DATA = files("freehold.guard.injection") / "data"
MANIFEST = json.loads((_DATA / "model.json").read_text(encoding="utf-8"))
HEADS = parse((_DATA / "model.zlib").read_bytes(), MANIFEST)
