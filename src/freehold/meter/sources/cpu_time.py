"""Energy modelled from compute time: thread-seconds times the watts of a busy thread.

A model, and graded so: it sees neither clock speed nor memory traffic, and its bounds are the spread between processor families,
not a confidence interval. It needs no counter and no privilege, so it works on every machine. What the machine draws while it is
idle is no part of it.
"""

import math

from freehold.core.measurement import UNKNOWN_ENERGY, Grade, Measurement
from freehold.meter.config import MeterConfig
from freehold.meter.sources.source import Busy, Device, Reading

SOURCE = "cpu-time-model"


class CpuTimeModel:
    """Implements `source.EnergySource`."""

    name = SOURCE
    grade = Grade.MODELLED
    device: Device = "cpu"
    min_window_s = 0.0
    sees_idle = False

    def __init__(self, config: MeterConfig) -> None:
        self._config = config

    def energy(self, compute_s: float) -> Measurement:
        """Joules of `compute_s` thread-seconds. A time that cannot be true is unknown energy."""
        if not math.isfinite(compute_s) or compute_s < 0:
            return UNKNOWN_ENERGY
        reading = self.read(Busy(thread_s=compute_s))
        return Measurement(
            grade=Grade.MODELLED, source=SOURCE, energy_j=reading.energy_j, low_j=reading.low_j, high_j=reading.high_j
        )

    def read(self, busy: Busy) -> Reading:
        config, thread_s = self._config, busy.thread_s
        return Reading(
            energy_j=thread_s * config.watts_per_core,
            low_j=thread_s * config.watts_per_core_low,
            high_j=thread_s * config.watts_per_core_high,
        )

    def close(self) -> None:
        pass
