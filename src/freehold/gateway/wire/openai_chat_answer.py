"""A chat completion answer as clients get it: events to chunks, or to one body.

Written are fields of ours only: an upstream's text reaches a client as text, reasoning or tool calls that passed the guard, never
through a field nobody looked at. `reasoning_content` is the name reasoning has with DeepSeek, vLLM and others.
"""

from collections.abc import Iterable, Sequence
from typing import Any, assert_never

import orjson

from freehold.core.events import (
    FIRST_REFUSAL_PART,
    Aside,
    Blocked,
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    Payload,
    PromptText,
    ReasoningDelta,
    ServedBy,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.core.exchange import Exchange
from freehold.gateway.sse import SseEvent

_LOWEST_LOGPROB = -9999.0  # what OpenAI writes for minus infinity, which JSON has no word for


class ChunkEncoder:
    """Events to `chat.completion.chunk`s, byte by byte around one prepared head: this runs once a token."""

    __slots__ = ("_calls", "_exchange", "_head", "_tail")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._calls: dict[tuple[int, int], int] = {}  # (choice, part) -> index: clients keep a choice's calls in a list
        self._tail = b'}],"usage":null}' if exchange.include_usage else b"}]}"
        self._head = self._prepare(None)

    def encode(self, event: Event) -> list[SseEvent]:
        match event:
            case TextDelta() if not (event.text or event.logprobs):
                return []
            case TextDelta() if event.part >= FIRST_REFUSAL_PART:
                return [self._chunk(event.choice, b'{"refusal":%s}' % orjson.dumps(event.text))]
            case TextDelta():
                logprobs = orjson.dumps(_logprobs(event.logprobs)) if event.logprobs else b"null"
                return [self._chunk(event.choice, b'{"content":%s}' % orjson.dumps(event.text), logprobs)]
            case ReasoningDelta():
                return [self._chunk(event.choice, b'{"reasoning_content":%s}' % orjson.dumps(event.text))]
            case ToolCallDelta():
                call: dict[str, Any] = {"index": self._index(event), "function": {"arguments": event.arguments}}
                return [self._chunk(event.choice, orjson.dumps({"tool_calls": [call]}))]
            case ToolCallStart():
                function = {"name": event.name, "arguments": ""}
                call = {"index": self._index(event), "id": event.call_id, "type": "function", "function": function}
                return [self._chunk(event.choice, orjson.dumps({"tool_calls": [call]}))]
            case MessageStart():
                self._head = self._prepare(_own_build(event.served))
                return [self._chunk(choice, b'{"role":"assistant","content":""}') for choice in range(self._exchange.choices)]
            case MessageEnd() | PartEnd() | Usage() | Aside() | Blocked() | PromptText() | Payload():
                return []
            case _:
                assert_never(event)

    def finish(self, ends: Iterable[MessageEnd], usage: Usage | None) -> list[SseEvent]:
        payloads = [self._chunk(end.choice, b"{}", reason=orjson.dumps(end.finish_reason)) for end in ends]
        if self._exchange.include_usage:
            payloads.append((b'%s],"usage":%s}' % (self._head.removesuffix(b'{"index":'), orjson.dumps(_usage(usage))), b""))
        return payloads

    def _index(self, event: ToolCallStart | ToolCallDelta) -> int:
        """Calls are counted as they begin: other dialects number texts and thoughts among them."""
        key = (event.choice, event.part)
        if key not in self._calls:
            self._calls[key] = sum(choice == event.choice for choice, _ in self._calls)
        return self._calls[key]

    def _prepare(self, build: str | None) -> bytes:
        """Everything in front of the choice's index."""
        shared = {**_shared(self._exchange, "chat.completion.chunk", build), "choices": []}
        return orjson.dumps(shared).removesuffix(b"]}") + b'{"index":'

    def _chunk(self, choice: int, delta: bytes, logprobs: bytes = b"null", reason: bytes = b"null") -> SseEvent:
        head, tail = self._head, self._tail
        return b'%s%d,"delta":%s,"logprobs":%s,"finish_reason":%s%s' % (head, choice, delta, logprobs, reason, tail), b""


def encode_completion(exchange: Exchange, events: Iterable[Event]) -> bytes:
    """All events of one answer to one `chat.completion`."""
    choices = {number: _Choice() for number in range(exchange.choices)}
    build: str | None = None
    usage: Usage | None = None
    for event in events:
        match event:
            case TextDelta() | ReasoningDelta() | ToolCallStart() | ToolCallDelta() | MessageEnd():
                choices.setdefault(event.choice, _Choice()).add(event)
            case MessageStart():
                build = _own_build(event.served)
            case Usage():
                usage = event
            case PartEnd() | Aside() | Blocked() | PromptText() | Payload():
                pass
            case _:
                assert_never(event)
    shared = _shared(exchange, "chat.completion", build)
    body = {**shared, "choices": [choices[number].encode(number) for number in sorted(choices)], "usage": _usage(usage)}
    return orjson.dumps(body)


class _Choice:
    """One alternative of a plain answer, as it grows."""

    __slots__ = ("_calls", "_finish_reason", "_logprobs", "_reasoning", "_refusal", "_text")

    def __init__(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, tuple[ToolCallStart, list[str]]] = {}
        self._logprobs: list[TokenLogprob] = []
        self._finish_reason: FinishReason | None = None

    def add(self, event: TextDelta | ReasoningDelta | ToolCallStart | ToolCallDelta | MessageEnd) -> None:
        match event:
            case TextDelta() if event.part >= FIRST_REFUSAL_PART:
                self._refusal.append(event.text)
            case TextDelta():
                self._text.append(event.text)
                self._logprobs.extend(event.logprobs)
            case ReasoningDelta():
                self._reasoning.append(event.text)
            case ToolCallStart():
                self._calls[event.part] = (event, [])
            case ToolCallDelta():
                start = ToolCallStart(call_id="", name="", choice=event.choice, part=event.part)
                self._calls.setdefault(event.part, (start, []))[1].append(event.arguments)
            case MessageEnd():
                self._finish_reason = event.finish_reason
            case _:
                assert_never(event)

    def encode(self, number: int) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self._text) if self._text or not (self._calls or self._refusal) else None,
            "refusal": "".join(self._refusal) or None,
        }
        if self._reasoning:
            message["reasoning_content"] = "".join(self._reasoning)
        if self._calls:
            message["tool_calls"] = [
                {"id": start.call_id, "type": "function", "function": {"name": start.name, "arguments": "".join(arguments)}}
                for _, (start, arguments) in sorted(self._calls.items())
            ]
        logprobs = _logprobs(self._logprobs) if self._logprobs else None
        return {"index": number, "message": message, "logprobs": logprobs, "finish_reason": self._finish_reason}


def _own_build(served: ServedBy) -> str | None:
    """Our engine's build. A remote provider's is its own word, which no guard has read: it stays in the receipt."""
    return served.build if served.model_id is not None else None


def _shared(exchange: Exchange, kind: str, build: str | None) -> dict[str, Any]:
    """What chunks and bodies have in common. The model is called by the client's own word for it."""
    return {
        "id": f"chatcmpl-{exchange.id}",
        "object": kind,
        "created": exchange.received_at_ns // 1_000_000_000,
        "model": exchange.model,
        "system_fingerprint": build,
    }


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    """None where a count is unknown: a 0 would be a lie."""
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    counts: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_input_tokens is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": usage.cached_input_tokens}
    if usage.reasoning_tokens is not None:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return counts


def _logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    return {"content": written_logprobs(tokens), "refusal": None}


def written_logprobs(tokens: Iterable[TokenLogprob]) -> list[dict[str, Any]]:
    """As all of OpenAI's dialects have them."""
    return [
        {**_logprob(token.token, token.token_bytes, token.logprob), "top_logprobs": [_logprob(*likely) for likely in token.top]}
        for token in tokens
    ]


def _logprob(token: str, token_bytes: bytes, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": max(logprob, _LOWEST_LOGPROB), "bytes": list(token_bytes)}
