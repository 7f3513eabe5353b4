"""The classifier: two linear heads, trained by `bench/train_injection.py`, shipped as 8-bit weights and a page of evidence.

`content` scores the sentences of what tools and files bring, `prompt` the user's own words. A head has two layers. The first
sums the weights of a window's hashed features. The second adds up the evidence of the whole text: the best window, the patterns
found in it, between quotes or not, whether it talks about attacks. `data/model.json` holds the second, how both were made, and
the digest of the first.
"""

import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal

import numpy as np
import numpy.typing as npt

from freehold.guard.injection.features import PAIRS, Hashed
from freehold.guard.injection.patterns import Hit, Letters

HeadName = Literal["content", "prompt"]
HEAD_NAMES: tuple[HeadName, ...] = ("content", "prompt")
Floats = npt.NDArray[np.float32]

BEST_LIMIT = 6.0  # log-odds beyond it say no more: the first layer is sure of much
WINDOWS_LIMIT = 8.0  # log2: a longer text has more chances to look like an attack, but no more than this
UNSAID = np.float32(-4.0)  # log-odds that one word or a mark has at most, whatever stood around it in training
WORST = 6  # windows in which patterns are looked for
OTHERS = 3  # windows beside the best that count by themselves: an attack of several sentences, a jailbreak of pages
NO_OTHERS = np.full(1, -BEST_LIMIT / 2, np.float32)
ABOUT_WORDS = 2  # so many words of security make a text about attacks


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """`weights` are multiples of `scale`, with a last bucket of 0 for features that are none.

    They are added up as they are shipped: exactly, in whatever order, and in a quarter of the memory that floats take.
    """

    weights: npt.NDArray[np.int8] = field(repr=False)
    scale: float
    offset: float
    evidence: Mapping[str, float]
    pairs: Floats = field(init=False, repr=False)  # (CONCEPTS, CONCEPTS), half of each two's weight

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", self.weights[PAIRS].astype(np.float32) / 2)

    def log_odds(self, hashed: Hashed) -> Floats:
        """One a window."""
        if len(hashed.starts) == 1 and hashed.is_said[0]:
            total = float(self.weights.take(hashed.buckets).sum() + self.weights.take(hashed.extra).sum())
            if hashed.present is not None:
                total += float(self._of_pairs(hashed.present)[0])
            return np.array((self.scale * total / math.sqrt(hashed.buckets.shape[1]) + self.offset,), np.float32)
        of_words = np.add.reduce(self.weights.take(hashed.buckets), axis=0, dtype=np.int16)
        sums = np.zeros(len(of_words) + 1, np.int32)
        np.cumsum(of_words, dtype=np.int32, out=sums[1:])
        taken = sums[hashed.ends] - sums[hashed.starts] + self.weights.take(hashed.extra).sum(axis=0)
        if hashed.present is not None:
            taken = taken + self._of_pairs(hashed.present)
        odds: Floats = (self.scale * taken / np.sqrt(hashed.ends - hashed.starts) + self.offset).astype(np.float32)
        odds[~hashed.is_said] = np.minimum(odds[~hashed.is_said], UNSAID)
        return odds

    def _of_pairs(self, present: Floats) -> Floats:
        """One a window. Most have three concepts of the forty, and a BLAS would start threads for them."""
        window, concept = np.nonzero(present)
        of_one = np.einsum("ij,ij->i", self.pairs[concept], present[window])
        return np.bincount(window, of_one, minlength=len(present)).astype(np.float32)

    def weighed(self, facts: Iterable[tuple[str, float]]) -> float:
        """The probability of an attack, by what is known of a text."""
        get = self.evidence.get
        total = sum(get(name, 0.0) * value for name, value in facts)
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))


def worst(hashed: Hashed, odds: Floats, letters: bytes) -> Letters:
    """The concepts of the windows with the highest odds, in the text's order: patterns are looked for there alone.

    So a long text is not suspect for having many sentences, and costs no more than a short one.
    """
    if len(odds) <= WORST:
        return Letters(letters, range(len(letters)))
    numbers: list[int] = []
    for window in np.sort(np.argpartition(odds, -WORST)[-WORST:]):
        first = max(int(hashed.starts[window]), numbers[-1] + 1 if numbers else 0)
        numbers += range(first, int(hashed.ends[window]))
    return Letters(bytes(letters[number] for number in numbers), numbers)


def facts_of(odds: Floats, kind: str, hits: Iterable[Hit], about: int) -> list[tuple[str, float]]:
    """What the second layer weighs. `odds` are the windows', `kind` is the text's, `about` counts words of security."""
    count = len(odds)
    best = max(-BEST_LIMIT, min(BEST_LIMIT, float(odds[0] if count == 1 else odds.max())))
    usual = max(-BEST_LIMIT, min(BEST_LIMIT, float(odds.sum() - best) / (count - 1))) if count > 1 else -BEST_LIMIT / 2
    others = np.sort(odds)[-OTHERS - 1 : -1].clip(-BEST_LIMIT, BEST_LIMIT) if count > 1 else NO_OTHERS
    found = [
        ("offset", 1.0),
        ("others", float(others.mean())),
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


def parse(weights: bytes, manifest: Mapping[str, dict[str, dict[str, float]]]) -> dict[HeadName, Head]:
    """The heads of a weights file and its manifest."""
    loaded = np.load(io.BytesIO(weights), allow_pickle=False)
    heads: dict[HeadName, Head] = {}
    for name in HEAD_NAMES:
        scale, offset = loaded[f"{name}_scale"]
        table = np.append(loaded[name], np.int8(0))
        heads[name] = Head(weights=table, scale=float(scale), offset=float(offset), evidence=manifest["evidence"][name])
    return heads


_DATA = files("freehold.guard.injection") / "data"
MANIFEST = json.loads((_DATA / "model.json").read_text(encoding="utf-8"))
HEADS = parse((_DATA / "model.npz").read_bytes(), MANIFEST)
