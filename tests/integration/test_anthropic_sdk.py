"""The official client through a real node: to a provider of its own dialect, to one of chat completions, and to our engine."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import anthropic
import pytest
from anthropic.types import Message

from tests.gateway.wire.anthropic_playing import TOKEN, document, in_pieces, stream, vector, wire
from tests.integration import anthropic_provider, nodes, provider
from tests.integration.anthropic_provider import Provider
from tests.integration.provider import Script

pytestmark = pytest.mark.model

ENGINE = "smollm2-135m"
TOOLS: Any = [{"name": "get_weather", "description": "Weather of a place.", "input_schema": {"type": "object", "properties": {}}}]
HI: Any = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def claude() -> Iterator[Provider]:
    with anthropic_provider.serving() as running:
        yield running


@pytest.fixture(scope="module")
def chat() -> Iterator[provider.Provider]:
    with provider.serving() as running:
        yield running


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, claude: Provider, chat: provider.Provider) -> Iterator[nodes.Node]:
    home = tmp_path_factory.mktemp("home")
    nodes.furnish(
        home,
        f"""
[[upstreams]]
name = "claude"
kind = "anthropic"
url = "{claude.url}"
models = ["claude"]
api_key_env = "FREEHOLD_TEST_PROVIDER_KEY"

[[upstreams]]
name = "renamed"
kind = "anthropic"
url = "{claude.url}"
models = {{ "our-claude" = "claude-of-theirs" }}

[[upstreams]]
name = "chat"
url = "{chat.url}"
models = ["scripted"]
""",
    )
    with nodes.running(home) as started:
        yield started


@pytest.fixture(scope="module")
def sdk(node: nodes.Node) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=node.url, api_key=node.client_key, max_retries=0) as client:
        yield client


def told(message: Message) -> list[Any]:
    return [
        block.text if block.type == "text" else block.thinking if block.type == "thinking" else (block.name, block.input)
        for block in message.content
        if block.type in ("text", "thinking", "tool_use")
    ]


def post(node: nodes.Node, path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    """As any HTTP client would: what comes is compared byte for byte."""
    connection = http.client.HTTPConnection(urlsplit(node.url).netloc, timeout=30)
    try:
        connection.request("POST", path, body, {"x-api-key": node.client_key, "content-type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_what_claude_code_sends_goes_on_byte_for_byte_and_so_does_the_answer(node: nodes.Node, claude: Provider) -> None:
    claude.received.clear()
    body = json.dumps({**document("request_claude_code"), "model": "claude"}, indent=1).encode()
    headers = {"anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14", "anthropic-version": "2023-06-01"}
    for name in ("tools_parallel", "thinking", "unknown_events_and_fields", "pause_with_search"):
        for cut_bytes in (37, 1 << 20):
            claude.say(vector(name), cut_bytes=cut_bytes)
            status, answer = post(node, "/v1/messages?beta=true", body, **headers)
            assert status == 200
            assert answer == vector(name)
    for asked in claude.received:
        assert asked.path == "/v1/messages"
        assert asked.body == body
        assert asked.headers["anthropic-beta"] == headers["anthropic-beta"]
        assert asked.headers["anthropic-version"] == "2023-06-01"
        assert asked.headers["x-api-key"] == "provider-key"
        assert "authorization" not in {name.lower() for name in asked.headers}


def test_streams_tools_and_thinking_reach_the_client(sdk: anthropic.Anthropic, claude: Provider) -> None:
    claude.say(vector("tools_parallel"))
    with sdk.messages.stream(model="claude", max_tokens=99, messages=HI, tools=TOOLS) as events:
        assert "".join(events.text_stream) == "I will look both up."
        message = events.get_final_message()
    assert told(message) == [
        "I will look both up.",
        ("get_weather", {"location": "Rome"}),
        ("get_time", {"zone": "Europe/Rome"}),
        ("now", {}),
    ]
    assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", 89)
    claude.say(vector("thinking"))
    with sdk.messages.stream(
        model="claude", max_tokens=9999, messages=HI, thinking={"type": "enabled", "budget_tokens": 1024}
    ) as events:
        message = events.get_final_message()
    assert told(message) == ["First, add the numbers.", "It is 42."]
    assert message.content[0].type == "thinking"
    assert message.content[0].signature.startswith("EqQBCg")


def test_a_plain_answer_comes_whole(sdk: anthropic.Anthropic, claude: Provider) -> None:
    claude.say_whole(document("body_text_and_call"))
    message = sdk.messages.create(model="claude", max_tokens=99, messages=HI, tools=TOOLS)
    assert told(message) == ["Hm, let me see.", "Looking.", ("get_weather", {"location": "Rome", "days": [1, 2]})]
    assert message.usage.cache_read_input_tokens == 2


def test_a_model_by_another_name_is_asked_for_by_its_own(sdk: anthropic.Anthropic, claude: Provider) -> None:
    claude.received.clear()
    claude.say(vector("text"))
    with sdk.messages.stream(model="our-claude", max_tokens=9, messages=HI) as events:
        assert events.get_final_text() == 'Grüße, how are "you"?\n'
    assert claude.received[-1].document["model"] == "claude-of-theirs"


@pytest.mark.parametrize("kind", ["text", "thinking", "call"])
def test_a_key_is_masked_wherever_the_stream_is_cut(node: nodes.Node, claude: Provider, kind: str) -> None:
    body = json.dumps({"model": "claude", "max_tokens": 9, "stream": True, "messages": HI}).encode()
    for cut in range(0, len(TOKEN), 5):
        claude.say(wire(stream(in_pieces(0, kind, [f"use {TOKEN[:cut]}", f"{TOKEN[cut:]} now"]))), cut_bytes=11)
        _, answer = post(node, "/v1/messages", body)
        assert TOKEN[6:14].encode() not in answer
        assert b"REDACTED" in answer
        assert answer.endswith(b'"type":"message_stop"}\n\n')


def test_a_key_in_a_plain_answer_and_in_a_request_is_masked(node: nodes.Node, claude: Provider) -> None:
    content = [
        {"type": "text", "text": f"use {TOKEN}"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"deep": [{"key": TOKEN}]}},
    ]
    claude.say_whole({**document("body_text_and_call"), "content": content})
    claude.received.clear()
    asked = {
        "model": "claude",
        "max_tokens": 9,
        "system": [{"type": "text", "text": f"key {TOKEN}", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": f"got {TOKEN}"}]}],
        "tools": [{"name": "f", "description": f"with {TOKEN}", "input_schema": {"type": "object"}}],
    }
    status, answer = post(node, "/v1/messages", json.dumps(asked).encode())
    assert status == 200
    assert answer.count(b"REDACTED") == 2
    assert TOKEN[6:14].encode() not in answer + claude.received[0].body
    assert claude.received[0].body.count(b"REDACTED") == 3
    assert claude.received[0].document["system"][0]["cache_control"] == {"type": "ephemeral"}


def test_tokens_are_counted_by_the_provider_or_by_our_engine(sdk: anthropic.Anthropic, claude: Provider) -> None:
    claude.say_whole({"input_tokens": 2095})
    assert sdk.messages.count_tokens(model="claude", messages=HI).input_tokens == 2095
    assert claude.received[-1].path == "/v1/messages/count_tokens"
    counted = sdk.messages.count_tokens(model=ENGINE, messages=HI, system="Be brief.").input_tokens
    answered = sdk.messages.create(model=ENGINE, max_tokens=1, messages=HI, system="Be brief.")
    assert counted == answered.usage.input_tokens
    assert counted > 5
    with pytest.raises(anthropic.NotFoundError, match="has no count_tokens"):
        sdk.messages.count_tokens(model="scripted", messages=HI)


def test_errors_come_in_the_clients_own_shape(node: nodes.Node, sdk: anthropic.Anthropic, claude: Provider) -> None:
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\].role"):
        sdk.messages.create(
            model="claude", max_tokens=9, messages=HI, extra_body={"messages": [{"role": "nobody", "content": "x"}]}
        )
    with pytest.raises(anthropic.NotFoundError):
        sdk.messages.create(model="no-such-model", max_tokens=9, messages=HI)
    with (
        anthropic.Anthropic(base_url=node.url, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(model="claude", max_tokens=9, messages=HI)
    claude.say_whole({"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}}, status=400)
    with pytest.raises(anthropic.BadRequestError, match="too long"):
        sdk.messages.create(model="claude", max_tokens=9, messages=HI)
    with pytest.raises(anthropic.BadRequestError, match="only providers of this dialect"):
        sdk.messages.create(
            model="scripted", max_tokens=9, messages=HI, tools=[{"type": "web_search_20250305", "name": "web_search"}]
        )


@pytest.mark.parametrize("how", ["error_overloaded", "truncated", "without_stop_event", "dies"])
def test_a_stream_that_breaks_ends_in_an_error_event(sdk: anthropic.Anthropic, claude: Provider, how: str) -> None:
    claude.say(vector("truncated" if how == "dies" else how), dies=how == "dies")
    texts: list[str] = []
    with pytest.raises(anthropic.APIStatusError), sdk.messages.stream(model="claude", max_tokens=9, messages=HI) as events:
        texts.extend(events.text_stream)
    assert "".join(texts).startswith(("Half an", "Nearly"))


def test_a_chat_provider_answers_in_blocks(sdk: anthropic.Anthropic, chat: provider.Provider) -> None:
    chat.received.clear()
    arguments = ['{"loc', 'ation": "Rome"}']
    chat.script = Script(
        deltas=[
            {"reasoning_content": "Let me see. "},
            {"content": "Looking "},
            {"content": "it up."},
            {
                "tool_calls": [
                    {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
                ]
            },
            *({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in arguments),
            {"tool_calls": [{"index": 1, "id": "call_2", "type": "function", "function": {"name": "now", "arguments": "{}"}}]},
        ],
        finish_reason="tool_calls",
    )
    asked: dict[str, Any] = {"model": "scripted", "max_tokens": 99, "tools": TOOLS}
    expected = ["Let me see. ", "Looking it up.", ("get_weather", {"location": "Rome"}), ("now", {})]
    with sdk.messages.stream(**asked, messages=HI) as events:
        streamed = events.get_final_message()
    whole = sdk.messages.create(**asked, messages=HI)
    for message in (streamed, whole):
        assert told(message) == expected
        assert message.stop_reason == "tool_use"
        assert message.model == "scripted"
    results: Any = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "sunny"}
        for block in whole.content
        if block.type == "tool_use"
    ]
    chat.say("It is sunny.")
    final = sdk.messages.create(
        **asked, messages=[*HI, {"role": "assistant", "content": whole.content}, {"role": "user", "content": results}]
    )
    assert told(final) == ["It is sunny."]
    assert [message["role"] for message in chat.received[-1]["messages"]] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in chat.received[-1]["messages"][1]["tool_calls"]] == ["call_1", "call_2"]


def test_a_chat_client_is_answered_by_a_messages_provider(node: nodes.Node, claude: Provider) -> None:
    claude.received.clear()
    claude.say(vector("tools_parallel"))
    with node.sdk().chat.completions.create(
        model="claude",
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "go"}],
        stream=True,
        stream_options={"include_usage": True},
    ) as chunks:
        got = list(chunks)
    assert "".join(choice.delta.content or "" for chunk in got for choice in chunk.choices) == "I will look both up."
    calls: dict[int, list[str]] = {}
    for chunk in got:
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or ():
                assert call.function is not None
                calls.setdefault(call.index, ["", ""])[0] += call.function.name or ""
                calls[call.index][1] += call.function.arguments or ""
    assert [calls[index] for index in sorted(calls)] == [
        ["get_weather", '{"location": "Rome"}'],
        ["get_time", '{"zone": "Europe/Rome"}'],
        ["now", ""],
    ]
    assert sorted(calls) == [0, 1, 2]
    assert got[-1].usage is not None
    assert (got[-1].usage.prompt_tokens, got[-1].usage.completion_tokens) == (25, 89)
    sent = claude.received[0].document
    assert sent["system"] == [{"type": "text", "text": "Be brief."}]
    assert (sent["stream"], sent["messages"][0]["content"]) == (True, [{"type": "text", "text": "go"}])


def test_our_engine_answers(sdk: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": ENGINE, "max_tokens": 12, "messages": HI, "extra_body": {"temperature": 0}}
    with sdk.messages.stream(**asked) as events:
        streamed = events.get_final_message()
    whole: Message = sdk.messages.create(**asked)
    assert told(streamed) == told(whole)
    assert told(whole)[0]
    assert streamed.usage.output_tokens == whole.usage.output_tokens > 0
    assert whole.stop_reason in ("end_turn", "max_tokens")
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Rome", "Oslo"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    held: Any = {"format": {"type": "json_schema", "schema": schema}}
    answer = sdk.messages.create(model=ENGINE, max_tokens=60, messages=HI, output_config=held)
    assert json.loads(told(answer)[0])["city"] in ("Rome", "Oslo")
