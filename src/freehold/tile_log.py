"""The node's log as others see it: its tree grown, its heads signed, its static files given out. Knows the store and provenance.

All of it blocks on the disk: call it off the event loop. Any process of the node may call it, the running node and commands
alike; the record's write lock decides the order. What the tree is missing it takes from the rows, also after a crash or from a
record that an earlier release wrote.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from freehold.core import merkle
from freehold.core.errors import DeviceError, MalformedArtefact, VerificationError
from freehold.core.exchange import KeyId
from freehold.core.ports import UnixClock
from freehold.core.sealer import Sealer
from freehold.provenance import checkpoint as checkpoints
from freehold.provenance import tiles, witness
from freehold.provenance.files import write_durably
from freehold.provenance.keys import NodeKey
from freehold.provenance.note import COSIGNATURE, ED25519, NoteKey, NoteSignature
from freehold.provenance.tiles import CHECKPOINT, ENTRIES, WIDTH, Tile
from freehold.store import tree
from freehold.store.config import StoreConfig
from freehold.store.database import connected, open_reader, open_writer, transaction
from freehold.store.tree import Checkpoint, Head, Tree, TreeBroken


def origin_of(configured: str | None, key_id: KeyId) -> str:
    """The name of a node's log, and of its key in notes."""
    return configured or f"freehold/{key_id}"


class TileLog:
    """Implements `core.ports.LogFiles`."""

    def __init__(
        self, path: Path, config: StoreConfig, key: NodeKey, origin: str | None = None, unix_ns: UnixClock = time.time_ns
    ) -> None:
        self._path, self._config, self._key, self._unix_ns = path, config, key, unix_ns
        self.origin = origin_of(origin, key.key_id)
        self._broken: str | None = None  # what making the tree anew did not mend: it is not tried again and again

    @property
    def sealer(self) -> Sealer:
        return self._key

    @property
    def log_key(self) -> NoteKey:
        return NoteKey(name=self.origin, kind=ED25519, public=self._key.public)

    @property
    def witness_key(self) -> NoteKey:
        """What this node's own cosignatures are told by."""
        return NoteKey(name=self.origin, kind=COSIGNATURE, public=self._key.public)

    def publish(self) -> Checkpoint | None:
        """Grow the tree to the last sealed row and sign its head; the last checkpoint where nothing came, None of an empty log.

        Raises TreeBroken where the rows are no longer those that the last checkpoint was signed over, DeviceError.
        """
        with self._writer() as connection:
            try:
                return self._publish(connection)
            except TreeBroken as error:  # perhaps the tree alone is wrong: it is made anew, from the rows
                if error.message == self._broken:
                    raise
            with transaction(connection):
                Tree(connection).clear()
            try:
                return self._publish(connection)
            except TreeBroken as error:
                self._broken = error.message
                raise

    def cosign(self, found: checkpoints.Checkpoint, at_s: int) -> NoteSignature:
        """As a witness of another log. Whether it may is decided before."""
        return checkpoints.cosign(found, self.origin, at_s, self._key, self._key.public)

    def cosigned_size(self, witness_key: NoteKey) -> int:
        """The size of the last tree head that this witness has cosigned, as far as the record knows; 0 for none."""
        with self._reader() as connection:
            for row in connection.execute("SELECT size, note FROM checkpoint WHERE cosigned_by > 0 ORDER BY size DESC"):
                if any(signature.is_by(witness_key) for signature in checkpoints.parse(row["note"]).note.signatures):
                    return int(row["size"])
        return 0

    def _publish(self, connection: sqlite3.Connection) -> Checkpoint | None:
        while tree.grow(connection):
            pass
        with transaction(connection):
            last = tree.last_checkpoint(connection)
            size = Tree(connection).size()
            if last is not None:
                _check_continues(connection, last, size)
                if last.size == size and checkpoints.parse(last.note).origin == self.origin:
                    return last
            head = tree.sealed_head(connection, self._check_seal)
            if head is None:
                return None
            made = self._signed(head)
            tree.keep_checkpoint(connection, made)
            return made

    def _signed(self, head: Head) -> Checkpoint:
        signed = checkpoints.sign(self.origin, head.size, head.root, self._key, self._key.public)
        return Checkpoint(size=head.size, at_ns=self._unix_ns(), note=str(signed.note), cosigned_by=0)

    def _check_seal(self, key_id: KeyId, seal: bytes, message: bytes) -> None:
        if key_id != self._key.key_id:
            raise VerificationError(f"the last row was sealed by another key, {key_id}; start the node once, which adds a row")
        if not self._key.public.holds(seal, message):
            raise TreeBroken("the seal of the last row does not hold; see: freehold log verify")

    def file(self, path: str) -> bytes | None:
        """A static file of the log as of its last checkpoint; None where there is none of this path."""
        with self._reader() as connection:
            last = tree.last_checkpoint(connection)
            if last is None:
                return None
            if path == CHECKPOINT:
                return last.note.encode()
            try:
                tile = tiles.parse_path(path)
            except MalformedArtefact:
                return None
            return _contents(connection, tile, last.size)

    def submission(self, old_size: int, last: Checkpoint) -> bytes:
        """What a witness that cosigned the tree of `old_size` last is sent."""
        with self._reader() as connection:
            proof = merkle.consistency_proof(old_size, last.size, Tree(connection).perfect)
        return witness.encode(old_size, proof, last.note)

    def add_cosignatures(self, last: Checkpoint, more: Sequence[NoteSignature]) -> Checkpoint:
        """Keep `more` with the checkpoint of that size."""
        with self._writer() as connection, transaction(connection):
            stored = connection.execute("SELECT note FROM checkpoint WHERE size = ?", (last.size,)).fetchone()
            note = checkpoints.with_signatures(checkpoints.parse(last.note if stored is None else stored["note"]).note, more)
            made = Checkpoint(size=last.size, at_ns=last.at_ns, note=str(note), cosigned_by=len(note.signatures) - 1)
            tree.keep_checkpoint(connection, made)
        return made

    def write_folder(self, folder: Path) -> int:
        """Bring the static files in `folder` up to the last checkpoint; how many were written. The checkpoint goes last.

        Raises VerificationError where the folder holds another log, or one that this does not continue.
        """
        with self._reader() as connection:
            last = tree.last_checkpoint(connection)
            if last is None:
                return 0
            since = self._written(connection, folder, last.size)
            written = 0
            try:
                for tile in sorted(tiles.tiles_of(last.size, since), key=lambda tile: (tile.level, tile.n)):
                    contents = _contents(connection, tile, last.size)
                    assert contents is not None  # the tree is never behind its checkpoint
                    _write(folder / tile.path, contents)
                    if tile.width == WIDTH:
                        _remove_partials(folder / f"{tile.path}.p")
                    written += 1
                if since == 0 or (folder / CHECKPOINT).read_bytes() != last.note.encode():  # rows came, or cosignatures
                    _write(folder / CHECKPOINT, last.note.encode())
            except OSError as exc:
                raise DeviceError(f"cannot write the log's files in {folder}: {exc.strerror}") from exc
            return written

    def _written(self, connection: sqlite3.Connection, folder: Path, size: int) -> int:
        """The size of the tree whose files are in `folder` already."""
        path = folder / CHECKPOINT
        try:
            there = checkpoints.parse(path.read_bytes())
        except FileNotFoundError:
            return 0
        except OSError as exc:
            raise DeviceError(f"cannot read {path}: {exc.strerror}") from exc
        except MalformedArtefact as error:
            raise VerificationError(f"{path} is no checkpoint ({error.message}); name another folder") from error
        if there.origin != self.origin or there.size > size or Tree(connection).root(there.size) != there.root:
            raise VerificationError(
                f"{path} is of {there.size} rows of the log {there.origin}, which this log of {size} rows does not continue; "
                "name another folder"
            )
        return there.size

    @contextlib.contextmanager
    def _writer(self) -> Iterator[sqlite3.Connection]:
        with connected(open_writer, self._path, self._config.busy_timeout_s) as connection:
            yield connection

    @contextlib.contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        with connected(open_reader, self._path, self._config.busy_timeout_s) as connection:
            connection.execute("BEGIN")  # one moment of a record that goes on growing
            yield connection


def _check_continues(connection: sqlite3.Connection, last: Checkpoint, size: int) -> None:
    """The tree must hold what was signed before."""
    if last.size > size:
        raise TreeBroken(f"the log has {size} sealed rows, its last checkpoint was signed over {last.size}: its end was cut off")
    if Tree(connection).root(last.size) != checkpoints.parse(last.note).root:
        raise TreeBroken(
            f"the first {last.size} rows are no longer those that the last checkpoint was signed over; see: freehold log verify"
        )


def _contents(connection: sqlite3.Connection, tile: Tile, size: int) -> bytes | None:
    """A tile or bundle of the tree of `size`, None where that has none such."""
    level = 0 if tile.level == ENTRIES else tile.level
    first = tile.n * WIDTH
    if tile.level > 7 or first + tile.width > size >> (tiles.LEVELS * level):
        return None
    if tile.level == ENTRIES:
        return tiles.pack([entry for _, entry in tree.entries(connection, first + 1, first + tile.width)])
    hashes = Tree(connection).tile(level, tile.n)[: tile.width * merkle.HASH_BYTES]
    return hashes if len(hashes) == tile.width * merkle.HASH_BYTES else None


def _write(path: Path, contents: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, contents)


def _remove_partials(folder: Path) -> None:
    """A full tile stands for the partial ones that it was."""
    if folder.is_dir():
        for part in folder.iterdir():
            part.unlink()
        folder.rmdir()
