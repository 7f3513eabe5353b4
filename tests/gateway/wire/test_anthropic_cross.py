"""Between Messages and chat completions, through the real guard: what is said comes across, what is secret does not."""

import json
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.events import Event, MessageEnd, MessageStart, Payload, Usage
from freehold.core.findings import Context, Direction
from freehold.gateway.relay import through
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.codec import Codec
from tests.gateway.asking import asked
from tests.gateway.wire.anthropic_playing import CODEC, TOKEN, ask, guard, in_pieces, stream

CHAT = CODECS["openai.chat"]
CHAT_ASKED = asked({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True})
TEXT = f"the key is {TOKEN} and that was it"
MASKED = TEXT.replace(TOKEN, "[REDACTED:github-token]")


def chunks(*deltas: dict[str, Any], reason: str = "stop") -> list[SseEvent]:
    every: list[dict[str, Any]] = [*({"index": 0, "delta": delta, "finish_reason": None} for delta in deltas)]
    every.append({"index": 0, "delta": {}, "finish_reason": reason})
    return [(json.dumps({"id": "c", "model": "x", "choices": [choice]}).encode(), b"") for choice in every]


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def carry(payloads: list[SseEvent], provider: Codec, client: Codec, *, together: int) -> tuple[list[SseEvent], bytes]:
    """What a client gets of another dialect's stream: as a stream, and whole."""
    exchange = ask() if client is CODEC else CHAT_ASKED
    decoder, encoder = provider.stream_decoder(provider="p"), client.stream_encoder(exchange)
    stage = guard().open(Context()).stage(Direction.RESPONSE)
    events: list[Event] = []
    for start in range(0, len(payloads), together):
        events += through(decoder.decode(payloads[start : start + together]), [stage])
    events += [*through(decoder.close(), [stage]), *stage.close()]
    assert isinstance(events[0], MessageStart)
    assert not any(isinstance(event, Payload) for event in events)
    sent = [ready for event in events for ready in encoder.encode(event)]
    ends = [event for event in events if isinstance(event, MessageEnd)]
    usage = next((event for event in events if isinstance(event, Usage)), None)
    return sent + encoder.finish(ends, usage), client.encode_answer(exchange, events)


places = st.lists(st.integers(0, 80), max_size=40)


@settings(max_examples=60)
@given(places, places, places, st.integers(1, 9))
def test_a_chat_answer_comes_across_in_blocks_and_its_keys_do_not(
    thought: list[int], text: list[int], call: list[int], together: int
) -> None:
    arguments = json.dumps({"command": TEXT})
    begun = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "run", "arguments": ""}}
    payloads = chunks(
        *({"reasoning_content": piece} for piece in cut(TEXT, thought)),
        *({"content": piece} for piece in cut(TEXT + ". ", text)),
        {"tool_calls": [begun]},
        *({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in cut(arguments, call)),
        reason="tool_calls",
    )
    sent, whole = carry(payloads, CHAT, CODEC, together=together)
    assert TOKEN[6:14].encode() not in b"".join(data for data, _ in sent) + whole
    said = {"text": "", "thinking": "", "partial_json": ""}
    for data, name in sent:
        if name == b"content_block_delta":
            for key, value in json.loads(data)["delta"].items():
                said[key] = said.get(key, "") + value
    assert (said["thinking"], said["text"], json.loads(said["partial_json"])) == (MASKED, MASKED + ". ", {"command": MASKED})
    message = json.loads(whole)
    assert [block["type"] for block in message["content"]] == ["thinking", "text", "tool_use"]
    assert message["content"][2]["input"] == {"command": MASKED}
    assert message["stop_reason"] == "tool_use"


@settings(max_examples=60)
@given(places, places, places, st.integers(1, 9))
def test_a_messages_answer_comes_across_in_chunks_and_its_keys_do_not(
    thought: list[int], text: list[int], call: list[int], together: int
) -> None:
    payloads = stream(
        in_pieces(0, "thinking", cut(TEXT, thought)),
        in_pieces(1, "text", cut(TEXT, text)),
        in_pieces(2, "server_call", cut(TEXT, call)),
        in_pieces(3, "call", cut(json.dumps({"command": TEXT}), call)),
        in_pieces(4, "unknown", cut(TEXT, call)),
    )
    sent, whole = carry(payloads, CODEC, CHAT, together=together)
    assert TOKEN[6:14].encode() not in b"".join(data for data, _ in sent) + whole
    message = json.loads(whole)["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == (MASKED, MASKED)
    (made,) = message["tool_calls"]
    assert json.loads(made["function"]["arguments"]) == {"command": MASKED}
    indexes = {
        part["index"]
        for data, _ in sent
        for choice in json.loads(data)["choices"]
        for part in choice["delta"].get("tool_calls") or ()
    }
    assert indexes == {0}
