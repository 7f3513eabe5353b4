"""Plays Messages streams through the codec, the real guard, and back."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from freehold.core.events import Event, MessageEnd, Usage
from freehold.core.exchange import Exchange
from freehold.core.findings import Context, Direction
from freehold.gateway.relay import through
from freehold.gateway.sse import SseEvent, SseParser, frame
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.verbatim import VerbatimEncoder
from freehold.guard import GuardConfig, StreamGuard
from tests.gateway.asking import asked

CODEC = CODECS["anthropic.messages"]
VECTORS = Path(__file__).parents[2] / "vectors" / "anthropic"
TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z5A"


def ask(**fields: Any) -> Exchange:
    document = {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}], **fields}
    return asked(document, "anthropic.messages")


def vector(name: str) -> bytes:
    return (VECTORS / f"{name}.sse").read_bytes()


def document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_bytes())
    return found


def parsed(raw: bytes) -> list[SseEvent]:
    return SseParser(limit_bytes=1 << 20).feed(raw)


def event(kind: str, **fields: Any) -> SseEvent:
    return json.dumps({"type": kind, **fields}, separators=(",", ":")).encode(), kind.encode()


START = event("message_start", message={"id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "content": []})
END = [event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 1}), event("message_stop")]


def stream(*blocks: list[SseEvent]) -> list[SseEvent]:
    return [START, *(item for block in blocks for item in block), *END]


def block(index: int, begun: dict[str, Any], *deltas: dict[str, Any]) -> list[SseEvent]:
    return [
        event("content_block_start", index=index, content_block=begun),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


def in_pieces(index: int, kind: str, pieces: Iterable[str]) -> list[SseEvent]:
    """A block whose text, thought, arguments, signature or unknown field comes in pieces."""
    kinds: dict[str, tuple[dict[str, Any], str, str]] = {
        "text": ({"type": "text", "text": ""}, "text_delta", "text"),
        "thinking": ({"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", "thinking"),
        "call": ({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}, "input_json_delta", "partial_json"),
        "server_call": ({"type": "server_tool_use", "id": "s_1", "name": "f", "input": {}}, "input_json_delta", "partial_json"),
        "signature": ({"type": "thinking", "thinking": "", "signature": ""}, "signature_delta", "signature"),
        "unknown": ({"type": "text", "text": ""}, "mood_delta", "mood"),
    }
    begun, delta, key = kinds[kind]
    return block(index, begun, *({"type": delta, key: piece} for piece in pieces))


@cache
def guard() -> StreamGuard:
    return StreamGuard(GuardConfig())


def decode(payloads: list[SseEvent], *, together: int = 1, verbatim: Exchange | None = None) -> list[Event]:
    decoder = CODEC.stream_decoder(provider="p", verbatim=verbatim)
    events = [
        event for start in range(0, len(payloads), together) for event in decoder.decode(payloads[start : start + together])
    ]
    return events + decoder.close()


def guarded(payloads: list[SseEvent], *, together: int = 1) -> list[SseEvent]:
    """What a client of the same dialect gets."""
    decoder, encoder = CODEC.stream_decoder(provider="p", verbatim=ask()), VerbatimEncoder(CODEC.scrub)
    stage = guard().open(Context()).stage(Direction.RESPONSE)
    sent: list[SseEvent] = []

    def send(events: list[Event]) -> None:
        for out in through(events, [stage]):
            sent.extend(encoder.encode(out))

    for start in range(0, len(payloads), together):
        send(decoder.decode(payloads[start : start + together]))
    send(decoder.close())
    send(stage.close())
    return sent + encoder.finish([], None)


def encode(events: list[Event], exchange: Exchange | None = None) -> list[SseEvent]:
    encoder = CODEC.stream_encoder(exchange or ask())
    ends = [event for event in events if isinstance(event, MessageEnd)]
    usage = next((event for event in events if isinstance(event, Usage)), None)
    return [ready for event in events for ready in encoder.encode(event)] + encoder.finish(ends, usage)


def wire(payloads: list[SseEvent]) -> bytes:
    return b"".join(map(frame, payloads))
