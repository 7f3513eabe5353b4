"""What an answer may look like, as a grammar: JSON by a schema, tool calls in the form of a model's template, or either.

Decided here: which schemas are taken. A keyword that cannot be held to is refused by name rather than passed over, so that what
comes out is valid whenever it is whole. Whitespace in JSON is bounded: a model that is not sure what comes next would go on with
it for ever. The grammar is written for llguidance, which compiles and runs it (constraint.py).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from freehold.core.errors import InvalidRequest
from freehold.core.exchange import ResponseFormat, Tool, ToolChoice
from freehold.engine.calls import CallFormat

MAX_SCHEMA_CHARS: Final = 128 << 10  # takes half a second of one core; a provider's limit is 120,000 for all names and values
MAX_DEPTH: Final = 64  # of the document; the library's own parser ends at 128

_ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}
_OWN_OPTIONS: Final = "x-guidance"  # the library's: it could switch off what is promised here
SPACED: Final = {"whitespace_pattern": r"\x20|\n\x20{0,24}"}  # a space, or a line break and what indents the next line
COMPACT: Final = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}  # as templates write past calls
# What begins as a call does where models forget the marker (calls.py) is left out: a brace, a fence of JSON, <tools>.
_TEXT: Final = r"\s*([^\s{`<]|<[^t]|`[^`]|```[a-ik-su-zA-Z])(.|\n)*|\s+"
_DATA: Final = frozenset({"const", "enum", "default", "examples", "example"})  # what is below them is no schema


def schema_of(form: ResponseFormat | None) -> Mapping[str, Any] | None:
    """The schema an answer is held to; None for free text. A format without a schema asks for any JSON object."""
    if form is None or form.kind == "text":
        return None
    return _ANY_OBJECT if form.kind == "json_object" or form.schema is None else form.schema


def answer_grammar(schema: Mapping[str, Any], where: str) -> str:
    """An answer that is one JSON value by `schema`. Raises InvalidRequest naming `where`."""
    return written("start: @answer\n", {"answer": checked(schema, where, SPACED)})


def written(lark: str, schemas: Mapping[str, Mapping[str, Any]]) -> str:
    """The library's own document: rules in its dialect of Lark, which name schemas by `@name`."""
    named = [{"name": name, "json_schema": schema} for name, schema in schemas.items()]
    return json.dumps({"grammars": [{"lark_grammar": lark}, *named]})


def checked(schema: Mapping[str, Any], where: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema with our options in place of its own. Raises InvalidRequest for what cannot be held to."""
    try:
        chars = len(json.dumps(schema))
    except (ValueError, TypeError, RecursionError) as exc:
        raise InvalidRequest(f"{where}: the schema is no JSON", param=where) from exc
    if chars > MAX_SCHEMA_CHARS:
        raise InvalidRequest(f"{where}: the schema has {chars} characters; the limit is {MAX_SCHEMA_CHARS}", param=where)
    for part in _schemas(schema, where, 0):
        least = part.get("minProperties")
        required = part.get("required")
        # Keys that no schema names may come twice, which a count of them would not notice.
        if isinstance(least, int) and least > max(1, len(required) if isinstance(required, list) else 0):
            raise InvalidRequest(f"{where}: minProperties {least} can't be held to: name the keys in `required`", param=where)
    return {**{key: value for key, value in schema.items() if key != _OWN_OPTIONS}, _OWN_OPTIONS: options}


def _schemas(value: Any, where: str, depth: int) -> Iterator[Mapping[str, Any]]:
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"{where}: the schema is nested deeper than {MAX_DEPTH}", param=where)
    if isinstance(value, Mapping):
        yield value
        for key, item in value.items():
            if key not in _DATA:
                yield from _schemas(item, where, depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _schemas(item, where, depth + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRules:
    """How calls are written: markers are literals or token numbers, ready to stand in a rule."""

    form: CallFormat
    begin: str
    end: str
    named: str
    is_control: bool  # `begin` is a token that no text holds


def calls_grammar(
    tools: Sequence[Tool], rules: CallRules, choice: ToolChoice, schema: Mapping[str, Any] | None, *, parallel: bool
) -> str:
    """An answer of calls; or, where calls are left to the model, of `schema` or of text in which calls are held to theirs.

    Raises InvalidRequest for a tool whose schema cannot be held to.
    """
    offered = [tool for tool in tools if choice.mode != "named" or tool.name == choice.name]
    if not offered:
        raise InvalidRequest(f"tool_choice names {choice.name!r:.80}, which is none of the tools", param="tool_choice")
    schemas = {f"a{at}": _arguments(tool) for at, tool in enumerate(offered)}
    form = rules.form
    lines = [f"one: {' | '.join(_one(tool, f'@a{at}', rules) for at, tool in enumerate(offered))}"]
    inside = json.dumps(form.break_inside) if form.break_inside else ""
    many = parallel and choice.mode != "named"
    more = '(", " one)*' if many else ""
    items = f'"[" one {more} "]"' if form.is_list else "one"
    lines.append(f"body: {inside} {items} {inside} {rules.end}")
    again = many and not form.is_list and not form.is_bare
    between = json.dumps(form.between) if form.between else ""
    called = "body" if form.is_bare else f"{rules.begin} body"
    lines.append(f"calls: {called}{f' ({between} {called})*' if again else ''}")
    if choice.mode in ("required", "named"):
        return written("\n".join(["start: calls", *lines, ""]), schemas)
    if schema is not None:
        schemas["answer"] = checked(schema, "response_format", SPACED)
        return written("\n".join(["start: calls | @answer", *lines, ""]), schemas)
    return written("\n".join([*_free_text(rules, many=many), *lines, ""]), schemas)


def _free_text(rules: CallRules, *, many: bool) -> list[str]:
    """Text as the model likes it, until a marker comes up. Where it begins like a call without its marker, it is one."""
    if rules.form.is_bare:
        return ["start: TEXT | calls", r"TEXT: /[^{](.|\n)*/"]
    repeated = "*" if many and not rules.form.is_list else "?"
    bare = [] if rules.form.named else ['bare: one | "```json\\n" one "\\n```"']
    first = "bare | " if bare else ""
    if rules.is_control:
        return [f"start: {first}(TEXT? {rules.begin} body){repeated} TEXT?", rf"TEXT: /{_TEXT}/", *bare]
    marker = re.escape(rules.form.begin).replace("/", r"\/")
    return [f"start: {first}(head body){repeated} TEXT", rf"TEXT: /({_TEXT})?/", rf"head[lazy]: /({_TEXT})?{marker}/", *bare]


def _one(tool: Tool, arguments: str, rules: CallRules) -> str:
    form = rules.form
    if form.named:
        return f"{_literal(tool.name)} {rules.named} {arguments}"
    head = f'{{"name": {json.dumps(tool.name, ensure_ascii=False)}, "{form.key}": '
    return f'{_literal(head)} {arguments} "}}"'


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _arguments(tool: Tool) -> Mapping[str, Any]:
    where = f"tools: {tool.name:.80}: parameters"
    if not takes_object(tool):
        raise InvalidRequest(f"{where}: the type of arguments is object", param=where)
    return checked({**_ANY_OBJECT, **tool.parameters}, where, COMPACT)


def takes_object(tool: Tool) -> bool:
    """Arguments are an object in every dialect, whether a schema says so or not."""
    return bool(tool.parameters.get("type", "object") == "object")
