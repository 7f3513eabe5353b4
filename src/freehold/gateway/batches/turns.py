"""When deferred work has its turn: batches, and requests whose sender can wait.

Holds the jobs of this moment, plans them when something changes (`schedule`), and says who may run. Live requests go first: each
takes one of the places that deferred work has. A job's deadline at risk keeps one place whatever else runs. Belongs to the event
loop. The signal is this site's: work that runs elsewhere never waits for it.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Final

from freehold.core.deferral import Turn
from freehold.core.exchange import Exchange
from freehold.core.ports import EngineLoadProbe, Permit, Signal
from freehold.gateway.batches.config import BatchesConfig
from freehold.gateway.batches.schedule import Job, Plan, Quantity, electricity, plan, slots_of
from freehold.gateway.batches.words import Deferral, Words

LOOK_S: Final = 30.0  # a plan holds no longer
SAFETY: Final = 1.25  # what a job is planned to take, against its estimate,
SPARE_S: Final = 30.0  # and beside that
_TOKEN_S: Final = 0.1  # of one token, until the engine has told


class Turns:
    def __init__(
        self,
        signal: Signal,
        config: BatchesConfig,
        *,
        is_here: Callable[[str], bool],
        unix_s: Callable[[], float],
        follow: Quantity = "carbon",
        power_w: float = 200.0,
        pue: float = 1.0,
        load: EngineLoadProbe | None = None,
    ) -> None:
        """`is_here` tells of a model whether it runs at this site, on the power that the signal is about."""
        self._signal = signal
        self._config = config
        self.is_here = is_here
        self._unix_s = unix_s
        self._follow = follow
        self._power_w = power_w
        self._pue = pue
        self._load = load
        self._jobs: dict[str, Job] = {}  # in order of arrival
        self._limited: set[str] = set()  # requests whose turn it is, but for the limits of their keys
        self._numbers = itertools.count(1)
        self._live = 0
        self._deferred = 0
        self._is_short = False  # somebody was told that there is no room
        self._unit_s: float | None = None  # of one unit of work, as measured
        self._plan: Plan | None = None
        self._changed = asyncio.Event()

    # ---- what is asked for ----------------------------------------------------------------------------------

    def asked(self, words: Words, arrived_s: float, *, can_wait: bool) -> Deferral | None:
        """Whether one request can wait, and until when. Raises InvalidRequest for a deadline that makes no sense."""
        return words.deferral(arrived_s, default_wait_s=self._config.default_wait_s, can_wait=can_wait)

    # ---- who runs -------------------------------------------------------------------------------------------

    def offer(self, job: Job) -> None:
        """A job there is, or what is left of it now. It stays until `withdraw`."""
        before = self._jobs.get(job.name)
        self._jobs[job.name] = job
        if before is None or before.deadline_s != job.deadline_s or job.work_s > before.work_s:
            self._replan()

    def withdraw(self, name: str) -> None:
        if self._jobs.pop(name, None) is not None:
            self._replan()

    def current(self) -> Plan:
        """The plan in force, made anew where it has run out."""
        now_s = self._unix_s()
        if self._plan is None or now_s >= self._plan.until_s:
            jobs = list(self._jobs.values())
            deadlines = [job.deadline_s for job in jobs]
            points = self._signal.between(now_s, max(deadlines, default=now_s)) if deadlines else ()
            slots = slots_of(points, now_s, deadlines, follow=self._follow, power_w=self._power_w)
            self._plan = plan(jobs, slots, now_s, look_s=LOOK_S)
        return self._plan

    def room(self) -> int:
        """How much more deferred work may begin here now: live requests, and what waits in the engine, take from it."""
        load = self._load() if self._load is not None else None
        taken = self._live + self._deferred
        left = 0 if load is not None and load.waiting > 0 and self._live else self._config.concurrency - taken
        if left <= 0 and not self._deferred and self._plan is not None and (self._plan.is_tight or self._plan.late):
            return 1
        self._is_short = left <= 0
        return max(left, 0)

    @contextlib.contextmanager
    def live(self, model: str) -> Iterator[None]:
        """A request that nobody asked to wait is under way."""
        here = self.is_here(model)
        self._live += here
        try:
            yield
        finally:
            self._live -= here
            if self._is_short:
                self._is_short = False
                self.wake()

    def place(self) -> "Place":
        """For deferred work that is to run here: not taken yet."""
        return Place(self)

    def count(self, deferred: int) -> None:
        """So much more, or less, deferred work is under way here."""
        self._deferred += deferred
        if deferred < 0:
            self.wake()

    async def wait(self, deferral: Deferral, exchange: Exchange, place: "Place", permit: Permit) -> Turn:
        """Until it is this request's turn, or its deadline leaves no more time. Takes the place, if it runs here.

        Raises LimitReached where its key's limits leave no room before then.
        """
        job = Job(name=f"request {next(self._numbers)}", work_s=self.planned_s(_units(exchange)), deadline_s=deferral.deadline_s)
        is_late = False
        if not self.is_here(exchange.model):
            permit.begin()
        else:
            self.offer(job)
            is_late = job.name in self.current().late
            try:
                while (pause_s := self._wait_s(job, permit)) > 0:
                    await self.pause(self.ticket(), pause_s)
                permit.begin()
                place.take()  # before anybody else looks for one
            finally:
                self._limited.discard(job.name)
                self.withdraw(job.name)
        arrived_s = deferral.arrived_s
        return self.turn(arrived_s=arrived_s, at_once_s=arrived_s, deadline_s=deferral.deadline_s, is_late=is_late)

    def _wait_s(self, job: Job, permit: Permit) -> float:
        """How long a request waits before it looks again; 0 where it begins now."""
        if self._unix_s() >= job.deadline_s - job.work_s:
            return 0.0
        if not (job.name in self.current().now and self._goes_next(job.name)):
            return LOOK_S
        limited_s = permit.wait_s()
        if limited_s <= 0:
            return 0.0
        if job.name not in self._limited:
            self._limited.add(job.name)
            self.wake()  # those behind it
        return min(limited_s, LOOK_S)

    def _goes_next(self, name: str) -> bool:
        """Requests hold a connection open: of those whose turn it is, and whom limits let, as many go as there is room."""
        requests = [one for one in self.current().now if one.startswith("request ")]
        ahead = [one for one in requests[: requests.index(name)] if one not in self._limited]
        return len(ahead) < self.room()

    def ticket(self) -> asyncio.Event:
        """For `pause`: taken before one looks whether there is something to do, so that no change in between is missed."""
        return self._changed

    async def pause(self, ticket: asyncio.Event, longest_s: float = LOOK_S) -> None:
        """Until something has changed since the ticket was taken, or the plan has run out."""
        left_s = longest_s if self._plan is None else min(longest_s, self._plan.until_s - self._unix_s())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(left_s, 0.05)):
                await ticket.wait()

    def wake(self) -> None:
        """Something changed: who waits looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _replan(self) -> None:
        self._plan = None
        self.wake()

    # ---- how long it takes, and what it spares --------------------------------------------------------------

    def planned_s(self, units: float) -> float:
        """Seconds of the engine to set aside for work of so many units."""
        return self.planned_from(self._seconds(units))

    def planned_from(self, estimate_s: float) -> float:
        """The same, where it was estimated otherwise."""
        return SAFETY * estimate_s + SPARE_S

    def _seconds(self, units: float) -> float:
        if self._unit_s is not None:
            return units * self._unit_s
        load = self._load() if self._load is not None else None
        token_s = (load.token_s or load.predicted_token_s) if load is not None else None
        return units * (token_s or _TOKEN_S)

    def measured(self, units: float, run_s: float) -> None:
        """What a part of a batch took. Newer measurements count for more."""
        if units > 0 and run_s > 0:
            unit_s = run_s / units
            self._unit_s = unit_s if self._unit_s is None else 0.8 * self._unit_s + 0.2 * unit_s

    def turn(self, *, arrived_s: float, at_once_s: float, deadline_s: float, is_late: bool, batch: str | None = None) -> Turn:
        """The turn that begins now, with what electricity is like and what it was when the work would have run at once."""
        now_s = self._unix_s()
        at_once_s = min(at_once_s, now_s)
        g_at_once, price_at_once = self._electricity(at_once_s)
        g_at_run, price_at_run = self._electricity(now_s)
        return Turn(
            arrived_s=arrived_s,
            at_once_s=at_once_s,
            ran_s=now_s,
            deadline_s=deadline_s,
            batch=batch,
            is_late=is_late,
            g_at_once=g_at_once,
            g_at_run=g_at_run,
            price_at_once=price_at_once,
            price_at_run=price_at_run,
            pue=self._pue,
        )

    def _electricity(self, at_s: float) -> tuple[float | None, float | None]:
        points = self._signal.between(at_s, at_s + 1.0)
        return electricity(points[0], self._power_w) if points and points[0].start_s <= at_s else (None, None)


class Place:
    """One of the places that deferred work has."""

    __slots__ = ("_is_taken", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._is_taken = False

    def take(self) -> None:
        self._is_taken = True
        self._turns.count(1)

    def leave(self) -> None:
        """Give it back, if it was taken."""
        if self._is_taken:
            self._is_taken = False
            self._turns.count(-1)


def _units(exchange: Exchange) -> float:
    """As `LineRequest.units`, of a request that was read."""
    return exchange.choices * (exchange.sampling.max_tokens or 1024) + len(exchange.body) / 16
