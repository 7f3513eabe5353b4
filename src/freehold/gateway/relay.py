"""Events on their way from an upstream to a client, through the stages.

Decided here: the order is the upstream's; when the upstream fails, what the stages still hold is released through them first and
the failure follows; when a stage fails, nothing more comes out. Closing the relay closes the upstream and the stages. A long
delta goes through them a piece at a time: others of this event loop are answered in between. They are, too, while a long call or
program is judged: that is done apart, and what came after it waits.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from freehold.core.errors import UpstreamError
from freehold.core.events import Event, Payload, ReasoningDelta, TextDelta, ToolCallDelta, ToolCallStart
from freehold.core.stage import Judge, Stage
from freehold.gateway.pauses import STEP_CHARS, Pauses, apart


async def relay(upstream: AsyncIterator[list[Event]], stages: Sequence[Stage]) -> AsyncGenerator[list[Event], None]:
    """Yield what the stages let through of what came at once, in upstream order. Where that is nothing, the upstream lives."""
    failure: UpstreamError | None = None
    judge = cast(Judge, stages[-1]) if stages and hasattr(stages[-1], "weighs") else None  # `isinstance` would take 11 us
    closed = chars = 0

    async def passed(events: list[Event], first: int = 0) -> list[Event]:
        if judge is None:
            return through(events, stages[first:])
        return await judged(through(events, stages[first:-1]), judge)

    try:
        try:
            async for events in upstream:
                turns, told = _turns(events)
                chars += told
                pauses = Pauses()
                for turn in turns:
                    yield through(turn, stages) if chars <= STEP_CHARS else await passed(turn)  # none of few can be long
                    if len(turns) > 1:
                        await pauses.take()
        except UpstreamError as exc:
            failure = exc
        for closed, stage in enumerate(stages, 1):  # read in `finally`
            yield await judged([None], judge) if stage is judge else await passed(stage.close(), closed)
        if failure is not None:
            raise failure
    finally:
        await _close(upstream)
        for stage in stages[closed : None if judge is None else -1]:  # nobody reads on: what they hold is dropped
            with contextlib.suppress(Exception):
                stage.close()


def _turns(events: list[Event]) -> tuple[list[list[Event]], int]:
    """What is scanned before others may go on: mostly all of it at once, of a long delta one piece. And how many characters."""
    turns: list[list[Event]] = [[]]
    chars = told = 0
    for event in events:
        match event:
            case Payload():  # first, as half of all are
                turns[-1].append(event)
                continue
            case TextDelta() | ReasoningDelta():
                chars += len(event.text)
            case ToolCallStart() | ToolCallDelta():
                chars += len(event.arguments)
        if chars <= STEP_CHARS:
            turns[-1].append(event)
        else:
            turns += [*([piece] for piece in _pieces(event)), []]
            told, chars = told + chars, 0
    return turns, told + chars


def _pieces(event: Event) -> list[Event]:
    """A long delta cut into short ones, as where it is cut never matters. Log-probabilities stay with their text."""
    match event:
        case TextDelta(text=text, logprobs=(), source_chars=None) | ReasoningDelta(text=text, source_chars=None):
            return [replace(event, text=text[at : at + STEP_CHARS]) for at in range(0, len(text), STEP_CHARS)]
        case ToolCallDelta(arguments=text, source_chars=None):
            return [replace(event, arguments=text[at : at + STEP_CHARS]) for at in range(0, len(text), STEP_CHARS)]
    return [event]


async def _close(upstream: AsyncIterator[list[Event]]) -> None:
    close = getattr(upstream, "aclose", None)
    if close is not None:
        await close()


def through(events: list[Event], stages: Sequence[Stage]) -> list[Event]:
    """Pass events through one stage after the other."""
    for stage in stages:
        events = stage.receive(events[0]) if len(events) == 1 else [out for event in events for out in stage.receive(event)]
    return events


async def judged(events: Sequence[Event | None], judge: Judge) -> list[Event]:
    """What the judge lets through; None closes it. Where it is cancelled, the judge may be at work still and must not be used."""
    out: list[Event] = []
    for event in events:
        work = judge.close if event is None else partial(judge.receive, event)
        chars = judge.weighs(event)
        out += work() if chars <= STEP_CHARS else await apart(work, chars)
    return out
