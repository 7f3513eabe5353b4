"""Checkpoints: the signed head of a log's tree (c2sp.org/tlog-checkpoint), and witnesses' cosignatures on it.

    ORIGIN
    SIZE
    base64(ROOT)

A cosignature/v1 (c2sp.org/tlog-cosignature) says that at its time the witness had seen this tree as the largest of the log, each
it had seen before being its beginning. It is Ed25519 over "cosignature/v1", "time SECONDS" and the text, a line each.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from freehold.core.errors import MalformedArtefact, VerificationError
from freehold.core.merkle import HASH_BYTES, SIZE_LIMIT
from freehold.core.sealer import Sealer
from freehold.provenance import note as notes
from freehold.provenance.envelope import canonical_base64
from freehold.provenance.keys import PublicKey, TrustedKeys
from freehold.provenance.note import COSIGNATURE, ED25519, Note, NoteKey, NoteSignature

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_TIME_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A tree head and the note it was read from. That somebody signed it is not said yet."""

    origin: str
    size: int
    root: bytes
    note: Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """One that holds."""

    witness: str
    at_s: int


def text_of(origin: str, size: int, root: bytes) -> str:
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def sign(origin: str, size: int, root: bytes, key: Sealer, public: PublicKey) -> Checkpoint:
    """The key's name in the note is the origin."""
    note = notes.sign(text_of(origin, size, root), origin, key, public)
    return Checkpoint(origin=origin, size=size, root=root, note=note)


def parse(raw: bytes | str) -> Checkpoint:
    """Raises MalformedArtefact, whatever is given."""
    note = notes.parse(raw)
    lines = note.text.removesuffix("\n").split("\n")
    if len(lines) < 3 or not all(lines):
        raise MalformedArtefact("a checkpoint is an origin, a size and a root, a line each")
    try:
        origin = notes.check_name(lines[0], "a log's origin")
    except ValueError as exc:
        raise MalformedArtefact(str(exc)) from exc
    root = canonical_base64(lines[2], "the root of the checkpoint")
    if len(root) != HASH_BYTES:
        raise MalformedArtefact(f"the root of the checkpoint has {len(root)} bytes, not {HASH_BYTES}")
    return Checkpoint(origin=origin, size=read_size(lines[1]), root=root, note=note)


def read_size(text: str) -> int:
    """A tree's size in decimal. Raises MalformedArtefact."""
    if not _NUMBER.fullmatch(text) or int(text) > SIZE_LIMIT:
        raise MalformedArtefact(f"{text[:40]!r} is no size of a tree")
    return int(text)


def verify(raw: bytes | str, keys: TrustedKeys, *, origin: str | None = None) -> Checkpoint:
    """A checkpoint that one of `keys` signed under its origin's name; of the log `origin`, where that is given.

    Raises MalformedArtefact or VerificationError.
    """
    found = parse(raw)
    if origin is not None and found.origin != origin:
        raise VerificationError(f"the checkpoint is of the log {found.origin}, not of {origin}")
    ed25519 = [key for key in keys.values() if key.kind == "ed25519"]
    notes.verify(found.note, [NoteKey(name=found.origin, kind=ED25519, public=key) for key in ed25519])
    return found


def cosign(checkpoint: Checkpoint, name: str, at_s: int, key: Sealer, public: PublicKey) -> NoteSignature:
    witness = NoteKey(name=name, kind=COSIGNATURE, public=public)
    signature = key.sign(_cosigned(checkpoint.note.text, at_s))
    return NoteSignature(name=name, note_id=witness.note_id, signature=at_s.to_bytes(_TIME_BYTES) + signature)


def cosignatures(note: Note, witnesses: Iterable[NoteKey]) -> list[Cosignature]:
    """Those by `witnesses` on a checkpoint's note. Raises VerificationError for one of theirs that does not hold."""
    found = []
    for witness in witnesses:
        for signature in note.signatures:
            if witness.kind == COSIGNATURE and signature.is_by(witness):
                at_s = int.from_bytes(signature.signature[:_TIME_BYTES])
                if not witness.public.holds(signature.signature[_TIME_BYTES:], _cosigned(note.text, at_s)):
                    raise VerificationError(f"the cosignature by {witness.name} does not hold")
                found.append(Cosignature(witness=witness.name, at_s=at_s))
    return found


def with_signatures(note: Note, more: Sequence[NoteSignature]) -> Note:
    """Each key's newest: `more` goes before what is there."""
    newest = {(s.name, s.note_id): s for s in (*note.signatures, *more)}
    return Note(text=note.text, signatures=tuple(newest.values()))


def _cosigned(text: str, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()
