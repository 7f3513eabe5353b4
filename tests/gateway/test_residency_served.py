"""Residency through the running gateway: the semantics that need one, under their numbers."""

import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import openai
import pytest
from aiohttp import web

from freehold.core.errors import UpstreamUnavailable
from freehold.gateway.config import RoutingConfig, UpstreamConfig
from freehold.gateway.upstreams import make_upstream
from freehold.guard.labels import Label
from freehold.guard.residency import LabelPolicy
from freehold.guard.residency_config import LabelRuleConfig, ResidencyConfig, SiteConfig
from tests.fakes.guard import SECRET
from tests.fakes.upstream import MODEL, ScriptedUpstream
from tests.gateway.node import TestNode, running

HERE = SiteConfig(region="eu-central-1", jurisdiction="DE", attested_at=date(2026, 1, 1))
AWAY = SiteConfig(region="us-west-2", jurisdiction="US", attested_at=date(2026, 1, 1))
DOWN = UpstreamUnavailable("cannot be reached")
MESSAGES: Any = [{"role": "user", "content": "hello"}]


def residency(**rules: LabelRuleConfig) -> LabelPolicy:
    """The fake guard's one secret stands for personal data."""
    anywhere, eu = LabelRuleConfig(allowed=["*"]), LabelRuleConfig(allowed=["EU"])
    labels = {Label(name): rule for name, rule in ({"internal": anywhere, "personal": eu} | rules).items()}
    sites = {"here": HERE, "here-too": HERE, "away": AWAY}
    return LabelPolicy(ResidencyConfig(labels=labels, upstreams=sites, findings={"sesame": Label.PERSONAL}))


def node(*upstreams: ScriptedUpstream, **more: Any) -> TestNode:
    first, *others = upstreams
    return TestNode(
        upstream=first, others=list(others), residency=residency(**more), routing=RoutingConfig(tries=4, backoff_s=0.01)
    )


async def ask(node: TestNode, text: str = "hello", *, labels: str = "", stream: bool = False, **more: Any) -> int:
    """The status of one exchange, streamed to its end."""
    headers = {"x-freehold-labels": labels} if labels else {}
    messages: Any = [{"role": "user", "content": text}]
    async with node.sdk() as client:
        try:
            answer: Any = await client.chat.completions.create(
                model=MODEL, messages=messages, stream=stream, extra_headers=headers, **more
            )
            if stream:
                async for _ in answer:
                    pass
        except openai.APIStatusError as error:
            return error.status_code
    return 200


async def test_3_a_fallback_never_goes_where_the_first_try_could_not() -> None:
    here, away = ScriptedUpstream(DOWN, name="here"), ScriptedUpstream(name="away")
    async with running(node(here, away)) as gateway:
        assert await ask(gateway, f"it is {SECRET}") == 503
        assert len(here.exchanges) > 1  # it was tried again,
        assert away.exchanges == []  # and nobody else was
        assert await ask(gateway, "nothing personal") == 200
        assert len(away.exchanges) == 1


async def test_3_a_fallback_goes_to_another_that_may() -> None:
    down, up = ScriptedUpstream(DOWN, name="here"), ScriptedUpstream(name="here-too")
    async with running(node(down, up)) as gateway:
        assert await ask(gateway, labels="personal") == 200
        assert len(up.exchanges) == 1


async def test_4_nowhere_is_451_in_the_dialects_own_shape_and_recorded() -> None:
    away = ScriptedUpstream(name="away")
    async with running(node(away)) as gateway, gateway.sdk() as client:
        with pytest.raises(openai.APIStatusError, match="away: jurisdiction_not_allowed") as caught:
            await client.chat.completions.create(model=MODEL, messages=MESSAGES, extra_headers={"x-freehold-labels": "personal"})
        assert caught.value.status_code == 451
        assert caught.value.code == "nowhere_allowed"
        assert away.exchanges == []
        assert gateway.recorder.drafts[-1].entry.error_code == "nowhere_allowed"
        assert gateway.audit.rows[-1][1]["allowed"] == []


async def test_6_a_caller_cannot_talk_personal_data_down() -> None:
    away = ScriptedUpstream(name="away")
    async with running(node(away)) as gateway:
        assert await ask(gateway, f"it is {SECRET}", labels="public") == 451
        assert await ask(gateway, "nothing personal", labels="public") == 200


async def test_a_label_nobody_knows_is_the_callers_fault() -> None:
    async with running(node(ScriptedUpstream(name="here"))) as gateway:
        assert await ask(gateway, labels="harmless") == 400


@pytest.mark.parametrize("stream", [False, True])
async def test_10_streams_and_tools_obey_the_same_labels(stream: bool) -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": f"knows {SECRET}", "parameters": {}}}]
    away = ScriptedUpstream(name="away")
    async with running(node(away)) as gateway:
        assert await ask(gateway, stream=stream, tools=tools) == 451
        assert away.exchanges == []


async def test_11_what_an_earlier_turn_said_still_counts() -> None:
    history: Any = [
        {"role": "user", "content": f"it is {SECRET}"},
        {"role": "assistant", "content": "noted"},
        {"role": "user", "content": "and the weather?"},
    ]
    async with running(node(ScriptedUpstream(name="away"))) as gateway, gateway.sdk() as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(model=MODEL, messages=history)
        assert caught.value.status_code == 451


async def test_the_decision_is_kept_before_anything_is_sent_and_without_it_nothing_is() -> None:
    here = ScriptedUpstream(name="here")
    async with running(node(here)) as gateway:
        assert await ask(gateway) == 200
        ((kind, facts, exchange_id),) = gateway.audit.rows
        assert (kind, facts["allowed"]) == ("placement", ["here"])
        assert exchange_id == gateway.recorder.drafts[0].entry.exchange_id
        assert SECRET not in json.dumps(facts)
        gateway.audit.failing = True
        assert await ask(gateway) == 503
        assert len(here.exchanges) == 1


class Hosts:
    """Two hosts: the first sends everything on to the second, which must never be asked."""

    def __init__(self) -> None:
        self.first = self.second = ""
        self.reached: list[str] = []

    async def redirect(self, request: web.Request) -> web.Response:
        self.reached.append("first")
        return web.Response(status=307, headers={"location": f"{self.second}/chat/completions"})

    async def elsewhere(self, request: web.Request) -> web.Response:
        self.reached.append("second")
        return web.json_response({})


@pytest.fixture
async def hosts() -> AsyncIterator[Hosts]:
    hosts, runners = Hosts(), []
    for name, handler in (("first", hosts.redirect), ("second", hosts.elsewhere)):
        app = web.Application()
        app.router.add_post("/v1/chat/completions", handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        setattr(hosts, name, f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        runners.append(runner)
    yield hosts
    for runner in runners:
        await runner.cleanup()


async def test_9_a_redirect_to_another_host_is_not_followed(hosts: Hosts) -> None:
    upstream = make_upstream(UpstreamConfig(name="here", url=hosts.first, models=[MODEL]))
    try:
        async with running(TestNode(upstream=upstream, residency=residency())) as gateway:
            assert await ask(gateway, labels="personal") >= 300
    finally:
        await upstream.close()
    assert hosts.reached
    assert "second" not in hosts.reached
