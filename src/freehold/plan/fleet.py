"""N chips of one kind: their arithmetic under every reading, power, memory and price. From a rate to chips and back."""

import math
from dataclasses import dataclass

from freehold.core.errors import InvalidRequest, UnknownFigure
from freehold.plan.catalogue import Accelerator, Density, Precision
from freehold.plan.power import PUE, ChipPower, chip_power

EXA = 1e18
LEAST_FLOP_PER_S = 1e12
MOST_CHIPS = 1_000_000_000  # a hundred times what all makers have sold: beyond it a number was mistyped


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """A rate with all that makes it one: `flop_per_s` of `chips` chips together, at peak."""

    flop_per_s: float
    precision: Precision
    density: Density
    chips: int
    is_inferred: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What cannot be known of it is None."""

    chip: Accelerator
    chips: int
    rates: tuple[Throughput, ...]
    power: ChipPower | None
    memory_tb: float | None
    memory_tb_per_s: float | None
    price_low_usd: float | None  # of the chips or systems alone
    price_high_usd: float | None

    @property
    def it_mw(self) -> float | None:
        return None if self.power is None else self.chips * self.power.it_w / 1e6

    @property
    def site_mw(self) -> float | None:
        return None if self.power is None else self.chips * self.power.site_w / 1e6

    def rate(self, precision: Precision, density: Density = Density.DENSE) -> float | None:
        """FLOP/s, or None where the chip has no such rate."""
        wanted = (one.flop_per_s for one in self.rates if one.precision is precision and one.density is density)
        return next(wanted, None)


def chips_for(flop_per_s: float, chip: Accelerator, precision: Precision, density: Density) -> int:
    """The fewest that reach it. Raises InvalidRequest and UnknownFigure."""
    if not (math.isfinite(flop_per_s) and flop_per_s > 0):
        raise InvalidRequest(f"a rate must be above zero, got {flop_per_s:g} FLOP/s", param="exaflops")
    if flop_per_s < LEAST_FLOP_PER_S:
        raise InvalidRequest(f"{flop_per_s / EXA:.3g} EF are less than a phone makes: check the number", param="exaflops")
    ratio = flop_per_s / chip.flop_per_s(precision, density)
    if ratio > MOST_CHIPS:
        raise InvalidRequest(
            f"{flop_per_s / EXA:.3g} EF would take {ratio:.3g} chips, more than were ever made: check the number",
            param="exaflops",
        )
    return max(1, math.ceil(ratio * (1 - 1e-12)))  # 64.00000000000001 is 64


def fleet(chip: Accelerator, chips: int, pue: float = PUE) -> Fleet:
    """Raises UnknownFigure where no rate at all is known of the chip."""
    if not 1 <= chips <= MOST_CHIPS:
        raise InvalidRequest(f"a number of chips lies between 1 and {MOST_CHIPS:,}, got {chips:,}", param="count")
    if not chip.dense_tera_ops:
        raise UnknownFigure(f"cannot compute: nothing is published of {chip.name}; unknown: {', '.join(chip.unknown())}")
    rates = tuple(
        Throughput(
            flop_per_s=chips * chip.flop_per_s(precision, density),
            precision=precision,
            density=density,
            chips=chips,
            is_inferred=chip.is_inferred(precision, density),
        )
        for precision, density in chip.readings()
    )
    return Fleet(
        chip=chip,
        chips=chips,
        rates=rates,
        power=_power(chip, pue),
        memory_tb=_times(chips / 1e3, chip.memory_gb),
        memory_tb_per_s=_times(chips / 1e3, chip.memory_gb_per_s),
        price_low_usd=_times(chips, chip.price_low_usd),
        price_high_usd=_times(chips, chip.price_high_usd),
    )


def _power(chip: Accelerator, pue: float) -> ChipPower | None:
    try:
        return chip_power(chip, pue)
    except UnknownFigure:
        return None


def _times(factor: float, figure: float | None) -> float | None:
    return None if figure is None else factor * figure
