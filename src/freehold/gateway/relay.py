"""Events on their way from an upstream to a client, through the stages.

Decided here: the order is the upstream's; when the upstream fails, what the stages still hold is released through them first and
the failure follows; when a stage fails, nothing more comes out. Closing the relay closes the upstream and the stages.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

from freehold.core.errors import UpstreamError
from freehold.core.events import Event
from freehold.core.stage import Stage


async def relay(
    upstream: AsyncIterator[Event], stages: Sequence[Stage], heard: Callable[[], None] = lambda: None
) -> AsyncGenerator[Event, None]:
    """Yield what the stages let through, in upstream order. `heard` is called at each sign of life of the upstream."""
    failure: UpstreamError | None = None
    closed = 0
    try:
        try:
            async for event in upstream:
                heard()
                for out in through([event], stages):
                    yield out
        except UpstreamError as exc:
            failure = exc
        for closed, stage in enumerate(stages, 1):  # read in `finally`
            for out in through(stage.close(), stages[closed:]):
                yield out
        if failure is not None:
            raise failure
    finally:
        await _close(upstream)
        for stage in stages[closed:]:  # nobody reads on: what they hold is dropped
            with contextlib.suppress(Exception):
                stage.close()


async def _close(upstream: AsyncIterator[Event]) -> None:
    close = getattr(upstream, "aclose", None)
    if close is not None:
        await close()


def through(events: list[Event], stages: Sequence[Stage]) -> list[Event]:
    """Pass events through one stage after the other."""
    for stage in stages:
        events = stage.receive(events[0]) if len(events) == 1 else [out for event in events for out in stage.receive(event)]
    return events
