"""Long work pauses, so that others of the same event loop are answered meanwhile.

Decided here: after how long, and for how long. Of all long work on a loop one piece goes on at a time: however much there is,
whoever has a quick answer to give waits for a few milliseconds between two of its own steps, not for a little of each.
"""

import asyncio
from time import monotonic
from weakref import WeakKeyDictionary

WORK_S = 0.002
STEP_CHARS = 2 << 10  # of a text, between two pauses: 0.06 ms of scanning, 40 ms of the dearest text that we know
TURNS = 16  # of the loop, 4 us each where nobody else has anything to do; a short request takes some thirty from first to last

_LINES: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class Pauses:
    """Of one piece of work."""

    __slots__ = ("_since_s",)

    def __init__(self) -> None:
        self._since_s = monotonic()

    async def take(self) -> None:
        """To be called between any two steps: returns at once while the work has not gone on for long since it paused."""
        if monotonic() - self._since_s < WORK_S:
            return
        async with _LINES.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            for _ in range(TURNS):
                await asyncio.sleep(0)
        self._since_s = monotonic()
