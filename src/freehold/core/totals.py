"""What one key did with one model on one day: the ledger, added up. No content."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from freehold.core.exchange import KeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Sums over exchanges. What is unknown of one is in none of the sums of what is known; the counts say of how many each is."""

    requests: int = 0
    refused_requests: int = 0  # of them, those refused before anything ran: they took nothing
    known_requests: int = 0  # those whose energy is known: `energy_j` is of them alone
    input_tokens: int = 0
    output_tokens: int = 0
    known_tokens: int = 0  # input and output, of the requests with known energy
    energy_j: float = 0.0
    low_j: float = 0.0  # of those that have a bound; others count as they are
    high_j: float = 0.0
    by_tokens_j: float = 0.0  # the same energy shared out by tokens, and by time; where only one share is kept, that
    by_time_j: float = 0.0
    carbon_requests: int = 0  # those whose carbon is known
    carbon_output_tokens: int = 0
    carbon_g: float = 0.0
    carbon_low_g: float = 0.0
    carbon_high_g: float = 0.0
    embodied_requests: int = 0
    embodied_g: float = 0.0
    water_requests: int = 0
    water_l: float = 0.0
    cost_microusd: int = 0
    unknown_costs: int = 0  # requests an upstream answered whose price or tokens nobody knows
    electricity_requests: int = 0  # those whose electricity has a known price
    electricity_microusd: float = 0.0

    @property
    def run_requests(self) -> int:
        return self.requests - self.refused_requests


_SUMMED: Final = tuple(field.name for field in fields(Sums))


def added(parts: Iterable[Sums]) -> Sums:
    sums: dict[str, Any] = dict.fromkeys(_SUMMED, 0)
    for part in parts:
        for name in _SUMMED:
            sums[name] += getattr(part, name)
    return Sums(**sums)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTotal(Sums):
    """Sums over the exchanges of one (day, key, team, provider, model, model id)."""

    day: int  # UTC, from 1970-01-01
    key_id: KeyId
    team: str | None
    provider: str | None
    model: str
    model_id: str | None
    grades: str = ""  # of the known energies, comma between

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def tenant(self) -> str:
        """Who decides about its demand: the team, or the key where there is none."""
        return self.team or self.key_id


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One decision out of the log, such as an efficiency event."""

    n: int
    at_ns: int
    facts: Mapping[str, Any]
