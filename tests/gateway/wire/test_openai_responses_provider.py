"""Recorded streams and bodies of Responses, read for clients of another dialect."""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import UpstreamBroken, UpstreamError, UpstreamRejected
from freehold.core.events import (
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.gateway.sse import SseEvent, SseParser
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.openai_responses_provider import EventDecoder
from tests.gateway.asking import asked

CODEC = CODECS["openai.responses"]
VECTORS = Path(__file__).parents[2] / "vectors" / "openai_responses"
STREAMS = sorted(path.stem for path in VECTORS.glob("*.sse"))
ASKED = asked({"model": "m", "input": "hi", "stream": True}, "openai.responses")
CREATED = {"type": "response.created", "response": {"model": "m-1", "status": "in_progress", "output": []}}
COMPLETED = {"type": "response.completed", "response": {"status": "completed", "output": []}}


def expected(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def payloads(wire: bytes, *cuts: int) -> list[list[SseEvent]]:
    """The events of a stream as reads bring them, cut where told."""
    parser, edges = SseParser(limit_bytes=1 << 20), [0, *sorted(cuts), len(wire)]
    return [parser.feed(wire[start:end]) for start, end in pairwise(edges)]


def play(reads: Iterable[list[SseEvent]], decoder: EventDecoder | None = None) -> tuple[list[Event], UpstreamError | None]:
    decoder = decoder or EventDecoder(provider="p")
    events = [event for read in reads for event in decoder.decode(read)]
    try:
        return [*events, *decoder.close()], None
    except UpstreamError as error:
        return events, error


def stream(*documents: dict[str, Any]) -> list[list[SseEvent]]:
    return [[(orjson.dumps(document), b"")] for document in documents]


def told(events: list[Event], error: UpstreamError | None) -> dict[str, Any]:
    arguments: dict[int, str] = {event.part: "" for event in events if isinstance(event, ToolCallStart)}
    for event in events:
        if isinstance(event, ToolCallDelta):
            arguments[event.part] += event.arguments
    usage = next((event for event in events if isinstance(event, Usage)), None)
    return {
        "text": "".join(event.text for event in events if isinstance(event, TextDelta)),
        "reasoning": "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        "calls": [event.name for event in events if isinstance(event, ToolCallStart)],
        "arguments": list(arguments.values()),
        "usage": usage and [usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_tokens],
        "ends": [event.finish_reason for event in events if isinstance(event, MessageEnd)],
        "seals": [event.signature for event in events if isinstance(event, PartEnd) and event.signature],
        "error": error and [error.code, error.status],
    }


def check_order(events: list[Event]) -> None:
    """A part begins once, says nothing after its end, and a call has its name before its arguments."""
    ended: set[tuple[PartKind, int]] = set()
    begun: set[int] = set()
    assert isinstance(events[0], MessageStart)
    for event in events:
        match event:
            case TextDelta():
                assert (PartKind.TEXT, event.part) not in ended
            case ReasoningDelta():
                assert (PartKind.REASONING, event.part) not in ended
            case ToolCallDelta():
                assert event.part in begun
                assert (PartKind.TOOL_CALL, event.part) not in ended
            case ToolCallStart():
                assert event.part not in begun
                begun.add(event.part)
            case PartEnd():
                assert (event.kind, event.part) not in ended
                ended.add((event.kind, event.part))
            case _:
                pass


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_says_what_its_file_says(name: str) -> None:
    wire = (VECTORS / f"{name}.sse").read_bytes()
    events, error = play(payloads(wire))
    assert told(events, error) == expected(name)
    check_order(events)


@settings(max_examples=40)
@given(st.sampled_from(STREAMS), st.lists(st.integers(0, 4000), max_size=6))
def test_where_the_wire_is_cut_does_not_matter(name: str, cuts: list[int]) -> None:
    wire = (VECTORS / f"{name}.sse").read_bytes()
    events, error = play(payloads(wire, *(min(cut, len(wire)) for cut in cuts)))
    assert told(events, error) == expected(name)
    check_order(events)


@settings(max_examples=40)
@given(st.sampled_from([name for name in STREAMS if not expected(name)["error"]]), st.integers(0, 4000))
def test_a_stream_that_ends_too_early_is_broken(name: str, at: int) -> None:
    reads = payloads((VECTORS / f"{name}.sse").read_bytes())[0][:-1]
    events, error = play([reads[: at % (len(reads) + 1)]])
    assert isinstance(error, UpstreamBroken)
    assert not any(isinstance(event, MessageEnd | Usage) for event in events)


def test_a_body_says_what_its_stream_would() -> None:
    events = CODEC.decode_answer((VECTORS / "body.json").read_bytes(), provider="p")
    check_order(events)
    assert told(events, None) == {
        "text": "It rains.",
        "reasoning": "Look up",
        "calls": ["get_weather"],
        "arguments": ['{"city":"Oslo"}'],
        "usage": [10, 5, 4, 2],
        "ends": ["tool_calls"],
        "seals": ["openai.responses.gAAAAABo1vR2c0ZlY3JldCBzdGF0ZSBvZiBhIHRob3VnaHQ="],
        "error": None,
    }


def test_an_item_that_was_never_streamed_is_read_when_it_is_done() -> None:
    message = {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": "whole"}]}
    call = {"type": "function_call", "id": "f1", "call_id": "c1", "name": "f", "arguments": "{}"}
    events, error = play(
        stream(
            CREATED,
            {"type": "response.output_item.added", "output_index": 0, "item": {**call, "arguments": ""}},
            {"type": "response.function_call_arguments.done", "output_index": 0, "item_id": "f1", "arguments": "{}"},
            {"type": "response.output_item.done", "output_index": 0, "item": call},
            {"type": "response.completed", "response": {"status": "completed", "output": [call, message]}},
        )
    )
    assert told(events, error)["text"] == "whole"
    assert (told(events, error)["calls"], told(events, error)["arguments"]) == (["f"], ["{}"])
    check_order(events)


def test_a_number_given_twice_is_two_items() -> None:
    def item(text: str) -> list[dict[str, Any]]:
        place = {"output_index": 0, "content_index": 0}
        return [
            {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message"}},
            {"type": "response.output_text.delta", **place, "delta": text},
            {"type": "response.output_text.done", **place, "text": text},
        ]

    events, error = play(stream(CREATED, *item("a"), *item("b"), COMPLETED))
    assert [event.part for event in events if isinstance(event, TextDelta)] == [0, 1]
    assert error is None
    check_order(events)


def test_more_of_a_text_after_its_end_breaks_the_answer() -> None:
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a"}
    _, error = play(stream(CREATED, delta, {**delta, "type": "response.output_text.done", "text": "a"}, delta, COMPLETED))
    assert isinstance(error, UpstreamBroken)


def test_log_probabilities_come_with_their_text() -> None:
    token = {"token": "hi", "logprob": -0.5, "bytes": [104, 105], "top_logprobs": [{"token": "ho", "logprob": -1, "bytes": None}]}
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "hi", "logprobs": [token]}
    events, _ = play(stream(CREATED, delta, {**delta, "logprobs": [{"token": "lie", "logprob": 0}]}, COMPLETED))
    told_of = TokenLogprob(token="hi", token_bytes=b"hi", logprob=-0.5, top=(("ho", b"ho", -1.0),))
    assert [event.logprobs for event in events if isinstance(event, TextDelta)] == [(told_of,), ()]


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, FinishReason.CONTENT_FILTER),
        ({"status": "incomplete", "incomplete_details": None}, FinishReason.LENGTH),
        ({"status": "completed"}, FinishReason.STOP),
        ({}, FinishReason.STOP),
    ],
)
def test_how_an_answer_ends_is_said_in_our_words(details: dict[str, Any], reason: FinishReason) -> None:
    assert CODEC.decode_answer(orjson.dumps({**details, "output": []}), provider="p")[-1] == MessageEnd(finish_reason=reason)


@pytest.mark.parametrize("status", ["failed", "queued", "in_progress", "cancelled"])
def test_a_body_that_is_no_answer_is_an_error(status: str) -> None:
    with pytest.raises(UpstreamRejected):
        CODEC.decode_answer(orjson.dumps({"status": status, "output": []}), provider="p")


@pytest.mark.parametrize(
    "body", [{"error": {"message": "no", "code": "server_error"}}, {"error": "no", "output": []}, {}, {"output": {}}]
)
def test_a_body_of_another_shape_is_an_error(body: dict[str, Any]) -> None:
    with pytest.raises(UpstreamError):
        CODEC.decode_answer(orjson.dumps(body), provider="p")


@pytest.mark.parametrize(
    ("event", "message", "status"),
    [
        ({"type": "error", "message": "full", "code": "rate_limit_exceeded"}, "full", 429),
        ({"type": "error", "error": {"message": "full", "code": None}}, "full", 502),
        ({"type": "response.failed", "response": {"error": {"message": "full", "code": "invalid_prompt"}}}, "full", 400),
        ({"type": "response.failed"}, "broke off", 502),
    ],
)
def test_an_error_event_ends_the_answer_as_the_providers_error(event: dict[str, Any], message: str, status: int) -> None:
    _, error = play(stream(CREATED, event, COMPLETED))
    assert isinstance(error, UpstreamRejected)
    assert message in error.message
    assert error.status == status


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.sampled_from(["", "message", "reasoning", "function_call"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["type", "delta", "item", "response", "output", "content", "text", "summary", "arguments", "error", "status", "usage",
             "output_index", "content_index", "call_id", "name", "logprobs", "incomplete_details", "encrypted_content", "model"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip
kinds = st.sampled_from(
    ["response.created", "response.output_item.added", "response.output_item.done", "response.output_text.delta",
     "response.output_text.done", "response.function_call_arguments.delta", "response.reasoning_summary_text.delta",
     "response.new.delta", "response.completed", "response.incomplete", "response.failed", "error"]
)  # fmt: skip


fields = st.dictionaries(st.sampled_from(["delta", "item", "response", "output_index"]), json_values)


@settings(max_examples=150)
@given(st.lists(st.tuples(kinds, fields), max_size=5), st.booleans())
def test_whatever_a_provider_sends_raises_only_our_errors(events: list[tuple[str, dict[str, Any]]], verbatim: bool) -> None:
    decoder = EventDecoder(provider="p", verbatim=ASKED if verbatim else None)
    play(stream(*({"type": kind, **rest} for kind, rest in events)), decoder)


@settings(max_examples=80)
@given(st.binary(max_size=40) | json_values.map(orjson.dumps), st.booleans())
def test_whatever_body_a_provider_sends_raises_only_our_errors(body: bytes, verbatim: bool) -> None:
    try:
        events = CODEC.decode_answer(body, provider="p", verbatim=ASKED if verbatim else None)
    except UpstreamError:
        return
    assert isinstance(events[-1], MessageEnd)
