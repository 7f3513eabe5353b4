from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import UpstreamBroken
from freehold.core.events import Event, ReasoningDelta, TextDelta, TokenLogprob, ToolCallDelta
from freehold.core.findings import Direction
from freehold.gateway import pauses
from freehold.gateway.relay import relay
from tests.fakes.guard import MASK, SECRET, WordGuard
from tests.fakes.upstream import ScriptedUpstream, told
from tests.gateway.turns import of_others


async def play(*steps: Event | Exception, stages: int = 1) -> list[Event]:
    upstream = ScriptedUpstream(*steps).send(None)  # type: ignore[arg-type]
    guards = [WordGuard().stage(Direction.RESPONSE) for _ in range(stages)]
    return await told(relay(upstream, guards))


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


async def test_what_came_at_once_goes_on_at_once() -> None:
    async def upstream() -> AsyncIterator[list[Event]]:
        yield [TextDelta(text="1 "), TextDelta(text="ses")]
        yield [TextDelta(text="am "), TextDelta(text="2 ")]

    said = [
        [event.text for event in events if isinstance(event, TextDelta)]
        async for events in relay(upstream(), [WordGuard().stage(Direction.RESPONSE)])
    ]
    assert said == [["1 "], ["sesam ", "2 "], []]


async def test_the_upstreams_failure_comes_last() -> None:
    seen: list[Event] = []
    upstream = ScriptedUpstream(TextDelta(text="x ses"), UpstreamBroken("gone")).send(None)  # type: ignore[arg-type]

    async def drain() -> None:
        async for events in relay(upstream, [WordGuard().stage(Direction.RESPONSE)]):
            seen.extend(events)

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
    assert await told(relay(upstream.send(None), stages))  # type: ignore[arg-type]
    assert [stage.closed for stage in stages] == [2, 2]


async def test_others_go_on_while_a_long_delta_is_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "WORK_S", 0.0)
    with of_others() as turns:
        whole = f"so it goes {SECRET} and goes " * 20_000
        events = await play(TextDelta(text=whole))
    assert turns.taken > len(whole) // 1000
    assert text(events) == whole.replace(SECRET, MASK)


@pytest.mark.parametrize("length", [2047, 2048, 2049, 50_000])
async def test_a_long_delta_of_any_kind_comes_out_whole(length: int) -> None:
    whole = ("so it goes and goes " * (length // 20 + 1))[:length]
    said = await play(TextDelta(text=whole), ReasoningDelta(text=whole, part=1), ToolCallDelta(arguments=whole, part=2))
    assert text(said) == whole
    assert "".join(event.text for event in said if isinstance(event, ReasoningDelta)) == whole
    assert "".join(event.arguments for event in said if isinstance(event, ToolCallDelta)) == whole


async def test_log_probabilities_stay_with_their_text() -> None:
    token = TokenLogprob(token="a" * 20_000, token_bytes=b"a" * 20_000, logprob=-1.0)
    event = TextDelta(text="a" * 20_000, logprobs=(token,))
    assert await play(event, stages=0) == [event]
