"""Which exchange spent which joules. Implements `core.ports.Meter`.

The engine shares its threads' time out over the exchanges of a batch, so that the shares add up to the time spent; energy is
linear in time here, so the exchanges' joules add up to the node's. Work nobody saw (a remote provider's) is unknown, which is
not 0.
"""

from freehold.core.events import Worked
from freehold.core.measurement import UNKNOWN_ENERGY, Measurement
from freehold.meter.config import MeterConfig
from freehold.meter.sources.cpu_time import CpuTimeModel


class ExchangeMeter:
    def __init__(self, config: MeterConfig | None = None) -> None:
        self._source = CpuTimeModel(config or MeterConfig())

    def attribute(self, worked: Worked | None) -> Measurement:
        return UNKNOWN_ENERGY if worked is None else self._source.energy(worked.compute_s)
