"""Opens the SQLite file: its pragmas, its mode, and how its errors read.

WAL, so that readers never wait for the writer; `synchronous=FULL`, so that a commit is on the disk when it returns; 0600, because
salts and key digests are in it.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from freehold.core.errors import DeviceError
from freehold.store.schema import migrate

WRITER_CACHE_KIB = 512  # of SQLite's 2 MiB the rest is pages that were filled and are not looked at again: a row takes as long

for _kind in (type(None), bytes):  # which sqlite3 asks three protocols about, else: half the time of a row with many NULLs
    sqlite3.register_adapter(_kind, lambda value: value)


def open_writer(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """A connection that may write; makes the file and brings its schema up to date."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
    except OSError as exc:
        raise DeviceError(f"cannot open the record {path}: {exc.strerror}; check its owner, mode and disk") from exc
    connection = _connect(path, busy_timeout_s)
    try:
        with translated(path):
            _enter_wal(connection, busy_timeout_s)
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA cache_size=-{WRITER_CACHE_KIB}")
            migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _make(path: Path) -> None:
    """The file, empty and private, where there is none.

    One that is there is never opened here: closing any handle of a file drops all locks that this process has on it
    (sqlite.org/howtocorrupt.html §2.2), and another process, on its way out, would delete the write-ahead log under us.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def open_reader(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """A connection that refuses to write. Not SQLite's read-only mode, which cannot make the shared memory that WAL needs."""
    connection = _connect(path, busy_timeout_s)
    try:
        with translated(path):
            connection.execute("PRAGMA query_only=1")
            migrate(connection, path, may_write=False)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def connected(
    opener: Callable[[Path, float], sqlite3.Connection], path: Path, busy_timeout_s: float
) -> Iterator[sqlite3.Connection]:
    """A connection for as long as the block lasts. What SQLite says in it is raised as DeviceError."""
    with contextlib.closing(opener(path, busy_timeout_s)) as connection, translated(path):
        yield connection


def _enter_wal(connection: sqlite3.Connection, busy_timeout_s: float) -> None:
    """SQLite does not wait for its lock here, so of several processes that start on a fresh file all but one must try again."""
    deadline_s = time.monotonic() + busy_timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as exc:
            if not exc.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)


def _connect(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    with translated(path):
        # mode=rw: a path that is gone is an error here, never a fresh empty record.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        return connection


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise DeviceError(trouble(path, exc)) from exc


def trouble(path: Path, exc: sqlite3.Error) -> str:
    """What is wrong, in words, and what to do."""
    name = getattr(exc, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL"):
        return f"the disk of {path} is full; free some space"
    if name.startswith("SQLITE_READONLY"):
        return f"{path} cannot be written: it or its directory is read-only"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"{path} is held by another process for too long; look for a hung freehold or a backup that locks it"
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return f"{path} is damaged or no record of Freehold's; move it away and restore a backup, or start a new one"
    if name.startswith("SQLITE_CANTOPEN") and not path.exists():
        return f"there is no record at {path}: the node makes it at its first start"
    if name.startswith("SQLITE_CANTOPEN") and path.is_dir():
        return f"{path} is a folder, and no record; name a file in it"
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR")):
        return f"the disk of {path} fails or the file is gone ({name}); check the disk"
    return f"{path}: {exc}"


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. IMMEDIATE takes the write lock at once, so that what is read inside is still true at the commit."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
