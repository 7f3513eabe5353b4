"""A remote provider on loopback that speaks Gemini's format and says exactly what a test wrote down."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.integration import in_a_thread

Part = dict[str, Any]

_WHOLE = {
    "countTokens": b'{\n  "totalTokens": 7\n}\n',
    "embedContent": b'{"embedding": {"values": [0.25, -0.5]}}',
    "batchEmbedContents": b'{"embeddings": [{"values": [0.25, -0.5]}]}',
}


@dataclass(slots=True)
class Asked:
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    document: dict[str, Any]


@dataclass(slots=True)
class GeminiProvider:
    """`turns` are answers, one a request, the last one again and again; an answer is a list of parts, one a payload."""

    url: str = ""
    turns: list[list[Part]] = field(default_factory=list)
    finish: str = "STOP"
    status: int = 200  # of every answer; above 299 with an error in Google's shape
    dies: bool = False  # cuts the connection instead of ending the stream
    breaks: bool = False  # ends the stream with an error in it
    received: list[Asked] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)  # payloads, as they left

    def say(self, *parts: Part | str) -> None:
        self.say_turns([*parts])

    def say_turns(self, *turns: list[Any]) -> None:
        self.turns = [[{"text": part} if isinstance(part, str) else part for part in turn] for turn in turns]
        self.finish, self.status, self.dies, self.breaks = "STOP", 200, False, False
        self.received.clear()
        self.sent.clear()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        asked = Asked(
            path=request.match_info["tail"],
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
            document=json.loads(body),
        )
        self.received.append(asked)
        if self.status != 200:
            error = {"code": self.status, "message": "the quota is used up", "status": "RESOURCE_EXHAUSTED"}
            return web.json_response({"error": error}, status=self.status)
        if (whole := _WHOLE.get(asked.path.rpartition(":")[2])) is not None:
            self.sent.append(whole)
            return web.Response(body=whole, content_type="application/json")
        parts = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
        if asked.path.endswith(":streamGenerateContent"):
            return await self._stream(request, parts)
        self.sent.append(_payload(parts, len(parts), self.finish))
        return web.Response(body=self.sent[-1], content_type="application/json")

    async def _stream(self, request: web.Request, parts: list[Part]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for number, part in enumerate(parts, 1):
            await self._send(response, _payload([part], number, None))
        if self.dies:
            assert request.transport is not None
            request.transport.abort()
        elif self.breaks:
            await self._send(response, b'{"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}')
        else:
            await self._send(response, _payload([{"text": ""}], len(parts), self.finish))
        return response

    async def _send(self, response: web.StreamResponse, data: bytes) -> None:
        self.sent.append(data)
        await response.write(b"data: " + data + b"\r\n\r\n")


def _payload(parts: list[Part], tokens: int, finish: str | None) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    counts = {"promptTokenCount": 3, "candidatesTokenCount": tokens, "totalTokenCount": 3 + tokens}
    document = {"candidates": [candidate], "usageMetadata": counts, "modelVersion": "gemini-scripted", "responseId": "r-1"}
    return json.dumps(document).encode()


@contextmanager
def serving() -> Iterator[GeminiProvider]:
    """The provider on a free loopback port."""
    provider = GeminiProvider()
    with in_a_thread.serving({"/v1beta/models/{tail:.+}": provider.answer}) as url:
        provider.url = url + "/v1beta"
        yield provider
