"""Bytes that are looked at: a file, a member of one, or something unpacked, always by range and never all at once."""

import io
import os
from typing import BinaryIO

WINDOW_BYTES = 1 << 16


class Source:
    """`size_bytes` bytes of `handle` from `start`. One thread at a time."""

    def __init__(self, handle: BinaryIO, start: int, size_bytes: int) -> None:
        self._handle = handle
        self._start = start
        self.size_bytes = size_bytes

    def read_at(self, offset: int, count: int) -> bytes:
        """Fewer bytes only where the source ends."""
        count = min(count, self.size_bytes - offset)
        if count <= 0 or offset < 0:
            return b""
        self._handle.seek(self._start + offset)
        return self._handle.read(count)

    def part(self, offset: int, size_bytes: int) -> "Source":
        """A range as a source of its own, cut where this one ends."""
        offset = min(max(offset, 0), self.size_bytes)
        return Source(self._handle, self._start + offset, min(max(size_bytes, 0), self.size_bytes - offset))


def of_bytes(data: bytes) -> Source:
    return Source(io.BytesIO(data), 0, len(data))


def of_file(handle: BinaryIO) -> Source:
    return Source(handle, 0, os.fstat(handle.fileno()).st_size)


class Truncated(Exception):
    """The bytes end where more are needed; caught by every parser in this folder."""


class Cursor:
    """Reads a source from front to back, through a window of its own."""

    def __init__(self, source: Source, offset: int = 0) -> None:
        self.source = source
        self.offset = offset
        self._window = b""
        self._window_at = offset

    @property
    def remaining(self) -> int:
        return self.source.size_bytes - self.offset

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes, or Truncated."""
        at = self.offset - self._window_at
        if at + count > len(self._window) or at < 0:
            if count > self.remaining:
                raise Truncated
            if count > WINDOW_BYTES:
                data = self.source.read_at(self.offset, count)
            else:
                self._window = self.source.read_at(self.offset, WINDOW_BYTES)
                self._window_at = self.offset
                data = self._window[:count]
            if len(data) != count:
                raise Truncated
        else:
            data = self._window[at : at + count]
        self.offset += count
        return data

    def line(self, limit: int) -> bytes | None:
        """Up to the next newline, without it, which is passed; None where it is longer than `limit`. Truncated without any."""
        start = self.offset
        parts: list[bytes] = []
        while self.offset - start <= limit:
            piece = self.take(min(256, self.remaining) or 1)
            end = piece.find(b"\n")
            if end >= 0:
                self.offset -= len(piece) - end - 1
                return b"".join((*parts, piece[:end]))
            parts.append(piece)
        return None

    def skip(self, count: int) -> None:
        if count > self.remaining or count < 0:
            raise Truncated
        self.offset += count

    def number(self, size_bytes: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(size_bytes), "little", signed=signed)
