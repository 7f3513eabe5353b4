"""Digests of files in pieces, by all threads, as fast as memory and disk give the bytes.

A recipe says how files become digests: cut into pieces of `piece_bytes`, the last one shorter (None: a file is one piece), each
piece hashed by one algorithm. Blocks of our manifest are one recipe, the files and shards of OpenSSF Model Signing are others.

A file is opened once, without following a link that was put there since, and looked at again when its last byte was read. One
that was changed or replaced meanwhile is an error: its digest would be of bytes that were never there together.
"""

import errno
import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol

from blake3 import blake3

from freehold.core.errors import DeviceError, MalformedArtefact, VerificationError, os_errors
from freehold.core.models import BLOCK_BYTES

READ_BYTES = 1 << 20  # of a piece at a time: the part is hashed while it is in the core's cache, 8 % less than a block at once
WHOLE_READ_BYTES = 32 << 20  # what a hash with threads of its own needs at a time to keep them busy
ADVANCED_S = 0.1  # how often it is told how much is read: a message for each read costs a tenth of the hashing
OWN_THREADS_READERS = 4  # files of such a hash at once: each holds a buffer of that size


class Hasher(Protocol):
    def update(self, data: memoryview, /) -> object: ...

    def digest(self) -> bytes: ...


LEAF = "blake3-leaf"  # a block of our manifest: H(0x00 || block)
ALGORITHMS: dict[str, Callable[[], Hasher]] = {
    LEAF: partial(blake3, b"\x00"),
    "blake2b": hashlib.blake2b,
    "blake3": partial(blake3, max_threads=blake3.AUTO),
    "sha256": hashlib.sha256,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    algorithm: str  # of ALGORITHMS
    piece_bytes: int | None = None

    def count(self, size_bytes: int) -> int:
        """Pieces of a file. An empty one is one piece as a whole, and none where files are cut."""
        return 1 if self.piece_bytes is None else -(-size_bytes // self.piece_bytes)


BLOCKS = Recipe(algorithm=LEAF, piece_bytes=BLOCK_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStamp:
    """What a file system says of a file without reading it. `changed_ns` cannot be set by a program, unlike `modified_ns`."""

    size_bytes: int
    device: int
    inode: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileStamp":
        return cls(
            size_bytes=status.st_size,
            device=status.st_dev,
            inode=status.st_ino,
            modified_ns=status.st_mtime_ns,
            changed_ns=status.st_ctime_ns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDigests:
    """One file by one recipe."""

    name: str
    stamp: FileStamp
    digests: tuple[bytes, ...] = field(repr=False)

    @property
    def size_bytes(self) -> int:
        return self.stamp.size_bytes


def page_buffer(size_bytes: int) -> memoryview:
    """Private memory that begins with a page: the kernel copies the page cache there 1.6 times as fast as into a bytearray, which
    begins 16 bytes behind one."""
    return memoryview(mmap(-1, size_bytes, flags=MAP_PRIVATE | MAP_ANONYMOUS))


Advanced = Callable[[int], None]  # so many bytes more


def hash_files(
    paths: Sequence[tuple[str, Path]],
    recipe: Recipe,
    *,
    follow_links: bool = False,
    advanced: Advanced | None = None,
    threads: int | None = None,
) -> Iterator[FileDigests]:
    """The digests of each `(name, path)`, in the order in which files are done.

    Raises VerificationError for a file that changes meanwhile, MalformedArtefact for what is no plain file, DeviceError.
    """
    run = _Run(paths, recipe, follow_links=follow_links)
    count = threads or len(os.sched_getaffinity(0))
    if recipe.algorithm == "blake3":
        count = min(count, OWN_THREADS_READERS)
    try:
        with ThreadPoolExecutor(count, thread_name_prefix="freehold-hash") as pool, run:
            for _ in range(count):
                pool.submit(run.work)
            yield from run.results(len(paths), advanced)
    finally:
        run.close()


@dataclass(slots=True, kw_only=True)
class _File:
    """A file being hashed: its pieces are taken in order and done in any."""

    name: str
    path: Path
    handle: int
    stamp: FileStamp
    digests: list[bytes]
    left: int


class _Run:
    """What the threads of one `hash_files` share: each takes the next piece there is, of whatever file."""

    def __init__(self, paths: Sequence[tuple[str, Path]], recipe: Recipe, *, follow_links: bool) -> None:
        self._recipe = recipe
        self._follow_links = follow_links
        self._lock = threading.Lock()
        self._open: dict[int, _File] = {}
        self._pieces = self._take(paths)
        self._stopped = False
        self._read_bytes = 0
        self._said: SimpleQueue[FileDigests | BaseException] = SimpleQueue()

    def work(self) -> None:
        largest = WHOLE_READ_BYTES if self._recipe.algorithm == "blake3" else READ_BYTES
        buffer = memoryview(b"")
        try:
            while (piece := self._next()) is not None:
                file, index = piece
                needed = min(largest, self._recipe.piece_bytes or largest, file.stamp.size_bytes)
                if len(buffer) < needed:
                    buffer = page_buffer(needed)
                digest = self._digest(file, index, buffer)
                if digest is None:
                    return
                with self._lock:
                    file.digests[index] = digest
                    file.left -= 1
                    is_last = file.left == 0
                if is_last:
                    self._finish(file)
        except BaseException as exc:  # told by the one who waits
            self._stopped = True
            self._said.put(exc)

    def results(self, count: int, advanced: Advanced | None) -> Iterator[FileDigests]:
        told_bytes = 0
        while count:
            try:
                said = self._said.get(timeout=ADVANCED_S)
            except Empty:
                said = None
            read_bytes = self._read_bytes
            if advanced is not None and read_bytes > told_bytes:
                advanced(read_bytes - told_bytes)
                told_bytes = read_bytes
            if isinstance(said, BaseException):
                raise said
            if said is not None:
                count -= 1
                yield said

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        """The threads end with the piece they have."""
        self._stopped = True

    def close(self) -> None:
        """When no thread runs any more."""
        for handle in self._open:
            os.close(handle)
        self._open.clear()

    def _next(self) -> tuple[_File, int] | None:
        with self._lock:
            return None if self._stopped else next(self._pieces, None)

    def _take(self, paths: Sequence[tuple[str, Path]]) -> Iterator[tuple[_File, int]]:
        for name, path in paths:
            file = self._opened(name, path)
            if file.left == 0:
                self._finish(file)
            for index in range(len(file.digests)):
                yield file, index

    def _opened(self, name: str, path: Path) -> _File:
        # Without O_NONBLOCK a pipe put in the file's place would be waited for; O_NOFOLLOW refuses a link put there.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if self._follow_links else os.O_NOFOLLOW)
        try:
            handle = os.open(path, flags)
        except OSError as exc:
            if exc.errno == errno.ELOOP:
                raise MalformedArtefact(f"{path} is a link, which is not followed") from exc
            raise DeviceError(f"cannot read {path}: {exc.strerror}") from exc
        status = os.fstat(handle)
        stamp = FileStamp.of(status)
        count = self._recipe.count(stamp.size_bytes)
        file = _File(name=name, path=path, handle=handle, stamp=stamp, digests=[b""] * count, left=count)
        self._open[handle] = file
        if not stat.S_ISREG(status.st_mode):
            raise MalformedArtefact(f"{path} is not a regular file")
        return file

    def _digest(self, file: _File, index: int, buffer: memoryview) -> bytes | None:
        """None where nobody waits for it any more."""
        hasher = ALGORITHMS[self._recipe.algorithm]()
        piece_bytes = self._recipe.piece_bytes
        offset = 0 if piece_bytes is None else index * piece_bytes
        end = file.stamp.size_bytes if piece_bytes is None else min(file.stamp.size_bytes, offset + piece_bytes)
        while offset < end:
            with os_errors(f"cannot read {file.path}"):
                count = os.preadv(file.handle, [buffer[: end - offset]], offset)
            if count == 0:
                raise VerificationError(f"{file.name} became shorter while it was read: it ends at byte {offset}")
            if self._stopped:
                return None
            hasher.update(buffer[:count])
            offset += count
            with self._lock:
                self._read_bytes += count
        return hasher.digest()

    def _finish(self, file: _File) -> None:
        """Bytes read at different times are one file only if nothing wrote to it meanwhile, nor put another in its place."""
        with os_errors(f"{file.name} was taken away while it was read", VerificationError):
            now = FileStamp.of(os.fstat(file.handle))
            there = FileStamp.of(os.stat(file.path, follow_symlinks=self._follow_links))
        if (there.device, there.inode) != (now.device, now.inode):
            raise VerificationError(f"{file.name} was replaced while it was read; nothing can be said of what is there now")
        if now != file.stamp:
            raise VerificationError(f"{file.name} was changed while it was read; nothing can be said of it")
        del self._open[file.handle]
        os.close(file.handle)
        self._said.put(FileDigests(name=file.name, stamp=file.stamp, digests=tuple(file.digests)))
