from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.findings import Channel
from freehold.gateway.mcp.message import Side, read
from freehold.gateway.mcp.services import Bounds
from freehold.gateway.mcp.texts import VOCABULARY, leaves

BOUNDS = Bounds(size_bytes=1 << 20, depth=64, values=10_000)


def channels(document: dict[str, Any], sender: Side, asked: str = "") -> dict[str, Channel]:
    message = read(orjson.dumps({"jsonrpc": "2.0", **document}), BOUNDS)
    return {leaf.text: leaf.channel for leaf in leaves(message, sender, asked)}


def test_arguments_of_a_call_are_arguments_and_what_stands_around_them_is_not() -> None:
    params = {"name": "a-tool", "arguments": {"key-1": ["value-1", {"type": "image", "data": "value-2"}]}, "other": "value-3"}
    found = channels({"id": 1, "method": "tools/call", "params": params}, Side.CLIENT)
    assert found["key-1"] is found["value-1"] is found["value-2"] is Channel.TOOL_ARGUMENTS
    assert found["a-tool"] is found["value-3"] is Channel.OTHER


@pytest.mark.parametrize("asked", ["tools/call", "resources/read", "prompts/get", "something/new"])
def test_what_a_server_answers_counts_as_a_tools_result(asked: str) -> None:
    result = {
        "content": [
            {"type": "text", "text": "said"},
            {"type": "image", "data": "aW1n", "mimeType": "image/png", "annotations": {"lastModified": "when"}},
            {"type": "resource", "resource": {"uri": "x://y", "blob": "YmxvYg==", "mimeType": "application/pdf"}},
            {"type": "resource_link", "uri": "x://z", "name": "link", "description": "where it goes"},
        ],
        "structuredContent": {"deep": [{"er": "value"}]},
        "unheard": {"of": "field"},
    }
    found = channels({"id": 1, "result": result}, Side.SERVER, asked)
    assert found.pop("aW1n") is found.pop("YmxvYg==") is Channel.FILE
    assert found.pop("mimeType", None) is None
    files = {text for text, channel in found.items() if channel is Channel.FILE}
    assert files <= {"lastModified", "annotations"}  # names of fields beside the data
    assert {found[text] for text in ("said", "image/png", "when", "x://y", "where it goes", "value", "field")} == {
        Channel.TOOL_RESULT
    }


def test_what_a_server_offers_is_a_description() -> None:
    tools = [
        {"name": "t", "description": "what it does", "inputSchema": {"type": "object", "properties": {"p": {"default": "d"}}}}
    ]
    found = channels({"id": 1, "result": {"tools": tools}}, Side.SERVER, "tools/list")
    assert set(found.values()) == {Channel.TOOL_DESCRIPTION}


def test_answers_of_the_clients_model_and_of_a_person_are_theirs() -> None:
    said = {"id": 1, "result": {"role": "assistant", "content": {"type": "text", "text": "said"}, "model": "m"}}
    assert channels(said, Side.CLIENT, "sampling/createMessage")["said"] is Channel.ASSISTANT
    assert channels({"id": 1, "result": {"content": {"a": "typed"}}}, Side.CLIENT, "elicitation/create")["typed"] is Channel.USER


documents = st.recursive(
    st.none() | st.booleans() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def strings(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}
    if isinstance(value, dict):
        return set(value) | {text for item in value.values() for text in strings(item)}
    return {text for item in value for text in strings(item)} if isinstance(value, list) else set()


@given(st.dictionaries(st.text(max_size=8), documents), st.sampled_from(["tools/call", "tools/list", "x/y"]))
def test_every_string_is_a_leaf_whatever_the_message(body: dict[str, Any], method: str) -> None:
    for document, sender, asked in (
        ({"id": 1, "method": method, "params": body}, Side.CLIENT, ""),
        ({"id": 1, "result": body}, Side.SERVER, method),
    ):
        assert strings(body) - VOCABULARY - {""} <= set(channels(document, sender, asked))


def test_what_a_tool_is_given_and_brings_is_read_behind_its_name_and_its_numbers_are_looked_at() -> None:
    def befores(document: dict[str, Any], sender: Side) -> dict[str, str]:
        message = read(orjson.dumps({"jsonrpc": "2.0", **document}), BOUNDS)
        return {leaf.text: leaf.before for leaf in leaves(message, sender, "tools/call") if leaf.before}

    values = {"secret": "value-1", "rows": [[4111111111111111, 12.5], {"n": 300, "few": 99, "yes": True}]}
    expected = {"value-1": '"secret":"', "4111111111111111": '"rows":', "300": '"n":'}
    arguments = {"name": "t", "arguments": values, "_meta": {"progressToken": 4111111111111111}}
    assert befores({"id": 4111111111111111, "method": "tools/call", "params": arguments}, Side.CLIENT) == expected
    result = {"content": [{"type": "text", "text": "said"}], "structuredContent": values}
    assert befores({"id": 1, "result": result}, Side.SERVER) == expected
    assert befores({"id": 1, "result": {"action": "accept", "content": values}}, Side.CLIENT) == expected
