"""The tamper-evident log: what each row binds, and how rows are added.

Every exchange and every decision is a row of the table `audit`, numbered without a gap. `digest` is SHA-256 over the row's facts:
of a decision its JSON; of an exchange its ledger row, findings and receipt. `link` is SHA-256 over the link and the seal of the
row before, over number, time, kind and names of this one, and over its digest: whoever changes, takes out, adds or swaps rows
breaks the links after them. What a link is taken over is the row's *entry*, which is the leaf of the hash tree, too (`tree.py`).
The last row of each commit is sealed: the node's key signs its number and link, and with them all before. Facts may be purged
later; their digest stays, so that the links hold on.

The digest of an exchange is over digests of its parts, so that one part can be shown without the others: the receipt to an
auditor without the salt, by which a guess at the request could be tried. Earlier releases took it over all parts at once.

What a log cannot show by itself is that its last rows were cut off together with everything that counts them: keep a head (number
and link) elsewhere and compare.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

import orjson

from freehold.core.exchange import ExchangeId
from freehold.core.receipts import exchange_digest
from freehold.core.sealer import Sealer

EXCHANGE = "exchange"  # the kind of a row whose facts are the ledger's
PURGED = "retention_purged"
BEGAN = "log_began"  # the first row, where the ledger is older than the log
KIND_LIMIT_CHARS = 64

_LAST = "SELECT n, link, seal, signed_by FROM audit ORDER BY n DESC LIMIT 1"
_COLUMNS = "n, at_ns, kind, exchange_id, ledger_seq, facts, digest, link, seal, signed_by"
_INSERT = f"INSERT INTO audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our constants


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision for the log. `facts` is canonical JSON without content."""

    kind: str
    facts: str
    at_ns: int
    exchange_id: ExchangeId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of a log: which row was the last, and its link."""

    n: int
    link: bytes

    def __str__(self) -> str:
        return f"{self.n}:{self.link.hex()}"


def decision(kind: str, facts: Mapping[str, object], at_ns: int, exchange_id: ExchangeId | None = None) -> Decision:
    """Raises ValueError for facts that are no plain JSON, or a kind that is the log's own."""
    if kind == EXCHANGE or not kind or len(kind) > KIND_LIMIT_CHARS:
        raise ValueError(f"a decision's kind is 1 to {KIND_LIMIT_CHARS} characters and not {EXCHANGE!r}, got {kind[:80]!r}")
    try:
        text = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS).decode()
    except TypeError as exc:
        raise ValueError(f"the facts of a {kind!r} decision are no plain JSON: {exc}") from exc
    return Decision(kind=kind, facts=text, at_ns=at_ns, exchange_id=exchange_id)


def facts_digest(facts: str) -> bytes:
    return sha256(facts.encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeParts:
    """What the file holds of one exchange, as the file gives it: canonical JSON of its ledger row, findings and receipt's facts,
    and the receipt's envelope. What is NULL is left out: a column added by a later release does not change an older digest."""

    ledger: bytes
    findings: bytes
    receipt: bytes
    envelope: bytes

    def digest(self) -> bytes:
        parts = (self.ledger, self.findings, self.receipt, self.envelope)
        return exchange_digest(*[sha256(part).digest() for part in parts])

    def older_digest(self) -> bytes:
        """As releases before the tree took it."""
        return sha256(b"[%b,%b,%b]%b" % (self.ledger, self.findings, self.receipt, self.envelope)).digest()


def exchange_parts(
    ledger: Mapping[str, object], findings: Sequence[Mapping[str, object]], receipt: Mapping[str, object], envelope: bytes
) -> ExchangeParts:
    return ExchangeParts(
        ledger=_canonical(_held(ledger)),
        findings=_canonical([_held(finding) for finding in findings]),
        receipt=_canonical(_held(receipt)),
        envelope=envelope,
    )


def receipt_facts(digest: str, signed_by: str, salt: bytes) -> dict[str, object]:
    """What the log binds of a receipt beside its envelope."""
    return {"digest": digest, "signed_by": signed_by, "salt": salt.hex()}


def _canonical(facts: object) -> bytes:
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)


def _held(row: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if value is not None}


Before: TypeAlias = tuple[bytes, bytes | None, str | None]  # link, seal and signer of the row before


def entry_of(before: Before, n: int, at_ns: int, kind: str, names: Sequence[object], digest: bytes) -> bytes:
    """What a row binds, as JSON: the row before, itself, and its digest. `names` are the exchange's id and its ledger number."""
    link, seal, signed_by = before
    return orjson.dumps([link.hex(), seal and seal.hex(), signed_by, n, at_ns, kind, *names, digest.hex()])


def link_of(entry: bytes) -> bytes:
    return sha256(entry).digest()


def seal_message(n: int, link: bytes) -> bytes:
    """What a seal signs. Its first words keep it apart from all else that the key signs."""
    return b"freehold-log-v1 %d %b" % (n, link.hex().encode())


BEFORE_THE_FIRST: Before = (b"", None, None)


class LogEnd:
    """The end of the log within one transaction: rows are added, and the last one is sealed when they are written."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        last = connection.execute(_LAST).fetchone()
        self._n: int = last["n"] if last else 0
        self._before = (last["link"], last["seal"], last["signed_by"]) if last else BEFORE_THE_FIRST
        older = None if last else connection.execute("SELECT max(seq) FROM ledger").fetchone()[0]
        self._older: int | None = older  # the last exchange that a release without a log recorded
        self._rows: list[tuple[object, ...]] = []

    def add_exchange(self, ledger_seq: int, exchange_id: str, at_ns: int, digest: bytes) -> None:
        self._add(at_ns, EXCHANGE, exchange_id, ledger_seq, None, digest)

    def add(self, one: Decision) -> None:
        self._add(one.at_ns, one.kind, one.exchange_id, None, one.facts, facts_digest(one.facts))

    def _begin(self, at_ns: int) -> None:
        older, self._older = self._older, None
        if older is not None:
            self.add(decision(BEGAN, {"older_ledger_seq": older}, at_ns))

    def _add(
        self, at_ns: int, kind: str, exchange_id: str | None, ledger_seq: int | None, facts: str | None, digest: bytes
    ) -> None:
        self._begin(at_ns)
        self._n += 1
        link = link_of(entry_of(self._before, self._n, at_ns, kind, (exchange_id, ledger_seq), digest))
        self._before = (link, None, None)
        self._rows.append((self._n, at_ns, kind, exchange_id, ledger_seq, facts, digest, link))

    def write(self, sealer: Sealer | None) -> None:
        """Insert what was added. Without a sealer the rows wait for the next one's seal."""
        if not self._rows:
            return
        *others, last = self._rows
        seal = (None, None) if sealer is None else (sealer.sign(seal_message(self._n, self._before[0])), str(sealer.key_id))
        self._connection.executemany(_INSERT, [*((*row, None, None) for row in others), (*last, *seal)])
        self._before = (self._before[0], *seal)
        self._rows.clear()


def append(connection: sqlite3.Connection, decisions: Iterable[Decision], sealer: Sealer | None = None) -> None:
    """Add decisions inside the caller's transaction: what they are about and the log stand or fall together."""
    end = LogEnd(connection)
    for one in decisions:
        end.add(one)
    end.write(sealer)
