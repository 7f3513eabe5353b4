"""Which keys may sign which models: the trust store, one small file beside the node's key.

`<home>/keys/trust.json` is a DSSE envelope by the node's key over a list of entries, so that a change by anything but `freehold
trust` is told. `serial` grows with every change and the audit log keeps the digest of each, so that an old file put back is told
where the two are compared. Without a file the node's own key is trusted for every model and nobody else for any.

An entry is a public key, or a certificate authority, with globs over the names of models. One that has expired or was revoked
lets nothing pass, whenever a signature was made: nothing in a signature proves when that was. A revoked key stays listed, so that
adding it again is told. The node's own key is always trusted; it is replaced by moving `node.pem` away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cryptography.hazmat.primitives import serialization

from freehold.core.errors import (
    DeviceError,
    InvalidRequest,
    MalformedArtefact,
    NotFound,
    UnsupportedArtefact,
    VerificationError,
    os_errors,
)
from freehold.core.exchange import KeyId
from freehold.provenance.envelope import canonical_json, open_envelope, parse_json, seal
from freehold.provenance.files import write_durably
from freehold.provenance.keys import NodeKey, PublicKey, TrustedKeys, trusted

if TYPE_CHECKING:
    from freehold.provenance.certificates import Certificate

TRUST_NAME = "trust.json"
TRUST_TYPE = "application/vnd.freehold.trust.v1+json"
AUTHORITY = "authority"
ENTRIES_LIMIT = 1000
FILE_LIMIT_BYTES = 8 << 20
_TEXT_LIMIT_CHARS = 500

Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`names` are globs over model names; times are in UTC."""

    id: KeyId
    kind: str  # of keys.KINDS, or AUTHORITY
    pem: str
    names: tuple[str, ...]
    added_at: Time
    note: str | None = None
    expires_at: Time | None = None
    revoked_at: Time | None = None
    revoked_because: str | None = None
    replaced_by: KeyId | None = None

    def covers(self, name: str) -> bool:
        return any(fnmatchcase(name, glob) for glob in self.names)

    def refusal(self, name: str, at: datetime) -> str | None:
        """Why it lets nothing pass for this model now; None where it does."""
        if self.revoked_at is not None:
            return f"was revoked on {self.revoked_at:%Y-%m-%d} ({self.revoked_because})"
        if self.expires_at is not None and at >= self.expires_at:
            return f"expired on {self.expires_at:%Y-%m-%d}{f'; {self.replaced_by} replaced it' if self.replaced_by else ''}"
        return None if self.covers(name) else f"is trusted for {', '.join(self.names)} and not for {name!r}"


class MayNotSign(VerificationError):
    """Signed by a key that the trust store knows and does not let sign this: revoked, expired, or for other models."""


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    serial: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What may sign one model now."""

    keys: TrustedKeys
    authorities: "Mapping[KeyId, Certificate]"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustStore:
    node: PublicKey
    entries: tuple[Entry, ...] = ()
    serial: int = 0

    def accepted(self, name: str, at: datetime | None = None) -> Accepted:
        at = at or datetime.now(UTC)
        valid = [entry for entry in self.entries if entry.refusal(name, at) is None]
        return Accepted(
            keys=trusted(self.node, *(_key(entry) for entry in valid if entry.kind != AUTHORITY)),
            authorities=dict(_authority(entry.pem.encode()) for entry in valid if entry.kind == AUTHORITY),
        )

    def find(self, prefix: str) -> Entry:
        """By its id or the beginning of it. Raises NotFound."""
        found = [entry for entry in self.entries if prefix and entry.id.startswith(prefix.lower())]
        if len(found) != 1:
            many = f"{len(found)} entries begin with {prefix!r}" if found else f"no key {prefix[:64]!r} is in the trust store"
            raise NotFound(f"{many}; see: freehold trust list")
        return found[0]

    def explain(self, ids: Sequence[KeyId], name: str, at: datetime | None = None) -> str | None:
        """Why those who are listed may not sign `name`; None where none of them is listed."""
        at = at or datetime.now(UTC)
        why = [(entry, entry.refusal(name, at)) for entry in self.entries if entry.id in ids]
        return "; ".join(f"the key {entry.id} {refusal}" for entry, refusal in why if refusal is not None) or None

    def added(self, entry: Entry) -> "TrustStore":
        """With one more. Raises InvalidRequest for one that is there or was revoked."""
        if entry.id == self.node.key_id:
            raise InvalidRequest("this is the node's own key, which is trusted for every model")
        for other in self.entries:
            if other.id == entry.id:
                was = f"was revoked on {other.revoked_at:%Y-%m-%d}" if other.revoked_at else "is in the trust store"
                raise InvalidRequest(f"the key {entry.id} {was} already; see: freehold trust list")
        if len(self.entries) >= ENTRIES_LIMIT:
            raise InvalidRequest(f"the trust store has {ENTRIES_LIMIT} entries, which is as many as it takes")
        return self._with((*self.entries, entry))

    def removed(self, entry: Entry) -> "TrustStore":
        if entry.revoked_at is not None:
            raise InvalidRequest(f"the key {entry.id} was revoked: it stays listed, so that adding it again is told")
        return self._with(tuple(other for other in self.entries if other.id != entry.id))

    def revoked(self, entry: Entry, at: datetime, because: str) -> "TrustStore":
        if entry.revoked_at is not None:
            raise InvalidRequest(f"the key {entry.id} was revoked on {entry.revoked_at:%Y-%m-%d} already")
        return self._changed(msgspec.structs.replace(entry, revoked_at=at, revoked_because=_text(because, "reason")))

    def rotated(self, old: Entry, new: Entry, until: datetime) -> "TrustStore":
        """`new` takes the place of `old`, which is accepted until then."""
        if old.revoked_at is not None:
            raise InvalidRequest(f"the key {old.id} was revoked: add its successor with `freehold trust add`")
        expires_at = until if old.expires_at is None else min(until, old.expires_at)
        replaced = msgspec.structs.replace(old, expires_at=expires_at, replaced_by=new.id)
        grown = self.added(new)
        return TrustStore(node=self.node, entries=grown._changed(replaced).entries, serial=grown.serial)

    def _changed(self, entry: Entry) -> "TrustStore":
        return self._with(tuple(entry if other.id == entry.id else other for other in self.entries))

    def _with(self, entries: tuple[Entry, ...]) -> "TrustStore":
        return TrustStore(node=self.node, entries=entries, serial=self.serial + 1)

    def encode(self) -> bytes:
        return canonical_json(_Document(version=1, serial=self.serial, entries=self.entries))

    @property
    def digest(self) -> str:
        """What the audit log keeps of it; of an empty one that was never changed, too."""
        return sha256(self.encode()).hexdigest()


def make_entry(
    pem: bytes, names: Sequence[str], *, note: str | None = None, expires_at: datetime | None = None, at: datetime | None = None
) -> Entry:
    """Of a public key or a certificate in PEM. Raises InvalidRequest, MalformedArtefact or UnsupportedArtefact."""
    for name in names:
        _text(name, "name")
    if not names:
        raise InvalidRequest("say for which models: --name 'acme-*', or --name '*' for all", param="name")
    at = at or datetime.now(UTC)
    key_id, kind, text = _identified(pem)
    return Entry(
        id=key_id,
        kind=kind,
        pem=text,
        names=tuple(names),
        added_at=at.replace(microsecond=0),
        note=None if note is None else _text(note, "note"),
        expires_at=expires_at,
    )


def _identified(pem: bytes) -> tuple[KeyId, str, str]:
    try:
        if b"BEGIN CERTIFICATE" in pem:
            key_id, certificate = _authority(pem)
            return key_id, AUTHORITY, certificate.public_bytes(serialization.Encoding.PEM).decode()
        key = PublicKey.of(serialization.load_pem_public_key(pem))
    except ValueError as exc:
        raise MalformedArtefact("the file is neither a public key nor a certificate in PEM") from exc
    return key.key_id, key.kind, key.pem().decode()


def _text(text: str, what: str) -> str:
    if not text.strip() or len(text) > _TEXT_LIMIT_CHARS or not text.isprintable():
        raise InvalidRequest(f"a {what} has 1 to {_TEXT_LIMIT_CHARS} printable characters", param=what)
    return text


def read_trust(directory: Path, node: PublicKey) -> TrustStore:
    """The store in `directory`. Raises VerificationError where it was changed by anything but this node, DeviceError."""
    path = directory / TRUST_NAME
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_LIMIT_BYTES + 1)
    except FileNotFoundError:
        return TrustStore(node=node)
    except OSError as exc:
        raise DeviceError(f"cannot read {path}: {exc.strerror}") from exc
    try:
        document = parse_json(open_envelope(raw, TRUST_TYPE, trusted(node)).payload, _Document, "trust store")
        if document.version != 1:
            raise UnsupportedArtefact(f"it is of version {document.version}, this release reads version 1")
        for entry in document.entries:
            if _identified(entry.pem.encode())[:2] != (entry.id, entry.kind):
                raise MalformedArtefact(f"the entry {entry.id[:32]} is not about its own key")
    except (MalformedArtefact, UnsupportedArtefact, VerificationError) as exc:
        raise VerificationError(
            f"{path} is not as this node wrote it ({exc.message}): nothing is trusted by it. Put a copy back that holds, or "
            "remove it and add the keys again"
        ) from exc
    return TrustStore(node=node, entries=document.entries, serial=document.serial)


def write_trust(directory: Path, store: TrustStore, key: NodeKey) -> None:
    path = directory / TRUST_NAME
    with os_errors(f"cannot write {path}"):
        write_durably(path, seal(TRUST_TYPE, store.encode(), key))


def _key(entry: Entry) -> PublicKey:
    return PublicKey.of(serialization.load_pem_public_key(entry.pem.encode()))


def _authority(pem: bytes) -> "tuple[KeyId, Certificate]":
    from cryptography import x509  # noqa: PLC0415  # a megabyte that nodes without authorities do without

    from freehold.provenance.certificates import certificate_id  # noqa: PLC0415

    certificate = x509.load_pem_x509_certificate(pem)
    return certificate_id(certificate), certificate
