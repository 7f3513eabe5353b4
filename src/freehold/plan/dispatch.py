"""A site's power through a year: what to build, what to run when, and when training had better pause.

The question is `dispatch_case.py`, the linear program `dispatch_program.py`; here its answer is read. Costs are of one year:
capital as an annuity at a WACC, upkeep, fuel, the grid's energy, carbon, and two prices for what is not done: load that is
shed, and training that is paused. A paused cluster has saved its state and idles at a tenth of its power; each pause loses a
checkpoint and a restart. The program sees the whole year beforehand, as no operator does, and nothing breaks in it: a lower
bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np

from freehold.core.errors import InvalidRequest
from freehold.plan.dispatch_case import Case, check
from freehold.plan.dispatch_program import Program, Solution
from freehold.plan.uncertainty import Array

WEEK_H = 168
NEGLIGIBLE = 1e-3  # of the peak load: below it a step does not count as one in which something is paused or shed


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """MW in each step, `charge_mwh` at its end, `usd_per_mwh` what one more MWh would have cost. (T,) each.

    pv + wind + firm + grid + discharge + shed + paused (1 - idle) = load + charge + curtailed
    """

    load: Array
    pv: Array  # what there was, used or not
    wind: Array
    firm: Array
    grid: Array
    charge: Array
    discharge: Array
    charge_mwh: Array
    curtailed: Array
    paused: Array  # load of the training that is paused
    shed: Array
    usd_per_mwh: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """Seven days that decide. `share` is of what the battery earns in the year; without one, of what the load's energy is worth.

    `pv_share` and `wind_share` are sun and wind over their means of the year.
    """

    first_step: int
    steps: int
    first_day: int  # of the year, from 1
    is_of_battery: bool
    share: float
    pv_share: float
    wind_share: float
    paused_mwh: float
    unserved_mwh: float
    usd_per_mwh: float  # on average


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Energy, costs and hours are of a year."""

    case: Case
    capacities: Mapping[str, float]  # MW and MWh, with what stood already
    built: Mapping[str, float]
    costs_usd: Mapping[str, float]
    cap_usd_per_t: float | None  # what one tonne more under the cap on carbon would save; None: there is no cap
    series: Series
    week: Week

    @property
    def total_usd(self) -> float:
        """With the prices of what was shed and paused: what the program made small."""
        return sum(self.costs_usd.values())

    @property
    def supply_usd(self) -> float:
        return sum(usd for name, usd in self.costs_usd.items() if name not in ("shed", "paused"))

    def energy_mwh(self, name: str) -> float:
        return float(getattr(self.series, name).sum() * self.case.step_h / self.case.years)

    @property
    def served_mwh(self) -> float:
        return self.energy_mwh("load") - self.energy_mwh("shed") - self.energy_mwh("paused") * (1 - self.case.idle)

    @property
    def usd_per_mwh(self) -> float | None:
        """None where nothing is served."""
        return self.supply_usd / self.served_mwh if self.served_mwh > NEGLIGIBLE * self.energy_mwh("load") else None

    @property
    def carbon_t(self) -> float | None:
        """None where the grid is used and nobody said what it emits."""
        grid_mwh = self.energy_mwh("grid")
        if self.case.grid_g_per_kwh is None and grid_mwh > 0:
            return None
        return (self.energy_mwh("firm") * _firm_g(self.case) + grid_mwh * (self.case.grid_g_per_kwh or 0.0)) / 1e3

    @property
    def paused_hours(self) -> float:
        """In which anything is paused."""
        found = self.series.paused > NEGLIGIBLE * self.series.load.max()
        return float(found.sum() * self.case.step_h / self.case.years)

    @property
    def unserved_hours(self) -> float:
        found = self.series.shed > NEGLIGIBLE * self.series.load.max()
        return float(found.sum() * self.case.step_h / self.case.years)


def dispatch(case: Case) -> Dispatch:
    """The cheapest. Raises InvalidRequest for numbers that are none, and where no plan keeps the limits, saying which."""
    check(case)
    found = Program(case).solve()
    if found is None:
        _refuse(case)
    return told(case, found)


def _refuse(case: Case) -> NoReturn:
    """Each limit alone says how near one can come to it."""
    said = []
    no_carbon = replace(case, carbon_cap_t=None)
    least = Program(no_carbon).least("shed")
    asked = float(case.load_mw.sum() * case.step_h)
    if least is not None and least > case.most_unserved * asked * (1 + 1e-6) + 1e-9 * asked:
        said.append(
            f"most-unserved: at most {case.most_unserved:.3g} of the energy may be missing, and {least / asked:.3g} is the "
            "least that these sources can do; allow more of them to be built, or let training pause"
        )
    elif case.carbon_cap_t is not None:
        emitted = Program(no_carbon).least("carbon") or 0.0
        said.append(
            f"carbon-cap: {case.carbon_cap_t:,.4g} t a year, and {emitted / case.years:,.4g} t is the least that keeps "
            f"most-unserved at {case.most_unserved:.3g}; raise one of the two, or allow sources that emit nothing"
        )
    raise InvalidRequest(f"no plan keeps the limits. {'; '.join(said) or 'The solver found no reason.'}", param="limits")


def told(case: Case, found: Solution) -> Dispatch:
    series = Series(
        load=case.load_mw,
        pv=case.pv * found.capacities.get("pv", 0.0),
        wind=case.wind * found.capacities.get("wind", 0.0),
        **found.series,
    )
    built = {name: max(0.0, size - case.units[name].have) for name, size in found.capacities.items()}
    return Dispatch(
        case=case,
        capacities=found.capacities,
        built=built,
        costs_usd=_costs(case, series, found.capacities, built),
        cap_usd_per_t=found.cap_usd_per_t,
        series=series,
        week=_week(case, series),
    )


def _costs(case: Case, series: Series, sizes: Mapping[str, float], built: Mapping[str, float]) -> dict[str, float]:
    """USD a year."""

    def energy(power: Array, usd_per_mwh: Array | float = 1.0) -> float:
        return float((power * usd_per_mwh).sum() * case.step_h / case.years)

    costs = {}
    running = {"pv": series.pv, "wind": series.wind, "firm": series.firm, "battery-mw": series.discharge}
    for name, size in sizes.items():
        technology = case.units[name].technology
        capital = built[name] * technology.capital_usd_per_mw(case.wacc)
        variable = energy(running[name]) * technology.variable_usd_per_mwh if name in running else 0.0
        costs[name] = capital + size * technology.fixed_usd_per_mw + variable
    emitted = energy(series.firm) * _firm_g(case) + energy(series.grid) * (case.grid_g_per_kwh or 0.0)
    starts = np.clip(series.paused - np.roll(series.paused, 1), 0, None)
    costs["grid"] = energy(series.grid, case.grid_usd_per_mwh)
    costs["carbon"] = emitted / 1e3 * case.carbon_usd_per_t
    costs["shed"] = energy(series.shed) * case.shed_usd_per_mwh
    costs["paused"] = (energy(series.paused) + float(starts.sum()) * case.restart_h / case.years) * case.pause_usd_per_mwh
    return costs


def _firm_g(case: Case) -> float:
    return case.units["firm"].technology.carbon_g_per_kwh if "firm" in case.units else 0.0


def _week(case: Case, series: Series) -> Week:
    """The battery earns what it is paid for by what it moves between steps of different worth: most of it in few days."""
    day = max(1, round(24 / case.step_h))
    length = min(series.load.size, round(WEEK_H / case.step_h))
    battery = series.usd_per_mwh * (series.discharge - series.charge)
    is_of_battery = bool(battery.sum() > 0)
    worth = battery if is_of_battery else series.usd_per_mwh * series.load
    summed = np.concatenate([[0.0], np.cumsum(worth)])
    firsts = np.arange(0, series.load.size - length + 1, day)
    values = summed[firsts + length] - summed[firsts]
    first = int(firsts[int(np.argmax(values))])
    part = slice(first, first + length)
    total = float(worth.sum())

    def against_mean(power: Array) -> float:
        return float(power[part].mean() / power.mean()) if power.mean() > 0 else 0.0

    return Week(
        first_step=first,
        steps=length,
        first_day=first // day + 1,
        is_of_battery=is_of_battery,
        share=float(values.max() / total) if total > 0 else 0.0,
        pv_share=against_mean(case.pv),
        wind_share=against_mean(case.wind),
        paused_mwh=float(series.paused[part].sum() * case.step_h),
        unserved_mwh=float(series.shed[part].sum() * case.step_h),
        usd_per_mwh=float(series.usd_per_mwh[part].mean()),
    )
