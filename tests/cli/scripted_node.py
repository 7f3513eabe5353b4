"""A small OpenAI-compatible node on loopback: what the last message says decides how it answers."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY = "fh_key"
RECEIPT = "xc_00000000000000000000000042"


@dataclass(slots=True)
class ScriptedNode:
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    readiness: list[int] = field(default_factory=list)  # what `/readyz` answers next; 200 when empty
    has_upstreams: bool = True

    async def ready(self, request: web.Request) -> web.Response:
        status = self.readiness.pop(0) if self.readiness else 200
        engine = {"engine": {"ready": status == 200, "detail": "loading"}}
        return web.json_response({"upstreams": engine if self.has_upstreams else {}}, status=status)

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "tiny"}, {"id": "other"}]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        said = body["messages"][-1]["content"]
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return refusal(401, "this key is unknown")
        if said == "forbidden":
            return refusal(400, "the guard stopped this request")
        if said == "busy":
            return refusal(503, "the engine is starting again", {"retry-after": "3"})
        if said == "page":
            return web.Response(status=404, text="<html>")
        response = web.StreamResponse(headers={"content-type": "text/event-stream", "x-freehold-receipt": RECEIPT})
        await response.prepare(request)
        if said == "endless":
            for number in range(10_000):
                await send(response, delta(f"{number} "))
                await asyncio.sleep(0.02)
        if said == "call":
            start = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
            more = [{"index": 0, "function": {"arguments": piece}} for piece in ('{"a"', ": 1}")]
            for part in (start, *more):
                await send(response, {"choices": [{"delta": {"tool_calls": [part]}, "finish_reason": None}]})
            await send(response, {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
            await response.write(b"data: [DONE]\n\n")
            return response
        if body.get("logprobs"):
            told = {"token": "You ", "logprob": -0.6931471805599453, "top_logprobs": [{"token": "He ", "logprob": -1.5}]}
            await send(response, {"choices": [{"delta": {}, "logprobs": {"content": [told]}, "finish_reason": None}]})
        for word in ("You ", "said: ", said):
            await send(response, delta(word))
            await asyncio.sleep(0.005)
        if said == "breaks":
            await send(response, {"error": {"message": "the engine died"}})
            return response
        if said == "garbage":
            await response.write(b"data: {]\n\n")
            return response
        if said == "cut":
            return response
        reason = "content_filter" if said == "filtered" else "stop"
        await send(response, {"choices": [{"delta": {}, "finish_reason": reason}]})
        await send(response, {"choices": [], "usage": {"completion_tokens": 3}})
        await response.write(b": a comment\n\ndata: [DONE]\n\n")
        return response


def delta(text: str) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": None}]}


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status, headers=headers)


async def send(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(f"data: {json.dumps(event)}\n\n".encode())


@contextlib.contextmanager
def serving() -> Iterator[ScriptedNode]:
    node, loop, started = ScriptedNode(), asyncio.new_event_loop(), threading.Event()
    application = web.Application()
    routes = [web.get("/readyz", node.ready), web.get("/v1/models", node.models), web.post("/v1/chat/completions", node.chat)]
    application.add_routes(routes)
    runner = web.AppRunner(application, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        node.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()

    def serve() -> None:
        loop.run_until_complete(start())
        loop.run_forever()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield node
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
