"""Lets an upstream and a client each keep its own pace.

One task draws events from the relay into a short buffer; the reader takes whatever is there in one go, so that events which come
together leave in one write. The buffer is bounded: a client that stalls stops the upstream. Also decided here: when an upstream
has been silent for too long, and that a client that left ends the work.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from freehold.core.errors import UpstreamTimeout
from freehold.core.events import Event
from freehold.core.stage import Stage
from freehold.gateway.body import ClientLeft, Receive, left
from freehold.gateway.relay import relay

_BUFFER_LISTS = 4  # each is what came in one read, of some 128 KiB at most: a client that stalls costs no more than these


class Flow:
    """The events of one exchange. Use it as a context: leaving it closes the upstream."""

    def __init__(
        self,
        upstream: AsyncIterator[list[Event]],
        stages: Sequence[Stage],
        receive: Receive,
        *,
        idle_timeout_s: float,
        first_timeout_s: float | None = None,
    ) -> None:
        """`first_timeout_s` is the patience until the first event, where that is another."""
        self._upstream = upstream
        self._stages = stages
        self._receive = receive
        self._idle_timeout_s = idle_timeout_s
        self._timeout_s = idle_timeout_s if first_timeout_s is None else first_timeout_s
        self._loop = asyncio.get_running_loop()
        self._ready: list[Event] = []
        self._lists = 0  # of those that are ready
        self._reader: asyncio.Future[None] | None = None  # waits for the next event
        self._room: asyncio.Future[None] | None = None  # where the buffer is full, waits until it is read
        self._ended = False
        self._failure: Exception | None = None
        self._heard_at = self._loop.time()

    async def __aenter__(self) -> "Flow":
        self._drawing = self._loop.create_task(self._draw())
        self._watching = self._loop.create_task(self._watch_client())
        self._timer = self._loop.call_later(self._timeout_s, self._check_silence)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._timer.cancel()
        self._watching.cancel()
        del self._watching  # its traceback holds this flow: in a circle, all that the exchange had would wait for the collector
        if not self._drawing.done():
            self._drawing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._drawing

    async def next(self) -> list[Event]:
        """All events that are ready; none when the answer is over. Raises what the upstream raised, or ClientLeft."""
        while not self._ready:
            if self._ended:
                if self._failure is not None:
                    raise self._failure
                return []
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None  # whoever waited may have been cancelled
        if isinstance(self._failure, ClientLeft):
            raise self._failure
        ready, self._ready, self._lists = self._ready, [], 0
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        return ready

    async def lasts(self, work: "asyncio.Future[bool]", timeout_s: float) -> bool:
        """Whether `work`, which is somebody else's, was done within `timeout_s`. Raises ClientLeft once nobody waits for it."""
        futures: list[asyncio.Future[Any]] = [work, self._watching]
        await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if self._watching.done():
            raise ClientLeft
        return work.done()

    async def _draw(self) -> None:
        try:
            async with contextlib.aclosing(relay(self._upstream, self._stages)) as lists:
                async for events in lists:
                    self._heard()
                    if not events:
                        continue
                    self._ready += events
                    self._lists += 1
                    if self._reader is not None:
                        self._wake()
                    if self._lists == _BUFFER_LISTS:
                        self._room = self._loop.create_future()
                        try:
                            await self._room
                        finally:
                            self._room = None
        except Exception as exc:
            self._end(exc)
        else:
            self._end(None)

    def _heard(self) -> None:
        self._heard_at = self._loop.time()
        if self._timeout_s != self._idle_timeout_s:
            self._timeout_s = self._idle_timeout_s
            self._timer.cancel()
            self._timer = self._loop.call_later(self._timeout_s, self._check_silence)

    async def _watch_client(self) -> None:
        await left(self._receive)
        self._drawing.cancel()
        self._end(ClientLeft())

    def _check_silence(self) -> None:
        now = self._loop.time()
        if self._room is not None:
            self._heard_at = now  # the client is slow, not the upstream
        left_s = self._heard_at + self._timeout_s - now
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._check_silence)
            return
        self._drawing.cancel()
        self._end(
            UpstreamTimeout(f"the upstream was silent for {self._timeout_s:g} s; try again or raise gateway.idle_timeout_s")
        )

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)

    def _end(self, failure: Exception | None) -> None:
        """The first end counts."""
        if not self._ended:
            self._ended, self._failure = True, failure
        self._wake()
