"""The engine's meter: windows over a source of joules, closed between passes, shared out among the requests of their passes.

Implements `core.ports.StepMeter`. The engine tells each pass and what each request had of it; this reads the source at most once
a window and once an answer. When a window closes is decided here:

- between passes, once it is a second old, and before the first pass after a pause, so that idling is nobody's;
- when an answer ends: its joules have to be final, as its record is written before its last word. Where the source can't speak
  about so short a time (`min_window_s`), the answer gets what its work would have cost in the window before, and the meter owes
  that: it is taken from what the next windows hold, so that all of it still adds up.

What the machine draws idling is the operator's word, or the least that was seen in a pause of a second or more.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from freehold.core.measurement import EnergyTotals, Grade, Measurement, Metered
from freehold.core.ports import PassShare
from freehold.meter.sharing import ALLOCATIONS, Window, share_out
from freehold.meter.sources.source import Busy, EnergySource, Reading

WINDOW_S: Final = 1.0
ABSURD_W: Final = 100_000.0  # a rack: a mean power above is an error of the source's


@dataclass(slots=True)
class _Account:
    """Of one request: its weights in the open window, and what closed windows gave it."""

    open: list[float] = field(default_factory=lambda: [0.0] * ALLOCATIONS)  # work, tokens, seconds
    given_j: list[float] = field(default_factory=lambda: [0.0] * ALLOCATIONS)
    low_j: float = 0.0
    high_j: float = 0.0
    told_j: list[float] = field(default_factory=lambda: [0.0] * ALLOCATIONS)  # should it leave, its record says this
    is_bounded: bool = True
    is_known: bool = True
    machine_s: float = 0.0


class WindowMeter:
    def __init__(
        self,
        source: EnergySource,
        *,
        idle_w: float | None = None,
        ours: Callable[[], float | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_card: Callable[[bool], EnergySource] | None = None,
    ) -> None:
        """`ours` says which part of the machine's work since its last call was ours; without it all is.

        `on_card` gives the source that fits where the model turned out to be computed, once it is loaded.
        """
        self._source, self._clock, self._ours, self._on_card = source, clock, ours, on_card
        self._idle_w, self._idle_is_given = idle_w, idle_w is not None
        self._lock = threading.Lock()
        self._accounts: dict[int, _Account] = {}
        self._rate: tuple[float, ...] | None = None  # joules for a unit of weight, in the window before
        self._bounds: tuple[float, float] | None = None  # of the window before, over its energy
        self._owed = [0.0] * ALLOCATIONS
        self._busy = Busy()
        self._in_pass, self._is_loading = False, True
        self._early: Reading | None = Reading(0.0)  # of the open window, read before its end; None is unknown
        self._opened_s = self._began_s = clock()
        self._energy_j = self._attributed_j = self._idle_j = self._unattributed_j = self._load_j = self._unknown_s = 0.0
        source.read(self._busy)

    # ---- what the engine tells ------------------------------------------------------------------------------

    def begin_pass(self) -> None:
        with self._lock:
            if not self._is_at_work:
                self._close_if(self._source.min_window_s)
            self._in_pass = True

    def end_pass(self, shares: Sequence[PassShare], spent_s: float, threads: int) -> None:
        with self._lock:
            self._in_pass = False
            self._busy = Busy(self._busy.pass_s + spent_s, self._busy.thread_s + spent_s * threads)
            each_s = spent_s / len(shares) if shares else 0.0
            for share in shares:
                account = self._accounts.setdefault(share.request, _Account())
                account.open[0] += share.work
                account.open[1] += share.tokens
                account.open[2] += each_s
                account.machine_s += each_s
            self._close_if(max(WINDOW_S, self._source.min_window_s))

    def so_far(self, request: int) -> Metered | None:
        with self._lock:
            account = self._accounts.get(request)
            if account is None:
                return None
            if any(account.open) and self._rate is None:
                self._close_if(self._source.min_window_s)
            if not any(account.open):
                account.told_j = list(account.given_j)
                return self._metered(account)
            if self._rate is None or not account.is_known:
                return Metered(energy=self._unknown, machine_s=account.machine_s)
            # The open window's part is what its work cost in the window before.
            ahead = replace(account, given_j=list(account.given_j), open=list(account.open))
            self._give(ahead, self._expected(account))
            account.told_j = list(ahead.given_j)
            return self._metered(ahead)

    def settle(self, request: int) -> Metered | None:
        with self._lock:
            account = self._accounts.get(request)
            if account is None:
                return None
            if any(account.open) and not self._close_if(self._source.min_window_s):
                self._advance(account)
            del self._accounts[request]
            return self._metered(account)

    def forget(self, request: int) -> None:
        with self._lock:
            account = self._accounts.pop(request, None)
            if account is None or not account.is_known:
                return
            for k in range(ALLOCATIONS):
                self._owed[k] += max(0.0, account.told_j[k] - account.given_j[k])
            self._attributed_j += account.told_j[0] - account.given_j[0]
            self._unattributed_j += max(0.0, account.given_j[0] - account.told_j[0])

    def loaded(self, on_card: bool) -> None:
        with self._lock:
            self._busy = Busy(thread_s=time.process_time())
            self._close_if(0.0)
            self._is_loading = False
            if self._on_card is not None:
                source = self._on_card(on_card)
                if source.name != self._source.name:
                    self._source = source
                    source.read(Busy())
            if on_card:
                self._ours = None  # the card is ours, however busy the processors are with other things
            self._opened_s = self._clock()

    def tick(self) -> None:
        with self._lock:
            if not self._in_pass and not self._is_at_work:
                self._close_if(max(WINDOW_S, self._source.min_window_s))
            else:  # a pass may last for minutes, and counters go round
                self._early = _sum(self._early, self._source.read(Busy()))

    def totals(self) -> EnergyTotals:
        with self._lock:
            source = self._source
            return EnergyTotals(
                source=source.name,
                grade=source.grade,
                device=source.device,
                seconds=self._opened_s - self._began_s,
                unknown_s=self._unknown_s,
                energy_j=self._energy_j,
                attributed_j=self._attributed_j,
                idle_j=self._idle_j if source.sees_idle else None,
                unattributed_j=self._unattributed_j,
                load_j=self._load_j,
                owed_j=self._owed[0],
            )

    def close(self) -> None:
        self._source.close()

    # ---- windows --------------------------------------------------------------------------------------------

    @property
    def _is_at_work(self) -> bool:
        return any(any(account.open) for account in self._accounts.values())

    def _close_if(self, least_s: float) -> bool:
        """Close the open window if it is that old."""
        now_s = self._clock()
        seconds = now_s - self._opened_s
        if seconds < least_s or seconds <= 0:
            return False
        reading = _believable(_sum(self._early, self._source.read(self._busy)), seconds)
        ours = 1.0 if self._ours is None else self._ours()
        if reading is not None and not self._busy.pass_s and not self._is_loading:
            self._learn_idle(reading.energy_j / seconds, seconds)
        self._opened_s, self._busy, self._early = now_s, Busy(), Reading(0.0)
        if reading is None:
            self._lose(seconds)
        elif self._is_loading:
            self._energy_j += reading.energy_j
            self._load_j += reading.energy_j
        else:
            self._share(reading, seconds, 1.0 if ours is None else ours)
        return True

    def _share(self, reading: Reading, seconds: float, ours: float) -> None:
        requests = {request: account.open for request, account in self._accounts.items() if any(account.open)}
        idle_w = self._idle_w if self._source.sees_idle else None
        window = Window(energy_j=reading.energy_j, seconds=seconds, idle_w=idle_w, ours=ours, owed_j=self._owed)
        shares = share_out(window, requests)
        self._energy_j += reading.energy_j
        self._idle_j += shares.idle_j
        self._unattributed_j += shares.unattributed_j[0]
        self._attributed_j += shares.pool_j[0]
        self._owed = [owed - paid for owed, paid in zip(self._owed, shares.paid_j, strict=True)]
        self._bounds = _bounds(reading)
        if requests:
            self._rate = tuple(pool / sum_ if sum_ > 0 else 0.0 for pool, sum_ in zip(shares.pool_j, shares.weights, strict=True))
        for request, given in shares.given_j.items():
            self._give(self._accounts[request], given)

    def _give(self, account: _Account, given: Sequence[float]) -> None:
        for k in range(ALLOCATIONS):
            account.given_j[k] += given[k]
            account.open[k] = 0.0
        if not account.is_known:
            self._take_back(account)
        elif self._bounds is None:
            account.is_bounded = False
        else:
            account.low_j += given[0] * self._bounds[0]
            account.high_j += given[0] * self._bounds[1]

    def _advance(self, account: _Account) -> None:
        """What its work in the open window would have cost in the one before; unknown where there was none."""
        if self._rate is None or not account.is_known:
            self._take_back(account)
            return
        given = self._expected(account)
        self._owed = [owed + part for owed, part in zip(self._owed, given, strict=True)]
        self._attributed_j += given[0]
        self._give(account, given)

    def _expected(self, account: _Account) -> list[float]:
        assert self._rate is not None
        return [weight * rate for weight, rate in zip(account.open, self._rate, strict=True)]

    def _take_back(self, account: _Account) -> None:
        """What it was given is nobody's: it left, or part of what it took is unknown."""
        self._attributed_j -= account.given_j[0]
        self._unattributed_j += account.given_j[0]
        account.is_known, account.given_j, account.open = False, [0.0] * ALLOCATIONS, [0.0] * ALLOCATIONS

    def _lose(self, seconds: float) -> None:
        """A window whose energy nobody knows: what of it was a request's is unknown, and so is the request's whole."""
        self._unknown_s += seconds
        for account in self._accounts.values():
            if any(account.open):
                self._take_back(account)

    def _learn_idle(self, power_w: float, seconds: float) -> None:
        if not self._idle_is_given and seconds >= WINDOW_S and self._source.sees_idle:
            self._idle_w = power_w if self._idle_w is None else min(self._idle_w, power_w)

    @property
    def _unknown(self) -> Measurement:
        return Measurement(grade=Grade.UNKNOWN, source=self._source.name)

    def _metered(self, account: _Account) -> Metered:
        source = self._source
        if not account.is_known:
            return Metered(energy=self._unknown, machine_s=account.machine_s)
        by_work_j, by_tokens_j, by_time_j = account.given_j
        energy = Measurement(
            grade=source.grade,
            source=source.name,
            energy_j=by_work_j,
            low_j=account.low_j if account.is_bounded else None,
            high_j=account.high_j if account.is_bounded else None,
        )
        return Metered(energy=energy, by_tokens_j=by_tokens_j, by_time_j=by_time_j, machine_s=account.machine_s)


def _sum(one: Reading | None, other: Reading | None) -> Reading | None:
    if one is None or other is None:
        return None
    if one.energy_j == 0 or other.energy_j == 0:
        return one if other.energy_j == 0 else other
    has_bounds = None not in (one.low_j, one.high_j, other.low_j, other.high_j)
    return Reading(
        one.energy_j + other.energy_j,
        (one.low_j or 0.0) + (other.low_j or 0.0) if has_bounds else None,
        (one.high_j or 0.0) + (other.high_j or 0.0) if has_bounds else None,
    )


def _believable(reading: Reading | None, seconds: float) -> Reading | None:
    if reading is None or not math.isfinite(reading.energy_j) or not 0 <= reading.energy_j <= ABSURD_W * max(seconds, 1.0):
        return None
    return reading


def _bounds(reading: Reading) -> tuple[float, float] | None:
    """Over the energy; of a window without any they are 1."""
    if reading.low_j is None or reading.high_j is None:
        return None
    energy_j = reading.energy_j
    return (reading.low_j / energy_j, reading.high_j / energy_j) if energy_j > 0 else (1.0, 1.0)
