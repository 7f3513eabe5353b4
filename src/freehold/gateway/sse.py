"""Server-sent events, read and written incrementally.

The parser follows the WHATWG event stream grammar: lines end in LF, CR or CRLF, a colon starts a comment, several `data` lines
join with LF, an empty line ends an event. It does no I/O; where the bytes are cut never changes what it gives. An event that the
stream ends within is dropped, as the grammar says.
"""

from collections.abc import Sequence
from itertools import repeat
from operator import itemgetter
from typing import Final, TypeAlias

from freehold.core.errors import UpstreamBroken

_BOM = b"\xef\xbb\xbf"


SseEvent: TypeAlias = tuple[bytes, bytes]  # (data, name); the reader of the payload decides on its encoding

data_of, name_of = itemgetter(0), itemgetter(1)  # for `map` over the events of a read: a third of a comprehension's time

BARE: Final = b"\n"  # instead of a name: the data goes out as it is, for a reader that looks for some of it outside of events
ALONE_S: Final = 0.25  # before it: a reader that knows it only where it comes alone may still be at what was sent before


def frame(event: SseEvent) -> bytes:
    """One event on the wire."""
    data, name = event
    if name == BARE:
        return data + b"\n"
    if b"\n" in data or b"\r" in data:  # a provider's own payload may; JSON text as we write it never does
        data = b"\ndata: ".join(data.splitlines())
    return b"event: %s\ndata: %s\n\n" % (name, data) if name else b"data: %s\n\n" % data


def frames(events: Sequence[SseEvent]) -> bytes:
    """Several events on the wire."""
    if len(events) == 1:
        return frame(events[0])
    datas = list(map(data_of, events))
    if datas and not any(map(name_of, events)) and _are_lines(datas):
        return b"data: %s\n\n" % b"\n\ndata: ".join(datas)
    return b"".join(map(frame, events))


def _are_lines(datas: Sequence[bytes]) -> bool:
    """Whether none of them has a line end. One look at all of them: `in` is some ten times as fast as `count`."""
    text = b"".join(datas)
    return b"\n" not in text and b"\r" not in text


class SseParser:
    """Bytes in, events out. Raises UpstreamBroken for an event above `limit_bytes`."""

    __slots__ = ("_data", "_held", "_held_bytes", "_limit_bytes", "_name", "_size_bytes", "_started")

    def __init__(self, *, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held: list[bytes] = []  # pieces of a line without its end: joined once, so a long line costs linear time
        self._held_bytes = 0
        self._data: list[bytes] = []
        self._name = b""
        self._size_bytes = 0  # of the event under way
        self._started = False

    def feed(self, piece: bytes) -> list[SseEvent]:
        """Give the events that end in `piece`."""
        is_between = not (self._held or self._data or self._name or self._size_bytes)
        if is_between and (plain := _plain(piece, self._limit_bytes)):
            self._started = True
            return plain
        if b"\n" not in piece and b"\r" not in piece and not (self._held and self._held[-1].endswith(b"\r")):
            self._hold(piece)
            return []
        text = b"".join(self._held) + piece if self._held else piece
        self._held, self._held_bytes = [], 0
        if not self._started:
            if len(text) < len(_BOM) and _BOM.startswith(text):
                self._hold(text)
                return []
            text, self._started = text.removeprefix(_BOM), True
        lines, rest = _split_lines(text)
        if rest:
            self._hold(rest)
        return self._dispatch(lines)

    def _hold(self, piece: bytes) -> None:
        if not piece:
            return
        self._held.append(piece)
        self._held_bytes += len(piece)
        self._check(self._size_bytes + self._held_bytes)

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self._limit_bytes:
            raise UpstreamBroken(f"an event of the upstream's stream is larger than {self._limit_bytes} bytes")

    def _dispatch(self, lines: list[bytes]) -> list[SseEvent]:
        events: list[SseEvent] = []
        data, limit_bytes = self._data, self._limit_bytes
        for line in lines:
            if not line:
                if data:
                    events.append((data[0] if len(data) == 1 else b"\n".join(data), self._name))
                    data = self._data = []
                self._name, self._size_bytes = b"", 0
            elif line.startswith(b"data:"):
                data.append(line[6:] if line.startswith(b" ", 5) else line[5:])
                self._size_bytes += len(line)
                if self._size_bytes > limit_bytes:
                    self._check(self._size_bytes)
            elif line.startswith(b"event:"):
                self._name = line[6:].removeprefix(b" ")
            elif line == b"data":
                data.append(b"")
        return events


def _plain(piece: bytes, limit_bytes: int) -> list[SseEvent]:
    """Events of one `data` line each, as most are, told in a few steps for all of them; none where that is not so simple."""
    if not (piece.startswith(b"data: ") and piece.endswith(b"\n\n")) or len(piece) > limit_bytes:
        return []
    datas = piece[6:-2].split(b"\n\ndata: ")
    return list(zip(datas, repeat(b""), strict=False)) if _are_lines(datas) else []


def _split_lines(text: bytes) -> tuple[list[bytes], bytes]:
    """Whole lines, and what follows the last line end. A CR at the very end waits: an LF may follow it."""
    waits = b""
    if b"\r" in text:
        if text.endswith(b"\r"):
            text, waits = text[:-1], b"\r"
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = text.split(b"\n")
    return lines, lines.pop() + waits
