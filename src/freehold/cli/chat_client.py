"""One conversation with any OpenAI-compatible node, streamed.

Decided here: what counts as the end of an answer (`[DONE]`, and nothing less), what is kept of one that broke off, and how
a node's errors read in words. Knows nothing of terminals.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from freehold.core.errors import ModelRefused, UpstreamBroken
from freehold.gateway.sse import SseParser

# A node checks its model before it answers; a large one takes minutes from a slow disk.
READY_LIMIT_S = 900.0
SHORTEST_DECODE_S = 0.02  # an answer that came in one read or two says nothing of speed
SILENCE_LIMIT_S = 300.0  # the longest wait for a next token: a long prompt on a slow machine
EVENT_LIMIT_BYTES = 4 << 20  # logprobs and tool calls stay far below


class ChatError(Exception):
    """What went wrong, in words for the person at the terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Where to ask, and with which key."""

    url: str
    key: str = field(repr=False)

    def endpoint(self, path: str) -> str:
        base = self.url.rstrip("/")
        return f"{base if base.endswith('/v1') else base + '/v1'}{path}"

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"} if self.key else {}


@dataclass(slots=True)
class Call:
    """A tool call, as far as it has come. `arguments` is JSON text."""

    call_id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Answer:
    """One answer as it arrives. `output_tokens` is the node's count; None until it says so."""

    text: str = ""
    calls: dict[int, Call] = field(default_factory=dict)  # by their index
    logprobs: list[dict[str, Any]] = field(default_factory=list)  # of its tokens, as the node tells them
    receipt: str | None = None
    finish_reason: str | None = None
    output_tokens: int | None = None
    asked_at_s: float = 0.0
    first_at_s: float | None = None
    last_at_s: float | None = None

    def add(self, piece: str) -> None:
        self.last_at_s = time.monotonic()
        self.first_at_s = self.first_at_s or self.last_at_s
        self.text += piece

    def facts(self) -> str:
        """ "24 tokens · 61.0 tokens/s · first after 0.21 s · receipt xc_…": only what is known."""
        facts = [] if self.output_tokens is None else [f"{self.output_tokens} tokens"]
        if self.first_at_s is not None and self.last_at_s is not None:
            decode_s = self.last_at_s - self.first_at_s
            if self.output_tokens is not None and self.output_tokens > 1 and decode_s > SHORTEST_DECODE_S:
                facts.append(f"{(self.output_tokens - 1) / decode_s:.1f} tokens/s")
            facts.append(f"first after {self.first_at_s - self.asked_at_s:.2f} s")
        if self.receipt:
            facts.append(f"receipt {self.receipt}")
        return " · ".join(facts)


@dataclass(slots=True)
class Chat:
    node: Node
    model: str
    options: dict[str, Any]
    messages: list[dict[str, Any]]

    @classmethod
    def begin(cls, node: Node, model: str, system: str | None, options: dict[str, Any]) -> "Chat":
        return cls(node=node, model=model, options=options, messages=[{"role": "system", "content": system}] if system else [])

    def reset(self) -> None:
        self.messages = [message for message in self.messages if message["role"] == "system"]

    async def ask(self, prompt: str, answer: Answer, show: Callable[[str], None]) -> None:
        """Fill `answer`, showing each piece. The turn is remembered as far as it came; if nothing came, it never was."""
        await self._turn([{"role": "user", "content": prompt}], answer, show)

    async def give_results(self, results: Sequence[tuple[Call, str]], answer: Answer, show: Callable[[str], None]) -> None:
        """As `ask`, with what the tools gave to the calls of the last answer."""
        given = [{"role": "tool", "tool_call_id": call.call_id, "content": result} for call, result in results]
        await self._turn(given, answer, show)

    async def _turn(self, said: list[dict[str, Any]], answer: Answer, show: Callable[[str], None]) -> None:
        before = len(self.messages)
        self.messages += said
        try:
            async for event in _stream(self.node, self._body(), answer):
                _take(event, answer, show)
        finally:
            if answer.text or answer.calls:
                self.messages.append(_said(answer))
            else:
                del self.messages[before:]

    def _body(self) -> dict[str, Any]:
        stream = {"stream": True, "stream_options": {"include_usage": True}}
        return {"model": self.model, "messages": self.messages, **stream, **self.options}


def _said(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.calls:
        message["tool_calls"] = [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for _, call in sorted(answer.calls.items())
        ]
    return message


async def _stream(node: Node, body: dict[str, Any], answer: Answer) -> AsyncIterator[dict[str, Any]]:
    """The parsed events of one answer. Raises ChatError unless the stream ended as it should, with `[DONE]`."""
    answer.asked_at_s = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_LIMIT_S)
    parser = SseParser(limit_bytes=EVENT_LIMIT_BYTES)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=node.headers) as session,
            session.post(node.endpoint("/chat/completions"), json=body) as response,
        ):
            if response.status != 200:
                raise ChatError(await _refusal(response))
            answer.receipt = response.headers.get("x-freehold-receipt")
            async for piece in response.content.iter_any():
                for data, _ in parser.feed(piece):
                    if data == b"[DONE]":
                        return
                    yield _event(data)
    except TimeoutError:
        raise ChatError(f"the node was silent for {SILENCE_LIMIT_S:.0f} s") from None
    except UpstreamBroken as exc:
        raise ChatError(f"the answer broke off: {exc.message}") from exc
    except aiohttp.ClientError as exc:
        raise ChatError(_lost(node, exc, begun=answer.first_at_s is not None)) from exc
    raise ChatError("the answer broke off: the node closed the connection before the end")


def _event(data: bytes) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise ChatError("the node sent something that is not an OpenAI stream; is the URL right?")
    return event


def _take(event: dict[str, Any], answer: Answer, show: Callable[[str], None]) -> None:
    if error := event.get("error"):
        raise ChatError(f"the answer broke off: {_words(error)}")
    if usage := event.get("usage"):
        answer.output_tokens = usage.get("completion_tokens")
    for choice in event.get("choices") or ():
        delta = choice.get("delta") or {}
        if piece := delta.get("content"):
            answer.add(piece)
            show(piece)
        for part in delta.get("tool_calls") or ():
            _take_call(part, answer)
        answer.logprobs += (choice.get("logprobs") or {}).get("content") or ()
        answer.finish_reason = choice.get("finish_reason") or answer.finish_reason


def _take_call(part: dict[str, Any], answer: Answer) -> None:
    call, function = answer.calls.setdefault(part.get("index", 0), Call()), part.get("function") or {}
    call.call_id = part.get("id") or call.call_id
    call.name = function.get("name") or call.name
    call.arguments += function.get("arguments") or ""
    answer.add("")


async def _refusal(response: aiohttp.ClientResponse) -> str:
    """An error body in words, with when to try again where the node says so."""
    try:
        words = _words(json.loads(await response.content.read(65536))["error"])
    except (ValueError, KeyError, TypeError):
        words = f"the server answered {response.status} without a reason; is the URL right?"
    hint = {401: " (give a key with --key or FREEHOLD_API_KEY)"}.get(response.status, "")
    retry = response.headers.get("retry-after")
    return f"{words}{hint}{f' (try again in {retry} s)' if retry else ''} [{response.status}]"


def _words(error: object) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or "the node gave no reason")


def _lost(node: Node, exc: Exception, *, begun: bool) -> str:
    if begun:
        return "the answer broke off: the connection was lost"
    if isinstance(exc, aiohttp.ClientConnectorError):
        return f"nobody answers at {node.url}; start a node with `freehold serve`, or leave --url out to run one inside"
    if isinstance(exc, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return f"{node.url} is no address of a node; it looks like http://127.0.0.1:8400"
    return f"cannot ask {node.url}: {exc}"


async def first_model(node: Node) -> str:
    """The first model the node names."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), headers=node.headers) as session,
            session.get(node.endpoint("/models")) as response,
        ):
            if response.status != 200:
                raise ChatError(await _refusal(response))
            return str(json.loads(await response.read())["data"][0]["id"])
    except (aiohttp.ClientError, TimeoutError) as exc:
        raise ChatError(_lost(node, exc, begun=False)) from exc
    except (ValueError, KeyError, TypeError, IndexError) as exc:
        raise ChatError(f"{node.url} names no model; name one with --model") from exc


async def await_ready(node: Node, show: Callable[[str], None]) -> None:
    """Wait until the node inside has loaded its model, telling how far it is."""
    give_up_at_s = time.monotonic() + READY_LIMIT_S
    async with aiohttp.ClientSession(headers=node.headers) as session:
        while time.monotonic() < give_up_at_s:
            try:
                async with session.get(node.url.rstrip("/").removesuffix("/v1") + "/readyz") as response:
                    if response.status == 200:
                        return
                    body = await response.text()
                    if (why := _refused(body)) is not None:
                        raise ChatError(why)
                    show(_missing(body))
            except aiohttp.ClientError as exc:
                raise ChatError(_lost(node, exc, begun=False)) from exc
            await asyncio.sleep(0.1)
    raise ChatError(f"the model was not ready after {READY_LIMIT_S:.0f} s; `freehold doctor` says what is wrong")


def _refused(body: str) -> str | None:
    """What no waiting mends: nobody is there to answer, or the engine will not run its model. None while it may become ready."""
    try:
        upstreams = json.loads(body)["upstreams"].values()
        if not upstreams:
            return "nobody is there to answer: name a model in [engine] of the configuration, or a provider in [[upstreams]]"
        return next((part["detail"] for part in upstreams if part.get("code") == ModelRefused.code), None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _missing(body: str) -> str:
    """What `/readyz` says is not ready, in its own words."""
    try:
        upstreams = json.loads(body)["upstreams"].values()
        return "; ".join(part["detail"] for part in upstreams if not part["ready"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "starting"
