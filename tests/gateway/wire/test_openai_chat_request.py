import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.core.exchange import Exchange, ResponseFormat, Sampling, ToolCall, ToolChoice
from freehold.core.findings import Channel
from freehold.gateway.wire import openai_chat_request as request
from freehold.gateway.wire.leaves import rewrite
from tests.gateway.asking import incoming

USER = {"role": "user", "content": "hi"}
FUNCTION = {
    "name": "f",
    "description": "does f",
    "parameters": {"type": "object", "properties": {"city": {"description": "where"}}},
}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


def decode(**changes: Any) -> Exchange:
    document = {"model": "m", "messages": [USER], **changes}
    return request.decode(incoming(document))


def test_a_minimal_request_leaves_every_choice_to_the_upstream() -> None:
    exchange = decode()
    assert (exchange.model, exchange.stream, exchange.sampling, exchange.choices) == ("m", False, Sampling(), 1)


def test_every_sampling_field_is_read() -> None:
    exchange = decode(
        temperature=0, top_p=0.9, top_k=40, min_p=0.05, repetition_penalty=1.1, presence_penalty=-1, frequency_penalty=2, seed=-5,
        max_completion_tokens=7, stop="END", logprobs=True, top_logprobs=3, n=2,
    )  # fmt: skip
    assert exchange.sampling == Sampling(
        temperature=0, top_p=0.9, top_k=40, min_p=0.05, repetition_penalty=1.1, presence_penalty=-1, frequency_penalty=2, seed=-5,
        max_tokens=7, stop=("END",), top_logprobs=3,
    )  # fmt: skip
    assert exchange.choices == 2


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"model": "m" * 300}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [USER, {"role": "robot", "content": "x"}]}, "messages[1].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0].function"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}]}, "messages[0].tool_calls[0].id"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": "0"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": 1.5}, "top_k"),
        ({"min_p": -0.1}, "min_p"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"frequency_penalty": -3}, "frequency_penalty"),
        ({"seed": 1.5}, "seed"),
        ({"seed": 1 << 63}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"max_completion_tokens": 9, "max_tokens": 10}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"stop": ""}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stop": [5]}, "stop"),
        ({"stop": {"x": 1}}, "stop"),
        ({"logprobs": 5}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": []}}}, "response_format.json_schema.schema"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"logit_bias": {"a": 1}}, "logit_bias"),
        ({"logit_bias": {"5": 101}}, "logit_bias.5"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}, "tools[0].function.parameters"),
        ({"functions": [FUNCTION]}, "functions"),
        ({"modalities": ["text", "audio"]}, "modalities"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(**changes)
    assert caught.value.param == param
    assert param in caught.value.message


def test_the_form_of_the_answer_and_how_tools_are_called_are_read() -> None:
    schema = {"type": "object"}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}
    asked = decode(
        response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": True}},
        tools=[tool],
        tool_choice={"type": "function", "function": {"name": "f"}},
        parallel_tool_calls=False,
        logit_bias={"50": 100, "7": -1.5},
    )
    assert asked.response_format == ResponseFormat(kind="json_schema", name="place", schema=schema, is_strict=True)
    assert asked.tool_choice == ToolChoice(mode="named", name="f")
    assert asked.parallel_tool_calls is False
    assert asked.tools[0].is_strict is True
    assert asked.sampling.logit_bias == ((50, 100.0), (7, -1.5))
    assert asked.unsaid is None
    assert (decode(tool_choice={"type": "allowed_tools"}).unsaid or "").startswith("tool_choice.type")


def test_roles_parts_and_calls_become_messages() -> None:
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:,x"}},
        {"type": "text", "text": "here"},
    ]
    exchange = decode(
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": parts, "name": "ann"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
        tools=[{"type": "function", "function": FUNCTION}],
    )
    system, user, assistant, tool = exchange.messages
    assert (system.role, user.text, user.attachments, user.name) == ("system", "look\nhere", 1, "ann")
    assert assistant.tool_calls == (ToolCall(call_id="c1", name="f", arguments='{"a":1}'),)
    assert (tool.role, tool.tool_call_id, tool.text) == ("tool", "c1", "sunny")
    assert (exchange.tools[0].name, exchange.tools[0].description) == ("f", "does f")


def test_nothing_a_user_wrote_shows_in_a_repr() -> None:
    assert "hi there" not in repr(decode(messages=[{"role": "user", "content": "hi there"}]))


def test_leaves_carry_the_channel_of_their_place() -> None:
    document = {
        "model": "m1",
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": [{"type": "text", "text": "U"}], "later_field": {"deep": ["V"]}},
            {"role": "assistant", "content": "A", "reasoning_content": "R", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "T"},
            {"role": ["odd"], "content": "O"},
        ],
        "tools": [{"type": "function", "function": FUNCTION}],
        "user": "u1",
        "x-unknown": {"k1": ["w1"]},
    }
    found = {leaf.text: leaf.channel for leaf in request.leaves(document)}
    expected = {
        "m1": Channel.OTHER, "S": Channel.SYSTEM, "U": Channel.USER, "V": Channel.USER, "later_field": Channel.USER,
        "deep": Channel.USER,
        "A": Channel.ASSISTANT, "R": Channel.REASONING, '{"a":1}': Channel.TOOL_ARGUMENTS, "f": Channel.TOOL_DESCRIPTION,
        "T": Channel.TOOL_RESULT, "O": Channel.OTHER, "does f": Channel.TOOL_DESCRIPTION, "where": Channel.TOOL_DESCRIPTION,
        "city": Channel.TOOL_DESCRIPTION, "u1": Channel.OTHER, "x-unknown": Channel.OTHER, "k1": Channel.OTHER,
        "w1": Channel.OTHER,
    }  # fmt: skip
    assert {text: found.get(text) for text in expected} == expected


DOCUMENTS = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.none() | st.integers(0, 3) | st.text(max_size=4) | st.sampled_from(["user", "content"]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.sampled_from(["role"]), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=4,
)


def strings(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}
    if isinstance(value, list):
        return set().union(*map(strings, value)) if value else set()
    if isinstance(value, dict):
        return set(value).union(*map(strings, value.values())) if value else set()
    return set()


@settings(max_examples=80)
@given(DOCUMENTS)
def test_no_string_of_any_document_is_left_out(document: dict[str, Any]) -> None:
    left = strings(document) - {leaf.text for leaf in request.leaves(document)}
    assert left <= request.VOCABULARY | {""}


@settings(max_examples=80)
@given(DOCUMENTS)
def test_replacing_every_leaf_replaces_every_string(document: dict[str, Any]) -> None:
    leaves = request.leaves(document)
    masked = rewrite(document, [(leaf, "*") for leaf in leaves])
    assert strings(masked) <= request.VOCABULARY | {"", "*"} | {f"*_{n}" for n in range(2, 20)}
    assert len(masked) == len(document)


def test_rewriting_leaves_the_original_as_it_was() -> None:
    document = {"user": "a", "x": {"k": "b"}}
    rewrite(document, [(leaf, "*") for leaf in request.leaves(document)])
    assert document == {"user": "a", "x": {"k": "b"}}


def test_a_provider_gets_the_clients_own_document_where_nothing_needs_to_change() -> None:
    exchange = decode(top_k=5, anything={"a": 1}, stream=True, stream_options={"include_usage": True})
    assert request.same_document(exchange, model="m", ask_usage=True) is exchange.document
    assert request.same_document(decode(), model="m", ask_usage=True) == {"model": "m", "messages": [USER]}


def test_a_provider_gets_its_own_model_name_and_is_asked_for_usage_in_a_stream() -> None:
    sent = request.same_document(decode(stream=True, anything=1), model="theirs", ask_usage=True)
    assert sent == {
        "model": "theirs", "messages": [USER], "anything": 1, "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert "stream_options" not in request.same_document(decode(stream=True), model="m", ask_usage=False)


@settings(max_examples=80)
@given(
    DOCUMENTS,
    st.sampled_from(["messages", "tools", "stop", "stream_options", "response_format", "model", "n", "modalities"]),
    st.data(),
)
def test_junk_in_a_request_raises_only_invalid_request(document: dict[str, Any], key: str, data: st.DataObject) -> None:
    with contextlib.suppress(InvalidRequest):
        decode(**{**document, key: data.draw(DOCUMENTS | st.lists(DOCUMENTS, max_size=2) | st.text(max_size=3))})
