"""The arguments of a call, read strictly: what two readers could take for two different things is read by none.

A tool may take the last of two members of a name, or the first; a name in any case, or in one. Such arguments, and what is not
JSON, have a `problem` in place of members. A text that is no JSON document at all is `plain`: some tools take just that.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

LIMIT_LEAVES = 1_000  # strings of one call that are looked at; a call that edits a notebook has some hundred
_JSON_STARTS = frozenset('{["-0123456789')
_JSON_WORDS = frozenset(("true", "false", "null"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """`members` by their names in lower case without "_" and "-": "filePath" and "file_path" are one."""

    members: Mapping[str, Any] = field(repr=False, default_factory=dict)
    plain: str = field(repr=False, default="")
    problem: str = ""  # in our own words

    def text(self, *names: str) -> str:
        """The first of these members that is a text with something in it; numbers and lists are none."""
        for name in names:
            value = self.members.get(name)
            if isinstance(value, str) and value:
                return value
        return ""

    def leaves(self) -> Iterator[tuple[str, str]]:
        """Every string, with the name of the member it is in. One too many has the name "" and ends it."""
        waiting: list[tuple[str, Any]] = [(name, value) for name, value in reversed(list(self.members.items()))]
        count = 0
        while waiting:
            name, value = waiting.pop()
            if isinstance(value, str):
                count += 1
                yield (name, value) if count <= LIMIT_LEAVES else ("", "")
                if count > LIMIT_LEAVES:
                    return
            elif isinstance(value, Mapping):
                waiting += [(plain_name(key), item) for key, item in reversed(list(value.items()))]
            elif isinstance(value, list):
                waiting += [(name, item) for item in reversed(value)]


class _Twice(Exception):
    """A member's name is there twice."""


def read(text: str) -> Arguments:
    """Any text. Nothing at all is a call without arguments."""
    start = text.lstrip()
    if not start:
        return Arguments()
    if start[0] not in _JSON_STARTS and start.rstrip() not in _JSON_WORDS:
        return Arguments(plain=text)
    try:
        orjson.loads(text)  # the stricter of the two: no NaN, no half surrogates
        document = json.loads(text, object_pairs_hook=_object)
    except _Twice:
        return Arguments(problem="the arguments name a member twice")
    except (ValueError, RecursionError):
        return Arguments(problem="the arguments are not JSON")
    if not isinstance(document, dict):
        return Arguments(problem="the arguments are not a JSON object")
    return read_object(document)


def read_object(document: Mapping[str, Any]) -> Arguments:
    """Those of a call in a call."""
    members = {plain_name(name): value for name, value in document.items()}
    if len(members) < len(document):
        return Arguments(problem="the arguments name a member twice, written in two ways")
    return Arguments(members=members)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _Twice
    return made


def plain_name(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
