"""One answer over ASGI: either whole, or as a stream of server-sent events.

Knows HTTP and nothing of what is sent. A client that takes nothing for `stall_timeout_s` counts as gone: one timer an answer
looks now and then at how long the present write has been waiting, which costs a write nothing.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self

from freehold.core.errors import FreeholdError
from freehold.core.exchange import ExchangeId
from freehold.gateway.body import ClientLeft

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

_JSON: Header = (b"content-type", b"application/json")
_STREAM: list[Header] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # asks proxies in front not to collect the stream
]


class Reply:
    """Every write belongs inside of it, as a context, which raises ClientLeft out of one that waits for too long."""

    __slots__ = (
        *("_deadline", "_loop", "_send", "_stall_timeout_s", "_timer", "_waiting_since_s"),
        *("headers", "receipt_id", "started"),
    )

    def __init__(self, send: Send, *, stall_timeout_s: float) -> None:
        self._send = send
        self._stall_timeout_s = stall_timeout_s
        self._loop = asyncio.get_running_loop()
        self._waiting_since_s: float | None = None
        self.receipt_id: ExchangeId | None = None
        self.headers: list[Header] = []  # more of them, where they are known before the first is sent
        self.started = False

    async def __aenter__(self) -> Self:
        self._deadline = asyncio.timeout(None)
        await self._deadline.__aenter__()
        self._timer = self._loop.call_later(self._stall_timeout_s, self._look)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        try:
            await self._deadline.__aexit__(kind, exc, trace)
        except TimeoutError as late:
            raise ClientLeft from late

    def _look(self) -> None:
        now_s = self._loop.time()
        since_s = now_s if self._waiting_since_s is None else self._waiting_since_s
        left_s = since_s + self._stall_timeout_s - now_s
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        else:
            self._deadline.reschedule(now_s)

    async def whole(self, body: bytes, *, status: int = 200, headers: list[Header] | None = None) -> None:
        length = (b"content-length", str(len(body)).encode())
        await self._start(status, [_JSON, length, (b"cache-control", b"no-store"), *(headers or [])])
        await self._write(body, more=False)

    async def stream(self, frames: bytes) -> None:
        """Send framed events, and the headers before the first."""
        if not self.started:
            await self._start(200, _STREAM)
        await self._write(frames, more=True)

    async def end_stream(self, frames: bytes) -> None:
        if not self.started:
            await self._start(200, _STREAM)
        await self._write(frames, more=False)

    async def _start(self, status: int, headers: list[Header]) -> None:
        receipt = [(b"x-freehold-receipt", self.receipt_id.encode())] if self.receipt_id else []
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers + receipt + self.headers})

    async def _write(self, body: bytes, *, more: bool) -> None:
        self._waiting_since_s = self._loop.time()
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        self._waiting_since_s = None


def error_headers(error: FreeholdError) -> list[Header]:
    """What HTTP itself says about an error, beside the body."""
    headers: list[Header] = []
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(retry_after_s))).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers
