"""What one key did with one model on one day: the ledger, added up. No content."""

from dataclasses import dataclass

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

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def tenant(self) -> str:
        """Who decides about its demand: the team, or the key where there is none."""
        return self.team or self.key_id
