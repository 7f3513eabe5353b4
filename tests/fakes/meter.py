"""A meter that gives ten joules a thread-second."""

from freehold.core.events import Worked
from freehold.core.measurement import UNKNOWN_ENERGY, Grade, Measurement


class TenWattMeter:
    """Implements `Meter`."""

    def attribute(self, worked: Worked | None) -> Measurement:
        if worked is None:
            return UNKNOWN_ENERGY
        energy_j = worked.compute_s * 10
        return Measurement(grade=Grade.MODELLED, source="test", energy_j=energy_j, low_j=energy_j, high_j=energy_j)
