"""Counts how often others of an event loop got their turn while something went on."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Turns:
    taken: int = 0

    async def take(self) -> None:
        while True:
            self.taken += 1
            await asyncio.sleep(0)

    def wait_for(self, count: int) -> int:
        """How many were taken, once there are so many or five seconds have gone by. To be called on another thread."""
        until = time.monotonic() + 5
        while self.taken < count and time.monotonic() < until:
            time.sleep(0.0001)
        return self.taken


@contextlib.contextmanager
def of_others() -> Iterator[Turns]:
    turns = Turns()
    going = asyncio.create_task(turns.take())
    try:
        yield turns
    finally:
        going.cancel()
