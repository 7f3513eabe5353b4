import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import UpstreamBroken
from freehold.core.events import (
    Event,
    FinishReason,
    Found,
    MessageEnd,
    PartEnd,
    PartKind,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
)
from freehold.core.findings import Context, Direction
from freehold.core.stage import Judge
from freehold.gateway import pauses
from freehold.gateway import relay as relay_module
from freehold.gateway.relay import relay, through
from freehold.guard import GuardConfig, StreamGuard
from tests.fakes.guard import MASK, SECRET, Through, WordGuard
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


def call(text: str, *, part: int = 0, size: int = 1000) -> list[Event]:
    pieces = [ToolCallDelta(arguments=text[at : at + size], part=part) for at in range(0, len(text), size)]
    return [ToolCallStart(call_id="c", name="bash", part=part), *pieces, PartEnd(kind=PartKind.TOOL_CALL, part=part)]


def fenced(code: str, *, size: int = 1000, end: str = "\n```\nDone.\n") -> list[Event]:
    text = f"\n```python\n{code}{end}"
    return [TextDelta(text=text[at : at + size], part=9) for at in range(0, len(text), size)]


COMMANDS = json.dumps({"command": "cp -r src build\nrm -rf ~/work\n" * 2000})
PROGRAM = "import os\nos.system('ls ' + input())\n" * 1000
END = MessageEnd(finish_reason=FinishReason.TOOL_CALLS)


def judge() -> Judge:
    return StreamGuard(GuardConfig(engine="re2")).open(Context()).judge()


@pytest.mark.parametrize("long", [call(COMMANDS), fenced(PROGRAM)], ids=["call", "program"])
async def test_others_go_on_while_what_is_long_is_judged(long: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "WORK_S", 3600.0)
    events = [*long, END]
    with of_others() as turns:
        out = await told(relay(ScriptedUpstream(*events).send(None), [judge()]))  # type: ignore[arg-type]
    assert turns.taken > 100
    assert out == through(events, [judge()])
    assert sum(isinstance(event, Found) for event in out) > 0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["call", "two calls", "program", "open program", "text", "end"]), min_size=1, max_size=6))
async def test_what_is_judged_apart_comes_out_as_if_it_were_not(said: list[str]) -> None:
    bad, good = json.dumps({"command": "rm -rf ~/work\n" * 9}), json.dumps({"command": "ls\n" * 20})
    kinds: dict[str, list[Event]] = {
        "call": call(bad, part=1, size=20),
        "two calls": [*call(bad, part=2, size=20)[:-1], *call(good, part=3, size=20)[:-1]],
        "program": fenced(PROGRAM[:100], size=20),
        "open program": fenced(PROGRAM[:100], size=20, end=""),
        "text": [TextDelta(text="so it goes", part=9)],
        "end": [END],
    }
    events = [event for kind in dict.fromkeys(said) for event in kinds[kind]]
    here, elsewhere = judge(), judge()
    expected = [*through(events, [here]), *here.close()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relay_module, "STEP_CHARS", 20)
        assert await told(relay(ScriptedUpstream(*events).send(None), [elsewhere])) == expected  # type: ignore[arg-type]


class SlowJudge(Through):
    """Looks at the end of an answer for as long as it is told to."""

    def __init__(self) -> None:
        self.begun, self.ended, self.closed = threading.Event(), threading.Event(), 0

    def receive(self, event: Event) -> list[Event]:
        if event == END:
            self.begun.set()
            self.ended.wait(timeout=5)
        return [event]

    def close(self) -> list[Event]:
        self.closed += 1
        return []

    def weighs(self, event: Event | None) -> int:
        return 1 << 20 if event == END else 0


async def test_a_judge_at_work_is_left_alone_by_who_does_not_wait_for_it() -> None:
    judge, upstream, seen = SlowJudge(), ScriptedUpstream(*call(COMMANDS), END), list[Event]()

    async def drain() -> None:
        async with contextlib.aclosing(relay(upstream.send(None), [judge])) as lists:  # type: ignore[arg-type]
            async for events in lists:
                seen.extend(events)

    task = asyncio.ensure_future(drain())
    assert await asyncio.to_thread(judge.begun.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    judge.ended.set()
    assert upstream.closed_early == 1
    assert END not in seen
    assert judge.closed == 0
