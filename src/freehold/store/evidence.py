"""What the log's rows may show to others: each entry, and what its digest is over. No content, and no salt of a receipt."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from freehold.store.audit import EXCHANGE, PURGED, ExchangeParts, exchange_parts, facts_digest, receipt_facts
from freehold.store.rows import FINDING_NAMES
from freehold.store.tree import TreeBroken, entries

_LEDGER = "SELECT * FROM ledger WHERE seq = ?"
_FINDINGS = "SELECT * FROM finding WHERE ledger_seq = ? ORDER BY n"
_RECEIPT = "SELECT digest, signed_by, salt, envelope FROM receipt WHERE ledger_seq = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownExchange:
    """`ledger` and `findings` are JSON, None of a row whose digest an earlier release made: it opens only with the salt."""

    envelope: bytes
    ledger: bytes | None = None
    findings: bytes | None = None
    receipt_sha256: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRow:
    """Without facts and exchange: purged."""

    n: int
    entry: bytes
    facts: str | None = None
    exchange: ShownExchange | None = None


def shown(connection: sqlite3.Connection, first_n: int, last_n: int) -> Iterator[ShownRow]:
    """Rows `first_n` to `last_n`. Raises TreeBroken for one that is not as it was written."""
    for row, entry in entries(connection, first_n, last_n):
        facts, exchange = row["facts"], None
        if row["kind"] == EXCHANGE:
            exchange = _exchange(connection, row)
        elif facts is not None and facts_digest(facts) != row["digest"]:
            raise _broken(row["n"])
        yield ShownRow(n=row["n"], entry=entry, facts=facts, exchange=exchange)


def last_purge(connection: sqlite3.Connection, last_n: int) -> int | None:
    """The row that says what was purged, if that is among the first `last_n`."""
    query = "SELECT n FROM audit WHERE kind = ? AND n <= ? ORDER BY n DESC LIMIT 1"
    row = connection.execute(query, (PURGED, last_n)).fetchone()
    return None if row is None else int(row["n"])


def row_of(connection: sqlite3.Connection, exchange_id: str) -> int | None:
    """The row of an exchange."""
    query = "SELECT audit.n FROM ledger JOIN audit ON audit.ledger_seq = ledger.seq WHERE ledger.exchange_id = ?"
    row = connection.execute(query, (exchange_id,)).fetchone()
    if row is None:  # purged: the log has its name still
        query = "SELECT n FROM audit WHERE kind = 'exchange' AND exchange_id = ?"
        row = connection.execute(query, (exchange_id,)).fetchone()
    return None if row is None else int(row["n"])


def _exchange(connection: sqlite3.Connection, row: sqlite3.Row) -> ShownExchange | None:
    seq = row["ledger_seq"]
    ledger = connection.execute(_LEDGER, (seq,)).fetchone()
    if ledger is None:
        return None
    receipt = connection.execute(_RECEIPT, (seq,)).fetchone()
    if receipt is None:
        raise _broken(row["n"])
    findings = [{name: one[name] for name in FINDING_NAMES} for one in connection.execute(_FINDINGS, (seq,))]
    facts = receipt_facts(receipt["digest"], receipt["signed_by"], receipt["salt"])
    return _opened(row, exchange_parts(dict(ledger), findings, facts, receipt["envelope"]))


def _opened(row: sqlite3.Row, parts: ExchangeParts) -> ShownExchange:
    if row["digest"] == parts.digest():
        secret = sha256(parts.receipt).digest()
        return ShownExchange(envelope=parts.envelope, ledger=parts.ledger, findings=parts.findings, receipt_sha256=secret)
    if row["digest"] == parts.older_digest():
        return ShownExchange(envelope=parts.envelope)
    raise _broken(row["n"])


def _broken(n: int) -> TreeBroken:
    return TreeBroken(f"row {n} of the log is not as it was written; see: freehold log verify")
