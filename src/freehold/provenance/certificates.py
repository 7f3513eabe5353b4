"""X.509 certificates that vouch for signing keys: read, matched with a key, and proven up to an authority that is trusted.

A chain is built and checked by the `cryptography` package: signatures, names and their constraints, validity, path length,
strength of keys. Decided here: any certificate given as an authority ends a chain, self-signed or not; those above the signing
one must be marked as authorities; and the signing one must be meant for signatures, by `keyUsage` with digitalSignature or, where
there is none, by `extendedKeyUsage` with codeSigning.
"""

import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from freehold.core.errors import MalformedArtefact, VerificationError
from freehold.core.exchange import KeyId
from freehold.provenance.files import read_small
from freehold.provenance.keys import PublicKey

FILE_LIMIT_BYTES = 4 << 20  # all public authorities together are a quarter of a megabyte
CHAIN_LIMIT = 8

Certificate = x509.Certificate
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def read_certificates(path: Path) -> tuple[Certificate, ...]:
    """One or more, from a PEM file."""
    raw = read_small(path, "file of certificates", FILE_LIMIT_BYTES)
    try:
        return tuple(x509.load_pem_x509_certificates(raw))
    except ValueError as exc:
        raise MalformedArtefact(f"{path} holds no PEM certificate") from exc


def parse_certificate(der: bytes) -> Certificate:
    """Raises MalformedArtefact. The library parses a field when it is asked for: all that are used are asked for here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of serial numbers and attributes that are odd and harmless
            certificate = x509.load_der_x509_certificate(der)
            has_serial = certificate.serial_number > 0
            _ = (certificate.subject, certificate.issuer, certificate.extensions, certificate.not_valid_before_utc)
    except _UNREADABLE as exc:
        raise MalformedArtefact(f"a certificate of the signature cannot be parsed: {exc}") from exc
    if not has_serial:
        raise MalformedArtefact("a certificate of the signature has no positive serial number")  # RFC 5280 §4.1.2.2
    return certificate


def certificate_id(certificate: Certificate) -> KeyId:
    """The first half of its SHA-256 fingerprint."""
    return KeyId(certificate.fingerprint(hashes.SHA256()).hex()[:32])


def subject(certificate: Certificate) -> str:
    """Whom it names: its subject, or where that is empty its alternative names."""
    if certificate.subject.rdns:
        return certificate.subject.rfc4514_string()
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "a certificate without a name"
    return ", ".join(str(getattr(name, "value", name)) for name in names)


def public_key(certificate: Certificate) -> PublicKey:
    """Raises UnsupportedArtefact for a key of a kind that signs nothing here, MalformedArtefact."""
    try:
        return PublicKey.of(certificate.public_key())
    except _UNREADABLE as exc:
        raise MalformedArtefact(f"the key of the certificate {subject(certificate)} cannot be read") from exc


def check_chain(
    chain: Sequence[Certificate], authorities: Sequence[Certificate], at: datetime, *, accept_expired: bool = False
) -> Certificate:
    """The authority that a signing certificate, first in `chain`, goes back to, all of it valid at `at`.

    With `accept_expired`, validity is judged as of the day when the signing certificate was issued. Raises VerificationError.
    """
    signing, *others = chain
    if not authorities:
        raise VerificationError(
            f"signed with a certificate of {subject(signing)}, and no authority is trusted here: name one with --ca"
        )
    if not accept_expired:
        _refuse_expired(signing, at)
    policy = (
        verification.PolicyBuilder()
        .store(verification.Store(list(authorities)))
        .time(signing.not_valid_before_utc if accept_expired else at)
        .max_chain_depth(CHAIN_LIMIT)
        .extension_policies(ca_policy=_ABOVE, ee_policy=verification.ExtensionPolicy.permit_all())
    )
    try:
        *_, anchor = policy.build_client_verifier().verify(signing, others).chain
    except (verification.VerificationError, *_UNREADABLE) as exc:
        raise VerificationError(f"the certificate of {subject(signing)} goes back to no authority trusted here: {exc}") from exc
    _refuse_other_uses(signing)
    return anchor


_ABOVE = verification.ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)


def _refuse_expired(signing: Certificate, at: datetime) -> None:
    if at > signing.not_valid_after_utc:
        raise VerificationError(
            f"the certificate of {subject(signing)} expired on {signing.not_valid_after_utc:%Y-%m-%d}, and nothing proves that "
            "it signed before: say --accept-expired if that is known otherwise"
        )


def _refuse_other_uses(signing: Certificate) -> None:
    try:
        usage = signing.extensions.get_extension_for_class(x509.KeyUsage).value
        may_sign = usage.digital_signature
    except x509.ExtensionNotFound:
        may_sign = _is_for_code(signing)
    if not may_sign:
        raise VerificationError(f"the certificate of {subject(signing)} is not meant for signatures (keyUsage, extendedKeyUsage)")


def _is_for_code(signing: Certificate) -> bool:
    try:
        return ExtendedKeyUsageOID.CODE_SIGNING in signing.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
