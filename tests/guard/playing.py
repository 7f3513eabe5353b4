"""Plays texts through the guard's stage, cut anyhow, in any channel."""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise

from freehold.core.events import Event, Found, PromptText, ReasoningDelta, TextDelta, ToolCallDelta
from freehold.core.findings import Direction, Finding
from freehold.guard import GuardConfig, StreamGuard
from freehold.guard.config import RuleConfig
from freehold.guard.matcher import Engine

ENGINES: tuple[Engine, ...] = ("hyperscan", "re2")
KINDS = (TextDelta, ReasoningDelta, ToolCallDelta)
KEY = b"a key for tests"
Kind = type[TextDelta] | type[ReasoningDelta] | type[ToolCallDelta]


@cache
def strict_guard(engine: Engine = "hyperscan") -> StreamGuard:
    """Every detector enforced, both ways."""
    return StreamGuard(
        GuardConfig(
            engine=engine, categories={"personal_data": RuleConfig(mode="enforce"), "person_name": RuleConfig(action="mask")}
        ),
        key=KEY,
    )


@cache
def guard(engine: Engine = "re2") -> StreamGuard:
    return StreamGuard(GuardConfig(engine=engine), key=KEY)


def delta(kind: Kind, text: str, choice: int = 0, part: int = 0) -> Event:
    if kind is ToolCallDelta:
        return ToolCallDelta(arguments=text, choice=choice, part=part)
    return (
        TextDelta(text=text, choice=choice, part=part)
        if kind is TextDelta
        else ReasoningDelta(text=text, choice=choice, part=part)
    )


def cut(text: str, at: Iterable[int]) -> list[str]:
    places = sorted({min(place, len(text)) for place in at} | {0, len(text)})
    return [text[low:high] for low, high in pairwise(places)] or [""]


def play(asked: StreamGuard, events: Iterable[Event], direction: Direction = Direction.RESPONSE) -> list[list[Event]]:
    """What came out after each event, and at the end."""
    stage = asked.stage(direction)
    return [*(stage.receive(event) for event in events), stage.close()]


def flat(steps: Iterable[Iterable[Event] | None]) -> list[Event]:
    return [event for step in steps for event in step or ()]


def text_of(events: Iterable[Event]) -> str:
    parts = []
    for event in events:
        if isinstance(event, TextDelta | ReasoningDelta | PromptText):
            parts.append(event.text)
        elif isinstance(event, ToolCallDelta):
            parts.append(event.arguments)
    return "".join(parts)


def findings_of(events: Iterable[Event]) -> list[Finding]:
    return [event.finding for event in events if isinstance(event, Found)]


def said(asked: StreamGuard, pieces: Sequence[str], kind: Kind = TextDelta) -> tuple[str, list[Finding]]:
    """(text that came out, findings) of one channel."""
    events = flat(play(asked, [delta(kind, piece) for piece in pieces]))
    return text_of(events), findings_of(events)
