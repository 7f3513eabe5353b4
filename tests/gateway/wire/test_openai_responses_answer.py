"""Answers of any origin, written for clients of Responses."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from freehold.core.errors import BlockedByPolicy, FreeholdError, InvalidRequest, LimitReached, UpstreamBroken
from freehold.core.events import (
    Alerted,
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    ReasoningDelta,
    ServedBy,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    Worked,
)
from freehold.core.exchange import Exchange
from freehold.core.findings import Alert
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire import CODECS
from tests.gateway.asking import asked

CODEC = CODECS["openai.responses"]
START = MessageStart(served=ServedBy(provider="p", model="theirs"))
USAGE = Usage(input_tokens=7, output_tokens=3)
STREAM_EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


def exchange(**changes: Any) -> Exchange:
    return asked({"model": "m", "input": "hi", "stream": True, **changes}, "openai.responses")


def write(
    *events: Event, usage: Usage | None = USAGE, reason: FinishReason = FinishReason.STOP, asked_for: Exchange | None = None
) -> list[dict[str, Any]]:
    """The documents of a stream, checked for what holds of every stream."""
    encoder = CODEC.stream_encoder(asked_for or exchange())
    sent: list[SseEvent] = [out for event in (START, *events) for out in encoder.encode(event)]
    sent += encoder.finish([MessageEnd(finish_reason=reason)], usage)
    documents: list[dict[str, Any]] = [json.loads(data) for data, _ in sent]
    assert [name.decode() for _, name in sent] == [document["type"] for document in documents]
    assert [document["sequence_number"] for document in documents] == list(range(len(sent)))
    return documents


def kinds(documents: list[dict[str, Any]]) -> list[str]:
    return [document["type"].removeprefix("response.") for document in documents]


def test_a_text_is_told_with_all_events_in_their_order() -> None:
    documents = write(TextDelta(text="Hel"), TextDelta(text="lo"), PartEnd(kind=PartKind.TEXT))
    assert kinds(documents) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    final = documents[-1]["response"]
    part = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    item = {"id": "msg_xc_1_0", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
    assert final["output"] == [item] == [documents[-2]["item"]]
    assert documents[2]["item"] == {**item, "status": "in_progress", "content": []}
    assert documents[4] == {
        "type": "response.output_text.delta", "item_id": "msg_xc_1_0", "output_index": 0, "content_index": 0,
        "sequence_number": 4, "delta": "Hel", "logprobs": [],
    }  # fmt: skip
    assert (final["status"], final["model"], final["id"]) == ("completed", "m", "resp_xc_1")
    assert final["usage"] == {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}


def test_a_thought_is_a_summary_with_its_providers_seal() -> None:
    documents = write(
        ReasoningDelta(text="hm"),
        PartEnd(kind=PartKind.REASONING, signature="anthropic.messages.S"),
        TextDelta(text="so", part=1),
    )
    assert kinds(documents)[2:8] == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.done",
        "reasoning_summary_part.done", "output_item.done",
    ]  # fmt: skip
    thought, message = documents[-1]["response"]["output"]
    assert (thought["summary"], thought["encrypted_content"]) == (
        [{"type": "summary_text", "text": "hm"}],
        "anthropic.messages.S",
    )
    assert message["content"][0]["text"] == "so"


def test_a_thought_that_only_its_provider_can_read_is_a_seal_alone() -> None:
    documents = write(PartEnd(kind=PartKind.REASONING, signature="anthropic.messages.S"))
    assert kinds(documents)[2:] == ["output_item.added", "output_item.done", "completed"]
    assert documents[-1]["response"]["output"] == [
        {
            "id": "rs_xc_1_0",
            "type": "reasoning",
            "summary": [],
            "encrypted_content": "anthropic.messages.S",
            "status": "completed",
        }
    ]


def test_calls_are_told_as_they_grow() -> None:
    documents = write(
        ToolCallStart(call_id="c1", name="f", part=0),
        ToolCallDelta(arguments='{"a"', part=0),
        ToolCallStart(call_id="c2", name="g", part=1),
        ToolCallDelta(arguments=":1}", part=0),
        reason=FinishReason.TOOL_CALLS,
    )
    assert kinds(documents)[2:] == [
        "output_item.added", "function_call_arguments.delta", "output_item.added", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done", "function_call_arguments.done", "output_item.done", "completed",
    ]  # fmt: skip
    calls = documents[-1]["response"]["output"]
    assert [(call["call_id"], call["name"], call["arguments"]) for call in calls] == [("c1", "f", '{"a":1}'), ("c2", "g", "{}")]


def test_a_word_that_was_held_back_goes_where_it_belongs() -> None:
    documents = write(
        TextDelta(text="I look", part=0), ToolCallStart(call_id="c", name="f", part=0), TextDelta(text=" it up.", part=0)
    )
    message, call = documents[-1]["response"]["output"]
    assert (message["content"][0]["text"], call["name"]) == ("I look it up.", "f")
    assert [document["output_index"] for document in documents if document["type"].endswith(".delta")] == [0, 0]


def test_a_text_after_its_end_is_an_item_of_its_own() -> None:
    documents = write(TextDelta(text="a"), PartEnd(kind=PartKind.TEXT), TextDelta(text="b"))
    assert [item["content"][0]["text"] for item in documents[-1]["response"]["output"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        (FinishReason.STOP, "completed", None),
        (FinishReason.TOOL_CALLS, "completed", None),
        (FinishReason.LENGTH, "incomplete", {"reason": "max_output_tokens"}),
        (FinishReason.CONTENT_FILTER, "incomplete", {"reason": "content_filter"}),
    ],
)
def test_how_it_ended_is_the_last_events_name(reason: FinishReason, status: str, details: object) -> None:
    documents = write(TextDelta(text="a"), reason=reason)
    final = documents[-1]
    assert final["type"] == f"response.{status}"
    assert (final["response"]["status"], final["response"]["incomplete_details"]) == (status, details)
    assert final["response"]["output"][0]["status"] == status


def test_unknown_counts_are_left_out() -> None:
    assert write(usage=None)[-1]["response"]["usage"] is None
    assert write(usage=Usage(input_tokens=None, output_tokens=3))[-1]["response"]["usage"] is None
    known = Usage(input_tokens=7, output_tokens=3, cached_input_tokens=0, cache_write_tokens=2, reasoning_tokens=1)
    assert write(usage=known)[-1]["response"]["usage"] == {
        "input_tokens": 7, "output_tokens": 3, "total_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 2}, "output_tokens_details": {"reasoning_tokens": 1},
    }  # fmt: skip


def test_log_probabilities_stand_with_their_text_and_again_at_its_end() -> None:
    token = TokenLogprob(token="hi", token_bytes=b"hi", logprob=float("-inf"), top=(("ho", b"ho", -1.0),))
    told = {"token": "hi", "logprob": -9999.0, "bytes": [104, 105]}
    told["top_logprobs"] = [{"token": "ho", "logprob": -1.0, "bytes": [104, 111]}]
    documents = write(TextDelta(text="hi", logprobs=(token,)))
    assert documents[4]["logprobs"] == documents[5]["logprobs"] == [told]


def test_the_request_is_repeated_but_not_its_words() -> None:
    tool = {"type": "function", "name": "f", "parameters": {}}
    wanted = exchange(instructions="be brief", tools=[tool], temperature=0.5, metadata={"a": "b"}, store=True)
    for document in (documents := write(asked_for=wanted))[:2] + documents[-1:]:
        response = document["response"]
        assert (response["tools"], response["temperature"], response["metadata"]) == ([tool], 0.5, {"a": "b"})
        assert (response["instructions"], response["store"], response["tool_choice"]) == (None, False, "auto")


CUSTOM = {"type": "custom", "name": "apply_patch", "description": "edits"}


@pytest.mark.parametrize(
    ("arguments", "given"), [('{"input":"*** Begin\\n"}', "*** Begin\n"), ("*** raw", "*** raw"), ('{"other":1}', '{"other":1}')]
)
def test_a_call_of_a_custom_tool_has_its_input_as_text(arguments: str, given: str) -> None:
    documents = write(
        ToolCallStart(call_id="c", name="apply_patch"),
        *(ToolCallDelta(arguments=character) for character in arguments),
        asked_for=exchange(tools=[CUSTOM]),
    )
    assert kinds(documents)[2:-1] == [
        "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done"
    ]  # fmt: skip
    call = documents[-1]["response"]["output"][0]
    assert (call["type"], call["input"], call["call_id"]) == ("custom_tool_call", given, "c")
    assert documents[3]["delta"] == given


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        ('{"command":["ls"],"timeout_ms":9,"workdir":"/a"}', {"command": ["ls"], "timeout_ms": 9, "working_directory": "/a"}),
        ('{"command":"ls -l"}', {"command": ["bash", "-lc", "ls -l"]}),
        ("nonsense", {"command": []}),
    ],
)  # fmt: skip
def test_a_call_of_the_clients_shell_comes_whole(arguments: str, action: dict[str, Any]) -> None:
    documents = write(
        ToolCallStart(call_id="c", name="local_shell"),
        ToolCallDelta(arguments=arguments),
        asked_for=exchange(tools=[{"type": "local_shell"}]),
    )
    assert kinds(documents)[2:-1] == ["output_item.added", "output_item.done"]
    call = documents[-1]["response"]["output"][0]
    assert (call["type"], call["action"]) == ("local_shell_call", {"type": "exec", "env": {}, **action})


def test_a_call_of_a_tool_in_a_namespace_has_its_names_apart() -> None:
    tools = [
        {"type": "namespace", "name": "agents", "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "g"}]}
    ]
    documents = write(
        ToolCallStart(call_id="c", name="agents__f"),
        ToolCallStart(call_id="d", name="agents__g", part=1),
        asked_for=exchange(tools=tools),
    )
    calls = documents[-1]["response"]["output"]
    assert [(call["type"], call["namespace"], call["name"]) for call in calls] == [
        ("function_call", "agents", "f"), ("custom_tool_call", "agents", "g"),
    ]  # fmt: skip


def test_other_alternatives_are_left_out() -> None:
    other = (TextDelta(text="b", choice=1), ToolCallStart(call_id="c", name="f", choice=1), PartEnd(kind=PartKind.TEXT, choice=1))
    documents = write(TextDelta(text="a"), *other)
    assert [item["content"][0]["text"] for item in documents[-1]["response"]["output"]] == ["a"]


def test_what_is_for_the_record_is_not_sent() -> None:
    alert = Alert(kind="k", severity="low", message="x")
    assert len(write(Alerted(alert=alert), Worked(compute_s=1, prefill_s=1, decode_s=1), TextDelta(text=""))) == 3


texts = st.text(max_size=6)
parts = st.integers(0, 2)
events = st.one_of(
    st.builds(TextDelta, text=texts, part=parts),
    st.builds(ReasoningDelta, text=texts, part=parts),
    st.builds(ToolCallStart, call_id=st.just("c"), name=st.sampled_from(["f", "apply_patch", "local_shell"]), part=parts),
    st.builds(ToolCallDelta, arguments=texts, part=parts),
    st.builds(PartEnd, kind=st.sampled_from(PartKind), part=parts, signature=st.none() | st.just("google.gemini.S")),
)


@settings(max_examples=80)
@given(st.lists(events, max_size=12), st.sampled_from(FinishReason))
def test_whatever_comes_in_whatever_order_is_a_stream_that_openais_client_reads(said: list[Event], reason: FinishReason) -> None:
    wanted = exchange(tools=[CUSTOM, {"type": "local_shell"}])
    documents = write(*said, reason=reason, asked_for=wanted)
    for document in documents:
        if document["type"] not in ("response.created", "response.in_progress", "response.completed", "response.incomplete"):
            STREAM_EVENT.validate_python(document)
    open_items, done = set(), []
    for document in documents:
        if document["type"] == "response.output_item.added":
            open_items.add(document["output_index"])
        elif document["type"] == "response.output_item.done":
            open_items.remove(document["output_index"])
            done.append((document["output_index"], document["item"]))
        elif "output_index" in document:
            assert document["output_index"] in open_items
    assert not open_items
    output = documents[-1]["response"]["output"]
    assert [item for _, item in sorted(done, key=lambda pair: pair[0])] == output
    for kind, field in ((TextDelta, "text"), (ReasoningDelta, "text")):
        whole = "".join(getattr(event, field) for event in said if isinstance(event, kind))
        deltas = [document["delta"] for document in documents if document["type"].endswith("_text.delta")
                  and ("summary" in document["type"]) == (kind is ReasoningDelta)]  # fmt: skip
        assert "".join(deltas) == whole


@settings(max_examples=60)
@given(st.lists(events, max_size=10), st.sampled_from(FinishReason))
def test_a_plain_answer_is_the_response_its_stream_ends_with(said: list[Event], reason: FinishReason) -> None:
    body = CODEC.encode_answer(exchange(), [START, *said, USAGE, MessageEnd(finish_reason=reason)])
    assert json.loads(body) == write(*said, reason=reason)[-1]["response"]
    Response.construct(**json.loads(body))


@settings(max_examples=60)
@given(st.lists(events, max_size=10))
def test_what_was_written_is_read_again(said: list[Event]) -> None:
    encoder, decoder = CODEC.stream_encoder(exchange()), CODEC.stream_decoder(provider="p")
    sent = [out for event in (START, *said) for out in encoder.encode(event)]
    sent += encoder.finish([MessageEnd(finish_reason=FinishReason.STOP)], USAGE)
    read = [*decoder.decode(sent), *decoder.close()]

    def text(events: list[Event], kind: type) -> str:
        return "".join(getattr(event, "text", "") for event in events if isinstance(event, kind))

    assert text(read, TextDelta) == text(said, TextDelta)
    assert text(read, ReasoningDelta) == text(said, ReasoningDelta)
    names = [event.name for event in said if isinstance(event, ToolCallStart)]
    named = [event.name for event in read if isinstance(event, ToolCallStart)]
    assert [name for name in named if name != "function_call"] == names  # arguments that no start came before are of such a one
    assert USAGE in read


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (UpstreamBroken("it broke"), "server_error"),
        (BlockedByPolicy("it broke"), "invalid_prompt"),
        (LimitReached("it broke"), "rate_limit_exceeded"),
    ],
)
def test_an_error_under_way_is_one_that_openais_client_and_codex_stop_at(error: FreeholdError, word: str) -> None:
    data, name = CODEC.error_event(error)
    document = json.loads(data)
    assert name.decode() == document["type"] == "response.failed"
    assert document["response"]["error"] == {"code": word, "message": "it broke"}
    assert (document["error"]["message"], document["error"]["code"]) == ("it broke", error.code)


def test_a_refusal_names_the_field() -> None:
    refused = json.loads(CODEC.encode_error(InvalidRequest("x: no", param="x")))
    assert refused["error"]["param"] == "x"
    assert CODEC.decode_error(orjson.dumps({"error": {"message": "no", "code": "c"}})) == ("no", "c")
