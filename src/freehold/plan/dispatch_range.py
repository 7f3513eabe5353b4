"""What a dispatch costs and builds when prices are other than assumed: a few plans made anew, each from the first one's answer.

Prices are what is drawn: of what is built, of fuel, of the grid, and the cost of capital. The weather is one year's, and is not
drawn: for another year give another table. A plan takes tenths of a second where another model takes microseconds, so that there
are tens of draws and not thousands, and P10 and P90 are themselves uncertain. They are made in longer steps than the plan that
they are about, and moved by the difference between that plan and the one of such steps on undrawn prices.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from freehold.core.errors import InvalidRequest
from freehold.plan.dispatch import Dispatch, told
from freehold.plan.dispatch_case import Case
from freehold.plan.dispatch_program import Program
from freehold.plan.uncertainty import Array, LogNormal, Simulation, Spread, Triangular, simulate

DRAWS = 20
MOST_DRAWS = 1000
FUEL_SIGMA, GRID_SIGMA = 0.3, 0.25  # of a year's mean price, from one year to another: assumed
_CAPITAL = Triangular(low=-0.02, mode=0.0, high=0.03)  # added to the WACC


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """`capacities` are P10, P50 and P90 of each."""

    draws: int
    total_usd: Simulation
    usd_per_mwh: tuple[float, float, float] | None  # None where a plan serves nothing
    capacities: Mapping[str, tuple[float, float, float]]


def ranges(case: Case, draws: int = DRAWS, about: Dispatch | None = None) -> Ranges:
    """`about` is the plan of the same question in other steps. Raises InvalidRequest; `case` is one that has a plan."""
    if not 2 <= draws <= MOST_DRAWS:
        raise InvalidRequest(f"between 2 and {MOST_DRAWS:,} draws, got {draws:,}", param="draws")
    program = Program(case)
    solution = program.solve()
    assert solution is not None
    base = told(case, solution)
    about = base if about is None else about
    found: list[Dispatch] = []

    def model(inputs: Mapping[str, Array]) -> Array:
        """The draws come first, then two ends of each input in turn."""
        size = next(iter(inputs.values())).size
        for at in range(size):
            drawn = _repriced(case, {name: float(values[at]) for name, values in inputs.items()})
            found.append(_again(drawn, program))
        return np.array([one.total_usd for one in found[-size:]])

    total = simulate(model, _spreads(case), draws=draws, are_few=True).shifted(about.total_usd - base.total_usd)
    plans = found[:draws]
    per_mwh = [one.usd_per_mwh for one in [*plans, base, about] if one.usd_per_mwh is not None]
    are_known = len(per_mwh) == draws + 2
    return Ranges(
        draws=draws,
        total_usd=total,
        usd_per_mwh=_quantiles(per_mwh[:draws], per_mwh[-1] - per_mwh[-2]) if are_known else None,
        capacities={
            name: _quantiles([one.capacities[name] for one in plans], about.capacities[name] - base.capacities[name])
            for name in case.units
        },
    )


def _again(case: Case, program: Program) -> Dispatch:
    solution = program.again(case)
    assert solution is not None  # prices alone changed, and limits that were kept still are
    return told(case, solution)


def _spreads(case: Case) -> dict[str, Spread]:
    spreads: dict[str, Spread] = {
        f"price of {name}": LogNormal(median=1.0, sigma=unit.technology.sigma)
        for name, unit in case.units.items()
        if unit.most > unit.have and unit.technology.sigma
    }
    if "firm" in case.units:
        spreads["price of fuel"] = LogNormal(median=1.0, sigma=FUEL_SIGMA)
    if case.grid_mw:
        spreads["price of the grid"] = LogNormal(median=1.0, sigma=GRID_SIGMA)
    low = max(_CAPITAL.low, -case.wacc)
    spreads["cost of capital"] = Triangular(low=low, mode=0.0, high=_CAPITAL.high)
    return spreads


def _repriced(case: Case, drawn: Mapping[str, float]) -> Case:
    units = {}
    for name, unit in case.units.items():
        technology = unit.technology
        fuel = drawn.get("price of fuel", 1.0) if name == "firm" else 1.0
        priced = replace(
            technology,
            capex_usd_per_kw=technology.capex_usd_per_kw * drawn.get(f"price of {name}", 1.0),
            variable_usd_per_mwh=technology.variable_usd_per_mwh * fuel,
        )
        units[name] = replace(unit, technology=priced)
    grid = case.grid_usd_per_mwh * drawn.get("price of the grid", 1.0)
    return replace(case, units=units, grid_usd_per_mwh=grid, wacc=case.wacc + drawn["cost of capital"])


def _quantiles(values: list[float], shift: float) -> tuple[float, float, float]:
    p10, p50, p90 = np.maximum(np.quantile(np.array(values), (0.1, 0.5, 0.9)) + shift, 0.0)
    return float(p10), float(p50), float(p90)
