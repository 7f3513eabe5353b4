"""A record in memory that keeps every draft as it was handed in."""

import hashlib
import json

from freehold.core.errors import RecordNotWritten
from freehold.core.exchange import ExchangeId, KeyId
from freehold.core.ledger import Draft, LedgerEntry
from freehold.core.ports import StoredReceipt, UpstreamStatus
from freehold.core.receipts import Receipt


class InMemoryRecorder:
    """Implements `Recorder` and `LedgerReader`. `failing` makes every write fail, `full` says so beforehand."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.failing = False
        self.full = False
        self._receipts: dict[ExchangeId, StoredReceipt] = {}

    async def record(self, draft: Draft) -> Receipt:
        if self.failing:
            raise RecordNotWritten("the disk is full; free some space")
        statement = json.dumps({"id": draft.claims.exchange_id, "response": draft.claims.response_digest}).encode()
        envelope = json.dumps({"payload": statement.decode(), "payloadType": "test", "signatures": []}).encode()
        receipt = Receipt(
            exchange_id=draft.claims.exchange_id,
            envelope=envelope,
            digest=hashlib.sha256(statement).hexdigest(),
            signed_by=KeyId("test"),
        )
        self.drafts.append(draft)
        self._receipts[receipt.exchange_id] = StoredReceipt(receipt=receipt, salt=draft.claims.salt, key_id=draft.entry.key_id)
        return receipt

    def status(self) -> UpstreamStatus:
        return UpstreamStatus(ready=not self.full, detail="the disk is full; free some space" if self.full else "ready")

    def after(self, seq: int, limit: int) -> list[tuple[int, LedgerEntry]]:
        return [(number, draft.entry) for number, draft in enumerate(self.drafts, 1) if number > seq][:limit]

    def recent(self, limit: int) -> list[tuple[int, LedgerEntry]]:
        return self.after(0, len(self.drafts))[::-1][:limit]

    def receipt(self, exchange_id: ExchangeId) -> StoredReceipt | None:
        return self._receipts.get(exchange_id)
