"""Long work pauses, or is done apart, so that others of the same event loop are answered meanwhile.

Decided here: after how long, and for how long. Of all long work on a loop one piece goes on at a time: however much there is,
whoever has a quick answer to give waits for a few milliseconds between two of its own steps, not for a little of each. What looks
at a whole text in one stretch can't pause: it is done on another thread. There are two, so that what is short does not wait for
what is long, and no more: what is looked at takes memory. Python has one thread run at a time; while any works apart they take
turns often, as a request waits for its turn at each of its steps.
"""

import asyncio
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TypeVar
from weakref import WeakKeyDictionary

WORK_S = 0.002
STEP_CHARS = 2 << 10  # of a text, between two pauses: 0.06 ms of scanning, 40 ms of the dearest text that we know
DEAR_S = 0.004  # who took longer rests: a short request is answered meanwhile, though it waits for its provider, too
REST = 1 / 4  # of what the step took
TURNS = 16  # of the loop, 4 us each where nobody else has anything to do; a short request takes some thirty from first to last
LONG_CHARS = 16 << 10  # of a text that is looked at apart: 20 ms for most programs, 60 for the dearest; more is long
SWITCH_S = 0.0005  # between threads, while one works apart: Python's own 5 ms make a request of 3 ms one of 30

_LINES: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
_SHORT, _LONG = ThreadPoolExecutor(1, "apart-short"), ThreadPoolExecutor(1, "apart-long")

T = TypeVar("T")


class Pauses:
    """Of one piece of work."""

    __slots__ = ("_since_s",)

    def __init__(self) -> None:
        self._since_s = monotonic()

    async def take(self) -> None:
        """To be called between any two steps: returns at once while the work has not gone on for long since it paused."""
        took_s = monotonic() - self._since_s
        if took_s < WORK_S:
            return
        async with _LINES.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            for _ in range(TURNS):
                await asyncio.sleep(0)
            if took_s > DEAR_S:
                await asyncio.sleep(took_s * REST)
        self._since_s = monotonic()


async def apart(work: Callable[[], T], chars: int = 0) -> T:
    """What `work` gives, which looks at so many characters, once it is its turn. Nobody may touch meanwhile what it touches.

    Who is cancelled does not wait for its end: if it has begun it goes on, for nobody.
    """
    return await asyncio.get_running_loop().run_in_executor(_LONG if chars > LONG_CHARS else _SHORT, _in_turns, work)


def _in_turns(work: Callable[[], T]) -> T:
    with _TURNS:
        return work()


class _OftenTurns:
    """Threads take turns often while anybody is in this."""

    def __init__(self) -> None:
        self._lock, self._inside, self._usual_s = threading.Lock(), 0, sys.getswitchinterval()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            sys.setswitchinterval(SWITCH_S)

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                sys.setswitchinterval(self._usual_s)


_TURNS = _OftenTurns()
