"""`freehold plan site`: what some megawatts hold, use, emit and cost, and whom they hang on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from freehold.cli.charts import bar_chart
from freehold.cli.plan_answer import Answer, answer_options, moved, spans, tell
from freehold.cli.plan_words import figure, known_by, money, pue, simulated
from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import find
from freehold.plan.fleet import EXA
from freehold.plan.grid import grid
from freehold.plan.practice import Practice, practice
from freehold.plan.site import Site, sites_of
from freehold.plan.storage import COPIES, SUPPLY, Storage, storage
from freehold.plan.supply import FABS_SOURCE, Concentration, Exposure, catalogue_exposure, exposure
from freehold.plan.water import WUE_SOURCE, Water, water

_WATER_SOURCE = "water of the grid's mix: genai-impact/ecologits @2d0a1c7, electricity_mixes.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """Sites of one kind of chip each, on one piece of ground. What is unknown of one is unknown of all."""

    sites: Sequence[Site]
    practice: Practice
    water: Water
    exposure: Exposure
    kept: Storage | None

    @property
    def site_mw(self) -> float:
        return sum(one.site_mw for one in self.sites)

    @property
    def it_mw(self) -> float:
        return sum(one.it_mw for one in self.sites)

    def total(self, name: str) -> float | None:
        """Of a figure of the sites."""
        figures = [getattr(one, name) for one in self.sites]
        return None if None in figures else sum(figures)

    @property
    def memory_tb(self) -> float | None:
        figures = [one.fleet.memory_tb for one in self.sites]
        known = [size for size in figures if size is not None]
        return sum(known) if len(known) == len(figures) else None

    def money(self, low: str, high: str) -> tuple[float | None, float | None]:
        figures = [(getattr(one.fleet, low), getattr(one.fleet, high)) for one in self.sites]
        if any(None in pair for pair in figures):
            return None, None
        return sum(pair[0] for pair in figures), sum(pair[1] for pair in figures)


@click.command()
@click.option("--mw", type=float, required=True, help="Megawatts at the site's meter.")
@click.option("--chip", required=True, help="What it is filled with: GB200, H100, MI355X.")
@click.option(
    "--also", multiple=True, metavar="CHIP=SHARE", help="So much of the power to another chip: MI355X=0.4. As often as wanted."
)
@click.option("--country", help="Whose grid: three letters (ISO 3166) or a name.")
@click.option("--load", type=float, default=1.0, show_default=True, help="Share of the power that is drawn on average.")
@click.option("--wue", type=float, help="Litres of water for a kWh of IT energy, of the cooling. Default: a range.")
@click.option("--params", type=float, default=0.0, help="Parameters of the largest model that is trained: its checkpoints.")
@click.option("--keep", type=int, default=10, show_default=True, help="Checkpoints that are kept.")
@click.option("--tokens", type=float, default=0.0, help="Tokens of data that are kept.")
@click.option("--copies", type=int, default=COPIES, show_default=True, help="Copies of everything that is kept.")
@pue
@answer_options
def site(
    mw: float,
    chip: str,
    also: tuple[str, ...],
    country: str | None,
    load: float,
    wue: float | None,
    params: float,
    keep: int,
    tokens: float,
    copies: int,
    pue: float,
    as_json: bool,
    html: Path | None,
) -> None:
    """Tell what a site of so many megawatts holds, computes at peak, uses, emits and costs, and whom it hangs on."""
    where = grid(country) if country else None
    sites = sites_of(mw, _mix(chip, also), load=load, pue=pue, grid=where)
    site_twh = sum(one.energy_twh_per_year for one in sites)
    it_twh = sum(one.energy_twh_per_year * one.it_mw / one.site_mw for one in sites)
    whole = _Whole(
        sites=sites,
        practice=practice([one.fleet for one in sites], where),
        water=water(it_twh, site_twh, where, wue),
        exposure=exposure({one.fleet.chip.name: one.site_mw for one in sites}),
        kept=storage(params, keep, tokens, copies) if params or tokens else None,
    )
    tell(_answer(whole), as_json, html)


def _mix(chip: str, also: Sequence[str]) -> dict[str, float]:
    """Shares of the power by names of the catalogue."""
    others: dict[str, float] = {}
    for text in also:
        name, _, number = text.rpartition("=")
        try:
            share = float(number)
        except ValueError:
            share = 0.0
        if not name or not 0 < share < 1:
            raise InvalidRequest(
                f"--also takes CHIP=SHARE with a share between 0 and 1, as MI355X=0.4, got {text[:40]!r}", param="also"
            )
        others[find(name).name] = share
    first = find(chip).name
    if first in others:
        raise InvalidRequest(f"{first} is --chip already", param="also")
    return {first: 1 - sum(others.values()), **others}


def _answer(one: _Whole) -> Answer:
    first, drawn = one.sites[0], one.practice
    sustained = drawn.sustained_flop_per_s and drawn.sustained_flop_per_s.scaled(1 / EXA)
    rates = (
        [(f"{rate.precision} {rate.density}", rate.flop_per_s / EXA) for rate in first.fleet.rates] if len(one.sites) == 1 else []
    )
    names = " and ".join(part.fleet.chip.name.split()[0] for part in one.sites)
    return Answer(
        title=f"A site of {figure(one.site_mw)} MW, filled with {names}",
        document=_document(one),
        facts=tuple(_facts(one)),
        spans=spans(
            ("training keeps up", sustained, "EF"),
            ("power drawn", drawn.drawn_mw, "MW"),
            ("energy of a year", drawn.energy_twh_per_year, "TWh"),
            ("CO2e of a year", drawn.carbon_kt_per_year, "kt"),
            ("water of a year", one.water.total or one.water.cooling, "ML"),
            ("chips cost", drawn.price_usd and drawn.price_usd.scaled(1e-6), "M USD"),
        ),
        moved=moved(("the power drawn", drawn.drawn_mw, "MW"), ("the water", one.water.total or one.water.cooling, "ML")),
        charts=(
            *([bar_chart("The same chips by reading, at peak", rates, "EF")] if rates else []),
            bar_chart("Where the money goes, as at Colossus 1", _money(one), "M USD"),
        ),
        sources=tuple(_sources(one)),
        caveats=tuple(_caveats(one)),
    )


def _money(one: _Whole) -> list[tuple[str, float]]:
    inside = sum(part.inside_usd[0] for part in one.sites)
    return [("shell and power", sum(part.shell_usd for part in one.sites) / 1e6), ("what computes, network", inside / 1e6)]


def _sources(one: _Whole) -> Iterable[str]:
    for part in one.sites:
        yield f"{part.fleet.chip.name}: {part.fleet.chip.source}"
    if (where := one.sites[0].grid) is not None:
        yield f"grid of {where.country}, {where.year}: {where.source}"
        yield _WATER_SOURCE
    yield WUE_SOURCE
    yield FABS_SOURCE


def _caveats(one: _Whole) -> Iterable[str]:
    yield "Rates are peaks, power is what is provisioned; what is kept up and drawn is told beside them."
    yield "The price of a shell (7 M$/MW) is a secondary source; the price of everything is that of one site, xAI's Colossus 1."
    if one.sites[0].grid is not None:
        yield "CO2e is an average of a past year, by location; one more megawatt (marginal) may emit more or less."


def _facts(one: _Whole) -> Iterable[tuple[str, str]]:
    for part in one.sites:
        yield from _chips(part, "" if len(one.sites) == 1 else f"{part.fleet.chip.name.split()[0]}: ")
    yield "IT power", figure(one.it_mw, "MW")
    first = one.sites[0]
    yield "energy", f"{figure(one.total('energy_twh_per_year'), 'TWh')} a year at a load of {first.load:g}"
    if first.grid is not None:
        factor = (
            f"{figure(first.grid.carbon_g_per_kwh, 'g/kWh')} on average in {first.grid.country}, {first.grid.year}, by location"
        )
        carbon = figure(one.total("carbon_kt_per_year"), "kt")
        yield "CO2e", f"{carbon} a year: {factor}; one more megawatt (marginal) may emit more or less"
        share = one.total("share_of_country")
        percent = None if share is None else share * 100
        yield "of the country", f"{figure(percent, '%')} of {figure(first.grid.total_twh, 'TWh')} made in {first.grid.year}"
    yield from _water(one.water)
    yield "chips cost", money(*one.money("price_low_usd", "price_high_usd"))
    shell = sum(part.shell_usd for part in one.sites)
    yield "shell and power cost", f"{money(shell, shell)}, without what computes (7 M$/MW, a secondary source)"
    inside, whole = (
        [sum(getattr(part, name)[at] for part in one.sites) for at in (0, 1)] for name in ("inside_usd", "whole_usd")
    )
    yield "what computes costs", f"{money(*inside)}, with its network and storage: everything less the shell"
    yield "everything costs", f"{money(*whole)}, as xAI's Colossus 1 did"
    sustained = one.practice.sustained_flop_per_s
    yield "in practice", f"training keeps up {simulated(sustained and sustained.scaled(1 / EXA), 'EF')}, all-in"
    energy = simulated(one.practice.energy_twh_per_year, "TWh")
    yield "drawn", f"{simulated(one.practice.drawn_mw, 'MW')}, {energy} a year"
    if first.grid is not None:
        yield "emitted", f"{simulated(one.practice.carbon_kt_per_year, 'kt')} CO2e a year"
    yield from _supply(one)


def _chips(one: Site, of: str) -> Iterable[tuple[str, str]]:
    fleet = one.fleet
    racks = f" in {one.racks:,} racks of 72" if one.racks is not None else ""
    yield f"{of}chips", f"{fleet.chips:,} {fleet.chip.name}{racks}"
    if fleet.power is not None:
        it_w, site_w = figure(fleet.power.it_w, "W"), figure(fleet.power.site_w, "W")
        yield f"{of}power of a chip", f"{site_w} at the meter, {it_w} IT: {fleet.power.basis}"
    for rate in fleet.rates:
        inferred = known_by(fleet.chip, rate.precision, rate.density)
        yield f"{of}{rate.precision} {rate.density}", f"{figure(rate.flop_per_s / EXA, 'EF')}{inferred}"
    memory = f"{figure(fleet.memory_tb, 'TB')} {fleet.chip.memory_type or ''}"
    yield f"{of}memory", f"{memory}, {figure(fleet.memory_tb_per_s, 'TB/s')}"


def _water(one: Water) -> Iterable[tuple[str, str]]:
    grid_ml = simulated(one.grid, "ML") if one.grid else "unknown"
    total = f"{simulated(one.total, 'ML')} a year: " if one.total else ""
    yield "water", f"{total}cooling {simulated(one.cooling, 'ML')}, electricity {grid_ml}; a ML is a million litres"


def _supply(one: _Whole) -> Iterable[tuple[str, str]]:
    """What has to be had, how long it takes where that is known, and whom all of it hangs on."""
    if any(part.fleet.chip.has_hbm for part in one.sites):
        hbm = [part.fleet.memory_tb for part in one.sites if part.fleet.chip.has_hbm]
        yield "HBM", figure(sum(size for size in hbm if size is not None), "TB")
    if one.kept is not None:
        low, high = one.kept.data_pb
        data = f"{figure(low)} to {figure(high, 'PB')} of data"
        yield "kept", f"{figure(one.kept.checkpoints_pb, 'PB')} of checkpoints, {data}, copies counted"
        drives = (f"{count:,} of {SUPPLY[kind].item}" for kind, count in one.kept.drives.items())
        yield "drives", " or ".join(drives)
    needed = [*(["hbm"] if any(part.fleet.chip.has_hbm for part in one.sites) else []), *(one.kept.drives if one.kept else [])]
    for item in (SUPPLY[kind] for kind in needed):
        weeks = "lead time unknown" if item.lead_time_weeks is None else f"{figure(item.lead_time_weeks)} weeks or more"
        yield f"supply of {item.item}", f"{weeks} ({item.source}; {item.confidence})"
    market = catalogue_exposure()
    yield "vendors", _concentration(one.exposure.vendors, market.vendors)
    yield "fabs", _concentration(one.exposure.fabs, market.fabs)


def _concentration(one: Concentration, market: Concentration) -> str:
    shares = ", ".join(f"{name} {share:.0%}" for name, share in one.shares.items())
    high = ", highly concentrated (above 1,800)" if one.is_high else ""
    return f"{shares}: HHI {one.hhi * 1e4:,.0f}{high}; of the catalogue's chips for data centres {market.hhi * 1e4:,.0f}"


def _document(one: _Whole) -> dict[str, object]:
    first, market = one.sites[0], catalogue_exposure()
    parts = [_part(part) for part in one.sites]
    return {
        "site_mw": one.site_mw,
        "it_mw": one.it_mw,
        "load": first.load,
        **({name: parts[0][name] for name in ("chip", "chips", "racks", "power_basis", "exaflops")} if len(parts) == 1 else {}),
        "parts": parts,
        "memory_tb": one.memory_tb,
        "energy_twh_per_year": one.total("energy_twh_per_year"),
        "grid": first.grid,
        "carbon_kt_per_year": one.total("carbon_kt_per_year"),
        "carbon_method": "location-based average of a past year",
        "share_of_country": one.total("share_of_country"),
        "water_ml_per_year": one.water,
        "chips_usd": one.money("price_low_usd", "price_high_usd"),
        "shell_usd": one.total("shell_usd"),
        "inside_usd": [sum(part.inside_usd[at] for part in one.sites) for at in (0, 1)],
        "whole_usd": [sum(part.whole_usd[at] for part in one.sites) for at in (0, 1)],
        "in_practice": one.practice,
        "storage": one.kept,
        "supply": list(SUPPLY.values()),
        "concentration": {"site": _hhi(one.exposure), "catalogue": _hhi(market)},
    }


def _hhi(one: Exposure) -> Mapping[str, object]:
    parts = {"vendors": one.vendors, "fabs": one.fabs}
    return {name: {"shares": part.shares, "hhi": part.hhi} for name, part in parts.items()}


def _part(one: Site) -> dict[str, object]:
    fleet = one.fleet
    return {
        "chip": fleet.chip.name,
        "chips": fleet.chips,
        "site_mw": one.site_mw,
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
        "memory_type": fleet.chip.memory_type,
    }
