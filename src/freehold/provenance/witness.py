"""Witnessing a log: what is submitted, and when a witness may cosign (c2sp.org/tlog-witness, add-checkpoint).

    old SIZE
    base64(HASH)          of the consistency proof, a line each, 63 at most
    (an empty line)
    CHECKPOINT

A witness keeps of each log the last tree head that it cosigned, and cosigns only one that begins with it. Keeping that, and HTTP,
are left to others.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from freehold.core import merkle
from freehold.core.errors import MalformedArtefact, VerificationError
from freehold.core.merkle import EMPTY_ROOT, HASH_BYTES
from freehold.provenance import checkpoint as checkpoints
from freehold.provenance.checkpoint import Checkpoint
from freehold.provenance.envelope import canonical_base64
from freehold.provenance.note import NOTE_LIMIT_BYTES

PROOF_LIMIT = 63
SUBMISSION_LIMIT_BYTES = NOTE_LIMIT_BYTES + (PROOF_LIMIT + 2) * 64
SIZE_MEDIA_TYPE = "text/x.tlog.size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A checkpoint, and why it continues the tree of `old_size`. Nothing of it is believed yet."""

    old_size: int
    proof: tuple[bytes, ...]
    checkpoint: Checkpoint


class Conflict(Exception):
    """The submission starts from another size than the one that was cosigned last."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


def encode(old_size: int, proof: Sequence[bytes], checkpoint: str) -> bytes:
    hashes = "".join(f"{base64.b64encode(hash_).decode()}\n" for hash_ in proof)
    return f"old {old_size}\n{hashes}\n{checkpoint}".encode()


def parse(body: bytes) -> Submission:
    """Raises MalformedArtefact, whatever is given."""
    if len(body) > SUBMISSION_LIMIT_BYTES:
        raise MalformedArtefact(f"a submission has {SUBMISSION_LIMIT_BYTES} bytes at most")
    head, separator, note = body.partition(b"\n\n")
    try:
        first, *hashes = head.decode("ascii").split("\n")
    except UnicodeDecodeError as exc:
        raise MalformedArtefact("a submission begins with 'old SIZE' and lines of base64") from exc
    if not separator or not first.startswith("old ") or len(hashes) > PROOF_LIMIT:
        raise MalformedArtefact(f"a submission is 'old SIZE', up to {PROOF_LIMIT} hashes, an empty line, and a checkpoint")
    proof = tuple(canonical_base64(line, "a hash of the proof") for line in hashes)
    if any(len(hash_) != HASH_BYTES for hash_ in proof):
        raise MalformedArtefact(f"each hash of the proof has {HASH_BYTES} bytes")
    old_size = checkpoints.read_size(first.removeprefix("old "))
    found = checkpoints.parse(note)
    if old_size > found.size:
        raise MalformedArtefact(f"the old size {old_size} is larger than the checkpoint's, {found.size}")
    return Submission(old_size=old_size, proof=proof, checkpoint=found)


def check(submission: Submission, seen_size: int, seen_root: bytes) -> None:
    """Whether the tree submitted begins with the one seen last. Raises Conflict where it is not asked from that size, and
    VerificationError where it does not."""
    if submission.old_size != seen_size:
        raise Conflict(seen_size)
    found = submission.checkpoint
    merkle.check_consistency(seen_size, seen_root if seen_size else EMPTY_ROOT, found.size, found.root, submission.proof)


def forked(seen_size: int, new_size: int) -> VerificationError:
    return VerificationError(
        f"the tree of {new_size} rows does not begin with the one of {seen_size} rows that the witness has cosigned: the log was "
        "forked, or written anew"
    )
