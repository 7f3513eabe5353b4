"""Requests between Gemini's dialect and no dialect's words, and by those to and from others'."""

import json
from typing import Any

import pytest

from freehold.core.errors import InvalidRequest
from freehold.core.exchange import Exchange, ResponseFormat, Sampling, ToolChoice
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.gemini_document import arguments_of
from freehold.gateway.wire.gemini_schema import to_json_schema
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
from tests.gateway import asking
from tests.gateway.wire.gemini_streams import CODEC, asked
from tests.gateway.wire.test_gemini_request import HELLO, load, with_config

CHAT = CODECS["openai.chat"]


def user(*parts: Any) -> Prompt:
    return Prompt(turns=(Turn(role="user", parts=parts or (TextPart(text="hi"),)),))


def written(prompt: Prompt) -> dict[str, Any]:
    return CODEC.write_prompt(prompt, model="m")


def test_everything_is_read() -> None:
    prompt = CODEC.read_prompt(asked(load("everything")))
    assert [turn.role for turn in prompt.turns] == ["system", "user", "assistant", "tool", "user"]
    assert prompt.turns[1].parts == (
        TextPart(text="What is this, and the weather in Oslo?"),
        MediaPart(kind="image", media_type="image/png", data="iVBORw0KGgo="),
        MediaPart(kind="file", media_type="application/pdf", data="JVBERi0xLjc=", name="a.pdf"),
        MediaPart(kind="image", media_type="image/jpeg", url="https://example.com/cat.jpg"),
    )
    assert prompt.turns[2].parts == (
        ReasoningPart(text="Look it up."),
        TextPart(text="A dot. "),
        CallPart(call_id="call_1", name="get_weather", arguments='{"city":"Oslo"}', signature="google.gemini.Q2lRQg=="),
        CallPart(call_id="call_2", name="get_weather", arguments='{"city":"Rome"}'),
    )
    assert prompt.turns[3].parts == (
        ResultPart(call_id="call_1", name="get_weather", parts=(TextPart(text="rain"),)),
        ResultPart(call_id="call_2", name="get_weather", parts=(TextPart(text="no such city"),), is_error=True),
    )
    assert prompt.tool_choice == ToolChoice(mode="named", name="get_weather")
    assert prompt.reasoning == Reasoning(budget_tokens=1024, wants_summary=True)
    (tool,) = prompt.tools
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "its name"},
            "days": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
            "unit": {"type": ["string", "null"], "enum": ["C", "F", None]},
        },
        "required": ["city"],
    }


@pytest.mark.parametrize("name", ["text", "everything", "snake_case"])
def test_what_is_written_of_what_was_read_says_the_same(name: str) -> None:
    once = CODEC.read_prompt(asked(load(name)))
    again = CODEC.read_prompt(asked(written(once)))
    assert [turn.role for turn in again.turns] == [turn.role for turn in once.turns]
    assert (again.tools, again.tool_choice, again.sampling, again.choices) == (
        once.tools,
        once.tool_choice,
        once.sampling,
        once.choices,
    )
    assert again.response_format == once.response_format
    assert written(again) == written(once)


@pytest.mark.parametrize("client", ["openai.chat", "anthropic.messages", "openai.responses"])
@pytest.mark.parametrize("name", ["text", "everything"])
def test_a_request_to_another_dialect_comes_back_with_its_meaning(client: str, name: str) -> None:
    """Gemini to another and back: what both can say is still said."""
    document = load(name)
    if name == "everything":
        del document["generationConfig"], document["contents"][1]["parts"][0]
        document["contents"][0]["parts"] = document["contents"][0]["parts"][:2]
    other = CODECS[client]
    there = other.write_prompt(CODEC.read_prompt(asked(document)), model="x")
    back = written(other.read_prompt(asking.asked(there, client)))
    once, again = CODEC.read_prompt(asked(document)), CODEC.read_prompt(asked(back))
    assert said(again) == said(once)
    assert [tool.parameters for tool in again.tools] == [tool.parameters for tool in once.tools]
    assert again.tool_choice == once.tool_choice


def said(prompt: Prompt) -> list[Any]:
    """Turns without what is one dialect's own: ids, seals, marks of errors."""
    return [(turn.role, [_plain(part) for part in turn.parts if not isinstance(part, ReasoningPart)]) for turn in prompt.turns]


def _plain(part: Any) -> Any:
    match part:
        case CallPart():
            return part.name, json.loads(part.arguments)
        case ResultPart():
            return part.name, [text.text.removeprefix("Error: ") for text in part.parts if isinstance(text, TextPart)]
        case MediaPart():
            return part.kind, part.media_type, part.data
        case _:
            return part.text


def chat() -> Exchange:
    return asking.asked(
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
                ]},
                {"role": "assistant", "content": "Let me see.", "reasoning_content": "hm", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                    {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
                ]},
                {"role": "tool", "tool_call_id": "c2", "content": "two"},
                {"role": "tool", "tool_call_id": "c1", "content": '{"x":1}'},
                {"role": "user", "content": "Go on."},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
            "tool_choice": "required",
            "max_completion_tokens": 9, "temperature": 0.1, "stop": "E", "n": 2, "logprobs": True, "top_logprobs": 2,
            "reasoning_effort": "medium",
            "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
            "user": "someone",
        }
    )  # fmt: skip


def test_a_chat_request_in_full() -> None:
    assert written(CHAT.read_prompt(chat())) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [
                {"text": "What is this?"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}},
            ]},
            {"role": "model", "parts": [
                {"text": "hm", "thought": True},
                {"text": "Let me see."},
                {
                    "functionCall": {"id": "c1", "name": "f", "args": {"a": 1}},
                    "thoughtSignature": "skip_thought_signature_validator",
                },
                {"functionCall": {"id": "c2", "name": "g", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "c2", "name": "g", "response": {"output": "two"}}},
                {"functionResponse": {"id": "c1", "name": "f", "response": {"x": 1}}},
            ]},
            {"role": "user", "parts": [{"text": "Go on."}]},
        ],
        "tools": [
            {"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}}]}
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {
            "maxOutputTokens": 9, "temperature": 0.1, "stopSequences": ["E"], "candidateCount": 2,
            "responseLogprobs": True, "logprobs": 2,
            "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
            "thinkingConfig": {"thinkingBudget": 8192},
        },
    }  # fmt: skip


def test_results_without_ids_find_their_calls_by_name_and_order() -> None:
    def call(name: str, n: int) -> dict[str, Any]:
        return {"functionCall": {"name": name, "args": {"n": n}}}

    def result(name: str, n: int) -> dict[str, Any]:
        return {"functionResponse": {"name": name, "response": {"result": n}}}

    contents = [
        {"role": "model", "parts": [call("a", 1), call("b", 2), call("a", 3)]},
        {"role": "user", "parts": [result("a", 1), result("a", 3), result("b", 2)]},
        {"role": "model", "parts": [call("a", 4)]},
        {"role": "user", "parts": [result("a", 4)]},
    ]
    prompt = CODEC.read_prompt(asked({"contents": contents}))
    results = [(part.call_id, part.parts[0].text) for turn in prompt.turns for part in turn.parts
               if isinstance(part, ResultPart) and isinstance(part.parts[0], TextPart)]  # fmt: skip
    assert results == [("call_1", "1"), ("call_3", "3"), ("call_2", "2"), ("call_4", "4")]


def test_ids_that_were_given_are_kept() -> None:
    call = {"functionCall": {"id": "x", "name": "f"}}
    answer = {"functionResponse": {"id": "x", "name": "f", "response": {}}}
    prompt = CODEC.read_prompt(asked({"contents": [{"role": "model", "parts": [call]}, {"parts": [answer]}]}))
    assert prompt.turns[0].parts == (CallPart(call_id="x", name="f", arguments="{}"),)
    assert prompt.turns[1].parts == (ResultPart(call_id="x", name="f", parts=()),)


def test_a_result_of_no_call_is_refused() -> None:
    answer = {"functionResponse": {"name": "f", "response": {}}}
    with pytest.raises(InvalidRequest, match="no functionCall"):
        CODEC.read_prompt(asked({"contents": [{"parts": [answer]}]}))


def test_pieces_of_a_stream_kept_as_history_are_one_turn() -> None:
    pieces = [{"text": "a", "thought": True}, {"text": "b", "thought": True}, {"text": "c "}, {"text": ""}, {"text": "d"}]
    contents = [{"role": "model", "parts": [piece]} for piece in pieces]
    prompt = CODEC.read_prompt(asked({"contents": [*HELLO["contents"], *contents]}))
    assert prompt.turns[1].parts == (ReasoningPart(text="ab"), TextPart(text="c d"))


@pytest.mark.parametrize(
    ("name", "param"),
    [
        ("search", "tools[0].googleSearch"),
        ("cached", "cachedContent"),
        ("googles_file", "contents[0].parts[1].fileData.fileUri"),
        ("code_history", "contents[1].parts[0].executableCode"),
    ],
)
def test_what_only_gemini_has_is_refused_by_name(name: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        CODEC.read_prompt(asked(load(name)))
    assert caught.value.param == param
    assert caught.value.code == "unsupported_parameter"


@pytest.mark.parametrize(
    ("document", "param"),
    [
        (with_config(responseMimeType="text/x.enum"), "generationConfig.responseMimeType"),
        (with_config(responseFormat={"x": 1}), "generationConfig.responseFormat"),
        (
            {"contents": [{"parts": [{"fileData": {"fileUri": "https://youtu.be/x"}, "videoMetadata": {"fps": 1}}]}]},
            "contents[0].parts[0].videoMetadata",
        ),
    ],
)
def test_more_that_only_gemini_has(document: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        CODEC.read_prompt(asked(document))
    assert caught.value.param == param


def test_what_changes_no_answer_is_left_out() -> None:
    document = {**HELLO, "safetySettings": [], "labels": {"a": "b"}, "generationConfig": {"mediaResolution": "LOW"}}
    assert CODEC.read_prompt(asked(document)) == CODEC.read_prompt(asked(HELLO))


@pytest.mark.parametrize(
    ("calling", "choice", "names"),
    [
        ({"mode": "AUTO"}, ToolChoice(mode="auto"), ["a", "b", "c"]),
        ({"mode": "none"}, ToolChoice(mode="none"), ["a", "b", "c"]),
        ({"mode": "ANY"}, ToolChoice(mode="required"), ["a", "b", "c"]),
        ({"mode": "ANY", "allowedFunctionNames": ["b"]}, ToolChoice(mode="named", name="b"), ["a", "b", "c"]),
        ({"mode": "ANY", "allowedFunctionNames": ["b", "c"]}, ToolChoice(mode="required"), ["b", "c"]),
        ({"mode": "VALIDATED", "allowed_function_names": ["a"]}, ToolChoice(mode="auto"), ["a"]),
        ({}, None, ["a", "b", "c"]),
    ],
)
def test_choices_of_tools(calling: dict[str, Any], choice: ToolChoice | None, names: list[str]) -> None:
    tools = [{"functionDeclarations": [{"name": name} for name in "abc"]}]
    prompt = CODEC.read_prompt(asked({**HELLO, "tools": tools, "toolConfig": {"functionCallingConfig": calling}}))
    assert prompt.tool_choice == choice
    assert [tool.name for tool in prompt.tools] == names


@pytest.mark.parametrize(
    ("thinking", "reasoning"),
    [
        ({"thinkingBudget": 0}, Reasoning(budget_tokens=0)),
        ({"thinkingBudget": -1, "includeThoughts": True}, Reasoning(wants_summary=True)),
        ({"thinkingLevel": "HIGH"}, Reasoning(effort="high")),
        ({"thinking_level": "minimal"}, Reasoning(effort="minimal")),
    ],
)
def test_how_much_to_think(thinking: dict[str, Any], reasoning: Reasoning) -> None:
    assert CODEC.read_prompt(asked(with_config(thinkingConfig=thinking))).reasoning == reasoning


@pytest.mark.parametrize(
    ("reasoning", "thinking"),
    [
        (Reasoning(effort="low"), {"thinkingBudget": 1024}),
        (Reasoning(effort="high", budget_tokens=5, wants_summary=True), {"thinkingBudget": 5, "includeThoughts": True}),
        (Reasoning(budget_tokens=0), {"thinkingBudget": 0}),
    ],
)
def test_how_much_to_think_is_said_in_tokens(reasoning: Reasoning, thinking: dict[str, Any]) -> None:
    prompt = Prompt(turns=user().turns, reasoning=reasoning)
    assert written(prompt)["generationConfig"]["thinkingConfig"] == thinking


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(turns=user().turns, sampling=Sampling(min_p=0.1)),
        Prompt(turns=user().turns, sampling=Sampling(repetition_penalty=1.1)),
        Prompt(turns=user().turns, tools=(PromptTool(name="f"),), parallel_tool_calls=False),
        Prompt(turns=(Turn(role="system", parts=(TextPart(text="x"),)),)),
        user(MediaPart(kind="file", file_id="file-abc")),
        user(MediaPart(kind="file", data="aGk=")),
        Prompt(turns=(Turn(role="tool", parts=(ResultPart(call_id="c", parts=()),)),)),
    ],
)
def test_what_gemini_lacks_is_refused(prompt: Prompt) -> None:
    with pytest.raises(InvalidRequest):
        written(prompt)


def test_media_of_a_result_stand_behind_it_and_a_missing_type_is_known_by_the_name() -> None:
    shown = MediaPart(kind="file", data="aGk=", name="a.pdf")
    call = Turn(role="assistant", parts=(CallPart(call_id="c", name="f", arguments="{}"),))
    result = Turn(role="tool", parts=(ResultPart(call_id="c", parts=(TextPart(text="see"), shown), is_error=True),))
    assert written(Prompt(turns=(call, result)))["contents"][1]["parts"] == [
        {"functionResponse": {"id": "c", "name": "f", "response": {"error": "see"}}},
        {"inlineData": {"mimeType": "application/pdf", "data": "aGk="}},
    ]


def test_seals_of_calls_come_back_and_no_other_is_put_beside_them() -> None:
    calls = (
        CallPart(call_id="a", name="f", arguments="{}", signature="google.gemini.c2VhbA=="),
        CallPart(call_id="b", name="f", arguments="{}"),
    )
    parts = written(Prompt(turns=(Turn(role="assistant", parts=calls),)))["contents"][0]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["c2VhbA==", None]


def test_thoughts_with_another_providers_seal_stay_out() -> None:
    thoughts = (ReasoningPart(text="a", signature="anthropic.messages.s"), TextPart(text="b"))
    assert written(Prompt(turns=(Turn(role="assistant", parts=thoughts),)))["contents"] == [
        {"role": "model", "parts": [{"text": "b"}]}
    ]


@pytest.mark.parametrize("kind", ["text", "json_object"])
def test_formats_without_a_schema(kind: Any) -> None:
    config = written(Prompt(turns=user().turns, response_format=ResponseFormat(kind=kind))).get("generationConfig")
    assert config == (None if kind == "text" else {"responseMimeType": "application/json"})


@pytest.mark.parametrize(
    ("text", "arguments"), [("", {}), ('{"a":1}', {"a": 1}), ("[1]", {"arguments": "[1]"}), ("{broken", {"arguments": "{broken"})]
)
def test_arguments_are_always_an_object(text: str, arguments: dict[str, Any]) -> None:
    assert arguments_of(text) == arguments


@pytest.mark.parametrize(
    ("own", "schema"),
    [
        ({"type": "STRING", "nullable": True, "format": "date"}, {"type": ["string", "null"], "format": "date"}),
        ({"any_of": [{"type": "NUMBER"}], "nullable": True}, {"anyOf": [{"type": "number"}, {"type": "null"}]}),
        ({"type": "TYPE_UNSPECIFIED", "example": 1, "max_length": "5"}, {"examples": [1], "maxLength": 5}),
        ({"additionalProperties": {"type": "STRING"}}, {"additionalProperties": {"type": "string"}}),
        ({"type": "OBJECT", "properties": {"type": {"type": "STRING"}, "a_b": {}}},
         {"type": "object", "properties": {"type": {"type": "string"}, "a_b": {}}}),
        ({"type": ["STRING", "NULL"], "default": {"type": "X"}}, {"type": ["string", "null"], "default": {"type": "X"}}),
    ],
)  # fmt: skip
def test_geminis_schemas_are_json_schemas_in_other_words(own: dict[str, Any], schema: dict[str, Any]) -> None:
    assert to_json_schema(own, "s") == schema


def test_a_schema_that_is_no_object_is_named() -> None:
    with pytest.raises(InvalidRequest) as caught:
        to_json_schema({"properties": {"a": 1}}, "s")
    assert caught.value.param == "s.properties.a"
