"""Is one answer a prompt, among many of the reference's, where chance would put it? Rank uniformity.

After arXiv 2506.06975: each answer gets a score; its randomised rank among the reference's is uniform if the models are equal,
and a Cramér-von Mises statistic tells whether the ranks of all prompts are. The paper scores by the reference's own log-ranks
of tokens, for which the reference must read given text. Here a score is the log-probability of the answer's characters, each
given the two before it, under counts of all the other answers. It treats the answer and the references alike, which is what
makes the ranks exactly uniform under equality.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from freehold.provenance.model_audit.permutation import Floats, p_value

_START, _END = "\x02\x02", "\x03"
_SMOOTHING, _ALPHABET = 0.5, 100  # added to each count; characters that may follow, roughly: any fixed number keeps ranks uniform


@dataclass(frozen=True, slots=True, kw_only=True)
class RankResult:
    """`w2` is the Cramér-von Mises statistic; `mean_rank` is 0.5 on average if the models are equal."""

    w2: float
    mean_rank: float
    p: float


class Grams:
    """Characters of answers to one prompt, each with the two before it, as flat arrays: an entry is one trigram of one answer."""

    def __init__(self, answers: Sequence[str], chars: int) -> None:
        grams: dict[str, int] = {}
        beginnings: dict[str, int] = {}
        entries: list[tuple[int, int, int, int, int]] = []  # answer, trigram, its count, its beginning, that one's count
        for number, answer in enumerate(answers):
            text = _START + answer[:chars] + _END
            counts = Counter(text[i : i + 3] for i in range(len(text) - 2))
            begun = Counter(text[i : i + 2] for i in range(len(text) - 2))
            for gram, count in counts.items():
                ids = grams.setdefault(gram, len(grams)), beginnings.setdefault(gram[:2], len(beginnings))
                entries.append((number, ids[0], count, ids[1], begun[gram[:2]]))
        self._answers = len(answers)
        self._number, self._gram, self._count, self._beginning, self._begun = np.array(entries, np.int64).T
        self._beginning_of = np.zeros(len(grams), np.int64)
        self._beginning_of[self._gram] = self._beginning

    def scores(self, rows: npt.NDArray[np.int64]) -> Floats:
        """(len(rows)): of each of these answers its mean log-probability a character, under counts of the others of them."""
        place = np.full(self._answers, -1)
        place[rows] = np.arange(len(rows))
        kept = place[self._number] >= 0
        number, gram, count, begun = place[self._number[kept]], self._gram[kept], self._count[kept], self._begun[kept]
        all_grams = np.bincount(gram, count, len(self._beginning_of))
        all_begun = np.bincount(self._beginning_of, all_grams)[self._beginning[kept]]
        logs = np.log((all_grams[gram] - count + _SMOOTHING) / (all_begun - begun + _SMOOTHING * _ALPHABET))
        scores: Floats = np.bincount(number, count * logs, len(rows)) / np.bincount(number, count, len(rows))
        return scores


def random_rank(score: float, references: Floats, rng: np.random.Generator) -> float:
    """In (0, 1): where `score` stands among the references; ties are broken at random."""
    below, equal = int((references < score).sum()), int((references == score).sum())
    return (below + rng.random() * (1 + equal)) / (len(references) + 1)


def cramer_von_mises(ranks: Floats) -> Floats:
    """W² along the last axis: 1 / 12n + the sum of ((2i - 1) / 2n - r_(i))²."""
    n = ranks.shape[-1]
    expected = (2 * np.arange(1, n + 1) - 1) / (2 * n)
    found: Floats = 1 / (12 * n) + ((expected - np.sort(ranks, axis=-1)) ** 2).sum(axis=-1)
    return found


def rank_test(scores: Sequence[tuple[float, Floats]], draws: int, rng: np.random.Generator) -> RankResult:
    """Each pair is the answer's score and those of the references. W² is compared with that of `draws` uniform sets."""
    ranks = np.array([random_rank(score, references, rng) for score, references in scores])
    w2 = float(cramer_von_mises(ranks))
    uniform = cramer_von_mises(rng.random((draws, len(ranks))))
    return RankResult(w2=w2, mean_rank=float(ranks.mean()), p=p_value(w2, uniform))
