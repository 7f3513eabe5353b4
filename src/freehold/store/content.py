"""Kept exchanges in the record: listed, read and deleted by themselves. What is stored is encrypted before it comes here.

Deleting one leaves its receipt, with the digest of what was kept, and a row of the log that says it was deleted; so does showing
it to a person.
"""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from freehold.core.exchange import ExchangeId
from freehold.core.ports import UnixClock
from freehold.core.sealer import Sealer
from freehold.store import audit
from freehold.store.config import StoreConfig
from freehold.store.database import connected, open_reader, open_writer, transaction

DELETED = "content_deleted"
EXPIRED = "content_expired"
SHOWN = "content_shown"

INSERT_CONTENT = "INSERT INTO content (ledger_seq, exchange_id, until_ns, encrypted) VALUES (?, ?, ?, ?)"
_LIST = """
    SELECT content.exchange_id, received_at_ns, until_ns, key_id, team, model, length(encrypted) AS stored_bytes
    FROM content JOIN ledger ON ledger.seq = content.ledger_seq ORDER BY ledger_seq DESC LIMIT ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRow:
    """What can be told of a kept exchange without opening it. Times are Unix nanoseconds."""

    exchange_id: str
    received_at_ns: int
    until_ns: int
    key_id: str
    team: str | None
    model: str
    stored_bytes: int


class ContentStore:
    """Opens the record for each call. Raises DeviceError where it cannot be used."""

    def __init__(
        self, path: Path, config: StoreConfig | None = None, sealer: Sealer | None = None, unix_ns: UnixClock = time.time_ns
    ) -> None:
        self._path = path
        self._busy_timeout_s = (config or StoreConfig()).busy_timeout_s
        self._sealer = sealer
        self._unix_ns = unix_ns

    def list(self, limit: int) -> Sequence[KeptRow]:
        """Newest first."""
        with connected(open_reader, self._path, self._busy_timeout_s) as connection:
            return [KeptRow(**row) for row in connection.execute(_LIST, (limit,))]

    def read(self, exchange_id: ExchangeId) -> bytes | None:
        """As it was encrypted; None where nothing is kept of it any more, or ever was."""
        with connected(open_reader, self._path, self._busy_timeout_s) as connection:
            query = "SELECT encrypted FROM content WHERE exchange_id = ? AND until_ns > ?"
            row = connection.execute(query, (exchange_id, self._unix_ns())).fetchone()
        return None if row is None else row["encrypted"]

    def delete(self, exchange_ids: Sequence[str] | None = None) -> Sequence[str]:
        """Delete what is kept of these, of all where None. Returns the ids of those that there were; each is a row of the log."""
        with connected(open_writer, self._path, self._busy_timeout_s) as connection:
            connection.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten, not left in free pages
            with transaction(connection):
                wanted = exchange_ids
                if wanted is None:
                    wanted = [row["exchange_id"] for row in connection.execute("SELECT exchange_id FROM content")]
                found = [one for one in dict.fromkeys(wanted) if _delete(connection, one)]
                self._log(connection, DELETED, found)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return found

    def note_shown(self, exchange_id: ExchangeId) -> None:
        """A row of the log that says that a person is about to read it."""
        with connected(open_writer, self._path, self._busy_timeout_s) as connection, transaction(connection):
            self._log(connection, SHOWN, [exchange_id])

    def _log(self, connection: sqlite3.Connection, kind: str, exchange_ids: Sequence[str]) -> None:
        at_ns = self._unix_ns()
        decisions = [audit.decision(kind, {"by": "command"}, at_ns, ExchangeId(one)) for one in exchange_ids]
        audit.append(connection, decisions, self._sealer)


def expire(connection: sqlite3.Connection, now_ns: int, limit: int) -> int:
    """Delete up to `limit` kept exchanges whose time is over, inside the caller's transaction."""
    query = "DELETE FROM content WHERE ledger_seq IN (SELECT ledger_seq FROM content WHERE until_ns <= ? LIMIT ?)"
    return connection.execute(query, (now_ns, limit)).rowcount


def _delete(connection: sqlite3.Connection, exchange_id: str) -> bool:
    return connection.execute("DELETE FROM content WHERE exchange_id = ?", (exchange_id,)).rowcount > 0
