"""Reads the record while it is being written: implements `core.ports.LedgerReader`.

Connections are kept in a pool and lent to one caller at a time, so any number of threads may read, and none waits for the writer.
"""

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from freehold.core.exchange import ExchangeId, KeyId
from freehold.core.findings import Finding
from freehold.core.ledger import LedgerEntry
from freehold.core.ports import StoredReceipt
from freehold.core.receipts import Receipt
from freehold.store.config import StoreConfig
from freehold.store.database import open_reader, translated
from freehold.store.rows import entry_of, finding_of

_RECEIPT = """
    SELECT exchange_id, key_id, digest, signed_by, salt, envelope
    FROM ledger JOIN receipt ON receipt.ledger_seq = ledger.seq WHERE exchange_id = ?
"""
_FINDINGS = "SELECT * FROM finding WHERE ledger_seq BETWEEN ? AND ? ORDER BY ledger_seq, n"


class RecordReader:
    """Raises DeviceError where the record cannot be read. `close` when no thread reads any more."""

    def __init__(self, path: Path, config: StoreConfig | None = None) -> None:
        self._path = path
        self._busy_timeout_s = (config or StoreConfig()).busy_timeout_s
        self._idle: deque[sqlite3.Connection] = deque()

    def after(self, seq: int, limit: int) -> list[tuple[int, LedgerEntry]]:
        return self._entries("SELECT * FROM ledger WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit))

    def recent(self, limit: int) -> list[tuple[int, LedgerEntry]]:
        return self._entries("SELECT * FROM ledger ORDER BY seq DESC LIMIT ?", (limit,))

    def receipt(self, exchange_id: ExchangeId) -> StoredReceipt | None:
        with self._lent() as connection:
            row = connection.execute(_RECEIPT, (exchange_id,)).fetchone()
        if row is None:
            return None
        receipt = Receipt(
            exchange_id=ExchangeId(row["exchange_id"]),
            envelope=row["envelope"],
            digest=row["digest"],
            signed_by=KeyId(row["signed_by"]),
        )
        return StoredReceipt(receipt=receipt, salt=row["salt"], key_id=KeyId(row["key_id"]))

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _entries(self, query: str, parameters: tuple[int, ...]) -> list[tuple[int, LedgerEntry]]:
        with self._lent() as connection:
            rows = connection.execute(query, parameters).fetchall()
            findings = _findings(connection, [row["seq"] for row in rows])
        return [(row["seq"], entry_of(row, tuple(findings.get(row["seq"], ())))) for row in rows]

    @contextmanager
    def _lent(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = open_reader(self._path, self._busy_timeout_s)
        try:
            with translated(self._path):
                yield connection
        except BaseException:
            connection.close()  # whatever state it is in, the next caller gets a fresh one
            raise
        self._idle.append(connection)


def _findings(connection: sqlite3.Connection, seqs: list[int]) -> dict[int, list[Finding]]:
    found: dict[int, list[Finding]] = {}
    if seqs:
        for row in connection.execute(_FINDINGS, (min(seqs), max(seqs))):
            found.setdefault(row["ledger_seq"], []).append(finding_of(row))
    return found
