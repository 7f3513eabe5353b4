"""The node's Ed25519 key, and the public keys others are trusted by.

Decided here: where the key lies (`node.pem`, PKCS #8 PEM, 0600, in a directory of 0700), that it is made on first use, and that a
key which other users could read or replace is refused. A key's id is the first 16 bytes of SHA-256 over the raw 32-byte public
key, as 32 hex digits: enough that no two keys share one by chance or by search. `node.pub` beside it holds the public half.
"""

import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from freehold.core.errors import ConfigError, DeviceError, MalformedArtefact
from freehold.core.exchange import KeyId
from freehold.provenance.files import write_durably

PRIVATE_NAME = "node.pem"
PUBLIC_NAME = "node.pub"


def key_id_of(raw_public: bytes) -> KeyId:
    return KeyId(hashlib.sha256(raw_public).hexdigest()[:32])


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    key_id: KeyId
    _key: Ed25519PublicKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, key: Ed25519PublicKey) -> "PublicKey":
        return cls(key_id=key_id_of(key.public_bytes_raw()), _key=key)

    def holds(self, signature: bytes, message: bytes) -> bool:
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def pem(self) -> bytes:
        return self._key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


TrustedKeys: TypeAlias = Mapping[KeyId, PublicKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKey:
    public: PublicKey
    _key: Ed25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def of(cls, key: Ed25519PrivateKey) -> "NodeKey":
        return cls(public=PublicKey.of(key.public_key()), _key=key)

    @classmethod
    def generate(cls) -> "NodeKey":
        return cls.of(Ed25519PrivateKey.generate())

    @property
    def key_id(self) -> KeyId:
        return self.public.key_id

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def pem(self) -> bytes:
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


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
    try:
        size_bytes = path.stat().st_size
        if size_bytes > 16 << 10:
            raise MalformedArtefact(f"{path} has {size_bytes} bytes: a public key has about 113")
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as exc:
        raise DeviceError(f"cannot read the public key {path}: {exc.strerror}") from exc
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise MalformedArtefact(f"{path} is not a PEM public key; the node keeps its own as {PUBLIC_NAME}") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise MalformedArtefact(f"{path} holds a {type(key).__name__}; receipts and manifests are signed with Ed25519")
    return PublicKey.of(key)


def trusted(*keys: PublicKey) -> TrustedKeys:
    return {key.key_id: key for key in keys}
