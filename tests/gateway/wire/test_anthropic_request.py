import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.core.exchange import Message, Tool, ToolCall, ToolChoice
from freehold.core.findings import Channel
from tests.gateway.asking import asked
from tests.gateway.wire.anthropic_playing import CODEC, ask, document

TOOLS = [{"name": "f", "input_schema": {"type": "object"}}]


def test_what_our_engine_and_the_record_need_is_read() -> None:
    exchange = asked(document("request_claude_code"), "anthropic.messages", headers={"anthropic-beta": "a-1"})
    assert (exchange.dialect, exchange.operation, exchange.model, exchange.stream) == (
        "anthropic.messages",
        "chat",
        "claude-sonnet-4-5",
        True,
    )
    assert (exchange.sampling.max_tokens, exchange.sampling.temperature) == (32000, 1)
    assert exchange.headers == {"anthropic-beta": "a-1"}
    assert exchange.messages[0] == Message(role="system", text="You are a coding agent.\nBe brief.")
    assert [message.role for message in exchange.messages] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert exchange.messages[1].attachments == 1
    assert exchange.messages[2].tool_calls == (
        ToolCall(call_id="toolu_01", name="Read", arguments='{"file_path":"main.py"}'),
        ToolCall(call_id="toolu_02", name="Bash", arguments='{"command":"ls -l"}'),
    )
    assert [(message.tool_call_id, message.text) for message in exchange.messages[3:5]] == [
        ("toolu_01", "print(1)"),
        ("toolu_02", "no such file"),
    ]
    assert isinstance(exchange.tools[1], Tool)
    assert exchange.tools[1].name == "Read"
    assert exchange.unsaid is None


def test_what_only_its_own_providers_do_is_kept_and_told() -> None:
    exchange = asked(document("request_server_tools"), "anthropic.messages")
    assert exchange.tools == ()
    assert exchange.unsaid is not None
    assert exchange.unsaid.startswith("container: ")
    assert sum(message.attachments for message in exchange.messages) == 4
    assert CODEC.same_document(exchange, model="claude-sonnet-4-5", ask_usage=True) is exchange.document


def test_the_form_of_the_answer_and_calls_that_must_be_made_are_told() -> None:
    form = asked(document("request_documents"), "anthropic.messages").response_format
    assert form is not None
    assert form.kind == "json_schema"
    assert form.schema
    one = ask(tools=TOOLS, tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True})
    assert one.tool_choice == ToolChoice(mode="named", name="f")
    assert one.parallel_tool_calls is False


def test_tools_that_must_not_be_called_are_not_offered() -> None:
    assert [tool.name for tool in ask(tools=TOOLS, tool_choice={"type": "auto"}).tools] == ["f"]
    assert ask(tools=TOOLS, tool_choice={"type": "none"}).tools == ()


def test_a_provider_that_calls_the_model_otherwise_gets_its_own_name() -> None:
    exchange = ask(x_new=1)
    assert CODEC.same_document(exchange, model="other", ask_usage=False) == {**exchange.document, "model": "other"}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "model"),
    ({"model": "m" * 300}, "model"),
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": "9"}, "max_tokens"),
    ({"messages": []}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"messages": ["hi"]}, "messages[0]"),
    ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
    ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages[0].content[0].tool_use_id"),
    ({"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "a"}]}]}, "messages[0].content[0].name"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]},
        "messages[0].content[0].source.url",
    ),
    ({"system": 3}, "system"),
    ({"system": [3]}, "system[0]"),
    ({"tools": [{"description": "a"}]}, "tools[0].name"),
    ({"tools": [{"name": "a", "input_schema": []}]}, "tools[0].input_schema"),
    ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
    ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"temperature": 3}, "temperature"),
    ({"stop_sequences": [""]}, "stop_sequences"),
    ({"stop_sequences": ["a"] * 200}, "stop_sequences"),
    ({"stream": "yes"}, "stream"),
    ({"thinking": {"type": "enabled", "budget_tokens": -1}}, "budget_tokens"),
    ({"metadata": {"user_id": 3}}, "metadata.user_id"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=[param for _, param in WRONG])
def test_a_malformed_request_names_the_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ask(**fields)
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


def channels(document: dict[str, Any]) -> dict[str, Channel]:
    return {leaf.text: leaf.channel for leaf in CODEC.leaves(document)}


def test_every_string_has_the_channel_of_its_block() -> None:
    found = channels(document("request_claude_code"))
    assert {
        "You are a coding agent.": Channel.SYSTEM,
        "user_1f_account__session_2e": Channel.OTHER,
        "Runs a command.": Channel.TOOL_DESCRIPTION,
        "what to run": Channel.TOOL_DESCRIPTION,
        "What is in this picture and in main.py?": Channel.USER,
        "iVBORw0KGgo=": Channel.FILE,
        "I need the file.": Channel.REASONING,
        "Reading.": Channel.ASSISTANT,
        "main.py": Channel.TOOL_ARGUMENTS,
        "print(1)": Channel.TOOL_RESULT,
        "no such file": Channel.TOOL_RESULT,
        "Go on.": Channel.USER,
        "clear_thinking_20251015": Channel.OTHER,
    }.items() <= found.items()
    files = channels(document("request_documents"))
    assert files["JVBERi0xLjQK"] is Channel.FILE
    assert files["All is well."] is Channel.USER
    assert files["Answer from the files."] is Channel.SYSTEM
    assert channels(
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "data:a"}}]}]}
    ) == {"data:a": Channel.FILE}
    odd = {"tools": [{"input_schema": {"type": "thinking", "x": {"type": "base64", "data": "abc"}}}]}
    assert set(channels(odd).values()) == {Channel.TOOL_DESCRIPTION}
    tricky = {"role": "user", "content": [{"type": "tool_use", "input": {"role": "system", "content": "shown"}}]}
    assert channels({"messages": [tricky]})["shown"] is Channel.TOOL_ARGUMENTS


def test_no_string_is_passed_over() -> None:
    """Whatever is not a word of the format's own comes up, keys too."""
    strange = {
        "messages": [{"role": "user", "content": [{"type": "new_kind", "deep": [{"unheard": ["of", {"key-1": "value-1"}]}]}]}]
    }
    assert {"new_kind", "deep", "unheard", "of", "key-1", "value-1"} == {leaf.text for leaf in CODEC.leaves(strange)}


keys = st.sampled_from(["type", "role", "content", "text", "source", "data", "input", "id", "name", "tool_use_id", "x"])
words = st.sampled_from(["user", "assistant", "text", "tool_use", "tool_result", "image", "base64", "document", "thinking", "x"])
values = st.recursive(
    words | st.integers(-9, 9) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner),
    max_leaves=12,
)


@settings(max_examples=150)
@given(
    st.dictionaries(
        st.sampled_from(
            ["messages", "system", "tools", "tool_choice", "thinking", "metadata", "stop_sequences", "output_config"]
        ),
        values | st.lists(st.dictionaries(keys, values), max_size=3),
    )
)
def test_whatever_is_asked_is_read_or_refused(fields: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidRequest):
        exchange = ask(**fields)
        CODEC.leaves(exchange.document)
        with contextlib.suppress(InvalidRequest):
            CODEC.write_prompt(CODEC.read_prompt(exchange), model="m")
