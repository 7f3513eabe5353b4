"""Keys, and certificate chains over them: made on the spot, valid as long as is said."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CURVES: dict[str, EllipticCurve] = {"p256": SECP256R1(), "p384": SECP384R1(), "p521": SECP521R1()}


def ec_key(curve: str = "p256") -> EllipticCurvePrivateKey:
    return generate_private_key(CURVES[curve])


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    key: EllipticCurvePrivateKey | Ed25519PrivateKey
    certificate: x509.Certificate

    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def issue(
    name: str,
    by: Issued | None = None,
    *,
    key: EllipticCurvePrivateKey | Ed25519PrivateKey | None = None,
    is_authority: bool = False,
    signs: bool = True,
    for_code: bool = False,
    for_timestamps: bool = False,
    days: int = 36_500,
    began_days_ago: int = 1,
) -> Issued:
    """A certificate by another, or by itself. `signs`: keyUsage with digitalSignature; there is none where `for_code` is said."""
    key = key or ec_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, issuer_key = (by.certificate.subject, by.key) if by else (subject, key)
    began = datetime.now(UTC) - timedelta(days=began_days_ago)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if is_authority or not for_code:
        builder = builder.add_extension(_usage(signs=signs and not is_authority, is_authority=is_authority), critical=True)
    if for_code:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    if for_timestamps:  # RFC 3161 §2.3: that alone, and critical
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    digest = None if isinstance(issuer_key, Ed25519PrivateKey) else hashes.SHA256()
    return Issued(key=key, certificate=builder.sign(issuer_key, digest))


def chain(*, curve: str = "p256", days: int = 36_500, began_days_ago: int = 1) -> Sequence[Issued]:
    """The signing one, the one between, the root."""
    root = issue("test root", is_authority=True)
    between = issue("test intermediate", root, is_authority=True)
    signing = issue("test signer", between, key=ec_key(curve), days=days, began_days_ago=began_days_ago)
    return signing, between, root


def _usage(*, signs: bool, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=not (signs or is_authority),
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
