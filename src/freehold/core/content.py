"""An exchange kept by policy, so that it can be run again: the only content that a record ever holds, and encrypted there."""

from dataclasses import dataclass, field

from freehold.core.exchange import ExchangeId, KeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptExchange:
    """One exchange of our engine: the request as the engine got it, and what else its answer came from.

    `body` is the JSON that the guard let through; where it is rewritten, the receipt's request digest is over another. `tokens`
    are those chosen for each choice, None where the guard changed the answer, or stopped it: they say what it took out.
    """

    exchange_id: ExchangeId
    received_at_ns: int
    dialect: str
    path: str
    query: dict[str, str]
    body: str = field(repr=False)
    is_rewritten: bool
    has_reversible_tokens: bool  # the guard put tokens for values, and the values back into the answer
    key_id: KeyId
    key_name: str
    team: str | None
    labels: tuple[str, ...]
    cached_input_tokens: int | None  # as the answer's usage told it
    tokens: tuple[tuple[int, ...], ...] | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the recorder is given of it: its JSON, and until when it is kept (Unix time)."""

    content: bytes = field(repr=False)
    until_ns: int
