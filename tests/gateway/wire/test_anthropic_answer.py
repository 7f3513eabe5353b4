import json
from typing import Any

import orjson
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from freehold.core.errors import UpstreamBroken
from freehold.core.events import (
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    ReasoningDelta,
    ServedBy,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.gateway.sse import SseEvent
from tests.gateway.wire.anthropic_playing import CODEC, VECTORS, ask, decode, encode, parsed, vector

BEGUN = MessageStart(served=ServedBy(provider="p", model="other"))
STOP = MessageEnd(finish_reason=FinishReason.STOP)
USAGE = Usage(input_tokens=10, output_tokens=4)
CHECK: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


def put_together(payloads: list[SseEvent]) -> Message:
    """As the official client does it, which also checks each event against its schema."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for data, name in payloads:
        event = json.loads(data)
        assert event["type"] == name.decode()
        if event["type"] != "message_delta" or None not in event["usage"].values():
            CHECK.validate_python(event)
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    assert isinstance(snapshot, Message)
    return snapshot


def told(message: Message) -> list[tuple[str, Any]]:
    return [
        (block.type, getattr(block, {"text": "text", "thinking": "thinking", "tool_use": "input"}[block.type]))
        for block in message.content
    ]


def whole(events: list[Event]) -> Message:
    return Message.model_validate_json(CODEC.encode_answer(ask(), events))


def test_text_thought_and_calls_become_blocks_in_their_order() -> None:
    events: list[Event] = [
        BEGUN,
        ReasoningDelta(text="Let me "),
        ReasoningDelta(text="think."),
        PartEnd(kind=PartKind.REASONING, signature="c2VhbA=="),
        TextDelta(text="Both "),
        TextDelta(text=""),
        TextDelta(text="now."),
        ToolCallStart(call_id="c1", name="f", part=1),
        ToolCallDelta(arguments='{"a":', part=1),
        ToolCallDelta(arguments=" 1}", part=1),
        PartEnd(kind=PartKind.TOOL_CALL, part=1),
        ToolCallStart(call_id="c2", name="g", part=2),
        PartEnd(kind=PartKind.TOOL_CALL, part=2),
        USAGE,
        MessageEnd(finish_reason=FinishReason.TOOL_CALLS),
    ]
    streamed = put_together(encode(events))
    expected = [("thinking", "Let me think."), ("text", "Both now."), ("tool_use", {"a": 1}), ("tool_use", {})]
    assert told(streamed) == expected
    assert told(whole(events)) == expected
    for message in (streamed, whole(events)):
        assert message.content[0].type == "thinking"
        assert message.content[0].signature == "c2VhbA=="
        assert [block.id for block in message.content if block.type == "tool_use"] == ["c1", "c2"]
        assert (message.id, message.model, message.role) == ("msg_xc_1", "m", "assistant")
        assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("tool_use", 10, 4)


def test_what_comes_while_a_call_is_open_waits_until_it_ends() -> None:
    events: list[Event] = [
        BEGUN,
        TextDelta(text="Looking "),
        ToolCallStart(call_id="c1", name="f", part=0),
        ToolCallDelta(arguments='{"a"', part=0),
        ToolCallStart(call_id="c2", name="g", part=1),
        ToolCallDelta(arguments='{"b"', part=1),
        TextDelta(text="up."),
        ToolCallDelta(arguments=":1}", part=0),
        ToolCallDelta(arguments=":2}", part=1),
        USAGE,
        STOP,
    ]
    assert told(put_together(encode(events))) == [
        ("text", "Looking "),
        ("tool_use", {"a": 1}),
        ("tool_use", {"b": 2}),
        ("text", "up."),
    ]
    assert told(whole(events)) == [("text", "Looking up."), ("tool_use", {"a": 1}), ("tool_use", {"b": 2})]


def test_other_alternatives_than_the_first_are_left_out() -> None:
    events: list[Event] = [
        BEGUN,
        TextDelta(text="a"),
        TextDelta(text="b", choice=1),
        USAGE,
        STOP,
        MessageEnd(finish_reason=FinishReason.LENGTH, choice=1),
    ]
    assert told(put_together(encode(events))) == told(whole(events)) == [("text", "a")]
    assert whole(events).stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (FinishReason.STOP, "end_turn"),
        (FinishReason.LENGTH, "max_tokens"),
        (FinishReason.TOOL_CALLS, "tool_use"),
        (FinishReason.CONTENT_FILTER, "refusal"),
    ],
)
def test_every_end_has_its_stop_reason(reason: FinishReason, word: str) -> None:
    end = MessageEnd(finish_reason=reason)
    assert put_together(encode([BEGUN, TextDelta(text="a"), USAGE, end])).stop_reason == word
    assert whole([BEGUN, TextDelta(text="a"), USAGE, end]).stop_reason == word


def test_an_answer_with_calls_never_ends_like_one_without() -> None:
    events: list[Event] = [BEGUN, ToolCallStart(call_id="c", name="f"), ToolCallDelta(arguments="{}"), USAGE, STOP]
    assert put_together(encode(events)).stop_reason == whole(events).stop_reason == "tool_use"


def test_cached_tokens_are_counted_apart_and_unknown_counts_are_null() -> None:
    usage = Usage(input_tokens=100, output_tokens=5, cached_input_tokens=60, cache_write_tokens=30, reasoning_tokens=2)
    for message in (put_together(encode([BEGUN, usage, STOP])), whole([BEGUN, usage, STOP])):
        assert message.usage.input_tokens == 10
        assert message.usage.cache_read_input_tokens == 60
        assert message.usage.cache_creation_input_tokens == 30
        assert message.usage.output_tokens_details is not None
        assert message.usage.output_tokens_details.thinking_tokens == 2
    unknown: list[list[Event]] = [[BEGUN, STOP], [BEGUN, Usage(input_tokens=None, output_tokens=None), STOP]]
    for events in unknown:
        assert orjson.loads(encode(events)[-2][0])["usage"] == {"input_tokens": None, "output_tokens": None}
        assert orjson.loads(CODEC.encode_answer(ask(), events))["usage"] == {"input_tokens": None, "output_tokens": None}
        assert put_together(encode(events)).content == []


def test_arguments_that_are_no_object_are_an_error_unless_the_limit_cut_them() -> None:
    events: list[Event] = [
        BEGUN,
        TextDelta(text="a"),
        ToolCallStart(call_id="c", name="f", part=1),
        ToolCallDelta(arguments='{"a": "b', part=1),
        USAGE,
    ]
    assert told(whole([*events, MessageEnd(finish_reason=FinishReason.LENGTH)])) == [("text", "a")]
    with pytest.raises(UpstreamBroken, match="no JSON object"):
        whole([*events, MessageEnd(finish_reason=FinishReason.TOOL_CALLS)])


def test_a_seal_on_a_thought_nobody_shows_still_reaches_the_client() -> None:
    events: list[Event] = [BEGUN, PartEnd(kind=PartKind.REASONING, signature="c2VhbA=="), TextDelta(text="a"), USAGE, STOP]
    for message in (put_together(encode(events)), whole(events)):
        assert told(message) == [("thinking", ""), ("text", "a")]
        assert message.content[0].type == "thinking"
        assert message.content[0].signature == "c2VhbA=="


def test_a_call_without_a_beginning_has_one_made() -> None:
    events: list[Event] = [BEGUN, ToolCallDelta(arguments='{"a":1}', part=3), USAGE, STOP]
    assert told(put_together(encode(events))) == told(whole(events)) == [("tool_use", {"a": 1})]


texts = st.text(max_size=6)
parts = st.integers(0, 3)
said = st.one_of(
    st.builds(TextDelta, text=texts, part=parts, choice=st.integers(0, 1)),
    st.builds(ReasoningDelta, text=texts, part=parts),
    st.builds(lambda part, a: ToolCallDelta(arguments=f"[{a}]", part=part), st.integers(4, 6), st.integers(0, 9)),
)


@settings(max_examples=100)
@given(st.lists(said, max_size=12))
def test_any_order_of_events_gives_blocks_one_after_another_and_loses_no_text(events: list[Event]) -> None:
    calls: list[Event] = [ToolCallStart(call_id=f"c{part}", name="f", part=part) for part in (4, 5, 6)]
    payloads = encode([BEGUN, *calls, *events, USAGE, STOP])
    open_index: int | None = None
    begun = 0
    for data, _ in payloads[1:-2]:
        event = orjson.loads(data)
        match event["type"]:
            case "content_block_start":
                assert open_index is None
                assert event["index"] == begun
                open_index, begun = begun, begun + 1
            case "content_block_stop":
                assert event["index"] == open_index
                open_index = None
            case _:
                assert event["index"] == open_index
    assert open_index is None
    back = decode(payloads)
    for kind in (TextDelta, ReasoningDelta, ToolCallDelta):
        assert everything(back, kind) == everything([event for event in events if getattr(event, "choice", 0) == 0], kind)


def everything(events: list[Event], kind: Any) -> str:
    """All characters of one kind; which part they are of may change, and with it their order."""
    return "".join(
        sorted(
            "".join(getattr(event, "text", "") or getattr(event, "arguments", "") for event in events if isinstance(event, kind))
        )
    )


@pytest.mark.parametrize("name", sorted(path.stem for path in VECTORS.glob("*.sse")))
def test_recorded_streams_can_be_written_anew(name: str) -> None:
    if name in ("error_overloaded", "truncated", "without_stop_event"):
        return  # those have no end
    events = decode(parsed(vector(name)))
    again = decode(encode(events))
    drop = (MessageStart, PartEnd)
    assert everything(again, TextDelta) == everything(events, TextDelta)
    assert [event for event in again if isinstance(event, Usage)] == [event for event in events if isinstance(event, Usage)]
    assert len([event for event in again if not isinstance(event, drop)]) == len(
        [event for event in events if not isinstance(event, drop)]
    )
