"""Purges what is older than the operator keeps: ledger rows with their findings, receipts' contents, and the facts of decisions
about single exchanges; and kept exchanges, each at its own time. The digests stay, and each purge is a row of the log, so that
the log holds on and says what is gone.

What is purged is always the oldest: of two exchanges the one recorded first. Decisions about the node itself (keys, policies,
purges) are kept: they hold nobody's data and are what an auditor asks for.
"""

import asyncio
import logging
import sqlite3
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from freehold.core.errors import DeviceError
from freehold.core.limits import DAY_NS, time_text
from freehold.core.ports import UnixClock
from freehold.core.sealer import Sealer
from freehold.store import audit
from freehold.store.config import StoreConfig
from freehold.store.content import EXPIRED, expire
from freehold.store.database import connected, open_writer, transaction

EVERY_S = 3600.0
BATCH_ROWS = 2000  # one transaction: some 50 ms during which no answer can be recorded

_OLDEST = "SELECT seq, received_at_ns AS at_ns FROM ledger ORDER BY seq LIMIT ?"
_DECISIONS = "SELECT n AS seq, at_ns FROM audit WHERE exchange_id IS NOT NULL AND facts IS NOT NULL ORDER BY n LIMIT ?"
_LAST_PURGE = "SELECT facts FROM audit WHERE kind = 'retention_purged' AND facts IS NOT NULL ORDER BY n DESC LIMIT 1"
_log = logging.getLogger("freehold.store")


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How much went."""

    exchanges: int = 0
    decisions: int = 0
    kept: int = 0  # exchanges whose content was kept until now

    def __add__(self, other: "Purged") -> "Purged":
        return Purged(
            exchanges=self.exchanges + other.exchanges, decisions=self.decisions + other.decisions, kept=self.kept + other.kept
        )


class Retention:
    """`run` is a task of the node; `purge` is one round of it, and blocks on the disk."""

    def __init__(self, path: Path, config: StoreConfig, sealer: Sealer | None = None, unix_ns: UnixClock = time.time_ns) -> None:
        self._path = path
        self._config = config
        self._sealer = sealer
        self._unix_ns = unix_ns

    async def run(self) -> None:
        """Purge now and every hour, until cancelled. A disk that refuses is tried again in an hour."""
        while True:
            try:
                purged = await asyncio.to_thread(self.purge)
                if purged != Purged():
                    _log.info("retention_purged", extra=asdict(purged))
            except DeviceError as error:
                _log.error("retention_failed", extra={"reason": error.message})
            await asyncio.sleep(EVERY_S)

    def purge(self) -> Purged:
        """Raises DeviceError. Where no retention is set, kept exchanges alone go."""
        days = self._config.retention_days
        before_ns = None if days is None else self._unix_ns() - days * DAY_NS
        total = Purged()
        with connected(open_writer, self._path, self._config.busy_timeout_s) as connection:
            connection.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten, not left in free pages
            while before_ns is not None and (purged := self._batch(connection, before_ns)) != Purged():
                total = total + purged
            while kept := self._expire(connection):
                total = total + Purged(kept=kept)
            if total != Purged():  # what the write-ahead log still holds of it goes, too, where nobody reads just now
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return total

    def _batch(self, connection: sqlite3.Connection, before_ns: int) -> Purged:
        with transaction(connection):
            seq = _through(connection.execute(_OLDEST, (BATCH_ROWS,)), before_ns)
            n = _through(connection.execute(_DECISIONS, (BATCH_ROWS,)), before_ns)
            if seq is None and n is None:
                return Purged()
            done_n, done_seq = purged_through(connection)
            purged = Purged(exchanges=_purge_exchanges(connection, seq or 0), decisions=_purge_decisions(connection, n or 0))
            facts = {
                "before": time_text(before_ns),
                "through_n": max(done_n, n or 0),
                "through_ledger_seq": max(done_seq, seq or 0),
                "exchanges": purged.exchanges,
                "decisions": purged.decisions,
            }
            audit.append(connection, [audit.decision(audit.PURGED, facts, self._unix_ns())], self._sealer)
        return purged

    def _expire(self, connection: sqlite3.Connection) -> int:
        with transaction(connection):
            now_ns = self._unix_ns()
            if count := expire(connection, now_ns, BATCH_ROWS):
                audit.append(connection, [audit.decision(EXPIRED, {"exchanges": count}, now_ns)], self._sealer)
        return count


def purged_through(connection: sqlite3.Connection) -> tuple[int, int]:
    """The last rows of the log and of the ledger that the log says were purged."""
    last = connection.execute(_LAST_PURGE).fetchone()
    facts = orjson.loads(last["facts"]) if last else {}
    return facts.get("through_n", 0), facts.get("through_ledger_seq", 0)


def _through(rows: sqlite3.Cursor, before_ns: int) -> int | None:
    """The last of the first rows that are all old enough."""
    last: int | None = None
    for row in rows:
        if row["at_ns"] >= before_ns:
            break
        last = row["seq"]
    return last


def _purge_exchanges(connection: sqlite3.Connection, through: int) -> int:
    connection.execute("DELETE FROM finding WHERE ledger_seq <= ?", (through,))
    connection.execute("DELETE FROM content WHERE ledger_seq <= ?", (through,))
    connection.execute("UPDATE receipt SET salt = x'', envelope = x'' WHERE ledger_seq <= ? AND envelope <> x''", (through,))
    return connection.execute("DELETE FROM ledger WHERE seq <= ?", (through,)).rowcount


def _purge_decisions(connection: sqlite3.Connection, through: int) -> int:
    query = "UPDATE audit SET facts = NULL WHERE n <= ? AND exchange_id IS NOT NULL AND facts IS NOT NULL"
    return connection.execute(query, (through,)).rowcount
