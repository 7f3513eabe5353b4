"""Whose text a tool's is: which tool a description, arguments or a result in a request belong to, by their place in it.

The dialects agree more than they differ: what describes or calls a tool has its `name` in the same object, or in one around it;
a result names its tool or the id of the call it answers, and the call has both. What says neither belongs to no tool we know.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from freehold.core.exchange import Path

_ANSWERED = ("tool_call_id", "tool_use_id", "call_id")  # chat, Messages, Responses
_IDS = ("id", "call_id")
_HOLDERS_WORDS = "arguments args input input_schema parameters parametersJsonSchema parameters_json_schema description response"
_HOLDERS = frozenset(_HOLDERS_WORDS.split())  # an object with a name and one of these describes, calls or answers for a tool


class ToolNames:
    """Of one request."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def of(self, path: Path) -> str:
        """The tool that the text at `path` belongs to; empty where that can't be told."""
        around: list[Any] = [self._document]
        for step in path[:-1]:
            around.append(around[-1][step])
        for value in reversed(around):
            if isinstance(value, Mapping) and (name := self._named(value)):
                return name
        return ""

    def _named(self, value: Mapping[str, Any]) -> str:
        for field in _ANSWERED:
            if isinstance(call := value.get(field), str) and call in self._calls:
                return self._calls[call]
        return _own_name(value)

    @cached_property
    def _calls(self) -> dict[str, str]:
        """By its id, the name of each call's tool."""
        calls: dict[str, str] = {}
        for value in _objects(self._document):
            function = value.get("function")
            name = _own_name(value) or (_own_name(function) if isinstance(function, Mapping) else "")
            calls |= {call: name for field in _IDS if name and isinstance(call := value.get(field), str)}
        return calls


def _own_name(value: Mapping[str, Any]) -> str:
    name = value.get("name")
    return name if isinstance(name, str) and not _HOLDERS.isdisjoint(value) else ""


def _objects(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
