"""A stored receipt as a person reads it, and as the file `freehold receipt verify` takes.

Shown is what was signed, as it was signed: this page checks nothing, since a page of the node cannot vouch for the node. A
receipt that cannot be read is shown as such.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from freehold.core.ports import StoredReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptView:
    exchange_id: str
    digest: str
    key_ids: tuple[str, ...]
    payload_type: str
    statement: str
    envelope: str


def receipt_view(stored: StoredReceipt) -> ReceiptView:
    envelope = _object(stored.receipt.envelope)
    signatures = envelope.get("signatures")
    signatures = signatures if isinstance(signatures, list) else []
    key_ids = [str(signature.get("keyid", "")) for signature in signatures if isinstance(signature, dict)]
    return ReceiptView(
        exchange_id=stored.receipt.exchange_id,
        digest=stored.receipt.digest,
        key_ids=tuple(key_ids) or (str(stored.receipt.signed_by),),
        payload_type=str(envelope.get("payloadType", "unknown")),
        statement=_statement(envelope.get("payload")),
        envelope=stored.receipt.envelope.decode("utf-8", "replace"),
    )


def receipt_file(stored: StoredReceipt) -> str:
    """The shape of `/v1/receipts/{id}`."""
    envelope = _object(stored.receipt.envelope)
    salt = base64.b64encode(stored.salt).decode("ascii")
    return json.dumps({"id": stored.receipt.exchange_id, "envelope": envelope, "salt": salt}, indent=2, ensure_ascii=False)


def _statement(payload: object) -> str:
    try:
        signed = base64.b64decode(str(payload), validate=True).decode()
        return json.dumps(json.loads(signed), indent=2, ensure_ascii=False)
    except (binascii.Error, ValueError):
        return "the statement cannot be read; check the receipt with the command below"


def _object(envelope: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(envelope)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
