"""DSSE v1 envelopes: a payload, its type, and signatures over both.

    {"payload": base64, "payloadType": type, "signatures": [{"keyid": id, "sig": base64}]}

The signature is over PAE(type, payload) = "DSSEv1" SP len(type) SP type SP len(payload) SP payload, lengths in decimal
(https://github.com/secure-systems-lab/dsse/blob/master/protocol.md). Any kind of key signs (`keys.py`), and several may.
Read more strictly than the specification asks: standard base64 in its one canonical form, `keyid` required, no unknown fields, so
that nobody can vary what an envelope holds.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from freehold.core.errors import MalformedArtefact, VerificationError
from freehold.core.exchange import KeyId
from freehold.core.sealer import Sealer
from freehold.provenance.keys import TrustedKeys

ENVELOPE_LIMIT_BYTES = 64 << 20  # a manifest takes 14 MB a terabyte of weights
SIGNATURES_LIMIT = 16

_T = TypeVar("_T")


class _Signature(msgspec.Struct, forbid_unknown_fields=True):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    payload: str
    payloadType: str  # noqa: N815 - DSSE's own name
    signatures: list[_Signature]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A payload whose signature held."""

    payload: bytes
    signed_by: KeyId
    signers: tuple[KeyId, ...]  # all known keys whose signatures hold, the first of which is `signed_by`


class UntrustedSigner(VerificationError):
    """Signed by others than those who are trusted."""

    def __init__(self, signers: Sequence[KeyId], keys: TrustedKeys) -> None:
        super().__init__(f"signed by {', '.join(signers)}, none of which is trusted here; trusted: {', '.join(keys) or 'no key'}")
        self.signers = tuple(signers)


def canonical_json(document: object) -> bytes:
    """The one JSON form that is signed: keys sorted, no white space."""
    return msgspec.json.encode(document, order="sorted")


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload_type: str, payload: bytes, *keys: Sealer) -> bytes:
    """Sign `payload` with each of `keys`; the envelope as JSON."""
    message = pre_authentication_encoding(payload_type, payload)
    signatures = [_Signature(keyid=key.key_id, sig=base64.b64encode(key.sign(message)).decode()) for key in keys]
    return msgspec.json.encode(
        _Envelope(payload=base64.b64encode(payload).decode(), payloadType=payload_type, signatures=signatures)
    )


def open_envelope(raw: bytes, payload_type: str, keys: TrustedKeys) -> Opened:
    """The payload, if one of `keys` signed it as `payload_type`.

    Raises MalformedArtefact for what is no envelope, VerificationError for one that does not hold.
    """
    if len(raw) > ENVELOPE_LIMIT_BYTES:
        raise MalformedArtefact(f"envelope of {len(raw)} bytes is over the limit of {ENVELOPE_LIMIT_BYTES}")
    envelope = parse_json(raw, _Envelope, "envelope")
    if not 1 <= len(envelope.signatures) <= SIGNATURES_LIMIT:
        raise MalformedArtefact(f"envelope has {len(envelope.signatures)} signatures; 1 to {SIGNATURES_LIMIT} are accepted")
    if envelope.payloadType != payload_type:
        raise VerificationError(f"envelope holds {envelope.payloadType[:100]!r}, expected {payload_type!r}")
    payload = canonical_base64(envelope.payload, "envelope payload")
    message = pre_authentication_encoding(payload_type, payload)
    by_trusted = [s for s in envelope.signatures if KeyId(s.keyid) in keys]
    if not by_trusted:
        raise UntrustedSigner([KeyId(s.keyid[:64]) for s in envelope.signatures], keys)
    known = [(keys[KeyId(s.keyid)], canonical_base64(s.sig, "envelope signature")) for s in by_trusted]
    signers = tuple(dict.fromkeys(key.key_id for key, signature in known if key.holds(signature, message)))
    if not signers:
        raise VerificationError(f"the signature by {known[0][0].key_id} does not hold: the content was changed after signing")
    return Opened(payload=payload, signed_by=signers[0], signers=signers)


def parse_json(raw: bytes, kind: type[_T], what: str) -> _T:
    """`raw` as `kind`, or MalformedArtefact, whatever the bytes."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise MalformedArtefact(f"{what} is not the JSON it must be: {exc}") from exc


def canonical_base64(text: str, what: str) -> bytes:
    """The bytes of standard base64 in its one canonical form. Raises MalformedArtefact."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MalformedArtefact(f"{what} is not base64") from exc
    if base64.b64encode(raw).decode() != text:
        raise MalformedArtefact(f"{what} is base64, but not in its canonical form")
    return raw
