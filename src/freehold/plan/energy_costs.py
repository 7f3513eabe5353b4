"""What sources of power and batteries cost: to build, to keep, to run, and as an annuity over their lives.

A cell left empty here is a cost that there is none of (fuel of the sun), not one that nobody knows: these are assumptions of a
plan, shown with it, and each may be replaced.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from freehold.core.errors import InvalidRequest
from freehold.plan.tables import Row, number, rows

WACC = 0.07  # real, before tax: assumed, between a utility (0.05) and a developer of data centres (0.10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Technology:
    """`capex_usd_per_kw` is for a kWh where the name ends in "mwh". `sigma` is of the natural logarithm of that price."""

    name: str
    capex_usd_per_kw: float
    fixed_share_of_capex: float  # a year
    life_years: float
    variable_usd_per_mwh: float
    carbon_g_per_kwh: float
    sigma: float
    source: str
    confidence: str

    def capital_usd_per_mw(self, wacc: float) -> float:
        """A year, of one MW or MWh."""
        return self.capex_usd_per_kw * 1e3 * capital_recovery(wacc, self.life_years)

    @property
    def fixed_usd_per_mw(self) -> float:
        """A year."""
        return self.capex_usd_per_kw * 1e3 * self.fixed_share_of_capex


def capital_recovery(wacc: float, years: float) -> float:
    """The share of a price that is paid each year, interest included. Raises InvalidRequest."""
    if not (math.isfinite(wacc) and 0 <= wacc <= 0.5):
        raise InvalidRequest(f"a cost of capital lies between 0 and 0.5 a year (0.07 is 7 %), got {wacc:g}", param="wacc")
    return wacc / (1 - (1 + wacc) ** -years) if wacc else 1 / years


def _technology(row: Row) -> Technology:
    return Technology(
        name=row["name"],
        capex_usd_per_kw=number(row, "capex_usd_per_kw") or 0.0,
        fixed_share_of_capex=number(row, "fixed_share_of_capex") or 0.0,
        life_years=number(row, "life_years") or math.inf,
        variable_usd_per_mwh=number(row, "variable_usd_per_mwh") or 0.0,
        carbon_g_per_kwh=number(row, "carbon_g_per_kwh") or 0.0,
        sigma=number(row, "sigma") or 0.0,
        source=row["source"],
        confidence=row["confidence"],
    )


TECHNOLOGIES: Mapping[str, Technology] = {row["name"]: _technology(row) for row in rows("energy_costs.csv")}
