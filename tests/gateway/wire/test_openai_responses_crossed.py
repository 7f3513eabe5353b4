"""Responses on one side and chat completions on the other, with the real guard between them."""

import json
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.events import Event, MessageEnd, Usage
from freehold.core.findings import Context, Direction
from freehold.gateway.relay import through
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire import CODECS
from freehold.guard import StreamGuard
from freehold.guard.config import GuardConfig
from tests.gateway.asking import asked

RESPONSES, CHAT = CODECS["openai.responses"], CODECS["openai.chat"]
GUARD = StreamGuard(GuardConfig())
TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z5A"
MARK = "[REDACTED:github-token]"
CUSTOM = {"type": "custom", "name": "apply_patch"}
TEXT = f"the key is {TOKEN} and that was it"
MASKED = TEXT.replace(TOKEN, MARK)
places = st.lists(st.integers(0, 80), max_size=12)


def cut(text: str, at: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in at), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def carry(upstream: str, client: str, payloads: list[SseEvent], **request: Any) -> list[SseEvent]:
    decoder = CODECS[upstream].stream_decoder(provider="p")
    document = {"model": "m", "stream": True, **request}
    document |= {"input": "hi"} if client == "openai.responses" else {"messages": [{"role": "user", "content": "hi"}]}
    encoder = CODECS[client].stream_encoder(asked(document, client))
    stage = GUARD.open(Context()).stage(Direction.RESPONSE)
    events: list[Event] = []
    for payload in payloads:
        events += through(decoder.decode([payload]), [stage])
    events += [*through(decoder.close(), [stage]), *stage.close()]
    sent = [out for event in events for out in encoder.encode(event)]
    usage = next((event for event in events if isinstance(event, Usage)), None)
    return sent + encoder.finish([event for event in events if isinstance(event, MessageEnd)], usage)


def chunks(field: str, pieces: list[str]) -> list[SseEvent]:
    def delta(piece: str) -> dict[str, Any]:
        if field in ("content", "reasoning_content", "refusal"):
            return {field: piece}
        return {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": field, "arguments": piece}}]}

    said = [{"choices": [{"index": 0, "delta": delta(piece)}]} for piece in pieces]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    return [(orjson.dumps(document), b"") for document in (*said, end)]


@pytest.mark.parametrize(
    ("field", "key"), [("content", "text"), ("reasoning_content", "text"), ("f", "arguments"), ("apply_patch", "input")]
)
@settings(max_examples=15)
@given(at=places)
def test_a_key_of_a_chat_provider_reaches_a_responses_client_masked_in_all_that_tells_it(
    field: str, key: str, at: list[int]
) -> None:
    sent = carry("openai.chat", "openai.responses", chunks(field, cut(TEXT, at)), tools=[CUSTOM])
    assert TOKEN[4:12].encode() not in b"".join(data for data, _ in sent)
    documents = [json.loads(data) for data, _ in sent]
    assert "".join(document["delta"] for document in documents if "delta" in document) == MASKED
    done = [document[key] for document in documents if key in document and document["type"].endswith(".done")]
    assert done == [MASKED]
    assert MASKED in orjson.dumps(documents[-1]["response"]["output"]).decode()
    assert documents[-1]["response"]["usage"]["total_tokens"] == 3


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("output_text", "content"),
        ("refusal", "refusal"),
        ("reasoning_text", "reasoning_content"),
        ("reasoning_summary_text", "reasoning_content"),
        ("function_call_arguments", "arguments"),
    ],
)
@settings(max_examples=15)
@given(at=places)
def test_a_key_of_a_responses_provider_reaches_a_chat_client_masked(kind: str, field: str, at: list[int]) -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""}
    item = call if field == "arguments" else {"type": "message"}
    place = {"output_index": 0, "content_index": 0}
    documents = [
        {"type": "response.created", "response": {"model": "m-1"}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *({"type": f"response.{kind}.delta", **place, "delta": piece} for piece in cut(TEXT, at)),
        {"type": f"response.{kind}.done", **place, "text": TEXT},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"status": "completed", "output": [item]}},
    ]
    sent = carry("openai.responses", "openai.chat", [(orjson.dumps(document), b"") for document in documents])
    deltas = [choice["delta"] for data, _ in sent for choice in json.loads(data)["choices"]]
    if field == "arguments":
        deltas = [call["function"] for delta in deltas for call in delta.get("tool_calls", ())]
    assert "".join(delta.get(field) or "" for delta in deltas) == MASKED


@pytest.mark.parametrize("dialect", ["anthropic.messages", "google.gemini"])
def test_what_a_coding_agent_sends_goes_to_every_dialect(dialect: str) -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"command":["ls"]}'}
    document = {
        "model": "m",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "list the files"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAAAABo"},
            {"role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            call,
            {**call, "call_id": "c2"},
            {"type": "function_call_output", "call_id": "c1", "output": "a.py"},
            {"type": "function_call_output", "call_id": "c2", "output": "b.py"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}, CUSTOM],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "max_output_tokens": 64,
    }
    written = json.dumps(CODECS[dialect].write_prompt(RESPONSES.read_prompt(asked(document, "openai.responses")), model="theirs"))
    for word in ("Be brief.", "list the files", "I look.", "a.py", "b.py", "apply_patch"):
        assert word in written
    assert "gAAAAABo" not in written


def test_a_refusal_is_one_to_clients_of_either_dialect() -> None:
    """Who asked for JSON by a schema would take it for the answer, and fail to parse it."""
    told = [orjson.loads(data) for data, _ in carry("openai.chat", "openai.responses", chunks("refusal", cut(TEXT, [3, 20, 30])))]
    assert "".join(event["delta"] for event in told if event["type"] == "response.refusal.delta") == MASKED
    assert [event["refusal"] for event in told if event["type"] == "response.refusal.done"] == [MASKED]
    assert told[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": MASKED}]

    item = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
    events = RESPONSES.decode_answer(orjson.dumps({"status": "completed", "output": [item]}), provider="p")
    request = asked({"model": "m", "messages": [{"role": "user", "content": "x"}]})
    message = json.loads(CHAT.encode_answer(request, events))["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "no")
