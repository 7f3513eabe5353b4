"""What rooms ask of each other. `app.py` hands the makers to the users; no room imports another."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from freehold.core.events import Event, Worked
from freehold.core.exchange import Exchange, ExchangeId, KeyId, Principal
from freehold.core.findings import Direction
from freehold.core.ledger import Draft, LedgerEntry
from freehold.core.measurement import Measurement
from freehold.core.receipts import Claims, Receipt
from freehold.core.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamStatus:
    """`detail` says in words what is going on and what to do: it ends in `/readyz` and error bodies."""

    ready: bool
    detail: str


class Upstream(Protocol):
    """Answers exchanges: our engine, or a remote provider."""

    @property
    def name(self) -> str: ...

    @property
    def models(self) -> Sequence[str]:
        """The model names it answers to."""
        ...

    def status(self) -> UpstreamStatus: ...

    def send(self, exchange: Exchange) -> AsyncIterator[Event]:
        """Yield MessageStart, deltas, Usage, and one MessageEnd a choice, in that order.

        Closing the iterator cancels the work. Raises UpstreamError before or between events, InvalidRequest for what it can't do.
        """
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLoad:
    """How busy our engine is. Rates are of the last second; all is zero while it does not run."""

    running: int  # requests being computed
    waiting: int
    pages: int  # of the KV cache
    free_pages: int
    input_tokens_per_s: float
    output_tokens_per_s: float


EngineLoadProbe = Callable[[], EngineLoad]


class ReceiptSigner(Protocol):
    def sign(self, claims: Claims, previous: str | None) -> Receipt:
        """Sign `claims` with the digest of the receipt before it; None for the first."""
        ...


class Recorder(Protocol):
    """Makes the record durable. One writer decides the order of receipts."""

    async def record(self, draft: Draft) -> Receipt:
        """Sign and store both, or raise RecordNotWritten and store neither."""
        ...

    def status(self) -> UpstreamStatus:
        """Whether a record could be written now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReceipt:
    receipt: Receipt
    salt: bytes
    key_id: KeyId


class LedgerReader(Protocol):
    """Reads the record. Thread-safe; blocks on the disk, so call it off the event loop."""

    def after(self, seq: int, limit: int) -> list[tuple[int, LedgerEntry]]:
        """Entries numbered above `seq`, oldest first."""
        ...

    def recent(self, limit: int) -> list[tuple[int, LedgerEntry]]:
        """The last entries, newest first."""
        ...

    def receipt(self, exchange_id: ExchangeId) -> StoredReceipt | None: ...


class KeyRing(Protocol):
    def authenticate(self, secret: str) -> Principal:
        """Raises InvalidKey. Revocation takes effect within a second."""
        ...


class Meter(Protocol):
    def attribute(self, worked: Worked | None) -> Measurement:
        """Energy of one exchange; None is work we did not see (a remote provider)."""
        ...


class Guard(Protocol):
    """Makes one fresh stage per exchange and direction."""

    @property
    def policy_digest(self) -> str: ...

    def stage(self, direction: Direction) -> Stage: ...


# Seconds since an arbitrary start, and Unix time in nanoseconds. Injected so that tests own time.
MonotonicClock = Callable[[], float]
UnixClock = Callable[[], int]
