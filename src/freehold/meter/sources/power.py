"""Watts as they are sampled, made joules: the area under the samples, straight lines between them (trapezoid)."""

import threading
import time
from collections.abc import Callable

from freehold.core.errors import DeviceError
from freehold.core.measurement import Grade
from freehold.meter.sources.source import Busy, Device, Reading

ABSURD_W = 100_000.0  # a rack; a sample above is an error of the meter's


class PowerIntegral:
    """Joules out of samples of watts. Thread-safe."""

    def __init__(self, longest_gap_s: float) -> None:
        self._longest_gap_s = longest_gap_s
        self._lock = threading.Lock()
        self._last: tuple[float, float] | None = None
        self._energy_j = 0.0
        self._is_whole = True

    def add(self, at_s: float, power_w: float | None) -> None:
        """None is a sample that failed. What lies beside it, or beyond the longest gap, is unknown."""
        with self._lock:
            usable = power_w is not None and 0 <= power_w <= ABSURD_W
            if not usable or power_w is None:
                self._last, self._is_whole = None, False
                return
            if self._last is not None:
                before_s, before_w = self._last
                if at_s - before_s > self._longest_gap_s:
                    self._is_whole = False
                else:
                    self._energy_j += (power_w + before_w) / 2 * (at_s - before_s)
            self._last = (at_s, power_w)

    def take(self) -> float | None:
        """Joules between the sample that ended the last `take`, and the newest."""
        with self._lock:
            energy_j, is_whole = self._energy_j, self._is_whole and self._last is not None
            self._energy_j, self._is_whole = 0.0, self._last is not None
            return energy_j if is_whole else None


class SampledPower:
    """Implements `source.EnergySource` over a function that gives watts, called by a thread of its own and at each reading."""

    sees_idle = True

    def __init__(
        self,
        name: str,
        device: Device,
        power_w: Callable[[], float],
        *,
        every_s: float,
        min_window_s: float,
        on_demand: bool = True,
        is_shared: bool = False,
        clock: Callable[[], float] = time.monotonic,
        runs: bool = True,
    ) -> None:
        """`on_demand` is False where asking takes too long for a reading. What a shared device draws is an upper bound of ours.

        Raises DeviceError where the first sample fails.
        """
        self.name, self.device, self.grade, self.min_window_s = name, device, Grade.MEASURED_POWER, min_window_s
        self._power_w, self._every_s, self._on_demand, self._clock = power_w, every_s, on_demand, clock
        self._is_shared = is_shared
        self._integral = PowerIntegral(longest_gap_s=max(3 * every_s, 2.0))
        self.trouble = ""
        self._integral.add(clock(), power_w())
        self._ended = threading.Event()
        if runs:
            threading.Thread(target=self._run, name=f"{name}-samples", daemon=True).start()

    def sample(self) -> None:
        try:
            power_w: float | None = self._power_w()
            self.trouble = ""
        except DeviceError as exc:
            power_w, self.trouble = None, exc.message
        self._integral.add(self._clock(), power_w)

    def read(self, busy: Busy) -> Reading | None:
        if self._on_demand:
            self.sample()
        energy_j = self._integral.take()
        if energy_j is None:
            return None
        return Reading(energy_j, low_j=0.0, high_j=energy_j) if self._is_shared else Reading(energy_j)

    def close(self) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self.sample()
