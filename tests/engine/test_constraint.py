import json
import random
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

import jsonschema
import numpy as np
import pytest

from freehold.core.errors import InternalError, InvalidRequest
from freehold.core.exchange import ResponseFormat, Sampling, Tool, ToolChoice
from freehold.engine.calls import FORMATS, Call, CallReader
from freehold.engine.constraint import GrammarConstraint, Grammars
from freehold.engine.forms import Forms
from freehold.engine.frames import Submit
from freehold.engine.gguf import read_header
from freehold.engine.grammar import MAX_SCHEMA_CHARS, CallRules, answer_grammar, calls_grammar, schema_of
from freehold.engine.stops import Piece
from freehold.engine.tokenizer import BpeTokenizer
from tests.fakes.tiny_gguf import BytesPrefix, tiny_gguf

TOKENIZER = BpeTokenizer(read_header(BytesPrefix(tiny_gguf()), "tiny").metadata, "tiny")
GRAMMARS = Grammars(TOKENIZER, {})
PLACE = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 8},
        "people": {"type": "integer", "minimum": 1, "maximum": 999},
        "kind": {"enum": ["old", "new", None]},
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]{1,3}$"}, "minItems": 1, "maxItems": 2},
    },
    "required": ["city", "people", "kind", "tags"],
    "additionalProperties": False,
}
SCHEMAS: list[dict[str, Any]] = [
    PLACE,
    {"type": "object"},
    {"type": "array", "items": {"type": "boolean"}, "maxItems": 4},
    {"enum": ["yes", "no"]},
    {"const": {"a": [1, "x", None]}},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "uuid"},
    {"type": ["integer", "null"], "multipleOf": 7},
    {"anyOf": [{"type": "integer"}, {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]}]},
    {"oneOf": [{"type": "integer"}, {"type": "string", "maxLength": 3}]},
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}},
            {"properties": {"a": {"maxLength": 2}}, "required": ["a"]},
        ]
    },
    {
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {"leaves": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}},
                "required": ["leaves"],
                "additionalProperties": False,
            }
        },
    },
    {"type": "object", "patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False, "maxProperties": 3},
    {"type": "string", "default": "x", "title": "t", "description": "d", "x-guidance": {"lenient": True}},
]


def constraint(schema: dict[str, Any]) -> GrammarConstraint:
    return GRAMMARS.constraint(answer_grammar(schema, "response_format"), "response_format")


def wander(held: GrammarConstraint, seed: int, most: int = 400, shown: Mapping[int, str] = MappingProxyType({})) -> str | None:
    """What comes of drawing any allowed token; None for what did not end in time. Ends are taken where they may be."""
    draw, data = random.Random(seed), b""
    for _ in range(most):
        if held.is_over:
            return data.decode()
        mask = held.mask()
        assert mask is not None
        allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))
        assert allowed.size, "some token is always allowed"
        ends = [token for token in allowed if token in TOKENIZER.end_ids]
        token = int(draw.choice(ends if ends and draw.random() < 0.5 else list(allowed)))
        held.accept(token)
        if token in TOKENIZER.end_ids:
            return data.decode()
        data += shown[token].encode() if token in shown else TOKENIZER.token_bytes(token)
    return None


def follow(held: GrammarConstraint, text: str) -> None:
    for token in TOKENIZER.encode(text):
        held.accept(token)


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_whatever_is_drawn_parses_and_fits_the_schema_where_it_ends(schema: dict[str, Any]) -> None:
    ended = [text for seed in range(12) if (text := wander(constraint(schema), seed)) is not None]
    assert ended
    for text in ended:
        jsonschema.validate(json.loads(text), schema, format_checker=jsonschema.FormatChecker())


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "array", "uniqueItems": True}, 'Unimplemented keys: ["uniqueItems"]'),
        ({"not": {"type": "string"}}, 'Unimplemented keys: ["not"]'),
        ({"if": {"type": "string"}, "then": {"minLength": 1}}, 'Unimplemented keys: ["if", "then"]'),
        ({"type": "object", "dependentRequired": {"a": ["b"]}}, 'Unimplemented keys: ["dependentRequired"]'),
        ({"type": "object", "minProperties": 2}, "minProperties 2"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "oneOf"),
        ({"type": "string", "format": "color"}, "Unknown format: color"),
        ({"type": "string", "pattern": "(?=a)b"}, "regex parse error"),
        ({"type": "string", "pattern": "(a"}, "regex parse error"),
        ({"type": "sting"}, "Invalid type: sting"),
        ({"$ref": "https://elsewhere.example/schema"}, "https://elsewhere.example/schema"),
        ({"$ref": "#/$defs/none"}, "/$defs/none"),
        ({"$ref": "#"}, "no answer can ever fit it"),
        ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "required property 'a'"),
        ({"type": "integer", "minimum": 5, "maximum": 3}, "minimum (5) is greater than maximum (3)"),
        ({"type": "integer", "minimum": 10**40}, "can't be followed"),
        ({"type": "string", "pattern": "^(?=a)b"}, "look-around, including look-ahead and look-behind, is not supported"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "more than one branch can hold: say anyOf"),
        ({"description": "x" * MAX_SCHEMA_CHARS}, f"the limit is {MAX_SCHEMA_CHARS}"),
    ],
)
def test_what_cannot_be_held_to_is_refused_by_name(schema: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        constraint(schema)
    assert words in caught.value.message
    assert caught.value.param == "response_format"


def test_a_schema_as_deep_as_the_body_may_be_is_refused() -> None:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(200):
        schema = {"type": "array", "items": schema}
    with pytest.raises(InvalidRequest, match="deeper than 64"):
        constraint(schema)


def test_a_pattern_made_to_cost_ends_its_own_request_with_an_error() -> None:
    costly = {"type": "string", "pattern": "(.*a.{300}){20}"}
    other = constraint(PLACE)
    with pytest.raises(InvalidRequest, match="takes too long to follow"):
        wander(constraint(costly), 0, 30_000)
    assert other.mask() is not None
    assert constraint(costly).mask() is not None  # the next to ask for it begins anew


def test_a_pattern_that_costs_when_a_token_is_taken_in_ends_its_own_request_too() -> None:
    pattern = {"type": "string", "pattern": "^(a{100}){100}$"}
    schema = {"type": "object", "properties": {"a": pattern}, "required": ["a"], "additionalProperties": False}
    first, second = constraint(schema), constraint(schema)  # the lexer's states are one for both
    follow(second, '{"a')
    with pytest.raises(InvalidRequest, match="takes too long to follow"):
        wander(first, 0)
    with pytest.raises(InvalidRequest, match="takes too long to follow"):
        follow(second, '": "a')


def test_two_answers_by_one_grammar_go_their_own_ways() -> None:
    one, other = constraint({"enum": ["a", "b"]}), constraint({"enum": ["a", "b"]})
    follow(one, '"a"')
    assert one.is_over
    assert not other.is_over


def test_a_format_without_a_schema_is_any_object() -> None:
    assert schema_of(None) is schema_of(ResponseFormat(kind="text")) is None
    assert schema_of(ResponseFormat(kind="json_object")) == schema_of(ResponseFormat(kind="json_schema")) == {"type": "object"}


TOOLS = (
    Tool(name="weather", description="", parameters={**PLACE, "$defs": {}}),
    Tool(name="sum", description="", parameters={"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"],
         "$defs": {"n": {"type": "array", "items": {"type": "integer"}, "maxItems": 3}}, "additionalProperties": False}),
)  # fmt: skip


def rules(name: str) -> CallRules:
    form = FORMATS[name]
    begin, end, named = (json.dumps(marker) if marker else "" for marker in (form.begin, form.end, form.named))
    return CallRules(form=form, begin=begin, end=end, named=named, is_control=False)


def read(name: str, text: str) -> list[Any]:
    reader = CallReader(FORMATS[name], [tool.name for tool in TOOLS])
    return [*(found for char in text for found in reader.receive(Piece(text=char))), *reader.close()]


def check(call: Call) -> None:
    schema = next(tool.parameters for tool in TOOLS if tool.name == call.name)
    jsonschema.validate(json.loads(call.arguments), schema)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "choice", [ToolChoice(mode="required"), ToolChoice(mode="named", name="sum")], ids=lambda choice: choice.mode
)
def test_calls_that_must_be_made_are_made_in_every_form_and_read_back(name: str, choice: ToolChoice) -> None:
    grammar = calls_grammar(TOOLS, rules(name), choice, None, parallel=True)
    ended = [text for seed in range(8) if (text := wander(GRAMMARS.constraint(grammar, "tools"), seed)) is not None]
    assert ended
    for text in ended:
        found = read(name, text)
        assert found
        for call in found:
            assert isinstance(call, Call), text
            check(call)
            assert choice.name in (None, call.name)
        assert len(found) == 1 or choice.mode == "required"


@pytest.mark.parametrize("name", ["mistral", "tekken"])
@pytest.mark.parametrize("mode", ["required", "auto"])
def test_a_marker_may_be_a_control_token_that_no_text_holds(name: str, mode: Literal["required", "auto"]) -> None:
    control = next(token for token in TOKENIZER.specials.values() if token not in TOKENIZER.end_ids)
    assert TOKENIZER.token_bytes(control) == b""
    form = FORMATS[name]
    marked = CallRules(form=form, begin=f"<[{control}]>", end="", named='"[ARGS]"' if form.named else "", is_control=True)
    grammar = calls_grammar(TOOLS, marked, ToolChoice(mode=mode), None, parallel=True)
    called = 0
    for seed in range(20):
        text = wander(GRAMMARS.constraint(grammar, "tools"), seed, shown={control: form.begin})
        for found in read(name, text or ""):
            if isinstance(found, Call):
                check(found)
                called += 1
            else:
                assert mode == "auto"
    assert called or mode == "auto"


@pytest.mark.parametrize("name", FORMATS)
def test_text_is_free_and_calls_in_it_are_held_to_their_schemas(name: str) -> None:
    grammar = calls_grammar(TOOLS, rules(name), ToolChoice(mode="auto"), None, parallel=True)
    follow(GRAMMARS.constraint(grammar, "tools"), "I say [what] I like.")
    for beginning in ("`x` is", "```python\n", "<b>", "\n - one"):
        follow(GRAMMARS.constraint(grammar, "tools"), beginning)
    bare = FORMATS[name].is_bare
    held = GRAMMARS.constraint(grammar, "tools")
    opening = "" if bare else FORMATS[name].begin
    wrong = {
        "hermes": '\n{"name": "other',
        "mistral": '[{"name": "other',
        "tekken": "other",
        "marked": '[{"name": "other',
        "granite": '[{"name": "other',
    }
    with pytest.raises(InternalError, match="was chosen where tools does not allow it"):
        follow(held, opening + wrong.get(name, '{"name": "other'))
    if not FORMATS[name].named:
        arguments = '{"n": [1]}'
        bare_call = f'{{"name": "sum", "{FORMATS[name].key}": {arguments}}}'
        follow(GRAMMARS.constraint(grammar, "tools"), bare_call)
        with pytest.raises(InternalError, match="was chosen where tools does not allow it"):
            follow(GRAMMARS.constraint(grammar, "tools"), bare_call.replace("1", '"x"'))


def test_an_answer_is_a_call_or_by_the_schema() -> None:
    grammar = calls_grammar(TOOLS, rules("hermes"), ToolChoice(mode="auto"), {"enum": ["done"]}, parallel=False)
    texts = {wander(GRAMMARS.constraint(grammar, "tools"), seed) for seed in range(12)}
    assert '"done"' in texts
    assert any(text is not None and text.startswith("<tool_call>") for text in texts)
    assert all(text is None or text == '"done"' or text.count("<tool_call>") == 1 for text in texts)


@pytest.mark.parametrize(
    "schema",
    [{"type": "object", "minProperties": 3}, {"type": "array"}, {"properties": {"a": {"type": "array", "uniqueItems": True}}}],
)
def test_only_a_strict_tool_is_refused_for_its_schema(schema: dict[str, Any]) -> None:
    forms = Forms(TOKENIZER, FORMATS["hermes"])
    loose = Tool(name="f", description="", parameters=schema)
    (held,) = forms.constraints(submit(loose, ToolChoice(mode="required")))
    assert isinstance(held, GrammarConstraint)
    follow(held, '<tool_call>\n{"name": "f", "arguments": {"any": 1}}\n</tool_call>')
    assert forms.constraints(submit(loose, None)) == [None]
    with pytest.raises(InvalidRequest, match=r"minProperties|type of arguments|uniqueItems"):
        forms.constraints(submit(replace(loose, is_strict=True), None))


def test_a_choice_that_cannot_be_made_is_refused() -> None:
    forms = Forms(TOKENIZER, FORMATS["hermes"])
    with pytest.raises(InvalidRequest, match="'g', which is none of the tools"):
        forms.constraints(submit(TOOLS[0], ToolChoice(mode="named", name="g")))
    with pytest.raises(InvalidRequest, match="teaches no form of tool calls"):
        Forms(TOKENIZER, None).constraints(submit(TOOLS[0], ToolChoice(mode="required")))


def submit(tool: Tool, choice: ToolChoice | None) -> Submit:
    return Submit(request=1, messages=(), tools=(tool,), sampling=Sampling(), seed=1, tool_choice=choice)
