"""The ledger's totals as lines of a report: by model, team, key or day. Pure.

Sums are of what is known, and each line says how much that is. The rate is SCI's (Green Software Foundation, Software Carbon
Intensity 1.0): ((E * I) + M) per R, with R a thousand output tokens, over the exchanges whose carbon is known. Location-based
alone: contracts and offsets never lower it, a market-based figure stands beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Literal

from freehold.core.totals import DayTotal

By = Literal["model", "team", "key", "day"]
KWH_J: Final = 3.6e6
_EPOCH: Final = date(1970, 1, 1)
NO_TEAM: Final = "(no team)"
REMOTE: Final = "remote_model"


def day_text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()


KEYS: Final[Mapping[By, Callable[[DayTotal], str]]] = {
    "model": lambda total: f"{total.model} at {total.provider}" if total.provider else total.model,
    "team": lambda total: total.team or NO_TEAM,
    "key": lambda total: total.key_id,
    "day": lambda total: day_text(total.day),
}


@dataclass(slots=True, kw_only=True)
class Line:
    """One line. Sums are over what is known; None is nothing known at all."""

    name: str
    requests: int = 0
    known_requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    known_tokens: int = 0
    energy_j: float = 0.0
    local_j: float = 0.0  # of it, what our engine drew
    low_j: float = 0.0
    high_j: float = 0.0
    by_tokens_j: float = 0.0
    by_time_j: float = 0.0
    carbon_requests: int = 0
    carbon_output_tokens: int = 0
    carbon_g: float = 0.0
    carbon_low_g: float = 0.0
    carbon_high_g: float = 0.0
    embodied_requests: int = 0
    embodied_g: float = 0.0
    water_requests: int = 0
    water_l: float = 0.0
    cost_microusd: int = 0
    unknown_costs: int = 0
    electricity_requests: int = 0
    electricity_microusd: float = 0.0
    grades: set[str] = field(default_factory=set)

    def add(self, total: DayTotal) -> None:
        self.local_j += total.energy_j if REMOTE not in total.grades else 0.0
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(total, name))
        self.grades.update(filter(None, total.grades.split(",")))

    @property
    def unknown_share(self) -> float:
        """Of the requests, those whose energy nobody knows."""
        return 1 - self.known_requests / self.requests if self.requests else 0.0

    @property
    def j_per_token(self) -> float | None:
        return self.energy_j / self.known_tokens if self.known_tokens else None

    @property
    def sci_g(self) -> float | None:
        """Grams of CO2e for 1000 output tokens. None where no carbon is known. What is embodied counts where it is known."""
        if not self.carbon_output_tokens:
            return None
        return (self.carbon_g + self.embodied_g) / self.carbon_output_tokens * 1000

    @property
    def has_embodied(self) -> bool:
        """Whether `sci_g` holds M of all its requests, as SCI demands."""
        return 0 < self.carbon_requests <= self.embodied_requests


_SUMS: Final = tuple(name for name in Line.__slots__ if name not in ("name", "grades", "local_j"))


def lines_by(totals: Sequence[DayTotal], by: By) -> list[Line]:
    """Most energy first; days in their order."""
    found: dict[str, Line] = {}
    for total in totals:
        name = KEYS[by](total)
        found.setdefault(name, Line(name=name)).add(total)
    return sorted(found.values(), key=lambda line: line.name if by == "day" else (-line.energy_j, line.name))


def in_all(totals: Sequence[DayTotal]) -> Line:
    line = Line(name="all")
    for total in totals:
        line.add(total)
    return line


def by_grade(totals: Sequence[DayTotal]) -> Mapping[str, float]:
    """Joules by how they are known. A total of several grades is told under all of them together."""
    sums: dict[str, float] = {}
    for total in totals:
        if total.grades:
            grade = "+".join(sorted(total.grades.split(",")))
            sums[grade] = sums.get(grade, 0.0) + total.energy_j
    return sums
