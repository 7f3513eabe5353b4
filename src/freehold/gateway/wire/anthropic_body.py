"""A Messages answer as providers send it in one body, to events: as of a stream with a single payload."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from freehold.core.errors import UpstreamBroken
from freehold.core.events import Event, MessageStart, PartEnd, PartKind
from freehold.core.exchange import Exchange
from freehold.gateway.wire.anthropic_events import (
    STARTS,
    Counts,
    call_start,
    end_of,
    parsed_event,
    rejection,
    seal_of,
    served_by,
    string,
)
from freehold.gateway.wire.anthropic_prompt import DIALECT
from freehold.gateway.wire.anthropic_words import CALLS, OBJECTS, VOCABULARY, channel_of
from freehold.gateway.wire.decoder import Run
from freehold.gateway.wire.prompt import sealed
from freehold.gateway.wire.verbatim import PayloadNotes


def decode_message(body: bytes, *, provider: str, verbatim: Exchange | None = None) -> list[Event]:
    """A whole body to events."""
    try:
        document = parsed_event(body)
        return _message_events(document, body, provider, is_verbatim=verbatim is not None)
    except (ValueError, TypeError, RecursionError) as exc:
        raise UpstreamBroken("the upstream sent an answer that can't be read") from exc


def _message_events(document: Mapping[str, Any], body: bytes, provider: str, *, is_verbatim: bool) -> list[Event]:
    if document.get("type") == "error":
        raise rejection(document.get("error"))
    blocks = document.get("content")
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise UpstreamBroken("the upstream sent a message without a list of content blocks")
    run = Run()
    slots = run.slots = []
    for part, block in enumerate(blocks):
        _read_block(part, block, is_verbatim, run)
    counts = Counts()
    counts.take(document.get("usage"), is_final=True)
    reason = document.get("stop_reason")
    run.noted.append(MessageStart(served=served_by(document, provider)))
    if is_verbatim:
        run.noted += PayloadNotes(VOCABULARY, channel_of, OBJECTS).note(body, b"", document, slots, is_last=True)
    return [*run.events(), *counts.event(), end_of(reason if isinstance(reason, str) else None)]


def _read_block(part: int, block: Mapping[str, Any], is_verbatim: bool, run: Run) -> None:
    """Of a call that goes on as it came, the arguments are no text in their payload but a document: its strings are leaves."""
    kind = block.get("type")
    if kind in STARTS:
        part_kind, key = STARTS[kind]
        text = string(block, key)
        if text:
            run.say((part_kind, 0, part), text, ("content", part, key))
        run.add(PartEnd(kind=part_kind, part=part, signature=sealed(DIALECT, seal) if (seal := seal_of(block)) else None))
    elif kind == "redacted_thinking" and not is_verbatim:
        run.add(PartEnd(kind=PartKind.REASONING, part=part, signature=sealed(DIALECT, seal_of(block))))
    elif kind in CALLS and is_verbatim:
        run.begin_call(call_start(block, part), ("content", part))
        run.add(PartEnd(kind=PartKind.TOOL_CALL, part=part))
    elif kind == "tool_use":
        run.add(replace(call_start(block, part), arguments=""))
        run.say((PartKind.TOOL_CALL, 0, part), orjson.dumps(block.get("input") or {}).decode())
        run.add(PartEnd(kind=PartKind.TOOL_CALL, part=part))
