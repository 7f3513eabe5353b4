"""A chat completion answer: events to chunks or one body, and back.

Written are fields of ours only: an upstream's text reaches a client as text, reasoning or tool calls that passed the guard, never
through a field nobody looked at. `reasoning_content` is the name reasoning has with DeepSeek, vLLM and others.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never

import orjson

from freehold.core.errors import UpstreamBroken, UpstreamRejected
from freehold.core.events import (
    Alerted,
    Blocked,
    Event,
    FinishReason,
    Found,
    MessageEnd,
    MessageStart,
    PromptText,
    ReasoningDelta,
    ServedBy,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    Worked,
)
from freehold.core.exchange import Exchange

_INDEX_LIMIT = 128
_LOWEST_LOGPROB = -9999.0  # what OpenAI writes for minus infinity, which JSON has no word for
_BUILD_LIMIT_CHARS = 64
_NAME_LIMIT_CHARS = 256  # of a tool or a call; OpenAI allows 64
_FINISH_REASONS = {
    **{reason.value: reason for reason in FinishReason},
    "function_call": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "safety": FinishReason.CONTENT_FILTER,
}


class ChunkEncoder:
    """Events to `chat.completion.chunk`s, byte by byte around one prepared head: this runs once a token."""

    __slots__ = ("_exchange", "_head", "_tail")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._tail = b'}],"usage":null}' if exchange.include_usage else b"}]}"
        self._head = self._prepare(None)

    def encode(self, event: Event) -> list[bytes]:
        match event:
            case TextDelta():
                logprobs = orjson.dumps(_logprobs(event.logprobs)) if event.logprobs else b"null"
                return [self._chunk(event.choice, b'{"content":%s}' % orjson.dumps(event.text), logprobs)]
            case ReasoningDelta():
                return [self._chunk(event.choice, b'{"reasoning_content":%s}' % orjson.dumps(event.text))]
            case ToolCallDelta():
                call: dict[str, Any] = {"index": event.part, "function": {"arguments": event.arguments}}
                return [self._chunk(event.choice, orjson.dumps({"tool_calls": [call]}))]
            case ToolCallStart():
                function = {"name": event.name, "arguments": ""}
                call = {"index": event.part, "id": event.call_id, "type": "function", "function": function}
                return [self._chunk(event.choice, orjson.dumps({"tool_calls": [call]}))]
            case MessageStart():
                self._head = self._prepare(_own_build(event.served))
                return [self._chunk(choice, b'{"role":"assistant","content":""}') for choice in range(self._exchange.choices)]
            case MessageEnd() | Usage() | Worked() | Found() | Alerted() | Blocked() | PromptText():
                return []
            case _:
                assert_never(event)

    def finish(self, ends: Iterable[MessageEnd], usage: Usage | None) -> list[bytes]:
        payloads = [self._chunk(end.choice, b"{}", reason=orjson.dumps(end.finish_reason)) for end in ends]
        if self._exchange.include_usage:
            payloads.append(b'%s],"usage":%s}' % (self._head.removesuffix(b'{"index":'), orjson.dumps(_usage(usage))))
        return payloads

    def _prepare(self, build: str | None) -> bytes:
        """Everything in front of the choice's index."""
        shared = {**_shared(self._exchange, "chat.completion.chunk", build), "choices": []}
        return orjson.dumps(shared).removesuffix(b"]}") + b'{"index":'

    def _chunk(self, choice: int, delta: bytes, logprobs: bytes = b"null", reason: bytes = b"null") -> bytes:
        return b'%s%d,"delta":%s,"logprobs":%s,"finish_reason":%s%s' % (self._head, choice, delta, logprobs, reason, self._tail)


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
            case Worked() | Found() | Alerted() | Blocked() | PromptText():
                pass
            case _:
                assert_never(event)
    shared = _shared(exchange, "chat.completion", build)
    body = {**shared, "choices": [choices[number].encode(number) for number in sorted(choices)], "usage": _usage(usage)}
    return orjson.dumps(body)


class _Choice:
    """One alternative of a plain answer, as it grows."""

    __slots__ = ("_calls", "_finish_reason", "_logprobs", "_reasoning", "_text")

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, tuple[ToolCallStart, list[str]]] = {}
        self._logprobs: list[TokenLogprob] = []
        self._finish_reason: FinishReason | None = None

    def add(self, event: TextDelta | ReasoningDelta | ToolCallStart | ToolCallDelta | MessageEnd) -> None:
        match event:
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
            "content": "".join(self._text) if self._text or not self._calls else None,
            "refusal": None,
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
    return counts


def _logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    content = [
        {
            **_logprob(token.token, token.token_bytes, token.logprob),
            "top_logprobs": [_logprob(*likely) for likely in token.top],
        }
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _logprob(token: str, token_bytes: bytes, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": max(logprob, _LOWEST_LOGPROB), "bytes": list(token_bytes)}


class ChunkDecoder:
    """Chunks of any provider to events. MessageEnds wait until the usage, which providers send last, is known."""

    __slots__ = ("_calls", "_ends", "_open", "_provider", "_started", "_usage", "done")

    def __init__(self, *, provider: str) -> None:
        self._provider = provider
        self._started = False
        self.done = False
        self._open: set[int] = set()
        self._ends: dict[int, MessageEnd] = {}
        self._usage: Usage | None = None
        self._calls: set[tuple[int, int]] = set()

    def decode(self, data: bytes, name: bytes = b"") -> list[Event]:
        if self.done:
            return []
        if data == b"[DONE]":
            self.done = True
            return []
        return self.read(_object(data), turn="delta")

    def read(self, document: Mapping[str, Any], *, turn: str) -> list[Event]:
        """Read a chunk (`turn` "delta") or a whole body ("message"): they differ in that word alone."""
        if document.get("error"):
            raise _rejected(document["error"])
        events: list[Event] = []
        if not self._started:
            self._started = True
            events.append(MessageStart(served=_served(document, self._provider)))
        for choice in _list(document, "choices"):
            self._read_choice(choice, turn, events)
        if usage := _mapping(document, "usage"):
            self._usage = _read_usage(usage)
        return events

    def close(self) -> list[Event]:
        unfinished = self._open - self._ends.keys()
        if unfinished or not self._ends:
            raise UpstreamBroken(f"upstream {self._provider} ended its stream before the answer's end")
        ends = [self._ends[choice] for choice in sorted(self._ends)]
        return [*([self._usage] if self._usage else []), *ends]

    def _read_choice(self, choice: Any, turn: str, events: list[Event]) -> None:
        if not isinstance(choice, dict):
            raise _nonsense("choices")
        number = _index(choice.get("index", 0))
        self._open.add(number)
        if delta := _mapping(choice, turn):
            self._read_delta(delta, number, choice, events)
        reason = choice.get("finish_reason")
        if reason is not None:
            self._ends[number] = MessageEnd(finish_reason=_finish_reason(reason), choice=number)

    def _read_delta(self, delta: Mapping[str, Any], number: int, choice: Mapping[str, Any], events: list[Event]) -> None:
        if reasoning := _text(delta, "reasoning_content") or _text(delta, "reasoning"):
            events.append(ReasoningDelta(text=reasoning, choice=number))
        logprobs = _read_logprobs(choice.get("logprobs")) if choice.get("logprobs") is not None else ()
        content = _text(delta, "content") or _text(delta, "refusal")
        if content or logprobs:
            events.append(TextDelta(text=content, choice=number, logprobs=logprobs))
        for position, call in enumerate(_list(delta, "tool_calls")):
            self._read_call(call, number, position, events)

    def _read_call(self, call: Any, number: int, position: int, events: list[Event]) -> None:
        if not isinstance(call, dict):
            raise _nonsense("tool_calls")
        part = _index(call.get("index", position))
        function = _mapping(call, "function") or {}
        if (number, part) not in self._calls:
            self._calls.add((number, part))
            call_id, name = _text(call, "id") or f"call_{number}_{part}", _text(function, "name")
            if len(call_id) > _NAME_LIMIT_CHARS or len(name) > _NAME_LIMIT_CHARS:
                raise _nonsense("tool_calls")
            events.append(ToolCallStart(call_id=call_id, name=name, choice=number, part=part))
        if arguments := _text(function, "arguments"):
            events.append(ToolCallDelta(arguments=arguments, choice=number, part=part))


def decode_completion(body: bytes, *, provider: str) -> list[Event]:
    """A whole body to events."""
    decoder = ChunkDecoder(provider=provider)
    return [*decoder.read(_object(body), turn="message"), *decoder.close()]


def _object(data: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise UpstreamBroken("the upstream sent something that is not JSON") from exc
    if not isinstance(document, dict):
        raise UpstreamBroken("the upstream sent JSON that is not an object")
    return document


def _nonsense(field: str) -> UpstreamBroken:
    return UpstreamBroken(f"the upstream sent a malformed {field}")


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _nonsense(key)
    return value


def _mapping(document: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    value = document.get(key)
    if value is not None and not isinstance(value, dict):
        raise _nonsense(key)
    return value


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _nonsense(key)
    return value


def _index(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _INDEX_LIMIT:
        raise _nonsense("index")
    return value


def _finish_reason(value: Any) -> FinishReason:
    """An unknown word is an ordinary end: all text has come, and the word itself was never looked at."""
    if not isinstance(value, str):
        raise _nonsense("finish_reason")
    return _FINISH_REASONS.get(value, FinishReason.STOP)


def _served(document: Mapping[str, Any], provider: str) -> ServedBy:
    build = document.get("system_fingerprint")
    short = isinstance(build, str) and 0 < len(build) <= _BUILD_LIMIT_CHARS
    return ServedBy(provider=provider, model=_text(document, "model")[:_NAME_LIMIT_CHARS], build=build if short else None)


def _read_usage(usage: Mapping[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details")
    return Usage(
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        cached_input_tokens=_count(details.get("cached_tokens")) if isinstance(details, dict) else None,
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None


def _read_logprobs(value: Any) -> tuple[TokenLogprob, ...]:
    if not isinstance(value, dict):
        raise _nonsense("logprobs")
    return tuple(_read_token(token) for token in _list(value, "content"))


def _read_token(value: Any) -> TokenLogprob:
    token, token_bytes, logprob = _read_likely(value)
    top = tuple(_read_likely(likely) for likely in _list(value, "top_logprobs"))
    return TokenLogprob(token=token, token_bytes=token_bytes, logprob=logprob, top=top)


def _read_likely(value: Any) -> tuple[str, bytes, float]:
    if not isinstance(value, dict):
        raise _nonsense("logprobs")
    token, logprob = _text(value, "token"), value.get("logprob")
    if isinstance(logprob, bool) or not isinstance(logprob, int | float):
        raise _nonsense("logprob")
    values = _list(value, "bytes") if value.get("bytes") is not None else None
    try:
        return token, token.encode() if values is None else bytes(values), float(logprob)
    except (ValueError, TypeError) as exc:  # a byte above 255, or no number at all
        raise _nonsense("bytes") from exc


def _rejected(error: Any) -> UpstreamRejected:
    """An error in the place of an answer. Its words are the provider's: the gateway lets the guard see them."""
    message = error.get("message") if isinstance(error, dict) else error
    status = error.get("code") if isinstance(error, dict) else None
    known = isinstance(status, int) and not isinstance(status, bool) and 400 <= status <= 599
    return UpstreamRejected(
        message[:2000] if isinstance(message, str) and message else "the upstream broke off with an error",
        status=status if known and status is not None else 502,
    )
