"""Evidence: rows of a node's log in one file, which proves itself to whoever has the node's public key.

The file is JSON (`Evidence`). Its rows follow each other; each `entry` is the exact text that is a leaf of the log's tree and
that the next entry holds the SHA-256 of; `proof` holds what lies left and right of them in the tree of `checkpoint`, which the
node has signed (and witnesses, perhaps). So no row is missing, added, changed or out of order. Beside each entry lies what its
digest is over: a decision's facts, or an exchange's ledger row, findings and receipt, whole or as digests alone. The salt of the
receipt is not there.

A file made for a span of time holds the row before it and the row after it, too: nothing can be left out at its ends. The same
checks, in a page that needs nothing of Freehold's, are in docs/verify_evidence.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec

from freehold.core import merkle
from freehold.core.errors import ArtefactError, MalformedArtefact, VerificationError
from freehold.core.merkle import leaf_hash
from freehold.core.receipts import Claims, exchange_digest
from freehold.provenance import checkpoint as checkpoints
from freehold.provenance import receipt as receipts
from freehold.provenance.checkpoint import Cosignature
from freehold.provenance.envelope import canonical_base64, open_envelope, parse_json
from freehold.provenance.keys import TrustedKeys
from freehold.provenance.note import NoteKey

FORMAT = "freehold-evidence-v1"
EVIDENCE_LIMIT_BYTES = 1 << 30
_SAME = ("dialect", "operation", "status", "finish_reason", "input_tokens", "output_tokens", "policy_digest")


class Exchange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`envelope` is the receipt. A part is there as JSON, or as its SHA-256 in hex. None at all: made by an earlier release."""

    envelope: str
    ledger: str | None = None
    ledger_sha256: str | None = None
    findings: str | None = None
    findings_sha256: str | None = None
    receipt_sha256: str | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Without facts and exchange: purged, as the row of a purge says."""

    entry: str
    facts: str | None = None
    exchange: Exchange | None = None


class Purge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last row that says what was purged, with its own proof."""

    row: Row
    proof: list[str]


class Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    format: str
    checkpoint: str
    first: int  # number of the first row, from 1
    rows: list[Row]
    proof: list[str]
    purge: Purge | None = None
    from_ns: int | None = None  # the span asked for, Unix nanoseconds; the end is not in it
    to_ns: int | None = None
    models: list[str] = []  # ids of the manifests of all models in the receipts
    public_key: str = ""  # the node's, for reading; it is believed only where the verifier was given it


class _Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a row binds, as the store writes it."""

    link_before: str
    seal_before: str | None
    signed_by_before: str | None
    n: int
    at_ns: int
    kind: str
    exchange_id: str | None
    ledger_seq: int | None
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceReport:
    """Evidence that holds. `unopened` receipts hold by their signatures alone: an earlier release bound them with the salt."""

    origin: str
    size: int
    first_n: int
    last_n: int
    first_at_ns: int
    last_at_ns: int
    decisions: int
    purged: int
    unopened: int
    models: tuple[str, ...]
    cosignatures: tuple[Cosignature, ...]
    receipts: dict[str, str] = field(repr=False)  # exchange id -> digest


def encode(evidence: Evidence) -> bytes:
    return msgspec.json.format(msgspec.json.encode(evidence), indent=1) + b"\n"


def decode(raw: bytes) -> Evidence:
    """Raises MalformedArtefact, whatever the bytes."""
    if len(raw) > EVIDENCE_LIMIT_BYTES:
        raise MalformedArtefact(f"evidence of {len(raw)} bytes is over the limit of {EVIDENCE_LIMIT_BYTES}")
    evidence = parse_json(raw, Evidence, "the evidence")
    if evidence.format != FORMAT:
        raise MalformedArtefact(f"the evidence is {evidence.format[:60]!r}, expected {FORMAT!r}")
    if not evidence.rows:
        raise MalformedArtefact("the evidence holds no rows")
    return evidence


def verify(raw: bytes, keys: TrustedKeys, witnesses: Iterable[NoteKey] = ()) -> EvidenceReport:
    """Prove every row. Raises VerificationError naming the first row that does not hold, and MalformedArtefact."""
    evidence = decode(raw)
    head = checkpoints.verify(evidence.checkpoint, keys)
    cosigned = checkpoints.cosignatures(head.note, witnesses)
    entries = [parse_json(row.entry.encode(), _Entry, "an entry") for row in evidence.rows]
    _check_order(evidence, entries)
    leaves = [leaf_hash(row.entry.encode()) for row in evidence.rows]
    _check_in_tree(leaves, evidence.first, head, evidence.proof)
    _check_span(evidence, entries, head.size)
    walk = _Walk(keys, _purged_through(evidence, head))
    for row, entry in zip(evidence.rows, entries, strict=True):
        walk.take(row, entry)
    if sorted(walk.models) != evidence.models:
        raise VerificationError(f"the models named are {evidence.models}, those of the receipts are {sorted(walk.models)}")
    return EvidenceReport(
        origin=head.origin,
        size=head.size,
        first_n=entries[0].n,
        last_n=entries[-1].n,
        first_at_ns=entries[0].at_ns,
        last_at_ns=entries[-1].at_ns,
        decisions=walk.decisions,
        purged=walk.purged,
        unopened=walk.unopened,
        models=tuple(evidence.models),
        cosignatures=tuple(cosigned),
        receipts=walk.receipts,
    )


class Chain:
    """The entries of a whole log, one after the other: each must hold its number and the digest of the one before."""

    def __init__(self) -> None:
        self._before = ""

    def take(self, n: int, raw: bytes) -> None:
        """Raises VerificationError, MalformedArtefact."""
        entry = parse_json(raw, _Entry, f"entry {n}")
        if entry.n != n:
            raise _fails(n, "reordered", f"row {entry.n} stands in its place")
        if entry.link_before != self._before:
            raise _fails(n, "changed", f"it does not follow row {n - 1}: the tree and the chain of rows don't tell the same")
        self._before = sha256(raw).hexdigest()


def _check_order(evidence: Evidence, entries: Sequence[_Entry]) -> None:
    there = {entry.n for entry in entries}
    for at, entry in enumerate(entries):
        n = evidence.first + at
        if entry.n != n:
            raise _fails(n, "deleted" if n not in there else "reordered", f"row {entry.n} stands in its place")
        if at and entry.link_before != sha256(evidence.rows[at - 1].entry.encode()).hexdigest():
            raise _fails(n, "changed", f"it does not follow row {n - 1} as that is here: one of the two was changed")


def _check_in_tree(leaves: Sequence[bytes], first_n: int, head: checkpoints.Checkpoint, proof: Sequence[str]) -> None:
    hashes = [canonical_base64(hash_, "a hash of the proof") for hash_ in proof]
    last_n = first_n + len(leaves) - 1
    if not 1 <= first_n <= last_n <= head.size:
        raise VerificationError(f"rows {first_n} to {last_n} are not in the tree of {head.size} rows that the node signed")
    try:
        found = merkle.root_from_range(leaves, first_n - 1, head.size, hashes)
    except VerificationError:  # it has too few hashes, or too many
        found = b""
    if found != head.root:
        raise VerificationError(
            f"rows {first_n} to {last_n} are not those in the tree of {head.size} rows that the node signed: "
            "rows were changed or left out, or the checkpoint is another's"
        )


def _check_span(evidence: Evidence, entries: Sequence[_Entry], size: int) -> None:
    first, last = entries[0], entries[-1]
    if evidence.from_ns is not None and first.n > 1 and first.at_ns >= evidence.from_ns:
        raise _fails(first.n - 1, "deleted", "the row before the span is missing: more may have been left out")
    if evidence.to_ns is not None and last.n < size and last.at_ns < evidence.to_ns:
        raise _fails(last.n + 1, "deleted", "the row after the span is missing: more may have been left out")


class _Purged(msgspec.Struct, frozen=True):
    """What a purge's facts say, as far as it is asked here."""

    through_n: int = 0
    through_ledger_seq: int = 0


def _purged_through(evidence: Evidence, head: checkpoints.Checkpoint) -> _Purged:
    if evidence.purge is None:
        return _Purged()
    row = evidence.purge.row
    entry = parse_json(row.entry.encode(), _Entry, "an entry")
    _check_in_tree([leaf_hash(row.entry.encode())], entry.n, head, evidence.purge.proof)
    if entry.kind != "retention_purged" or row.facts is None or sha256(row.facts.encode()).hexdigest() != entry.digest:
        raise _fails(entry.n, "changed", "it is not the row of a purge with its facts")
    return parse_json(row.facts.encode(), _Purged, "the facts of a purge")


class _Walk:
    def __init__(self, keys: TrustedKeys, purged: _Purged) -> None:
        self._keys, self._purged = keys, purged
        self._before: tuple[int, str] | None = None  # ledger number and digest of the last receipt
        self._digests: set[str] = set()
        self.receipts: dict[str, str] = {}
        self.models: set[str] = set()
        self.decisions = self.purged = self.unopened = 0

    def take(self, row: Row, entry: _Entry) -> None:
        if (row.facts if entry.kind == "exchange" else row.exchange) is not None:
            raise _fails(entry.n, "changed", f"a row of the kind {entry.kind!r} does not show that: nothing vouches for it")
        if entry.kind != "exchange":
            self._decision(row, entry)
        elif row.exchange is None:
            self._gone(entry, entry.ledger_seq is not None and entry.ledger_seq <= self._purged.through_ledger_seq)
        else:
            self._exchange(row.exchange, entry)

    def _decision(self, row: Row, entry: _Entry) -> None:
        if row.facts is None:
            self._gone(entry, entry.exchange_id is not None and entry.n <= self._purged.through_n)
        elif sha256(row.facts.encode()).hexdigest() != entry.digest:
            raise _fails(entry.n, "changed", "its facts are not those that were written")
        else:
            self.decisions += 1

    def _gone(self, entry: _Entry, excused: bool) -> None:
        if not excused:
            raise _fails(entry.n, "deleted", "its facts are gone, and no purge says so")
        self.purged += 1

    def _exchange(self, shown: Exchange, entry: _Entry) -> None:
        try:
            opened = open_envelope(shown.envelope.encode(), receipts.STATEMENT_MEDIA_TYPE, self._keys)
            claims, previous = receipts.decode(opened.payload)
        except ArtefactError as error:
            raise _fails(entry.n, "forged", f"its receipt does not hold: {error.message}") from error
        digest = sha256(opened.payload).hexdigest()
        if digest in self._digests:
            raise _fails(entry.n, "replayed", f"its receipt is that of exchange {claims.exchange_id}, given again")
        if claims.exchange_id != entry.exchange_id:
            raise _fails(entry.n, "replayed", f"its receipt is of another exchange, {claims.exchange_id}")
        seq = entry.ledger_seq or 0
        if self._before is not None and self._before[0] == seq - 1 and previous != self._before[1]:
            raise _fails(entry.n, "reordered", "its receipt does not follow that of the exchange before")
        self._before = (seq, digest)
        self._open(shown, entry, claims)
        self._digests.add(digest)
        self.receipts[claims.exchange_id] = digest
        if claims.served is not None and claims.served.model_id is not None:
            self.models.add(claims.served.model_id)

    def _open(self, shown: Exchange, entry: _Entry, claims: Claims) -> None:
        ledger = _digest(shown.ledger, shown.ledger_sha256)
        findings = _digest(shown.findings, shown.findings_sha256)
        receipt = _digest(None, shown.receipt_sha256)
        if ledger is None and findings is None and receipt is None:
            self.unopened += 1
            return
        if ledger is None or findings is None or receipt is None:
            raise _fails(entry.n, "changed", "parts of it are shown without what opens its digest: nothing vouches for them")
        if exchange_digest(ledger, findings, receipt, sha256(shown.envelope.encode()).digest()).hex() != entry.digest:
            raise _fails(entry.n, "changed", "its ledger row, findings or receipt are not those that were written")
        if shown.ledger is not None:
            _check_same(entry.n, parse_json(shown.ledger.encode(), dict[str, Any], "a ledger row"), claims)


def _check_same(n: int, ledger: dict[str, Any], claims: Claims) -> None:
    signed: dict[str, object] = {name: getattr(claims, name) for name in ("exchange_id", *_SAME)}
    signed["model_id"] = claims.served and claims.served.model_id
    for name, value in signed.items():
        if ledger.get(name) != value:
            raise _fails(n, "changed", f"{name} is {ledger.get(name)!r}, the receipt was signed over {value!r}")


def _digest(part: str | None, given: str | None) -> bytes | None:
    """Raises MalformedArtefact."""
    if part is not None and given is not None:
        raise MalformedArtefact("a part of an exchange is there twice, as it is and as its digest")
    if part is not None:
        return sha256(part.encode()).digest()
    try:
        return None if given is None else bytes.fromhex(given)
    except ValueError as exc:
        raise MalformedArtefact("a digest in the evidence is not hex") from exc


def _fails(n: int, what: str, detail: str) -> VerificationError:
    return VerificationError(f"row {n}: {what}: {detail}")
