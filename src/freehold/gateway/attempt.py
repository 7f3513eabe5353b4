"""One try of one exchange at one upstream: what is held back, how it ended, and what that says of the upstream.

Held back is what comes before the first content: as long as nothing was sent, another upstream can still answer in its place.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from freehold.core.errors import (
    ClientError,
    FreeholdError,
    ModelRefused,
    UpstreamBroken,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from freehold.core.events import Event, MessageStart, Payload, PromptText, ReasoningDelta, TextDelta, Usage, Worked
from freehold.core.exchange import Exchange
from freehold.core.ports import MonotonicClock, Upstream
from freehold.gateway.breaker import Breaker
from freehold.gateway.config import RoutingConfig

HELD_EVENTS = 256
HELD_BYTES = 256 << 10
HELD_S = 10.0  # a provider that only says it is alive: by then its client should hear so too
COOL_LIMIT_S = 60.0  # a Retry-After is believed for so long; a quota may be raised before its day is over

KEY_REFUSED = "provider_key_refused"  # the code of an error that no second try at the same provider would mend
_NOT_MENDED = (KEY_REFUSED, ModelRefused.code)

CIRCUIT_OPEN, CIRCUIT_CLOSED = "circuit_open", "circuit_closed"

May: TypeAlias = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An upstream and its place among the others."""

    upstream: Upstream
    weight: int = 1
    priority: int = 0
    first_token_timeout_s: float | None = None
    has_breaker: bool = True  # our engine says itself when it is ready


@dataclass(slots=True, eq=False)
class Lane:
    """A route, and how it has done."""

    route: Route
    breaker: Breaker
    credits: dict[str, int] = field(default_factory=dict)  # by model: how far its turn is
    cool_until_s: dict[str, float] = field(default_factory=dict)  # by model: a provider's limits are per model
    last_error: str = ""

    @property
    def name(self) -> str:
        return self.route.upstream.name

    def allows(self, now_s: float) -> bool:
        return not self.route.has_breaker or self.breaker.allows(now_s)


@dataclass(slots=True)
class Search:
    """One exchange's way to an answer."""

    exchange: Exchange
    may: May
    began_s: float
    tries: dict[str, int] = field(default_factory=dict)  # by upstream
    ready_at_s: dict[str, float] = field(default_factory=dict)
    failure: FreeholdError | None = None

    @property
    def tried(self) -> int:
        return sum(self.tries.values())


class Outcome(StrEnum):
    """How a try ended."""

    ANSWERED = "answered"
    BROKEN = "broken"  # it had begun to answer
    FAILED = "failed"  # before that
    LIMITED = "limited"  # 429
    REJECTED = "rejected"  # the client's fault
    ABANDONED = "abandoned"  # the client left before the first word


class Attempt:
    """One try of one exchange at one upstream."""

    def __init__(self, lane: Lane, search: Search, monotonic_s: MonotonicClock, config: RoutingConfig) -> None:
        self._lane = lane
        self._search = search
        self._monotonic_s = monotonic_s
        self._config = config
        self._is_probe = lane.breaker.begin()
        self.exchange_id = search.exchange.id
        self.outcome = Outcome.ABANDONED
        self.turn: str | None = None  # what it did to the circuit
        search.tries[lane.name] = search.tries.get(lane.name, 0) + 1
        self.events = lane.route.upstream.send(search.exchange)

    async def head(self) -> list[Event]:
        """What comes up to the first content. From here on the upstream has answered."""
        limit_s = self._lane.route.first_token_timeout_s
        held = await (self._hold() if limit_s is None or not self._search.exchange.stream else self._hold_for(limit_s))
        self.outcome = Outcome.ANSWERED
        self._praise()
        return held

    async def _hold_for(self, limit_s: float) -> list[Event]:
        try:
            async with asyncio.timeout(limit_s):
                return await self._hold()
        except TimeoutError as exc:
            raise UpstreamTimeout(f"upstream {self._lane.name} gave no text within {limit_s:g} s; try again later") from exc

    async def _hold(self) -> list[Event]:
        held, held_bytes, since_s = list[Event](), 0, self._monotonic_s()
        async for events in self.events:
            held += events
            if any(map(_is_content, events)) or len(held) >= HELD_EVENTS:
                return held
            if payloads := [event for event in events if isinstance(event, Payload)]:
                held_bytes += sum(len(payload.data) for payload in payloads)
                if held_bytes > HELD_BYTES or self._monotonic_s() > since_s + HELD_S:
                    return held
        raise UpstreamBroken(f"upstream {self._lane.name} ended its answer before it began; try again")

    def fail(self, error: FreeholdError, chance: float) -> bool:
        """Whether another try makes sense. `chance` in [0, 1) is how much of the pause is kept."""
        lane, now_s = self._lane, self._monotonic_s()
        if self.outcome is Outcome.ANSWERED:
            self.outcome = Outcome.BROKEN
            self._blame(error, now_s)
            return False
        if not isinstance(error, UpstreamError):
            self.outcome = Outcome.REJECTED
            lane.breaker.abandoned(is_probe=self._is_probe)
            self._search.ready_at_s[lane.name] = math.inf
            self._search.tries[lane.name] = 0  # it was not asked
            return isinstance(error, ClientError)  # what this one's dialect can't say, another's may
        status = error.status if isinstance(error, UpstreamRejected) else None
        if status is not None and 400 <= status < 500 and status != 408:
            self.outcome = Outcome.LIMITED if status == 429 else Outcome.REJECTED
            self._praise()  # it is well: it said no
        else:
            self.outcome = Outcome.FAILED
            self._blame(error, now_s)
        if self.outcome is Outcome.REJECTED:
            return False
        self._pause(error, now_s, chance)
        return True

    def _praise(self) -> None:
        if self._lane.breaker.answered(self._monotonic_s(), is_probe=self._is_probe):
            self.turn, self._is_probe = CIRCUIT_CLOSED, False

    def _blame(self, error: FreeholdError, now_s: float) -> None:
        if not isinstance(error, UpstreamError):
            return
        self._lane.last_error = _kind(error)
        if self._lane.route.has_breaker and self._lane.breaker.failed(now_s, is_probe=self._is_probe):
            self.turn = CIRCUIT_OPEN

    def _pause(self, error: UpstreamError, now_s: float, chance: float) -> None:
        """When this upstream may be asked again, for this exchange and for the next ones."""
        lane, search = self._lane, self._search
        lane.last_error = _kind(error)
        retry_after_s = getattr(error, "retry_after_s", None)
        if retry_after_s is not None:
            lane.cool_until_s[search.exchange.model] = now_s + min(retry_after_s, COOL_LIMIT_S)
        doubled_s = self._config.backoff_s * 2 ** (search.tries[lane.name] - 1)
        pause_s = math.inf if error.code in _NOT_MENDED else chance * min(doubled_s, self._config.backoff_limit_s)
        pause_s += retry_after_s or 0.0  # the random part comes on top: those who wait for the same moment come apart
        search.ready_at_s[lane.name] = now_s + pause_s

    async def close(self) -> None:
        if self.outcome is Outcome.ABANDONED:
            self._lane.breaker.abandoned(is_probe=self._is_probe)
        if isinstance(self.events, AsyncGenerator):
            await self.events.aclose()


def _is_content(event: Event) -> bool:
    """Whether a client would miss it, had it been sent and were another answer to follow."""
    match event:
        case MessageStart() | Payload() | PromptText() | Usage() | Worked():
            return False
        case TextDelta() | ReasoningDelta():
            return bool(event.text)
        case _:
            return True


def _kind(error: UpstreamError) -> str:
    """In our own words: a provider's may quote content."""
    match error:
        case UpstreamUnavailable():
            return f"cannot be reached: {error.why}" if error.why else "cannot be reached"
        case UpstreamTimeout():
            return "silent for too long"
        case UpstreamRejected():
            return "refuses this node's key" if error.code == KEY_REFUSED else f"status {error.status}"
        case _:
            return "broke off"
