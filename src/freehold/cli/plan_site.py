"""`freehold plan site`: what some megawatts hold, use, emit and cost."""

from collections.abc import Iterable

import click

from freehold.cli.plan_words import as_json, echo_json, figure, known_by, money, pue, show_facts, simulated, tornado
from freehold.plan.catalogue import find
from freehold.plan.fleet import EXA
from freehold.plan.grid import grid
from freehold.plan.practice import practice
from freehold.plan.site import Site, site_of
from freehold.plan.storage import COPIES, SUPPLY, Storage, storage


@click.command()
@click.option("--mw", type=float, required=True, help="Megawatts at the site's meter.")
@click.option("--chip", required=True, help="What it is filled with: GB200, H100, MI355X.")
@click.option("--country", help="Whose grid: three letters (ISO 3166) or a name.")
@click.option("--load", type=float, default=1.0, show_default=True, help="Share of the power that is drawn on average.")
@click.option("--params", type=float, default=0.0, help="Parameters of the largest model that is trained: its checkpoints.")
@click.option("--keep", type=int, default=10, show_default=True, help="Checkpoints that are kept.")
@click.option("--tokens", type=float, default=0.0, help="Tokens of data that are kept.")
@click.option("--copies", type=int, default=COPIES, show_default=True, help="Copies of everything that is kept.")
@pue
@as_json
def site(
    mw: float,
    chip: str,
    country: str | None,
    load: float,
    params: float,
    keep: int,
    tokens: float,
    copies: int,
    pue: float,
    as_json: bool,
) -> None:
    """Tell what a site of so many megawatts holds, computes at peak, uses, emits and costs."""
    found = site_of(mw, find(chip), load=load, pue=pue, grid=grid(country) if country else None)
    kept = storage(params, keep, tokens, copies) if params or tokens else None
    if as_json:
        echo_json(_document(found) | {"storage": kept, "supply": list(SUPPLY.values())})
    else:
        show_facts((*_facts(found), *(_kept(kept) if kept else ()), *_lead_times(found, kept)))
        drawn = practice(found.fleet).drawn_mw
        if drawn is not None:
            click.echo("\nwhat moves the power drawn most")
            tornado(drawn, "MW")


def _facts(one: Site) -> Iterable[tuple[str, str]]:
    fleet = one.fleet
    racks = f" in {one.racks:,} racks of 72" if one.racks is not None else ""
    yield "chips", f"{fleet.chips:,} {fleet.chip.name}{racks}"
    if fleet.power is not None:
        yield (
            "power of a chip",
            f"{figure(fleet.power.site_w, 'W')} at the meter, {figure(fleet.power.it_w, 'W')} IT: {fleet.power.basis}",
        )
    yield "IT power", figure(one.it_mw, "MW")
    for rate in fleet.rates:
        yield (
            f"{rate.precision} {rate.density}",
            f"{figure(rate.flop_per_s / EXA, 'EF')}{known_by(fleet.chip, rate.precision, rate.density)}",
        )
    yield "memory", f"{figure(fleet.memory_tb, 'TB')} {fleet.chip.memory_type or ''}, {figure(fleet.memory_tb_per_s, 'TB/s')}"
    yield "energy", f"{figure(one.energy_twh_per_year, 'TWh')} a year at a load of {one.load:g}"
    if one.grid is not None:
        factor = f"{figure(one.grid.carbon_g_per_kwh, 'g/kWh')} on average in {one.grid.country}, {one.grid.year}, by location"
        yield (
            "CO2e",
            f"{figure(one.carbon_kt_per_year, 'kt')} a year: {factor}; one more megawatt (marginal) may emit more or less",
        )
        percent = None if one.share_of_country is None else one.share_of_country * 100
        yield "of the country", f"{figure(percent, '%')} of {figure(one.grid.total_twh, 'TWh')} made in {one.grid.year}"
    yield "chips cost", money(fleet.price_low_usd, fleet.price_high_usd)
    yield "shell and power cost", f"{money(one.shell_usd, one.shell_usd)}, without what computes (7 M$/MW, a secondary source)"
    yield "everything costs", f"{money(*one.whole_usd)}, as xAI's Colossus 1 did"
    ranges = practice(fleet, one.grid)
    sustained = ranges.sustained_flop_per_s
    yield "in practice", f"training keeps up {simulated(sustained and sustained.scaled(1 / EXA), 'EF')}, all-in"
    yield "drawn", f"{simulated(ranges.drawn_mw, 'MW')}, {simulated(ranges.energy_twh_per_year, 'TWh')} a year"
    if one.grid is not None:
        yield "emitted", f"{simulated(ranges.carbon_kt_per_year, 'kt')} CO2e a year"
    yield "water", "unknown: no figure of the site's cooling"


def _kept(one: Storage) -> Iterable[tuple[str, str]]:
    low, high = one.data_pb
    yield (
        "kept",
        f"{figure(one.checkpoints_pb, 'PB')} of checkpoints, {figure(low)} to {figure(high, 'PB')} of data, copies counted",
    )
    drives = (f"{count:,} of {SUPPLY[kind].item}" for kind, count in one.drives.items())
    yield "drives", f"{' or '.join(drives)}"


def _lead_times(site: Site, kept: Storage | None) -> Iterable[tuple[str, str]]:
    """Of what this site needs; each with where it was read."""
    needed = [*(["hbm"] if site.fleet.chip.has_hbm else []), *(kept.drives if kept else [])]
    for one in (SUPPLY[kind] for kind in needed):
        weeks = "lead time unknown" if one.lead_time_weeks is None else f"{figure(one.lead_time_weeks)} weeks or more"
        yield f"supply of {one.item}", f"{weeks} ({one.source}; {one.confidence})"


def _document(one: Site) -> dict[str, object]:
    fleet = one.fleet
    return {
        "site_mw": one.site_mw,
        "it_mw": one.it_mw,
        "load": one.load,
        "chip": fleet.chip.name,
        "chips": fleet.chips,
        "racks": one.racks,
        "power_basis": None if fleet.power is None else fleet.power.basis,
        "exaflops": [
            {
                "precision": rate.precision,
                "density": rate.density,
                "value": rate.flop_per_s / EXA,
                "is_inferred": rate.is_inferred,
            }
            for rate in fleet.rates
        ],
        "memory_tb": fleet.memory_tb,
        "energy_twh_per_year": one.energy_twh_per_year,
        "grid": one.grid,
        "carbon_kt_per_year": one.carbon_kt_per_year,
        "carbon_method": "location-based average of a past year",
        "share_of_country": one.share_of_country,
        "chips_usd": [fleet.price_low_usd, fleet.price_high_usd],
        "shell_usd": one.shell_usd,
        "whole_usd": one.whole_usd,
        "in_practice": practice(fleet, one.grid),
        "water_l_per_year": None,
    }
