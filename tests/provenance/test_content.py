from dataclasses import asdict
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.content import KeptExchange
from freehold.core.errors import ConfigError, FreeholdError, NotFound, VerificationError
from freehold.core.exchange import ExchangeId, KeyId
from freehold.core.receipts import Claims, content_digest
from freehold.provenance.content import KEY_NAME, ContentKey, content_key, opened

XC = ExchangeId("xc_1")
KEPT = KeptExchange(
    exchange_id=XC,
    received_at_ns=1,
    dialect="openai.chat",
    path="",
    query={},
    body='{"model":"m"}',
    is_rewritten=False,
    has_reversible_tokens=False,
    key_id=KeyId("k"),
    key_name="n",
    team=None,
    labels=("internal",),
    cached_input_tokens=None,
    tokens=((1, 2), (3,)),
)


def claims(content: bytes, exchange_id: ExchangeId = XC) -> Claims:
    return Claims(
        exchange_id=exchange_id,
        issued_at_ns=0,
        dialect="d",
        operation="chat",
        status="completed",
        served=None,
        request_digest="",
        response_digest="",
        response_links=0,
        salt=b"s",
        content_digest=content_digest(b"s", content),
    )


def test_what_was_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    content = orjson.dumps(KEPT)
    key = content_key(tmp_path, make=True)
    encrypted = key.encrypt(content, XC)
    assert opened(encrypted, content_key(tmp_path, make=True), claims(content)) == KEPT
    assert encrypted != key.encrypt(content, XC)
    assert (tmp_path / KEY_NAME).stat().st_mode & 0o777 == 0o600


def test_it_opens_for_its_own_exchange_receipt_and_home_alone(tmp_path: Path) -> None:
    content = orjson.dumps(KEPT)
    key = content_key(tmp_path, make=True)
    encrypted = key.encrypt(content, XC)
    with pytest.raises(VerificationError, match="does not open"):
        opened(encrypted, key, claims(content, ExchangeId("xc_2")))
    with pytest.raises(VerificationError, match="not what its receipt was signed over"):
        opened(encrypted, key, claims(content + b" "))
    with pytest.raises(VerificationError, match="does not open"):
        opened(encrypted, content_key(tmp_path / "other", make=True), claims(content))


@given(st.binary(max_size=80))
def test_whatever_the_bytes_it_is_our_own_error(raw: bytes) -> None:
    key = ContentKey(_cipher=AESGCM(bytes(32)))
    with pytest.raises(FreeholdError):
        opened(raw, key, claims(raw))
    with pytest.raises(FreeholdError):
        opened(key.encrypt(raw, XC), key, claims(raw))


def test_a_key_that_others_could_read_or_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing that was kept"):
        content_key(tmp_path)
    content_key(tmp_path, make=True)
    (tmp_path / KEY_NAME).chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 0600"):
        content_key(tmp_path)
    (tmp_path / KEY_NAME).chmod(0o600)
    (tmp_path / KEY_NAME).write_bytes(b"short")
    with pytest.raises(ConfigError, match="5 bytes, not 32"):
        content_key(tmp_path)


def test_the_names_of_what_is_kept_stay() -> None:
    """A file of today is read by later releases."""
    assert list(asdict(KEPT)) == [
        *("exchange_id", "received_at_ns", "dialect", "path", "query", "body", "is_rewritten", "has_reversible_tokens"),
        *("key_id", "key_name", "team", "labels", "cached_input_tokens", "tokens"),
    ]
