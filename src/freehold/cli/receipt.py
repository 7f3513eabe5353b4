"""`freehold receipt`: prove an answer, offline.

Exit codes: 0 the receipt holds, 1 it does not, 2 what was given cannot be used.
"""

import base64
import binascii
import json
import re
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.cli.audit_record import tell_failed, trusted_keys
from freehold.core.errors import FreeholdError, VerificationError
from freehold.core.exchange import ExchangeId
from freehold.provenance import evidence as bundles
from freehold.provenance.evidence import EvidenceReport
from freehold.provenance.files import named, read_small
from freehold.provenance.keys import TrustedKeys
from freehold.provenance.receipt import timestamp
from freehold.provenance.verifier import ReceiptReport, event_data, verify_receipt
from freehold.store.reader import RecordReader

FILE_LIMIT_BYTES = 256 << 20
_ID = re.compile(r"xc_[0-9a-z]{26}")
_EVENT_STREAM = (b"data:", b"event:", b"id:", b"retry:", b":")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenReceipt:
    envelope: bytes
    salt: bytes | None
    exchange_id: object = None  # what the file says beside the envelope, unsigned


@click.group()
def receipt() -> None:
    """Check receipts."""


@receipt.command()
@click.argument("file")
@click.option("--key", "key_path", type=click.Path(path_type=Path), help="The node's node.pub; default: this machine's.")
@click.option("--salt", help="The exchange's salt in base64, where FILE does not hold it.")
@click.option("--request", type=click.Path(path_type=Path), help="The request body as it was sent, to compare.")
@click.option("--response", type=click.Path(path_type=Path), help="The response as it came, plain or streamed, to compare.")
@click.option("--proof", type=click.Path(path_type=Path), help="What 'freehold log proof' gave: that the receipt is in the log.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def verify(
    file: str,
    key_path: Path | None,
    salt: str | None,
    request: Path | None,
    response: Path | None,
    proof: Path | None,
    as_json: bool,
) -> None:
    """Check the receipt in FILE, offline.

    FILE is what /v1/receipts/ID answers, the envelope alone, - for standard input, or the ID of an exchange of this node's own
    record. Exit code 0: it holds; 1: it does not; 2: it cannot be used.
    """
    try:
        given, keys = given_receipt(file), trusted_keys((key_path,) if key_path else ())
        asked, answered = None if request is None else _read(request), None if response is None else _response(_read(response))
        sent_salt = given.salt if salt is None else _salt(salt)
        with named(file):
            report = verify_receipt(given.envelope, keys, request=asked, response=answered, salt=sent_salt)
        if given.exchange_id not in (None, report.claims.exchange_id):
            raise VerificationError(f"the file calls itself another exchange than the one signed, {report.claims.exchange_id}")
        logged = None if proof is None else _logged(report, _read(proof), keys)
    except VerificationError as error:
        tell_failed("The receipt does not hold", error, as_json=as_json)
    except FreeholdError as error:
        raise Unusable(error.message) from error
    if as_json:
        click.echo(json.dumps({"holds": True, **_document(report, logged)}, indent=2))
    else:
        _show(report, logged)


def given_receipt(file: str) -> GivenReceipt:
    """What FILE holds, or the record has under an ID. Raises DeviceError, Unusable."""
    if _ID.fullmatch(file) and not Path(file).exists():
        return _stored(ExchangeId(file))
    raw = sys.stdin.buffer.read(FILE_LIMIT_BYTES) if file == "-" else _read(Path(file))
    try:
        document = json.loads(raw)
        if isinstance(document, dict) and "envelope" in document:
            salt = document.get("salt")
            return GivenReceipt(
                envelope=json.dumps(document["envelope"]).encode(),
                salt=None if salt is None else _salt(salt),
                exchange_id=document.get("id"),
            )
    except (ValueError, RecursionError):
        pass  # not JSON at all: the verifier says so in its own words
    return GivenReceipt(envelope=raw, salt=None)


def _stored(exchange_id: ExchangeId) -> GivenReceipt:
    store = configuration.load().store
    with closing(RecordReader(configuration.home() / store.file, store)) as reader:
        stored = reader.receipt(exchange_id)
    if stored is None:
        raise Unusable(f"this node's record has no receipt {exchange_id}")
    return GivenReceipt(envelope=stored.receipt.envelope, salt=stored.salt)


def _read(path: Path) -> bytes:
    return read_small(path, "exchange", FILE_LIMIT_BYTES)


def _response(raw: bytes) -> bytes | list[bytes]:
    return event_data(raw) if raw.lstrip().startswith(_EVENT_STREAM) else raw


def _salt(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise Unusable("the salt is not base64") from exc


def _logged(report: ReceiptReport, proof: bytes, keys: TrustedKeys) -> EvidenceReport:
    """The evidence that this receipt, and no other, stands in the log under its exchange. Raises VerificationError."""
    evidence = bundles.verify(proof, keys)
    exchange_id = report.claims.exchange_id
    if exchange_id not in evidence.receipts:
        raise VerificationError(f"the proof is not of exchange {exchange_id}, but of {', '.join(evidence.receipts) or 'none'}")
    if evidence.receipts[exchange_id] != report.digest:
        raise VerificationError(f"the log holds another receipt of exchange {exchange_id}: the node has signed two")
    return evidence


def _document(report: ReceiptReport, logged: EvidenceReport | None) -> dict[str, Any]:
    claims = report.claims
    return {
        "exchange_id": claims.exchange_id,
        "signed_by": report.signed_by,
        "digest": report.digest,
        "previous": report.previous,
        "issued_at": timestamp(claims.issued_at_ns),
        "dialect": claims.dialect,
        "operation": claims.operation,
        "status": claims.status,
        "model": claims.served and claims.served.model,
        "provider": claims.served and claims.served.provider,
        "model_id": claims.served and claims.served.model_id,
        "finish_reason": claims.finish_reason,
        "input_tokens": claims.input_tokens,
        "output_tokens": claims.output_tokens,
        "energy_j": claims.energy and claims.energy.energy_j,
        "energy_grade": claims.energy and claims.energy.grade,
        "carbon_g": claims.carbon and claims.carbon.g,
        "carbon_factor": claims.carbon and f"{claims.carbon.zone} {claims.carbon.year} {claims.carbon.method}",
        "policy_digest": claims.policy_digest,
        "request": "matches" if report.request_checked else "not compared",
        "response": "matches" if report.response_checked else "not compared",
        "log": "not compared" if logged is None else f"row {logged.first_n} of {logged.size} of {logged.origin}",
    }


def _show(report: ReceiptReport, logged: EvidenceReport | None) -> None:
    click.echo("The receipt holds: the node signed these claims, and nothing was changed since.")
    for name, value in _document(report, logged).items():
        click.echo(f"  {name.replace('_', ' '):<14} {'unknown' if value is None else value}")
