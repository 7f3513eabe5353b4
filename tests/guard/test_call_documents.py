import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.call_documents import WrittenCall, calls_of
from freehold.guard.calls.arguments import read

RM = {"command": "rm -rf build"}
TEXT = json.dumps(RM)


@pytest.mark.parametrize(
    "document",
    [
        {"id": "call_1", "type": "function", "function": {"name": "bash", "arguments": TEXT}},
        {
            "choices": [
                {"message": {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "bash", "arguments": TEXT}}]}}
            ]
        },
        {"type": "function_call", "call_id": "c", "name": "bash", "arguments": TEXT},
        {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": RM},
        {"functionCall": {"name": "bash", "args": RM}},
        {"candidates": [{"content": {"parts": [{"text": "so"}, {"functionCall": {"name": "bash", "args": RM}}]}}]},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "bash", "arguments": RM}},
        {"hook_event_name": "PreToolUse", "tool_name": "bash", "tool_input": RM},
        {"name": "bash", "arguments": RM},
        {"tool": "bash", "arguments": TEXT},
        [{"tool": "bash", "args": RM}],
    ],
    ids=["chat", "chat-answer", "responses", "anthropic", "gemini", "gemini-answer", "mcp", "hook", "plain", "text", "list"],
)
def test_a_call_is_found_however_it_is_written(document: Any) -> None:
    ((tool, arguments),) = calls_of(document)
    assert tool == "bash"
    assert json.loads(arguments) == RM


def test_calls_side_by_side_keep_their_order() -> None:
    blocks = [{"type": "text", "text": "so"}, *({"type": "tool_use", "name": name, "input": {}} for name in ("a", "b", "c"))]
    assert [call.tool for call in calls_of({"content": blocks})] == ["a", "b", "c"]


def test_a_tool_that_takes_plain_text_gets_it_as_its_input() -> None:
    document = {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin Patch"}
    assert calls_of(document) == [WrittenCall("apply_patch", '{"input":"*** Begin Patch"}')]


def test_the_shell_of_responses_is_named_by_its_kind() -> None:
    document = {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls", "-l"]}}
    ((tool, arguments),) = calls_of(document)
    assert tool == "shell"
    assert json.loads(arguments)["command"] == ["ls", "-l"]


def test_arguments_that_are_not_json_are_left_for_the_judge() -> None:
    assert calls_of({"name": "bash", "arguments": "{rm"}) == [WrittenCall("bash", "{rm")]


def test_a_document_without_a_call_is_the_arguments_of_a_tool_without_a_name() -> None:
    assert calls_of(RM) == [WrittenCall("", '{"command":"rm -rf build"}')]


def test_a_tool_that_is_described_is_not_called() -> None:
    described = {"name": "bash", "description": "runs", "parameters": {"type": "object"}}
    assert [call.tool for call in calls_of({"tools": [described], "output": [{"name": "ls", "arguments": "{}"}]})] == ["ls"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "tool", "arguments", "input", "action", "type", "function", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_document_gives_at_least_one_call(document: Any) -> None:
    calls = calls_of(document)
    assert calls
    assert all(isinstance(call.tool, str) and isinstance(call.arguments, str) for call in calls)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("odd", [nested(300), 10**30, {"a": nested(600)}])
def test_what_a_fast_encoder_cannot_write_is_written_all_the_same(odd: Any) -> None:
    (call,) = calls_of({"name": "bash", "arguments": {"command": "ls", "odd": odd}})
    assert json.loads(call.arguments) == {"command": "ls", "odd": odd}


@pytest.mark.parametrize("odd", [nested(50_000), "\ud800"])
def test_what_cannot_be_written_is_no_json_to_the_judge(odd: Any) -> None:
    (call,) = calls_of({"name": "bash", "arguments": {"command": "ls", "odd": odd}})
    assert read(call.arguments).problem
