import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from aiohttp import web

from freehold.core.errors import ConfigError
from freehold.core.exchange import ExchangeId
from freehold.core.findings import Action, Alert, Mode
from freehold.core.ledger import Status
from freehold.gateway import alerts
from freehold.gateway.alerts import Alarms, alert_of
from freehold.gateway.report_config import AlertConfig
from tests.store.drafts import FINDING, entry

BLOCKED = Alert(kind="blocked", severity="warning", message="key_1 was blocked by aws-access-key")
BROKEN = Alert(kind="circuit_open", severity="critical", message="upstream provider is left alone for 15 s")
SECRET = "hook-secret-7Qx"


class Hook:
    """A webhook on a real server: answers with the statuses it was given, then 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.got: list[tuple[Mapping[str, str], Any]] = []
        self.came = asyncio.Event()
        self.hold: asyncio.Event | None = None
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((request.headers.copy(), json.loads(await request.read())))
        self.came.set()
        if self.hold is not None:
            await self.hold.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"location": "/elsewhere"} if status == 302 else None)

    async def messages(self, count: int) -> list[Any]:
        while len(self.got) < count:
            self.came.clear()
            await asyncio.wait_for(self.came.wait(), 20)
        return [body for _, body in self.got]


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    hook = Hook()
    app = web.Application()
    app.router.add_post("/hook", hook.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield hook
    if hook.hold is not None:
        hook.hold.set()
    await runner.cleanup()


class Counts(dict[tuple[str, str], int]):
    def __call__(self, kind: str, outcome: str) -> None:
        self[kind, outcome] = self.get((kind, outcome), 0) + 1


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Log:
    """Implements `AuditLog` in memory."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Mapping[str, object]]] = []

    async def append(self, kind: str, facts: Mapping[str, object], exchange_id: ExchangeId | None = None) -> None:
        self.rows.append((kind, facts))


async def at_once(pause_s: float) -> None:
    await asyncio.sleep(0)


def alarms(*configs: AlertConfig, **more: Any) -> Alarms:
    given: dict[str, Any] = {"node": "node-1", "sleep": at_once, "unix_ns": lambda: 1_795_000_000 * 10**9, "environ": {}} | more
    return Alarms(configs, **given)


async def test_an_alert_is_posted_with_its_kind_and_nothing_else(hook: Hook) -> None:
    counts, log = Counts(), Log()
    async with alarms(AlertConfig(url=hook.url), count=counts, audit=log) as open_alarms:
        open_alarms.raise_alert(BLOCKED)
        (body,) = await hook.messages(1)
    assert body == {
        "kind": "blocked",
        "severity": "warning",
        "message": "key_1 was blocked by aws-access-key",
        "node": "node-1",
        "at": "2026-11-18T11:06:40Z",
        "held_back": 0,
    }
    assert counts == {("blocked", "sent"): 1}
    assert [kind for kind, _ in log.rows] == ["alert_sent"]


async def test_slack_gets_its_own_format_with_its_characters_escaped(hook: Hook) -> None:
    async with alarms(AlertConfig(url=hook.url, format="slack")) as open_alarms:
        open_alarms.raise_alert(Alert(kind="blocked", severity="warning", message="<!channel> a & b\nsecond line"))
        (body,) = await hook.messages(1)
    assert body == {"text": "[warning] blocked on node-1, 2026-11-18T11:06:40Z: &lt;!channel&gt; a &amp; b second line"}


async def test_a_place_that_fails_first_is_tried_again(hook: Hook) -> None:
    hook.statuses = [500, 429, 503]
    pauses: list[float] = []

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)

    counts = Counts()
    async with alarms(AlertConfig(url=hook.url), sleep=sleep, count=counts) as open_alarms:
        open_alarms.raise_alert(BLOCKED)
        assert len(await hook.messages(4)) == 4
    assert counts == {("blocked", "sent"): 1}
    assert [0.5 * 2**i <= pause <= 2**i for i, pause in enumerate(pauses)] == [True] * 3


@pytest.mark.parametrize("status", [400, 401, 404, 302])
async def test_a_place_that_will_never_take_it_is_not_asked_again(
    hook: Hook, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    hook.statuses = [status, status]
    counts = Counts()
    with caplog.at_level(logging.ERROR, "freehold.gateway"):
        async with alarms(AlertConfig(url=hook.url), count=counts) as open_alarms:
            open_alarms.raise_alert(BLOCKED)
            await hook.messages(1)
    assert len(hook.got) == 1
    assert counts == {("blocked", "undelivered"): 1}
    assert f"HTTP {status}" in caplog.text


async def test_what_cannot_be_told_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    counts = Counts()
    nobody = AlertConfig(url="http://127.0.0.1:9/hook", tries=3)
    with caplog.at_level(logging.ERROR, "freehold.gateway"):
        async with alarms(nobody, count=counts) as open_alarms:
            open_alarms.raise_alert(BLOCKED)
    assert counts == {("blocked", "undelivered"): 1}
    line = json.loads(caplog.messages[-1])
    assert (line["event"], line["kind"]) == ("alert_undelivered", "blocked")
    assert "key_1" not in caplog.text


async def test_the_same_alert_is_not_repeated_and_the_next_says_how_many_there_were(hook: Hook) -> None:
    clock, counts = Clock(), Counts()
    async with alarms(AlertConfig(url=hook.url, repeat_s=60), clock=clock, count=counts) as open_alarms:
        for _ in range(5):
            open_alarms.raise_alert(BLOCKED)
        open_alarms.raise_alert(BROKEN)
        await hook.messages(2)
        clock.now_s += 61
        open_alarms.raise_alert(BLOCKED)
        bodies = await hook.messages(3)
    assert [(body["kind"], body["held_back"]) for body in bodies] == [("blocked", 0), ("circuit_open", 0), ("blocked", 4)]
    assert counts["blocked", "held_back"] == 4


async def test_one_kind_is_sent_so_many_times_a_minute(hook: Hook) -> None:
    clock, counts = Clock(), Counts()
    async with alarms(AlertConfig(url=hook.url, per_minute=3), clock=clock, count=counts) as open_alarms:
        for i in range(10):
            open_alarms.raise_alert(Alert(kind="blocked", severity="info", message=f"key_{i}"))
        open_alarms.raise_alert(BROKEN)
        bodies = await hook.messages(4)
        clock.now_s += 61
        open_alarms.raise_alert(Alert(kind="blocked", severity="info", message="key_9"))
        bodies = await hook.messages(5)
    assert [body["kind"] for body in bodies] == ["blocked"] * 3 + ["circuit_open", "blocked"]
    assert bodies[-1]["held_back"] == 1
    assert counts["blocked", "held_back"] == 7


async def test_a_place_hears_what_it_asked_for(hook: Hook) -> None:
    config = AlertConfig(url=hook.url, kinds=["circuit_*", "policy_refused"], min_severity="warning")
    async with alarms(config) as open_alarms:
        for kind in ("blocked", "circuit_closed", "policy_refused"):
            for severity in ("info", "warning", "made-up"):
                open_alarms.raise_alert(Alert(kind=kind, severity=severity, message=severity))
        bodies = await hook.messages(4)
    assert [(body["kind"], body["severity"]) for body in bodies] == [
        ("circuit_closed", "warning"),
        ("circuit_closed", "made-up"),
        ("policy_refused", "warning"),
        ("policy_refused", "made-up"),
    ]


def test_a_kind_that_no_alert_is_of_is_refused() -> None:
    with pytest.raises(ValueError, match="kinds has 'blokced', which no alert is; there are blocked, "):
        AlertConfig(url="https://hooks.example/x", kinds=["circuit_*", "blokced"])


async def test_the_secret_goes_in_its_header_and_nowhere_else(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    hook.statuses = [400]
    config = AlertConfig(url=hook.url, header="x-token", secret_env="HOOK_SECRET")
    async with alarms(config, environ={"HOOK_SECRET": SECRET}) as open_alarms:
        open_alarms.raise_alert(BLOCKED)
        await hook.messages(1)
        assert SECRET not in repr(open_alarms)
    assert hook.got[0][0]["x-token"] == SECRET
    assert SECRET not in caplog.text


async def test_a_url_can_stand_in_a_variable(hook: Hook) -> None:
    async with alarms(AlertConfig(url_env="HOOK"), environ={"HOOK": hook.url}) as open_alarms:
        open_alarms.raise_alert(BLOCKED)
        assert len(await hook.messages(1)) == 1
    with pytest.raises(ConfigError, match="HOOK must be https"):
        alarms(AlertConfig(url_env="HOOK"), environ={"HOOK": "http://hooks.example/x"})
    with pytest.raises(ConfigError, match="HOOK is not set"):
        alarms(AlertConfig(url_env="HOOK"))


async def test_raising_never_waits_and_a_full_queue_drops_with_a_count(hook: Hook) -> None:
    hook.hold = asyncio.Event()
    counts = Counts()
    async with alarms(AlertConfig(url=hook.url, queue=2, per_minute=600), count=counts) as open_alarms:
        open_alarms.raise_alert(BROKEN)
        await hook.messages(1)  # the place took it and does not answer
        for i in range(100):
            open_alarms.raise_alert(Alert(kind="blocked", severity="info", message=str(i)))
        await asyncio.sleep(0)
        assert counts["blocked", "undelivered"] == 98
        hook.hold.set()
        await hook.messages(3)


async def test_raising_is_safe_from_threads_and_before_and_after(hook: Hook) -> None:
    counts = Counts()
    closed = alarms(AlertConfig(url=hook.url, per_minute=600), count=counts)
    closed.raise_alert(BLOCKED)
    async with closed as open_alarms:
        messages = [Alert(kind="blocked", severity="info", message=str(i)) for i in range(50)]
        threads = [threading.Thread(target=open_alarms.raise_alert, args=(message,)) for message in messages]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        await hook.messages(50)
    open_alarms.raise_alert(BLOCKED)
    assert counts == {("blocked", "undelivered"): 2, ("blocked", "sent"): 50}


async def test_without_places_nothing_is_done() -> None:
    async with alarms() as open_alarms:
        open_alarms.raise_alert(BLOCKED)


async def test_a_shutdown_does_not_wait_for_a_place_that_hangs(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "FLUSH_S", 0.05)
    hook.hold = asyncio.Event()
    counts = Counts()
    async with alarms(AlertConfig(url=hook.url), count=counts) as open_alarms:
        open_alarms.raise_alert(BROKEN)
        open_alarms.raise_alert(BLOCKED)
        await hook.messages(1)
    assert counts == {("circuit_open", "undelivered"): 1, ("blocked", "undelivered"): 1}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({}, "set url or url_env"),
        ({"url": "https://a.example", "url_env": "B"}, "not both"),
        ({"url": "http://hooks.example/x"}, "must be https"),
        ({"url": "ftp://hooks.example/x"}, "https://"),
        ({"url": "https://user:pw@hooks.example/x"}, "credentials"),
        ({"url": "https://a.example", "header": "x y"}, "no header"),
        ({"url": "https://a.example", "min_severity": "loud"}, "loud"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(setting: dict[str, object], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(setting, AlertConfig)


@pytest.mark.parametrize(
    "url", ["https://hooks.example/x?token=1", "http://127.0.0.1:8080/", "http://[::1]/x", "http://localhost/x"]
)
def test_https_and_this_machine_are_fine(url: str) -> None:
    assert AlertConfig(url=url).url == url


def test_a_block_and_a_placement_nowhere_are_told_and_nothing_else() -> None:
    rules = [
        replace(FINDING, rule=rule, action=action)
        for rule, action in (("b", Action.BLOCK), ("a", Action.BLOCK), ("m", Action.MASK))
    ]
    shadow = replace(FINDING, rule="s", action=Action.BLOCK, mode=Mode.SHADOW)
    blocked = entry("xc_1", findings=(*rules, shadow), status=Status.BLOCKED)
    told = alert_of(blocked)
    assert told == Alert(kind="blocked", severity="warning", message="an exchange of key_1 was blocked by a, b")
    assert alert_of(replace(blocked, exchange_id=ExchangeId("xc_2"))) == told  # so that a storm is told once
    nowhere = alert_of(replace(entry("xc_1", status=Status.FAILED), error_code="nowhere_allowed"))
    assert nowhere is not None
    assert nowhere.kind == "nowhere_allowed"
    assert alert_of(entry("xc_1", status=Status.FAILED)) is None
    assert alert_of(entry("xc_1", findings=(FINDING,))) is None
