"""A tool's arguments and results are judged alike, whether a dialect writes them as an object or as JSON text."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.events import Event
from freehold.core.findings import Context, Direction
from freehold.gateway.relay import through
from freehold.gateway.screen import screen
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.leaves import NAME_CHARS
from freehold.gateway.wire.verbatim import VerbatimEncoder
from freehold.guard import StreamGuard
from freehold.guard.config import GuardConfig, RuleConfig
from freehold.guard.redactor import NAMED_CHARS
from tests.gateway.asking import asked, incoming

GUARD = StreamGuard(GuardConfig(engine="re2", categories={"personal_data": RuleConfig(action="mask", mode="enforce")}))
CARD = 4111111111111111
PASSWORD = "Tr0ub4dor&3xyz"  # a password where something says so, and nowhere else


def messages(arguments: Any) -> dict[str, Any]:
    call = {"type": "tool_use", "id": "t1", "name": "pay", "input": arguments}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return {"model": "m", "max_tokens": 9, "messages": turns}


def gemini(field: str, member: str) -> Callable[[Any], dict[str, Any]]:
    def document(value: Any) -> dict[str, Any]:
        part = {field: {"name": "pay", member: value}}
        role = "model" if field == "functionCall" else "user"
        return {"contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": role, "parts": [part]}]}

    return document


OBJECTS: dict[str, tuple[str, Callable[[Any], dict[str, Any]], dict[str, Any]]] = {
    "anthropic": ("anthropic.messages", messages, {}),
    "gemini call": ("google.gemini", gemini("functionCall", "args"), {"path": "models/m:generateContent"}),
    "gemini result": ("google.gemini", gemini("functionResponse", "response"), {"path": "models/m:generateContent"}),
}


async def sent(dialect: str, document: dict[str, Any], rest: dict[str, Any]) -> bytes:
    request = incoming(document, **rest)
    codec = CODECS[dialect]
    stage = GUARD.open(Context()).stage(Direction.REQUEST)
    passed = await screen(codec.decode_request(request), request, codec, stage, lambda event: None)
    return orjson.dumps(passed.document)


async def sent_as_text(arguments: Any) -> bytes:
    call = {"id": "t1", "type": "function", "function": {"name": "pay", "arguments": orjson.dumps(arguments).decode()}}
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    return await sent("openai.chat", {"model": "m", "messages": turns}, {})


@pytest.mark.parametrize("dialect", OBJECTS)
async def test_a_value_is_read_behind_its_name_and_a_number_is_looked_at(dialect: str) -> None:
    name, document, rest = OBJECTS[dialect]
    arguments = {
        "password": PASSWORD, "deep": [{"card": CARD}, {"cards": [CARD, 7]}], "csv": "a\nb", "cvv": 123, "n": 5, "yes": True,
    }  # fmt: skip
    out = await sent(name, document(arguments), rest)
    assert PASSWORD.encode() not in out
    assert str(CARD).encode() not in out
    assert out.count(b'"[REDACTED:payment-card]"') == 2
    assert b'"csv":"a\\nb"' in out
    assert b'"n":5,"yes":true' in out


@pytest.mark.parametrize("dialect", OBJECTS)
async def test_a_clean_object_goes_on_as_it_is(dialect: str) -> None:
    name, document, rest = OBJECTS[dialect]
    whole = document({"size": 121000358, "ratio": 1e300, "at": 1700000000.25, "path": "src/a.py", "": "x", "list": [1, 2, [300]]})
    assert await sent(name, whole, rest) == orjson.dumps(whole)


async def test_a_long_text_is_a_text_whatever_its_name_is() -> None:
    text = f"{PASSWORD} " + "and so on " * NAMED_CHARS
    assert PASSWORD.encode() in await sent("anthropic.messages", messages({"password": text}), {})
    name = "x" * 9 * NAME_CHARS + "_password"
    assert PASSWORD.encode() not in await sent("anthropic.messages", messages({name: PASSWORD}), {})


NAMES = st.sampled_from(["password", "db_password", "ssn", "card", "cvv", "pin", "note", "api_key", "n", "a b", "é", '"', "\\"])
VALUES = st.sampled_from(
    [
        PASSWORD,
        "hunter2x9Qz!kk",
        CARD,
        float(CARD),
        5500005555555559,
        "219-09-9999",
        219099999,
        123,
        "ghp_" + "aB3dE5fG7hJ9" * 3,
        "ok",
    ]
)
TREES = st.dictionaries(
    NAMES, st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)), max_size=4
)


def scalars(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in scalars(item)]
    if isinstance(value, list):
        return [text for item in value for text in scalars(item)]
    return [str(value)]


@settings(max_examples=60)
@given(TREES)
async def test_what_is_hidden_in_json_text_is_hidden_in_an_object(arguments: dict[str, Any]) -> None:
    """Lists aside: in text, what stands before a value in one says something of it, too."""
    as_text = scalars(json.loads(await sent_as_text(arguments)))[-1]
    for name, document, rest in OBJECTS.values():
        out = await sent(name, document(arguments), rest)
        for value in {str(value) for value in scalars(arguments)}:
            if len(value) > 3 and value not in as_text:
                assert value.encode() not in out


def test_a_whole_answers_arguments_are_read_as_their_stream_would_be() -> None:
    body = orjson.dumps(
        {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
            "content": [{"type": "tool_use", "id": "t1", "name": "pay", "input": {"password": PASSWORD, "card": CARD, "n": 12}}],
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
    )  # fmt: skip
    codec = CODECS["anthropic.messages"]
    stage, encoder = GUARD.open(Context()).stage(Direction.RESPONSE), VerbatimEncoder(codec.scrub)
    events: list[Event] = codec.decode_answer(body, provider="p", verbatim=asked(messages({}), "anthropic.messages"))
    for event in [*through(events, [stage]), *stage.close()]:
        encoder.encode(event)
    (answer, _), *_ = encoder.finish([], None)
    (block,) = json.loads(answer)["content"]
    assert block["input"] == {"password": "[REDACTED:password-quoted]", "card": "[REDACTED:payment-card]", "n": 12}
