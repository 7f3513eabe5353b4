"""Energy of one window or one exchange, with how it is known."""

from dataclasses import dataclass
from enum import StrEnum


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
class Carbon:
    """Grams of CO2e of the electricity, location-based: what the grid there emitted, whatever contracts were bought."""

    g: float
    low_g: float | None = None
    high_g: float | None = None
    zone: str  # a country's three letters, or "signal" for the operator's own series
    year: int  # of the factor
    method: str = "average"  # "average" or "marginal"


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
    electricity_microusd: int | None = None  # millionths of a US dollar, rounded up


NO_FOOTPRINT = Footprint()
UNKNOWN_ENERGY = Measurement(grade=Grade.UNKNOWN, source="none")
