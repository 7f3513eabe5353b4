"""A remote provider on loopback that speaks Anthropic's Messages and says exactly what a test wrote down."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from tests.integration import in_a_thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.body)
        return found


@dataclass(slots=True)
class Provider:
    """`stream`, or what `choose` says, answers who asked for one, `body` everybody else.

    `cut_bytes` is how much of a stream is written at once.
    """

    url: str = ""
    stream: bytes = b""
    body: bytes = b"{}"
    status: int = 200
    cut_bytes: int = 1 << 20
    dies: bool = False
    choose: Callable[[dict[str, Any]], bytes] | None = None
    received: list[Asked] = field(default_factory=list)

    def say(self, stream: bytes, *, cut_bytes: int = 1 << 20, dies: bool = False) -> None:
        self.stream, self.cut_bytes, self.dies, self.status = stream, cut_bytes, dies, 200

    def say_whole(self, document: Mapping[str, Any], *, status: int = 200) -> None:
        self.body, self.status = orjson.dumps(document), status

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(path=request.path, headers=dict(request.headers), body=await request.read())
        self.received.append(asked)
        if self.status != 200 or not asked.document.get("stream"):
            return web.Response(body=self.body, status=self.status, content_type="application/json")
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        stream = self.choose(asked.document) if self.choose is not None else self.stream
        for start in range(0, len(stream), self.cut_bytes):
            await response.write(stream[start : start + self.cut_bytes])
        if self.dies:
            assert request.transport is not None
            request.transport.abort()
        return response


@contextmanager
def serving() -> Iterator[Provider]:
    """The provider on a free loopback port."""
    provider = Provider()
    with in_a_thread.serving({"/v1/messages": provider.answer, "/v1/messages/count_tokens": provider.answer}) as url:
        provider.url = url + "/v1"
        yield provider
