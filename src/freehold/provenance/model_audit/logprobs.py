"""Have the log-probabilities of a prompt's first token moved? The cheapest test, where a provider tells them.

After arXiv 2512.03816: one token is asked for with its likeliest alternatives, some times; the statistic is the mean over prompts
and tokens of the absolute difference of the two sides' mean log-probabilities; draws are permuted between the sides inside
each prompt. A token that a draw did not list had at most the least listed probability, and is taken to have had that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from freehold.provenance.model_audit.permutation import Floats, labels, p_value

_LEAST = -100.0  # nats: what providers write for a probability of 0 is as good as any other


@dataclass(frozen=True, slots=True, kw_only=True)
class LogprobResult:
    """In nats. `shift` is the mean absolute difference; the sides' own noise passes `critical` with chance alpha."""

    shift: float
    critical: float
    p: float


def table(draws: Sequence[Mapping[str, float]]) -> Floats:
    """(draws, tokens): the log-probability of each token that any draw listed."""
    tokens = sorted({token for draw in draws for token in draw})
    found = np.empty((len(draws), len(tokens)))
    for row, draw in zip(found, draws, strict=True):
        least = max(_LEAST, min(draw.values(), default=_LEAST))
        row[:] = [max(_LEAST, draw.get(token, least)) for token in tokens]
    return found


def logprob_test(
    tables: Sequence[tuple[Floats, int]], permutations: int, alpha: float, rng: np.random.Generator
) -> LogprobResult:
    """Each pair is a prompt's table and how many of its first rows are the reference's."""
    used = [(values, ours) for values, ours in tables if 0 < ours < len(values) and values.shape[1]]
    observed, permuted, noise = 0.0, np.zeros(permutations), np.zeros(permutations)
    for values, ours in used:
        size = len(values)
        first = np.zeros((1, size))
        first[0, :ours] = 1
        is_ours = np.concatenate((first, labels(ours, size - ours, permutations, rng)))
        found = _shifts(values, is_ours, ours)
        observed += float(found[0])
        permuted += found[1:]
        centred = np.concatenate((values[:ours] - values[:ours].mean(axis=0), values[ours:] - values[ours:].mean(axis=0)))
        noise += _shifts(centred, is_ours[1:], ours)
    count = max(1, len(used))
    critical = float(np.quantile(noise, 1 - alpha, method="higher"))
    return LogprobResult(shift=observed / count, critical=critical / count, p=p_value(observed, permuted))


def _shifts(values: Floats, is_ours: Floats, ours: int) -> Floats:
    """(M): the mean absolute difference of the sides' means, for each row of labels."""
    found: Floats = np.abs(is_ours @ values / ours - (1 - is_ours) @ values / (len(values) - ours)).mean(axis=1)
    return found
