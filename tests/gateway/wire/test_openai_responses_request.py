"""Requests of Responses: read, walked, and carried to other dialects and back."""

import json
from pathlib import Path
from typing import Any

import pytest

from freehold.core.errors import InvalidRequest
from freehold.core.exchange import Exchange, Message, ResponseFormat, Sampling, ToolCall, ToolChoice
from freehold.core.findings import Channel
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.leaves import rewrite
from freehold.gateway.wire.prompt import (
    CallPart,
    MediaPart,
    Prompt,
    PromptTool,
    Reasoning,
    ReasoningPart,
    ResultPart,
    TextPart,
    Turn,
)
from tests.gateway.asking import asked

CODEC = CODECS["openai.responses"]
CHAT = CODECS["openai.chat"]
VECTORS = Path(__file__).parents[2] / "vectors" / "openai_responses"
PROPERTIES = {"city": {"type": "string"}}
SCHEMA = {"type": "object", "properties": PROPERTIES, "required": ["city"], "additionalProperties": False}
TOOL = {"type": "function", "name": "f", "description": "does f", "parameters": SCHEMA, "strict": True}


def recorded(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((VECTORS / f"request_{name}.json").read_text())
    return document


def exchange(document: dict[str, Any] | None = None, **changes: Any) -> Exchange:
    return asked({"model": "m", "input": "hi", **(document or {}), **changes}, "openai.responses")


def read(**changes: Any) -> Prompt:
    return CODEC.read_prompt(exchange(**changes))


def again(prompt: Prompt) -> Prompt:
    """What a node that gets our document reads in it."""
    return read(**CODEC.write_prompt(prompt, model="m"))


def test_a_minimal_request_leaves_every_choice_to_the_upstream() -> None:
    given = exchange()
    assert (given.model, given.stream, given.sampling, given.unsaid) == ("m", False, Sampling(), None)
    assert given.messages == (Message(role="user", text="hi"),)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": None}, "model"),
        ({"model": "m" * 300}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].file_id"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].id"),
        ({"input": [{"type": "reasoning", "summary": ["x"]}]}, "input[0].summary[0]"),
        ({"instructions": 5}, "instructions"),
        ({"stream": "yes"}, "stream"),
        ({"background": True}, "background"),
        ({"temperature": 3}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
    ],
)
def test_a_malformed_field_is_named(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        exchange(**changes)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [TOOL, {"type": "mcp", "server_label": "x"}]}, "tools[1].type"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [TOOL, {"type": "mcp"}]}]}, "tools[0].tools[1].type"),
        ({"input": [{"role": "user", "content": [{"type": "hologram"}]}]}, "input[0].content[0].type"),
    ],
)
def test_what_only_the_same_dialect_has_is_passed_there_and_refused_by_name_elsewhere(
    changes: dict[str, Any], param: str
) -> None:
    given = exchange(**changes)
    assert CODEC.same_document(given, model="m", ask_usage=True) is given.document
    assert given.unsaid is not None
    assert given.unsaid.startswith(param)
    with pytest.raises(InvalidRequest) as caught:
        CODEC.read_prompt(given)
    assert (caught.value.param, caught.value.code) == (param, "unsupported_parameter")


def test_state_may_stand_for_the_input() -> None:
    given = exchange(input=None, previous_response_id="resp_1")
    assert given.messages == ()
    assert given.unsaid is not None


def test_the_hosted_tools_of_a_recorded_request_pass_untouched() -> None:
    document = recorded("hosted")
    given = exchange(document)
    assert CODEC.same_document(given, model="m", ask_usage=True) is given.document
    assert CODEC.same_document(given, model="theirs", ask_usage=True) == {**document, "model": "theirs"}


def test_an_answer_in_a_form_is_told_to_our_engine_and_to_other_dialects() -> None:
    given = exchange(text={"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}})
    form = ResponseFormat(kind="json_schema", name="place", schema=SCHEMA, is_strict=True)
    assert given.unsaid is None
    assert given.response_format == CODEC.read_prompt(given).response_format == form
    assert exchange(text={"format": {"type": "text"}, "verbosity": "low"}).unsaid is None


def test_what_a_coding_agent_sends_is_read_turn_by_turn() -> None:
    given = exchange(recorded("codex"))
    prompt = CODEC.read_prompt(given)
    patch = json.dumps({"input": "*** Begin Patch\n*** End Patch"}, separators=(",", ":"))
    shell = '{"command":["pytest","-q"],"timeout_ms":1000,"working_directory":null,"env":null,"user":null}'
    assert [turn.role for turn in prompt.turns] == [
        "system", "system", "user", "assistant", "tool", "assistant", "tool", "assistant", "tool"
    ]  # fmt: skip
    assert prompt.turns[3].parts == (
        ReasoningPart(text="**Reading**", signature="openai.responses.gAAAAABo1vR2"),
        TextPart(text="I'll look."),
        CallPart(call_id="call_1", name="shell", arguments='{"command":["ls"]}'),
    )
    assert prompt.turns[5].parts == (CallPart(call_id="call_2", name="apply_patch", arguments=patch),)
    assert prompt.turns[7].parts == (CallPart(call_id="call_3", name="local_shell", arguments=shell),)
    assert prompt.turns[8].parts == (ResultPart(call_id="call_3", parts=(TextPart(text="1 passed"),)),)
    assert [tool.name for tool in prompt.tools] == ["shell", "apply_patch", "local_shell", "agents__close"]
    assert 'start: "*** Begin Patch" LF' in prompt.tools[1].description
    assert prompt.tools[1].parameters["required"] == ["input"]
    assert (prompt.reasoning, prompt.tool_choice) == (Reasoning(effort="medium", wants_summary=True), ToolChoice(mode="auto"))
    assert given.unsaid is None
    assert given.messages[3].tool_calls == (ToolCall(call_id="call_1", name="shell", arguments='{"command":["ls"]}'),)


def test_a_search_that_may_not_leave_the_provider_is_dropped_elsewhere() -> None:
    offline = {"type": "web_search", "external_web_access": False}
    assert read(tools=[TOOL, offline]).tools == read(tools=[TOOL]).tools
    assert exchange(tools=[TOOL, {**offline, "external_web_access": True}]).unsaid is not None


def test_tools_of_a_namespace_have_both_names_elsewhere() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "f", "namespace": "agents", "arguments": "{}"}
    prompt = read(
        tools=[{"type": "namespace", "name": "agents", "tools": [TOOL]}, TOOL], input=[{"role": "user", "content": "x"}, call]
    )
    assert [tool.name for tool in prompt.tools] == ["agents__f", "f"]
    assert prompt.turns[1].parts == (CallPart(call_id="c1", name="agents__f", arguments="{}"),)


def test_what_a_coding_agent_sends_goes_to_a_chat_provider() -> None:
    document = CHAT.write_prompt(CODEC.read_prompt(exchange(recorded("codex"))), model="theirs")
    assert [message["role"] for message in document["messages"]] == [
        "system", "system", "user", "assistant", "tool", "assistant", "tool", "assistant", "tool"
    ]  # fmt: skip
    assert "reasoning_content" not in document["messages"][3]  # it is sealed: another provider's
    assert document["messages"][3]["tool_calls"][0]["function"] == {"name": "shell", "arguments": '{"command":["ls"]}'}
    assert (document["reasoning_effort"], document["parallel_tool_calls"]) == ("medium", True)
    assert asked(document).messages[2].text == "fix the test"


def test_media_go_to_a_chat_provider_and_come_back() -> None:
    prompt = CODEC.read_prompt(exchange(recorded("media")))
    assert prompt.turns[0].parts == (
        TextPart(text="see"),
        MediaPart(kind="image", media_type="image/png", data="iVBORw0KGgo=", detail="low"),
        MediaPart(kind="image", url="https://example.com/cat.png", detail="auto"),
        MediaPart(kind="file", media_type="application/pdf", data="JVBERg==", name="a.pdf"),
        MediaPart(kind="file", file_id="file-1"),
    )
    written = asked(CHAT.write_prompt(prompt, model="m"))
    assert CHAT.read_prompt(written) == prompt
    assert CODEC.write_prompt(prompt, model="m")["input"][0]["content"] == recorded("media")["input"][0]["content"]
    assert sum(message.attachments for message in exchange(recorded("media")).messages) == 4


def test_a_chat_request_goes_to_a_responses_provider() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city":"Bonn"}'}}
    bare = {"type": "function", "function": {"name": "g"}}
    chat = asked(
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "rain?"},
                {"role": "assistant", "content": "so", "reasoning_content": "hm", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "yes"},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}, bare],
            "tool_choice": "required", "max_completion_tokens": 9, "temperature": 0.5, "seed": 7, "reasoning_effort": "low",
            "logprobs": True, "top_logprobs": 2, "user": "u1",
            "response_format": {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}},
        }
    )  # fmt: skip
    assert CODEC.write_prompt(CHAT.read_prompt(chat), model="theirs") == {
        "model": "theirs", "stream": True, "store": False,
        "input": [
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "be brief"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "rain?"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"city":"Bonn"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "yes"},
        ],
        "tools": [
            {"type": "function", "name": "f", "parameters": SCHEMA, "strict": False},
            {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": False},
        ],
        "tool_choice": "required", "max_output_tokens": 9, "temperature": 0.5, "top_logprobs": 2,
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"], "reasoning": {"effort": "low"}, "user": "u1",
        "text": {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}},
    }  # fmt: skip


def test_everything_responses_can_say_is_read_again_from_what_was_written() -> None:
    image = {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"}
    prompt = read(
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "seen"}, image]},
        ],
        instructions="be brief", tools=[TOOL], tool_choice={"type": "function", "name": "f"}, parallel_tool_calls=False,
        temperature=0.5, top_p=0.9, max_output_tokens=9, include=["message.output_text.logprobs"], user="u1",
        reasoning={"effort": "none", "summary": "auto"}, text={"format": {"type": "json_object"}},
    )  # fmt: skip
    assert again(prompt) == prompt
    assert prompt.sampling == Sampling(temperature=0.5, top_p=0.9, max_tokens=9, top_logprobs=0)
    assert prompt.tools == (PromptTool(name="f", description="does f", parameters=SCHEMA, is_strict=True),)
    assert prompt.reasoning == Reasoning(budget_tokens=0, wants_summary=True)


def test_a_seal_goes_back_to_its_own_provider_and_to_no_other() -> None:
    foreign = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "google.gemini.S"}
    prompt = read(input=[{"role": "user", "content": "x"}, foreign])
    assert prompt.turns[1].parts == (ReasoningPart(text="hm", signature="google.gemini.S"),)
    assert len(CODEC.write_prompt(prompt, model="m")["input"]) == 1
    own = Turn(role="assistant", parts=(ReasoningPart(text="hm", signature="openai.responses.E"), TextPart(text="so")))
    assert CODEC.write_prompt(Prompt(turns=(own,)), model="m")["input"][0] == {
        "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "E",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        (Prompt(turns=(), sampling=Sampling(stop=("X",))), "stop"),
        (Prompt(turns=(), sampling=Sampling(top_k=5)), "top_k"),
        (Prompt(turns=(), sampling=Sampling(frequency_penalty=1)), "frequency_penalty"),
        (Prompt(turns=(), choices=2), "choice"),
        (Prompt(turns=(Turn(role="user", parts=(MediaPart(kind="video", url="https://example.com/a"),)),)), "video"),
        (Prompt(turns=(Turn(role="user", parts=(MediaPart(kind="audio", media_type="audio/flac", data="x"),)),)), "audio"),
        (Prompt(turns=(Turn(role="assistant", parts=(MediaPart(kind="image", file_id="f"),)),)), "image of the assistant"),
    ],
)
def test_what_responses_cannot_say_is_refused_by_name(prompt: Prompt, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        CODEC.write_prompt(prompt, model="m")


def test_penalties_of_nothing_are_nothing() -> None:
    nothing = Sampling(presence_penalty=0.0, frequency_penalty=0.0, repetition_penalty=1.0, seed=7)
    assert set(CODEC.write_prompt(Prompt(turns=(), sampling=nothing), model="m")) == {"model", "input", "stream", "store"}


def test_results_that_are_errors_say_so() -> None:
    image = MediaPart(kind="image", file_id="f")
    results = (
        ResultPart(call_id="c1", parts=(TextPart(text="gone"),), is_error=True),
        ResultPart(call_id="c2", parts=(image,), is_error=True),
    )
    items = CODEC.write_prompt(Prompt(turns=(Turn(role="tool", parts=results),)), model="m")["input"]
    assert items[0]["output"] == "Error: gone"
    assert items[1]["output"] == [
        {"type": "input_text", "text": "Error:"},
        {"type": "input_image", "file_id": "f", "detail": "auto"},
    ]


def test_every_string_has_its_channel() -> None:
    parts = [
        {"type": "input_text", "text": "usr"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA"},
        {"type": "input_file", "file_data": "AAAA"},
        {"type": "input_image", "image_url": "https://x"},
    ]
    document = {
        "model": "m",
        "instructions": "sys",
        "input": [
            {"role": "user", "content": parts},
            {"role": "developer", "content": "dev"},
            {"type": "message", "role": "assistant", "content": "ast"},
            {"type": "function_call", "call_id": "id1", "name": "fn", "arguments": "args"},
            {"type": "function_call_output", "call_id": "id2", "output": "res"},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "why"}], "encrypted_content": "seal"},
            {"type": "local_shell_call", "action": {"command": ["rm"]}},
            {"type": "image_generation_call", "result": "BBBB"},
            {"type": 5, "what": "odd"},
        ],
        "tools": [{"type": "function", "description": "desc"}],
        "metadata": {"ticket": "7a"},
    }  # fmt: skip
    channels = {leaf.text: leaf.channel for leaf in CODEC.leaves(document)}
    expected = {
        "sys": Channel.SYSTEM, "usr": Channel.USER, "data:image/png;base64,AA": Channel.FILE, "AAAA": Channel.FILE,
        "https://x": Channel.USER, "dev": Channel.SYSTEM, "ast": Channel.ASSISTANT, "args": Channel.TOOL_ARGUMENTS,
        "id1": Channel.TOOL_ARGUMENTS, "res": Channel.TOOL_RESULT, "why": Channel.REASONING, "seal": Channel.REASONING,
        "rm": Channel.TOOL_ARGUMENTS, "BBBB": Channel.FILE, "odd": Channel.OTHER, "desc": Channel.TOOL_DESCRIPTION,
        "7a": Channel.OTHER, "ticket": Channel.OTHER,
    }  # fmt: skip
    assert {text: channels[text] for text in expected} == expected
    assert [leaf.channel for leaf in CODEC.leaves({"input": "usr"})] == [Channel.USER]


@pytest.mark.parametrize("name", ["codex", "media", "hosted"])
def test_a_document_rewritten_leaf_by_leaf_is_the_same(name: str) -> None:
    document = recorded(name)
    assert rewrite(document, [(leaf, leaf.text) for leaf in CODEC.leaves(document)]) == document
