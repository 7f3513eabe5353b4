"""Water that a site takes: what its cooling evaporates, and what its electricity took to make.

    litres = IT energy x WUE + energy at the meter x water intensity of the grid

WUE is of the site's cooling: nothing for dry coolers, most for towers in a dry climate. Where nobody said, it is a range. The
grid's figure is of the country's mix (`grid.py`) and counts the reservoirs of dams, most of it where water makes the power.
"""

import math
from dataclasses import dataclass

from freehold.core.errors import InvalidRequest
from freehold.plan.grid import Grid
from freehold.plan.uncertainty import LogNormal, Simulation, Spread, Triangular, simulate

# Litres for a kWh of IT energy: dry coolers; all US data centres of 2023; towers. Lawrence Berkeley National Laboratory, United
# States Data Center Energy Usage Reports of 2024 (0.36) and 2016 (1.8). From memory, not read again.
WUE = Triangular(low=0.0, mode=0.36, high=1.8)
WUE_SOURCE = "cooling: 0 to 1.8 l/kWh, likeliest 0.36 (LBNL, US data centres, reports of 2016 and 2024; from memory)"
GRID_SIGMA = 0.3  # between ways of counting reservoirs: assumed
LITRES_PER_ML = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Water:
    """Millions of litres (ML) a year."""

    cooling: Simulation
    grid: Simulation | None  # None: no country, or its figure is unknown
    total: Simulation | None


def water(it_twh: float, site_twh: float, grid: Grid | None = None, wue_l_per_kwh: float | None = None) -> Water:
    """`wue_l_per_kwh` in place of the range. Raises InvalidRequest."""
    if wue_l_per_kwh is not None and not (math.isfinite(wue_l_per_kwh) and 0 <= wue_l_per_kwh <= 20):
        raise InvalidRequest(f"a WUE lies between 0 and 20 litres for a kWh, got {wue_l_per_kwh:g}", param="wue")
    cooling_ml, grid_ml = it_twh * 1e9 / LITRES_PER_ML, site_twh * 1e9 / LITRES_PER_ML  # for each l/kWh
    given = wue_l_per_kwh
    spreads: dict[str, Spread] = {"WUE": WUE if given is None else Triangular(low=given, mode=given, high=given)}
    cooling = simulate(lambda inputs: inputs["WUE"] * cooling_ml, spreads)
    intensity = None if grid is None else grid.water_l_per_kwh
    if intensity is None:
        return Water(cooling=cooling, grid=None, total=None)
    made: dict[str, Spread] = {"water of the grid": LogNormal(median=intensity, sigma=GRID_SIGMA)}
    return Water(
        cooling=cooling,
        grid=simulate(lambda inputs: inputs["water of the grid"] * grid_ml, made),
        total=simulate(lambda inputs: inputs["WUE"] * cooling_ml + inputs["water of the grid"] * grid_ml, {**spreads, **made}),
    )
