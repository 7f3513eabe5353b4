"""One comparison of two samples by a plan: each test's p-value, what is odd beside them, and what would have been found.

All tests together keep the plan's alpha (Holm). A rejection says that distributions differ. Why they do, no test here can tell.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from freehold.provenance.model_audit.config import TestName
from freehold.provenance.model_audit.counts import Mismatch, name_mismatches, token_mismatches
from freehold.provenance.model_audit.logprobs import logprob_test, table
from freehold.provenance.model_audit.mmd import MmdResult, likeness, mmd_test
from freehold.provenance.model_audit.permutation import holm
from freehold.provenance.model_audit.ranks import Grams, RankResult, rank_test
from freehold.provenance.model_audit.sample import AuditPlan, Replies, Sample

CAUSES = (
    "another temperature or other sampling settings",
    "a system prompt, or another chat template",
    "another quantisation or precision, or other kernels and batch sizes",
    "other weights: a new version, a fine-tuning, another model",
)
POWER = 0.8
_SHARES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
_TRIALS = 40
_TRIAL_PERMUTATIONS = 399
_Drawn: TypeAlias = "list[tuple[npt.NDArray[np.int64], int]]"  # of each prompt rows of answers, and how many are the reference's


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One test. `adjusted_p` is what alpha is compared with; `effect` is the test's own measure, told in `words`.

    `found` says in words what size of change would have been found with a chance of 80 %, where that was asked for.
    """

    test: TestName
    p: float
    adjusted_p: float
    effect: float
    words: str
    found: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`skipped` tells why a test of the plan was not held."""

    alpha: float
    outcomes: tuple[Outcome, ...]
    mismatches: tuple[Mismatch, ...]
    skipped: Mapping[TestName, str]

    @property
    def rejected(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.adjusted_p <= self.alpha)

    @property
    def differs(self) -> bool:
        return bool(self.rejected or self.mismatches)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    p: float
    effect: float
    words: str
    found: str | None = None


def compare(
    plan: AuditPlan, reference: Sample, now: Sample, *, is_same_service: bool = False, run: int = 0, tell_power: bool = True
) -> Comparison:
    """`is_same_service`: the reference is an earlier sample of the same upstream. `run` numbers runs that share a plan's seed."""
    found: dict[TestName, _Found] = {}
    skipped: dict[TestName, str] = {}
    for number, test in enumerate(plan.tests):
        rng = np.random.default_rng([plan.seed, run, number])
        if (why := _missing(test, reference, now)) is not None:
            skipped[test] = why
        else:
            found[test] = _TESTS[test](plan, reference, now, rng, tell_power)
    mismatches = token_mismatches(plan, reference, now, is_same_service=is_same_service)
    if is_same_service:
        mismatches += name_mismatches(reference, now)
    adjusted = holm([one.p for one in found.values()])
    outcomes = tuple(
        Outcome(test=test, p=one.p, adjusted_p=p, effect=one.effect, words=one.words, found=one.found)
        for (test, one), p in zip(found.items(), adjusted, strict=True)
    )
    return Comparison(alpha=plan.alpha, outcomes=outcomes, mismatches=tuple(mismatches), skipped=skipped)


def _both(reference: Sample, now: Sample) -> Iterator[tuple[Replies, Replies]]:
    """Prompts that both sides answered, in a fixed order."""
    for id_ in sorted(reference.replies.keys() & now.replies.keys()):
        yield reference.replies[id_], now.replies[id_]


def _missing(test: TestName, reference: Sample, now: Sample) -> str | None:
    """Why a test cannot be held; None where it can."""
    if test == "logprobs":
        if any(ours.first and theirs.first for ours, theirs in _both(reference, now)):
            return None
        silent = "the reference" if not any(one.first for one in reference.replies.values()) else "the upstream"
        return f"{silent} tells no log-probabilities"
    least = 2 if test == "mmd" else 1
    if any(len(ours.answers) >= 2 and len(theirs.answers) >= least for ours, theirs in _both(reference, now)):
        return None
    return f"it needs 2 answers a prompt of the reference and {least} of the upstream"


def _logprobs(plan: AuditPlan, reference: Sample, now: Sample, rng: np.random.Generator, _: bool) -> _Found:
    tables = [(table(ours.first + theirs.first), len(ours.first)) for ours, theirs in _both(reference, now)]
    result = logprob_test(tables, plan.permutations, plan.alpha / len(plan.tests), rng)
    return _Found(
        p=result.p,
        effect=result.shift,
        words=f"log-probabilities moved by {result.shift:.4f} nats",
        found=f"a mean move of more than {result.critical:.4f} nats" if result.critical else "any move",
    )


def _mmd(plan: AuditPlan, reference: Sample, now: Sample, rng: np.random.Generator, tell_power: bool) -> _Found:
    sides = _Sides(reference, now)
    kernels = [likeness(texts, plan.chars) for texts in sides.texts]

    def held(drawn: _Drawn, permutations: int) -> MmdResult:
        pairs = [(kernel[np.ix_(rows, rows)], ours) for kernel, (rows, ours) in zip(kernels, drawn, strict=True)]
        return mmd_test(pairs, permutations, rng)

    result = held(sides.observed(), plan.permutations)
    found = _share_words(plan, sides, lambda drawn, times: held(drawn, times).p, rng) if tell_power else None
    return _Found(p=result.p, effect=result.mmd2, words=f"MMD² {result.mmd2:.5f}", found=found)


def _ranks(plan: AuditPlan, reference: Sample, now: Sample, rng: np.random.Generator, tell_power: bool) -> _Found:
    sides = _Sides(reference, now, theirs_most=1)
    grams = [Grams(texts, plan.chars) for texts in sides.texts]

    def held(drawn: _Drawn, permutations: int) -> RankResult:
        scored = [(one.scores(rows), ours) for one, (rows, ours) in zip(grams, drawn, strict=True)]
        return rank_test([(float(scores[ours]), scores[:ours]) for scores, ours in scored], permutations, rng)

    result = held(sides.observed(), plan.permutations)
    found = _share_words(plan, sides, lambda drawn, times: held(drawn, times).p, rng) if tell_power else None
    return _Found(p=result.p, effect=result.w2, words=f"W² {result.w2:.3f}, mean rank {result.mean_rank:.2f}", found=found)


_TESTS = {"logprobs": _logprobs, "mmd": _mmd, "ranks": _ranks}


class _Sides:
    """All answers to each prompt, and as many answers to another prompt: what a stranger would say.

    index   0 ... ours | ours ... ours + theirs | strangers
    """

    def __init__(self, reference: Sample, now: Sample, theirs_most: int | None = None) -> None:
        both = [(ours.answers, theirs.answers[:theirs_most]) for ours, theirs in _both(reference, now)]
        both = [(ours, theirs) for ours, theirs in both if ours and theirs]
        self.texts: list[list[str]] = []
        self._counts: list[tuple[int, int, int]] = []
        for place, (ours, theirs) in enumerate(both):
            strangers = both[(place + 1) % len(both)][0][: len(theirs)]
            self.texts.append([*ours, *theirs, *strangers])
            self._counts.append((len(ours), len(theirs), len(strangers)))

    def observed(self) -> _Drawn:
        return [(np.arange(ours + theirs), ours) for ours, theirs, _ in self._counts]

    def mixed(self, share: float, rng: np.random.Generator) -> _Drawn:
        """As if the sides were equal but for a share of the upstream's answers, which strangers gave."""
        drawn = []
        for ours, theirs, strangers in self._counts:
            rows = rng.permutation(ours + theirs)
            replaced = np.flatnonzero(rng.random(theirs) < share)[:strangers]
            rows[ours + replaced] = ours + theirs + np.arange(len(replaced))
            drawn.append((rows, ours))
        return drawn


def _share_words(plan: AuditPlan, sides: _Sides, p_value: Callable[[_Drawn, int], float], rng: np.random.Generator) -> str:
    """The smallest of a few shares that is found with a chance of 80 %, by trials; found by halving, as power grows with it.

    A trial rejects as if no other test had, by permutations enough to get there.
    """
    level = plan.alpha / len(plan.tests)
    times = max(_TRIAL_PERMUTATIONS, min(plan.permutations, round(4 / level)))
    low, high = 0, len(_SHARES)
    while low < high:
        middle = (low + high) // 2
        found = sum(p_value(sides.mixed(_SHARES[middle], rng), times) <= level for _ in range(_TRIALS))
        low, high = (low, middle) if found >= POWER * _TRIALS else (middle + 1, high)
    if low == len(_SHARES):
        return "no change for certain: ask for more answers"
    return f"{_SHARES[low]:.0%} of the answers replaced by unrelated ones"
