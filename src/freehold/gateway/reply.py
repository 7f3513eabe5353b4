"""One answer over ASGI: either whole, or as a stream of server-sent events.

Knows HTTP and nothing of what is sent. A client that takes nothing for `stall_timeout_s` counts as gone.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

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
    __slots__ = ("_send", "_stall_timeout_s", "receipt_id", "started")

    def __init__(self, send: Send, *, stall_timeout_s: float) -> None:
        self._send = send
        self._stall_timeout_s = stall_timeout_s
        self.receipt_id: ExchangeId | None = None
        self.started = False

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
        await self._send({"type": "http.response.start", "status": status, "headers": headers + receipt})

    async def _write(self, body: bytes, *, more: bool) -> None:
        try:
            async with asyncio.timeout(self._stall_timeout_s):
                await self._send({"type": "http.response.body", "body": body, "more_body": more})
        except TimeoutError as exc:
            raise ClientLeft from exc


def error_headers(error: FreeholdError) -> list[Header]:
    """What HTTP itself says about an error, beside the body."""
    headers: list[Header] = []
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        headers.append((b"retry-after", str(max(1, round(retry_after_s))).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers
