"""OpenAI's own client speaks Responses and embeddings to a real node with providers of both dialects and our engine behind it."""

import base64
import json
import struct
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.integration import nodes, responses_provider
from tests.integration.provider import Provider as ChatProvider
from tests.integration.provider import Script

VECTORS = Path(__file__).parents[1] / "vectors" / "openai_responses"
TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z5A"
MARK = "[REDACTED:github-token]"
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Place(BaseModel):
    city: str


@pytest.fixture(scope="module")
def native() -> Iterator[responses_provider.Provider]:
    with responses_provider.serving() as running:
        yield running


@pytest.fixture(scope="module")
def two(
    tmp_path_factory: pytest.TempPathFactory, native: responses_provider.Provider, remote: ChatProvider
) -> Iterator[nodes.Node]:
    """A node in front of a provider of Responses and one of chats."""
    home = tmp_path_factory.mktemp("home")
    nodes.furnish(
        home,
        f"""
[[upstreams]]
name = "native"
url = "{native.url}"
models = ["native"]
dialects = ["openai.responses", "openai.embeddings"]
api_key_env = "FREEHOLD_TEST_PROVIDER_KEY"

[[upstreams]]
name = "scripted"
url = "{remote.url}"
models = ["scripted"]
api_key_env = "FREEHOLD_TEST_PROVIDER_KEY"
""",
    )
    with nodes.running(home) as started:
        yield started


def recorded(name: str) -> bytes:
    return (VECTORS / f"{name}.sse").read_bytes()


def post(node: nodes.Node, body: bytes, path: str = "/v1/responses") -> bytes:
    request = urllib.request.Request(
        node.url + path, body, {"authorization": f"Bearer {node.client_key}", "content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: bytes = response.read()
        return answer


@pytest.mark.parametrize(
    "name", ["text", "tools_two_parallel", "reasoning_summaries", "hosted_and_unknown", "custom_and_hosted_calls"]
)
def test_a_recorded_stream_comes_through_the_node_byte_for_byte(
    two: nodes.Node, native: responses_provider.Provider, name: str
) -> None:
    native.stream = recorded(name)
    asked = b'{"model": "native",  "input":"hi","stream":true,"x_new":[1.50]}'
    assert post(two, asked) == native.stream
    assert native.raw[-1] == asked


def test_what_a_coding_agent_sends_reaches_a_provider_of_the_dialect_untouched(
    two: nodes.Node, native: responses_provider.Provider
) -> None:
    native.stream = recorded("text")
    document = {**json.loads((VECTORS / "request_codex.json").read_text()), "model": "native"}
    body = json.dumps(document).encode()
    post(two, body)
    assert native.raw[-1] == body


def test_a_secret_in_a_request_is_masked_and_the_rest_goes_on(two: nodes.Node, native: responses_provider.Provider) -> None:
    native.body = (VECTORS / "body.json").read_bytes()
    two.sdk().responses.create(model="native", input=f"my key is {TOKEN}.", instructions="Be brief.")
    assert native.received[-1]["input"] == f"my key is {MARK}."
    assert native.received[-1]["instructions"] == "Be brief."


def test_a_plain_answer(two: nodes.Node, native: responses_provider.Provider) -> None:
    native.body = (VECTORS / "body.json").read_bytes()
    answer = two.sdk().responses.create(model="native", input="rain?")
    assert answer.output_text == "It rains."
    assert [item.type for item in answer.output] == ["reasoning", "message", "function_call"]
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens_details.reasoning_tokens) == (10, 2)


def test_a_secret_in_a_stream_is_masked_in_all_that_tells_it(two: nodes.Node, native: responses_provider.Provider) -> None:
    native.stream = recorded("text").replace(b'"delta":"Hel"', b'"delta":"the key is %s"' % TOKEN[:20].encode())
    native.stream = native.stream.replace(b'"delta":"lo"', b'"delta":"%s"' % TOKEN[20:].encode())
    native.stream = native.stream.replace("Hello wörld".encode(), f"the key is {TOKEN} wörld".encode())
    deltas: list[str] = []
    with two.sdk().responses.stream(model="native", input="hi") as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                deltas.append(event.delta)
            elif event.type == "response.output_text.done":
                assert event.text == f"the key is {MARK} wörld, how are you?"
        final = stream.get_final_response()
    assert "".join(deltas) == final.output_text == f"the key is {MARK} wörld, how are you?"


def test_reasoning_summaries_are_streamed(two: nodes.Node, native: responses_provider.Provider) -> None:
    native.stream = recorded("reasoning_summaries")
    with two.sdk().responses.stream(model="native", input="hi", reasoning={"summary": "auto"}) as stream:
        summary = "".join(event.delta for event in stream if event.type == "response.reasoning_summary_text.delta")
        final = stream.get_final_response()
    assert summary == "**Looking up**\n\nFirstThen answer"
    assert final.output_text == "It rains."


@pytest.mark.parametrize("name", ["error_under_way", "failed", "truncated"])
def test_a_broken_stream_is_an_error_for_the_client(two: nodes.Node, native: responses_provider.Provider, name: str) -> None:
    native.stream = recorded(name)
    with pytest.raises(openai.APIError):
        for _ in two.sdk().responses.create(model="native", input="hi", stream=True):
            pass


def test_a_provider_that_dies_is_an_error_for_the_client(two: nodes.Node, native: responses_provider.Provider) -> None:
    native.stream, native.dies = recorded("text")[:2000], True
    try:
        with pytest.raises(openai.APIError):
            for _ in two.sdk().responses.create(model="native", input="hi", stream=True):
                pass
    finally:
        native.dies = False


def test_background_answers_are_refused(two: nodes.Node) -> None:
    with pytest.raises(openai.BadRequestError, match="background"):
        two.sdk().responses.create(model="native", input="hi", background=True)


def test_a_chat_provider_answers_a_responses_client(two: nodes.Node, remote: ChatProvider) -> None:
    remote.script = Script(deltas=[{"reasoning_content": "hm"}, {"content": "It "}, {"content": "rains."}])
    kinds: list[str] = []
    with two.sdk().responses.stream(model="scripted", instructions="be brief", input="rain?") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == "It rains."
    assert [item.type for item in final.output] == ["reasoning", "message"]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert [message["role"] for message in remote.received[-1]["messages"]] == ["system", "user"]
    plain = two.sdk().responses.create(model="scripted", input="rain?")
    assert plain.output_text == "It rains."


def test_a_tool_is_called_and_answered_through_a_chat_provider(two: nodes.Node, remote: ChatProvider) -> None:
    def part(**function: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": function}]}

    remote.script = Script(
        deltas=[part(name="get_weather", arguments=""), part(arguments='{"city":'), part(arguments='"Oslo"}')],
        finish_reason="tool_calls",
    )
    first = two.sdk().responses.create(model="scripted", input="rain in Oslo?", tools=[WEATHER])
    call = first.output[0]
    assert call.type == "function_call"
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
    remote.say("It rains.")
    history: Any = [
        {"role": "user", "content": "rain in Oslo?"},
        *(item.model_dump(exclude_none=True) for item in first.output),
        {"type": "function_call_output", "call_id": call.call_id, "output": "rain"},
    ]
    second = two.sdk().responses.create(model="scripted", input=history, tools=[WEATHER])
    assert second.output_text == "It rains."
    asked = remote.received[-1]
    assert [message["role"] for message in asked["messages"]] == ["user", "assistant", "tool"]
    assert asked["tools"][0]["function"]["name"] == "get_weather"


def test_a_custom_tool_works_with_a_chat_provider(two: nodes.Node, remote: ChatProvider) -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "apply_patch", "arguments": '{"input":"*** Begin"}'}}
    remote.script = Script(deltas=[{"tool_calls": [call]}], finish_reason="tool_calls")
    tool: Any = {"type": "custom", "name": "apply_patch", "description": "edits"}
    with two.sdk().responses.stream(model="scripted", input="edit", tools=[tool]) as stream:
        deltas = [event.delta for event in stream if event.type == "response.custom_tool_call_input.delta"]
        item = stream.get_final_response().output[0]
    assert deltas == ["*** Begin"]
    assert item.type == "custom_tool_call"
    assert item.input == "*** Begin"


def test_structured_output_through_both_providers(
    two: nodes.Node, native: responses_provider.Provider, remote: ChatProvider
) -> None:
    remote.say('{"city":', '"Oslo"}')
    parsed = two.sdk().responses.parse(model="scripted", input="where?", text_format=Place)
    assert parsed.output_parsed == Place(city="Oslo")
    assert remote.received[-1]["response_format"]["type"] == "json_schema"
    native.body = (VECTORS / "body.json").read_bytes().replace(b'"It rains."', rb'"{\"city\":\"Rome\"}"')
    assert two.sdk().responses.parse(model="native", input="where?", text_format=Place).output_parsed == Place(city="Rome")
    assert native.received[-1]["text"]["format"]["name"] == "Place"


def test_what_a_chat_provider_cannot_do_is_refused_by_name(two: nodes.Node) -> None:
    with pytest.raises(openai.BadRequestError, match=r"tools\[0\].type"):
        two.sdk().responses.create(model="scripted", input="news?", tools=[{"type": "web_search"}])
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        two.sdk().responses.create(model="scripted", input="more", previous_response_id="resp_1")


def test_a_chat_client_is_answered_by_a_responses_provider(two: nodes.Node, native: responses_provider.Provider) -> None:
    native.stream = recorded("tools_two_parallel")
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER["parameters"]}}]
    answer = two.sdk().chat.completions.create(model="native", messages=[{"role": "user", "content": "rain?"}], tools=tools)
    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls if call.type == "function"] == ["get_weather", "get_time"]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 36
    assert native.received[-1]["input"] == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "rain?"}]}
    ]


def test_our_engine_answers_a_responses_client(two: nodes.Node) -> None:
    model = next(model.id for model in two.sdk().models.list() if "smollm2" in model.id)
    stream = two.sdk().responses.create(model=model, input="Say hello.", max_output_tokens=8, temperature=0, stream=True)
    events = list(stream)
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    last = events[-1]
    assert last.type == "response.incomplete"
    final = last.response
    assert final.incomplete_details is not None
    assert final.incomplete_details.reason == "max_output_tokens"
    assert final.output_text == "".join(deltas) != ""
    assert final.usage is not None
    assert 0 < final.usage.output_tokens <= 8
    again = two.sdk().responses.create(model=model, input="Say hello.", max_output_tokens=8, temperature=0)
    assert again.output_text == final.output_text
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        two.sdk().responses.create(model=model, input="more", previous_response_id="resp_1")
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Rome", "Oslo"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    held: Any = {"format": {"type": "json_schema", "name": "place", "schema": schema}}
    answer = two.sdk().responses.create(model=model, input="Where?", text=held, temperature=0)
    assert json.loads(answer.output_text)["city"] in ("Rome", "Oslo")


def test_embeddings(two: nodes.Node, native: responses_provider.Provider) -> None:
    packed = base64.b64encode(struct.pack("3f", 0.5, -0.25, 1.0)).decode()
    data = [{"object": "embedding", "index": 0, "embedding": packed}]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    native.vectors = json.dumps({"object": "list", "data": data, "model": "native", "usage": usage}).encode()
    made = two.sdk().embeddings.create(model="native", input=["hello", f"key {TOKEN}"])
    assert made.data[0].embedding == [0.5, -0.25, 1.0]
    assert made.usage.prompt_tokens == 4
    assert native.received[-1]["input"] == ["hello", f"key {MARK}"]
    assert post(two, b'{"model":"native","input":"hi"}', "/v1/embeddings") == native.vectors
    with pytest.raises(openai.BadRequestError, match="token numbers"):
        two.sdk().embeddings.create(model="native", input=[1, 2, 3])
    model = next(model.id for model in two.sdk().models.list() if "smollm2" in model.id)
    with pytest.raises(openai.BadRequestError, match="embeddings"):
        two.sdk().embeddings.create(model=model, input="hi")
