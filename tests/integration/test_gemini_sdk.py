"""Google's own SDK against a real node: before a Gemini provider, a chat provider, and our engine."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from tests.integration import gemini_provider, nodes
from tests.integration.gemini_provider import GeminiProvider
from tests.integration.nodes import Node
from tests.integration.provider import Provider, Script

pytestmark = pytest.mark.model

KEY = "AKIA" + "QZ3MR7XKD2VWTN5B"
TOKEN = "ghp_" + "k7Qz2mXv9LrT4bWn8YcH3dFs6GjP1aRe5UiO"
PIXEL = b"\x89PNG\r\n\x1a\n"


class City(BaseModel):
    name: str
    people: int


@pytest.fixture(scope="module")
def google() -> Iterator[GeminiProvider]:
    with gemini_provider.serving() as running:
        yield running


@pytest.fixture(scope="module")
def gemini_node(tmp_path_factory: pytest.TempPathFactory, google: GeminiProvider, remote: Provider) -> Iterator[Node]:
    home = tmp_path_factory.mktemp("gemini-home")
    nodes.furnish(
        home,
        f"""
[routing]
tries = 1

[[upstreams]]
name = "google"
kind = "gemini"
url = "{google.url}"
models = {{ "gemini-flash" = "gemini-2.5-flash", "gemini-plain" = "gemini-plain" }}
api_key_env = "FREEHOLD_TEST_PROVIDER_KEY"

[[upstreams]]
name = "chat"
url = "{remote.url}"
models = ["scripted"]
api_key_env = "FREEHOLD_TEST_PROVIDER_KEY"
""",
    )
    with nodes.running(home) as started:
        yield started


@pytest.fixture(scope="module")
def client(gemini_node: Node) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=gemini_node.url, retry_options=types.HttpRetryOptions(attempts=1))
    made = genai.Client(api_key=gemini_node.client_key, http_options=options)
    yield made
    made.close()


def leaks(secret: str, text: str, window: int = 6) -> bool:
    private = secret[4:]
    return any(private[at : at + window] in text for at in range(len(private) - window + 1))


def streamed(client: genai.Client, model: str, contents: Any = "go", **config: Any) -> list[types.GenerateContentResponse]:
    wanted = types.GenerateContentConfig(**config) if config else None
    return list(client.models.generate_content_stream(model=model, contents=contents, config=wanted))


def text_of(chunks: list[types.GenerateContentResponse]) -> str:
    return "".join(chunk.text or "" for chunk in chunks)


def raw_stream(node: Node, model: str, body: bytes) -> bytes:
    request = urllib.request.Request(
        f"{node.url}/v1beta/models/{model}:streamGenerateContent?alt=sse&key={node.client_key}",
        data=body,
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        answer: bytes = response.read()
    return answer


def test_an_answer_through_a_gemini_provider(client: genai.Client, google: GeminiProvider) -> None:
    google.say("Hello ", "there.")
    answer = client.models.generate_content(model="gemini-flash", contents="Say hello.")
    assert answer.text == "Hello there."
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata.prompt_token_count, answer.usage_metadata.total_token_count) == (3, 5)
    (asked,) = google.received
    assert asked.path == "gemini-2.5-flash:generateContent"
    assert asked.headers["x-goog-api-key"] == "provider-key"
    assert "key" not in asked.query


def test_a_stream_through_a_gemini_provider(client: genai.Client, google: GeminiProvider) -> None:
    google.say("One, ", {"text": "hm", "thought": True}, "two ", "and three.")
    chunks = streamed(client, "gemini-flash", thinking_config=types.ThinkingConfig(include_thoughts=True))
    assert text_of(chunks) == "One, two and three."
    assert chunks[-1].candidates is not None
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert google.received[0].query == {"alt": "sse"}


def test_what_no_decision_touched_goes_on_byte_for_byte_both_ways(gemini_node: Node, google: GeminiProvider) -> None:
    google.say("clean ", "words ", "alone")
    body = b'{ "contents": [ {"parts":[{"text":"go"}]} ], "unheard_of": {"x": 1.50} }'
    answer = raw_stream(gemini_node, "gemini-plain", body)
    assert google.received[0].body == body
    assert answer == b"".join(b"data: %s\n\n" % data for data in google.sent)


def test_tools_are_called_by_the_sdk_itself(client: genai.Client, google: GeminiProvider) -> None:
    def population(city: str) -> int:
        """People who live in a city."""
        return 700_000 if city == "Oslo" else 0

    call = {"functionCall": {"name": "population", "args": {"city": "Oslo"}}, "thoughtSignature": "c2VhbA=="}
    google.say_turns([call], ["700,000 people."])
    answer = client.models.generate_content(
        model="gemini-flash", contents="How many live in Oslo?", config=types.GenerateContentConfig(tools=[population])
    )
    assert answer.text == "700,000 people."
    first, second = google.received
    assert first.document["tools"][0]["functionDeclarations"][0]["name"] == "population"
    history = second.document["contents"]
    assert history[1]["parts"][0]["thoughtSignature"] == "c2VhbA=="
    assert history[2]["parts"][0]["functionResponse"]["response"] == {"result": 700_000}


@pytest.mark.parametrize("model", ["gemini-flash", "scripted"])
def test_a_chat_goes_on(client: genai.Client, google: GeminiProvider, remote: Provider, model: str) -> None:
    google.say("Fine.")
    remote.say("Fi", "ne.")
    remote.received.clear()
    chat = client.chats.create(model=model)
    assert "".join(chunk.text or "" for chunk in chat.send_message_stream("How are you?")) == "Fine."
    assert chat.send_message("And now?").text == "Fine."
    if model == "scripted":
        assert [(one["role"], one["content"]) for one in remote.received[-1]["messages"]] == [
            ("user", "How are you?"),
            ("assistant", "Fine."),
            ("user", "And now?"),
        ]
    else:
        assert google.received[-1].document["contents"][0]["parts"] == [{"text": "How are you?"}]


@pytest.mark.parametrize("model", ["gemini-flash", "scripted"])
def test_answers_in_a_schema_are_parsed(client: genai.Client, google: GeminiProvider, remote: Provider, model: str) -> None:
    said = '{"name": "Oslo", "people": 700000}'
    google.say(said)
    remote.say(said)
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
    answer = client.models.generate_content(model=model, contents="Which city?", config=config)
    assert answer.parsed == City(name="Oslo", people=700_000)
    if model == "scripted":
        schema = remote.received[-1]["response_format"]["json_schema"]["schema"]
        assert schema["type"] == "object"
        assert schema["properties"]["people"]["type"] == "integer"


def test_tools_images_and_settings_reach_a_chat_provider(client: genai.Client, remote: Provider) -> None:
    call = {"index": 0, "id": "call_9", "type": "function", "function": {"name": "look", "arguments": '{"at":'}}
    rest = {"index": 0, "function": {"arguments": ' "this"}'}}
    remote.script = Script(
        deltas=[{"content": "Well. "}, {"tool_calls": [call]}, {"tool_calls": [rest]}], finish_reason="tool_calls"
    )
    declared = types.FunctionDeclaration(
        name="look",
        description="looks",
        parameters=types.Schema(type=types.Type.OBJECT, properties={"at": types.Schema(type=types.Type.STRING)}),
    )
    answer = client.models.generate_content(
        model="scripted",
        contents=["What is this?", types.Part.from_bytes(data=PIXEL, mime_type="image/png")],
        config=types.GenerateContentConfig(
            system_instruction="Be brief.",
            temperature=0.5,
            max_output_tokens=50,
            tools=[types.Tool(function_declarations=[declared])],
            tool_config=types.ToolConfig(
                function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
            ),
        ),
    )
    assert answer.function_calls is not None
    (made,) = answer.function_calls
    assert (made.id, made.name, made.args) == ("call_9", "look", {"at": "this"})
    asked = remote.received[-1]
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    assert asked["messages"][1]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert (asked["temperature"], asked["max_completion_tokens"], asked["tool_choice"]) == (0.5, 50, "required")
    assert asked["tools"][0]["function"]["parameters"]["properties"] == {"at": {"type": "string"}}


def test_our_engine_answers(client: genai.Client) -> None:
    config = types.GenerateContentConfig(max_output_tokens=8, temperature=0, seed=1)
    whole = client.models.generate_content(model="smollm2-135m", contents="Say hello.", config=config)
    chunks = streamed(client, "smollm2-135m", "Say hello.", max_output_tokens=8, temperature=0, seed=1)
    assert whole.text
    assert text_of(chunks) == whole.text
    assert whole.usage_metadata is not None
    assert whole.usage_metadata.candidates_token_count


def test_our_engine_refuses_what_it_can_not_do(client: genai.Client) -> None:
    config = types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())])
    with pytest.raises(errors.ClientError, match="googleSearch") as caught:
        client.models.generate_content(model="smollm2-135m", contents="News?", config=config)
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")


def test_a_chat_client_is_served_by_a_gemini_provider(gemini_node: Node, google: GeminiProvider) -> None:
    google.say({"text": "hm", "thought": True}, "Look: ", {"functionCall": {"name": "f", "args": {"x": [1, "é"]}}})
    stream = gemini_node.sdk().chat.completions.create(
        model="gemini-flash", messages=[{"role": "user", "content": "go"}], stream=True, stream_options={"include_usage": True}
    )
    text, arguments, reasons, usage = "", "", [], None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for call in choice.delta.tool_calls or ():
                arguments += (call.function.arguments or "") if call.function else ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
    assert text == "Look: "
    assert json.loads(arguments) == {"x": [1, "é"]}
    assert reasons == ["tool_calls"]
    assert usage is not None
    assert usage.prompt_tokens == 3
    assert google.received[0].path == "gemini-2.5-flash:streamGenerateContent"
    assert google.received[0].document["contents"] == [{"role": "user", "parts": [{"text": "go"}]}]


@pytest.mark.parametrize("secret", [KEY, TOKEN])
def test_a_secret_cut_in_two_anywhere_is_masked(client: genai.Client, google: GeminiProvider, secret: str) -> None:
    sentence = f"Use {secret} for the upload."
    answers = set()
    for cut in range(0, len(sentence) + 1, 3):
        google.say(*(part for part in (sentence[:cut], sentence[cut:]) if part))
        text = text_of(streamed(client, "gemini-flash"))
        assert not leaks(secret, text), (cut, text)
        answers.add(text)
    assert len(answers) == 1
    assert answers.pop().endswith("for the upload.")


def test_secrets_in_thoughts_arguments_and_bodies_are_masked(client: genai.Client, google: GeminiProvider) -> None:
    call = {"functionCall": {"name": "run", "args": {"command": f"export K={KEY}", "n": 1}}}
    google.say({"text": f"The key is {TOKEN}, so", "thought": True}, call)
    shown = types.ThinkingConfig(include_thoughts=True)
    chunks = streamed(client, "gemini-flash", thinking_config=shown)
    whole = client.models.generate_content(
        model="gemini-flash", contents="go", config=types.GenerateContentConfig(thinking_config=shown)
    )
    for answer in ("".join(chunk.model_dump_json() for chunk in chunks), whole.model_dump_json()):
        assert "The key is [" in answer
        assert not leaks(TOKEN, answer)
        assert not leaks(KEY, answer)
    assert whole.function_calls is not None
    assert (whole.function_calls[0].args or {})["n"] == 1


def test_what_goes_out_is_masked_in_every_leaf(gemini_node: Node, google: GeminiProvider) -> None:
    google.say("ok")
    document = {
        "systemInstruction": {"parts": [{"text": f"The key is {KEY}."}]},
        "contents": [
            {"parts": [{"text": f"token {TOKEN} please"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"k": KEY}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": f"got {TOKEN}"}}}]},
        ],
        "tools": [{"function_declarations": [{"name": "f", "description": f"uses {TOKEN}"}]}],
        "unheard_of": {"deep": [f"x {KEY}"]},
    }
    raw_stream(gemini_node, "gemini-plain", json.dumps(document).encode())
    sent = google.received[0].body.decode()
    assert not leaks(KEY, sent)
    assert not leaks(TOKEN, sent)
    assert google.received[0].document["unheard_of"]["deep"][0].startswith("x ")


def test_tokens_are_counted_by_a_gemini_provider_and_by_our_engine(client: genai.Client, google: GeminiProvider) -> None:
    google.say("never said")
    assert client.models.count_tokens(model="gemini-flash", contents=f"Use {TOKEN} now.").total_tokens == 7
    assert google.received[0].path == "gemini-2.5-flash:countTokens"
    assert not leaks(TOKEN, google.received[0].body.decode())
    few = client.models.count_tokens(model="smollm2-135m", contents="One.").total_tokens
    many = client.models.count_tokens(model="smollm2-135m", contents="One. " * 50).total_tokens
    assert few is not None
    assert many is not None
    assert many >= few + 50


def test_embeddings_come_from_a_gemini_provider(client: genai.Client, google: GeminiProvider) -> None:
    google.say("never said")
    answer = client.models.embed_content(model="gemini-flash", contents=["a", f"Use {TOKEN} now."])
    assert answer.embeddings is not None
    assert answer.embeddings[0].values == [0.25, -0.5]
    (asked,) = google.received
    assert asked.document["requests"][0]["model"] == "models/gemini-2.5-flash"
    assert not leaks(TOKEN, asked.body.decode())


def test_errors_of_the_node_are_googles(client: genai.Client, gemini_node: Node) -> None:
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="nobody-has-it", contents="hi")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    stranger = genai.Client(api_key="no-key-of-this-node", http_options=types.HttpOptions(base_url=gemini_node.url))
    with pytest.raises(errors.ClientError) as caught:
        stranger.models.generate_content(model="gemini-flash", contents="hi")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
    stranger.close()


def test_errors_of_the_provider_come_through(client: genai.Client, google: GeminiProvider) -> None:
    google.say("never said")
    google.status = 429
    with pytest.raises(errors.ClientError, match="the quota is used up") as caught:
        client.models.generate_content(model="gemini-flash", contents="hi")
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize("how", ["dies", "breaks"])
def test_a_stream_that_breaks_never_ends_clean(client: genai.Client, google: GeminiProvider, how: str) -> None:
    google.say("It goes well ", "and then ")
    setattr(google, how, True)
    chunks: list[types.GenerateContentResponse] = []
    with pytest.raises(errors.ServerError):
        chunks.extend(client.models.generate_content_stream(model="gemini-flash", contents="go"))


def test_the_record_holds_the_exchange_and_no_secret(gemini_node: Node, client: genai.Client, google: GeminiProvider) -> None:
    google.say(f"Use {KEY} now.")
    streamed(client, "gemini-flash")
    kept = b"".join(path.read_bytes() for path in gemini_node.home.rglob("*.db*")).decode("latin-1") + "".join(gemini_node.log)
    assert "google.gemini" in kept
    assert not leaks(KEY, kept)
    assert gemini_node.client_key not in kept
