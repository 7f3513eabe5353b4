"""Whether a gain in efficiency was eaten by demand: Jevons' question, asked of the node's own ledger.

An efficiency event changes the joules a token of some models takes. Demand is what those who use these models ask for, against
those who do not (difference in differences): y = ln(tokens of the affected) - ln(tokens of the others), a day each. The
elasticity is the step in y over ln(joules a token before / after); its interval counts the uncertainty of both steps and how
they go together (delta method, `regression.py`).

Elasticity is not rebound. Of what the gain alone would have saved, S0 = E0 (1 - i1/i0), demand takes back the share
1 - S/S0; at an elasticity of 1 that is all of it, below 1 it is more than the elasticity for large gains. Both are given, each
by its name. A verdict is on the elasticity: *saving* where the whole interval is below 0.5, *partial rebound* between 0 and 1,
*backfire* above 1, and *not identified* where the ledger cannot tell, with the reason.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase

import numpy as np

from freehold.core.totals import DayTotal
from freehold.meter.decomposition import Activity, Decomposition, activity, decompose
from freehold.meter.regression import Array, step

SHORTEST_DAYS = 28  # on each side of an event: four weeks, so that each weekday counts alike
LONGEST_DAYS = 56
FEWEST_DAYS = 14  # of them, those on which both groups asked for something
MOSTLY, HARDLY = 0.5, 0.1  # shares of a tenant's tokens that affected models had before: who is affected, and who is not
SMALLEST_GAIN = 0.02  # ln(i0/i1) below which a step in demand has nothing to be set against


class Verdict(StrEnum):
    SAVING = "saving"
    PARTIAL_REBOUND = "partial rebound"
    BACKFIRE = "backfire"
    NOT_IDENTIFIED = "not identified"


@dataclass(frozen=True, slots=True, kw_only=True)
class EfficiencyEvent:
    """What changed on a day, and for which models (globs). The day itself is in no window: it is half before, half after."""

    day: int  # UTC, from 1970-01-01
    what: str  # "model_swapped"
    models: tuple[str, ...]
    note: str = ""
    price_ratio: float | None = None  # of a price change: old price over new; the elasticity is then by price

    def affects(self, model: str) -> bool:
        return any(fnmatchcase(model, glob) for glob in self.models)


@dataclass(frozen=True, slots=True, kw_only=True)
class Elasticity:
    """Of demand for tokens by efficiency: 0 is none, 1 takes the whole gain back. 90 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebound:
    """What an event did. `before` and `after` are of the affected tenants, a day; `None` is what could not be worked out."""

    event: EfficiencyEvent
    verdict: Verdict
    sentence: str
    elasticity: Elasticity | None = None
    rebound: float | None = None  # the share of S0 that demand took back, by the elasticity
    days_before: int = 0
    days_after: int = 0
    affected: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    before: Activity | None = None
    after: Activity | None = None
    decomposition: Decomposition | None = None
    known_share: float | None = None  # of the affected tenants' tokens, those with known energy


class _NotIdentified(Exception):
    """Why the ledger cannot tell."""


def examine(event: EfficiencyEvent, totals: Sequence[DayTotal], events: Sequence[EfficiencyEvent], today: int) -> Rebound:
    """What `event` did, by the ledger's days before `today`. `events` are all that are known, `event` among them."""
    first = min((total.day for total in totals), default=today)
    try:
        before, after = _windows(event, events, first, today)
    except _NotIdentified as reason:
        return Rebound(event=event, verdict=Verdict.NOT_IDENTIFIED, sentence=f"Why: {reason}.")
    groups = _Groups.of(event, [total for total in totals if total.day in before])
    mine = [total for total in totals if total.tenant in groups.affected]
    was = activity((total for total in mine if total.day in before), len(before))
    became = activity((total for total in mine if total.day in after), len(after))
    tokens = sum(total.tokens for total in mine if total.day in before or total.day in after)
    known = was.tokens * len(before) + became.tokens * len(after)
    found = Rebound(
        event=event,
        verdict=Verdict.NOT_IDENTIFIED,
        sentence="",
        days_before=len(before),
        days_after=len(after),
        affected=tuple(sorted(groups.affected)),
        others=tuple(sorted(groups.others)),
        before=was,
        after=became,
        decomposition=decompose(was, became),
        known_share=known / tokens if tokens else None,
    )
    try:
        answer = _elasticity(event, groups, totals, before, after)
    except _NotIdentified as reason:
        return replace(found, sentence=f"{_change(was, became)} Why: {reason}.")
    verdict = judge(answer)
    rebound = None if event.price_ratio else rebound_share(answer.value, was, became)
    words = f"{_change(was, became)} {_answer(answer, rebound, event)}: {_WORDS[verdict]}."
    return replace(found, verdict=verdict, sentence=words, elasticity=answer, rebound=rebound)


def judge(answer: Elasticity) -> Verdict:
    if answer.high < 0.5:
        return Verdict.SAVING
    if answer.low > 1:
        return Verdict.BACKFIRE
    if answer.low > 0 and answer.high < 1:
        return Verdict.PARTIAL_REBOUND
    return Verdict.NOT_IDENTIFIED


def rebound_share(elasticity: float, before: Activity, after: Activity) -> float | None:
    """1 - S/S0 where demand grew by the elasticity alone: with i1/i0 = r, E1/E0 = r^(1 - elasticity). None where r is 1."""
    if not before.joules_per_token or not after.joules_per_token or before.joules_per_token == after.joules_per_token:
        return None
    ratio = after.joules_per_token / before.joules_per_token
    return float(1 - (1 - ratio ** (1 - elasticity)) / (1 - ratio))


def _windows(event: EfficiencyEvent, events: Sequence[EfficiencyEvent], first: int, today: int) -> tuple[range, range]:
    """Days before and after, as many as there are up to `LONGEST_DAYS`, none of them beyond another event."""
    others = [other.day for other in events if other is not event]
    start = max([event.day - LONGEST_DAYS, first, *(day + 1 for day in others if day <= event.day)])
    end = min([event.day + 1 + LONGEST_DAYS, today, *(day for day in others if day >= event.day)])
    before, after = range(start, event.day), range(event.day + 1, end)
    if len(before) >= SHORTEST_DAYS and len(after) >= SHORTEST_DAYS:
        return before, after
    near = [day for day in others if abs(day - event.day) <= SHORTEST_DAYS]
    if near:
        raise _NotIdentified(f"another event lies {min(abs(day - event.day) for day in near)} days off, and their effects mix")
    if first == today:
        raise _NotIdentified("nothing was recorded on the days around it")
    raise _NotIdentified(f"{len(before)} days before and {len(after)} after it are known; {SHORTEST_DAYS} of each are needed")


@dataclass(frozen=True, slots=True)
class _Groups:
    affected: frozenset[str]
    others: frozenset[str]

    @classmethod
    def of(cls, event: EfficiencyEvent, before: Sequence[DayTotal]) -> "_Groups":
        """By what tenants used before the event: what they turned to afterwards may be its effect."""
        tokens: dict[str, int] = {}
        affected: dict[str, int] = {}
        for total in before:
            tokens[total.tenant] = tokens.get(total.tenant, 0) + total.tokens
            affected[total.tenant] = affected.get(total.tenant, 0) + total.tokens * event.affects(total.model)
        shares = {tenant: affected[tenant] / count for tenant, count in tokens.items() if count}
        return cls(
            frozenset(tenant for tenant, share in shares.items() if share >= MOSTLY),
            frozenset(tenant for tenant, share in shares.items() if share < HARDLY),
        )


def _elasticity(event: EfficiencyEvent, groups: _Groups, totals: Sequence[DayTotal], before: range, after: range) -> Elasticity:
    if not groups.affected:
        raise _NotIdentified("nobody used the affected models before it")
    if not groups.others:
        raise _NotIdentified("all tenants use the affected models, so there is nobody to compare with")
    mine, theirs = _Days(groups.affected, totals), _Days(groups.others, totals)
    demand, intensity = [], []
    for days in (before, after):
        usable = [day for day in days if mine.tokens.get(day) and theirs.tokens.get(day) and mine.is_metered(day)]
        if len(usable) < FEWEST_DAYS:
            raise _NotIdentified(
                f"only {len(usable)} of {len(days)} days have tokens of both groups and known energy; {FEWEST_DAYS} are needed"
            )
        demand.append(np.log([mine.tokens[day] / theirs.tokens[day] for day in usable]))
        intensity.append(np.log([mine.joules_per_token(day) for day in usable]))
    if event.price_ratio is not None:
        intensity = [np.full(len(demand[0]), math.log(event.price_ratio)), np.zeros(len(demand[1]))]
    return elasticity_of(demand[0], demand[1], intensity[0], intensity[1])


def elasticity_of(demand_before: Array, demand_after: Array, intensity_before: Array, intensity_after: Array) -> Elasticity:
    """Of four series of logarithms, a day each. Raises what `examine` tells where there is no gain."""
    gain = float(intensity_before.mean() - intensity_after.mean())
    if gain < SMALLEST_GAIN:
        raise _NotIdentified(f"what a token takes changed by {math.expm1(-gain):+.1%}, which is no gain that demand could eat")
    value = step(demand_before, demand_after).size / gain
    # d(value) = (d(step of demand) + value d(step of intensity)) / gain: one series has both, and how they go together.
    both = step(demand_before + value * intensity_before, demand_after + value * intensity_after)
    margin = both.margin / gain
    return Elasticity(value=value, low=value - margin, high=value + margin)


class _Days:
    """A group's tokens and joules by day."""

    def __init__(self, tenants: frozenset[str], totals: Sequence[DayTotal]) -> None:
        self.tokens: dict[int, int] = {}
        self.known_tokens: dict[int, int] = {}
        self.energy_j: dict[int, float] = {}
        for total in totals:
            if total.tenant in tenants:
                self.tokens[total.day] = self.tokens.get(total.day, 0) + total.tokens
                self.known_tokens[total.day] = self.known_tokens.get(total.day, 0) + total.known_tokens
                self.energy_j[total.day] = self.energy_j.get(total.day, 0.0) + total.energy_j

    def is_metered(self, day: int) -> bool:
        return bool(self.known_tokens.get(day) and self.energy_j.get(day))

    def joules_per_token(self, day: int) -> float:
        return self.energy_j[day] / self.known_tokens[day]


_WORDS = {
    Verdict.SAVING: "most of the saving stays",
    Verdict.PARTIAL_REBOUND: "demand takes a part of the saving back",
    Verdict.BACKFIRE: "demand takes back more than was saved",
    Verdict.NOT_IDENTIFIED: "too wide an interval to tell a saving from a rebound",
}


def _change(before: Activity, after: Activity) -> str:
    moves = (
        ("Energy per 1k tokens", before.joules_per_token, after.joules_per_token),
        ("tokens", before.tokens, after.tokens),
        ("energy", before.energy_j, after.energy_j),
    )
    return "; ".join(f"{name} {_move(was, became)}" for name, was, became in moves) + "."


def _move(was: float, became: float) -> str:
    if not was:
        return "was not there before" if became else "stayed at nothing"
    percent = 100 * (became / was - 1)
    return f"{'rose' if percent > 0 else 'fell'} {abs(percent):.0f} %"


def _answer(answer: Elasticity, rebound: float | None, event: EfficiencyEvent) -> str:
    by = "by price " if event.price_ratio is not None else ""
    words = (
        f"Against tenants it did not touch, demand answered {by}with an elasticity of {answer.value:.2f} "
        f"(90 %: {answer.low:.2f} to {answer.high:.2f})"
    )
    return words if rebound is None else f"{words}, a rebound of {100 * rebound:.0f} %"
