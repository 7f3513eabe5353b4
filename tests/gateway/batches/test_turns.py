"""Requests whose sender can wait, over HTTP."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from freehold.core.ledger import Status
from freehold.core.limits import Limits
from freehold.core.measurement import NOTHING_RAN
from freehold.core.ports import EngineLoad, SignalPoint
from freehold.gateway.batches import waiting
from freehold.gateway.batches.config import BatchesConfig
from freehold.gateway.config import LimitsConfig
from tests.fakes.guard import FORBIDDEN, SECRET
from tests.fakes.keys import CLIENT_KEY, OTHER_KEY
from tests.fakes.upstream import MODEL, ScriptedUpstream, answer
from tests.gateway.batches.site import CHAT, Site, running, until

DEFERRABLE = {"x-freehold-priority": "deferrable", "x-freehold-deadline": "2h"}


def ask(
    site: Site, text: str = "hello", *, headers: dict[str, str] | None = None, key: str = CLIENT_KEY, **body: Any
) -> "asyncio.Future[Any]":
    raw = site.sdk(key).chat.completions.with_raw_response
    messages: Any = [{"role": "user", "content": text}]
    asked = raw.create(model=MODEL, messages=messages, extra_headers=headers or DEFERRABLE, **body)
    return asyncio.ensure_future(asked)


def dirty_then_clean(now_s: float, clean_in_s: float = 1800) -> list[SignalPoint]:
    return [
        SignalPoint(start_s=now_s - 60, end_s=now_s + clean_in_s, g_per_kwh=400.0),
        SignalPoint(start_s=now_s + clean_in_s, end_s=now_s + 9000, g_per_kwh=100.0),
    ]


async def test_a_request_waits_for_clean_power(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    site.sky.points = dirty_then_clean(site.clock())
    async with running(site):
        asked = ask(site, max_tokens=20)
        await asyncio.sleep(0.2)
        assert site.node.upstream.exchanges == []
        site.clock.ahead_s = 1801
        site.turns.wake()
        response = await asked
        assert 1800 <= int(response.headers["x-freehold-deferred"]) <= 1802
        assert "x-freehold-late" not in response.headers
        assert response.parse().choices[0].message.content == "Hello there."
        ((_, entry),) = site.reader.after(0, 9)
        (asked_for,) = site.node.upstream.exchanges
        assert asked_for.can_wait
        assert entry.turn is not None
        assert (entry.turn.g_at_once, entry.turn.g_at_run, entry.turn.batch) == (400.0, 100.0, None)
        assert entry.turn.at_once_s == entry.turn.arrived_s
        assert b"freehold_deferred_exchanges_total" in site.services.metrics.expose([], site.services.recorder)


async def test_where_nothing_is_known_or_it_runs_elsewhere_it_runs_at_once(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    async with running(site):
        response = await ask(site)
        assert response.headers["x-freehold-deferred"] == "0"
        site.sky.points = dirty_then_clean(site.clock())
        site.here = False
        assert (await ask(site)).headers["x-freehold-deferred"] == "0"


async def test_what_cannot_be_in_time_runs_at_once_and_is_told(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    site.sky.points = dirty_then_clean(site.clock())
    async with running(site):
        response = await ask(site, headers={**DEFERRABLE, "x-freehold-deadline": "20s"})
        assert response.headers["x-freehold-late"] == "true"


SAID_IN_BODIES: list[tuple[str, dict[str, Any]]] = [
    (CHAT, {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "service_tier": "flex", "deadline": "2h"}),
    (CHAT, {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "priority": "deferrable", "deadline": "2h"}),
    ("/v1/responses", {"model": MODEL, "input": "hello", "service_tier": "flex", "deadline": "2h"}),
    (
        "/v1/messages",
        {
            "model": MODEL,
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "hello"}],
            "service_tier": "auto",
            "priority": "deferrable",
            "deadline": "2h",
        },
    ),
    (
        f"/v1beta/models/{MODEL}:generateContent",
        {"contents": [{"parts": [{"text": "hello"}]}], "serviceTier": "flex", "deadline": "2h"},
    ),
]


@pytest.mark.parametrize(("path", "body"), SAID_IN_BODIES)
async def test_a_body_of_any_dialect_may_say_it(tmp_path: Path, path: str, body: dict[str, Any]) -> None:
    site = Site(home=tmp_path)
    site.sky.points = dirty_then_clean(site.clock())
    async with running(site), aiohttp.ClientSession(headers={"authorization": f"Bearer {CLIENT_KEY}"}) as client:
        asked = asyncio.ensure_future(client.post(site.node.url + path, json=body))
        await asyncio.sleep(0.2)
        assert site.node.upstream.exchanges == []
        site.clock.ahead_s = 1801
        site.turns.wake()
        async with await asked as response:
            assert response.status == 200
            assert int(response.headers["x-freehold-deferred"]) >= 1800
        (asked_for,) = site.node.upstream.exchanges
        assert asked_for.can_wait
        assert asked_for.is_rewritten
        assert asked_for.document == {name: value for name, value in body.items() if name not in ("priority", "deadline")}


async def test_the_nodes_word_now_sends_a_tier_on_without_waiting_here(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    site.sky.points = dirty_then_clean(site.clock())
    async with running(site):
        response = await ask(site, headers={"x-freehold-priority": "now"}, service_tier="flex")
        assert "x-freehold-deferred" not in response.headers
        (asked_for,) = site.node.upstream.exchanges
        assert (asked_for.can_wait, asked_for.document["service_tier"]) == (False, "flex")


async def test_what_the_guard_changes_still_can_wait(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    async with running(site):
        await ask(site, f"my key is {SECRET}")
        (asked_for,) = site.node.upstream.exchanges
        assert asked_for.is_rewritten
        assert asked_for.can_wait


WRONG_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"priority": "low"}, "'deferrable' or 'now', got 'low'"),
    ({"priority": True}, "priority: expected a string"),
    ({"deadline": "2h"}, "goes with"),
    ({"priority": "deferrable", "deadline": 1.5}, "deadline: expected a string"),
    ({"priority": "deferrable", "deadline": 90}, "in the past"),
    ({"service_tier": 1}, "service_tier: expected a string"),
]


async def test_fields_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    async with running(Site(home=tmp_path)) as site:
        for fields, words in WRONG_FIELDS:
            with pytest.raises(openai.BadRequestError, match=words):
                await ask(site, headers={"x-nothing": "said"}, extra_body=fields)
        with pytest.raises(openai.BadRequestError, match="differently"):
            await ask(site, extra_body={"priority": "now"})
        assert site.node.upstream.exchanges == []


WRONG_WORDS = [
    ({"x-freehold-priority": "low"}, "deferrable"),
    ({"x-freehold-deadline": "2h"}, "goes with"),
    ({**DEFERRABLE, "x-freehold-deadline": "2001-01-01T00:00:00Z"}, "in the past"),
    ({**DEFERRABLE, "x-freehold-deadline": "0s"}, "in the past"),
    ({**DEFERRABLE, "x-freehold-deadline": "25h"}, "a day at most"),
    ({**DEFERRABLE, "x-freehold-deadline": "tomorrow"}, "no time"),
]


async def test_words_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    async with running(Site(home=tmp_path)) as site:
        for headers, words in WRONG_WORDS:
            with pytest.raises(openai.BadRequestError, match=words):
                await ask(site, headers=headers)
        assert site.node.upstream.exchanges == []


async def test_what_the_guard_blocks_does_not_wait_for_it(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    site.sky.points = dirty_then_clean(site.clock())
    async with running(site):
        with pytest.raises(openai.BadRequestError, match="policy"):
            await ask(site, FORBIDDEN)


async def test_a_client_that_leaves_waits_no_longer(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    site.sky.points = dirty_then_clean(site.clock())
    async with running(site):
        asked = ask(site)
        await asyncio.sleep(0.2)
        asked.cancel()
        await until(lambda: bool(site.reader.recent(1)))
        ((_, entry),) = site.reader.after(0, 9)
        assert (entry.status, entry.error_code, entry.turn) == (Status.CANCELLED, "client_left", None)
        assert entry.energy == NOTHING_RAN
        assert site.turns.current().starts == {}


async def test_a_stream_that_waits_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_SIGN_OF_LIFE_S", 0.03)
    site = Site(home=tmp_path)
    site.sky.points = dirty_then_clean(site.clock())
    async with running(site):
        messages: Any = [{"role": "user", "content": "hello"}]
        stream = await site.sdk().chat.completions.create(model=MODEL, messages=messages, stream=True, extra_headers=DEFERRABLE)
        site.clock.ahead_s = 1801
        site.turns.wake()
        told = [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]
        assert "".join(text or "" for text in told) == "Hello there."


async def test_only_so_many_go_at_a_time_and_live_ones_first(tmp_path: Path) -> None:
    hold = asyncio.Event()
    site = Site(home=tmp_path, config=BatchesConfig(concurrency=2))
    site.node.upstream = ScriptedUpstream(hold, *answer("Hello"))
    async with running(site):
        live = ask(site, headers={"x-freehold-priority": "now"})
        await until(lambda: len(site.node.upstream.exchanges) == 1)
        waiting_ones = [ask(site) for _ in range(3)]
        await asyncio.sleep(0.2)
        assert len(site.node.upstream.exchanges) == 2  # one place is the live one's
        hold.set()
        await asyncio.gather(live, *waiting_ones)
        assert len(site.node.upstream.exchanges) == 4


async def test_what_waits_is_not_under_way_and_begins_within_its_keys_limits(tmp_path: Path) -> None:
    hold = asyncio.Event()
    site = Site(home=tmp_path)
    site.sky.points = dirty_then_clean(site.clock())
    ring: Any = site.node.keys
    ring.principals[CLIENT_KEY] = replace(ring.authenticate(CLIENT_KEY), limits=Limits(concurrent=1))
    site.node.upstream = ScriptedUpstream(hold, *answer("Hello"))
    async with running(site):
        deferred = [ask(site), ask(site)]
        await asyncio.sleep(0.2)
        page = site.services.metrics.expose([], site.services.recorder)
        assert b"freehold_waiting_exchanges 2.0" in page
        assert b"freehold_active_exchanges 0.0" in page
        live = ask(site, headers={"x-freehold-priority": "now"})
        await until(lambda: len(site.node.upstream.exchanges) == 1)
        with pytest.raises(openai.RateLimitError, match="at the same time"):
            await ask(site, headers={"x-freehold-priority": "now"})
        site.clock.ahead_s = 1801
        site.turns.wake()
        other = ask(site, key=OTHER_KEY)  # the limits of one key are nobody else's
        await until(lambda: len(site.node.upstream.exchanges) == 2)
        hold.set()
        await asyncio.gather(live, other, *deferred)
        assert len(site.node.upstream.exchanges) == 4


async def test_what_limits_leave_no_room_for_by_its_deadline_is_told_so(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    ring: Any = site.node.keys
    ring.principals[CLIENT_KEY] = replace(ring.authenticate(CLIENT_KEY), limits=Limits(requests_per_min=1))
    async with running(site):
        await ask(site)
        with pytest.raises(openai.RateLimitError, match="may use 1 requests in a minute"):
            await ask(site, headers={**DEFERRABLE, "x-freehold-deadline": "20s"})


async def test_too_many_that_wait_are_told_so(tmp_path: Path) -> None:
    site = Site(home=tmp_path)
    site.node.limits = LimitsConfig(waiting_per_key=1)
    site.sky.points = dirty_then_clean(site.clock())
    async with running(site):
        waits = ask(site)
        await asyncio.sleep(0.2)
        with pytest.raises(openai.RateLimitError, match="wait for their turn") as caught:
            await ask(site)
        assert caught.value.code == "too_many_waiting"
        assert caught.value.response.headers["retry-after"] == "60"
        waits.cancel()
        await until(lambda: len(site.reader.recent(9)) == 2)
        site.sky.points = ()
        await ask(site)


async def test_nothing_begins_beside_live_requests_that_wait_in_the_engine(tmp_path: Path) -> None:
    hold = asyncio.Event()
    load = EngineLoad(running=2, waiting=1, pages=1, free_pages=0, input_tokens_per_s=0, output_tokens_per_s=0, token_s=0.01)
    site = Site(home=tmp_path, load=lambda: load)
    site.node.upstream = ScriptedUpstream(hold, *answer("Hello"))
    async with running(site):
        live = ask(site, headers={"x-freehold-priority": "now"})
        await until(lambda: len(site.node.upstream.exchanges) == 1)
        waits = ask(site)
        await asyncio.sleep(0.2)
        assert len(site.node.upstream.exchanges) == 1
        hold.set()
        await asyncio.gather(live, waits)
