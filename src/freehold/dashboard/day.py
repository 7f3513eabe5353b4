"""What this day (UTC) has come to, over all its exchanges: energy, carbon and cost, each with its range and how much is unknown.

Added up by the record, not by the page, and at most every few seconds for all open pages together. Electricity and what
providers ask are two figures, never one: the first is this site's, the second is an invoice.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from freehold.core.limits import DAY_NS, day_of
from freehold.core.ports import UnixClock
from freehold.core.totals import DayTotal, added
from freehold.dashboard.figures import NONE, UNKNOWN, dollars, grams, interval, joules

EVERY_S: Final = 3.0  # adding up a busy day reads each of its rows,
_SHARE: Final = 10  # and takes no more than one part in so many of the time

TotalsBetween = Callable[[int, int], Sequence[DayTotal]]  # from one Unix nanosecond up to another; blocks on the disk


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    name: str
    value: str
    range: str  # empty where the figure has no interval
    note: str


class Day:
    def __init__(self, totals: TotalsBetween, unix_ns: UnixClock = time.time_ns) -> None:
        self._totals = totals
        self._unix_ns = unix_ns
        self._again_at_s = float("-inf")
        self._read: Sequence[DayTotal] = ()
        self._reading = asyncio.Lock()

    async def figures(self) -> tuple[Figure, ...]:
        """Raises DeviceError where the record can't be read."""
        async with self._reading:
            if time.monotonic() >= self._again_at_s:
                today = day_of(self._unix_ns())
                begun_s = time.monotonic()
                self._read = await asyncio.to_thread(self._totals, today * DAY_NS, (today + 1) * DAY_NS)
                now_s = time.monotonic()
                self._again_at_s = now_s + max(EVERY_S, _SHARE * (now_s - begun_s))
        return figures(self._read)


def figures(totals: Sequence[DayTotal]) -> tuple[Figure, ...]:
    return (_energy(totals), _carbon(totals), _electricity(totals), _bought(totals))


def _energy(totals: Sequence[DayTotal]) -> Figure:
    sums = added(totals)
    grades = sorted({grade.replace("_", " ") for total in totals for grade in total.grades.split(",") if grade})
    coverage = _coverage(sums.run_requests - sums.known_requests, sums.run_requests)
    return Figure(
        name="Energy",
        value=joules(sums.energy_j) if sums.known_requests else _nothing(sums.run_requests),
        range=interval(sums.low_j, sums.high_j, joules) if sums.known_requests else "",
        note="; ".join(filter(None, (", ".join(grades), coverage))),
    )


def _carbon(totals: Sequence[DayTotal]) -> Figure:
    sums = added(totals)
    making = f"and {grams(sums.embodied_g)} of making the machine" if sums.embodied_requests else ""
    coverage = _coverage(sums.run_requests - sums.carbon_requests, sums.run_requests)
    return Figure(
        name="CO2e",
        value=grams(sums.carbon_g) if sums.carbon_requests else _nothing(sums.run_requests),
        range=interval(sums.carbon_low_g, sums.carbon_high_g, grams) if sums.carbon_requests else "",
        note="; ".join(filter(None, (making, "location-based" if sums.carbon_requests else "", coverage))),
    )


def _electricity(totals: Sequence[DayTotal]) -> Figure:
    """Of what ran here: a provider's is in its price."""
    sums = added(total for total in totals if total.model_id is not None)
    return Figure(
        name="Electricity",
        value=dollars(sums.electricity_microusd) if sums.electricity_requests else _nothing(sums.run_requests),
        range="",
        note=_coverage(sums.run_requests - sums.electricity_requests, sums.run_requests)
        if sums.run_requests
        else "nothing ran here",
    )


def _bought(totals: Sequence[DayTotal]) -> Figure:
    sums = added(total for total in totals if total.provider is not None and total.model_id is None)
    is_known = sums.unknown_costs < sums.requests
    return Figure(
        name="APIs",
        value=dollars(sums.cost_microusd) if is_known else _nothing(sums.requests),
        range="",
        note=_coverage(sums.unknown_costs, sums.requests) if sums.requests else "nothing was bought",
    )


def _nothing(requests: int) -> str:
    """Where there is no figure: nobody knows it, or there is nothing to have one of."""
    return UNKNOWN if requests else NONE


def _coverage(unknown: int, of: int) -> str:
    if not of:
        return "nothing ran"
    if unknown == of:
        return "none known"
    return f"without {unknown:,} unknown of {of:,}" if unknown else f"all {of:,} known"
