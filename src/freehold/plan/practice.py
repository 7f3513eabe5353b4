"""What a fleet keeps up in practice, as ranges: peak is what no job reaches, and provisioned power what no meter shows.

Sustained arithmetic is peak BF16 times the MFU of large models in published campaigns on the same chip, all-in. Drawn power
is what is provisioned times the load and how far catalogue figures were off where satellites looked (4 % for H100, 22 % for
GB200).
"""

from dataclasses import dataclass

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


def practice(fleet: Fleet, grid: Grid | None = None) -> Practice:
    peak, site_mw = fleet.rate(Precision.BF16), fleet.site_mw
    sustained = None
    if peak is not None:
        fit = stored_fit()
        mfu = fit.mfu(fleet.chip.name.split()[0], LARGE_MODEL, peak / fleet.chips / 1e12)
        sustained = simulate(lambda inputs: peak * inputs["mfu"], {"mfu": LogNormal(median=mfu, sigma=fit.sigma)})
    drawn = energy = carbon = None
    if site_mw is not None:
        spreads: dict[str, Spread] = {"load": LOAD, "power of a chip": LogNormal(median=1.0, sigma=POWER_SIGMA)}
        drawn = simulate(lambda inputs: site_mw * inputs["load"] * inputs["power of a chip"], spreads)
        energy = drawn.scaled(HOURS_PER_YEAR / 1e6)
        if grid is not None and grid.carbon_g_per_kwh is not None:
            carbon = energy.scaled(grid.carbon_g_per_kwh)
    price = None
    low, high = fleet.price_low_usd, fleet.price_high_usd
    if low is not None and high is not None:
        spread = Triangular(low=low, mode=(low + high) / 2, high=high)
        price = simulate(lambda inputs: inputs["price"], {"price": spread})
    return Practice(
        sustained_flop_per_s=sustained,
        drawn_mw=drawn,
        energy_twh_per_year=energy,
        carbon_kt_per_year=carbon,
        price_usd=price,
    )
