"""Which upstream answers, and what happens when one does not.

Of the upstreams that serve a model and may have the exchange, those with the lowest priority number that are available share the
requests by their weights (smooth weighted round robin, as in nginx: no bursts to one of them). A try that fails goes to another
upstream at once, or to the same one after a pause: exponential, with full jitter
(aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter), or as long as the provider's Retry-After says.

An answer can be asked for again for as long as nothing of it was sent. So what comes before its first content (that it has begun,
payloads with no text) is held back until that; from then on events are only passed on, and a failure is the client's to know.
Asking again costs at worst a second answer nobody sees: a generation changes nothing at the provider.

Errors that a provider calls the client's fault end the exchange at once: the next would say the same.
"""

import asyncio
import math
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from time import monotonic
from typing import TypeAlias

from freehold.core.errors import ClientError, FreeholdError, NotFound, NowhereAllowed, UpstreamError, UpstreamUnavailable
from freehold.core.events import Event
from freehold.core.exchange import Exchange
from freehold.core.findings import Alert
from freehold.core.ports import Alarm, MonotonicClock, Upstream, UpstreamStatus
from freehold.gateway import log
from freehold.gateway.attempt import CIRCUIT_CLOSED, CIRCUIT_OPEN, Attempt, Lane, May, Outcome, Route, Search
from freehold.gateway.breaker import Breaker, State
from freehold.gateway.config import RoutingConfig

_TURNS = {CIRCUIT_OPEN: "failed too often and is left alone for now; the last time: {error}", CIRCUIT_CLOSED: "answers again"}

Sleep: TypeAlias = Callable[[float], Awaitable[object]]


class Router:
    """All upstreams as one. Belongs to the event loop.

    `on_try` hears of each try's end: the upstream, and an `Outcome`.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        config: RoutingConfig | None = None,
        *,
        alarm: Alarm | None = None,
        on_try: Callable[[str, Outcome], None] = lambda _upstream, _outcome: None,
        monotonic_s: MonotonicClock = monotonic,
        sleep: Sleep = asyncio.sleep,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._config = config or RoutingConfig()
        self._longest_wait_s = max(self._config.retry_after_limit_s, self._config.backoff_limit_s)
        self._lanes = [Lane(route, Breaker(self._config)) for route in sorted(routes, key=lambda route: route.priority)]
        self._alarm = alarm
        self._on_try = on_try
        self._monotonic_s = monotonic_s
        self._sleep = sleep
        self._rng = rng

    @property
    def patience_s(self) -> float:
        """No new try begins later than this."""
        return self._config.patience_s

    @property
    def upstreams(self) -> list[Upstream]:
        return [lane.route.upstream for lane in self._lanes]

    def upstreams_for(self, model: str) -> list[str]:
        """Who serves a model, by priority; none is nobody."""
        return [lane.name for lane in self._lanes if model in lane.route.upstream.models]

    def models(self) -> dict[str, list[str]]:
        """Every model and who serves it."""
        names = dict.fromkeys(model for lane in self._lanes for model in lane.route.upstream.models)
        return {model: self.upstreams_for(model) for model in names}

    def status(self) -> dict[str, UpstreamStatus]:
        """By upstream: its own word, unless its circuit is open."""
        now_s = self._monotonic_s()
        return {lane.name: self._status(lane, now_s) for lane in self._lanes}

    def circuits(self) -> dict[str, str]:
        """By upstream: `closed`, `open` or `half_open`."""
        now_s = self._monotonic_s()
        return {lane.name: lane.breaker.state(now_s).value for lane in self._lanes}

    async def send(self, exchange: Exchange, may: May = lambda _upstream: True) -> AsyncGenerator[list[Event], None]:
        """Yield an answer's events, as they come, from whoever gives one. Closing the iterator cancels the work.

        `may` is asked of every upstream right before each try: whether it may have the exchange now. Raises what the last try
        raised; NotFound where nobody serves the model, NowhereAllowed where nobody may have the exchange.
        """
        search = Search(exchange, may, self._monotonic_s())
        while True:
            lane = await self._next(search)
            attempt = Attempt(lane, search, self._monotonic_s, self._config)
            try:
                yield await attempt.head()
                async for events in attempt.events:
                    yield events
                return
            except FreeholdError as error:
                if search.failure is None or isinstance(error, UpstreamError):  # else: that it could not be asked says less
                    search.failure = error
                if not attempt.fail(error, self._rng()):
                    raise
            finally:
                await attempt.close()
                self._tell(lane, attempt)

    async def _next(self, search: Search) -> Lane:
        """The lane of the next try, once it may begin. Raises the last failure where there is none."""
        model, latest_s = search.exchange.model, search.began_s + self._config.patience_s
        while True:
            now_s = self._monotonic_s()
            if search.failure is not None and now_s > latest_s:
                raise search.failure
            lanes = self._open_to(search)
            if search.tried >= self._config.tries:  # who was not asked yet still is: one more upstream never serves less
                lanes = [lane for lane in lanes if lane.name not in search.tries]
            ready_in_s = {lane: self._ready_at_s(lane, search) - now_s for lane in lanes if lane.allows(now_s)}
            if ready := [lane for lane, wait_s in ready_in_s.items() if wait_s <= 0]:
                return self._take_turn(model, _best(ready, search))
            wait_s = min(ready_in_s.values(), default=math.inf)
            if wait_s > self._longest_wait_s or now_s + wait_s > latest_s:
                left = [lane for lane in lanes if lane.name not in search.tries]
                if search.failure is None or (left and isinstance(search.failure, ClientError)):
                    raise self._all_closed(model, left or lanes, now_s)
                raise search.failure
            await self._sleep(wait_s)

    def _open_to(self, search: Search) -> list[Lane]:
        """Those that serve the model and may have the exchange; there is at least one."""
        serving = [lane for lane in self._lanes if search.exchange.model in lane.route.upstream.models]
        lanes = [lane for lane in serving if search.may(lane.name)]
        if lanes:
            return lanes
        if search.failure is not None:
            raise search.failure
        if serving:
            raise NowhereAllowed("no upstream that serves this model may have this request: its labels forbid each of them")
        names = ", ".join(sorted(self.models())) or "none"
        raise NotFound(f"no upstream serves this model; known models: {names}", code="model_not_found")

    def _ready_at_s(self, lane: Lane, search: Search) -> float:
        cool_until_s = lane.cool_until_s.get(search.exchange.model, search.began_s)
        return max(cool_until_s, search.ready_at_s.get(lane.name, search.began_s))

    def _all_closed(self, model: str, lanes: Sequence[Lane], now_s: float) -> UpstreamUnavailable:
        """Nobody of these was asked: their circuits are open, or providers said to come back later."""
        waits_s = [max(lane.breaker.opens_in_s(now_s), lane.cool_until_s.get(model, now_s) - now_s) for lane in lanes]
        why = "; ".join(f"{lane.name}: {lane.last_error}" for lane in lanes)
        return UpstreamUnavailable(
            f"every upstream of {model} is left alone for now ({why}); try again", retry_after_s=min(waits_s)
        )

    def _take_turn(self, model: str, lanes: Sequence[Lane]) -> Lane:
        """Smooth weighted round robin: everyone gains its weight, and the first in credit pays for all."""
        if len(lanes) == 1:
            return lanes[0]
        for lane in lanes:
            lane.credits[model] = lane.credits.get(model, 0) + lane.route.weight
        chosen = max(lanes, key=lambda lane: lane.credits[model])
        chosen.credits[model] -= sum(lane.route.weight for lane in lanes)
        return chosen

    def _status(self, lane: Lane, now_s: float) -> UpstreamStatus:
        state = lane.breaker.state(now_s)
        if state is State.CLOSED or not lane.route.has_breaker:
            return lane.route.upstream.status()
        if state is State.HALF_OPEN:  # ready, or a node without other upstreams would get no request that could be the probe
            return UpstreamStatus(ready=True, detail=f"failed too often ({lane.last_error}); the next request probes it")
        opens_in_s = lane.breaker.opens_in_s(now_s)
        return UpstreamStatus(ready=False, detail=f"failed too often ({lane.last_error}); probed in {opens_in_s:.0f} s")

    def _tell(self, lane: Lane, attempt: Attempt) -> None:
        self._on_try(lane.name, attempt.outcome)
        if attempt.outcome in (Outcome.FAILED, Outcome.LIMITED, Outcome.BROKEN):
            log.info("upstream_try_failed", upstream=lane.name, exchange_id=attempt.exchange_id, error=lane.last_error)
        if attempt.turn is not None:
            words = f"upstream {lane.name} " + _TURNS[attempt.turn].format(error=lane.last_error)
            log.info(attempt.turn, upstream=lane.name)
            if self._alarm is not None:
                severity = "critical" if attempt.turn == CIRCUIT_OPEN else "info"
                self._alarm.raise_alert(Alert(kind=attempt.turn, severity=severity, message=words))


def _best(ready: Sequence[Lane], search: Search) -> list[Lane]:
    """Of those that could be asked now: not asked before, then in working order, then of the lowest number."""
    if len(ready) == 1:
        return [*ready]
    ready = [lane for lane in ready if lane.name not in search.tries] or ready
    ready = [lane for lane in ready if lane.route.upstream.status().ready] or ready
    return [lane for lane in ready if lane.route.priority == ready[0].route.priority]
