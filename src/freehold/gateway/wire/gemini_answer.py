"""A generateContent answer as clients get it: events to a stream's payloads, or to one body.

Written are fields of ours only, as with every dialect. A call is written whole, once it is: an object can't be cut. Thoughts are
shown to clients that asked for them, as Gemini does. A count nobody knows is left out.
"""

from collections.abc import Iterable, Sequence
from typing import Any, assert_never

import orjson

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
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.core.exchange import Exchange
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.gemini_document import arguments_of
from freehold.gateway.wire.gemini_request import wants_thoughts
from freehold.gateway.wire.gemini_words import write_seal
from freehold.gateway.wire.prompt import UNSEALED

_FINISH_REASONS = {
    FinishReason.STOP: "STOP",
    FinishReason.TOOL_CALLS: "STOP",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.CONTENT_FILTER: "SAFETY",
}
_CUT = _FINISH_REASONS[FinishReason.LENGTH]  # a call that this cut off is left out: nobody can run it
_LOWEST_LOGPROB = -9999.0  # JSON has no word for minus infinity


class PayloadEncoder:
    """Events to payloads, byte by byte around one prepared tail: this runs once a token."""

    __slots__ = ("_called", "_calls", "_exchange", "_shared", "_shows_thoughts", "_tail")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._shows_thoughts = wants_thoughts(exchange.document)
        self._shared = _shared(exchange)
        self._tail = b"}]," + orjson.dumps(self._shared)[1:]
        self._calls: dict[tuple[int, int], _Call] = {}  # not written yet
        self._called: set[int] = set()  # candidates of which a call was written

    def encode(self, event: Event) -> list[SseEvent]:
        match event:
            case TextDelta():
                if not event.text and not event.logprobs:
                    return []
                part = b'{"text":%s}' % orjson.dumps(event.text)
                return [self._payload(event.choice, part, _logprobs_field(event.logprobs) if event.logprobs else b"")]
            case ReasoningDelta():
                if not event.text or not self._shows_thoughts:
                    return []
                return [self._payload(event.choice, b'{"text":%s,"thought":true}' % orjson.dumps(event.text))]
            case ToolCallStart():
                self._calls[event.choice, event.part] = _Call(event.call_id, event.name)
                return []
            case ToolCallDelta():
                self._calls.setdefault((event.choice, event.part), _Call("", "")).arguments.append(event.arguments)
                return []
            case PartEnd():
                return self._end_part(event)
            case MessageStart() | MessageEnd() | Usage() | Aside() | Blocked() | PromptText() | Payload():
                return []
            case _:
                assert_never(event)

    def finish(self, ends: Iterable[MessageEnd], usage: Usage | None) -> list[SseEvent]:
        """One payload with the calls that are still here, every candidate's reason, and the counts."""
        reasons = {end.choice: _FINISH_REASONS[end.finish_reason] for end in ends}
        candidates = [self._last(choice, reason) for choice, reason in sorted(reasons.items())]
        return [(orjson.dumps({"candidates": candidates, **_usage(usage), **self._shared}), b"")]

    def _last(self, choice: int, reason: str) -> dict[str, Any]:
        open_calls = sorted(key for key in self._calls if key[0] == choice)
        kept = [key for key in open_calls if reason != _CUT or self._calls[key].is_whole]
        parts = [self._call(key) for key in kept] or [{"text": ""}]
        return {"content": {"parts": parts, "role": "model"}, "finishReason": reason, "index": choice}

    def _end_part(self, event: PartEnd) -> list[SseEvent]:
        if event.kind is PartKind.TOOL_CALL:
            key = event.choice, event.part
            if (call := self._calls.get(key)) is None:
                return []
            call.signature = event.signature
            return [self._payload(event.choice, orjson.dumps(self._call(key)))] if call.is_whole else []
        if event.kind is PartKind.REASONING and self._shows_thoughts and (seal := write_seal(event.signature)):
            return [self._payload(event.choice, orjson.dumps({"text": "", "thought": True, **seal}))]
        return []

    def _call(self, key: tuple[int, int]) -> dict[str, Any]:
        is_first = key[0] not in self._called
        self._called.add(key[0])
        return self._calls.pop(key).part(is_first=is_first)

    def _payload(self, choice: int, part: bytes, more: bytes = b"") -> SseEvent:
        head = b'{"candidates":[{"content":{"parts":['
        return b'%s%s],"role":"model"},"index":%d%s%s' % (head, part, choice, more, self._tail), b""


def encode_answer(exchange: Exchange, events: Iterable[Event]) -> bytes:
    """All events of one answer to one body."""
    shows_thoughts = wants_thoughts(exchange.document)
    candidates = {number: _Candidate(shows_thoughts=shows_thoughts) for number in range(exchange.choices)}
    usage: Usage | None = None
    for event in events:
        match event:
            case TextDelta() | ReasoningDelta() | ToolCallStart() | ToolCallDelta() | PartEnd() | MessageEnd():
                candidates.setdefault(event.choice, _Candidate(shows_thoughts=shows_thoughts)).add(event)
            case Usage():
                usage = event
            case MessageStart() | Aside() | Blocked() | PromptText() | Payload():
                pass
            case _:
                assert_never(event)
    written = [candidates[number].encode(number) for number in sorted(candidates)]
    return orjson.dumps({"candidates": written, **_usage(usage), **_shared(exchange)})


class _Call:
    __slots__ = ("arguments", "call_id", "name", "signature")

    def __init__(self, call_id: str, name: str) -> None:
        self.call_id = call_id
        self.name = name
        self.arguments: list[str] = []
        self.signature: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its arguments are an object: else the limit of tokens may have cut them off, which the answer's end tells."""
        try:
            return isinstance(orjson.loads("".join(self.arguments) or "{}"), dict)
        except orjson.JSONDecodeError:
            return False

    def part(self, *, is_first: bool) -> dict[str, Any]:
        """Google wants a seal on the first call of a step: where there is none, a word says so."""
        call_id = {"id": self.call_id} if self.call_id else {}
        call = {**call_id, "name": self.name, "args": arguments_of("".join(self.arguments))}
        return {"functionCall": call, **write_seal(self.signature or (UNSEALED if is_first else None))}


class _Candidate:
    """One alternative of a plain answer, as it grows. Its parts stand in the order that they began."""

    __slots__ = ("_calls", "_finish_reason", "_logprobs", "_seals", "_shows_thoughts", "_texts")

    def __init__(self, *, shows_thoughts: bool) -> None:
        self._shows_thoughts = shows_thoughts
        self._texts: dict[tuple[PartKind, int], list[str]] = {}  # of calls: none
        self._calls: dict[int, _Call] = {}
        self._seals: dict[tuple[PartKind, int], str | None] = {}
        self._logprobs: list[TokenLogprob] = []
        self._finish_reason: FinishReason | None = None

    def add(self, event: TextDelta | ReasoningDelta | ToolCallStart | ToolCallDelta | PartEnd | MessageEnd) -> None:
        match event:
            case TextDelta():
                self._texts.setdefault((PartKind.TEXT, event.part), []).append(event.text)
                self._logprobs.extend(event.logprobs)
            case ReasoningDelta():
                self._texts.setdefault((PartKind.REASONING, event.part), []).append(event.text)
            case ToolCallStart():
                self._begin(event.part, _Call(event.call_id, event.name))
            case ToolCallDelta():
                if event.part not in self._calls:
                    self._begin(event.part, _Call("", ""))
                self._calls[event.part].arguments.append(event.arguments)
            case PartEnd():
                self._seals[event.kind, event.part] = event.signature
            case MessageEnd():
                self._finish_reason = event.finish_reason
            case _:
                assert_never(event)

    def encode(self, number: int) -> dict[str, Any]:
        parts = [part for (kind, at), texts in self._texts.items() if (part := self._part(kind, at, "".join(texts))) is not None]
        candidate: dict[str, Any] = {"content": {"parts": parts or [{"text": ""}], "role": "model"}}
        if self._finish_reason is not None:
            candidate["finishReason"] = _FINISH_REASONS[self._finish_reason]
        if self._logprobs:
            candidate["logprobsResult"] = _logprobs(self._logprobs)
        return {**candidate, "index": number}

    def _begin(self, part: int, call: _Call) -> None:
        self._calls[part] = call
        self._texts[PartKind.TOOL_CALL, part] = []

    def _part(self, kind: PartKind, at: int, text: str) -> dict[str, Any] | None:
        match kind:
            case PartKind.TOOL_CALL:
                call = self._calls[at]
                call.signature = self._seals.get((kind, at))
                if self._finish_reason is FinishReason.LENGTH and not call.is_whole:
                    return None
                return call.part(is_first=at == next(iter(self._calls)))
            case PartKind.REASONING:
                return (
                    {"text": text, "thought": True, **write_seal(self._seals.get((kind, at)))} if self._shows_thoughts else None
                )
            case PartKind.TEXT:
                return {"text": text} if text else None
            case _:
                assert_never(kind)


def _shared(exchange: Exchange) -> dict[str, Any]:
    """What payloads and bodies have in common. The model is called by the client's own word for it."""
    return {"modelVersion": exchange.model, "responseId": exchange.id}


def _usage(usage: Usage | None) -> dict[str, Any]:
    """Gemini counts thoughts apart from the answer."""
    if usage is None:
        return {}
    written = None if usage.output_tokens is None else max(0, usage.output_tokens - (usage.reasoning_tokens or 0))
    known = usage.input_tokens is not None and usage.output_tokens is not None
    counts = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": written,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "cachedContentTokenCount": usage.cached_input_tokens,
        "totalTokenCount": (usage.input_tokens or 0) + (usage.output_tokens or 0) if known else None,
    }
    counts = {name: count for name, count in counts.items() if count is not None}
    return {"usageMetadata": counts} if counts else {}


def _logprobs_field(tokens: Sequence[TokenLogprob]) -> bytes:
    return b',"logprobsResult":' + orjson.dumps(_logprobs(tokens))


def _logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    chosen = [{"token": token.token, "logProbability": max(token.logprob, _LOWEST_LOGPROB)} for token in tokens]
    top = [
        {"candidates": [{"token": text, "logProbability": max(logprob, _LOWEST_LOGPROB)} for text, _, logprob in token.top]}
        for token in tokens
    ]
    return {"chosenCandidates": chosen, **({"topCandidates": top} if any(token.top for token in tokens) else {})}
