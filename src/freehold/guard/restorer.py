"""Turns a client's tokens back into its values in what it is sent: after the guard's stage, as values are what that one masks.

In a tool call's arguments a value comes back only for the tools the policy trusts, escaped as JSON needs it: elsewhere the token
stays, and the tool gets that. In a text that was asked for as JSON it is escaped as well. Strings of a provider's own payload are
text like any other; those that are arguments follow their tool, which the payload names, or the call that was begun with it.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, assert_never

from freehold.core.events import (
    FIRST_REFUSAL_PART,
    Aside,
    Blocked,
    Event,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    Payload,
    PromptText,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.core.exchange import Path
from freehold.core.findings import Channel
from freehold.guard.patterns import matches
from freehold.guard.replacing import Key, Search, Searched, StreamReplacer, Swap, replaced
from freehold.guard.vault import ClientTokens, plain_token

_ARGUMENTS = frozenset(("arguments", "args", "input", "partial_json"))  # what the dialects call them
_LEAVES = 4096  # of payloads, whose place is remembered until they come


class Restorer(StreamReplacer):
    """A `Stage`."""

    def __init__(self, tokens: ClientTokens, trusted_tools: Sequence[str], *, in_json: bool = False) -> None:
        super().__init__()
        self._in_json = in_json
        self._plain = _Values(tokens)
        self._escaped = _EscapedValues(tokens)
        self._trusted = tuple(trusted_tools)
        self._tools: dict[tuple[int, int], str] = {}  # (choice, part) -> the tool that is called
        self._places: dict[int, tuple[Path, bytes]] = {}  # leaf -> its place and payload

    def receive(self, event: Event) -> list[Event]:
        match event:
            case TextDelta() | ReasoningDelta() | ToolCallDelta():
                return self.on_delta(event)
            case PromptText():
                return [self._leaf(event)]
            case Payload():
                if len(self._places) > _LEAVES:  # their texts were blocked, or the stream is one of strings alone
                    self._places.clear()
                self._places.update({leaf.leaf: (leaf.path, event.data) for leaf in event.leaves})
                return [event]
            case ToolCallStart():
                self._tools[event.choice, event.part] = event.name
                return [event]
            case PartEnd() | MessageEnd() | Blocked():
                return [*self.on_end(event), event]
            case MessageStart() | Usage() | Aside():
                return [event]
            case _:
                assert_never(event)

    def search(self, key: Key) -> Search | None:
        kind, choice, part = key
        if kind is PartKind.TEXT and self._in_json and part < FIRST_REFUSAL_PART:
            return self._escaped
        if kind is not PartKind.TOOL_CALL:
            return self._plain
        return self._escaped if self._is_trusted(self._tools.get((choice, part), "")) else None

    def _is_trusted(self, tool: str) -> bool:
        return tool != "" and matches(self._trusted, tool)

    def _leaf(self, event: PromptText) -> PromptText:
        path, data = self._places.pop(event.leaf, ((), b""))
        is_json = event.text.lstrip()[:1] in ("{", "[")
        search: Search = self._escaped if is_json and self._in_json else self._plain
        if event.channel is Channel.TOOL_ARGUMENTS or not _ARGUMENTS.isdisjoint(path):
            search = self._escaped if is_json else self._plain
            if not search.look(event.text, 0, 0, is_whole=True).swaps:
                return event
            if not self._is_trusted(event.tool or self._tool_at(path, data)):
                return event
        text, _ = replaced(search, event)
        return event if text == event.text else replace(event, text=text)

    def _tool_at(self, path: Path, data: bytes) -> str:
        """The tool whose arguments stand at `path` of a payload: its nearest name, else that of the call its number began."""
        try:
            document = json.loads(data)
        except ValueError:
            return ""
        around: list[Any] = [document]
        for step in path[:-1]:
            around.append(around[-1][step])
        for value in reversed(around):
            if isinstance(value, dict) and isinstance(value.get("name"), str):
                return str(value["name"])
        number = document.get("output_index") if isinstance(document, dict) else None
        return self._tools.get((0, number), "") if isinstance(number, int) else ""


class _Values:
    """Finds tokens, and gives what they stand for."""

    def __init__(self, tokens: ClientTokens) -> None:
        self._tokens = tokens

    def look(self, text: str, at: int, position: int, *, is_whole: bool) -> Searched:
        index, swaps = self._tokens.index, list[Swap]()
        while (start := index.next_start(text, at)) is not None:
            if not is_whole and index.may_go_on(text, start):
                return Searched(swaps, start)
            end = index.match(text, start)
            value = None if end is None else self._tokens.value(text[start:end])
            if end is None or value is None:
                at = start + 1
                continue
            swaps.append(Swap(start, end, value))
            at = end
        return Searched(swaps, len(text))


class _EscapedValues:
    """The same in the source of JSON, where a token may be written with escapes, and a value must be."""

    def __init__(self, tokens: ClientTokens) -> None:
        self._tokens = tokens

    def look(self, text: str, at: int, position: int, *, is_whole: bool) -> Searched:
        index, swaps = self._tokens.escaped_index, list[Swap]()
        while (start := index.next_start(text, at)) is not None:
            if not is_whole and index.may_go_on(text, start):
                return Searched(swaps, start)
            end = index.match(text, start)
            is_escaped = start > 0 and text[start] == text[start - 1] == "\\"
            value = None if end is None or is_escaped else self._tokens.value(plain_token(text[start:end]))
            if end is None or value is None:
                at = start + 1
                continue
            swaps.append(Swap(start, end, json.dumps(value, ensure_ascii=False)[1:-1]))
            at = end
        return Searched(swaps, len(text))
