import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest

from freehold.core.errors import UpstreamBroken, UpstreamTimeout
from freehold.core.events import Event, TextDelta
from freehold.core.findings import Direction
from freehold.gateway.body import ClientLeft
from freehold.gateway.flow import _BUFFER_LISTS, Flow
from tests.fakes.guard import WordGuard
from tests.fakes.upstream import ScriptedUpstream, answer


async def staying() -> MutableMapping[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


def flow(upstream: ScriptedUpstream, receive: Any = staying, idle_timeout_s: float = 5) -> Flow:
    stages = [WordGuard().stage(Direction.RESPONSE)]
    return Flow(upstream.send(None), stages, receive, idle_timeout_s=idle_timeout_s)  # type: ignore[arg-type]


async def drain(flow: Flow) -> list[list[Event]]:
    batches = []
    while batch := await flow.next():
        batches.append(batch)
    return batches


async def test_events_that_are_ready_come_in_one_batch() -> None:
    events = answer("1")
    assert len(events) == _BUFFER_LISTS
    async with flow(ScriptedUpstream(*events)) as running:
        assert await drain(running) == [events]


async def test_an_event_does_not_wait_for_the_next_one() -> None:
    gate = asyncio.Event()
    first, second = TextDelta(text="1 "), TextDelta(text="2 ")
    async with flow(ScriptedUpstream(first, gate, second)) as running:
        assert await running.next() == [first]
        gate.set()
        assert await running.next() == [second]
        assert await running.next() == []


async def test_a_reader_that_stalls_stops_the_upstream() -> None:
    upstream = ScriptedUpstream(*(TextDelta(text=". ") for _ in range(10_000)))
    async with flow(upstream) as running:
        await running.next()
        for _ in range(50):
            await asyncio.sleep(0)
        assert upstream.yielded <= 2 * _BUFFER_LISTS
    assert upstream.closed_early == 1


async def test_what_the_stages_hold_comes_before_the_upstreams_failure() -> None:
    async with flow(ScriptedUpstream(TextDelta(text="open ses"), UpstreamBroken("gone"))) as running:
        assert await running.next() == [TextDelta(text="open "), TextDelta(text="ses")]
        with pytest.raises(UpstreamBroken, match="gone"):
            await running.next()


async def test_silence_is_a_timeout_and_closes_the_upstream() -> None:
    upstream = ScriptedUpstream(TextDelta(text="1 "), asyncio.Event())
    async with flow(upstream, idle_timeout_s=0.02) as running:
        await running.next()
        with pytest.raises(UpstreamTimeout, match="idle_timeout_s"):
            await running.next()
    assert upstream.closed_early == 1


async def test_a_slow_reader_is_not_the_upstreams_silence() -> None:
    upstream = ScriptedUpstream(*(TextDelta(text=". ") for _ in range(_BUFFER_LISTS + 1)))
    async with flow(upstream, idle_timeout_s=0.02) as running:
        await asyncio.sleep(0.08)
        assert sum(map(len, await drain(running))) == _BUFFER_LISTS + 1


async def test_what_the_stages_hold_back_is_no_silence() -> None:
    async def slow() -> AsyncIterator[list[Event]]:
        for letter in "sesam ":
            await asyncio.sleep(0.02)
            yield [TextDelta(text=letter)]

    async with Flow(slow(), [WordGuard().stage(Direction.RESPONSE)], staying, idle_timeout_s=0.08) as running:
        assert await running.next() == [TextDelta(text="sesam ")]


async def test_a_client_that_leaves_ends_the_work() -> None:
    leaving = asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        await leaving.wait()
        return {"type": "http.disconnect"}

    upstream = ScriptedUpstream(TextDelta(text="1 "), asyncio.Event())
    async with flow(upstream, receive) as running:
        await running.next()
        leaving.set()
        with pytest.raises(ClientLeft):
            await running.next()
    assert upstream.closed_early == 1


async def test_a_stage_that_fails_lets_nothing_more_out() -> None:
    guard = WordGuard()
    guard.broken = True
    stages = [guard.stage(Direction.RESPONSE)]
    upstream = ScriptedUpstream()
    async with Flow(upstream.send(None), stages, staying, idle_timeout_s=5) as running:  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match="broken stage"):
            await running.next()


async def test_what_an_exchange_had_does_not_wait_for_the_collector() -> None:
    gc.disable()
    try:
        async with flow(ScriptedUpstream(*answer("1"))) as running:
            await drain(running)
        over = weakref.ref(running)
        del running
        for _ in range(3):
            await asyncio.sleep(0)
        assert over() is None
    finally:
        gc.enable()
