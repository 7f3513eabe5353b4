"""A record in memory, and made-up exchanges to fill it with."""

import base64
import json
import threading
from dataclasses import replace

from freehold.core.exchange import ExchangeId, KeyId
from freehold.core.findings import Action, Channel, Direction, Finding, Mode
from freehold.core.ledger import LedgerEntry, Status
from freehold.core.measurement import UNKNOWN_ENERGY, Grade, Measurement
from freehold.core.ports import StoredReceipt
from freehold.core.receipts import Receipt

MODELLED = Measurement(grade=Grade.MODELLED, source="cpu-time-model", energy_j=3.21, low_j=2.1, high_j=4.62)


class InMemoryLedger:
    """Implements `LedgerReader`. `add` is the writer's side."""

    def __init__(self) -> None:
        self._entries: list[LedgerEntry] = []
        self._receipts: dict[ExchangeId, StoredReceipt] = {}
        self._lock = threading.Lock()
        self.reads = 0
        self.failure: Exception | None = None

    def add(self, entry: LedgerEntry) -> int:
        with self._lock:
            self._entries.append(entry)
            self._receipts[entry.exchange_id] = stored_receipt(entry)
            return len(self._entries)

    def after(self, seq: int, limit: int) -> list[tuple[int, LedgerEntry]]:
        self._count_read()
        with self._lock:
            return list(enumerate(self._entries, 1))[seq : seq + limit]

    def recent(self, limit: int) -> list[tuple[int, LedgerEntry]]:
        self._count_read()
        with self._lock:
            return list(enumerate(self._entries, 1))[::-1][:limit]

    def receipt(self, exchange_id: ExchangeId) -> StoredReceipt | None:
        return self._receipts.get(exchange_id)

    def _count_read(self) -> None:
        self.reads += 1
        if self.failure is not None:
            raise self.failure


FINDING = Finding(
    rule="aws-access-key",
    category="credential",
    direction=Direction.REQUEST,
    channel=Channel.USER,
    part=0,
    start=10,
    end=30,
    confidence=0.98,
    action=Action.MASK,
    mode=Mode.ENFORCE,
)


def finding(**changes: object) -> Finding:
    """A key that a user sent; `changes` replaces fields."""
    return replace(FINDING, **changes)  # type: ignore[arg-type]


def entry(number: int = 1, **changes: object) -> LedgerEntry:
    """A completed exchange with everything known; `changes` replaces fields."""
    whole = LedgerEntry(
        exchange_id=ExchangeId(f"xc_{number:026d}"),
        received_at_ns=1_800_000_000_000_000_000 + number * 1_000_000_000,
        key_id=KeyId("key_1"),
        team="research",
        dialect="openai.chat",
        operation="chat",
        provider="freehold",
        model="smollm2-135m",
        model_id=None,
        stream=True,
        status=Status.COMPLETED,
        finish_reason="stop",
        error_code=None,
        input_tokens=36,
        output_tokens=101,
        ttft_ms=250.0,
        duration_ms=2250.0,
        energy=MODELLED,
        findings=(),
        policy_digest="ab" * 32,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def unknown_entry(number: int = 1) -> LedgerEntry:
    """What is left when a provider tells nothing."""
    return entry(number, provider="remote", input_tokens=None, output_tokens=None, ttft_ms=None, energy=UNKNOWN_ENERGY)


def stored_receipt(of: LedgerEntry) -> StoredReceipt:
    statement = {"_type": "https://in-toto.io/Statement/v1", "predicate": {"exchange": of.exchange_id, "status": of.status.value}}
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    envelope = {
        "payloadType": "application/vnd.in-toto+json",
        "payload": payload,
        "signatures": [{"keyid": "k0ffee", "sig": "AA=="}],
    }
    receipt = Receipt(
        exchange_id=of.exchange_id, envelope=json.dumps(envelope).encode(), digest="cd" * 32, signed_by=KeyId("k0ffee")
    )
    return StoredReceipt(receipt=receipt, salt=b"salt", key_id=of.key_id)
