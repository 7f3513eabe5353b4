"""Counts how often others of an event loop got their turn while something went on."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Turns:
    taken: int = 0

    async def take(self) -> None:
        while True:
            self.taken += 1
            await asyncio.sleep(0)


@contextlib.contextmanager
def of_others() -> Iterator[Turns]:
    turns = Turns()
    going = asyncio.create_task(turns.take())
    try:
        yield turns
    finally:
        going.cancel()
