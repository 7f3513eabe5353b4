"""A remote provider on loopback that speaks Responses and embeddings, and says exactly what a test wrote down."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.integration import in_a_thread


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
    """The provider on a free loopback port."""
    provider = Provider()
    with in_a_thread.serving({"/v1/responses": provider.answer, "/v1/embeddings": provider.embed}) as url:
        provider.url = url + "/v1"
        yield provider
