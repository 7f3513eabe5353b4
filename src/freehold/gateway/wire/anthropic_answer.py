"""A Messages answer as clients get it: events to the stream's events, or to one message.

The format has one answer and gives its blocks one after another. What comes for another block while a tool call is open waits
until that call ends, as half a call is none; a text or a thought gives way at once and goes on in a block of its own. Written are
fields of ours only: an upstream's text reaches a client as text, thought or call that passed the guard.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias, assert_never

import orjson

from freehold.core.errors import UpstreamBroken
from freehold.core.events import (
    Aside,
    Blocked,
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    Payload,
    PromptText,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.core.exchange import Exchange
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.anthropic_prompt import DIALECT, REDACTED
from freehold.gateway.wire.prompt import UNSEALED, bare_seal

_Said: TypeAlias = TextDelta | ReasoningDelta | ToolCallStart | ToolCallDelta | PartEnd
_Key: TypeAlias = tuple[PartKind, int]  # kind, part

_STOP_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
}


class MessageEncoder:
    """Events of any upstream to the events of a message's stream."""

    __slots__ = ("_exchange", "_has_called", "_head", "_index", "_open", "_waiting")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._index = -1  # of the last block begun
        self._open: _Key | None = None
        self._head = b""  # of the open block's deltas, up to their text
        self._waiting: list[_Said] = []  # for the end of an open call
        self._has_called = False

    def encode(self, event: Event) -> list[SseEvent]:
        match event:
            case TextDelta() | ReasoningDelta() | ToolCallStart() | ToolCallDelta() | PartEnd():
                return list(self._say(event)) if event.choice == 0 else []
            case MessageStart():
                return [_event("message_start", message=_message(self._exchange, [], None, _NOTHING_YET))]
            case MessageEnd() | Usage() | Aside() | Blocked() | PromptText() | Payload():
                return []
            case _:
                assert_never(event)

    def finish(self, ends: Iterable[MessageEnd], usage: Usage | None) -> list[SseEvent]:
        last: list[SseEvent] = []
        while self._open is not None:
            last += self._end()
        delta = {"stop_reason": _stop_reason(ends, self._has_called), "stop_sequence": None}
        return [*last, _event("message_delta", delta=delta, usage=_usage(usage)), _event("message_stop")]

    def _say(self, event: _Said) -> Iterator[SseEvent]:
        key = _key(event)
        if key != self._open and self._open is not None and self._open[0] is PartKind.TOOL_CALL:
            self._waiting.append(event)
            return
        match event:
            case TextDelta():
                if event.text:
                    yield from self._begin(key, b'"text_delta","text":', type="text", text="")
                    yield self._delta(event.text)
            case ReasoningDelta():
                if event.text:
                    yield from self._begin(key, b'"thinking_delta","thinking":', type="thinking", thinking="", signature="")
                    yield self._delta(event.text)
            case ToolCallStart():
                yield from self._begin_call(key, event)
            case ToolCallDelta():
                yield from self._begin_call(key, ToolCallStart(call_id=f"toolu_{event.part}", name="", part=event.part))
                if event.arguments:
                    yield self._delta(event.arguments)
            case PartEnd():
                yield from self._end_part(key, event.signature)
            case _:
                assert_never(event)

    def _begin_call(self, key: _Key, start: ToolCallStart) -> Iterator[SseEvent]:
        self._has_called = True
        head = b'"input_json_delta","partial_json":'
        return self._begin(key, head, type="tool_use", id=start.call_id, name=start.name, input={})

    def _begin(self, key: _Key, head: bytes, **block: Any) -> Iterator[SseEvent]:
        """Begin the block of a part, unless it is the open one; no open call is in its way."""
        if key == self._open:
            return
        if self._open is not None:
            yield from self._stop()
        self._open, self._index = key, self._index + 1
        self._head = b'{"type":"content_block_delta","index":%d,"delta":{"type":%s' % (self._index, head)
        yield _event("content_block_start", index=self._index, content_block=block)

    def _delta(self, text: str) -> SseEvent:
        return b"%s%s}}" % (self._head, orjson.dumps(text)), b"content_block_delta"

    def _end_part(self, key: _Key, signature: str | None) -> Iterator[SseEvent]:
        if key[0] is PartKind.REASONING and signature:
            yield from self._begin(key, b"", type="thinking", thinking="", signature="")
        if key == self._open:
            yield from self._end(signature)

    def _end(self, signature: str | None = None) -> Iterator[SseEvent]:
        """End the open block; then say what waited for that."""
        yield from self._stop(signature)
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            yield from self._say(event)

    def _stop(self, signature: str | None = None) -> Iterator[SseEvent]:
        if self._open is not None and self._open[0] is PartKind.REASONING:
            delta = {"type": "signature_delta", "signature": _seal(signature)}
            yield _event("content_block_delta", index=self._index, delta=delta)
        self._open = None
        yield _event("content_block_stop", index=self._index)


def encode_message(exchange: Exchange, events: Iterable[Event]) -> bytes:
    """All events of one answer to one message."""
    blocks: dict[_Key, _Block] = {}
    ends: list[MessageEnd] = []
    usage: Usage | None = None
    for event in events:
        match event:
            case TextDelta() | ReasoningDelta() | ToolCallStart() | ToolCallDelta() | PartEnd():
                if event.choice == 0:
                    blocks.setdefault(_key(event), _Block()).add(event)
            case MessageEnd():
                ends.append(event)
            case Usage():
                usage = event
            case MessageStart() | Aside() | Blocked() | PromptText() | Payload():
                pass
            case _:
                assert_never(event)
    reason = _stop_reason(ends, any(kind is PartKind.TOOL_CALL for kind, _ in blocks))
    content = [block for (kind, _), made in blocks.items() for block in made.encode(kind, is_cut=reason == "max_tokens")]
    return orjson.dumps(_message(exchange, content, reason, _usage(usage)))


class _Block:
    """One block of a plain answer, as it grows."""

    __slots__ = ("_signature", "_start", "_texts")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._start: ToolCallStart | None = None
        self._signature: str | None = None

    def add(self, event: _Said) -> None:
        match event:
            case TextDelta() | ReasoningDelta():
                self._texts.append(event.text)
            case ToolCallDelta():
                self._texts.append(event.arguments)
            case ToolCallStart():
                self._start = event
            case PartEnd():
                self._signature = event.signature
            case _:
                assert_never(event)

    def encode(self, kind: PartKind, *, is_cut: bool) -> Sequence[dict[str, Any]]:
        """The block, or none where there is nothing in it."""
        text = "".join(self._texts)
        match kind:
            case PartKind.TEXT:
                return [{"type": "text", "text": text}] if text else []
            case PartKind.REASONING:
                block = {"type": "thinking", "thinking": text, "signature": _seal(self._signature)}
                return [block] if text or self._signature else []
            case PartKind.TOOL_CALL:
                return self._call(text, is_cut)
            case _:
                assert_never(kind)

    def _call(self, text: str, is_cut: bool) -> Sequence[dict[str, Any]]:
        """A call whose arguments the limit of tokens cut off is left out, as the stop reason tells; nobody can run it."""
        try:
            arguments = orjson.loads(text or "{}")
        except orjson.JSONDecodeError:
            arguments = None
        if not isinstance(arguments, dict):
            if is_cut:
                return []
            raise UpstreamBroken("the arguments of a tool call in the upstream's answer are no JSON object; try again")
        start = self._start
        call_id, name = (start.call_id, start.name) if start is not None else ("toolu_0", "")
        return [{"type": "tool_use", "id": call_id, "name": name, "input": arguments}]


def _key(event: _Said) -> _Key:
    match event:
        case TextDelta():
            return PartKind.TEXT, event.part
        case ReasoningDelta():
            return PartKind.REASONING, event.part
        case ToolCallStart() | ToolCallDelta():
            return PartKind.TOOL_CALL, event.part
        case PartEnd():
            return event.kind, event.part
        case _:
            assert_never(event)


def _seal(signature: str | None) -> str:
    """A thought that a provider of this dialect would not know as its own is marked, so that none is sent it in the next turn."""
    own = bare_seal(DIALECT, signature)
    return (signature or UNSEALED) if own is None or own.startswith(REDACTED) else own


def _event(kind: str, **fields: Any) -> SseEvent:
    return orjson.dumps({"type": kind, **fields}), kind.encode()


def _message(exchange: Exchange, content: list[dict[str, Any]], reason: str | None, usage: dict[str, Any]) -> dict[str, Any]:
    """The model is called by the client's own word for it."""
    return {
        "id": f"msg_{exchange.id}",
        "type": "message",
        "role": "assistant",
        "model": exchange.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _stop_reason(ends: Iterable[MessageEnd], has_called: bool) -> str:
    """Some providers end a turn of calls like any other; clients of this format run calls on `tool_use` alone."""
    reason = next((_STOP_REASONS[end.finish_reason] for end in ends if end.choice == 0), "end_turn")
    return "tool_use" if has_called and reason == "end_turn" else reason


# The counts of a stream's events are cumulative: these say that nothing is counted yet, and `message_delta` has the last word.
# Clients that check the schema refuse null here.
_NOTHING_YET = {"input_tokens": 0, "output_tokens": 0}


def _usage(usage: Usage | None) -> dict[str, Any]:
    """Cached tokens are counted apart from `input_tokens` in this format. A count that is unknown is null: a 0 would be a lie."""
    if usage is None:
        return {"input_tokens": None, "output_tokens": None}
    read, written = usage.cached_input_tokens, usage.cache_write_tokens
    fresh = None if usage.input_tokens is None else max(0, usage.input_tokens - (read or 0) - (written or 0))
    counts: dict[str, Any] = {"input_tokens": fresh, "output_tokens": usage.output_tokens}
    if written is not None:
        counts["cache_creation_input_tokens"] = written
    if read is not None:
        counts["cache_read_input_tokens"] = read
    if usage.reasoning_tokens is not None:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return counts
