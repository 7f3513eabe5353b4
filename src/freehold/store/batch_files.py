"""Files of batches: a row each in the record, and the content sealed in a folder of its own. Half of `core.ports.BatchStore`.

A file exists once its row does. What lies in the folder without a row, as a broken upload does, is removed at the next start.
"""

import contextlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from freehold.core.batches import Purpose, StoredFile
from freehold.core.errors import DeviceError, InvalidRequest, NotFound, os_errors
from freehold.core.exchange import KeyId
from freehold.store.config import StoreConfig
from freehold.store.database import open_writer, transaction, translated
from freehold.store.sealed import PIECE_BYTES, Sealed

ORPHANED_AFTER_S = 3600.0
_PREFIX = "file-"
_COLUMNS = "id, key_id, purpose, filename, size_bytes, created_at_s, expires_at_s"
_INSERT = f"INSERT INTO batch_file ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our constants
_SELECT = f"SELECT {_COLUMNS} FROM batch_file"  # noqa: S608 - our constants
_IN_USE = "SELECT 1 FROM batch WHERE input_file_id = ? AND is_over = 0"
_AFTER = {"DESC": " AND n < (SELECT n FROM batch_file WHERE id = ?)", "ASC": " AND n > (SELECT n FROM batch_file WHERE id = ?)"}
_EXPIRED = """
    SELECT id FROM batch_file WHERE expires_at_s <= ?
    AND NOT EXISTS (SELECT 1 FROM batch WHERE input_file_id = batch_file.id AND is_over = 0)
"""
_KNOWN = "SELECT id FROM batch_file UNION SELECT file_id FROM batch_output"


class BatchFiles:
    """Thread-safe. Raises DeviceError where the disk or the record cannot be used."""

    def __init__(self, record: Path, folder: Path, secret: bytes, config: StoreConfig | None = None) -> None:
        self._record = record
        self._folder = folder
        self._secret = secret
        self._connection = open_writer(record, (config or StoreConfig()).busy_timeout_s)
        self._lock = threading.RLock()
        with os_errors(f"cannot make {folder}"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chmod(folder, 0o700)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def begin_upload(self) -> "Upload":
        return Upload(self, new_file_id())

    def keep(self, file: StoredFile) -> None:
        """From here on the file exists."""
        with self._writing() as connection:
            insert_file(connection, file)

    def file(self, file_id: str, key_id: KeyId) -> StoredFile:
        """Raises NotFound, for another key's file, too."""
        with self._reading() as connection:
            row = connection.execute(f"{_SELECT} WHERE id = ? AND key_id = ?", (file_id, key_id)).fetchone()
        if row is None:
            raise NotFound("no file with this id among this key's files", code="file_not_found")
        return _file_of(row)

    def files(
        self, key_id: KeyId, *, purpose: str | None, after: str | None, limit: int, newest_first: bool = True
    ) -> tuple[list[StoredFile], bool]:
        """Up to `limit`, and whether there are more."""
        way = "DESC" if newest_first else "ASC"
        where, values = "key_id = ?", [str(key_id)]
        if purpose is not None:
            where, values = f"{where} AND purpose = ?", [*values, purpose]
        if after is not None:
            self.file(after, key_id)
            where, values = where + _AFTER[way], [*values, after]
        with self._reading() as connection:
            rows = connection.execute(f"{_SELECT} WHERE {where} ORDER BY n {way} LIMIT ?", (*values, limit + 1)).fetchall()
        return [_file_of(row) for row in rows[:limit]], len(rows) > limit

    def pieces(self, file: StoredFile) -> Iterator[bytes]:
        """The content in order. Raises DeviceError for one that is shorter than it was."""
        size_bytes = 0
        for piece in self.sealed(file.id).pieces():
            size_bytes += len(piece)
            yield piece
        if size_bytes != file.size_bytes:
            raise DeviceError(f"file {file.id} has {size_bytes} bytes of {file.size_bytes}; the disk lost the rest")

    def read(self, file_id: str, at: int, size_bytes: int) -> bytes:
        """A part of an uploaded file."""
        return self.sealed(file_id).read(at, size_bytes)

    def delete_file(self, file_id: str, key_id: KeyId) -> None:
        """Raises NotFound, and InvalidRequest while a batch still reads it."""
        with self._writing() as connection:
            self.file(file_id, key_id)
            if connection.execute(_IN_USE, (file_id,)).fetchone():
                raise InvalidRequest("a batch still reads this file; cancel the batch first", code="file_in_use")
            connection.execute("DELETE FROM batch_file WHERE id = ?", (file_id,))
        self.sealed(file_id).delete()

    def stored_bytes(self) -> int:
        with self._reading() as connection:
            files = connection.execute("SELECT coalesce(sum(size_bytes), 0) FROM batch_file").fetchone()[0]
            spools = connection.execute("SELECT coalesce(sum(size_bytes), 0) FROM batch_output").fetchone()[0]
        return int(files + spools)

    def purge_files(self, now_s: float) -> int:
        """Remove what has expired and no batch reads. Gives how many went."""
        with self._writing() as connection:
            gone = [row["id"] for row in connection.execute(_EXPIRED, (int(now_s),))]
            connection.executemany("DELETE FROM batch_file WHERE id = ?", [(file_id,) for file_id in gone])
        for file_id in gone:
            self.sealed(file_id).delete()
        return len(gone)

    def remove_orphans(self, now_s: float) -> None:
        """What broken uploads left. One that still comes in was written to of late."""
        paths = [path for path in self._folder.iterdir() if path.name.startswith(_PREFIX)]
        with self._reading() as connection:
            known = {row[0] for row in connection.execute(_KNOWN)}
        for path in paths:
            if path.name not in known and _written_at_s(path) < now_s - ORPHANED_AFTER_S:
                path.unlink(missing_ok=True)

    def sealed(self, file_id: str) -> Sealed:
        return Sealed(self._folder / file_id, self._secret)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self._record):
            yield self._connection

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self._record), transaction(self._connection):
            yield self._connection


class Upload:
    """A file that is coming in. It is nobody's until `finish`."""

    def __init__(self, files: BatchFiles, file_id: str) -> None:
        self._files = files
        self._sealed = files.sealed(file_id)
        self._sealed.create()
        self._pending = bytearray()
        self._pieces = 0
        self.file_id = file_id
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        self.size_bytes += len(data)
        self._pending += data
        while len(self._pending) >= PIECE_BYTES:
            self._append(bytes(self._pending[:PIECE_BYTES]))
            del self._pending[:PIECE_BYTES]

    def finish(self, *, key_id: KeyId, purpose: Purpose, filename: str, created_at_s: int, expires_at_s: int) -> StoredFile:
        if self._pending:
            self._append(bytes(self._pending))
        self._sealed.sync()
        file = StoredFile(
            id=self.file_id,
            key_id=key_id,
            purpose=purpose,
            filename=filename,
            size_bytes=self.size_bytes,
            created_at_s=created_at_s,
            expires_at_s=expires_at_s,
        )
        self._files.keep(file)
        return file

    def abort(self) -> None:
        self._sealed.delete()

    def _append(self, piece: bytes) -> None:
        self._sealed.append(piece, self._pieces, durable=False)
        self._pieces += 1


def new_file_id() -> str:
    return f"{_PREFIX}{secrets.token_hex(16)}"


def _written_at_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")  # gone meanwhile


def insert_file(connection: sqlite3.Connection, file: StoredFile) -> None:
    row = (file.id, file.key_id, file.purpose, file.filename, file.size_bytes, file.created_at_s, file.expires_at_s)
    connection.execute(_INSERT, row)


def _file_of(row: sqlite3.Row) -> StoredFile:
    return StoredFile(**{name: row[name] for name in _COLUMNS.split(", ")})
