"""Limits as a client of the running gateway meets them."""

import asyncio
from dataclasses import replace
from typing import Any

import openai
import pytest

from freehold.core.errors import UpstreamUnavailable
from freehold.core.events import FinishReason, MessageEnd, MessageStart, TextDelta
from freehold.core.limits import Limits, MoneyBudget, Period
from tests.fakes.guard import FORBIDDEN
from tests.fakes.keys import CLIENT_KEY, OTHER_KEY, PlainKeyRing
from tests.fakes.upstream import MODEL, SERVED, ScriptedUpstream, answer
from tests.gateway.node import TestNode, running


def limited(key: str = CLIENT_KEY, **fields: Any) -> TestNode:
    keys = PlainKeyRing()
    keys.principals[key] = replace(keys.principals[key], **fields)
    return TestNode(keys=keys)


async def ask(node: TestNode, key: str = CLIENT_KEY) -> str | None:
    async with node.sdk(key) as client:
        done = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}], max_tokens=5)
        return done.choices[0].message.content


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is another task's doing
            await asyncio.sleep(0.005)


async def test_a_request_over_its_rate_is_told_when_to_come_back_and_asks_nobody() -> None:
    async with running(limited(limits=Limits(requests_per_min=2))) as node:
        assert [await ask(node) for _ in range(2)] == ["Hello there."] * 2
        with pytest.raises(openai.RateLimitError) as caught:
            await ask(node)
        assert caught.value.code == "rate_limit_exceeded"
        assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60
        assert "'client' may use 2 requests in a minute" in caught.value.message
        assert len(node.upstream.exchanges) == 2
        assert await ask(node, OTHER_KEY) == "Hello there."
        assert [draft.entry.error_code for draft in node.recorder.drafts] == [None, None, "rate_limit_exceeded", None]


async def test_a_model_that_is_not_the_keys_is_forbidden() -> None:
    async with running(limited(models=("gpt-*",))) as node:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            await ask(node)
        assert caught.value.code == "model_not_allowed"
        assert node.upstream.exchanges == []


async def test_a_key_with_a_budget_is_refused_a_model_nobody_knows_the_price_of() -> None:
    budget = MoneyBudget(limit_microusd=10**9, period=Period.MONTH)
    async with running(limited(limits=Limits(money=budget))) as node:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            await ask(node)
        assert caught.value.code == "price_unknown"


async def test_an_answer_under_way_takes_its_place_until_it_ends() -> None:
    gate = asyncio.Event()
    async with running(limited(limits=Limits(concurrent=1))) as node:
        node.upstream.steps = [
            *(MessageStart(served=SERVED), TextDelta(text="a"), gate, TextDelta(text="b")),
            MessageEnd(finish_reason=FinishReason.STOP),
        ]
        first = asyncio.create_task(ask(node))
        await until(lambda: node.upstream.exchanges)
        with pytest.raises(openai.RateLimitError, match="at the same time"):
            await ask(node)
        gate.set()
        assert await first == "ab"
        assert await ask(node) == "ab"


@pytest.mark.parametrize("end", ["leaves", "fails", "is blocked"])
async def test_an_exchange_that_comes_to_nothing_gives_its_place_back(end: str) -> None:
    async with running(limited(limits=Limits(concurrent=1))) as node:
        if end == "leaves":
            node.upstream.steps = [MessageStart(served=SERVED), TextDelta(text="a"), asyncio.Event()]
            task = asyncio.create_task(ask(node))
            await until(lambda: node.upstream.exchanges)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await until(lambda: node.recorder.drafts)
        elif end == "fails":
            node.upstream.steps = [UpstreamUnavailable("gone")]
            with pytest.raises(openai.InternalServerError):
                await ask(node)
        else:
            async with node.sdk() as client:
                with pytest.raises(openai.BadRequestError):
                    await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": FORBIDDEN}])
        node.upstream.steps = list(answer("again"))
        assert await ask(node) == "again"


async def test_another_upstream_answers_and_the_record_names_it() -> None:
    node = TestNode(
        upstream=ScriptedUpstream(UpstreamUnavailable("gone"), name="first"),
        others=[ScriptedUpstream(*answer("second here"), name="second")],
    )
    async with running(node):
        assert await ask(node) == "second here"
    assert node.recorder.drafts[0].entry.error_code is None
