"""What streams and bodies of Messages have in common for whoever reads them: texts, calls, usage, ends and errors.

Every reader of a field raises UpstreamBroken where it is not what the format says.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from freehold.core.errors import UpstreamBroken, UpstreamRejected
from freehold.core.events import Event, FinishReason, MessageEnd, PartKind, ServedBy, ToolCallStart, Usage
from freehold.gateway.wire.anthropic_prompt import REDACTED
from freehold.gateway.wire.decoder import NAME_LIMIT_CHARS, count, parsed_object, rejected

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
        if (counted := count(value)) is not None:
            self._counts[name] = counted

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


def rejection(error: Any) -> UpstreamRejected:
    kind = error.get("type") if isinstance(error, Mapping) else None
    return rejected(error, _STATUSES.get(kind, 502) if isinstance(kind, str) else 502)


def parsed_event(data: bytes) -> Mapping[str, Any]:
    return parsed_object(data, "the upstream sent an event that is no JSON object")


def call_start(block: Mapping[str, Any], part: int) -> ToolCallStart:
    call_id, name = string(block, "id"), string(block, "name")
    if max(len(call_id), len(name)) > NAME_LIMIT_CHARS:
        raise UpstreamBroken(f"the upstream sent a tool call whose id or name has more than {NAME_LIMIT_CHARS} characters")
    given = block.get("input")
    arguments = orjson.dumps(given).decode() if given else ""
    return ToolCallStart(call_id=call_id, name=name, part=part, arguments=arguments, is_remote=block.get("type") != "tool_use")


def served_by(message: Mapping[str, Any], provider: str) -> ServedBy:
    model = message.get("model")
    return ServedBy(provider=provider, model=model[:NAME_LIMIT_CHARS] if isinstance(model, str) else "")


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
