"""How large the die of a chip may be: performance density divides by it, and a range of it makes a range of the outcome.

Decided here: a published area is taken to within 1 %, which is more than sources differ by. Where none is published but the
number of dies that fill an exposure is, the area lies between 80 and 100 % of so many exposures. Else nothing bounds it, and
there is no range: a guess would decide what the law leaves open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import Accelerator
from freehold.plan.tables import number, rows

EXPOSURE_MM2: Final = 858.0  # 26 mm x 33 mm: no scanner exposes more at once, so that no single die is larger
_FILLED: Final = 0.8  # the least of it that a die called reticle-sized fills: V100's 815 mm² are 95 %, RTX 5090's 750 mm² 87 %
_PUBLISHED: Final = 0.01
_LIMIT_MM2: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class DieArea:
    """All dies of the chip together lie between; `basis` says why."""

    low_mm2: float
    high_mm2: float
    basis: str


def given(low_mm2: float, high_mm2: float) -> DieArea:
    """Raises InvalidRequest."""
    if not 0 < low_mm2 <= high_mm2 <= _LIMIT_MM2:
        raise InvalidRequest(f"a die has 0 to 1e6 mm², the smaller first, got {low_mm2:g} and {high_mm2:g}", param="die-mm2")
    return DieArea(low_mm2=low_mm2, high_mm2=high_mm2, basis=f"{low_mm2:g} to {high_mm2:g} mm², as given")


def die_area(chip: Accelerator) -> DieArea | None:
    """None where nothing is published that bounds it."""
    if chip.die_mm2 is not None:
        low, high = chip.die_mm2 * (1 - _PUBLISHED), chip.die_mm2 * (1 + _PUBLISHED)
        return DieArea(low_mm2=low, high_mm2=high, basis=f"{chip.die_mm2:g} mm², as published, to within 1 %")
    if (dies := _DIES.get(chip.name)) is None:
        return None
    low, high = _FILLED * dies * EXPOSURE_MM2, dies * EXPOSURE_MM2
    basis = f"{low:,.0f} to {high:,.0f} mm², assumed: {dies:g} dies of 80 to 100 % of an exposure ({EXPOSURE_MM2:g} mm²)"
    return DieArea(low_mm2=low, high_mm2=high, basis=basis)


_DIES: Final[Mapping[str, float]] = {row["name"]: number(row, "dies") or 1.0 for row in rows("dies.csv")}
