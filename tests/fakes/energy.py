"""Machines that tell joules: a sysfs tree, an NVML library, a source whose joules a test says, and a clock that it turns."""

from dataclasses import dataclass, field
from pathlib import Path

from freehold.core.errors import DeviceError
from freehold.core.measurement import Grade
from freehold.meter.sources.source import Busy, Device, Reading


class HandClock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def turn(self, seconds: float) -> None:
        self.now_s += seconds


def powercap(root: Path, **domains: tuple[str, int]) -> Path:
    """`intel_rapl_0=("package-0", 5_000_000)` is intel-rapl:0 with that name and energy_uj, `intel_rapl_0_0` is inside it."""
    for word, (name, energy_uj) in domains.items():
        prefix, *numbers = word.replace("intel_rapl_mmio", "intel-rapl-mmio").replace("intel_rapl", "intel-rapl").split("_")
        folder = root / ":".join([prefix, *numbers])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "energy_uj").write_text(f"{energy_uj}\n")
        (folder / "max_energy_range_uj").write_text("262143328850\n")
    return root


@dataclass(slots=True)
class FakeNvml:
    """Implements `sources.nvml.Nvml`. None is what the card does not tell."""

    energy: int | None = 1_000_000
    power: int | None = 300_000
    limit: int | None = 700_000
    shared: bool = False
    uuids: tuple[str, ...] = ("GPU-aaaa",)

    def cards(self) -> int:
        return len(self.uuids)

    def name(self, card: int) -> str:
        return "NVIDIA Fake"

    def uuid(self, card: int) -> str:
        return self.uuids[card]

    def energy_mj(self, card: int) -> int:
        return _told(self.energy, "nvmlDeviceGetTotalEnergyConsumption")

    def power_mw(self, card: int) -> int:
        return _told(self.power, "nvmlDeviceGetPowerUsage")

    def default_limit_mw(self, card: int) -> int:
        return _told(self.limit, "nvmlDeviceGetPowerManagementDefaultLimit")

    def is_shared(self, card: int) -> bool:
        return self.shared


def _told(value: int | None, function: str) -> int:
    if value is None:
        raise DeviceError(f"{function} failed: not supported by this card")
    return value


def no_driver() -> FakeNvml:
    raise DeviceError("there is no NVIDIA driver here: libnvidia-ml is not found")


@dataclass(slots=True)
class SaidSource:
    """Implements `EnergySource`. What `joules` was grown by since the last reading; None is a reading that fails."""

    clock: HandClock
    power_w: float = 100.0
    min_window_s: float = 0.0
    sees_idle: bool = True
    fails: bool = False
    name: str = "said"
    grade: Grade = Grade.MEASURED_COUNTER
    device: Device = "cpu"
    bounds: tuple[float, float] | None = None
    told_j: float = 0.0
    read_at_s: float = field(default=0.0)

    def __post_init__(self) -> None:
        self.read_at_s = self.clock.now_s

    def read(self, busy: Busy) -> Reading | None:
        gap_s, self.read_at_s = self.clock.now_s - self.read_at_s, self.clock.now_s
        if self.fails:
            return None
        energy_j = gap_s * self.power_w
        self.told_j += energy_j
        if self.bounds is None:
            return Reading(energy_j)
        return Reading(energy_j, energy_j * self.bounds[0], energy_j * self.bounds[1])

    def close(self) -> None:
        pass
