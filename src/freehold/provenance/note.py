"""Signed notes: a text and signature lines below it (c2sp.org/signed-note).

    text, ending in a newline
    (an empty line)
    — NAME base64(key id || signature)

A key's id in a note is the first 4 bytes of SHA-256(NAME || 0x0A || type || public key). Types read and written here: 0x01,
Ed25519 over the text, and 0x04, an Ed25519 cosignature with its time (`checkpoint.py`). A signature by an unknown key is passed
over; one by a known key that does not hold spoils the note.

The node signs notes with the key that seals its log and signs its receipts. What it signs can't be taken for something else:
envelopes begin with `DSSEv1 `, seals with `freehold-log-v1 `, cosignatures with `cosignature/v1` and a line that is no number,
and the first line of a checkpoint holds no space (`check_name`).
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from freehold.core.errors import MalformedArtefact, VerificationError
from freehold.core.sealer import Sealer
from freehold.provenance.envelope import canonical_base64
from freehold.provenance.keys import PublicKey

ED25519 = 0x01
COSIGNATURE = 0x04
NOTE_LIMIT_BYTES = 64 << 10
SIGNATURES_LIMIT = 64
NAME_LIMIT_CHARS = 200
_DASH = "— "
_ID_BYTES = 4
_PUBLIC_BYTES = 32
_LINE = re.compile(r"— (\S+) (\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey:
    """A key under the name that its signatures carry."""

    name: str
    kind: int  # ED25519 or COSIGNATURE
    public: PublicKey

    @property
    def note_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public.raw()).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """As a vkey: NAME+id+base64(type || public key)."""
        material = base64.b64encode(bytes([self.kind]) + self.public.raw()).decode()
        return f"{self.name}+{self.note_id.hex()}+{material}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    name: str
    note_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.note_id + self.signature).decode()}\n"

    def is_by(self, key: NoteKey) -> bool:
        """Whether it says so. Whether it holds is another question."""
        return (self.name, self.note_id) == (key.name, key.note_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """`text` ends in a newline."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    def __bytes__(self) -> bytes:
        return str(self).encode()


def check_name(name: str, what: str = "a key's name in notes") -> str:
    """Raises ValueError."""
    if not name or len(name) > NAME_LIMIT_CHARS or not name.isascii() or not name.isprintable() or set(name) & set(" +"):
        raise ValueError(f"{what} is 1 to {NAME_LIMIT_CHARS} ASCII characters without space and '+', got {name[:60]!r}")
    return name


def sign(text: str, name: str, key: Sealer, public: PublicKey) -> Note:
    """A note by one key of type 0x01."""
    signer = NoteKey(name=name, kind=ED25519, public=public)
    signature = NoteSignature(name=name, note_id=signer.note_id, signature=key.sign(text.encode()))
    return Note(text=text, signatures=(signature,))


def parse(raw: bytes | str) -> Note:
    """Raises MalformedArtefact, whatever is given."""
    if len(raw) > NOTE_LIMIT_BYTES:
        raise MalformedArtefact(f"the note is larger than {NOTE_LIMIT_BYTES >> 10} KiB")
    try:
        whole = raw.decode() if isinstance(raw, bytes) else raw
    except UnicodeDecodeError as exc:
        raise MalformedArtefact("the note is no UTF-8") from exc
    if any(char < " " and char != "\n" for char in whole):
        raise MalformedArtefact("the note holds control characters")
    text, separator, below = whole.rpartition("\n\n")
    if not separator or not text or not below.endswith("\n"):
        raise MalformedArtefact("the note is not a text, an empty line, and lines of signatures")
    return Note(text=text + "\n", signatures=parse_signatures(below))


def parse_signatures(lines: str) -> tuple[NoteSignature, ...]:
    """Lines that begin with an em dash. Raises MalformedArtefact."""
    rows = lines.removesuffix("\n").split("\n")
    if not lines.endswith("\n") or len(rows) > SIGNATURES_LIMIT:
        raise MalformedArtefact(f"a note has 1 to {SIGNATURES_LIMIT} lines of signatures, each with its newline")
    return tuple(map(_signature, rows))


def _signature(line: str) -> NoteSignature:
    found = _LINE.fullmatch(line)
    if found is None or "+" in found[1]:
        raise MalformedArtefact(f"{line[:80]!r} is no line of a signature: a dash, a name, and base64")
    raw = canonical_base64(found[2], "the signature of a note")
    if len(raw) <= _ID_BYTES:
        raise MalformedArtefact("the signature of a note is too short")
    return NoteSignature(name=found[1], note_id=raw[:_ID_BYTES], signature=raw[_ID_BYTES:])


def verify(note: Note, keys: Iterable[NoteKey]) -> None:
    """Prove that one of `keys`, of type 0x01, signed the text. Raises VerificationError; also for one of theirs that is wrong."""
    known = [(key, s) for key in keys for s in note.signatures if key.kind == ED25519 and s.is_by(key)]
    for key, signature in known:
        if not key.public.holds(signature.signature, note.text.encode()):
            raise VerificationError(f"the signature by {key.name} on the note does not hold: forged, or the text was changed")
    if not known:
        names = ", ".join(signature.name[:60] for signature in note.signatures)
        raise VerificationError(f"the note is signed by {names}, and by no key that is trusted here")


def parse_vkey(text: str) -> NoteKey:
    """NAME+id+base64(type || public key). Raises MalformedArtefact."""
    name, first, rest = text.strip().partition("+")
    note_id, second, material = rest.partition("+")
    try:
        check_name(name)
        raw = canonical_base64(material, "the key")
        if not first or not second or raw[:1] not in (bytes([ED25519]), bytes([COSIGNATURE])) or len(raw) != 1 + _PUBLIC_BYTES:
            raise ValueError(text)
        key = NoteKey(name=name, kind=raw[0], public=PublicKey.of(Ed25519PublicKey.from_public_bytes(raw[1:])))
    except (ValueError, MalformedArtefact) as exc:
        raise MalformedArtefact(f"{text[:80]!r} is no Ed25519 key of notes; it looks like NAME+1234abcd+BASE64") from exc
    if key.note_id.hex() != note_id.lower():
        raise MalformedArtefact(f"the key of {name} is not the one that its id {note_id[:20]!r} is of")
    return key
