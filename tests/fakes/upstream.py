"""An upstream that says what a test wrote down, at the pace the test wants."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from freehold.core.events import Event, FinishReason, MessageEnd, MessageStart, ServedBy, TextDelta, Usage
from freehold.core.exchange import Exchange
from freehold.core.ports import UpstreamStatus

MODEL = "scripted-1"
SERVED = ServedBy(provider="scripted", model=MODEL, build="script-1")


def answer(*texts: str, usage: Usage | None = None) -> list[Event]:
    """A whole answer that says these texts, one delta each."""
    deltas = [TextDelta(text=text) for text in texts]
    counts = usage or Usage(input_tokens=7, output_tokens=len(texts))
    return [MessageStart(served=SERVED), *deltas, counts, MessageEnd(finish_reason=FinishReason.STOP)]


async def told(answer: AsyncIterator[list[Event]]) -> list[Event]:
    """All events of an answer."""
    return [event async for events in answer for event in events]


class ScriptedUpstream:
    """Implements `Upstream`. A step is an event to yield, an exception to raise, or an asyncio.Event to wait for."""

    def __init__(
        self, *steps: Event | Exception | asyncio.Event, models: Sequence[str] = (MODEL,), name: str = "scripted"
    ) -> None:
        self.steps: list[Event | Exception | asyncio.Event] = list(steps) or list(answer("Hello", " there", "."))
        self.exchanges: list[Exchange] = []
        self.yielded = 0
        self.closed_early = 0
        self.readiness = UpstreamStatus(ready=True, detail="ready")
        self._models = models
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def models(self) -> Sequence[str]:
        return self._models

    def status(self) -> UpstreamStatus:
        return self.readiness

    async def send(self, exchange: Exchange) -> AsyncIterator[list[Event]]:
        self.exchanges.append(exchange)
        finished = False
        try:
            for step in self.steps:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    finished = True
                    raise step
                else:
                    self.yielded += 1
                    yield [step]
            finished = True
        finally:
            self.closed_early += not finished

    async def close(self) -> None:
        pass
