"""A meter that gives ten joules a thread-second, and a gram of carbon for each ten joules."""

from freehold.core.measurement import NO_FOOTPRINT, UNKNOWN_ENERGY, Carbon, Footprint, Grade, Measurement
from freehold.core.ports import Use


class TenWattMeter:
    """Implements `Meter`."""

    def account(self, use: Use) -> tuple[Measurement, Footprint]:
        if use.worked is None:
            return UNKNOWN_ENERGY, NO_FOOTPRINT
        energy_j = use.worked.compute_s * 10
        energy = Measurement(grade=Grade.MODELLED, source="test", energy_j=energy_j, low_j=energy_j, high_j=energy_j)
        return energy, Footprint(carbon=Carbon(g=energy_j / 10, zone="ISL", year=2022))
