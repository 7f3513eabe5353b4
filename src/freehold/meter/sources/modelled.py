"""Watts that nobody measured, out of how busy the machine or its card is: graded as models, always with an interval.

The node: idle + (most - idle) * u^a, u the share of its processors' time that is not idle (Fan, Weber, Barroso 2007, with an
exponent for the curve of the machine at hand). A card: 0.74 of its TDP while a pass runs. In ML.ENERGY's measurements (2026-02)
of H100 and B200 the tenth to ninetieth percentiles are 0.57-0.90 and 0.49-0.95 of TDP: +-25 % holds about eight in ten of them.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from freehold.core.errors import DeviceError
from freehold.core.measurement import Grade
from freehold.meter.sources.source import Busy, Device, Reading

PROC_STAT: Final = Path("/proc/stat")
CARD_SHARE: Final = 0.74
SPREAD: Final = 0.25
SHORTEST_BUSY_S: Final = 0.2


def _within(energy_j: float) -> Reading:
    return Reading(energy_j, low_j=energy_j * (1 - SPREAD), high_j=energy_j * (1 + SPREAD))


class CpuTimes:
    """Seconds of all processors since the boot, out of /proc/stat: (busy, all). Raises DeviceError."""

    def __init__(self, path: Path = PROC_STAT) -> None:
        self._path = path
        self._tick_s = 1 / os.sysconf("SC_CLK_TCK")

    def __call__(self) -> tuple[float, float]:
        try:
            with self._path.open(encoding="ascii") as lines:
                label, *words = lines.readline().split()
            user, nice, system, idle, iowait, irq, softirq, steal = map(int, words[:8])
            if label != "cpu":
                raise ValueError(label)
        except (OSError, ValueError) as exc:
            raise DeviceError(f"{self._path} does not tell how busy the processors are: {exc}") from exc
        busy = user + nice + system + irq + softirq + steal
        return busy * self._tick_s, (busy + idle + iowait) * self._tick_s


class OurShare:
    """Which part of the processors' busy time since the last call was this process's. None where it can't be known."""

    def __init__(self, times: CpuTimes | None = None, own_s: Callable[[], float] = time.process_time) -> None:
        self._times, self._own_s = times or CpuTimes(), own_s
        self._before = self._now()
        self._last: float | None = None

    def __call__(self) -> float | None:
        before, now = self._before, self._now()
        if before is None or now is None:
            self._before = now
            return None
        busy_s, own_s = now[0] - before[0], now[1] - before[1]
        if busy_s >= SHORTEST_BUSY_S:  # else what was last found still holds: hundredths of a second are too coarse
            self._before, self._last = now, min(1.0, max(0.0, own_s) / busy_s)
        return self._last

    def _now(self) -> tuple[float, float] | None:
        try:
            return self._times()[0], self._own_s()
        except DeviceError:
            return None


class UtilisationModel:
    """Implements `source.EnergySource` of the whole node."""

    name = "utilisation-model"
    grade = Grade.MODELLED
    device: Device = "node"
    min_window_s = 0.1  # /proc/stat counts hundredths of a second
    sees_idle = True

    def __init__(
        self,
        idle_w: float,
        most_w: float,
        exponent: float,
        times: CpuTimes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises DeviceError where nothing tells how busy the processors are."""
        self._idle_w, self._most_w, self._exponent = idle_w, most_w, exponent
        self._times, self._clock = times or CpuTimes(), clock
        self._before: tuple[float, float] | None = self._times()
        self._read_at_s = clock()

    def read(self, busy: Busy) -> Reading | None:
        before, gap_s = self._before, self._clock() - self._read_at_s
        self._read_at_s += gap_s
        try:
            self._before = self._times()
        except DeviceError:
            self._before = None
        if before is None or self._before is None:
            return None
        busy_s, all_s = self._before[0] - before[0], self._before[1] - before[1]
        use = min(1.0, max(0.0, busy_s / all_s)) if all_s > 0 else 0.0
        return _within(gap_s * (self._idle_w + (self._most_w - self._idle_w) * use**self._exponent))

    def close(self) -> None:
        pass


class CardModel:
    """Implements `source.EnergySource` of a card that tells neither energy nor power."""

    name = "tdp-model"
    grade = Grade.MODELLED
    device: Device = "gpu"
    min_window_s = 0.0
    sees_idle = False

    def __init__(self, tdp_w: float) -> None:
        self._tdp_w = tdp_w

    def read(self, busy: Busy) -> Reading:
        return _within(busy.pass_s * CARD_SHARE * self._tdp_w)

    def close(self) -> None:
        pass
