"""Messages requests to and from the words of no dialect, and of chat completions."""

import json
from dataclasses import replace
from typing import Any

import pytest

from freehold.core.errors import InvalidRequest
from freehold.core.exchange import ResponseFormat, Sampling, ToolChoice
from freehold.gateway.wire import CODECS
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
from tests.gateway.wire.anthropic_playing import CODEC, ask, document

CHAT = CODECS["openai.chat"]


def read(fields: dict[str, Any]) -> Prompt:
    return CODEC.read_prompt(asked(fields, "anthropic.messages"))


def write(*turns: Turn, **fields: Any) -> dict[str, Any]:
    return CODEC.write_prompt(Prompt(turns=turns or (Turn(role="user", parts=(TextPart(text="hi"),)),), **fields), model="m")


@pytest.mark.parametrize("name", ["request_claude_code", "request_documents"])
def test_a_request_read_and_written_and_read_means_the_same(name: str) -> None:
    prompt = read(document(name))
    again = read(CODEC.write_prompt(prompt, model="m"))
    sampling = replace(again.sampling, temperature=prompt.sampling.temperature)  # of 1, which is not sent
    assert replace(again, reasoning=prompt.reasoning, sampling=sampling) == prompt
    assert again.reasoning is not None
    assert prompt.reasoning is not None
    assert (again.reasoning.effort, again.reasoning.budget_tokens) == (prompt.reasoning.effort, prompt.reasoning.budget_tokens)


def test_what_claude_code_sends_is_carried() -> None:
    prompt = read(document("request_claude_code"))
    assert [turn.role for turn in prompt.turns] == ["system", "user", "assistant", "tool", "user"]
    assert prompt.turns[0].parts[1] == TextPart(text="Be brief.", cache_control={"type": "ephemeral", "ttl": "1h"})
    assert prompt.turns[1].parts[2] == MediaPart(kind="image", media_type="image/png", data="iVBORw0KGgo=")
    assert prompt.turns[2].parts[0] == ReasoningPart(text="I need the file.", signature="anthropic.messages.EqQBCgIYAhIM1gbc")
    assert prompt.turns[3].parts[1] == ResultPart(
        call_id="toolu_02", parts=(TextPart(text="no such file"),), is_error=True, cache_control={"type": "ephemeral"}
    )
    assert prompt.tools[1].cache_control == {"type": "ephemeral"}
    assert prompt.reasoning == Reasoning(budget_tokens=31999, wants_summary=True)
    assert prompt.user == "user_1f_account__session_2e"


def test_what_claude_code_sends_reads_well_for_a_chat_provider() -> None:
    chat = CHAT.write_prompt(read(document("request_claude_code")), model="gpt")
    assert [message["role"] for message in chat["messages"]] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert chat["messages"][0]["content"] == "You are a coding agent.\nBe brief."
    assert chat["messages"][1]["content"][2] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    assert [call["function"] for call in chat["messages"][2]["tool_calls"]] == [
        {"name": "Read", "arguments": '{"file_path":"main.py"}'},
        {"name": "Bash", "arguments": '{"command":"ls -l"}'},
    ]
    assert [message["tool_call_id"] for message in chat["messages"][3:5]] == ["toolu_01", "toolu_02"]
    assert chat["messages"][5]["content"] == "Go on."
    assert [tool["function"]["name"] for tool in chat["tools"]] == ["Bash", "Read"]
    assert chat["max_completion_tokens"] == 32000
    assert chat["stream"] is True


def test_documents_choices_and_formats_are_carried() -> None:
    prompt = read(document("request_documents"))
    assert prompt.turns[1].parts == (
        MediaPart(kind="file", media_type="application/pdf", data="JVBERi0xLjQK", name="a.pdf"),
        TextPart(text="Notes\n\nfrom June\n\nAll is well."),
        TextPart(text="chunk one"),
        TextPart(text="chunk two"),
        MediaPart(kind="file", url="https://example.org/b.pdf"),
        MediaPart(kind="image", url="https://example.org/c.png"),
        TextPart(text="Summarise."),
    )
    assert prompt.tool_choice == ToolChoice(mode="named", name="find")
    assert prompt.parallel_tool_calls is False
    assert prompt.sampling == Sampling(max_tokens=100, top_p=0.9, top_k=5, stop=("END",))
    assert prompt.response_format is not None
    assert prompt.response_format.kind == "json_schema"
    assert prompt.reasoning == Reasoning(effort="high")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{"name": "a"}]}, "mcp_servers"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "search_result"}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "citations": {"enabled": True}}]}]},
            "messages[0].content[0].citations",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "new"}}]}]},
            "messages[0].content[0].source.type",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "new"}]}]}
                ]
            },
            "messages[0].content[0].content[0].type",
        ),
    ],
)
def test_what_no_other_dialect_has_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    exchange = ask(**fields)
    assert (exchange.unsaid or "").startswith(param)
    with pytest.raises(InvalidRequest) as caught:
        CODEC.read_prompt(exchange)
    assert (caught.value.param, caught.value.code) == (param, "unsupported_parameter")


def test_what_steers_cost_and_caching_is_dropped() -> None:
    prompt = CODEC.read_prompt(
        ask(
            service_tier="auto",
            speed="fast",
            diagnostics={},
            context_management={"edits": []},
            cache_control={"type": "ephemeral"},
        )
    )
    assert prompt == CODEC.read_prompt(ask())


def test_a_users_id_that_others_refuse_goes_as_its_digest() -> None:
    long = '{"device_id":"%s"}' % ("6a" * 60)
    users = [CODEC.read_prompt(ask(metadata={"user_id": user})).user for user in ("u-1", long, long, "é", None)]
    assert (users[0], users[4]) == ("u-1", None)
    assert users[1] == users[2] != users[3]
    assert all(len(user or "") == 64 for user in users[1:4])


@pytest.mark.parametrize(
    ("thinking", "output", "expected"),
    [
        (None, None, None),
        ({"type": "disabled"}, None, Reasoning(budget_tokens=0)),
        ({"type": "enabled", "budget_tokens": 2048}, None, Reasoning(budget_tokens=2048, wants_summary=True)),
        ({"type": "adaptive", "display": "omitted"}, {"effort": "low"}, Reasoning(effort="low")),
        (None, {"effort": "medium"}, Reasoning(effort="medium")),
    ],
)
def test_how_much_to_think_is_carried(thinking: Any, output: Any, expected: Reasoning | None) -> None:
    assert CODEC.read_prompt(ask(thinking=thinking, output_config=output)).reasoning == expected


def test_turns_of_one_side_become_one_message_with_its_results_first() -> None:
    written = write(
        Turn(role="system", parts=(TextPart(text="one"),)),
        Turn(role="user", parts=(TextPart(text="a"), TextPart(text=""))),
        Turn(role="user", parts=(TextPart(text="b"),)),
        Turn(role="assistant", parts=(CallPart(call_id="functions.f:0", name="f", arguments='{"x":1}'),)),
        Turn(role="system", parts=(TextPart(text="two"),)),
        Turn(role="user", parts=(TextPart(text="meanwhile"),)),
        Turn(role="tool", parts=(ResultPart(call_id="functions.f:0", parts=(TextPart(text="done"),)),)),
    )
    assert written["system"] == [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert written["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "functions_f_0", "name": "f", "input": {"x": 1}}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "functions_f_0", "content": [{"type": "text", "text": "done"}]},
                {"type": "text", "text": "meanwhile"},
            ],
        },
    ]


def test_thoughts_go_with_their_seal_or_not_at_all() -> None:
    parts = (
        ReasoningPart(text="a", signature="anthropic.messages.s"),
        ReasoningPart(text="b"),
        ReasoningPart(text="", signature="anthropic.messages.redacted.r"),
        ReasoningPart(text="d", signature="google.gemini.s"),
        TextPart(text="c"),
    )
    assert write(Turn(role="assistant", parts=parts))["messages"][0]["content"] == [
        {"type": "thinking", "thinking": "a", "signature": "s"},
        {"type": "redacted_thinking", "data": "r"},
        {"type": "text", "text": "c"},
    ]


@pytest.mark.parametrize(("text", "written"), [("", {}), ("[1]", {"arguments": [1]}), ('{"a', {"arguments": '{"a'})])
def test_past_arguments_that_are_no_object_are_shown_as_they_are(text: str, written: dict[str, Any]) -> None:
    turn = Turn(role="assistant", parts=(CallPart(call_id="a", name="f", arguments=text),))
    assert write(turn)["messages"][0]["content"][0]["input"] == written


def test_files_of_text_become_documents() -> None:
    turn = Turn(role="user", parts=(MediaPart(kind="file", media_type="text/csv", data="YSxi", name="t.csv"),))
    assert write(turn)["messages"][0]["content"] == [
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}, "title": "t.csv"}
    ]


@pytest.mark.parametrize(
    "part",
    [
        MediaPart(kind="audio", media_type="audio/wav", data="aa"),
        MediaPart(kind="video", url="https://x/v"),
        MediaPart(kind="file", media_type="application/zip", data="aa"),
        MediaPart(kind="file", media_type="text/plain", data="%%"),
        MediaPart(kind="image", data="aa"),
        MediaPart(kind="file", file_id="file-1"),
    ],
)
def test_media_no_provider_of_the_dialect_takes_are_refused(part: MediaPart) -> None:
    with pytest.raises(InvalidRequest):
        write(Turn(role="user", parts=(part,)))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"choices": 2}, "n"),
        ({"sampling": Sampling(temperature=1.5)}, "temperature"),
        ({"sampling": Sampling(top_logprobs=0)}, "logprobs"),
        ({"sampling": Sampling(presence_penalty=0.5)}, "presence_penalty"),
        ({"sampling": Sampling(min_p=0.1)}, "min_p"),
        ({"response_format": ResponseFormat(kind="json_object")}, "response_format"),
    ],
)
def test_what_the_dialect_lacks_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        write(**fields)
    assert caught.value.param == param


def test_limits_tools_and_thinking_are_written_as_providers_want_them() -> None:
    bare = write(sampling=Sampling(seed=3, presence_penalty=0, repetition_penalty=1))
    assert bare == {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "stream": True,
        "max_tokens": 8192,
    }
    tool = PromptTool(name="f")
    assert write(tools=(tool,))["tools"] == [{"name": "f", "input_schema": {"type": "object"}}]
    assert "tool_choice" not in write(tools=(tool,))
    assert "tool_choice" not in write(parallel_tool_calls=False)
    assert write(tools=(tool,), parallel_tool_calls=False)["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert write(tools=(tool,), tool_choice=ToolChoice(mode="none"), parallel_tool_calls=False)["tool_choice"] == {"type": "none"}
    assert write(tools=(tool,), tool_choice=ToolChoice(mode="required"))["tool_choice"] == {"type": "any"}
    assert write(reasoning=Reasoning(effort="minimal"))["output_config"] == {"effort": "low"}
    assert write(reasoning=Reasoning(effort="high"))["thinking"] == {"type": "adaptive"}
    assert write(reasoning=Reasoning(budget_tokens=0))["thinking"] == {"type": "disabled"}
    assert write(reasoning=Reasoning(budget_tokens=5))["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    tight = Sampling(max_tokens=2000)
    assert write(reasoning=Reasoning(budget_tokens=9999), sampling=tight)["thinking"] == {
        "type": "enabled",
        "budget_tokens": 1999,
    }
    assert "thinking" not in write(reasoning=Reasoning(budget_tokens=9999), sampling=replace(tight, max_tokens=500))


def test_what_providers_refuse_beside_thinking_is_left_out() -> None:
    asked_of = Sampling(temperature=0.2, top_p=0.95, top_k=64, max_tokens=9000)
    thinks = write(reasoning=Reasoning(budget_tokens=2000), sampling=asked_of)
    assert (thinks["thinking"]["type"], thinks["top_p"]) == ("enabled", 0.95)
    assert not {"temperature", "top_k"} & set(thinks)
    assert "top_p" not in write(reasoning=Reasoning(effort="low"), sampling=Sampling(top_p=0.5))
    assert write(reasoning=Reasoning(budget_tokens=0), sampling=asked_of)["temperature"] == 0.2
    for choice in (ToolChoice(mode="required"), ToolChoice(mode="named", name="f")):
        forced = write(
            reasoning=Reasoning(budget_tokens=2000), tools=(PromptTool(name="f"),), tool_choice=choice, sampling=asked_of
        )
        assert "thinking" not in forced
        assert forced["temperature"] == 0.2


def test_a_call_that_another_model_made_is_gone_on_with_without_a_budget_for_thinking() -> None:
    call = CallPart(call_id="c", name="f", arguments="{}")
    thought = ReasoningPart(text="hm", signature="anthropic.messages.s")
    result = Turn(role="tool", parts=(ResultPart(call_id="c", parts=(TextPart(text="done"),)),))
    user = Turn(role="user", parts=(TextPart(text="so?"),))

    def thinks(*turns: Turn) -> bool:
        return "thinking" in CODEC.write_prompt(Prompt(turns=turns, reasoning=Reasoning(budget_tokens=2000)), model="m")

    assert not thinks(user, Turn(role="assistant", parts=(call,)), result)
    assert not thinks(user, Turn(role="assistant", parts=(replace(thought, signature="google.gemini.s"), call)), result)
    assert thinks(user, Turn(role="assistant", parts=(thought, call)), result)
    assert thinks(user, Turn(role="assistant", parts=(call,)), result, user)


def test_settings_that_change_nothing_are_not_sent() -> None:
    """Newer models refuse a temperature beside a `top_p`, which clients of OpenAI's send as 1."""
    assert "top_p" not in write(sampling=Sampling(temperature=0.7, top_p=1.0))
    assert "temperature" not in write(sampling=Sampling(temperature=1.0, top_p=0.9))


def test_a_schema_says_that_its_objects_have_no_other_properties() -> None:
    """Providers refuse one that leaves it open."""
    inner = {"type": "object", "properties": {"properties": {"type": "string"}}}
    schema = {
        "type": "object",
        "properties": {"a": {"anyOf": [inner, {"type": "null"}]}, "b": {"type": "object"}, "c": {"const": {"properties": {}}}},
        "$defs": {"d": {**inner, "additionalProperties": {"type": "string"}}},
    }
    before = json.dumps(schema)
    form = ResponseFormat(kind="json_schema", schema=schema)
    assert write(response_format=form)["output_config"]["format"]["schema"] == {
        "type": "object",
        "properties": {
            "a": {"anyOf": [{**inner, "additionalProperties": False}, {"type": "null"}]},
            "b": {"type": "object"},
            "c": {"const": {"properties": {}}},
        },
        "$defs": {"d": {**inner, "additionalProperties": {"type": "string"}}},
        "additionalProperties": False,
    }
    assert json.dumps(schema) == before


@pytest.mark.parametrize("required", [["a"], ["a", "b"], ["a", ["b"]], None])
def test_a_schema_that_leaves_something_open_is_a_best_effort_at_openais(required: Any) -> None:
    properties = {"a": {"type": "string"}, "b": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    document = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "x"}],
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
        "tools": [
            {
                "name": "f",
                "input_schema": {
                    "type": "object",
                    "properties": {"at": schema},
                    "required": ["at"],
                    "additionalProperties": False,
                },
                "strict": True,
            }
        ],
    }
    prompt = read(document)
    chat = CHAT.write_prompt(prompt, model="m")
    responses = CODECS["openai.responses"].write_prompt(prompt, model="m")
    is_closed = required == ["a", "b"]
    for held in (
        chat["response_format"]["json_schema"],
        chat["tools"][0]["function"],
        responses["text"]["format"],
        responses["tools"][0],
    ):
        assert (held.get("strict") is True) == is_closed


CHAT_REQUEST: dict[str, Any] = {
    "model": "gpt",
    "stream": True,
    "max_completion_tokens": 50,
    "temperature": 0.5,
    "stop": ["END"],
    "user": "u1",
    "reasoning_effort": "medium",
    "parallel_tool_calls": False,
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "tools": [
        {
            "type": "function",
            "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}},
        }
    ],
    "messages": [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}},
            ],
        },
        {
            "role": "assistant",
            "content": "Looking.",
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "nothing"},
        {"role": "user", "content": "So?"},
    ],
}


def test_a_chat_request_reads_well_for_a_messages_provider() -> None:
    written = CODEC.write_prompt(CHAT.read_prompt(asked(CHAT_REQUEST)), model="claude")
    assert written == {
        "model": "claude",
        "stream": True,
        "max_tokens": 50,
        "temperature": 0.5,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
        "output_config": {"effort": "medium"},  # and no thinking: providers refuse it beside a call that must be made
        "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
        "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {}}}],
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "See:"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"},
                        "title": "a.pdf",
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Looking."},
                    {"type": "tool_use", "id": "call_1", "name": "look", "input": {"at": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "nothing"}]},
                    {"type": "text", "text": "So?"},
                ],
            },
        ],
    }


def test_chat_to_messages_and_back_means_the_same() -> None:
    prompt = CHAT.read_prompt(asked(CHAT_REQUEST))
    back = CODEC.read_prompt(asked(CODEC.write_prompt(prompt, model="claude"), "anthropic.messages"))
    assert back.turns == prompt.turns
    assert back.tools == prompt.tools
    assert (back.tool_choice, back.parallel_tool_calls, back.sampling, back.user) == (
        prompt.tool_choice,
        prompt.parallel_tool_calls,
        prompt.sampling,
        prompt.user,
    )
