"""Gemini's payloads, made and played."""

from collections.abc import Iterable
from typing import Any

import orjson

from freehold.core.events import Event, MessageEnd, Payload, Usage
from freehold.core.exchange import Exchange
from freehold.core.findings import Direction
from freehold.core.stage import Stage
from freehold.gateway.relay import through
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.gemini import Gemini
from freehold.gateway.wire.verbatim import VerbatimEncoder
from tests.gateway.asking import incoming
from tests.guard.playing import strict_guard

CODEC = Gemini()
STREAM = {"path": "m:streamGenerateContent", "query": {"alt": "sse"}}


def asked(document: dict[str, Any] | None = None, *, stream: bool = True, thoughts: bool = False) -> Exchange:
    shown = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}} if thoughts else {}
    wanted = {"contents": [{"parts": [{"text": "hi"}]}], **shown} if document is None else document
    where: dict[str, Any] = STREAM if stream else {"path": "m:generateContent"}
    return CODEC.decode_request(incoming(wanted, **where))


def payload(*parts: dict[str, Any], tokens: int = 1, index: int = 0, **candidate: Any) -> bytes:
    counts = {"promptTokenCount": 4, "candidatesTokenCount": tokens, "totalTokenCount": 4 + tokens}
    content = {"content": {"parts": list(parts), "role": "model"}} if parts else {}
    return orjson.dumps(
        {
            "candidates": [{**content, **candidate, "index": index}],
            "usageMetadata": counts,
            "modelVersion": "gemini-2.5-flash",
            "responseId": "r1",
        }
    )


STOP = payload({"text": ""}, finishReason="STOP")


def read(stream: Iterable[bytes], *, together: int = 1, verbatim: Exchange | None = None) -> list[Event]:
    """What the decoder makes of payloads of which `together` come in each read."""
    decoder = CODEC.stream_decoder(provider="p", verbatim=verbatim)
    items = [(data, b"") for data in stream]
    events = [event for start in range(0, len(items), together) for event in decoder.decode(items[start : start + together])]
    return events + decoder.close()


def pass_on(
    stream: Iterable[bytes], *, together: int = 1, guarded: bool = True, stages: list[Stage] | None = None
) -> list[bytes]:
    """What a client of the same dialect gets of a provider's stream, through the real guard."""
    decoder = CODEC.stream_decoder(provider="p", verbatim=asked())
    if stages is None:
        stages = [strict_guard().stage(Direction.RESPONSE)] if guarded else []
    encoder = VerbatimEncoder(CODEC.scrub)
    sent: list[SseEvent] = []
    ends: list[MessageEnd] = []

    def send(events: list[Event]) -> None:
        for event in events:
            sent.extend(encoder.encode(event))
            if isinstance(event, MessageEnd):
                ends.append(event)

    items = [(data, b"") for data in stream]
    for start in range(0, len(items), together):
        send(through(decoder.decode(items[start : start + together]), stages))
    send(through(decoder.close(), stages))
    for number, stage in enumerate(stages, 1):
        send(through(stage.close(), stages[number:]))
    return [data for data, _ in sent + encoder.finish(ends, None)]


def translate(events: Iterable[Event], exchange: Exchange) -> list[bytes]:
    """A stream for a client, written anew."""
    encoder, sent, ends, usage = CODEC.stream_encoder(exchange), list[SseEvent](), list[MessageEnd](), None
    for event in events:
        sent.extend(encoder.encode(event))
        if isinstance(event, MessageEnd):
            ends.append(event)
        elif isinstance(event, Usage):
            usage = event
    return [data for data, _ in sent + encoder.finish(ends, usage)]


def payloads_of(events: Iterable[Event]) -> list[Payload]:
    return [event for event in events if isinstance(event, Payload)]


def parts_of(stream: Iterable[bytes], choice: int = 0) -> list[dict[str, Any]]:
    """All parts of one candidate, in order."""
    candidates = [candidate for data in stream for candidate in orjson.loads(data).get("candidates", ())]
    return [
        part
        for candidate in candidates
        if candidate.get("index", 0) == choice
        for part in candidate.get("content", {}).get("parts", ())
    ]
