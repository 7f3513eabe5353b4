"""Quantities as a person reads them: rounded, with their unit. Unknown stays unknown and is never a zero."""

from collections.abc import Callable
from typing import Final

UNKNOWN: Final = "unknown"
NONE: Final = "—"  # there was nothing to measure: no first token of an answer that never began


def joules(energy_j: float | None) -> str:
    if energy_j is None:
        return UNKNOWN
    if energy_j >= 3.6e6:
        return f"{energy_j / 3.6e6:,.2f} kWh"
    if energy_j >= 10_000:
        return f"{energy_j / 1000:,.1f} kJ"
    return f"{energy_j:.0f} J" if energy_j >= 100 else f"{energy_j:.3g} J"


def grams(mass_g: float | None) -> str:
    if mass_g is None:
        return UNKNOWN
    if mass_g >= 1000:
        return f"{mass_g / 1000:,.2f} kg"
    if 0 < mass_g < 0.1:
        return f"{mass_g * 1000:.3g} mg"
    return f"{mass_g:.0f} g" if mass_g >= 100 else f"{mass_g:.3g} g"


def dollars(microusd: float) -> str:
    """In cents, or as fine as it takes to be no zero."""
    if 0 < microusd < 1:
        return "< $0.000001"
    return f"${microusd / 1e6:,.2f}" if microusd == 0 or microusd >= 10_000 else f"${microusd / 1e6:.6f}".rstrip("0")


def interval(low: float | None, high: float | None, shown: Callable[[float], str]) -> str:
    """Empty where there is none."""
    if low is None or high is None or low == high:
        return ""
    return f"{shown(low)} – {shown(high)}"
