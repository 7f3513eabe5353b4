"""Keys that sign: Ed25519, which the node's own key is, and ECDSA on the NIST curves, which other tools and certificates use.

Decided here: where the node's key lies (`node.pem`, PKCS #8 PEM, 0600, in a directory of 0700), that it is made on first use, and
that a key which other users could read or replace is refused. A key's id is the first 16 bytes of SHA-256 over the raw public key
(Ed25519: its 32 bytes; ECDSA: the uncompressed point, 0x04 || x || y), as 32 hex digits: enough that no two keys share one by
chance or by search. `node.pub` beside it holds the public half.

ECDSA signatures are DER, over SHA-256, SHA-384 and SHA-512 for P-256, P-384 and P-521. Who holds such a signature can make a
second one of it that holds as well; of Ed25519 there is one.
"""

import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from freehold.core.errors import ConfigError, DeviceError, InvalidRequest, MalformedArtefact, UnsupportedArtefact
from freehold.core.exchange import KeyId
from freehold.provenance.files import read_small, write_durably

PRIVATE_NAME = "node.pem"
PUBLIC_NAME = "node.pub"
KEY_LIMIT_BYTES = 16 << 10
ED25519 = "ed25519"
_CURVES: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    "secp256r1": ("ecdsa-p256", hashes.SHA256()),
    "secp384r1": ("ecdsa-p384", hashes.SHA384()),
    "secp521r1": ("ecdsa-p521", hashes.SHA512()),
}
KINDS = (ED25519, *(name for name, _ in _CURVES.values()))


def key_id_of(raw_public: bytes) -> KeyId:
    return KeyId(hashlib.sha256(raw_public).hexdigest()[:32])


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    key_id: KeyId
    kind: str  # of KINDS
    _key: Ed25519PublicKey | EllipticCurvePublicKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, key: object) -> "PublicKey":
        """Raises UnsupportedArtefact for a key of another kind."""
        if isinstance(key, Ed25519PublicKey):
            return cls(key_id=key_id_of(key.public_bytes_raw()), kind=ED25519, _key=key)
        if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES:
            point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
            return cls(key_id=key_id_of(point), kind=_CURVES[key.curve.name][0], _key=key)
        what = f"on the curve {key.curve.name}" if isinstance(key, EllipticCurvePublicKey) else type(key).__name__
        raise UnsupportedArtefact(f"a key {what} signs nothing here; there are {', '.join(KINDS)}")

    def holds(self, signature: bytes, message: bytes, *, sha256: bool = False) -> bool:
        """Whether the key made `signature` over `message`; with `sha256`, whether it did so over SHA-256 whatever the curve."""
        try:
            if isinstance(self._key, Ed25519PublicKey):
                self._key.verify(signature, message)
            else:
                self._key.verify(signature, message, ECDSA(hashes.SHA256() if sha256 else _CURVES[self._key.curve.name][1]))
        except InvalidSignature:
            return False
        return True

    def pem(self) -> bytes:
        return self._key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def raw(self) -> bytes:
        """The 32 bytes of an Ed25519 key (RFC 8032). Raises UnsupportedArtefact for another kind."""
        if not isinstance(self._key, Ed25519PublicKey):
            raise UnsupportedArtefact(f"the key {self.key_id} is {self.kind}; notes are signed with {ED25519}")
        return self._key.public_bytes_raw()


TrustedKeys: TypeAlias = Mapping[KeyId, PublicKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """Implements `core.sealer.Sealer`."""

    public: PublicKey
    _key: Ed25519PrivateKey | EllipticCurvePrivateKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, key: object) -> Self:
        """Raises UnsupportedArtefact for a key of another kind."""
        if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey):
            raise UnsupportedArtefact(f"a {type(key).__name__} signs nothing here; there are {', '.join(KINDS)}")
        return cls(public=PublicKey.of(key.public_key()), _key=key)

    @property
    def key_id(self) -> KeyId:
        return self.public.key_id

    def sign(self, message: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(message)
        return self._key.sign(message, ECDSA(_CURVES[self._key.curve.name][1]))

    def pem(self) -> bytes:
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


class NodeKey(SigningKey):
    """The node's own: always Ed25519."""

    __slots__ = ()

    @classmethod
    def generate(cls) -> Self:
        return cls.of(Ed25519PrivateKey.generate())


def key_directory(home: Path) -> Path:
    return home / "keys"


def node_key(directory: Path) -> NodeKey:
    """The key in `directory`, made on first use. Several processes may call this at once: one key wins."""
    path = directory / PRIVATE_NAME
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            # A link never replaces: the first of two racing processes sets the key, the other reads it.
            write_durably(path, NodeKey.generate().pem(), mode=0o600, replace=False)
        key = _load(path)
        public = directory / PUBLIC_NAME
        if not public.exists() or public.read_bytes() != key.public.pem():
            write_durably(public, key.public.pem(), mode=0o644)
    except OSError as exc:
        raise DeviceError(f"cannot use the node's key in {directory}: {exc.strerror}; check its owner and space") from exc
    return key


def _load(path: Path) -> NodeKey:
    for place in (path, path.parent):
        mode = stat.S_IMODE(place.stat().st_mode)
        if mode & 0o077:
            kept = mode & 0o700
            raise ConfigError(
                f"{place} has mode {mode:04o}: others could read or replace the node's key. Run: chmod {kept:04o} '{place}'"
            )
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise MalformedArtefact(
            f"{path} is not an unencrypted PEM private key; move it away and a new one is made (old receipts keep verifying "
            f"with the old {PUBLIC_NAME})"
        ) from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise MalformedArtefact(f"{path} holds a {type(key).__name__}; the node's key is Ed25519")
    return NodeKey.of(key)


def read_public(path: Path) -> PublicKey:
    """A public key from a PEM file such as `node.pub`."""
    raw = _read_key(path, "public key")
    try:
        return PublicKey.of(serialization.load_pem_public_key(raw))
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise MalformedArtefact(f"{path} is not a PEM public key; the node keeps its own as {PUBLIC_NAME}") from exc


def read_private(path: Path, password: str | None = None) -> SigningKey:
    """A private key from a PEM file. Raises InvalidRequest where its password is missing or wrong."""
    raw = _read_key(path, "private key")
    try:
        return SigningKey.of(serialization.load_pem_private_key(raw, None if password is None else password.encode()))
    except TypeError as exc:  # a password for a key without one, or none for a key with one
        raise InvalidRequest(
            f"{path} {'needs its password' if password is None else 'has no password: leave it out'}", param="password"
        ) from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        if password is not None:
            raise InvalidRequest(f"{path} does not open with this password, or is no PEM private key", param="password") from exc
        raise MalformedArtefact(f"{path} is not a PEM private key") from exc


def _read_key(path: Path, what: str) -> bytes:
    return read_small(path, what, KEY_LIMIT_BYTES)


def trusted(*keys: PublicKey) -> TrustedKeys:
    return {key.key_id: key for key in keys}
