import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import ArtefactError, MalformedArtefact, VerificationError
from freehold.provenance.envelope import open_envelope, pre_authentication_encoding, seal
from freehold.provenance.keys import NodeKey, SigningKey, trusted

KEY = NodeKey.of(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
ECDSA = SigningKey.of(generate_private_key(SECP256R1()))
KEYS = trusted(KEY.public)
TYPE = "application/x-test"


def test_the_signed_bytes_are_those_of_the_specifications_example() -> None:
    # The example of the DSSE v1.0 protocol document.
    assert pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.binary(max_size=300))
def test_what_was_sealed_opens_to_the_same_bytes(payload: bytes) -> None:
    opened = open_envelope(seal(TYPE, payload, KEY), TYPE, KEYS)
    assert (opened.payload, opened.signed_by) == (payload, KEY.key_id)


@pytest.mark.parametrize("key", [KEY, ECDSA])
def test_any_flipped_bit_is_caught(key: SigningKey) -> None:
    sealed = seal(TYPE, b'{"a": 1}', key)
    for bit in range(8 * len(sealed)):
        raw = bytearray(sealed)
        raw[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ArtefactError):
            open_envelope(bytes(raw), TYPE, trusted(key.public))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | st.just(b"[" * 50_000))
def test_garbage_raises_only_our_error(raw: bytes) -> None:
    with pytest.raises(MalformedArtefact):
        open_envelope(raw, TYPE, KEYS)


def test_an_envelope_of_another_type_does_not_pass() -> None:
    with pytest.raises(VerificationError, match="application/x-other"):
        open_envelope(seal("application/x-other", b"{}", KEY), TYPE, KEYS)


def test_a_key_that_is_not_trusted_is_named() -> None:
    stranger = NodeKey.generate()
    with pytest.raises(VerificationError, match=stranger.key_id):
        open_envelope(seal(TYPE, b"{}", stranger), TYPE, KEYS)
    with pytest.raises(VerificationError, match="trusted: no key"):
        open_envelope(seal(TYPE, b"{}", KEY), TYPE, {})


def test_one_signature_that_holds_is_enough() -> None:
    document = json.loads(seal(TYPE, b"{}", KEY))
    stranger = json.loads(seal(TYPE, b"{}", NodeKey.generate()))
    document["signatures"] = stranger["signatures"] + document["signatures"]
    assert open_envelope(json.dumps(document).encode(), TYPE, KEYS).signed_by == KEY.key_id


def test_every_known_key_that_signed_is_told() -> None:
    sealed = seal(TYPE, b"{}", ECDSA, NodeKey.generate(), KEY)
    opened = open_envelope(sealed, TYPE, trusted(KEY.public, ECDSA.public))
    assert (opened.signed_by, opened.signers) == (ECDSA.key_id, (ECDSA.key_id, KEY.key_id))
    assert open_envelope(sealed, TYPE, KEYS).signers == (KEY.key_id,)


def test_a_signature_for_another_payload_does_not_hold() -> None:
    document = json.loads(seal(TYPE, b"{}", KEY))
    document["payload"] = base64.b64encode(b"[]").decode()
    with pytest.raises(VerificationError, match="changed after signing"):
        open_envelope(json.dumps(document).encode(), TYPE, KEYS)


@pytest.mark.parametrize("count", [0, 17])
def test_too_few_or_too_many_signatures_are_refused(count: int) -> None:
    document = json.loads(seal(TYPE, b"{}", KEY))
    document["signatures"] *= count
    with pytest.raises(MalformedArtefact, match=f"{count} signatures"):
        open_envelope(json.dumps(document).encode(), TYPE, KEYS)
