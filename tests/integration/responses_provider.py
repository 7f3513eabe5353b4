"""A remote provider on loopback that speaks Responses and embeddings, and says exactly what a test wrote down."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(slots=True)
class Provider:
    """`stream` is sent as it stands, `body` to who asks for a plain answer. `dies` cuts the connection after the stream.

    What is in `next_streams` goes first, one an answer.
    """

    url: str = ""
    stream: bytes = b""
    next_streams: list[bytes] = field(default_factory=list)
    body: bytes = b"{}"
    vectors: bytes = b"{}"
    dies: bool = False
    received: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.raw.append(await request.read())
        self.received.append(asked)
        if not asked.get("stream"):
            return web.Response(body=self.body, content_type="application/json")
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        stream = self.next_streams.pop(0) if self.next_streams else self.stream
        for start in range(0, len(stream), 97):  # as a network may cut it
            await response.write(stream[start : start + 97])
        if self.dies:
            assert request.transport is not None
            request.transport.abort()
        return response

    async def embed(self, request: web.Request) -> web.Response:
        self.received.append(await request.json())
        self.raw.append(await request.read())
        return web.Response(body=self.vectors, content_type="application/json")


@contextmanager
def serving() -> Iterator[Provider]:
    """The provider in a thread with a loop of its own, on a free loopback port."""
    provider, started, loop = Provider(), threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/responses", provider.answer)
        app.router.add_post("/v1/embeddings", provider.embed)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        provider.url = f"http://{host}:{port}/v1"
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    started.wait(timeout=10)
    try:
        yield provider
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=10)
        loop.close()
