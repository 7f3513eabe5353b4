"""When work that can wait runs. Pure: it is told the time, the jobs and what lies ahead, and keeps no clock.

The engine is one resource, and a job some seconds of it, in any pieces, before its deadline. Decided here:

- A job that would make it impossible to keep to the deadlines of those before it is *late*: it runs at once, in time that nobody
  needs. All others are kept, whatever comes later. Feasible is what the earliest deadline first could do from now on.
- Kept jobs get the cheapest time there is. A slot can be used by the jobs whose deadlines lie behind it, so that the sets of
  slots that can be filled are the independent sets of a transversal matroid, and taking the cheapest slot that still can be
  filled, again and again, gives the least cost. Since later slots fit fewer jobs, a choice can be filled exactly when from
  each slot on no more time is taken than there is work with a deadline behind it (Hall's condition on suffixes).
- Where it is unknown what power is like now, nothing waits. Unknown time ahead is taken last.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

from freehold.core.ports import SignalPoint

MOST_SLOTS: Final = 400  # of a plan: a day in steps of five minutes has 288; more are joined two by two
_LEAST_S: Final = 1e-3

Cost = tuple[float, float]  # what decides, and what breaks ties
Quantity = Literal["carbon", "price", "surplus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`work_s` is what it takes of the engine, as estimated on the safe side. `deadline_s` is Unix time."""

    name: str
    work_s: float
    deadline_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A stretch of time with one cost, the same for every job; None is unknown."""

    start_s: float
    end_s: float
    cost: Cost | None

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`now` names the jobs that may run now, those to prefer first. It holds until `until_s`, or until a job comes or goes."""

    now: tuple[str, ...]
    late: frozenset[str]
    until_s: float
    starts: Mapping[str, float] = field(default_factory=dict)  # when each job first runs, if nothing changes
    is_tight: bool = False  # kept jobs have no time to spare


def plan(jobs: Sequence[Job], slots: Sequence[Slot], now_s: float, *, look_s: float = 60.0) -> Plan:
    """`jobs` in the order of arrival; `slots` from now on, in order, without gaps, cut at every deadline. It is made anew at
    least every `look_s`."""
    kept, late = admitted(jobs, now_s)
    kept.sort(key=_deadline)
    late_names = [job.name for job in late]
    is_tight = _spare_s(kept, now_s) < 2 * look_s
    until_s = min(slots[0].end_s, now_s + look_s) if slots else now_s + look_s
    if not slots or slots[0].cost is None:
        first, second = ([job.name for job in kept], late_names) if is_tight else (late_names, [job.name for job in kept])
        names = (*first, *second)
        starts = dict.fromkeys(names, now_s)
        return Plan(now=names, late=frozenset(late_names), until_s=until_s, starts=starts, is_tight=is_tight)
    amounts_s = filled(slots, kept)
    ready = [job.name for job in kept] if amounts_s[0] > _LEAST_S else []
    now = (*ready, *late_names) if is_tight else (*late_names, *ready)
    starts = {**_starts(slots, amounts_s, kept), **dict.fromkeys(late_names, now_s)}
    return Plan(now=now, late=frozenset(late_names), until_s=until_s, starts=starts, is_tight=is_tight)


def admitted(jobs: Iterable[Job], now_s: float) -> tuple[list[Job], list[Job]]:
    """Those whose deadlines can all be kept, the earlier comers first, and those that cannot join them."""
    kept, late = list[Job](), list[Job]()
    for job in jobs:
        if _spare_s(sorted([*kept, job], key=_deadline), now_s) >= 0:
            kept.append(job)
        else:
            late.append(job)
    return kept, late


def filled(slots: Sequence[Slot], jobs: Sequence[Job]) -> list[float]:
    """How many seconds of each slot the jobs take, at the least cost. Their sum is all the work, where that is feasible."""
    # open_s[k]: the work with a deadline behind the start of slot k, less what is taken from slot k on. Never below 0.
    open_s = [sum(job.work_s for job in jobs if job.deadline_s > slot.start_s) for slot in slots]
    amounts_s = [0.0] * len(slots)
    for at in sorted(range(len(slots)), key=lambda at: (slots[at].cost is None, slots[at].cost or (0.0, 0.0), at)):
        amount_s = min(slots[at].length_s, min(open_s[: at + 1]))
        if amount_s <= 0:
            continue
        amounts_s[at] = amount_s
        for k in range(at + 1):
            open_s[k] -= amount_s
    return amounts_s


def slots_of(
    points: Sequence[SignalPoint], now_s: float, deadlines: Iterable[float], *, follow: Quantity, power_w: float
) -> list[Slot]:
    """What lies ahead, up to the last deadline."""
    ends = sorted({deadline_s for deadline_s in deadlines if deadline_s > now_s})
    if not ends:
        return []
    costs = _costs(points, follow, power_w)
    edges = sorted({now_s, *ends, *(edge for start_s, end_s, _ in costs for edge in (start_s, end_s) if now_s < edge < ends[-1])})
    slots, at = list[Slot](), 0
    for start_s, end_s in pairwise(edges):
        while at < len(costs) and costs[at][1] <= start_s:
            at += 1
        known = at < len(costs) and costs[at][0] <= start_s
        slots.append(Slot(start_s=start_s, end_s=end_s, cost=costs[at][2] if known else None))
    fixed = set(ends)
    while len(slots) > MOST_SLOTS and len(joined := _joined(slots, fixed)) < len(slots):
        slots = joined
    return slots


def electricity(point: SignalPoint, power_w: float) -> tuple[float | None, float | None]:
    """What a kWh carries, in grams, and costs a node that draws `power_w`. What the surplus covers carries and costs nothing."""
    drawn = 1.0 - _covered(point, power_w)
    if drawn <= 0:
        return 0.0, 0.0
    g, price = point.g_per_kwh, point.price_per_kwh
    return None if g is None else g * drawn, None if price is None else price * drawn


def _covered(point: SignalPoint, power_w: float) -> float:
    return min(1.0, (point.surplus_w or 0.0) / power_w)


def _costs(points: Sequence[SignalPoint], follow: Quantity, power_w: float) -> list[tuple[float, float, Cost | None]]:
    """By the quantity to follow; where nothing at all is known of that, by the other; where only a surplus is, by that."""
    carbon_known = any(point.g_per_kwh is not None for point in points)
    price_known = any(point.price_per_kwh is not None for point in points)
    is_carbon = carbon_known and (follow == "carbon" or not price_known)
    costs: list[tuple[float, float, Cost | None]] = []
    for point in points:
        carbon, price = electricity(point, power_w)
        decides, other = (carbon, price) if is_carbon else (price, carbon)
        if not carbon_known and not price_known:
            decides = None if point.surplus_w is None else 1.0 - _covered(point, power_w)
        costs.append((point.start_s, point.end_s, None if decides is None else (decides, other or 0.0)))
    return costs


def _joined(slots: Sequence[Slot], fixed: set[float]) -> list[Slot]:
    """Neighbours two by two as one of their mean cost, but not across a deadline, nor the known with the unknown."""
    joined: list[Slot] = []
    may_join = False
    for slot in slots:
        before = joined[-1] if joined else None
        if may_join and before is not None and before.end_s not in fixed and (before.cost is None) == (slot.cost is None):
            joined[-1] = Slot(start_s=before.start_s, end_s=slot.end_s, cost=_mean(before, slot))
            may_join = False
        else:
            joined.append(slot)
            may_join = len(joined) > 1  # the slot of now stays as it is
    return joined


def _mean(one: Slot, other: Slot) -> Cost | None:
    if one.cost is None or other.cost is None:
        return None
    whole_s = one.length_s + other.length_s
    first, second = ((a * one.length_s + b * other.length_s) / whole_s for a, b in zip(one.cost, other.cost, strict=True))
    return first, second


def _spare_s(by_deadline: Sequence[Job], now_s: float) -> float:
    """How long all may wait from now; below 0 where a deadline cannot be kept."""
    spare_s, work_s = float("inf"), 0.0
    for job in by_deadline:
        work_s += job.work_s
        spare_s = min(spare_s, job.deadline_s - now_s - work_s)
    return spare_s


def _starts(slots: Sequence[Slot], amounts_s: Sequence[float], by_deadline: Sequence[Job]) -> dict[str, float]:
    """When each job first runs if the amounts are taken at the beginnings of their slots, the earliest deadline first."""
    starts: dict[str, float] = {}
    waiting, left_s = iter(by_deadline), 0.0
    for slot, amount_s in zip(slots, amounts_s, strict=True):
        used_s = 0.0
        while amount_s - used_s > _LEAST_S:
            if left_s <= _LEAST_S:
                job = next(waiting, None)
                if job is None:
                    return starts
                starts[job.name], left_s = slot.start_s + used_s, job.work_s
            step_s = min(left_s, amount_s - used_s)
            left_s, used_s = left_s - step_s, used_s + step_s
    return starts


def _deadline(job: Job) -> float:
    return job.deadline_s
