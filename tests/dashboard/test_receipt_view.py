import base64
import json
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from freehold.cli.receipt import receipt as receipt_command
from freehold.core.exchange import KeyId
from freehold.core.ports import StoredReceipt
from freehold.core.receipts import Claims
from freehold.dashboard.receipt_view import receipt_file, receipt_view
from freehold.provenance.keys import node_key
from freehold.provenance.signer import NodeSigner
from tests.fakes.ledger import entry, stored_receipt


def test_the_statement_is_shown_as_it_was_signed() -> None:
    view = receipt_view(stored_receipt(entry(3)))
    assert '"predicate"' in view.statement
    assert view.key_ids == ("k0ffee",)


@given(st.binary(max_size=200) | st.sampled_from([b"[]", b'{"signatures": 1}', b'{"signatures": [1], "payload": "!"}', b"null"]))
def test_any_bytes_in_the_record_are_shown_and_never_crash_the_page(envelope: bytes) -> None:
    stored = stored_receipt(entry(3))
    broken = replace(stored, receipt=replace(stored.receipt, envelope=envelope))
    assert "cannot be read" in receipt_view(broken).statement
    assert receipt_file(broken)


def test_what_is_downloaded_is_what_the_command_on_the_page_verifies(tmp_path: Path) -> None:
    key = node_key(tmp_path / "keys")
    claims = Claims(
        exchange_id=entry(3).exchange_id,
        issued_at_ns=1_800_000_000_000_000_000,
        dialect="openai.chat",
        operation="chat",
        status="completed",
        served=None,
        request_digest="00" * 32,
        response_digest="11" * 32,
        response_links=1,
        salt=b"s" * 32,
    )
    stored = StoredReceipt(receipt=NodeSigner(key).sign(claims, None), salt=claims.salt, key_id=KeyId("key_1"))
    file = tmp_path / "receipt.json"
    file.write_text(receipt_file(stored), encoding="utf-8")
    arguments = ["verify", str(file), "--key", str(tmp_path / "keys" / "node.pub")]
    assert CliRunner().invoke(receipt_command, arguments).exit_code == 0
    forged = json.loads(receipt_file(stored))
    statement = base64.b64decode(forged["envelope"]["payload"]).replace(b"completed", b"cancelled")
    forged["envelope"]["payload"] = base64.b64encode(statement).decode()
    file.write_text(json.dumps(forged), encoding="utf-8")
    assert CliRunner().invoke(receipt_command, arguments).exit_code == 1
    assert receipt_view(stored).key_ids == (key.key_id,)
