import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from freehold.core.errors import InvalidRequest, NotFound
from freehold.core.exchange import Sampling
from freehold.core.findings import Channel
from freehold.gateway.wire.gemini_words import camel
from tests.gateway.asking import incoming
from tests.gateway.wire.gemini_streams import CODEC, asked

REQUESTS = Path(__file__).parents[2] / "vectors" / "gemini" / "requests"
HELLO: dict[str, Any] = {"contents": [{"parts": [{"text": "hi"}]}]}


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((REQUESTS / f"{name}.json").read_text())
    return document


def with_config(**config: Any) -> dict[str, Any]:
    return {**HELLO, "generationConfig": config}


@pytest.mark.parametrize("path", sorted(REQUESTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_recorded_request_goes_to_gemini_as_it_came(path: Path) -> None:
    document = json.loads(path.read_text())
    exchange = asked(document)
    assert CODEC.same_document(exchange, model="m", ask_usage=True) is exchange.document


@pytest.mark.parametrize(
    ("path", "query", "model", "stream"),
    [
        ("gemini-2.5-flash:generateContent", {}, "gemini-2.5-flash", False),
        ("gemini-2.5-flash:streamGenerateContent", {"alt": "sse"}, "gemini-2.5-flash", True),
        ("models/gemini-2.5-flash:generateContent", {}, "gemini-2.5-flash", False),
        ("qwen:0.5b:generateContent", {}, "qwen:0.5b", False),
        ("org/model:generateContent", {"alt": "json"}, "org/model", False),
    ],
)
def test_model_and_method_stand_in_the_path(path: str, query: dict[str, str], model: str, stream: bool) -> None:
    exchange = CODEC.decode_request(incoming(HELLO, path=path, query=query))
    assert (exchange.model, exchange.stream) == (model, stream)


@pytest.mark.parametrize("path", ["gemini", "gemini:countTokens", ":generateContent", "models/:generateContent", "a:b", ""])
def test_a_method_nobody_has_is_not_found(path: str) -> None:
    with pytest.raises(NotFound, match=r"generateContent and models/MODEL:streamGenerateContent"):
        CODEC.decode_request(incoming(HELLO, path=path))


@pytest.mark.parametrize("query", [{}, {"alt": "json"}])
def test_a_stream_that_is_no_event_stream_is_refused_with_what_to_do(query: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match=r"add \?alt=sse") as caught:
        CODEC.decode_request(incoming(HELLO, path="m:streamGenerateContent", query=query))
    assert caught.value.param == "alt"


def test_either_spelling_is_read() -> None:
    config = {"max_output_tokens": 10, "stop_sequences": ["x"], "candidate_count": 2, "response_logprobs": True, "top_k": 40}
    exchange = asked({"contents": HELLO["contents"], "generation_config": config})
    assert exchange.sampling == Sampling(max_tokens=10, stop=("x",), top_k=40, top_logprobs=0)
    assert exchange.choices == 2


def test_a_field_under_both_spellings_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="given twice"):
        asked({**HELLO, "generationConfig": {}, "generation_config": {}})


def test_sampling_is_read() -> None:
    exchange = asked(load("everything"))
    assert exchange.sampling == Sampling(
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        seed=7,
        stop=("END",),
        top_logprobs=3,
    )
    assert exchange.include_usage


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": {"parts": []}}, "contents"),
        ({"contents": ["hi"]}, "contents[0]"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "contents[0].role"),
        ({"contents": [{"parts": "hi"}]}, "contents[0].parts"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"functionCall": {}}]}]}, "contents[0].parts[0].functionCall.name"),
        ({"contents": [{"parts": [{"inlineData": {"data": "x"}}]}]}, "contents[0].parts[0].inlineData.mimeType"),
        ({**HELLO, "systemInstruction": "be brief"}, "systemInstruction"),
        ({**HELLO, "tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        ({**HELLO, "toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}}, "toolConfig.functionCallingConfig.mode"),
        (with_config(temperature=3), "temperature"),
        (with_config(candidateCount=0), "candidateCount"),
        (with_config(stopSequences=[""]), "generationConfig.stopSequences"),
        (with_config(thinkingConfig={"includeThoughts": "yes"}), "generationConfig.thinkingConfig.includeThoughts"),
        (with_config(responseModalities=["TEXT", "AUDIO"]), "generationConfig.responseModalities"),
        (
            {**HELLO, "toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}}},
            "toolConfig.functionCallingConfig.streamFunctionCallArguments",
        ),
    ],
)
def test_what_is_wrong_is_named(document: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(document)
    assert caught.value.param == param


def test_what_our_engine_needs_is_filled_in() -> None:
    exchange = asked(load("snake_case"))
    assert [message.role for message in exchange.messages] == ["system", "user", "assistant", "tool"]
    assert exchange.messages[1].attachments == 1
    assert exchange.messages[2].tool_calls[0].arguments == '{"the_city":"Oslo"}'
    assert exchange.messages[3].text == '{"degrees_c":4}'
    assert [tool.name for tool in exchange.tools] == ["get_weather"]


@pytest.mark.parametrize(("document", "said"), [(load("search"), "tools[0].googleSearch"), (load("cached"), "cachedContent")])
def test_what_the_fields_leave_unsaid_is_told(document: dict[str, Any], said: str) -> None:
    assert said in (asked(document).unsaid or "")


def test_the_form_of_the_answer_and_calls_that_must_be_made_are_told() -> None:
    formed = asked(load("snake_case"))
    assert formed.response_format is not None
    assert formed.response_format.kind == "json_schema"
    assert formed.unsaid is None
    choice = asked(load("everything")).tool_choice
    assert choice is not None
    assert choice.mode == "named"


def test_an_ordinary_request_leaves_nothing_unsaid() -> None:
    assert asked(load("text")).unsaid is None
    assert asked(load("code_history")).messages[1].attachments == 2


def test_a_model_that_may_not_call_gets_no_tools() -> None:
    mode = {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}
    assert asked({**load("everything"), **mode}).tools == ()


def test_a_model_named_in_the_body_follows_the_alias() -> None:
    exchange = asked({**HELLO, "model": "models/m"})
    assert CODEC.same_document(exchange, model="m", ask_usage=True) is exchange.document
    assert CODEC.same_document(exchange, model="gemini-2.5-pro", ask_usage=True)["model"] == "models/gemini-2.5-pro"


SECRET = "n0t-a-word-of-the-format"
PLACES: list[tuple[str, Channel]] = [
    ("systemInstruction.parts.0.text", Channel.SYSTEM),
    ("contents.0.parts.0.text", Channel.USER),
    ("contents.0.parts.1.inlineData.data", Channel.FILE),
    ("contents.0.parts.2.inlineData.displayName", Channel.USER),
    ("contents.0.parts.3.fileData.fileUri", Channel.USER),
    ("contents.1.parts.0.text", Channel.REASONING),
    ("contents.1.parts.1.text", Channel.ASSISTANT),
    ("contents.1.parts.2.functionCall.args.city", Channel.TOOL_ARGUMENTS),
    ("contents.1.parts.2.functionCall.name", Channel.TOOL_ARGUMENTS),
    ("contents.1.parts.2.thoughtSignature", Channel.ASSISTANT),
    ("contents.2.parts.0.functionResponse.response.output", Channel.TOOL_RESULT),
    ("tools.0.functionDeclarations.0.description", Channel.TOOL_DESCRIPTION),
    ("tools.0.functionDeclarations.0.parameters.properties.city.description", Channel.TOOL_DESCRIPTION),
    ("generationConfig.stopSequences.0", Channel.OTHER),
    ("labels.team", Channel.OTHER),
    ("cachedContent", Channel.OTHER),
    ("unheard_of.deep", Channel.OTHER),
]


def planted(place: str, *, snake: bool) -> dict[str, Any]:
    """A request with the secret in one place."""
    document: Any = {**load("everything"), "unheard_of": {}}
    steps = [int(step) if step.isdigit() else step for step in place.split(".")]
    at = document
    for step in steps[:-1]:
        at = at[step]
    at[steps[-1]] = SECRET
    planted_in: dict[str, Any] = respelled(document) if snake else document
    return planted_in


def respelled(value: Any) -> Any:
    if isinstance(value, dict):
        return {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): respelled(item) for key, item in value.items()}
    return [respelled(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("snake", [False, True])
@pytest.mark.parametrize(("place", "channel"), PLACES, ids=[place for place, _ in PLACES])
def test_every_string_is_a_leaf_in_its_channel(place: str, channel: Channel, snake: bool) -> None:
    found = [leaf for leaf in CODEC.leaves(planted(place, snake=snake)) if leaf.text == SECRET]
    assert [leaf.channel for leaf in found] == [channel]


def test_property_names_and_keys_of_arguments_are_leaves() -> None:
    keys = {leaf.text for leaf in CODEC.leaves(load("everything")) if leaf.is_key}
    assert {"city", "days"} <= keys


@pytest.mark.parametrize(("name", "spelled"), [("inline_data", "inlineData"), ("text", "text"), ("top_k", "topK"), ("_x", "_x")])
def test_names_in_camel_case(name: str, spelled: str) -> None:
    assert camel(name) == spelled


def test_a_request_is_json_after_all_rewriting() -> None:
    assert orjson.loads(orjson.dumps(dict(asked(load("everything")).document))) == load("everything")
