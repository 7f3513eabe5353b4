"""When a failing upstream is left alone, and how it comes back.

    closed ──enough failures──▶ open ──time──▶ half open ──the probe is answered──▶ closed
                                 ▲                 └──────the probe fails──────▶ open, for twice as long

While it is open nothing is sent; half open, one exchange at a time goes through as the probe. Only the probe's end counts then:
the ends of exchanges that began earlier say nothing about now. Told the time, never asks for it.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from freehold.gateway.config import RoutingConfig

LONGEST_OPENS = 16  # times `breaker_open_s`


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(slots=True)
class _Second:
    """What ended in one second."""

    number: int
    answered: int = 0
    failed: int = 0


class Breaker:
    """Of one upstream. Each exchange that `allows` let through says once how it ended."""

    def __init__(self, config: RoutingConfig) -> None:
        self._config = config
        self._seconds: deque[_Second] = deque()
        self._opened_at_s: float | None = None
        self._open_s = config.breaker_open_s
        self._probing = False

    def state(self, now_s: float) -> State:
        if self._opened_at_s is None:
            return State.CLOSED
        return State.OPEN if now_s < self._opened_at_s + self._open_s else State.HALF_OPEN

    def allows(self, now_s: float) -> bool:
        state = self.state(now_s)
        return state is State.CLOSED or (state is State.HALF_OPEN and not self._probing)

    def opens_in_s(self, now_s: float) -> float:
        """How long until a probe may go; 0 where one may, or is on its way."""
        return 0.0 if self._opened_at_s is None else max(0.0, self._opened_at_s + self._open_s - now_s)

    def begin(self) -> bool:
        """An exchange is sent. Whether it is the probe: hand that back with its end."""
        self._probing = self._opened_at_s is not None
        return self._probing

    def answered(self, now_s: float, *, is_probe: bool) -> bool:
        """Whether this closed the circuit."""
        if is_probe:
            self._opened_at_s, self._probing, self._open_s = None, False, self._config.breaker_open_s
            self._seconds.clear()
        if self._opened_at_s is None:
            self._second(now_s).answered += 1
        return is_probe

    def failed(self, now_s: float, *, is_probe: bool) -> bool:
        """Whether this opened the circuit."""
        if is_probe:
            self._probing = False
            self._open_s = min(2 * self._open_s, LONGEST_OPENS * self._config.breaker_open_s)
            self._opened_at_s = now_s
            return False  # it was open before
        if self._opened_at_s is not None:
            return False
        self._second(now_s).failed += 1
        failed, total = self.recent(now_s)
        if failed < self._config.breaker_failures or failed < self._config.breaker_ratio * total:
            return False
        self._opened_at_s = now_s
        return True

    def abandoned(self, *, is_probe: bool) -> None:
        """It ended without a word about the upstream: its client left."""
        if is_probe:
            self._probing = False

    def recent(self, now_s: float) -> tuple[int, int]:
        """(failed, all) that ended within the window."""
        since = now_s - self._config.breaker_window_s
        while self._seconds and self._seconds[0].number < since:
            self._seconds.popleft()
        failed = sum(second.failed for second in self._seconds)
        return failed, failed + sum(second.answered for second in self._seconds)

    def _second(self, now_s: float) -> _Second:
        number = int(now_s)
        if not self._seconds or self._seconds[-1].number != number:
            self.recent(now_s)  # what is past is forgotten as time goes, so that this stays as short as the window
            self._seconds.append(_Second(number))
        return self._seconds[-1]
