"""One exchange's facts for the record. No content."""

from dataclasses import dataclass, field
from enum import StrEnum

from freehold.core.content import Kept
from freehold.core.deferral import Turn
from freehold.core.exchange import ExchangeId, KeyId, ModelId
from freehold.core.findings import Finding
from freehold.core.measurement import NO_FOOTPRINT, Footprint, Measurement
from freehold.core.receipts import Claims


class Status(StrEnum):
    COMPLETED = "completed"
    BLOCKED = "blocked"  # by policy, either way
    CANCELLED = "cancelled"  # the client left
    FAILED = "failed"  # the upstream or the node


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """None is unknown, never 0."""

    exchange_id: ExchangeId
    received_at_ns: int
    key_id: KeyId
    team: str | None
    dialect: str
    operation: str
    provider: str | None
    model: str
    model_id: ModelId | None
    stream: bool
    status: Status
    finish_reason: str | None
    error_code: str | None
    input_tokens: int | None
    output_tokens: int | None
    ttft_ms: float | None
    duration_ms: float
    energy: Measurement
    findings: tuple[Finding, ...]
    policy_digest: str
    cost_microusd: int | None = None  # millionths of a US dollar, rounded up
    reserved_microusd: int | None = None  # held of a money budget while it ran: what an unknown cost is charged as
    footprint: Footprint = NO_FOOTPRINT
    turn: Turn | None = None  # of work that could wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What the gateway hands to the recorder: signed and stored together, or not at all."""

    claims: Claims
    entry: LedgerEntry
    kept: Kept | None = field(repr=False, default=None)
