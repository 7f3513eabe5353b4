"""Reads a model's files past the page cache: weights are read once, or over and over in one order, and a cache helps neither.

Decided here: how bytes get from a file into memory, and what it is called when they don't. What they must be is for the caller
to check.

The file stays open from the first read to the last: one that is replaced by another of its name is not looked at, one that is
written over is found out by its bytes, one that is cut short by its end.
"""

import contextlib
import errno
import os
import threading
from pathlib import Path
from typing import Final

from freehold.core.errors import DeviceError, InternalError, VerificationError, os_errors
from freehold.engine.tiles import SECTOR_BYTES

_NOT_DIRECT: Final = frozenset({errno.EINVAL, errno.EOPNOTSUPP})  # what file systems say that let a file be opened so, not read


class WeightsFile:
    """One file, to be read by any thread. Close it, or use it as a context."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Raises DeviceError where it cannot be opened, VerificationError where it has another size."""
        self.name, self.size_bytes = path.name, size_bytes
        self._path = path
        self._opening = threading.Lock()
        self._buffered: int | None = None
        self._direct = _open_direct(path)
        found_bytes = os.fstat(self._direct if self._direct is not None else self._open_buffered()).st_size
        if found_bytes != size_bytes:
            self.close()
            raise VerificationError(f"{path.name} has {found_bytes} bytes, its manifest says {size_bytes}: pull the model again")

    def __enter__(self) -> "WeightsFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._opening:
            for descriptor in (self._direct, self._buffered):
                if descriptor is not None:
                    os.close(descriptor)
            self._direct = self._buffered = None

    def read(self, start: int, end: int, buffer: memoryview) -> memoryview:
        """Bytes start .. end, as a part of `buffer`: it begins as far in as `start` is into its sector.

        The buffer is page-aligned and reaches over all sectors that the bytes touch. Raises DeviceError.
        """
        lead = start % SECTOR_BYTES
        base = at = start - lead
        if len(buffer) < -(-end // SECTOR_BYTES) * SECTOR_BYTES - base:
            raise InternalError(f"a buffer of {len(buffer)} bytes is too short for bytes {start} to {end} and their sectors")
        direct = self._direct
        while direct is not None and at < end:
            upto = -(-end // SECTOR_BYTES) * SECTOR_BYTES
            try:
                count = os.preadv(direct, [buffer[at - base : upto - base]], at)
            except OSError as exc:
                if exc.errno not in _NOT_DIRECT:
                    raise self._failed(at, exc) from exc
                count = 0
            at += count
            if at < end and (count == 0 or at % SECTOR_BYTES):
                direct = None  # the end of the file, which a buffered read tells from other reasons
        while at < end:
            descriptor = self._open_buffered()
            try:
                count = os.preadv(descriptor, [buffer[at - base : end - base]], at)
            except OSError as exc:
                raise self._failed(at, exc) from exc
            if count == 0:
                raise DeviceError(f"{self.name} ended at byte {at} of {self.size_bytes} while it was read: pull the model again")
            _forget(descriptor, at, count)
            at += count
        return buffer[lead : end - base]

    def _failed(self, at: int, exc: OSError) -> DeviceError:
        return DeviceError(f"reading {self.name} failed at byte {at}: {exc.strerror}; check the disk, or pull the model again")

    def _open_buffered(self) -> int:
        with self._opening:
            if self._buffered is None:
                source = self._path if self._direct is None else Path(f"/proc/self/fd/{self._direct}")
                with os_errors(f"cannot open {self.name}"):
                    self._buffered = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            return self._buffered


def _open_direct(path: Path) -> int | None:
    """None where the file system, as tmpfs and some on networks, or the system knows no O_DIRECT."""
    if not hasattr(os, "O_DIRECT"):
        return None
    with contextlib.suppress(OSError):  # what stands in the way is said by the buffered open
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
    return None


def _forget(descriptor: int, start: int, size_bytes: int) -> None:
    """Cached pages count against the control group, and push out what is needed."""
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):
            os.posix_fadvise(descriptor, start, size_bytes, os.POSIX_FADV_DONTNEED)
