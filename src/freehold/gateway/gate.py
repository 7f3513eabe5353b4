"""The last door of an answer: what the judge held waits here for a person; what was refused becomes words.

Decided here: while a person is asked nothing more of the answer goes on, and a client that leaves withdraws the question. A
choice whose every call was refused did not end for the sake of calls, and says so. Who is asked, and how, is left to
`core.ports.Approvals`; how a refusal looks in a provider's own payloads, to its dialect.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace

from freehold.core.events import (
    Event,
    FinishReason,
    Held,
    MessageEnd,
    PartEnd,
    PartKind,
    Payload,
    Refused,
    TextDelta,
    ToolCallStart,
)
from freehold.gateway.flow import Flow

REFUSAL_PARTS = 1 << 20  # numbers of the texts that stand for refused calls: above those of any answer's parts

Ask = Callable[[Held], Awaitable[bool]]


async def gated(flow: Flow, ask: Ask, *, patience_s: float) -> AsyncGenerator[list[Event]]:
    """The events that may go on, as they come; an empty list each `patience_s` while a person is asked.

    Raises what the flow raises, ClientLeft while somebody is asked, too, and RecordNotWritten.
    """
    tally = _Tally()
    while events := await flow.next():
        ready: list[Event] = []
        for event in events:
            if not isinstance(event, Held):
                ready.append(event if isinstance(event, Payload) else tally.take(event))
                continue
            if ready:
                yield ready
            ready = []
            asking = asyncio.ensure_future(ask(event))
            try:
                while not await flow.lasts(asking, patience_s):
                    yield []
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            ready = [tally.take(out) for out in (event.released if asking.result() else (event.refused,))]
        if ready:
            yield ready


def as_text(refused: Refused) -> list[Event]:
    """A refused call in a dialect that is written anew: a text of its own."""
    part = REFUSAL_PARTS + refused.part
    return [
        TextDelta(text=refused.text, choice=refused.choice, part=part),
        PartEnd(kind=PartKind.TEXT, choice=refused.choice, part=part),
    ]


class _Tally:
    """What became of the calls and texts of each choice."""

    def __init__(self) -> None:
        self._called: set[int] = set()
        self._refused: set[int] = set()
        self._spoke: set[int] = set()

    def take(self, event: Event) -> Event:
        match event:
            case ToolCallStart():
                self._called.add(event.choice)
            case Refused():
                self._refused.add(event.choice)
                if event.choice in self._spoke:
                    event = replace(event, text=f"\n\n{event.text}")
                self._spoke.add(event.choice)
            case TextDelta() if event.text:
                self._spoke.add(event.choice)
            case MessageEnd(finish_reason=FinishReason.TOOL_CALLS):
                if event.choice in self._refused and event.choice not in self._called:
                    return replace(event, finish_reason=FinishReason.STOP)
        return event
