import asyncio
import json
from base64 import b64encode
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.core.exchange import ExchangeId
from freehold.core.ledger import Draft
from freehold.core.receipts import Receipt
from freehold.provenance.keys import NodeKey, node_key
from freehold.provenance.receipt import request_digest, response_digest
from freehold.provenance.signer import NodeSigner
from freehold.store.writer import RecordWriter
from tests.store.drafts import draft

ID = ExchangeId("xc_" + "0" * 26)
SALT = bytes(range(32))
REQUEST = b'{"model": "m"}'
STREAM = b'data: {"a": 1}\n\ndata: {"b": 2}\n\ndata: [DONE]\n\n'


@pytest.fixture
def signed(home: Path) -> Draft:
    """A draft over REQUEST and STREAM, as the gateway makes them."""
    digest, count = response_digest(SALT, [b'{"a": 1}', b'{"b": 2}'])
    plain = draft(ID, salt=SALT)
    claims = replace(plain.claims, request_digest=request_digest(SALT, REQUEST), response_digest=digest, response_links=count)
    return replace(plain, claims=claims)


@pytest.fixture
def receipt(home: Path, signed: Draft) -> Receipt:
    return NodeSigner(node_key(home / "keys")).sign(signed.claims, None)


@pytest.fixture
def answer(receipt: Receipt, tmp_path: Path) -> Path:
    """What `/v1/receipts/{id}` answers, in a file."""
    path = tmp_path / "receipt.json"
    salt = b64encode(SALT).decode()
    path.write_text(json.dumps({"id": ID, "envelope": json.loads(receipt.envelope), "salt": salt}, indent=2))
    return path


def verify(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["receipt", "verify", *map(str, arguments)], input=stdin)


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_the_nodes_answer_holds_with_request_and_stream(answer: Path, tmp_path: Path) -> None:
    request, response = saved(tmp_path / "q", REQUEST), saved(tmp_path / "a", STREAM)
    result = verify(answer, "--request", request, "--response", response, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["holds"] is True
    assert (document["exchange_id"], document["request"], document["response"]) == (ID, "matches", "matches")


def test_a_receipt_in_a_file_of_another_name_does_not_hold(answer: Path) -> None:
    document = json.loads(answer.read_text())
    answer.write_text(json.dumps(document | {"id": "xc_" + "1" * 26}))
    result = verify(answer)
    assert result.exit_code == 1
    assert ID in result.stderr


def test_the_envelope_alone_holds_and_says_what_was_not_compared(receipt: Receipt, tmp_path: Path) -> None:
    result = verify(saved(tmp_path / "e", receipt.envelope))
    assert result.exit_code == 0, result.output
    assert "The receipt holds" in result.stdout
    assert "not compared" in result.stdout
    assert verify("-", stdin=receipt.envelope).exit_code == 0


def test_the_salt_can_be_given(receipt: Receipt, tmp_path: Path) -> None:
    envelope, request = saved(tmp_path / "e", receipt.envelope), saved(tmp_path / "q", REQUEST)
    assert verify(envelope, "--request", request).exit_code == 2
    assert verify(envelope, "--request", request, "--salt", b64encode(SALT).decode()).exit_code == 0
    assert verify(envelope, "--request", request, "--salt", b64encode(b"other").decode()).exit_code == 1


def test_an_id_is_looked_up_in_the_nodes_own_record(home: Path, signed: Draft, tmp_path: Path) -> None:
    async def record() -> None:
        with closing(RecordWriter(home / "record.db", NodeSigner(node_key(home / "keys")))) as writer:
            await writer.record(signed)

    asyncio.run(record())
    result = verify(ID, "--request", saved(tmp_path / "q", REQUEST), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["request"] == "matches"
    unknown = verify("xc_" + "1" * 26)
    assert unknown.exit_code == 2
    assert "no receipt" in unknown.stderr


def test_a_plain_body_is_one_link(home: Path, signed: Draft, tmp_path: Path) -> None:
    digest, count = response_digest(SALT, [b'{"answer": 42}'])
    claims = replace(signed.claims, response_digest=digest, response_links=count)
    envelope = NodeSigner(node_key(home / "keys")).sign(claims, None).envelope
    salt = b64encode(SALT).decode()
    good, bad = saved(tmp_path / "a", b'{"answer": 42}'), saved(tmp_path / "b", b'{"answer": 43}')
    path = saved(tmp_path / "e", envelope)
    assert verify(path, "--salt", salt, "--response", good).exit_code == 0
    assert verify(path, "--salt", salt, "--response", bad).exit_code == 1


def test_what_does_not_hold_is_exit_code_1_with_the_reason(answer: Path, tmp_path: Path) -> None:
    request = saved(tmp_path / "q", REQUEST + b" ")
    result = verify(answer, "--request", request)
    assert result.exit_code == 1
    assert "not the request that was signed" in result.stderr
    document = json.loads(verify(answer, "--request", request, "--json").stdout)
    assert document["holds"] is False
    assert "not the request" in document["reason"]


def test_another_nodes_key_does_not_hold(answer: Path, tmp_path: Path) -> None:
    other = saved(tmp_path / "other.pub", NodeKey.generate().public.pem())
    assert verify(answer, "--key", other).exit_code == 1


def test_the_public_key_alone_is_enough_elsewhere(
    answer: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = saved(tmp_path / "node.pub", (home / "keys" / "node.pub").read_bytes())
    monkeypatch.setenv("FREEHOLD_HOME", str(tmp_path / "elsewhere"))
    assert verify(answer, "--key", public).exit_code == 0
    missing = verify(answer)
    assert missing.exit_code == 2
    assert "--key" in missing.stderr
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"{}", b"[]", b'{"envelope": 3}', b'{"envelope": {}, "salt": "!"}', b"[" * 9999]
)
def test_what_is_no_receipt_is_exit_code_2(home: Path, tmp_path: Path, content: bytes) -> None:
    node_key(home / "keys")
    result = verify(saved(tmp_path / "bad", content))
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error: " if b"salt" in content else f"Error: {tmp_path / 'bad'}: ")


def test_a_file_that_is_not_there_is_exit_code_2(home: Path, tmp_path: Path) -> None:
    node_key(home / "keys")
    result = verify(tmp_path / "absent")
    assert result.exit_code == 2
    assert "absent" in result.stderr
