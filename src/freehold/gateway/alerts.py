"""Tells operators what they should see: posts alerts to webhooks. Implements `core.ports.Alarm`.

Nothing here may hold up or break a request: an alert is put into a short queue and that is all its maker waits for. Decided here:
the same alert is sent once in `repeat_s`, with the number of times it was held back meanwhile; one kind is sent `per_minute` at
most; a place that fails is tried again with growing, random pauses; what could not be told is logged and counted. An alert says
its kind, severity and message, which its maker wrote without content; beyond that only the node's name and the time.
"""

import asyncio
import contextlib
import os
import random
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import TracebackType

import aiohttp
import orjson

from freehold.core.errors import ConfigError, NowhereAllowed, RecordNotWritten
from freehold.core.findings import Action, Alert
from freehold.core.ledger import LedgerEntry, Status
from freehold.core.limits import time_text
from freehold.core.ports import AuditLog, MonotonicClock, UnixClock
from freehold.gateway import log
from freehold.gateway.report_config import AlertConfig, check_url

SEVERITIES = ("info", "warning", "critical")
TIMEOUT_S = 10.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 120.0
FLUSH_S = 3.0  # what is still waiting at a shutdown has so long
MESSAGE_LIMIT_CHARS = 500
REMEMBERED_ALERTS = 1000
_AGAIN = frozenset({408, 425, 429})  # and every 5xx

Count = Callable[[str, str], None]  # (kind, outcome): sent, held_back, undelivered


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notice:
    """An alert on its way to one place."""

    alert: Alert
    at_ns: int
    held_back: int = 0  # how often it was raised since it was last sent


class Destination:
    """One webhook: what it wants to hear, and what waits for it. Used from the event loop's thread alone."""

    def __init__(self, config: AlertConfig, url: str, headers: Mapping[str, str], clock: MonotonicClock) -> None:
        self.config = config
        self.url = url
        self.headers = headers
        self.waiting: asyncio.Queue[_Notice] = asyncio.Queue(config.queue)
        self._clock = clock
        self._last: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()  # (kind, message) -> (sent at, held back)
        self._sent: dict[str, deque[float]] = {}

    def wants(self, alert: Alert) -> bool:
        least = SEVERITIES.index(self.config.min_severity)
        severity = SEVERITIES.index(alert.severity) if alert.severity in SEVERITIES else len(SEVERITIES)
        kinds = self.config.kinds
        return severity >= least and (not kinds or any(fnmatchcase(alert.kind, kind) for kind in kinds))

    def offer(self, notice: _Notice) -> str:
        """What becomes of it: "queued", "held_back", or "undelivered" where the queue is full."""
        now_s, alert = self._clock(), notice.alert
        key = (alert.kind, alert.message)
        sent_at_s, held_back = self._last.get(key, (float("-inf"), 0))
        if now_s - sent_at_s < self.config.repeat_s or not self._has_room(alert.kind, now_s):
            self._remember(key, (sent_at_s, held_back + 1))
            return "held_back"
        try:
            self.waiting.put_nowait(replace(notice, held_back=held_back))
        except asyncio.QueueFull:
            return "undelivered"
        self._sent[alert.kind].append(now_s)
        self._remember(key, (now_s, 0))
        return "queued"

    def _has_room(self, kind: str, now_s: float) -> bool:
        sent = self._sent.setdefault(kind, deque())
        while sent and now_s - sent[0] >= 60:
            sent.popleft()
        return len(sent) < self.config.per_minute

    def _remember(self, key: tuple[str, str], state: tuple[float, int]) -> None:
        self._last[key] = state
        self._last.move_to_end(key)
        if len(self._last) > REMEMBERED_ALERTS:
            self._last.popitem(last=False)

    def body(self, notice: _Notice, node: str) -> bytes:
        return FORMATS[self.config.format](notice, node)


def _as_json(notice: _Notice, node: str) -> bytes:
    return orjson.dumps(
        {
            "kind": notice.alert.kind,
            "severity": notice.alert.severity,
            "message": notice.alert.message,
            "node": node,
            "at": time_text(notice.at_ns),
            "held_back": notice.held_back,
        }
    )


def _as_slack(notice: _Notice, node: str) -> bytes:
    alert = notice.alert
    again = f" ({notice.held_back} more like it were held back)" if notice.held_back else ""
    text = f"[{alert.severity}] {alert.kind} on {node}, {time_text(notice.at_ns)}: {alert.message}{again}"
    for char, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):  # Slack's own three
        text = text.replace(char, escaped)
    return orjson.dumps({"text": text})


FORMATS: dict[str, Callable[[_Notice, str], bytes]] = {"json": _as_json, "slack": _as_slack}


class Alarms:
    """Use it as a context: it posts while it is open. Raising is safe from any thread, before and after, too."""

    def __init__(
        self,
        configs: Sequence[AlertConfig],
        *,
        node: str,
        count: Count = lambda kind, outcome: None,
        audit: AuditLog | None = None,
        clock: MonotonicClock = time.monotonic,
        unix_ns: UnixClock = time.time_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._destinations = [_destination(config, environ, clock) for config in configs]
        self._node = node
        self._count = count
        self._audit = audit
        self._unix_ns = unix_ns
        self._sleep = sleep
        self._loop: asyncio.AbstractEventLoop | None = None
        self._workers: list[asyncio.Task[None]] = []
        self._guard = threading.Lock()

    async def __aenter__(self) -> "Alarms":
        if self._destinations:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
            self._loop = asyncio.get_running_loop()
            self._workers = [self._loop.create_task(self._work(destination)) for destination in self._destinations]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._loop is None:
            return
        await asyncio.sleep(0)  # what other threads raised a moment ago still gets in
        with self._guard:
            self._loop = None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(one.waiting.join() for one in self._destinations)), FLUSH_S)
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for destination in self._destinations:
            while not destination.waiting.empty():
                self._give_up(destination.waiting.get_nowait(), "the node stopped")
        await self._session.close()

    def raise_alert(self, alert: Alert) -> None:
        if not self._destinations:
            return
        notice = _Notice(alert=_presentable(alert), at_ns=self._unix_ns())
        with self._guard, contextlib.suppress(RuntimeError):  # a loop that closed meanwhile
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._offer, notice)
                return
        self._give_up(notice, "the node is not open")

    def _offer(self, notice: _Notice) -> None:
        for destination in self._destinations:
            if destination.wants(notice.alert):
                outcome = destination.offer(notice)
                if outcome == "undelivered":
                    self._give_up(notice, f"{destination.config.queue} alerts are waiting already")
                elif outcome == "held_back":
                    self._count(notice.alert.kind, outcome)

    async def _work(self, destination: Destination) -> None:
        while True:
            notice = await destination.waiting.get()
            trouble: str | None = "the node stopped"
            try:
                trouble = await self._deliver(destination, notice)
            finally:
                if trouble is not None:
                    self._give_up(notice, trouble)
            if trouble is None:
                await self._note(notice)
            destination.waiting.task_done()

    async def _deliver(self, destination: Destination, notice: _Notice) -> str | None:
        """None once it was taken, else why it never was. Never raises."""
        body = destination.body(notice, self._node)
        trouble = "not tried"
        for number in range(destination.config.tries):
            if number:
                pause_s = min(FIRST_PAUSE_S * 2 ** (number - 1), LONGEST_PAUSE_S)
                await self._sleep(pause_s * random.uniform(0.5, 1.0))
            try:
                status = await self._post(destination, body)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
                trouble = type(exc).__name__
                continue
            if 200 <= status < 300:
                return None
            trouble = f"HTTP {status}"
            if status < 500 and status not in _AGAIN:
                break
        return trouble

    async def _post(self, destination: Destination, body: bytes) -> int:
        async with self._session.post(
            destination.url, data=body, headers=dict(destination.headers), allow_redirects=False
        ) as response:
            return response.status

    async def _note(self, notice: _Notice) -> None:
        self._count(notice.alert.kind, "sent")
        if self._audit is not None:
            facts = {"kind": notice.alert.kind, "severity": notice.alert.severity, "message": notice.alert.message}
            with contextlib.suppress(RecordNotWritten):  # the writer has told of it
                await self._audit.append("alert_sent", facts)

    def _give_up(self, notice: _Notice, why: str) -> None:
        self._count(notice.alert.kind, "undelivered")
        log.error("alert_undelivered", kind=notice.alert.kind, severity=notice.alert.severity, why=why)


RECORD_FAILED = Alert(
    kind="record_failed",
    severity="critical",
    message="exchanges cannot be recorded, so that none is answered to its end; the node's log says why",
)


def alert_of(entry: LedgerEntry) -> Alert | None:
    """What an operator should hear of an exchange that is over. Two of the same key and cause read the same."""
    if entry.status is Status.BLOCKED:
        rules = sorted({finding.rule for finding in entry.findings if finding.enforced is Action.BLOCK})
        named = ", ".join(rules) or "its policy"
        return Alert(kind="blocked", severity="warning", message=f"an exchange of {entry.key_id} was blocked by {named}")
    if entry.error_code == NowhereAllowed.code:
        message = f"no upstream may have what {entry.key_id} sent; the log's placements say why"
        return Alert(kind=NowhereAllowed.code, severity="warning", message=message)
    return None


def _destination(config: AlertConfig, environ: Mapping[str, str], clock: MonotonicClock) -> Destination:
    url = config.url or _from(environ, config.url_env or "")
    try:
        check_url(url, f"[[alerts]]: the URL in {config.url_env}")
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc
    headers = {"content-type": "application/json", "user-agent": "freehold"}
    if config.secret_env is not None:
        headers[config.header] = _from(environ, config.secret_env)
    return Destination(config, url, headers, clock)


def _from(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise ConfigError(f"[[alerts]]: the variable {name} is not set; set it where the node is started")
    return value


def _presentable(alert: Alert) -> Alert:
    """One short line, whatever was made of it."""
    message = "".join(char if char.isprintable() else " " for char in alert.message[:MESSAGE_LIMIT_CHARS])
    return replace(alert, message=message)
