"""Intel's and AMD's running average power limit: energy counters of the processor, through Linux's powercap.

    /sys/class/powercap/intel-rapl:0/{name,energy_uj,max_energy_range_uj}      a package, or psys
    /sys/class/powercap/intel-rapl:0:0/…                                       inside it: core, uncore, dram

Format: Documentation/power/powercap/powercap.rst of the kernel. Decided here: the packages and their dram are added up, where
dram has a counter. `psys` holds the packages already, so it counts only where there is no package. `core` and `uncore` lie inside
a package. The same package under intel-rapl-mmio is the same counter. A counter goes back to 0 at its range, minutes away.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from freehold.core.errors import DeviceError
from freehold.core.measurement import Grade
from freehold.meter.sources.source import Busy, Device, Reading

POWERCAP = Path("/sys/class/powercap")
FASTEST_W = 2000.0  # above any package: a counter that could have gone round at this power is not believed


@dataclass(slots=True)
class _Domain:
    """One counter. `last_uj` is None until it could be read."""

    folder: Path
    name: str
    range_uj: int
    last_uj: int | None = None

    def read(self) -> int:
        text = (self.folder / "energy_uj").read_text(encoding="ascii").strip()
        value = int(text)
        if not 0 <= value <= self.range_uj:
            raise ValueError(f"{value} lies outside 0 to {self.range_uj}")
        return value

    def spent_uj(self, gap_s: float) -> int | None:
        """Since the last call. None where it can't be known."""
        before, self.last_uj = self.last_uj, None
        self.last_uj = now = self.read()
        if before is None or gap_s * FASTEST_W * 1e6 > self.range_uj:
            return None
        return now - before if now >= before else now - before + self.range_uj


class Rapl:
    """Implements `source.EnergySource`."""

    name = "rapl"
    grade = Grade.MEASURED_COUNTER
    device: Device = "cpu"
    min_window_s = 0.01  # the counters are updated each millisecond
    sees_idle = True

    def __init__(self, root: Path = POWERCAP, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises DeviceError with the reason where there is no counter, or none that this user may read."""
        self._clock = clock
        self._domains = _domains(root)
        self._read_at_s = clock()
        for domain in self._domains:
            try:
                domain.last_uj = domain.read()
            except PermissionError as exc:
                raise DeviceError(
                    f"{domain.folder}/energy_uj is readable by root alone, as Linux has it since CVE-2020-8694; to let this node "
                    "read it: chmod a+r it at each boot, on a machine where no other user could spy through it"
                ) from exc
            except (OSError, ValueError) as exc:
                raise DeviceError(f"{domain.folder}/energy_uj can't be read: {exc}") from exc

    @property
    def domains(self) -> list[str]:
        return [domain.name for domain in self._domains]

    def read(self, busy: Busy) -> Reading | None:
        now_s = self._clock()
        gap_s, self._read_at_s = now_s - self._read_at_s, now_s
        total_uj: int | None = 0
        for domain in self._domains:
            try:
                spent_uj = domain.spent_uj(gap_s)
            except (OSError, ValueError):
                spent_uj = None
            total_uj = None if total_uj is None or spent_uj is None else total_uj + spent_uj
        return None if total_uj is None else Reading(total_uj / 1e6)

    def close(self) -> None:
        pass


def _domains(root: Path) -> list[_Domain]:
    folders = sorted(root.glob("intel-rapl*:*")) if root.is_dir() else []
    if not folders:
        raise DeviceError(f"{root} has no counters: this is a virtual machine that does not pass them on, or another processor")
    found = [domain for folder in folders if (domain := _domain(folder)) is not None]
    top = [domain for domain in found if domain.folder.name.count(":") == 1]
    packages = _once([domain for domain in top if domain.name.startswith("package")])
    if not packages:
        packages = [domain for domain in top if domain.name == "psys"][:1]
    if not packages:
        raise DeviceError(f"{root} has counters of neither a package nor the platform")
    kept = {domain.folder.name for domain in packages}
    drams = [domain for domain in found if domain.name == "dram" and domain.folder.name.rpartition(":")[0] in kept]
    return packages + drams


def _once(domains: list[_Domain]) -> list[_Domain]:
    """Each package by one of its ways: intel-rapl sorts after intel-rapl-mmio, and has the dram below it."""
    return list({domain.name: domain for domain in sorted(domains, key=lambda one: "mmio" not in one.folder.name)}.values())


def _domain(folder: Path) -> _Domain | None:
    try:
        name = (folder / "name").read_text(encoding="ascii").strip()
        range_uj = int((folder / "max_energy_range_uj").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return _Domain(folder, name, range_uj) if range_uj > 0 else None
