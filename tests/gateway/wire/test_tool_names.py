"""Every dialect's ways to say whose text a tool's is, through the codecs' own leaves."""

from typing import Any

import pytest

from freehold.core.findings import Channel
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.tool_names import ToolNames

TOOLS = (Channel.TOOL_DESCRIPTION, Channel.TOOL_ARGUMENTS, Channel.TOOL_RESULT)

CHAT = {
    "model": "m",
    "tools": [{"type": "function", "function": {"name": "mail", "description": "Sends!", "parameters": {"type": "object"}}}],
    "messages": [
        {"role": "user", "content": "go on"},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "mail", "arguments": '{"to": 1}'}},
                {"id": "c2", "type": "function", "function": {"name": "shell", "arguments": '{"run": 1}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "c2", "content": "shell said"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "mail said"}]},
        {"role": "tool", "tool_call_id": "c9", "content": "nobody said"},
    ],
}
MESSAGES = {
    "model": "m",
    "max_tokens": 9,
    "tools": [{"name": "mail", "description": "Sends!", "input_schema": {"type": "object"}}],
    "messages": [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "shell", "input": {"run": {"it": "go!"}}}]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "done!"}]}],
        },
    ],
}
RESPONSES = {
    "model": "m",
    "tools": [{"type": "function", "name": "mail", "description": "Sends!", "parameters": {"type": "object"}}],
    "input": [
        {"type": "function_call", "call_id": "c1", "id": "fc_1", "name": "shell", "arguments": '{"run": 1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "done!"},
    ],
}
GEMINI = {
    "tools": [{"functionDeclarations": [{"name": "mail", "description": "Sends!", "parameters": {"type": "OBJECT"}}]}],
    "contents": [
        {"role": "model", "parts": [{"functionCall": {"name": "shell", "args": {"run": "go!"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "shell", "response": {"out": "done!"}}}]},
    ],
}


def named(dialect: str, document: dict[str, Any]) -> dict[str, str]:
    names = ToolNames(document)
    return {leaf.text: names.of(leaf.path) for leaf in CODECS[dialect].leaves(document) if leaf.channel in TOOLS}


@pytest.mark.parametrize(
    ("dialect", "document", "expected"),
    [
        (
            "openai.chat",
            CHAT,
            {"Sends!": "mail", '{"to": 1}': "mail", '{"run": 1}': "shell", "shell said": "shell", "mail said": "mail"},
        ),
        ("anthropic.messages", MESSAGES, {"Sends!": "mail", "go!": "shell", "done!": "shell"}),
        ("openai.responses", RESPONSES, {"Sends!": "mail", '{"run": 1}': "shell", "done!": "shell"}),
        ("google.gemini", GEMINI, {"Sends!": "mail", "go!": "shell", "done!": "shell"}),
    ],
)
def test_a_tools_texts_are_known_by_their_place(dialect: str, document: dict[str, Any], expected: dict[str, str]) -> None:
    found = named(dialect, document)
    assert {text: found[text] for text in expected} == expected


def test_what_answers_no_call_belongs_to_no_tool() -> None:
    assert named("openai.chat", CHAT)["nobody said"] == ""
    assert ToolNames({"name": "x", "messages": ["y"]}).of(("messages", 0)) == ""
