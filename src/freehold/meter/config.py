"""What an operator may set about energy, and what it came to."""

from typing import Literal

import msgspec

Source = Literal["auto", "external", "nvml", "rapl", "utilisation-model", "tdp-model", "cpu-time-model"]
MOST_W = 100_000.0  # a rack of one node; more is a slip of units


class ExternalMeterConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A meter at the plug or a management controller, read from a file or by a command."""

    file: str | None = None
    """A file that holds the present reading; a relative path is below the configuration file."""

    command: tuple[str, ...] = ()
    """A command that prints it, without a shell: ["ipmitool", "dcmi", "power", "reading"]."""

    reads: Literal["watts", "joules"] = "watts"
    """What the reading is: watts now, or a counter of joules."""

    every_s: float = 2.0
    """How often it is read. An answer that ends within twice that gets what its work cost in the time before."""

    timeout_s: float = 5.0
    """How long the command may take."""

    def __post_init__(self) -> None:
        if (self.file is None) == (not self.command):
            raise ValueError("[meter.external] needs a file or a command, and not both")
        if not 0.1 <= self.every_s <= 60:
            raise ValueError(f"[meter.external] every_s {self.every_s:g} must be from 0.1 to 60")
        if not 0 < self.timeout_s <= 60:
            raise ValueError(f"[meter.external] timeout_s {self.timeout_s:g} must be above 0 and at most 60")


class RemoteModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The size of a provider's model, for an estimate of its energy: billions of parameters, from and to."""

    model: str
    """A name or a glob."""

    total_b: tuple[float, float]
    """All parameters: they say how many cards hold the model."""

    active_b: tuple[float, float]
    """Those that one token goes through; of a dense model all."""

    def __post_init__(self) -> None:
        for name, (low, high) in (("total_b", self.total_b), ("active_b", self.active_b)):
            if not 0 < low <= high <= 100_000:
                raise ValueError(
                    f"[[meter.models]] {name} [{low:g}, {high:g}] must rise from above 0 to at most 100000 (billions)"
                )
        if self.active_b[1] > self.total_b[1]:
            raise ValueError(f"[[meter.models]] {self.model!r}: {self.active_b[1]:g}B active of {self.total_b[1]:g}B can't be")


class MeterConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which source tells joules, and what a joule emits, costs and evaporates. None is unknown, and stays so.

    The default watts of a busy hardware thread, its share of the whole server included, are Cloud Carbon Footprint's coefficients
    at full load, computed from SPECpower_ssj2008 results (server wall power divided by hardware threads): 3.5 W is its average
    over the AWS fleet (Methodology, Appendix I, 2023), 1.6 W the most frugal processor family in its tables (EPYC 2nd Gen, 1.575)
    and 8.6 W the hungriest it uses for GCP (Sandy Bridge, 8.55). Measure your own machine at the plug and set all three: a laptop
    and a workstation lie outside what servers tell.
    """

    source: Source = "auto"
    external: ExternalMeterConfig | None = None
    gpu: str = ""
    idle_w: float | None = None
    max_w: float | None = None
    exponent: float = 1.0
    gpu_tdp_w: float | None = None
    watts_per_core: float = 3.5
    watts_per_core_low: float = 1.6
    watts_per_core_high: float = 8.6
    remote: bool = True
    models: tuple[RemoteModelConfig, ...] = ()
    country: str | None = None
    remote_country: str | None = None
    factors: str | None = None
    market_g_per_kwh: float | None = None
    pue: float | None = None
    site_water_l_per_kwh: float | None = None
    grid_water_l_per_kwh: float | None = None
    embodied_kg: float | None = None
    lifetime_years: float = 4.0
    usd_per_unit: float | None = None

    def __post_init__(self) -> None:
        low, middle, high = self.watts_per_core_low, self.watts_per_core, self.watts_per_core_high
        if not 0 < low <= middle <= high < 1000:
            raise ValueError(f"[meter] low {low} <= watts_per_core {middle} <= high {high} must hold, within 0..1000")
        if self.source == "external" and self.external is None:
            raise ValueError('[meter] source = "external" needs a [meter.external] with a file or a command')
        self._check_watts()
        for name, most in (
            ("market_g_per_kwh", 5000.0),
            ("site_water_l_per_kwh", 100.0),
            ("grid_water_l_per_kwh", 1000.0),
            ("embodied_kg", 1e6),
        ):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= most:
                raise ValueError(f"[meter] {name} {value:g} must be from 0 to {most:g}")
        if self.pue is not None and not 1 <= self.pue <= 5:
            raise ValueError(f"[meter] pue {self.pue:g} must be from 1 to 5: all power over the machines' power")
        if not 0.5 <= self.lifetime_years <= 30:
            raise ValueError(f"[meter] lifetime_years {self.lifetime_years:g} must be from 0.5 to 30")
        if self.usd_per_unit is not None and not 0 < self.usd_per_unit < 1e6:
            raise ValueError(f"[meter] usd_per_unit {self.usd_per_unit:g} must be above 0")

    def _check_watts(self) -> None:
        for name in ("idle_w", "max_w", "gpu_tdp_w"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= MOST_W:
                raise ValueError(f"[meter] {name} {value:g} must be above 0 and at most {MOST_W:g} W")
        if self.idle_w is not None and self.max_w is not None and self.max_w < self.idle_w:
            raise ValueError(f"[meter] max_w {self.max_w:g} is below idle_w {self.idle_w:g}")
        if not 0.2 <= self.exponent <= 5:
            raise ValueError(f"[meter] exponent {self.exponent:g} must be from 0.2 to 5")
        if self.source == "utilisation-model" and (self.idle_w is None or self.max_w is None):
            raise ValueError('[meter] source = "utilisation-model" needs idle_w and max_w: measure both at the plug')
        if self.source == "tdp-model" and self.gpu_tdp_w is None:
            raise ValueError('[meter] source = "tdp-model" needs gpu_tdp_w: the card\'s power as its maker states it')
