import json
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.core.errors import ArtefactError, InvalidRequest, MalformedArtefact, VerificationError
from freehold.core.events import ServedBy
from freehold.core.exchange import ExchangeId, ModelId
from freehold.core.measurement import UNKNOWN_ENERGY, Grade, Measurement
from freehold.core.models import BLOCK_BYTES, VerifiedModel
from freehold.core.receipts import Claims
from freehold.provenance.envelope import seal
from freehold.provenance.keys import NodeKey, trusted
from freehold.provenance.manifest import make_manifest
from freehold.provenance.receipt import STATEMENT_MEDIA_TYPE, request_digest, response_digest
from freehold.provenance.signer import NodeSigner, sign_manifest
from freehold.provenance.verifier import event_data, verify_contents, verify_model, verify_receipt

KEY = NodeKey.generate()
KEYS = trusted(KEY.public)
SALT = bytes(range(16))
BODY = b'{"model": "m", "messages": []}'
LINKS = [b'{"a": 1}', b"", b'{"b": "\xc3\xa9"}']


def signed_model(directory: Path, content: bytes) -> bytes:
    (directory / "m.gguf").write_bytes(content)
    return sign_manifest(make_manifest(directory, ["m.gguf"], name="toy", origin="a test"), KEY)


def content_of(blocks: int, rest_bytes: int) -> bytes:
    return b"".join(bytes([i + 1]) * BLOCK_BYTES for i in range(blocks)) + b"z" * rest_bytes


@pytest.fixture
def model(tmp_path: Path) -> VerifiedModel:
    return verify_model(tmp_path, signed_model(tmp_path, content_of(2, 100)), KEYS)


def test_a_signed_model_verifies_block_by_block(model: VerifiedModel) -> None:
    content = (model.directory / "m.gguf").read_bytes()
    for index in range(3):
        model.check_block("m.gguf", index, memoryview(content)[index * BLOCK_BYTES : (index + 1) * BLOCK_BYTES])
    verify_contents(model)
    assert model.signed_by == KEY.key_id


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bit=st.integers(0, 8 * 100 - 1))
def test_any_flipped_bit_of_a_block_is_caught(model: VerifiedModel, bit: int) -> None:
    block = bytearray(b"z" * 100)
    block[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VerificationError, match=r"block 2 of m\.gguf"):
        model.check_block("m.gguf", 2, memoryview(block))


def test_a_block_of_another_place_file_or_length_is_refused(model: VerifiedModel) -> None:
    first = memoryview(b"\x01" * BLOCK_BYTES)
    model.check_block("m.gguf", 0, first)
    for name, index, block, says in [
        ("m.gguf", 1, first, "not what was signed"),
        ("m.gguf", 3, first, "block 3 of 'm.gguf' is not in the manifest"),
        ("m.gguf", -1, memoryview(b"z" * 100), "not in the manifest"),
        ("other", 0, first, "'other' is not in the manifest"),
        ("m.gguf", 0, first[:-1], f"has {BLOCK_BYTES - 1} bytes, not {BLOCK_BYTES}"),
        ("m.gguf", 2, memoryview(b"z" * 99), "has 99 bytes, not 100"),
    ]:
        with pytest.raises(VerificationError, match=says):
            model.check_block(name, index, block)


def test_a_byte_changed_on_the_disk_is_found_by_reading_it(model: VerifiedModel) -> None:
    with (model.directory / "m.gguf").open("r+b") as file:
        file.seek(BLOCK_BYTES + 3)
        file.write(b"!")
    with pytest.raises(VerificationError, match=f"block 1 of m.gguf .from byte {BLOCK_BYTES}"):
        verify_contents(model)


def test_a_file_that_is_short_missing_or_a_link_is_refused(tmp_path: Path) -> None:
    envelope = signed_model(tmp_path, b"x" * 10)
    path = tmp_path / "m.gguf"
    path.write_bytes(b"x" * 9)
    with pytest.raises(VerificationError, match="has 9 bytes, 10 were signed for"):
        verify_model(tmp_path, envelope, KEYS)
    path.unlink()
    with pytest.raises(VerificationError, match="not there"):
        verify_model(tmp_path, envelope, KEYS)
    (tmp_path / "elsewhere").write_bytes(b"x" * 10)
    path.symlink_to("elsewhere")
    with pytest.raises(VerificationError, match="not there as a regular file"):
        verify_model(tmp_path, envelope, KEYS)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_of_a_manifest_is_caught(tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(signed_model(tmp_path, b"x" * 10))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ArtefactError):
        verify_model(tmp_path, bytes(raw), KEYS)


def test_a_manifest_by_a_stranger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=KEY.key_id):
        verify_model(tmp_path, signed_model(tmp_path, b"x"), trusted(NodeKey.generate().public))


def test_a_receipt_is_not_taken_for_a_manifest(tmp_path: Path) -> None:
    signed_model(tmp_path, b"x")
    with pytest.raises(VerificationError, match="manifest"):
        verify_model(tmp_path, NodeSigner(KEY).sign(claims(), None).envelope, KEYS)


def claims(energy: Measurement | None = None, links: list[bytes] = LINKS) -> Claims:
    digest, count = response_digest(SALT, links)
    return Claims(
        exchange_id=ExchangeId("xc_1"),
        issued_at_ns=1_795_000_000_123_456_789,
        dialect="openai.chat",
        operation="chat",
        status="completed",
        served=ServedBy(provider="freehold", model="m", model_id=ModelId("ab"), template_digest="cd", build="1", seed=7),
        request_digest=request_digest(SALT, BODY),
        response_digest=digest,
        response_links=count,
        salt=SALT,
        policy_digest="p",
        verdict_digest="v",
        sampling={"temperature": 0.7, "seed": 7, "stop": ["a"]},
        finish_reason="stop",
        input_tokens=3,
        output_tokens=None,
        energy=energy,
    )


@pytest.mark.parametrize(
    "energy", [None, UNKNOWN_ENERGY, Measurement(grade=Grade.MODELLED, source="s", energy_j=0.1, low_j=0.05, high_j=0.2)]
)
def test_a_receipt_gives_back_what_was_claimed(energy: Measurement | None) -> None:
    receipt = NodeSigner(KEY).sign(claims(energy), "before")
    report = verify_receipt(receipt.envelope, KEYS, request=BODY, response=LINKS, salt=SALT)
    assert report.claims == claims(energy)
    assert (report.previous, report.digest, report.signed_by) == ("before", receipt.digest, KEY.key_id)
    assert report.request_checked
    assert report.response_checked


def test_the_salt_is_not_in_the_receipt() -> None:
    receipt = NodeSigner(KEY).sign(claims(), None)
    report = verify_receipt(receipt.envelope, KEYS)
    assert report.claims == replace(claims(), salt=b"")
    assert report.previous is None
    assert not report.request_checked
    assert not report.response_checked


@settings(max_examples=100)
@given(data=st.data())
def test_any_flipped_bit_of_a_receipt_is_caught(data: st.DataObject) -> None:
    raw = bytearray(NodeSigner(KEY).sign(claims(), None).envelope)
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ArtefactError):
        verify_receipt(bytes(raw), KEYS)


@given(data=st.data())
def test_any_flipped_bit_of_request_response_or_salt_is_caught(data: st.DataObject) -> None:
    envelope = NodeSigner(KEY).sign(claims(links=[BODY]), None).envelope
    parts = {"request": bytearray(BODY), "response": bytearray(BODY), "salt": bytearray(SALT)}
    which = data.draw(st.sampled_from(sorted(parts)))
    bit = data.draw(st.integers(0, 8 * len(parts[which]) - 1))
    parts[which][bit // 8] ^= 1 << bit % 8
    with pytest.raises(VerificationError):
        verify_receipt(
            envelope, KEYS, request=bytes(parts["request"]), response=bytes(parts["response"]), salt=bytes(parts["salt"])
        )


@given(st.lists(st.binary(max_size=4), max_size=5), st.lists(st.binary(max_size=4), max_size=5))
def test_only_the_same_links_in_the_same_order_hold(signed: list[bytes], shown: list[bytes]) -> None:
    envelope = NodeSigner(KEY).sign(claims(links=signed), None).envelope
    if signed == shown:
        assert verify_receipt(envelope, KEYS, response=shown, salt=SALT).response_checked
    else:
        with pytest.raises(VerificationError):
            verify_receipt(envelope, KEYS, response=shown, salt=SALT)


def test_a_stream_with_a_part_missing_is_told_in_numbers() -> None:
    envelope = NodeSigner(KEY).sign(claims(), None).envelope
    with pytest.raises(VerificationError, match="has 2 parts, the receipt was signed over 3"):
        verify_receipt(envelope, KEYS, response=LINKS[:2], salt=SALT)


def test_comparing_without_the_salt_is_refused_and_says_where_it_is() -> None:
    envelope = NodeSigner(KEY).sign(claims(), None).envelope
    with pytest.raises(InvalidRequest, match="/v1/receipts/"):
        verify_receipt(envelope, KEYS, request=BODY)


def test_a_signed_statement_of_another_kind_is_refused() -> None:
    changes: list[dict[str, object]] = [{"_type": "x"}, {"predicateType": "x"}, {"subject": []}, {"predicate": {}}]
    for change in changes:
        receipt = NodeSigner(KEY).sign(claims(), None)
        statement = json.loads(_payload(receipt.envelope)) | change
        with pytest.raises(MalformedArtefact):
            verify_receipt(_sealed(json.dumps(statement).encode()), KEYS)


@pytest.mark.parametrize("issued_at", ["", "2026-11-22", "2026-13-01T00:00:00.000000000Z", "2026-11-22T00:00:00.1Z"])
def test_a_time_that_is_none_is_refused(issued_at: str) -> None:
    statement = json.loads(_payload(NodeSigner(KEY).sign(claims(), None).envelope))
    statement["predicate"]["issued_at"] = issued_at
    with pytest.raises(MalformedArtefact, match="RFC 3339"):
        verify_receipt(_sealed(json.dumps(statement).encode()), KEYS)


@given(st.binary(max_size=60) | st.recursive(st.none() | st.text(), st.lists).map(lambda x: json.dumps(x).encode()))
def test_a_signed_statement_that_is_garbage_raises_only_our_error(payload: bytes) -> None:
    with pytest.raises(MalformedArtefact):
        verify_receipt(_sealed(payload), KEYS)


def test_unknown_energy_with_a_number_is_refused() -> None:
    statement = json.loads(_payload(NodeSigner(KEY).sign(claims(UNKNOWN_ENERGY), None).envelope))
    statement["predicate"]["energy"]["energy_j"] = 0
    with pytest.raises(MalformedArtefact, match="unknown"):
        verify_receipt(_sealed(json.dumps(statement).encode()), KEYS)


def _payload(envelope: bytes) -> bytes:
    return b64decode(json.loads(envelope)["payload"])


def _sealed(payload: bytes) -> bytes:
    return seal(STATEMENT_MEDIA_TYPE, payload, KEY)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_saved_stream_gives_the_links_that_were_signed(line_end: bytes) -> None:
    lines = [
        b": hello",
        b"",
        b"data: one",
        b"",
        b"event: x",
        b"data:two",
        b"data: three",
        b"",
        b"data:",
        b"",
        b"data: [DONE]",
        b"",
    ]
    assert event_data(line_end.join([*lines, b""])) == [b"one", b"two\nthree", b""]
