"""The router over real providers on loopback: failover as the network shows it, and where a provider's key never shows."""

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from freehold.core.errors import FreeholdError, UpstreamBroken, UpstreamRejected
from freehold.core.events import MessageStart, TextDelta
from freehold.core.exchange import Exchange
from freehold.core.findings import Alert
from freehold.gateway.attempt import Route
from freehold.gateway.config import RoutingConfig, UpstreamConfig
from freehold.gateway.metrics import Metrics
from freehold.gateway.router import Router
from freehold.gateway.upstreams import make_upstream
from tests.fakes.recorder import InMemoryRecorder
from tests.fakes.upstream import told
from tests.gateway.asking import asked
from tests.gateway.upstreams.provider import END, STREAM, chunked, json_answer, provider

PROVIDER_KEY = "sk-provider-0123456789"
HELLO = b'data: {"model":"theirs-1","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"}}]}\n\n'
BEGUN = b'data: {"model":"theirs-1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
WHOLE = (STREAM, chunked(HELLO), chunked(STOP), END)
LOUD = orjson.dumps({"error": {"message": f"the key {PROVIDER_KEY} is over its quota", "code": "quota"}})


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PROVIDER_KEY", PROVIDER_KEY)


def exchange() -> Exchange:
    return asked({"model": "ours", "messages": [{"role": "user", "content": "hi"}], "stream": True})


@asynccontextmanager
async def routed(*urls: str, tries: int = 3, **told: Any) -> AsyncIterator[Router]:
    routes = [
        Route(upstream=make_upstream(UpstreamConfig(name=f"p{n}", url=url, models=["ours"], api_key_env="TEST_PROVIDER_KEY")))
        for n, url in enumerate(urls)
    ]
    config = RoutingConfig(tries=tries, backoff_s=0.001, breaker_failures=2)
    router = Router(routes, config, **told)
    try:
        yield router
    finally:
        for upstream in router.upstreams:
            await upstream.close()


async def ask(router: Router) -> tuple[str, str]:
    """What was said, and by whom."""
    text, who = "", ""
    for event in await told(router.send(exchange())):
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, MessageStart):
            who = event.served.provider
    return text, who


def unused_url() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


@pytest.mark.parametrize(
    ("script", "closes"),
    [
        ([json_answer(LOUD, "503 Service Unavailable")], False),
        ([json_answer(LOUD, "429 Too Many Requests")], False),
        ([STREAM, chunked(BEGUN)], True),
        ([b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n"], False),
        ([], True),
    ],
    ids=["503", "429", "dies before its first word", "is no provider", "hangs up"],
)
async def test_whatever_one_provider_does_before_its_first_word_another_answers(script: list[bytes], closes: bool) -> None:
    async with provider(*script, closes=closes) as bad, provider(*WHOLE) as good, routed(bad.url, good.url) as router:
        assert await ask(router) == ("Hello", "p1")
    assert (len(bad.requests), len(good.requests)) == (1, 1)


async def test_a_provider_that_cannot_be_reached_is_passed_over() -> None:
    async with provider(*WHOLE) as good, routed(unused_url(), good.url) as router:
        assert await ask(router) == ("Hello", "p1")


async def test_a_provider_that_dies_after_its_first_word_is_not_replaced() -> None:
    async with (
        provider(STREAM, chunked(HELLO), closes=True) as bad,
        provider(*WHOLE) as good,
        routed(bad.url, good.url) as router,
    ):
        with pytest.raises(UpstreamBroken):
            await ask(router)
    assert good.requests == []


async def test_a_provider_that_calls_the_request_wrong_has_the_last_word() -> None:
    wrong = json_answer(b'{"error":{"message":"n is too large"}}', "400 Bad Request")
    async with provider(wrong) as bad, provider(*WHOLE) as good, routed(bad.url, good.url) as router:
        with pytest.raises(UpstreamRejected, match="n is too large") as caught:
            await ask(router)
    assert caught.value.status == 400
    assert good.requests == []


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "429 Too Many Requests", "500 Internal Server Error"])
async def test_a_providers_key_shows_in_no_log_error_alert_status_or_metric(
    status: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    metrics, alerts, shown = Metrics(), list[Alert](), list[str]()

    class Alarms:
        def raise_alert(self, alert: Alert) -> None:
            alerts.append(alert)

    async with (
        provider(json_answer(LOUD, status, f"x-echo: {PROVIDER_KEY}")) as bad,
        routed(bad.url, tries=2, alarm=Alarms(), on_try=metrics.count_try) as router,
    ):
        for _ in range(3):
            with pytest.raises(FreeholdError) as caught:
                await ask(router)
            shown += [caught.value.message, repr(caught.value), str(caught.value.code)]
        assert PROVIDER_KEY.encode() in bad.requests[0]
        shown += [repr(router.status()), repr(router.circuits()), repr(router), *map(repr, router.upstreams)]
        shown.append(metrics.expose(router.upstreams, InMemoryRecorder()).decode())
    shown += [caplog.text, repr(alerts)]
    assert shown
    assert PROVIDER_KEY not in "\n".join(shown)
    assert "upstream_try_failed" in caplog.text or status.startswith("400")
