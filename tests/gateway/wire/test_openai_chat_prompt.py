from typing import Any

import pytest

from freehold.core.errors import InvalidRequest
from freehold.core.exchange import Exchange, ExchangeId, KeyId, Principal, ResponseFormat, Sampling, ToolChoice
from freehold.gateway.wire import CODECS
from freehold.gateway.wire import openai_chat_prompt as chat
from freehold.gateway.wire import openai_chat_request as request
from freehold.gateway.wire.codec import Incoming
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

USER = {"role": "user", "content": "hi"}
PIXEL = "iVBORw0KGgo="
PROPERTIES = {"city": {"type": "string"}}
SCHEMA = {"type": "object", "properties": PROPERTIES, "required": ["city"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "f", "description": "does f", "parameters": SCHEMA, "strict": True}}


def exchange(**changes: Any) -> Exchange:
    return request.decode(
        Incoming(
            exchange_id=ExchangeId("x"),
            received_at_ns=1,
            principal=Principal(key_id=KeyId("k"), name="n"),
            body=b"{}",
            document={"model": "m", "messages": [USER], **changes},
        )
    )


def read(**changes: Any) -> Prompt:
    return chat.read(exchange(**changes))


def again(prompt: Prompt) -> Prompt:
    """What a node that gets our document reads in it."""
    return read(**chat.write(prompt, model="m"))


def user(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def test_roles_and_texts_become_turns() -> None:
    prompt = read(messages=[{"role": "developer", "content": "be brief"}, {"role": "system", "content": "so"}, USER])
    assert [(turn.role, turn.parts) for turn in prompt.turns] == [
        ("system", (TextPart(text="be brief"),)),
        ("system", (TextPart(text="so"),)),
        ("user", (TextPart(text="hi"),)),
    ]


def test_media_become_parts_and_go_back_the_same() -> None:
    parts = (
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/cat.mp4"}},
    )
    prompt = read(messages=user(*parts))
    assert prompt.turns[0].parts == (
        TextPart(text="see"),
        MediaPart(kind="image", media_type="image/png", data=PIXEL, detail="low"),
        MediaPart(kind="image", url="https://example.com/cat.png"),
        MediaPart(kind="audio", media_type="audio/wav", data="UklGRg=="),
        MediaPart(kind="file", media_type="application/pdf", data="JVBERg==", name="a.pdf"),
        MediaPart(kind="file", file_id="file-1"),
        MediaPart(kind="video", url="https://example.com/cat.mp4"),
    )
    assert chat.write(prompt, model="m")["messages"] == user(*parts)


def test_bare_base64_of_a_file_is_data() -> None:
    prompt = read(messages=user({"type": "file", "file": {"file_data": "JVBERg==", "filename": "a.pdf"}}))
    assert prompt.turns[0].parts == (MediaPart(kind="file", data="JVBERg==", name="a.pdf"),)


def test_thoughts_refusals_and_calls_of_an_assistant_are_read_in_the_order_they_were_made() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    turn = {"role": "assistant", "reasoning_content": "hm", "content": "so", "refusal": "no", "tool_calls": [call]}
    assert read(messages=[USER, turn]).turns[1].parts == (
        ReasoningPart(text="hm"),
        TextPart(text="so"),
        TextPart(text="no"),
        CallPart(call_id="c1", name="f", arguments="{}"),
    )


def test_results_that_follow_each_other_are_one_turn() -> None:
    results = [{"role": "tool", "tool_call_id": f"c{number}", "content": str(number)} for number in (1, 2)]
    assert read(messages=[USER, *results]).turns[1:] == (
        Turn(
            role="tool", parts=tuple(ResultPart(call_id=f"c{number}", parts=(TextPart(text=str(number)),)) for number in (1, 2))
        ),
    )


def test_everything_a_chat_can_say_is_read_again_from_what_was_written() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city":"Bonn"}'}}
    prompt = read(
        messages=[
            {"role": "system", "content": "be brief"},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "so", "reasoning_content": "hm", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
            {"role": "assistant", "content": "It rains."},
        ],
        tools=[TOOL], tool_choice={"type": "function", "function": {"name": "f"}}, parallel_tool_calls=False, n=2,
        temperature=0.5, top_p=0.9, top_k=5, min_p=0.1, repetition_penalty=1.1, presence_penalty=1, frequency_penalty=-1, seed=7,
        max_tokens=99, stop=["X", "Y"], logprobs=True, top_logprobs=2, reasoning_effort="low", user="u1",
        response_format={"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}},
    )  # fmt: skip
    assert prompt == again(prompt)
    assert prompt.tools == (PromptTool(name="f", description="does f", parameters=SCHEMA, is_strict=True),)
    assert prompt.tool_choice == ToolChoice(mode="named", name="f")
    assert (prompt.parallel_tool_calls, prompt.choices, prompt.user) == (False, 2, "u1")
    assert prompt.response_format == ResponseFormat(kind="json_schema", name="place", schema=SCHEMA, is_strict=True)
    assert prompt.reasoning == Reasoning(effort="low")
    assert prompt.sampling == Sampling(
        max_tokens=99, temperature=0.5, top_p=0.9, top_k=5, min_p=0.1, repetition_penalty=1.1, presence_penalty=1,
        frequency_penalty=-1, seed=7, stop=("X", "Y"), top_logprobs=2,
    )  # fmt: skip


def test_a_written_request_is_streamed_and_asks_for_usage() -> None:
    assert chat.write(read(), model="theirs") == {
        "model": "theirs",
        "messages": [USER],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_a_tool_choice_goes_with_tools_alone(choice: str) -> None:
    assert chat.write(read(tool_choice=choice, tools=[TOOL]), model="m")["tool_choice"] == choice
    assert "tool_choice" not in chat.write(read(tool_choice=choice, parallel_tool_calls=True), model="m")


@pytest.mark.parametrize(
    ("effort", "reasoning"),
    [
        ("none", Reasoning(budget_tokens=0)),
        ("minimal", Reasoning(effort="minimal")),
        ("high", Reasoning(effort="high")),
        ("xhigh", Reasoning(effort="xhigh")),
    ],
)
def test_an_effort_is_read(effort: str, reasoning: Reasoning) -> None:
    assert read(reasoning_effort=effort).reasoning == reasoning


@pytest.mark.parametrize(
    ("budget_tokens", "effort"), [(0, "none"), (1_024, "low"), (2_049, "medium"), (8_192, "medium"), (32_000, "high")]
)
def test_a_budget_of_tokens_becomes_an_effort(budget_tokens: int, effort: str) -> None:
    prompt = Prompt(turns=(), reasoning=Reasoning(budget_tokens=budget_tokens))
    assert chat.write(prompt, model="m")["reasoning_effort"] == effort


def test_the_most_effort_is_that_for_openais_providers_and_high_for_others() -> None:
    prompt = chat.read(exchange(reasoning_effort="xhigh"))
    assert chat.write(prompt, model="m")["reasoning_effort"] == "xhigh"
    assert CODECS["openai.responses"].write_prompt(prompt, model="m")["reasoning"] == {"effort": "xhigh"}
    assert CODECS["anthropic.messages"].write_prompt(prompt, model="m")["output_config"] == {"effort": "high"}
    gemini = CODECS["google.gemini"].write_prompt(prompt, model="m")["generationConfig"]
    assert gemini == {"thinkingConfig": {"thinkingBudget": 24576}}


def test_a_sealed_thought_stays_with_its_provider() -> None:
    turn = Turn(role="assistant", parts=(ReasoningPart(text="hm", signature="google.gemini.s"),))
    assert chat.write(Prompt(turns=(turn,)), model="m")["messages"] == [{"role": "assistant", "content": ""}]


def test_an_image_in_a_result_is_shown_after_all_results() -> None:
    image = MediaPart(kind="image", url="https://example.com/cat.png")
    calls = tuple(CallPart(call_id=call_id, name="f", arguments="{}") for call_id in ("c1", "c2"))
    results = (
        ResultPart(call_id="c1", parts=(TextPart(text="seen"), image)),
        ResultPart(call_id="c2", parts=(TextPart(text="gone"),), is_error=True),
    )
    turns = (
        Turn(role="assistant", parts=calls),
        Turn(role="tool", parts=results),
        Turn(role="user", parts=(TextPart(text="so?"),)),
    )
    messages = chat.write(Prompt(turns=turns), model="m")["messages"]
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool", "user", "user"]
    assert (messages[1]["content"], messages[2]["content"]) == ("seen", "Error: gone")
    assert messages[3]["content"][1] == {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    assert messages == chat.write(Prompt(turns=turns[:2]), model="m")["messages"] + [messages[4]]


def test_results_in_a_users_turn_go_before_what_the_user_says() -> None:
    turn = Turn(role="user", parts=(TextPart(text="go on"), ResultPart(call_id="c1", parts=())))
    messages = chat.write(Prompt(turns=(turn,)), model="m")["messages"]
    assert messages == [{"role": "tool", "tool_call_id": "c1", "content": ""}, {"role": "user", "content": "go on"}]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].role"),
        ({"messages": user({"type": "hologram"})}, "messages[0].content[0].type"),
        ({"messages": user({"type": "image_url", "image_url": {}})}, "messages[0].content[0].image_url.url"),
        ({"messages": user({"type": "file", "file": {}})}, "messages[0].content[0].file.file_data"),
        ({"messages": user({"type": "input_audio", "input_audio": {"data": "x", "format": "flac"}})},
         "messages[0].content[0].input_audio.format"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
    ],
)  # fmt: skip
def test_what_no_other_dialect_has_is_refused_by_name(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(**changes)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "part",
    [
        MediaPart(kind="file", url="https://example.com/a.pdf"),
        MediaPart(kind="image", file_id="file-1"),
        MediaPart(kind="audio", media_type="audio/flac", data="x"),
        MediaPart(kind="audio", url="https://example.com/a.wav"),
    ],
)
def test_what_a_chat_cannot_say_is_refused_by_name(part: MediaPart) -> None:
    with pytest.raises(InvalidRequest, match=part.kind):
        chat.write(Prompt(turns=(Turn(role="user", parts=(part,)),)), model="m")


def test_an_image_of_the_assistants_is_refused() -> None:
    turn = Turn(role="assistant", parts=(MediaPart(kind="image", url="https://example.com/a.png"),))
    with pytest.raises(InvalidRequest, match="image of the assistant"):
        chat.write(Prompt(turns=(turn,)), model="m")
