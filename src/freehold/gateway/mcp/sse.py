"""Server-sent events of an MCP server, with what resuming them needs: their ids, and when to ask again.

The grammar is WHATWG's, as in the gateway's own reader, which leaves these two fields out. Where the bytes are cut never
changes what it gives; an event that the stream ends within is dropped.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from freehold.core.errors import UpstreamBroken
from freehold.gateway import sse

EVENT_ID: Final = re.compile(r"[\x21-\x7e]{1,256}")  # what may stand in a header: clients send it back in one
_BOM = b"\xef\xbb\xbf"
_ENDS = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """`id` is empty where the server gave none."""

    data: bytes = field(repr=False)
    id: str = ""
    retry_ms: int | None = None


class EventReader:
    """Bytes in, events out. Raises UpstreamBroken for an event above `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._id, self._retry_ms = "", None  # type: tuple[str, int | None]
        self._has_begun = False

    def feed(self, piece: bytes) -> list[ServerEvent]:
        self._rest.append(piece)
        self._rest_bytes += len(piece)
        if self._rest_bytes + self._data_bytes > self._limit_bytes + len(_BOM):
            raise UpstreamBroken(f"an event of the MCP server is larger than {self._limit_bytes} bytes")
        if b"\n" not in piece and b"\r" not in piece:
            return []
        text = b"".join(self._rest)
        held = b""
        if text.endswith(b"\r"):  # an LF may follow it
            text, held = text[:-1], b"\r"
        if not self._has_begun:
            text, self._has_begun = text.removeprefix(_BOM), True
        *lines, rest = _ENDS.split(text)
        self._rest, self._rest_bytes = [rest + held], len(rest) + len(held)
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> ServerEvent | None:
        if not line:
            return self._ended()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._data_bytes += len(value) + 1
        elif name == b"id":
            text = value.decode("utf-8", "replace")
            self._id = text if EVENT_ID.fullmatch(text) else ""
        elif name == b"retry" and value.isdigit() and len(value) < 10:
            self._retry_ms = int(value)
        return None

    def _ended(self) -> ServerEvent | None:
        event = ServerEvent(data=b"\n".join(self._data), id=self._id, retry_ms=self._retry_ms)
        is_one = bool(self._data)
        self._data, self._data_bytes, self._id, self._retry_ms = [], 0, "", None
        return event if is_one else None


def frame(data: bytes, event: ServerEvent) -> bytes:
    """One event on the wire, with the server's own id and pause."""
    head = b"id: %s\n" % event.id.encode() if event.id else b""
    if event.retry_ms is not None:
        head += b"retry: %d\n" % event.retry_ms
    return head + sse.frame((data, b"message"))
