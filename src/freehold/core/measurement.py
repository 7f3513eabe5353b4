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


UNKNOWN_ENERGY = Measurement(grade=Grade.UNKNOWN, source="none")
