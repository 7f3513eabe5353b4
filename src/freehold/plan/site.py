"""A site of some megawatts: what stands in it, what it computes at peak, uses, emits and costs.

`site_mw` is what the site's meter may show. Energy is that times `load`, the share of it drawn on average. A site's price is
told in three ways that must not be mixed: the shell with its power, the chips, and everything together.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import CATALOGUE, Accelerator
from freehold.plan.fleet import Fleet, fleet
from freehold.plan.grid import Grid
from freehold.plan.power import PUE, chip_power

HOURS_PER_YEAR = 8760.0
MOST_MW = 1_000_000.0  # a third of what mankind uses; beyond it a number was mistyped

# Building, cooling and power alone: what TCS said of its Indian sites, "up to" (secondary source, 2026).
SHELL_USD_PER_MW = 7.0e6
# Everything, chips too: xAI Colossus 1, USD 9.3bn at 361 MW and 4.7bn at 181 MW (epoch-research/ai-chip-counts @d1b1bc3,
# data_inputs/xai_datacenter_timelines.csv).
WHOLE_USD_PER_MW = (25.8e6, 26.0e6)
# NVIDIA sells GB200 by racks of this many.
NVL72 = 72


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """`share_of_country` is of all electricity that the country made in the grid's year; None: no country, or unknown."""

    site_mw: float
    it_mw: float
    load: float
    fleet: Fleet
    racks: int | None
    energy_twh_per_year: float
    grid: Grid | None
    carbon_kt_per_year: float | None
    share_of_country: float | None
    shell_usd: float
    whole_usd: tuple[float, float]

    @property
    def inside_usd(self) -> tuple[float, float]:
        """What computes, with its network and storage: everything less the shell."""
        return self.whole_usd[0] - self.shell_usd, self.whole_usd[1] - self.shell_usd


def sites_of(
    site_mw: float, mix: Mapping[str, float], *, load: float = 1.0, pue: float = PUE, grid: Grid | None = None
) -> tuple[Site, ...]:
    """One for each chip of `mix`, which gives the catalogue's names their shares of the power. Raises InvalidRequest."""
    if not all(math.isfinite(share) and share > 0 for share in mix.values()) or abs(sum(mix.values()) - 1) > 1e-9:
        told = ", ".join(f"{name} {share:g}" for name, share in mix.items())
        raise InvalidRequest(f"shares of the power are above 0 and add up to 1, got {told}", param="also")
    return tuple(site_of(site_mw * share, CATALOGUE[name], load=load, pue=pue, grid=grid) for name, share in mix.items())


def site_of(site_mw: float, chip: Accelerator, *, load: float = 1.0, pue: float = PUE, grid: Grid | None = None) -> Site:
    """As many chips as the power is enough for. Raises InvalidRequest and UnknownFigure."""
    if not (math.isfinite(site_mw) and 0 < site_mw <= MOST_MW):
        raise InvalidRequest(f"a site has between 0 and {MOST_MW:,.0f} MW, got {site_mw:g}", param="mw")
    if not 0 < load <= 1:
        raise InvalidRequest(f"a load is a share of the power, above 0 and at most 1, got {load:g}", param="load")
    power = chip_power(chip, pue)
    chips = math.floor(site_mw * 1e6 / power.site_w * (1 + 1e-12))
    if chips < 1:
        raise InvalidRequest(f"{site_mw:g} MW is less than one {chip.name} needs: {power.site_w / 1e6:.4g} MW", param="mw")
    energy_twh = energy_twh_per_year(site_mw, load)
    return Site(
        site_mw=site_mw,
        it_mw=chips * power.it_w / 1e6,
        load=load,
        fleet=fleet(chip, chips, pue),
        racks=chips // NVL72 if "NVL72" in chip.name else None,
        energy_twh_per_year=energy_twh,
        grid=grid,
        carbon_kt_per_year=carbon_kt(energy_twh, grid),
        share_of_country=share(energy_twh, grid),
        shell_usd=site_mw * SHELL_USD_PER_MW,
        whole_usd=(site_mw * WHOLE_USD_PER_MW[0], site_mw * WHOLE_USD_PER_MW[1]),
    )


def energy_twh_per_year(site_mw: float, load: float = 1.0) -> float:
    return site_mw * load * HOURS_PER_YEAR / 1e6


def carbon_kt(energy_twh: float, grid: Grid | None) -> float | None:
    """Thousands of tonnes of CO2e: 1 g/kWh is 1 kt/TWh."""
    return None if grid is None or grid.carbon_g_per_kwh is None else energy_twh * grid.carbon_g_per_kwh


def share(energy_twh: float, grid: Grid | None) -> float | None:
    return None if grid is None or grid.total_twh is None else energy_twh / grid.total_twh
