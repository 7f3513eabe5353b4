"""Files that are encrypted at rest, in pieces: written at their end, read in order, or anywhere where pieces are of one size.

A piece is its length (4 bytes, of the plaintext), a random nonce (12), the ciphertext, and AES-GCM's tag (16). Each file has a
key of its own, derived from the node's secret and the file's name; a piece is bound to its place, so that pieces can be neither
swapped nor moved to another file. That pieces were cut off at the end shows in the sizes that the caller keeps elsewhere.

Files are 0600 and never followed through a link. `append` is durable when it returns.
"""

import contextlib
import hmac
import os
import secrets
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from freehold.core.errors import DeviceError, NotFound

PIECE_BYTES: Final = 64 << 10  # of plaintext, where pieces are of one size
_LENGTH_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = _LENGTH_BYTES + _NONCE_BYTES + _TAG_BYTES
_FLAGS: Final = os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


class Sealed:
    """One file. Blocks on the disk; not for two threads at once. Raises DeviceError."""

    def __init__(self, path: Path, secret: bytes) -> None:
        self._path = path
        self._cipher = AESGCM(hmac.new(secret, b"freehold sealed file " + path.name.encode(), sha256).digest())

    def create(self) -> None:
        """Make it, empty. One that is there is an error."""
        with self._opened(os.O_WRONLY | os.O_CREAT | os.O_EXCL) as fd:
            os.fsync(fd)
        _sync_folder(self._path.parent)

    def append(self, data: bytes, at_piece: int, *, durable: bool = True) -> int:
        """Add one piece, which is number `at_piece`. Gives the bytes that it takes in the file."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, data, b"%d" % at_piece)
        piece = len(data).to_bytes(_LENGTH_BYTES) + nonce + sealed
        with self._opened(os.O_WRONLY | os.O_APPEND) as fd:
            left = memoryview(piece)
            while left:
                left = left[os.write(fd, left) :]
            if durable:
                os.fsync(fd)
        return len(piece)

    def sync(self) -> None:
        with self._opened(os.O_RDONLY) as fd:
            os.fsync(fd)

    def cut(self, sealed_bytes: int) -> None:
        """Take off what was written and not counted, because the node ended in between."""
        with self._opened(os.O_WRONLY) as fd:
            have = os.fstat(fd).st_size
            if have < sealed_bytes:
                raise DeviceError(f"{self._path} has {have} bytes, and {sealed_bytes} were written; the disk lost some")
            if have > sealed_bytes:
                os.ftruncate(fd, sealed_bytes)
                os.fsync(fd)

    def pieces(self) -> Iterator[bytes]:
        """All pieces in order."""
        with self._opened(os.O_RDONLY) as fd, os.fdopen(os.dup(fd), "rb") as file:
            at_piece = 0
            while head := file.read(_LENGTH_BYTES):
                yield self._open(head, file.read(int.from_bytes(head) + _NONCE_BYTES + _TAG_BYTES), at_piece)
                at_piece += 1

    def read(self, at: int, size: int) -> bytes:
        """So many bytes of the plaintext from `at`, of a file whose pieces are all PIECE_BYTES but the last."""
        found = bytearray()
        first = at // PIECE_BYTES
        with self._opened(os.O_RDONLY) as fd:
            for at_piece in range(first, -(-(at + size) // PIECE_BYTES)):
                piece = os.pread(fd, PIECE_BYTES + OVERHEAD_BYTES, at_piece * (PIECE_BYTES + OVERHEAD_BYTES))
                found += self._open(piece[:_LENGTH_BYTES], piece[_LENGTH_BYTES:], at_piece)
        start = at - first * PIECE_BYTES
        return bytes(found[start : start + size])

    def delete(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def _open(self, head: bytes, rest: bytes, at_piece: int) -> bytes:
        nonce, sealed = rest[:_NONCE_BYTES], rest[_NONCE_BYTES : _NONCE_BYTES + int.from_bytes(head) + _TAG_BYTES]
        try:
            return self._cipher.decrypt(nonce, sealed, b"%d" % at_piece)
        except (InvalidTag, ValueError) as exc:
            words = f"{self._path} was changed, or sealed under another node's key: piece {at_piece} is none of its own"
            raise DeviceError(words) from exc

    @contextlib.contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        try:
            fd = os.open(self._path, flags | _FLAGS, 0o600)
            try:
                yield fd
            finally:
                os.close(fd)
        except FileNotFoundError as exc:
            raise NotFound("the content of this file is gone") from exc
        except OSError as exc:
            raise DeviceError(f"{self._path}: {exc.strerror}; check the disk") from exc


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
