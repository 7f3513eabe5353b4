"""What an operator may set about energy."""

import msgspec


class MeterConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Watts that one busy hardware thread draws, its share of the whole server included.

    The defaults are Cloud Carbon Footprint's coefficients at full load, computed from SPECpower_ssj2008 results (server wall
    power divided by hardware threads): 3.5 W is its average over the AWS fleet (Methodology, Appendix I, 2023), 1.6 W the most
    frugal processor family in its tables (EPYC 2nd Gen, 1.575) and 8.6 W the hungriest it uses for GCP (Sandy Bridge, 8.55).
    Measure your own machine at the plug and set all three: a laptop and a workstation lie outside what servers tell.
    """

    watts_per_core: float = 3.5
    watts_per_core_low: float = 1.6
    watts_per_core_high: float = 8.6

    def __post_init__(self) -> None:
        low, middle, high = self.watts_per_core_low, self.watts_per_core, self.watts_per_core_high
        if not 0 < low <= middle <= high < 1000:
            raise ValueError(f"[meter] low {low} <= watts_per_core {middle} <= high {high} must hold, within 0..1000")
