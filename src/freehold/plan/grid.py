"""Grids of countries: grams of CO2e for a kilowatt-hour, on average and by place, and what the country makes in a year.

An average of a past year, which is printed with it. It says what a share of all electricity emitted; it does not say what one
more megawatt would (the marginal factor), and contracts for green power do not change it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from freehold.core.errors import NotFound
from freehold.plan.tables import cells, number, rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    code: str  # ISO 3166, three letters
    country: str
    year: int
    carbon_g_per_kwh: float | None
    total_twh: float | None
    source: str
    water_l_per_kwh: float | None = None  # evaporated or used up by making it, of the country's mix


_WATER: Mapping[str, float | None] = {row["code"]: number(row, "water_l_per_kwh") for row in rows("grid_water.csv")}

GRIDS: Mapping[str, Grid] = {
    row["code"]: Grid(year=int(row["year"]), water_l_per_kwh=_WATER.get(row["code"]), **cells(row, Grid))
    for row in rows("grid_carbon.csv")
}


def grid(query: str) -> Grid:
    """By its three letters or its name. Raises NotFound."""
    found = GRIDS.get(query.upper())
    named = [one for one in GRIDS.values() if one.country.lower() == query.lower()]
    if found is None and not named:
        near = sorted(code for code in GRIDS if code.startswith(query[:2].upper()))
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise NotFound(f"no country {query[:40]!r}: give three letters (ISO 3166), as IND, ISL or USA{hint}")
    return found or named[0]
