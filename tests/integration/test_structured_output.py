"""Answers in a form, by the official clients: schemas, tool calls, several answers, seeds, biases."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anthropic
import jsonschema
import openai
import pytest
from google import genai
from pydantic import BaseModel

from tests.integration import nodes
from tests.integration.nodes import Node

pytestmark = pytest.mark.model
MODEL = "smollm2-135m"


class Place(BaseModel):
    city: str
    people: int
    is_capital: bool


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"word": {"enum": ["red", "blue"]}, "n": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["word", "n"],
    "additionalProperties": False,
}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city now.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_openais_client_parses_what_comes_streamed_and_not(node: Node) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": user("Tell me of Paris, as JSON."), "max_tokens": 120, "temperature": 0}
    answer = node.sdk().chat.completions.parse(**asked, response_format=Place)
    assert answer.choices[0].finish_reason == "stop"
    assert isinstance(answer.choices[0].message.parsed, Place)
    with node.sdk().chat.completions.stream(**asked, response_format=Place) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == answer.choices[0].message.parsed
    responded = node.sdk().responses.parse(
        model=MODEL, input="Tell me of Paris, as JSON.", text_format=Place, temperature=0, max_output_tokens=120
    )
    assert isinstance(responded.output_parsed, Place)


def test_every_dialect_has_a_way_to_ask_for_it(node: Node) -> None:
    claude = anthropic.Anthropic(base_url=node.url, api_key=node.client_key, max_retries=0)
    message = claude.messages.create(
        model=MODEL,
        max_tokens=60,
        messages=user("A colour and a number."),
        extra_body={"temperature": 1.5, "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    )
    jsonschema.validate(json.loads(message.content[0].text), SCHEMA)  # type: ignore[union-attr]
    with genai.Client(api_key=node.client_key, http_options={"base_url": node.url}) as client:
        answered = client.models.generate_content(
            model=MODEL,
            contents="A colour and a number.",
            config={"response_mime_type": "application/json", "response_json_schema": SCHEMA, "max_output_tokens": 60},
        )
    jsonschema.validate(json.loads(answered.text or ""), SCHEMA)
    plain = node.sdk().chat.completions.create(
        model=MODEL, messages=user("Any JSON."), response_format={"type": "json_object"}, max_tokens=150, temperature=0
    )
    assert plain.choices[0].finish_reason == "length" or isinstance(json.loads(plain.choices[0].message.content or ""), dict)


def test_an_answer_cut_short_says_so_and_a_schema_nobody_can_hold_to_is_refused(node: Node) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    cut = node.sdk().chat.completions.create(model=MODEL, messages=user("x"), response_format=form, max_tokens=3)
    assert cut.choices[0].finish_reason == "length"
    form["json_schema"]["schema"] = {"type": "array", "uniqueItems": True}
    with pytest.raises(openai.BadRequestError, match="uniqueItems"):
        node.sdk().chat.completions.create(model=MODEL, messages=user("x"), response_format=form)


def test_several_answers_are_those_of_their_seeds_and_the_prompt_counts_once(node: Node) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": user("Name an animal."), "max_tokens": 8, "temperature": 1.2}
    both = node.sdk().chat.completions.create(**asked, n=2, seed=5)
    texts = [choice.message.content for choice in sorted(both.choices, key=lambda choice: choice.index)]
    alone = [node.sdk().chat.completions.create(**asked, seed=seed) for seed in (5, 6)]
    assert texts == [one.choices[0].message.content for one in alone]
    assert both.usage is not None
    assert alone[0].usage is not None
    assert both.usage.prompt_tokens == alone[0].usage.prompt_tokens
    assert both.usage.completion_tokens == sum(one.usage.completion_tokens for one in alone if one.usage)
    streamed = ["", ""]
    for chunk in node.sdk().chat.completions.create(**asked, n=2, seed=5, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts


def test_a_bias_of_a_hundred_is_an_order(node: Node) -> None:
    answer = node.sdk().chat.completions.create(
        model=MODEL, messages=user("x"), max_tokens=3, temperature=0, logit_bias={"100": 100}, logprobs=True, top_logprobs=1
    )
    told = answer.choices[0].logprobs
    assert told is not None
    assert told.content
    assert len({token.token for token in told.content}) == 1


def test_a_model_without_a_place_for_tools_says_so(node: Node) -> None:
    with pytest.raises(openai.BadRequestError, match="no place for tools"):
        node.sdk().chat.completions.create(model=MODEL, messages=user("x"), tools=[WEATHER])


QWEN = Path.home() / ".cache" / "freehold" / "models" / "qwen2.5-coder-0.5b.gguf"


@pytest.mark.skipif(not QWEN.exists(), reason="the Qwen2.5-Coder 0.5B of the benchmarks is not here")
def test_a_model_that_was_taught_tools_calls_them(tmp_path: Path) -> None:
    nodes.furnish(tmp_path, '[engine]\nmodel = "qwen"\n')
    added = [sys.executable, "-m", "freehold", "models", "add", str(QWEN), "--name", "qwen"]
    subprocess.run(added, env=nodes.environment(tmp_path), check=True, capture_output=True)
    asked: dict[str, Any] = {"model": "qwen", "messages": user("What is the weather in Paris? Use a tool."), "max_tokens": 80}
    with nodes.running(tmp_path) as running:
        forced = running.sdk().chat.completions.create(
            **asked, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, temperature=0
        )
        check(forced.choices[0])
        left = running.sdk().chat.completions.create(**asked, tools=[WEATHER], temperature=0)
        if left.choices[0].message.tool_calls:  # it is the model's own choice; where it calls, the call holds
            check(left.choices[0])
        none = running.sdk().chat.completions.create(**asked, tools=[WEATHER], tool_choice="none", temperature=0)
        assert not none.choices[0].message.tool_calls
        claude = anthropic.Anthropic(base_url=running.url, api_key=running.client_key, max_retries=0)
        function = WEATHER["function"]
        tool: Any = {"name": function["name"], "description": function["description"], "input_schema": function["parameters"]}
        message = claude.messages.create(
            model="qwen",
            max_tokens=80,
            messages=asked["messages"],
            tools=[tool],
            tool_choice={"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
            extra_body={"temperature": 0},
        )
        assert message.stop_reason == "tool_use"
        (block,) = message.content
        jsonschema.validate(block.input, function["parameters"])  # type: ignore[union-attr]


def check(choice: Any) -> None:
    assert choice.finish_reason == "tool_calls"
    for call in choice.message.tool_calls:
        assert call.function.name == "get_weather"
        jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])
