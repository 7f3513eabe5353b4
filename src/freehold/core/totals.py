"""What one key did with one model on one day: the ledger, added up. No content."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from freehold.core.exchange import KeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class DayTotal:
    """Sums over the exchanges of one (day, key, team, provider, model, model id).

    What is unknown of an exchange is in none of the sums of what is known: `known_*` count the exchanges whose energy is known,
    and `energy_j` is of those alone.
    """

    day: int  # UTC, from 1970-01-01
    key_id: KeyId
    team: str | None
    provider: str | None
    model: str
    model_id: str | None
    requests: int
    input_tokens: int
    output_tokens: int
    known_requests: int
    known_tokens: int  # input and output, of the requests with known energy
    energy_j: float
    grades: str = ""  # of the known energies, comma between
    low_j: float = 0.0  # of those that have a bound; others count as they are
    high_j: float = 0.0
    by_tokens_j: float = 0.0  # the same energy shared out by tokens, and by time; where only one share is kept, that
    by_time_j: float = 0.0
    known_output_tokens: int = 0  # of the requests with known energy
    cost_microusd: int = 0
    unknown_costs: int = 0  # requests an upstream answered whose price or tokens nobody knows
    electricity_requests: int = 0  # those whose electricity has a known price
    electricity_microusd: float = 0.0
    carbon_requests: int = 0  # those whose carbon is known
    carbon_output_tokens: int = 0
    carbon_g: float = 0.0
    carbon_low_g: float = 0.0
    carbon_high_g: float = 0.0
    embodied_requests: int = 0
    embodied_g: float = 0.0
    water_requests: int = 0
    water_l: float = 0.0

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
