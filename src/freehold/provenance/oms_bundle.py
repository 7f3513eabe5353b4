"""Model signatures as Sigstore bundles v0.3: written, and opened for whoever is trusted.

`dsseEnvelope` is a DSSE envelope with one signature and no key id; `verificationMaterial` tells whose it is, in one of three
forms:

- `publicKey.hint`: SHA-256, hex, over the public key's PEM. Releases before 1.0 leave it out.
- `x509CertificateChain`, or one `certificate`: DER, the signing one first. The key is the certificate's.
- a `certificate` with `tlogEntries`: keyless, by an identity at some moment. `keyless.py` writes and opens those.

Release 0.2 signed "DSSEV1" and the payload as Python prints bytes, for certificates always with SHA-256; its signatures are still
about, so they are tried that way, too. Fields that are not known are passed over, as the format asks.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact, VerificationError
from freehold.core.exchange import KeyId
from freehold.provenance.certificates import CHAIN_LIMIT, Certificate, certificate_id, check_chain, parse_certificate, public_key
from freehold.provenance.certificates import subject as subject_of
from freehold.provenance.envelope import (
    ENVELOPE_LIMIT_BYTES,
    canonical_base64,
    canonical_json,
    parse_json,
    pre_authentication_encoding,
)
from freehold.provenance.keys import PublicKey, SigningKey, TrustedKeys
from freehold.provenance.oms import OLD_PREDICATE_TYPE

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_MEDIA_TYPES = (MEDIA_TYPE, "application/vnd.dev.sigstore.bundle+json;version=0.3")
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signed, as it was proven. `trusted_by` is the entry of the trust that let it pass: a key, or an authority."""

    kind: str  # "key", "certificate", "identity"
    name: str
    trusted_by: KeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedBundle:
    payload: bytes
    signer: Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a keyless signature must be by. `trusted_root` is a file for an instance of Sigstore of one's own."""

    name: str
    issuer: str
    trusted_root: Path | None = None
    staging: bool = False  # Sigstore's own instance for trying things out


class Login(StrEnum):
    """How a person shows who he is: in a browser here, or in one elsewhere, from which he types a code."""

    BROWSER = "browser"
    CODE = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyless:
    """How to sign without a key: by a token, a login, or else what the build system gives; and by which instance of Sigstore.

    `trust_config` is a file for an instance of one's own.
    """

    token: str | None = field(default=None, repr=False)
    login: Login | None = None
    staging: bool = False
    trust_config: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeylessBundle:
    """A bundle, and whom its certificate names."""

    raw: bytes
    name: str
    issuer: str


class _Certificate(msgspec.Struct):
    rawBytes: str  # noqa: N815 - Sigstore's own name


class _Chain(msgspec.Struct):
    certificates: list[_Certificate]


class _PublicKey(msgspec.Struct, omit_defaults=True):
    hint: str | None = None


class _Material(msgspec.Struct, omit_defaults=True):
    publicKey: _PublicKey | None = None  # noqa: N815
    x509CertificateChain: _Chain | None = None  # noqa: N815
    certificate: _Certificate | None = None
    tlogEntries: list[msgspec.Raw] | None = None  # noqa: N815


class _Signature(msgspec.Struct):
    sig: str
    keyid: str | None = None


class _Envelope(msgspec.Struct):
    payload: str
    payloadType: str  # noqa: N815
    signatures: list[_Signature]


class _Bundle(msgspec.Struct):
    mediaType: str  # noqa: N815
    verificationMaterial: _Material  # noqa: N815
    dsseEnvelope: _Envelope  # noqa: N815


def key_hint(key: PublicKey) -> str:
    return hashlib.sha256(key.pem()).hexdigest()


def refuse_anothers(chain: Sequence[Certificate], key: SigningKey) -> None:
    """Raises VerificationError where the first certificate is not about `key`."""
    if chain and public_key(chain[0]).key_id != key.key_id:
        raise VerificationError(f"the certificate of {subject_of(chain[0])} is not the signing key's ({key.key_id})")


def seal_bundle(payload: bytes, key: SigningKey, chain: Sequence[Certificate] = ()) -> bytes:
    """Sign a statement. `chain` begins with the key's own certificate. Raises VerificationError where it is another key's."""
    refuse_anothers(chain, key)
    material = _Material(tlogEntries=[])
    if chain:
        certificates = [_Certificate(rawBytes=base64.b64encode(one.public_bytes(Encoding.DER)).decode()) for one in chain]
        material.x509CertificateChain = _Chain(certificates=certificates)
    else:
        material.publicKey = _PublicKey(hint=key_hint(key.public))
    signature = base64.b64encode(key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))).decode()
    envelope = _Envelope(
        payload=base64.b64encode(payload).decode(), payloadType=PAYLOAD_TYPE, signatures=[_Signature(sig=signature, keyid="")]
    )
    return canonical_json(_Bundle(mediaType=MEDIA_TYPE, verificationMaterial=material, dsseEnvelope=envelope))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle that was parsed and not yet proven."""

    payload: bytes
    signature: bytes
    hint: str | None
    chain: tuple[Certificate, ...]
    is_keyless: bool


def parse_bundle(raw: bytes) -> Bundle:
    """Raises MalformedArtefact or UnsupportedArtefact, whatever the bytes."""
    if len(raw) > ENVELOPE_LIMIT_BYTES:
        raise MalformedArtefact(f"model signature of {len(raw)} bytes is over the limit of {ENVELOPE_LIMIT_BYTES}")
    bundle = parse_json(raw, _Bundle, "model signature")
    envelope, material = bundle.dsseEnvelope, bundle.verificationMaterial
    if bundle.mediaType not in _MEDIA_TYPES:
        raise UnsupportedArtefact(f"model signature is {bundle.mediaType[:100]!r}; this release reads {MEDIA_TYPE}")
    if envelope.payloadType != PAYLOAD_TYPE:
        raise UnsupportedArtefact(f"model signature holds {envelope.payloadType[:100]!r}, not {PAYLOAD_TYPE}")
    if len(envelope.signatures) != 1:
        raise MalformedArtefact(f"model signature has {len(envelope.signatures)} signatures, not one")
    forms = [f for f in (material.publicKey, material.x509CertificateChain, material.certificate) if f is not None]
    if len(forms) != 1:
        raise MalformedArtefact("model signature does not say whose it is, or says it twice: it has one key or one certificate")
    return Bundle(
        payload=canonical_base64(envelope.payload, "model signature's payload"),
        signature=canonical_base64(envelope.signatures[0].sig, "model signature's signature"),
        hint=material.publicKey.hint if material.publicKey else None,
        chain=_chain(material),
        is_keyless=material.certificate is not None and bool(material.tlogEntries),
    )


def _chain(material: _Material) -> tuple[Certificate, ...]:
    if material.publicKey is not None:
        return ()
    found = material.x509CertificateChain.certificates if material.x509CertificateChain else [material.certificate]
    if not 1 <= len(found) <= CHAIN_LIMIT:
        raise MalformedArtefact(f"model signature has {len(found)} certificates; 1 to {CHAIN_LIMIT} are accepted")
    return tuple(parse_certificate(canonical_base64(one.rawBytes, "certificate")) for one in found if one is not None)


def open_with_key(bundle: Bundle, keys: TrustedKeys) -> OpenedBundle:
    """Raises VerificationError where none of `keys` signed it."""
    hints = {key_hint(key): key for key in keys.values()}
    if bundle.hint and bundle.hint not in hints:
        raise VerificationError(f"signed by the key with the PEM digest {bundle.hint[:64]}, which is not trusted here")
    for key in [hints[bundle.hint]] if bundle.hint else keys.values():
        if _holds(key, bundle):
            signer = Signer(kind="key", name=f"{key.kind} {key.key_id}", trusted_by=key.key_id)
            return OpenedBundle(payload=bundle.payload, signer=signer)
    raise VerificationError(
        "the signature does not hold: the content was changed after signing"
        if bundle.hint
        else "the signature is by none of the keys that are trusted here, or the content was changed after signing"
    )


def open_with_certificate(
    bundle: Bundle, authorities: Mapping[KeyId, Certificate], at: datetime, *, accept_expired: bool = False
) -> OpenedBundle:
    """Raises VerificationError where the chain ends at none of `authorities`."""
    signing = bundle.chain[0]
    anchor = check_chain(bundle.chain, tuple(authorities.values()), at, accept_expired=accept_expired)
    if not _holds(public_key(signing), bundle):
        raise VerificationError(f"the signature by {subject_of(signing)} does not hold: the content was changed after signing")
    signer = Signer(kind="certificate", name=subject_of(signing), trusted_by=certificate_id(anchor))
    return OpenedBundle(payload=bundle.payload, signer=signer)


def _holds(key: PublicKey, bundle: Bundle) -> bool:
    if key.holds(bundle.signature, pre_authentication_encoding(PAYLOAD_TYPE, bundle.payload)):
        return True
    if OLD_PREDICATE_TYPE.encode() not in bundle.payload:
        return False
    old = f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(bundle.payload)} {bundle.payload!r}".encode()
    return key.holds(bundle.signature, old) or key.holds(bundle.signature, old, sha256=True)
