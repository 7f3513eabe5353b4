"""Is one answer a prompt, among many of the reference's, where chance would put it? Rank uniformity.

After arXiv 2506.06975: each answer gets a score; its randomised rank among the reference's is uniform if the models are equal,
and a Cramér-von Mises statistic tells whether the ranks of all prompts are. The paper scores by the reference's own log-ranks
of tokens. Here a score is how alike an answer is to all the others: it treats the answer and the references alike, which is what
makes the ranks exactly uniform under equality.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from freehold.provenance.model_audit.permutation import Floats, p_value


@dataclass(frozen=True, slots=True, kw_only=True)
class RankResult:
    """`w2` is the Cramér-von Mises statistic; `mean_rank` is 0.5 on average if the models are equal."""

    w2: float
    mean_rank: float
    p: float


def typicality(kernel: Floats) -> Floats:
    """(N): how alike each answer is to the others, from their likeness (N, N)."""
    others: Floats = (kernel.sum(axis=1) - np.diag(kernel)) / max(1, len(kernel) - 1)
    return others


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
