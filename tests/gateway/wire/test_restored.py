"""Tokens in a provider's own payloads, as the client gets them: values where they may be, everywhere a dialect says them."""

import json
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.events import Event, PromptText
from freehold.core.findings import Channel, Context, Direction
from freehold.gateway.relay import through
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.verbatim import VerbatimEncoder
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.policy_file import PolicySource
from freehold.guard.stream_guard import Chain
from tests.gateway.asking import asked
from tests.gateway.wire.test_verbatim import ASKED, STOP, chunk, cut, said

POLICY = """
[[rules]]
id = "people"
detectors = "email"
action = "tokenise"

[tokens]
trusted_tools = ["send_mail"]
"""
GUARD = StreamGuard(GuardConfig(), policy=PolicySource(name="policy.toml", text=POLICY), key=b"a key for tests")
ALICE = Context(key_id="key_alice")
MAIL = "ada@lovelace.org"


def token() -> str:
    stage = GUARD.open(ALICE).stage(Direction.REQUEST)
    (said,) = [e.text for e in stage.receive(PromptText(leaf=0, channel=Channel.USER, text=MAIL)) if isinstance(e, PromptText)]
    return said


TOKEN = token()


def play(dialect: str, payloads: Iterable[SseEvent], exchange: Any = ASKED) -> list[SseEvent]:
    codec, session = CODECS[dialect], GUARD.open(ALICE)
    restorer = session.restorer()
    assert restorer is not None
    stage, encoder = Chain(session.stage(Direction.RESPONSE), restorer), VerbatimEncoder(codec.scrub)
    decoder = codec.stream_decoder(provider="p", verbatim=exchange)
    sent: list[SseEvent] = []

    def send(events: list[Event]) -> None:
        for event in through(events, [stage]):
            sent.extend(encoder.encode(event))

    for payload in payloads:
        send(decoder.decode([payload]))
    send(decoder.close())
    for event in stage.close():
        sent.extend(encoder.encode(event))
    return sent + encoder.finish([], None)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 60), max_size=12), st.sampled_from(["content", "reasoning_content"]))
def test_wherever_a_token_is_cut_over_chunks_the_value_comes_back(places: list[int], field: str) -> None:
    text = f"write to {TOKEN} or {MAIL[:3]}<<x, please"
    stream = [*((chunk(**{field: piece}), b"") for piece in cut(text, places)), (STOP, b"")]
    sent = play("openai.chat", stream)
    assert said(sent, field) == text.replace(TOKEN, MAIL)
    assert len(sent) == len(stream)


def test_a_mask_and_a_token_side_by_side_keep_their_places() -> None:
    other = "grace@hopper.net"
    for size in (1, 2, 5, 100):
        text = f"{other} {TOKEN} {other}, {TOKEN}."
        stream = [(chunk(content=text[at : at + size]), b"") for at in range(0, len(text), size)]
        assert said(play("openai.chat", [*stream, (STOP, b"")])) == f"[REDACTED:email] {MAIL} [REDACTED:email], {MAIL}."


@pytest.mark.parametrize(("tool", "value"), [("send_mail", MAIL), ("http_post", TOKEN)])
def test_arguments_in_chunks_follow_their_tool(tool: str, value: str) -> None:
    arguments = json.dumps({"to": TOKEN})
    pieces = [arguments[at : at + 3] for at in range(0, len(arguments), 3)]
    first = {"index": 0, "id": "c1", "type": "function", "function": {"name": tool, "arguments": ""}}
    calls = [first, *({"index": 0, "function": {"arguments": piece}} for piece in pieces)]
    stop = STOP.replace(b'"stop"', b'"tool_calls"')
    sent = play("openai.chat", [*((chunk(tool_calls=[call]), b"") for call in calls), (stop, b"")])
    deltas = [json.loads(data)["choices"][0]["delta"] for data, _ in sent]
    assert json.loads("".join(d["tool_calls"][0]["function"]["arguments"] for d in deltas if "tool_calls" in d)) == {"to": value}


def responses(*documents: dict[str, Any]) -> list[SseEvent]:
    return [
        (orjson.dumps({"sequence_number": number, **document}), str(document["type"]).encode())
        for number, document in enumerate(documents)
    ]


@pytest.mark.parametrize(("tool", "value"), [("send_mail", MAIL), ("http_post", TOKEN)])
def test_what_a_dialect_says_again_at_the_end_is_restored_alike(tool: str, value: str) -> None:
    arguments = json.dumps({"to": TOKEN})
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": tool, "status": "completed"}
    message = {"type": "message", "id": "m_1", "role": "assistant", "status": "completed"}
    part = {"type": "output_text", "text": f"to {TOKEN}", "annotations": []}
    at = {"item_id": "m_1", "output_index": 0, "content_index": 0}
    called = {"item_id": "fc_1", "output_index": 1}
    done = {"id": "r", "status": "completed", "model": "m"}
    done["output"] = [{**message, "content": [part]}, {**call, "arguments": arguments}]  # type: ignore[assignment]
    stream = responses(
        {"type": "response.created", "response": {"id": "r", "status": "in_progress", "model": "m", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**message, "content": []}},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **at, "delta": piece} for piece in ("to ", TOKEN[:5], TOKEN[5:])),
        {"type": "response.output_text.done", **at, "text": f"to {TOKEN}"},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": {**message, "content": [part]}},
        {"type": "response.output_item.added", "output_index": 1, "item": {**call, "arguments": ""}},
        *(
            {"type": "response.function_call_arguments.delta", **called, "delta": piece}
            for piece in (arguments[:9], arguments[9:])
        ),
        {"type": "response.function_call_arguments.done", **called, "arguments": arguments},
        {"type": "response.output_item.done", "output_index": 1, "item": {**call, "arguments": arguments}},
        {"type": "response.completed", "response": done},
    )
    exchange = asked({"model": "m", "input": "hi", "stream": True}, "openai.responses")
    sent = [json.loads(data) for data, _ in play("openai.responses", stream, exchange)]
    by_type: dict[str, list[dict[str, Any]]] = {}
    for event in sent:
        by_type.setdefault(event["type"], []).append(event)
    assert "".join(e["delta"] for e in by_type["response.output_text.delta"]) == f"to {MAIL}"
    assert by_type["response.output_text.done"][0]["text"] == f"to {MAIL}"
    assert by_type["response.content_part.done"][0]["part"]["text"] == f"to {MAIL}"
    deltas = "".join(e["delta"] for e in by_type["response.function_call_arguments.delta"])
    final = by_type["response.completed"][0]["response"]["output"]
    assert final[0]["content"][0]["text"] == f"to {MAIL}"
    for said_again in (
        deltas,
        by_type["response.function_call_arguments.done"][0]["arguments"],
        by_type["response.output_item.done"][1]["item"]["arguments"],
        final[1]["arguments"],
    ):
        assert json.loads(said_again) == {"to": value}
