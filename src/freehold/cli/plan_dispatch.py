"""`freehold plan dispatch`: what feeds a site through a year, what that costs, and which week makes the storage what it is."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from freehold.cli.plan_answer import answer_options, tell
from freehold.cli.plan_dispatch_words import Asked, answer
from freehold.cli.plan_words import read_text
from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import find
from freehold.plan.dispatch import dispatch as work_out
from freehold.plan.dispatch_case import IDLE, ROUND_TRIP, SHED_USD_PER_MWH, Case, Unit, pause_usd_per_mwh
from freehold.plan.dispatch_range import DRAWS, ranges
from freehold.plan.energy_costs import TECHNOLOGIES, WACC, Technology
from freehold.plan.grid import Grid, grid
from freehold.plan.power import chip_power
from freehold.plan.profile import Kind, parse_hours
from freehold.plan.uncertainty import Array
from freehold.plan.weather import HOURS, LATITUDE, SEED, WIND_MEAN, solar
from freehold.plan.weather import wind as made_up_wind

MOST_BYTES = 4 << 20
RANGE_STEP_H = 6  # of the plans made anew for ranges: a fifth of the time of 3, and moved to where the plan itself lies
_PARTS = {"pv": ("pv",), "wind": ("wind",), "firm": ("firm",), "battery": ("battery-mw", "battery-mwh")}
_NAMES = ", ".join(TECHNOLOGIES)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def _amounts(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, float]:
    """NAME=NUMBER, as often as wanted."""
    found = {}
    for text in values:
        name, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if name not in TECHNOLOGIES or not (math.isfinite(value) and value >= 0):
            raise InvalidRequest(
                f"{param.opts[0]} takes NAME=NUMBER with a name of {_NAMES}, got {text[:40]!r}", param=param.name
            )
        found[name] = value
    return found


def _amounts_option(name: str, help_: str) -> Callable[[Any], Any]:
    return click.option(name, multiple=True, callback=_amounts, metavar="NAME=NUMBER", help=help_)


@click.command()
@click.option("--load", "load_mw", type=float, help="Megawatts at the site's meter, all year.")
@click.option("--load-profile", type=_FILE, help="Instead: a table of a year's hours with a column load_mw.")
@click.option("--chip", help="Instead, with --count: the power that so many chips are given, all year.")
@click.option("--count", type=click.IntRange(min=1), help="How many chips.")
@click.option("--pv", is_flag=True, help="Sun may be built.")
@click.option("--wind", is_flag=True, help="Wind may be built.")
@click.option("--firm", is_flag=True, help="A source that runs when it is told to may be built: a gas turbine, unless you say.")
@click.option("--battery", is_flag=True, help="Batteries may be built.")
@_amounts_option("--have", f"What stands already, in MW or MWh, of {_NAMES}. As often as wanted.")
@_amounts_option("--most", "The most there may be, with what stands.")
@_amounts_option("--price", "What it costs to build, in USD/kW, of battery-mwh in USD/kWh.")
@click.option("--firm-usd-per-mwh", type=float, help="Fuel and upkeep of the firm source. Default: gas, 75.")
@click.option("--firm-g-per-kwh", type=float, help="What the firm source emits. Default: gas, 489.")
@click.option("--grid-mw", type=float, default=0.0, show_default=True, help="Connection to the grid. 0: none.")
@click.option("--grid-price", type=float, help="USD/MWh of the grid, all year.")
@click.option("--grid-prices", type=_FILE, help="Instead: a table of a year's hours with a column price_usd_per_mwh.")
@click.option("--country", help="Whose grid, for what it emits: three letters (ISO 3166) or a name.")
@click.option("--grid-carbon", type=float, help="Instead: g/kWh.")
@click.option("--carbon-price", type=float, default=0.0, show_default=True, help="USD a tonne.")
@click.option("--carbon-cap", type=float, help="The most tonnes a year.")
@click.option("--pausable", type=float, default=0.0, show_default=True, help="Share of the load that is training and may pause.")
@click.option("--idle", type=float, default=IDLE, show_default=True, help="Share of its power that paused training draws.")
@click.option("--pause-cost", type=float, help="USD for a MWh of training not done. Default: what chips cost that stand idle.")
@click.option("--shed-cost", type=float, default=SHED_USD_PER_MWH, show_default=True, help="USD for a MWh of load not served.")
@click.option("--most-unserved", type=float, default=1.0, show_default=True, help="The largest share of the energy not served.")
@click.option("--round-trip", type=float, default=ROUND_TRIP, show_default=True, help="What a battery gives back.")
@click.option("--wacc", type=float, default=WACC, show_default=True, help="Cost of capital, a year.")
@click.option(
    "--pv-profile", type=_FILE, help="The sun of a year: a column pv (share of peak), or PVGIS's or renewables.ninja's table."
)
@click.option(
    "--wind-profile", type=_FILE, help="The wind of a year: a column wind (share of capacity), or renewables.ninja's table."
)
@click.option("--latitude", type=float, default=LATITUDE, show_default=True, help="Of the sun that is made up without a table.")
@click.option(
    "--wind-mean", type=float, default=WIND_MEAN, show_default=True, help="Of the wind that is made up without a table."
)
@click.option("--seed", type=click.IntRange(0), default=SEED, show_default=True, help="Of the weather that is made up.")
@click.option("--step", type=click.Choice(["3", "1"]), default="3", show_default=True, help="Hours of a step.")
@click.option("--draws", type=int, default=DRAWS, show_default=True, help="Plans made anew on other prices, for ranges. 0: none.")
@answer_options
def dispatch(
    load_mw: float | None,
    load_profile: Path | None,
    chip: str | None,
    count: int | None,
    pv: bool,
    wind: bool,
    firm: bool,
    battery: bool,
    have: Mapping[str, float],
    most: Mapping[str, float],
    price: Mapping[str, float],
    firm_usd_per_mwh: float | None,
    firm_g_per_kwh: float | None,
    grid_mw: float,
    grid_price: float | None,
    grid_prices: Path | None,
    country: str | None,
    grid_carbon: float | None,
    carbon_price: float,
    carbon_cap: float | None,
    pausable: float,
    idle: float,
    pause_cost: float | None,
    shed_cost: float,
    most_unserved: float,
    round_trip: float,
    wacc: float,
    pv_profile: Path | None,
    wind_profile: Path | None,
    latitude: float,
    wind_mean: float,
    seed: int,
    step: str,
    draws: int,
    as_json: bool,
    html: Path | None,
) -> None:
    """Find the cheapest power for a site through a year: sun, wind, a firm source, the grid, batteries, and pauses in training.

    The week that makes the storage what it is, is printed. Without tables, sun and wind are made up from a seed: shapes, not
    the weather of a place.
    """
    may = {"pv": pv, "wind": wind, "firm": firm, "battery": battery}
    units = _units(may, have, most, price)
    if "firm" in units:
        own = _firm(units["firm"].technology, firm_usd_per_mwh, firm_g_per_kwh)
        units["firm"] = replace(units["firm"], technology=own)
    if not units and not grid_mw:
        raise InvalidRequest("no source of power: allow --pv, --wind or --firm, say what stands with --have, or --grid-mw")
    country_grid = grid(country) if country else None
    hourly = Case(
        load_mw=_load(load_mw, load_profile, chip, count),
        pv=_hours(pv_profile, Kind.PV) if pv_profile else solar(latitude, seed),
        wind=_hours(wind_profile, Kind.WIND) if wind_profile else made_up_wind(wind_mean, seed),
        step_h=1.0,
        grid_usd_per_mwh=_prices(grid_mw, grid_price, grid_prices),
        units=units,
        grid_mw=grid_mw,
        grid_g_per_kwh=_carbon(country_grid, grid_carbon),
        wacc=wacc,
        round_trip=round_trip,
        shed_usd_per_mwh=shed_cost,
        most_unserved=most_unserved,
        pausable=pausable,
        idle=idle,
        pause_usd_per_mwh=pause_usd_per_mwh(wacc) if pause_cost is None else pause_cost,
        carbon_usd_per_t=carbon_price,
        carbon_cap_t=carbon_cap,
    )
    found = work_out(hourly.averaged(int(step)))
    ranged = ranges(hourly.averaged(RANGE_STEP_H), draws, found) if draws else None
    asked = Asked(
        country=None if grid_carbon is not None else country_grid, is_own_sun=not pv_profile, is_own_wind=not wind_profile
    )
    tell(answer(found, ranged, asked), as_json, html)


def _units(
    may: Mapping[str, bool], have: Mapping[str, float], most: Mapping[str, float], price: Mapping[str, float]
) -> dict[str, Unit]:
    units = {}
    for group, names in _PARTS.items():
        stands = any(name in have for name in names)
        if stands and not may[group] and not all(name in have for name in names):
            raise InvalidRequest(f"a battery has MW and MWh: say --have of {' and '.join(names)}", param="have")
        for name in names:
            if not may[group] and name in most:
                raise InvalidRequest(f"--most {name} is of what may be built: add --{group}", param="most")
            if may[group] or stands:
                technology = TECHNOLOGIES[name]
                if name in price:
                    technology = replace(technology, capex_usd_per_kw=price[name], source="given")
                stood = have.get(name, 0.0)
                units[name] = Unit(technology=technology, have=stood, most=most.get(name, math.inf if may[group] else stood))
    if unused := set(price) - set(units):
        raise InvalidRequest(f"--price of {', '.join(sorted(unused))}, which is not in this plan", param="price")
    return units


def _firm(technology: Technology, usd_per_mwh: float | None, g_per_kwh: float | None) -> Technology:
    for name, value in (("--firm-usd-per-mwh", usd_per_mwh), ("--firm-g-per-kwh", g_per_kwh)):
        if value is not None and not 0 <= value <= 1e6:
            raise InvalidRequest(f"{name} lies between 0 and 1e6, got {value:g}", param="firm")
    return replace(
        technology,
        variable_usd_per_mwh=technology.variable_usd_per_mwh if usd_per_mwh is None else usd_per_mwh,
        carbon_g_per_kwh=technology.carbon_g_per_kwh if g_per_kwh is None else g_per_kwh,
    )


def _load(load_mw: float | None, profile: Path | None, chip: str | None, count: int | None) -> Array:
    if (chip is None) != (count is None) or sum(one is not None for one in (load_mw, profile, chip)) != 1:
        raise InvalidRequest("give --load in MW, or --load-profile, or --chip and --count: one of the three", param="load")
    if profile is not None:
        return _hours(profile, Kind.LOAD)
    if chip is not None:
        load_mw = chip_power(find(chip)).site_w * (count or 0) / 1e6
    return np.full(HOURS, load_mw, dtype=np.float64)


def _prices(grid_mw: float, price: float | None, prices: Path | None) -> Array:
    if grid_mw and (price is None) == (prices is None):
        raise InvalidRequest(
            "what does the grid's energy cost? Give --grid-price in USD/MWh, or --grid-prices", param="grid-price"
        )
    if prices is not None:
        return _hours(prices, Kind.PRICE)
    return np.full(HOURS, price or 0.0)


def _carbon(country: Grid | None, own: float | None) -> float | None:
    if own is not None and not 0 <= own <= 1e6:
        raise InvalidRequest(f"--grid-carbon lies between 0 and 1e6 g/kWh, got {own:g}", param="grid-carbon")
    return own if own is not None else country.carbon_g_per_kwh if country else None


def _hours(path: Path, kind: Kind) -> Array:
    return parse_hours(read_text(path, MOST_BYTES, kind, "a year of hours is not"), str(path), kind)
