"""Digests of files as they were last hashed, so that a large model of which one file changed is not read again as a whole.

A file is taken for unchanged where size, device, inode and both its times are as they were. The time of last change cannot be set
by a program, so that only who can set the clock or write to the disk behind the system's back gets past this; but it is no proof,
and verification asks it only where the user says so. What was written to in the last seconds before it was hashed is not kept:
two writes within one tick of a clock look alike.
"""

import time
from pathlib import Path

import msgspec

from freehold.core.errors import os_errors
from freehold.provenance.files import write_durably
from freehold.provenance.pieces import FileDigests, FileStamp, Recipe

SETTLED_NS = 3_000_000_000  # FAT's times have steps of two seconds


class _Entry(msgspec.Struct):
    stamp: FileStamp
    digests: list[bytes]


class DigestCache:
    """Of one model, in one file, which is read at once and written by `save`. A file that cannot be read holds nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries = _read(path)

    def get(self, name: str, path: Path, recipe: Recipe) -> FileDigests | None:
        """What is known of the file at `path`, if it is unchanged."""
        entry = self._entries.get(_key(name, recipe))
        try:
            if entry is None or FileStamp.of(path.stat()) != entry.stamp:
                return None
        except OSError:
            return None
        return FileDigests(name=name, stamp=entry.stamp, digests=tuple(entry.digests))

    def put(self, file: FileDigests, recipe: Recipe) -> None:
        if time.time_ns() - max(file.stamp.modified_ns, file.stamp.changed_ns) > SETTLED_NS:
            self._entries[_key(file.name, recipe)] = _Entry(stamp=file.stamp, digests=list(file.digests))

    def save(self) -> None:
        with os_errors(f"cannot keep digests in {self._path}"):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(self._path, msgspec.msgpack.encode(self._entries), mode=0o600)


def _key(name: str, recipe: Recipe) -> str:
    return f"{recipe.algorithm}:{recipe.piece_bytes}:{name}"


def _read(path: Path) -> dict[str, _Entry]:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=dict[str, _Entry])
    except (OSError, msgspec.DecodeError):
        return {}
