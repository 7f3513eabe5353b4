from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import UpstreamBroken
from freehold.core.events import Event, TextDelta
from freehold.core.findings import Direction
from freehold.gateway.relay import relay
from tests.fakes.guard import MASK, SECRET, WordGuard
from tests.fakes.upstream import ScriptedUpstream


async def play(*steps: Event | Exception, stages: int = 1) -> list[Event]:
    upstream: AsyncIterator[Event] = ScriptedUpstream(*steps).send(None)  # type: ignore[arg-type]
    guards = [WordGuard().stage(Direction.RESPONSE) for _ in range(stages)]
    return [event async for event in relay(upstream, guards)]


def text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@settings(max_examples=60)
@given(st.lists(st.integers(0, 40), max_size=6), st.integers(1, 3))
async def test_where_the_stream_is_cut_does_not_matter(places: list[int], stages: int) -> None:
    whole = f"say {SECRET} and {SECRET}ses"
    edges = [0, *sorted(place % len(whole) for place in places), len(whole)]
    pieces = [TextDelta(text=whole[start:end]) for start, end in pairwise(edges)]
    assert text(await play(*pieces, stages=stages)) == f"say {MASK} and {MASK}ses"


async def test_a_stage_that_is_closed_releases_through_the_stages_after_it() -> None:
    assert text(await play(TextDelta(text="ses"), stages=2)) == "ses"


async def test_without_stages_events_pass_as_they_are() -> None:
    events = [TextDelta(text=SECRET)]
    assert await play(*events, stages=0) == events


async def test_the_upstreams_failure_comes_last() -> None:
    seen: list[Event] = []
    upstream = ScriptedUpstream(TextDelta(text="x ses"), UpstreamBroken("gone")).send(None)  # type: ignore[arg-type]

    async def drain() -> None:
        async for event in relay(upstream, [WordGuard().stage(Direction.RESPONSE)]):
            seen.append(event)  # noqa: PERF401  # what came before the exception matters

    with pytest.raises(UpstreamBroken):
        await drain()
    assert text(seen) == "x ses"


async def test_closing_the_relay_closes_the_upstream_and_each_stage_once() -> None:
    class Counting:
        closed = 0

        def receive(self, event: Event) -> list[Event]:
            return [event]

        def close(self) -> list[Event]:
            self.closed += 1
            return []

    upstream, stages = ScriptedUpstream(), [Counting(), Counting()]
    events = relay(upstream.send(None), stages)  # type: ignore[arg-type]
    await anext(events)
    await events.aclose()
    assert (upstream.closed_early, [stage.closed for stage in stages]) == (1, [1, 1])
    assert [event async for event in relay(upstream.send(None), stages)]  # type: ignore[arg-type]
    assert [stage.closed for stage in stages] == [2, 2]
