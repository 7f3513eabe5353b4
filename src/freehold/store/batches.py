"""Batches and their lines, durably. Implements `core.ports.BatchStore`.

A line is answered exactly once, whenever the node ends: its answer is appended to the batch's output, flushed to the disk, and
only then counted, in one transaction with the line's state and the length that the output has now. What was appended and not
counted is cut off before the next append, and the line runs again. A line's state goes back to waiting when the node starts.
"""

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import msgspec
import orjson

from freehold.core.batches import ENDED, Batch, BatchStatus, Line, StoredFile
from freehold.core.deferral import NOTHING_SAVED, Saving, Turn
from freehold.core.errors import NotFound, os_errors
from freehold.core.exchange import KeyId
from freehold.store.batch_files import BatchFiles, insert_file, new_file_id
from freehold.store.config import StoreConfig

Kind = Literal["output", "error"]
_SAVE = "UPDATE batch SET status = ?, is_over = ?, facts = ? WHERE id = ?"
_INSERT = "INSERT INTO batch (id, key_id, status, is_over, input_file_id, created_at_s, facts) VALUES (?, ?, ?, 0, ?, ?, ?)"
_LINE = "batch_id, n, at, size_bytes, attempts"
_TAKE = f"SELECT {_LINE} FROM batch_line WHERE batch_id = ? AND state = 0 ORDER BY n LIMIT ?"  # noqa: S608 - our constants
_LEFT = f"SELECT {_LINE} FROM batch_line WHERE batch_id = ? AND state <> 2 AND n >= ? ORDER BY n LIMIT ?"  # noqa: S608
_COUNT = """
    UPDATE batch_output SET pieces = pieces + 1, sealed_bytes = sealed_bytes + ?, size_bytes = size_bytes + ? WHERE file_id = ?
"""
_SPENT = "SELECT turn, energy_j FROM ledger WHERE turn IS NOT NULL AND json_extract(turn, '$.batch') = ? ORDER BY seq"
_AFTER = " AND seq < (SELECT seq FROM batch WHERE id = ?)"
_OVER = "SELECT id, facts FROM batch WHERE is_over = 1 AND created_at_s < ?"
_GROUP: Final = 1000
_decoder: Final = msgspec.json.Decoder(Batch)

Change = Callable[[Batch], Batch]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Output:
    """How far a batch's answers, or its errors, are written."""

    file_id: str
    pieces: int
    sealed_bytes: int
    size_bytes: int


class Batches(BatchFiles):
    def __init__(self, record: Path, folder: Path, secret: bytes, config: StoreConfig | None = None) -> None:
        super().__init__(record, folder, secret, config)
        self._claim: int | None = None  # the open lock file

    def create(self, batch: Batch) -> Batch:
        """Its input file must be the key's own. Raises NotFound."""
        with self._writing() as connection:
            self.file(batch.input_file_id, batch.key_id)
            values = (batch.id, batch.key_id, batch.status, batch.input_file_id, batch.created_at_s, _facts(batch))
            connection.execute(_INSERT, values)
        return batch

    def batch(self, batch_id: str, key_id: KeyId | None = None) -> Batch:
        """Raises NotFound; for another key's batch, too, where a key is given."""
        with self._reading() as connection:
            return _get(connection, batch_id, key_id)

    def batches(self, key_id: KeyId | None, *, after: str | None, limit: int) -> tuple[list[Batch], bool]:
        """The newest first, and whether there are more."""
        where, values = ("key_id = ?", [key_id]) if key_id is not None else ("1 = 1", [])
        if after is not None:
            self.batch(after, key_id)
            where, values = where + _AFTER, [*values, KeyId(after)]
        with self._reading() as connection:
            query = f"SELECT facts FROM batch WHERE {where} ORDER BY seq DESC LIMIT ?"  # noqa: S608 - our own words
            rows = connection.execute(query, (*values, limit + 1)).fetchall()
        return [_decoder.decode(row["facts"]) for row in rows[:limit]], len(rows) > limit

    def unfinished(self, key_id: KeyId | None = None) -> list[Batch]:
        """Those not over, oldest first."""
        with self._reading() as connection:
            rows = connection.execute("SELECT key_id, facts FROM batch WHERE is_over = 0 ORDER BY seq").fetchall()
        return [_decoder.decode(row["facts"]) for row in rows if key_id in (None, row["key_id"])]

    def claim(self) -> bool:
        """Whether this process may run batches: of several nodes with one home one may, until it ends."""
        if self._claim is None:
            with os_errors(f"cannot open {self._folder / 'lock'}"):
                claim = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(claim)
                return False
            self._claim = claim
        return True

    def close(self) -> None:
        super().close()
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def change(self, batch_id: str, change: Change) -> Batch:
        """Read, change, write, as one. What `change` raises leaves all as it was."""
        with self._writing() as connection:
            return _change(connection, batch_id, change)

    def add_lines(self, batch_id: str, lines: Iterable[tuple[int, int]], change: Change) -> Batch:
        """The batch's lines, as (at, bytes) in its input file, together with the change that they bring."""
        with self._writing() as connection:
            connection.execute("DELETE FROM batch_line WHERE batch_id = ?", (batch_id,))
            rows = ((batch_id, n, at, size_bytes) for n, (at, size_bytes) in enumerate(lines))
            connection.executemany("INSERT INTO batch_line (batch_id, n, at, size_bytes) VALUES (?, ?, ?, ?)", rows)
            return _change(connection, batch_id, change)

    def take(self, batch_id: str, limit: int) -> list[Line]:
        """The next lines; from here on they are running. That an attempt began is durable."""
        with self._writing() as connection:
            lines = [_line_of(row) for row in connection.execute(_TAKE, (batch_id, limit))]
            begun = [(batch_id, line.n) for line in lines]
            connection.executemany("UPDATE batch_line SET state = 1, attempts = attempts + 1 WHERE batch_id = ? AND n = ?", begun)
        return [replace(line, attempts=line.attempts + 1) for line in lines]

    def give_back(self, line: Line, *, counts: bool) -> None:
        """It was not answered and waits again. An attempt that does not count was ended by the node, not by the line."""
        back = "UPDATE batch_line SET state = 0, attempts = attempts - ? WHERE batch_id = ? AND n = ? AND state = 1"
        with self._writing() as connection:
            connection.execute(back, (0 if counts else 1, line.batch_id, line.n))

    def answer(self, lines: Sequence[Line], kind: Kind, answer: bytes, change: Change) -> bool:
        """Write what the lines came to, once. False, and nothing done, where one has an answer or the batch is over."""
        batch_id = lines[0].batch_id
        with self._lock:
            with self._reading() as connection:
                if _get(connection, batch_id).is_over or not all(_is_open(connection, line) for line in lines):
                    return False
                output = self._output(connection, batch_id, kind)
                sealed = self.sealed(output.file_id)
                sealed.cut(output.sealed_bytes)
                written_bytes = sealed.append(answer, output.pieces)
            with self._writing() as connection:
                connection.execute(_COUNT, (written_bytes, len(answer), output.file_id))
                answered = [(batch_id, line.n) for line in lines]
                connection.executemany("UPDATE batch_line SET state = 2 WHERE batch_id = ? AND n = ?", answered)
                _change(connection, batch_id, change)
        return True

    def left(self, batch_id: str) -> Iterator[Line]:
        """Lines without an answer, in order."""
        n = 0
        while True:
            with self._reading() as connection:
                lines = [_line_of(row) for row in connection.execute(_LEFT, (batch_id, n, _GROUP))]
            if not lines:
                return
            yield from lines
            n = lines[-1].n + 1

    def finish(self, batch_id: str, status: BatchStatus, at_s: int, *, ttl_s: int) -> Batch:
        """It is over: its outputs become files of its key. Lines without an answer are forgotten."""
        with self._writing() as connection:
            batch = _get(connection, batch_id)
            named = {kind: self._publish(connection, batch, kind, at_s, ttl_s) for kind in ("output", "error")}
            connection.execute("DELETE FROM batch_line WHERE batch_id = ?", (batch_id,))
            connection.execute("DELETE FROM batch_output WHERE batch_id = ?", (batch_id,))

            def over(batch: Batch) -> Batch:
                moments = {**batch.moments, status.value: at_s}
                return replace(
                    batch,
                    status=status,
                    moments=moments,
                    output_file_id=named["output"],
                    error_file_id=named["error"],
                    saving=_saving(connection, batch_id),
                )

            return _change(connection, batch_id, over)

    def saving(self, batch_id: str) -> Saving:
        """What waiting spared, out of the ledger's rows of the batch's exchanges."""
        with self._reading() as connection:
            return _saving(connection, batch_id)

    def recover(self) -> int:
        """Lines that were running when the node ended wait again. Gives how many."""
        with self._writing() as connection:
            return connection.execute("UPDATE batch_line SET state = 0 WHERE state = 1").rowcount

    def purge_batches(self, before_s: float) -> int:
        """Forget batches that were over before then."""
        with self._writing() as connection:
            rows = connection.execute(_OVER, (before_s,)).fetchall()
            batches = [_decoder.decode(row["facts"]) for row in rows]
            gone = [(batch.id,) for batch in batches if batch.moments.get(batch.status.value, 0) < before_s]
            connection.executemany("DELETE FROM batch WHERE id = ?", gone)
        return len(gone)

    def _output(self, connection: sqlite3.Connection, batch_id: str, kind: Kind) -> _Output:
        """The file that answers go to; made with the first."""
        if (output := _output_of(connection, batch_id, kind)) is not None:
            return output
        output = _Output(file_id=new_file_id(), pieces=0, sealed_bytes=0, size_bytes=0)
        self.sealed(output.file_id).create()
        insert = "INSERT INTO batch_output (batch_id, kind, file_id, pieces, sealed_bytes, size_bytes) VALUES (?, ?, ?, 0, 0, 0)"
        connection.execute(insert, (batch_id, kind, output.file_id))
        return output

    def _publish(self, connection: sqlite3.Connection, batch: Batch, kind: Kind, at_s: int, ttl_s: int) -> str | None:
        if (output := _output_of(connection, batch.id, kind)) is None:
            return None
        try:
            self.sealed(output.file_id).cut(output.sealed_bytes)
        except NotFound:  # somebody took it from the disk
            return None
        file = StoredFile(
            id=output.file_id,
            key_id=batch.key_id,
            purpose="batch_output",
            filename=f"{batch.id}_{kind}.jsonl",
            size_bytes=output.size_bytes,
            created_at_s=at_s,
            expires_at_s=at_s + ttl_s,
        )
        insert_file(connection, file)
        return file.id


def new_batch_id() -> str:
    return f"batch_{secrets.token_hex(16)}"


def _get(connection: sqlite3.Connection, batch_id: str, key_id: KeyId | None = None) -> Batch:
    row = connection.execute("SELECT key_id, facts FROM batch WHERE id = ?", (batch_id,)).fetchone()
    if row is None or key_id not in (None, row["key_id"]):
        raise NotFound("no batch with this id among this key's batches", code="batch_not_found")
    return _decoder.decode(row["facts"])


def _output_of(connection: sqlite3.Connection, batch_id: str, kind: Kind) -> _Output | None:
    query = "SELECT file_id, pieces, sealed_bytes, size_bytes FROM batch_output WHERE batch_id = ? AND kind = ?"
    row = connection.execute(query, (batch_id, kind)).fetchone()
    return None if row is None else _Output(**dict(row))


def _change(connection: sqlite3.Connection, batch_id: str, change: Change) -> Batch:
    batch = change(_get(connection, batch_id))
    connection.execute(_SAVE, (batch.status, batch.status in ENDED, _facts(batch), batch_id))
    return batch


def _is_open(connection: sqlite3.Connection, line: Line) -> bool:
    row = connection.execute("SELECT state FROM batch_line WHERE batch_id = ? AND n = ?", (line.batch_id, line.n)).fetchone()
    return row is not None and row["state"] != 2


def _saving(connection: sqlite3.Connection, batch_id: str) -> Saving:
    saving = NOTHING_SAVED
    for row in connection.execute(_SPENT, (batch_id,)):
        saving = saving.plus(Turn(**orjson.loads(row["turn"])), row["energy_j"])
    return saving


def _facts(batch: Batch) -> str:
    return msgspec.json.encode(batch).decode()


def _line_of(row: sqlite3.Row) -> Line:
    return Line(**dict(row))
