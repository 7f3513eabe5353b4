"""Energy modelled from compute time: thread-seconds times the watts of a busy thread.

A model, and graded so: it sees neither clock speed nor memory traffic, and its bounds are the spread between processor families,
not a confidence interval. It needs no counter and no privilege, so it works on every machine.
"""

import math

from freehold.core.measurement import UNKNOWN_ENERGY, Grade, Measurement
from freehold.meter.config import MeterConfig

SOURCE = "cpu-time-model"


class CpuTimeModel:
    def __init__(self, config: MeterConfig) -> None:
        self._config = config

    def energy(self, compute_s: float) -> Measurement:
        """Joules of `compute_s` thread-seconds. A time that cannot be true is unknown energy."""
        if not math.isfinite(compute_s) or compute_s < 0:
            return UNKNOWN_ENERGY
        return Measurement(
            grade=Grade.MODELLED,
            source=SOURCE,
            energy_j=compute_s * self._config.watts_per_core,
            low_j=compute_s * self._config.watts_per_core_low,
            high_j=compute_s * self._config.watts_per_core_high,
        )
