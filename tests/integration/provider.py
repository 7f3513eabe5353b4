"""A remote provider on loopback that speaks OpenAI's chat format and says exactly what a test wrote down."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.integration import in_a_thread


@dataclass(slots=True)
class Script:
    """What the provider streams: one delta object each. `dies` cuts the connection after the last one."""

    deltas: list[dict[str, Any]]
    finish_reason: str = "stop"
    dies: bool = False


@dataclass(slots=True)
class Provider:
    url: str = ""
    script: Script = field(default_factory=lambda: Script(deltas=[{"content": "ok"}]))
    received: list[dict[str, Any]] = field(default_factory=list)

    def say(self, *pieces: str) -> None:
        self.script = Script(deltas=[{"content": piece} for piece in pieces])

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.received.append(body)
        if body.get("stream"):
            return await self._stream(request)
        text = "".join(delta.get("content") or "" for delta in self.script.deltas)
        return web.json_response(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 1,
                "model": "scripted",
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": self.script.finish_reason}
                ],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for delta in self.script.deltas:
            await response.write(_chunk(delta, None))
        if self.script.dies:
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write(_chunk({}, self.script.finish_reason))
        await response.write(b"data: [DONE]\n\n")
        return response


def _chunk(delta: dict[str, Any], finish_reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    document = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "scripted", "choices": [choice]}
    return b"data: " + json.dumps(document).encode() + b"\n\n"


@contextmanager
def serving() -> Iterator[Provider]:
    """The provider on a free loopback port."""
    provider = Provider()
    with in_a_thread.serving({"/v1/chat/completions": provider.answer}) as url:
        provider.url = url + "/v1"
        yield provider
