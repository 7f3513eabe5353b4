"""What a dispatch is asked: a load, what may be built or stands already, at what prices, within which limits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from freehold.core.errors import InvalidRequest, UnknownFigure
from freehold.plan.energy_costs import TECHNOLOGIES, WACC, Technology, capital_recovery
from freehold.plan.profile import in_steps
from freehold.plan.reliability import CHECKPOINT_S, RESTART_S
from freehold.plan.site import HOURS_PER_YEAR, MOST_MW, SHELL_USD_PER_MW, WHOLE_USD_PER_MW
from freehold.plan.uncertainty import Array

ROUND_TRIP = 0.91  # of a battery with its inverter, PyPSA/technology-data @8d0c8bf: 0.955 each way
IDLE = 0.1  # of its power, what a paused cluster draws
# Load that nobody planned to lose: unsaved work, contracts. Assumed, as a grid's regulator assumes a value of lost load.
SHED_USD_PER_MWH = 5000.0
CHIP_YEARS = 5.0
RESTART_H = (CHECKPOINT_S + RESTART_S) / 3600
MOST_USD = 1e6
MOST_THERE = 1e9  # MW or MWh; beyond it a number was mistyped
MOST_CARBON_T = 1e12


def pause_usd_per_mwh(wacc: float = WACC) -> float:
    """What idle chips cost: a site with everything less its shell (site.py), over the chips' years, by the MWh of their load."""
    return (WHOLE_USD_PER_MW[0] - SHELL_USD_PER_MW) * capital_recovery(wacc, CHIP_YEARS) / HOURS_PER_YEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """MW, or MWh for a battery's energy. Where `have` is `most`, nothing may be built."""

    technology: Technology
    have: float = 0.0  # stands already: upkeep is paid, capital is not
    most: float = math.inf  # with what stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Arrays have one figure a step, (T,). `grid_g_per_kwh` None: unknown."""

    load_mw: Array
    pv: Array  # power over capacity
    wind: Array
    step_h: float
    units: Mapping[str, Unit]  # by the names of `TECHNOLOGIES`; what is not here is not there
    grid_mw: float = 0.0
    grid_usd_per_mwh: Array = field(default_factory=lambda: np.zeros(1))  # (T,) or (1,)
    grid_g_per_kwh: float | None = None
    wacc: float = WACC
    round_trip: float = ROUND_TRIP
    shed_usd_per_mwh: float = SHED_USD_PER_MWH
    most_unserved: float = 1.0  # share of the energy asked for
    pausable: float = 0.0  # share of the load that may pause
    idle: float = IDLE
    pause_usd_per_mwh: float = field(default_factory=pause_usd_per_mwh)
    restart_h: float = RESTART_H
    carbon_usd_per_t: float = 0.0
    carbon_cap_t: float | None = None  # a year

    @property
    def years(self) -> float:
        """That the steps are of; short horizons are for tests."""
        return self.load_mw.size * self.step_h / HOURS_PER_YEAR

    def averaged(self, count: int) -> "Case":
        """The same in steps `count` times as long, which divides their number."""
        prices = self.grid_usd_per_mwh
        return replace(
            self,
            load_mw=in_steps(self.load_mw, count),
            pv=in_steps(self.pv, count),
            wind=in_steps(self.wind, count),
            grid_usd_per_mwh=in_steps(prices, count) if prices.size > 1 else prices,
            step_h=self.step_h * count,
        )


def check(case: Case) -> None:
    """Raises InvalidRequest and UnknownFigure."""
    steps = case.load_mw.size
    if not (steps and np.all(np.isfinite(case.load_mw)) and case.load_mw.min() >= 0 and 0 < case.load_mw.max() <= MOST_MW):
        raise InvalidRequest(f"a load lies between 0 and {MOST_MW:,.0f} MW, and is not always 0", param="load")
    for name, shares in (("pv", case.pv), ("wind", case.wind)):
        if shares.size != steps or not np.all((shares >= 0) & (shares <= 1.25)):
            raise InvalidRequest(f"{name} has a share of its capacity for each of the {steps:,} steps", param=name)
    if unknown := set(case.units) - set(TECHNOLOGIES):
        raise InvalidRequest(f"no source {', '.join(sorted(unknown))}; known: {', '.join(TECHNOLOGIES)}", param="units")
    for name, unit in case.units.items():
        _check_unit(name, unit)
    for name, value, most in (
        ("most-unserved", case.most_unserved, 1),
        ("pausable", case.pausable, 1),
        ("idle", case.idle, 1),
        ("shed-cost", case.shed_usd_per_mwh, MOST_USD),
        ("pause-cost", case.pause_usd_per_mwh, MOST_USD),
        ("carbon-price", case.carbon_usd_per_t, MOST_USD),
        ("restart-h", case.restart_h, MOST_USD),
        ("grid-mw", case.grid_mw, MOST_MW),
        ("carbon-cap", case.carbon_cap_t or 0, MOST_CARBON_T),
    ):
        if not 0 <= value <= most:
            raise InvalidRequest(f"{name} lies between 0 and {most:g}, got {value:g}", param=name)
    if not 0 < case.round_trip <= 1:
        raise InvalidRequest(f"a battery gives back more than 0 and at most all, got {case.round_trip:g}", param="round-trip")
    if not np.all(np.isfinite(case.grid_usd_per_mwh)) or case.grid_usd_per_mwh.size not in (1, steps):
        raise InvalidRequest("prices of the grid are finite, one for all steps or one for each", param="grid-price")
    if case.grid_mw and case.grid_g_per_kwh is None and (case.carbon_cap_t is not None or case.carbon_usd_per_t):
        raise UnknownFigure("cannot compute: what the grid emits is unknown; say --country or --grid-carbon")
    capital_recovery(case.wacc, 1)


def _check_unit(name: str, unit: Unit) -> None:
    if not 0 <= unit.have <= min(unit.most, MOST_THERE):
        limit = f"{min(unit.most, MOST_THERE):g}"
        raise InvalidRequest(f"{name}: what stands, {unit.have:g}, lies between 0 and the most, {limit}", param=name)
    if not 0 < unit.technology.capex_usd_per_kw <= MOST_USD or not unit.technology.life_years > 0:
        raise InvalidRequest(f"{name}: a price is above 0 and at most {MOST_USD:g} USD/kW, a life above 0 years", param=name)
