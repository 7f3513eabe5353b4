"""Events on their way from an upstream to a client, through the stages.

Decided here: the order is the upstream's; when the upstream fails, what the stages still hold is released through them first and
the failure follows; when a stage fails, nothing more comes out. Closing the relay closes the upstream.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence

from freehold.core.errors import UpstreamError
from freehold.core.events import Event
from freehold.core.stage import Stage


async def relay(upstream: AsyncIterator[Event], stages: Sequence[Stage]) -> AsyncGenerator[Event, None]:
    """Yield what the stages let through, in upstream order."""
    failure: UpstreamError | None = None
    try:
        async for event in upstream:
            for out in through([event], stages):
                yield out
    except UpstreamError as exc:
        failure = exc
    finally:
        close = getattr(upstream, "aclose", None)
        if close is not None:
            await close()
    for number, stage in enumerate(stages):
        for out in through(stage.close(), stages[number + 1 :]):
            yield out
    if failure is not None:
        raise failure


def through(events: Iterable[Event], stages: Sequence[Stage]) -> Iterable[Event]:
    """Pass events through one stage after the other."""
    for stage in stages:
        events = [out for event in events for out in stage.receive(event)]
    return events
