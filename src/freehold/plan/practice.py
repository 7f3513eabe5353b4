"""What chips keep up in practice, as ranges: peak is what no job reaches, and provisioned power what no meter shows.

Sustained arithmetic is peak BF16 times the MFU of large models in published campaigns on the same chip, all-in. Drawn power
is what is provisioned times the load and how far catalogue figures were off where satellites looked (4 % for H100, 22 % for
GB200).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from freehold.plan.catalogue import Precision
from freehold.plan.fleet import Fleet
from freehold.plan.grid import Grid
from freehold.plan.site import HOURS_PER_YEAR
from freehold.plan.training import LOAD
from freehold.plan.training_fit import stored_fit
from freehold.plan.uncertainty import LogNormal, Simulation, Spread, Triangular, simulate

LARGE_MODEL = 1e12  # parameters: beyond it a chip's MFU no longer grows
POWER_SIGMA = 0.12


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """None where a figure is unknown."""

    sustained_flop_per_s: Simulation | None  # training, all-in
    drawn_mw: Simulation | None
    energy_twh_per_year: Simulation | None
    carbon_kt_per_year: Simulation | None
    price_usd: Simulation | None  # of the chips alone


def practice(fleets: Sequence[Fleet], grid: Grid | None = None) -> Practice:
    """Of all of them together: what is unknown of one is unknown of all."""
    return Practice(sustained_flop_per_s=_sustained(fleets), **_power(fleets, grid), price_usd=_price(fleets))


def _sustained(fleets: Sequence[Fleet]) -> Simulation | None:
    peaks = {fleet.chip.name: fleet.rate(Precision.BF16) for fleet in fleets}
    known = {name: peak for name, peak in peaks.items() if peak is not None}
    if len(known) < len(fleets):
        return None
    fit, spreads = stored_fit(), dict[str, Spread]()
    for fleet in fleets:
        mfu = fit.mfu(fleet.chip.name.split()[0], LARGE_MODEL, known[fleet.chip.name] / fleet.chips / 1e12)
        spreads[_named("mfu", fleet, fleets)] = LogNormal(median=mfu, sigma=fit.sigma)
    terms = [(_named("mfu", fleet, fleets), known[fleet.chip.name]) for fleet in fleets]
    return simulate(lambda inputs: np.asarray(sum(inputs[name] * peak for name, peak in terms)), spreads)


def _power(fleets: Sequence[Fleet], grid: Grid | None) -> dict[str, Simulation | None]:
    powers = [fleet.site_mw for fleet in fleets]
    known = [power for power in powers if power is not None]
    if len(known) < len(fleets):
        return {"drawn_mw": None, "energy_twh_per_year": None, "carbon_kt_per_year": None}
    site_mw = sum(known)
    spreads: dict[str, Spread] = {"load": LOAD, "power of a chip": LogNormal(median=1.0, sigma=POWER_SIGMA)}
    drawn = simulate(lambda inputs: site_mw * inputs["load"] * inputs["power of a chip"], spreads)
    energy = drawn.scaled(HOURS_PER_YEAR / 1e6)
    factor = None if grid is None else grid.carbon_g_per_kwh
    return {
        "drawn_mw": drawn,
        "energy_twh_per_year": energy,
        "carbon_kt_per_year": None if factor is None else energy.scaled(factor),
    }


def _price(fleets: Sequence[Fleet]) -> Simulation | None:
    spreads: dict[str, Spread] = {}
    for fleet in fleets:
        low, high = fleet.price_low_usd, fleet.price_high_usd
        if low is None or high is None:
            return None
        spreads[_named("price", fleet, fleets)] = Triangular(low=low, mode=(low + high) / 2, high=high)
    return simulate(lambda inputs: np.asarray(sum(inputs.values())), spreads)


def _named(what: str, fleet: Fleet, fleets: Sequence[Fleet]) -> str:
    return what if len(fleets) == 1 else f"{what} of {fleet.chip.name.split()[0]}"
