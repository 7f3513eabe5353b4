"""The ledger's totals as lines of a report: by model, team, key or day. Pure.

Sums are of what is known, and each line says how much that is. The rate is SCI's (Green Software Foundation, Software Carbon
Intensity 1.0): ((E * I) + M) per R, with R a thousand output tokens, over the exchanges whose carbon is known. Location-based
alone: contracts and offsets never lower it, a market-based figure stands beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal, Self

from freehold.core.limits import day_text
from freehold.core.totals import DayTotal, Sums, added

By = Literal["model", "team", "key", "day"]
NO_TEAM: Final = "(no team)"
REMOTE: Final = "remote_model"


KEYS: Final[Mapping[By, Callable[[DayTotal], str]]] = {
    "model": lambda total: f"{total.model} at {total.provider}" if total.provider else total.model,
    "team": lambda total: total.team or NO_TEAM,
    "key": lambda total: total.key_id,
    "day": lambda total: day_text(total.day),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Sums):
    """One line. Sums are over what is known; None is nothing known at all."""

    name: str
    local_j: float = 0.0  # of the energy, what our engine drew
    grades: frozenset[str] = frozenset()

    @classmethod
    def of(cls, name: str, totals: Sequence[DayTotal]) -> Self:
        return cls(
            name=name,
            local_j=sum(total.energy_j for total in totals if REMOTE not in total.grades),
            grades=frozenset(grade for total in totals for grade in total.grades.split(",") if grade),
            **asdict(added(totals)),
        )

    @property
    def unknown_share(self) -> float:
        """Of the requests for which something ran, those whose energy nobody knows."""
        return 1 - self.known_requests / self.run_requests if self.run_requests else 0.0

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


def lines_by(totals: Sequence[DayTotal], by: By) -> list[Line]:
    """Most energy first; days in their order."""
    groups: dict[str, list[DayTotal]] = {}
    for total in totals:
        groups.setdefault(KEYS[by](total), []).append(total)
    found = [Line.of(name, group) for name, group in groups.items()]
    return sorted(found, key=lambda line: line.name if by == "day" else (-line.energy_j, line.name))


def in_all(totals: Sequence[DayTotal]) -> Line:
    return Line.of("all", totals)


def by_grade(totals: Sequence[DayTotal]) -> Mapping[str, float]:
    """Joules by how they are known. A total of several grades is told under all of them together."""
    sums: dict[str, float] = {}
    for total in totals:
        if total.grades:
            grade = "+".join(sorted(total.grades.split(",")))
            sums[grade] = sums.get(grade, 0.0) + total.energy_j
    return sums
