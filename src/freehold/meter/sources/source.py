"""What a source of joules is.

A source is read in turns, and each reading is of the time since the one before. It says by its grade how it knows, by its device
of what, and by `min_window_s` how short a time it can speak about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from freehold.core.measurement import Grade

Device = Literal["cpu", "gpu", "node"]


@dataclass(frozen=True, slots=True)
class Busy:
    """What our engine did since the last reading: wall seconds of its passes, and those times its threads. For models."""

    pass_s: float = 0.0
    thread_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Joules since the reading before. Bounds are None where the source tells none."""

    energy_j: float
    low_j: float | None = None
    high_j: float | None = None


class EnergySource(Protocol):
    """Called from one thread at a time. `close` ends what runs beside it."""

    @property
    def name(self) -> str:
        """As it stands in the ledger: "rapl", "nvml-energy"."""

    @property
    def grade(self) -> Grade: ...

    @property
    def device(self) -> Device: ...

    @property
    def min_window_s(self) -> float: ...

    @property
    def sees_idle(self) -> bool:
        """Whether it counts what is drawn while we do nothing."""

    def read(self, busy: Busy) -> Reading | None:
        """Joules since the last call, the first of which is 0. None where they can't be known: a counter that was reset, one that
        can't be read now. Then the next reading counts from here."""

    def close(self) -> None: ...


class Together:
    """Several sources of different devices as one: each is needed, and the worst grade is the sum's."""

    def __init__(self, sources: Sequence[EnergySource]) -> None:
        self._sources = tuple(sources)
        self.name = "+".join(source.name for source in self._sources)
        self.grade = max((source.grade for source in self._sources), key=list(Grade).index)
        self.device: Device = self._sources[0].device if len(self._sources) == 1 else "node"
        self.min_window_s = max(source.min_window_s for source in self._sources)
        self.sees_idle = all(source.sees_idle for source in self._sources)

    def read(self, busy: Busy) -> Reading | None:
        readings = [source.read(busy) for source in self._sources]  # all, so that they go on from the same time
        known = [reading for reading in readings if reading is not None]
        if len(known) < len(readings):
            return None
        energy_j = sum(reading.energy_j for reading in known)
        if all(reading.low_j is None and reading.high_j is None for reading in known):
            return Reading(energy_j)
        return Reading(
            energy_j,
            low_j=sum(reading.energy_j if reading.low_j is None else reading.low_j for reading in known),
            high_j=sum(reading.energy_j if reading.high_j is None else reading.high_j for reading in known),
        )

    def close(self) -> None:
        for source in self._sources:
            source.close()
