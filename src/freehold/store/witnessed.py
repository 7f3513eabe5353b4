"""The tree heads of other nodes' logs that this node has cosigned last: one a log, advanced in one step or not at all."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from freehold.store.database import transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The last tree head of a log that was cosigned; of size 0 before the first."""

    size: int = 0
    root: bytes = b""


def seen(connection: sqlite3.Connection, origin: str) -> Seen:
    row = connection.execute("SELECT size, root FROM witnessed WHERE origin = ?", (origin,)).fetchone()
    return Seen() if row is None else Seen(size=row["size"], root=row["root"])


def advance(connection: sqlite3.Connection, origin: str, to: Seen, note: str, at_ns: int, check: Callable[[Seen], None]) -> None:
    """Replace what was seen of `origin`, if `check` lets it: what that raises leaves all as it was.

    Under the write lock, or two submissions at once could both continue the same tree.
    """
    with transaction(connection):
        check(seen(connection, origin))
        connection.execute(
            "INSERT INTO witnessed (origin, size, root, note, at_ns) VALUES (?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET "
            "size = excluded.size, root = excluded.root, note = excluded.note, at_ns = excluded.at_ns",
            (origin, to.size, to.root, note, at_ns),
        )
