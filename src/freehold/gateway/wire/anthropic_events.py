"""What streams and bodies of Messages have in common for whoever reads them: texts, calls, usage, ends and errors.

Every reader of a field raises UpstreamBroken where it is not what the format says.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import orjson

from freehold.core.errors import UpstreamBroken, UpstreamRejected
from freehold.core.events import (
    Event,
    FinishReason,
    MessageEnd,
    PartKind,
    ReasoningDelta,
    ServedBy,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.gateway.wire.anthropic_prompt import REDACTED

_NAME_LIMIT_CHARS = 256
_MESSAGE_LIMIT_CHARS = 2000
_FINISH_REASONS: Final = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "pause_turn": FinishReason.LENGTH,  # not the answer's end: the provider wants to be asked to go on
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}
_STATUSES: Final = {
    "invalid_request_error": 400,
    "billing_error": 402,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}

STARTS: Final[dict[object, tuple[PartKind, str]]] = {
    "text": (PartKind.TEXT, "text"),
    "thinking": (PartKind.REASONING, "thinking"),
}

_Delta: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta


class Run:
    """Events in their order, deltas of one text that follow each other joined: every stage and the client get fewer of them."""

    __slots__ = ("_events", "_key", "_texts")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._key: tuple[PartKind, int] | None = None
        self._texts: list[str] = []

    def say(self, kind: PartKind, part: int, text: str) -> None:
        if (kind, part) != self._key:
            self._settle()
            self._key = (kind, part)
        self._texts.append(text)

    def add(self, event: Event) -> None:
        self._settle()
        self._events.append(event)

    def events(self) -> list[Event]:
        self._settle()
        return self._events

    def _settle(self) -> None:
        if self._key is not None:
            self._events.append(delta_of(*self._key, "".join(self._texts)))
            self._key, self._texts = None, []


class Counts:
    """A message's usage as it becomes known. Counts are cumulative, those at its end are whole."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def take(self, usage: Any, *, is_final: bool) -> None:
        if not isinstance(usage, Mapping):
            return
        for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
            self._take(name, usage.get(name))
        if is_final:
            details = usage.get("output_tokens_details")
            self._take("output_tokens", usage.get("output_tokens"))
            self._take("thinking_tokens", details.get("thinking_tokens") if isinstance(details, Mapping) else None)

    def _take(self, name: str, value: Any) -> None:
        """A count that makes no sense is unknown: it is no reason to lose the answer."""
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53:
            self._counts[name] = value

    def event(self) -> list[Event]:
        """The format counts cached tokens apart from `input_tokens`; `Usage` counts them in."""
        counts = self._counts
        if not counts:
            return []
        fresh, read, written = map(counts.get, ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"))
        return [
            Usage(
                input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
                output_tokens=counts.get("output_tokens"),
                cached_input_tokens=read,
                cache_write_tokens=written,
                reasoning_tokens=counts.get("thinking_tokens"),
            )
        ]


def rejected(error: Any) -> UpstreamRejected:
    """An error in the place of an answer. Its words are the provider's: the gateway lets the guard see them."""
    message = error.get("message") if isinstance(error, Mapping) else error
    kind = error.get("type") if isinstance(error, Mapping) else None
    return UpstreamRejected(
        message[:_MESSAGE_LIMIT_CHARS] if isinstance(message, str) and message else "the upstream broke off with an error",
        status=_STATUSES.get(kind, 502) if isinstance(kind, str) else 502,
    )


def parsed(data: bytes) -> Mapping[str, Any]:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise UpstreamBroken("the upstream sent something that is not JSON") from exc
    if not isinstance(document, dict):
        raise UpstreamBroken("the upstream sent an event that is no JSON object")
    return document


def delta_of(kind: PartKind, part: int, text: str) -> _Delta:
    if kind is PartKind.TEXT:
        return TextDelta(text=text, part=part)
    return ReasoningDelta(text=text, part=part) if kind is PartKind.REASONING else ToolCallDelta(arguments=text, part=part)


def call_start(block: Mapping[str, Any], part: int) -> ToolCallStart:
    call_id, name = string(block, "id"), string(block, "name")
    if max(len(call_id), len(name)) > _NAME_LIMIT_CHARS:
        raise UpstreamBroken(f"the upstream sent a tool call whose id or name has more than {_NAME_LIMIT_CHARS} characters")
    given = block.get("input")
    arguments = orjson.dumps(given).decode() if given else ""
    return ToolCallStart(call_id=call_id, name=name, part=part, arguments=arguments, is_remote=block.get("type") != "tool_use")


def served_by(message: Mapping[str, Any], provider: str) -> ServedBy:
    model = message.get("model")
    return ServedBy(provider=provider, model=model[:_NAME_LIMIT_CHARS] if isinstance(model, str) else "")


def end_of(reason: str | None) -> MessageEnd:
    """An unknown word is an ordinary end: all text has come, and the word itself no guard has read."""
    return MessageEnd(finish_reason=_FINISH_REASONS.get(reason or "", FinishReason.STOP))


def mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    if not isinstance(value, Mapping):
        raise UpstreamBroken(f"the upstream sent an event whose {key} is no object")
    return value


def string(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str):
        raise UpstreamBroken(f"the upstream sent a content block whose {key} is no string")
    return value


def seal_of(block: Mapping[str, Any]) -> str:
    """What a block's thought is sealed with; of one that only its provider can read, all there is of it."""
    if block.get("type") == "redacted_thinking":
        return REDACTED + string(block, "data")
    return string(block, "signature") if "signature" in block else ""


def index_of(document: Mapping[str, Any]) -> int:
    value = document.get("index")
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise UpstreamBroken("the upstream sent a content block without its index")
    return value
