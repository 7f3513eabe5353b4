"""Energy of one window or one exchange, with how it is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

J_PER_KWH: Final = 3.6e6


class Grade(StrEnum):
    """How a joule is known, best first."""

    MEASURED_COUNTER = "measured_counter"
    MEASURED_POWER = "measured_power"
    MODELLED = "modelled"
    REMOTE_MODEL = "remote_model"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """`energy_j` is None exactly when the grade is unknown: unknown is never 0. `low_j` and `high_j` bound it."""

    grade: Grade
    source: str  # "cpu-time-model", "none"
    energy_j: float | None = None
    low_j: float | None = None
    high_j: float | None = None

    def __post_init__(self) -> None:
        if (self.energy_j is None) != (self.grade is Grade.UNKNOWN):
            raise ValueError(f"grade {self.grade} with energy {self.energy_j}: unknown energy is None, known energy has a grade")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridFactor:
    """What a kilowatt-hour from the grid of a zone emitted and used up, in a year."""

    zone: str
    year: int
    g_per_kwh: float
    method: str = "average"  # or "marginal": what one kilowatt-hour more would have emitted
    water_l_per_kwh: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Carbon:
    """Grams of CO2e of the electricity, location-based: what the grid there emitted, whatever contracts were bought."""

    g: float
    low_g: float | None = None
    high_g: float | None = None
    zone: str  # a country's three letters, or "signal" for the operator's own series
    year: int  # of the factor
    method: str = "average"  # or "marginal"; "series" of the operator's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What an exchange took beyond its joules. None is unknown, never 0.

    `by_tokens_j` and `by_time_j` are the same energy under two other ways of sharing a batch's joules out: by tokens computed,
    and by time spent in the batch. The choice changes the answer, so all are kept.
    """

    by_tokens_j: float | None = None
    by_time_j: float | None = None
    carbon: Carbon | None = None
    embodied_g: float | None = None  # CO2e of making the machine, for the time it worked on this
    water_l: float | None = None
    electricity_microusd: float | None = None  # millionths of a US dollar; an answer may take less than one


NO_FOOTPRINT = Footprint()
UNKNOWN_ENERGY = Measurement(grade=Grade.UNKNOWN, source="none")
NOTHING_RAN = Measurement(grade=Grade.UNKNOWN, source="nothing-ran")  # of what was refused before any upstream was asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What a meter in the engine gives one request: its energy, two other shares of it, and its part of the machine's time."""

    energy: Measurement
    by_tokens_j: float | None = None
    by_time_j: float | None = None
    machine_s: float = 0.0  # wall seconds of the engine's passes, each shared evenly among the requests in it


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTotals:
    """What the engine's meter has seen since the engine began to load. energy = attributed + idle + unattributed + load - owed.

    `idle_j` is None where the source can't see idling. `owed_j` was given to answers that ended before a window could close, and
    is taken from what the next ones hold. In `unknown_s` of the `seconds` the source told nothing.
    """

    source: str
    grade: Grade
    device: str  # "cpu", "gpu" or "node"
    seconds: float
    unknown_s: float
    energy_j: float
    attributed_j: float
    idle_j: float | None
    unattributed_j: float
    load_j: float | None
    owed_j: float = 0.0


def add(parts: Sequence[Metered]) -> Metered | None:
    """Of several answers to one request. What is unknown of one is unknown of all."""
    if not parts:
        return None
    energies = [part.energy for part in parts]
    worst = max(energies, key=lambda one: list(Grade).index(one.grade))
    return Metered(
        energy=Measurement(
            grade=worst.grade,
            source=worst.source,
            energy_j=_sum([one.energy_j for one in energies]),
            low_j=_sum([one.low_j for one in energies]),
            high_j=_sum([one.high_j for one in energies]),
        ),
        by_tokens_j=_sum([part.by_tokens_j for part in parts]),
        by_time_j=_sum([part.by_time_j for part in parts]),
        machine_s=sum(part.machine_s for part in parts),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
