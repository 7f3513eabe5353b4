"""A tool call that waits for a person, and how its words are put before one.

What a call says was written by a model, perhaps at somebody else's wish. So it is shown member by member, none left out and none
able to look like another, with everything escaped that a terminal or a browser would act on in place of showing it.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from freehold.core.effects import CallJudgement
from freehold.core.exchange import ExchangeId, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One held call, as a person is shown it."""

    id: str  # "ap_" and 16 hexadecimal digits
    exchange_id: ExchangeId | None  # None where a client put it from outside an exchange
    principal: Principal
    tool: str
    arguments: str = field(repr=False)
    judgement: CallJudgement
    asked_at_ns: int
    expires_at_ns: int

    @property
    def effects(self) -> tuple[str, ...]:
        """The names of what it would do, each once, the gravest first. No content."""
        return tuple(dict.fromkeys(reason.effect.rule for reason in self.judgement.reasons))


def plain(text: str) -> str:
    """What is only shown: control, direction and invisible characters are escaped."""
    return "".join(char if char.isprintable() or char == "\t" else ascii(char)[1:-1] for char in text)


def plain_lines(text: str) -> str:
    """The same with its lines kept."""
    return "\n".join(plain(line) for line in text.split("\n"))


def members(arguments: str) -> list[tuple[str, str]]:
    """(name, value) of each member, one that is there twice twice; one without a name where it is no object."""
    try:
        pairs = json.loads(arguments, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return [("", arguments)]
    if not isinstance(pairs, _Pairs):
        return [("", arguments)]
    return [(name, value if isinstance(value, str) else _json(value)) for name, value in pairs]


class _Pairs(list[tuple[str, Any]]):
    """An object whose members may share a name."""


def _json(value: Any) -> str:
    if isinstance(value, _Pairs):
        return "{" + ", ".join(f"{json.dumps(name)}: {_json(member)}" for name, member in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return json.dumps(value)
