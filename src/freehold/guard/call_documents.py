"""Tool calls in a JSON document, however its writer wrote them.

OpenAI's two dialects, Anthropic's, Gemini's, MCP's, the hooks of coding agents and plain objects agree more than they differ: an
object with a name has the arguments beside it. A call may stand alone, in a list, or anywhere inside an answer. What a call
would do is decided in `calls/`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

_NAMES = ("name", "tool", "tool_name", "toolName")
_ARGUMENTS = ("arguments", "args", "input", "parameters", "params", "tool_input", "tool_args", "toolArgs")

_TOO_DEEP = "{"


class WrittenCall(NamedTuple):
    tool: str  # empty where the document names none
    arguments: str  # JSON text, as the judge wants it


def calls_of(document: Any) -> list[WrittenCall]:
    """Every call in `document`, in order. One without any is taken for the arguments of a tool without a name."""
    return list(_calls(document)) or [WrittenCall("", json_of(document))]


def _calls(document: Any) -> Iterator[WrittenCall]:
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += reversed(node)
        elif isinstance(node, Mapping):
            call = _call(node)
            if call is None:
                waiting += reversed(list(node.values()))
            else:
                yield call


def _call(node: Mapping[str, Any]) -> WrittenCall | None:
    if str(node.get("type")).endswith("shell_call") and "action" in node:  # Responses' own shell: the kind is the name
        return WrittenCall("shell", json_of(node["action"]))
    name = next((value for member in _NAMES if isinstance(value := node.get(member), str) and value), None)
    if name is None or "description" in node:  # a tool that may be called, and no call
        return None
    member = next((member for member in _ARGUMENTS if member in node), None)
    return None if member is None else WrittenCall(name, _arguments(member, node[member]))


def _arguments(member: str, value: Any) -> str:
    """Arguments in a string are the JSON text itself, but for a tool that takes plain text: Responses' custom tools."""
    if not isinstance(value, str):
        return json_of(value)
    return json_of({"input": value}) if member == "input" and not _is_object(value) else value


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def json_of(value: Any) -> str:
    """The JSON text of a value that came as one. What is too deep for it gives a text that no judge takes for JSON."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # deeper than 254, a number beyond 64 bits, half a surrogate: the slower one writes them
        try:
            return json.dumps(value)
        except RecursionError:
            return _TOO_DEEP
