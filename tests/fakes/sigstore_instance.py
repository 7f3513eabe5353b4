"""A Sigstore instance of one's own, in memory: an authority for identities, its log of certificates, a log of signatures.

Formats: certificates with one timestamp of the log over the certificate without it (RFC 6962 §3.2, §3.3), entries of Rekor's kind
dsse 0.0.1 with a signed entry timestamp, and its checkpoints (C2SP signed notes with ECDSA keys). Every tree has one leaf.
"""

import base64
import hashlib
import json
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from freehold.provenance.envelope import pre_authentication_encoding
from freehold.provenance.oms_bundle import MEDIA_TYPE, PAYLOAD_TYPE
from tests.fakes.chains import ec_key

_TIMESTAMPS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")  # RFC 6962 §3.3
_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")  # Fulcio's: the issuer of the identity
_AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _spki(key: EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_id(key: EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(_spki(key)).digest()


class Instance:
    """`time_certificates` are those of its timestamp authority, the signing one first."""

    time_certificates: Sequence[x509.Certificate] = ()

    def __init__(self) -> None:
        self.authority, self.certificate_log, self.log = ec_key(), ec_key(), ec_key()
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.root = self._build(_AUTHORITY, self.authority.public_key(), is_authority=True).sign(self.authority, hashes.SHA256())

    def trusted_root(self) -> bytes:
        valid = {"start": (self.now - timedelta(days=1)).isoformat().replace("+00:00", "Z")}
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [_log_facts(self.log, valid)],
                "ctlogs": [_log_facts(self.certificate_log, valid)],
                "certificateAuthorities": [_authority_facts([self.root], valid)],
                "timestampAuthorities": [_authority_facts(self.time_certificates, valid)] if self.time_certificates else [],
            }
        ).encode()

    def sign(self, payload: bytes, identity: str, issuer: str) -> dict[str, Any]:
        """A bundle by whom `issuer` vouches for, as JSON's objects."""
        key = ec_key()
        certificate = self.issue(key.public_key(), identity, issuer)
        signature = _b64(key.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload), ECDSA(hashes.SHA256())))
        return {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {
                "certificate": {"rawBytes": _b64(certificate.public_bytes(Encoding.DER))},
                "tlogEntries": [self.entry(dsse_body(payload, signature, certificate))],
            },
            "dsseEnvelope": {"payload": _b64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [{"sig": signature}]},
        }

    def issue(self, key: EllipticCurvePublicKey, identity: str, issuer: str) -> x509.Certificate:
        """An address, or a workflow's URL."""
        name = x509.UniformResourceIdentifier(identity) if "://" in identity else x509.RFC822Name(identity)
        names = x509.SubjectAlternativeName([name])
        builder = (
            self._build(x509.Name([]), key, is_authority=False)
            .add_extension(names, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.UnrecognizedExtension(_ISSUER, issuer.encode()), critical=False)
        )
        before = builder.sign(self.authority, hashes.SHA256()).tbs_certificate_bytes
        at_ms = int(self.now.timestamp() * 1000)
        signed = struct.pack("!BBQH", 0, 0, at_ms, 1) + _key_id(self.authority) + len(before).to_bytes(3) + before + b"\0\0"
        signature = self.certificate_log.sign(signed, ECDSA(hashes.SHA256()))
        head = struct.pack("!B32sQHBBH", 0, _key_id(self.certificate_log), at_ms, 0, 4, 3, len(signature))
        one = head + signature
        listed = (len(one) + 2).to_bytes(2) + len(one).to_bytes(2) + one
        timestamps = x509.UnrecognizedExtension(_TIMESTAMPS, b"\x04" + _der_length(len(listed)) + listed)
        return builder.add_extension(timestamps, critical=False).sign(self.authority, hashes.SHA256())

    def _build(self, subject: x509.Name, key: EllipticCurvePublicKey, *, is_authority: bool) -> x509.CertificateBuilder:
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
            False,
        )
        days = timedelta(days=3650) if is_authority else timedelta(minutes=10)
        usages = x509.KeyUsage(digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority, **usage)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(_AUTHORITY)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(minutes=1))
            .not_valid_after(self.now + days)
            .add_extension(usages, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key()), critical=False)
        )
        if is_authority:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return builder

    def entry(self, body: bytes) -> dict[str, Any]:
        """Of the log: its body, when it came, that it is the one leaf of a tree, and the log's word for all three."""
        at_s, log_id = int(self.now.timestamp()), _key_id(self.log)
        promise = {"body": _b64(body), "integratedTime": at_s, "logID": log_id.hex(), "logIndex": 0}
        root = hashlib.sha256(b"\0" + body).digest()
        note = f"log.invalid\n1\n{_b64(root)}\n".encode()
        seal = _b64(log_id[:4] + self.log.sign(note, ECDSA(hashes.SHA256())))
        checkpoint = f"{note.decode()}\n\u2014 log.invalid {seal}\n"
        proof = {"logIndex": "0", "rootHash": _b64(root), "treeSize": "1", "hashes": [], "checkpoint": {"envelope": checkpoint}}
        return {
            "logIndex": "0",
            "logId": {"keyId": _b64(log_id)},
            "kindVersion": {"kind": (kind := json.loads(body))["kind"], "version": kind["apiVersion"]},
            "integratedTime": str(at_s),
            "inclusionPromise": {"signedEntryTimestamp": _b64(self.log.sign(_canonical(promise), ECDSA(hashes.SHA256())))},
            "inclusionProof": proof,
            "canonicalizedBody": _b64(body),
        }


def dsse_body(payload: bytes, signature: str, certificate: x509.Certificate) -> bytes:
    """What Rekor's first version keeps of an envelope."""
    verifier = _b64(certificate.public_bytes(Encoding.PEM))
    digest = {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()}
    spec = {"envelopeHash": digest, "payloadHash": digest, "signatures": [{"signature": signature, "verifier": verifier}]}
    return _canonical({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})


def hashed_body(spec: dict[str, Any]) -> bytes:
    """What its second version keeps: the digest of what was signed, the signature, and the certificate."""
    return _canonical({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": spec}})


def _authority_facts(chain: Sequence[x509.Certificate], valid: dict[str, str]) -> dict[str, Any]:
    return {
        "subject": {"organization": "test", "commonName": "an authority"},
        "uri": "https://authority.invalid",
        "certChain": {"certificates": [{"rawBytes": _b64(one.public_bytes(Encoding.DER))} for one in chain]},
        "validFor": valid,
    }


def _log_facts(key: EllipticCurvePrivateKey, valid: dict[str, str]) -> dict[str, Any]:
    public = {"rawBytes": _b64(_spki(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid}
    return {
        "baseUrl": "https://log.invalid",
        "hashAlgorithm": "SHA2_256",
        "publicKey": public,
        "logId": {"keyId": _b64(_key_id(key))},
    }


def _canonical(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _der_length(length: int) -> bytes:
    return bytes([length]) if length < 128 else bytes([0x81, length]) if length < 256 else b"\x82" + length.to_bytes(2)
