"""A Messages answer as providers send it in one body, to events: as of a stream with a single payload."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from freehold.core.errors import UpstreamBroken
from freehold.core.events import Event, MessageStart, PartEnd, PartKind, Slot, ToolCallDelta
from freehold.gateway.wire.anthropic_events import (
    STARTS,
    Counts,
    call_start,
    delta_of,
    end_of,
    parsed,
    rejected,
    seal_of,
    served_by,
    string,
)
from freehold.gateway.wire.anthropic_prompt import DIALECT
from freehold.gateway.wire.anthropic_words import CALLS, OBJECTS, VOCABULARY, channel_of
from freehold.gateway.wire.prompt import sealed
from freehold.gateway.wire.verbatim import PayloadNotes


def decode_message(body: bytes, *, provider: str, is_verbatim: bool) -> list[Event]:
    """A whole body to events."""
    try:
        document = parsed(body)
        return _message_events(document, body, provider, is_verbatim)
    except (ValueError, TypeError, RecursionError) as exc:
        raise UpstreamBroken("the upstream sent an answer that can't be read") from exc


def _message_events(document: Mapping[str, Any], body: bytes, provider: str, is_verbatim: bool) -> list[Event]:
    if document.get("type") == "error":
        raise rejected(document.get("error"))
    blocks = document.get("content")
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise UpstreamBroken("the upstream sent a message without a list of content blocks")
    events: list[Event] = []
    slots: list[Slot] = []
    for part, block in enumerate(blocks):
        events += _block_events(part, block, is_verbatim, slots)
    counts = Counts()
    counts.take(document.get("usage"), is_final=True)
    reason = document.get("stop_reason")
    noted: list[Event] = []
    if is_verbatim:
        noted = PayloadNotes(VOCABULARY, channel_of, OBJECTS).note(body, b"", document, slots, is_last=True)
    start = MessageStart(served=served_by(document, provider))
    return [start, *noted, *events, *counts.event(), end_of(reason if isinstance(reason, str) else None)]


def _block_events(part: int, block: Mapping[str, Any], is_verbatim: bool, slots: list[Slot]) -> Iterator[Event]:
    """Of a call that goes on as it came, the arguments are no text in their payload but a document: its strings are leaves."""
    kind = block.get("type")
    if kind in STARTS:
        part_kind, key = STARTS[kind]
        text = string(block, key)
        if text:
            slots.append(Slot(kind=part_kind, choice=0, part=part, path=("content", part, key), chars=len(text)))
            yield delta_of(part_kind, part, text)
        yield PartEnd(kind=part_kind, part=part, signature=sealed(DIALECT, seal) if (seal := seal_of(block)) else None)
    elif kind == "redacted_thinking" and not is_verbatim:
        yield PartEnd(kind=PartKind.REASONING, part=part, signature=sealed(DIALECT, seal_of(block)))
    elif kind in CALLS and is_verbatim:
        slots.append(Slot(kind=PartKind.TOOL_CALL, choice=0, part=part, path=("content", part), chars=0, begins=True))
        yield call_start(block, part)
        yield PartEnd(kind=PartKind.TOOL_CALL, part=part)
    elif kind == "tool_use":
        yield replace(call_start(block, part), arguments="")
        yield ToolCallDelta(arguments=orjson.dumps(block.get("input") or {}).decode(), part=part)
        yield PartEnd(kind=PartKind.TOOL_CALL, part=part)
