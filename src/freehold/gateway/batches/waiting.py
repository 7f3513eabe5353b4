"""A request that waits for its turn, as its client sees it: a connection that stays open, headers that say how long."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from freehold.core.deferral import Turn
from freehold.gateway.body import ClientLeft, Receive, left
from freehold.gateway.reply import Header

DEFERRED_HEADER: Final = b"x-freehold-deferred"  # seconds that it waited
LATE_HEADER: Final = b"x-freehold-late"  # its deadline left too little time from the beginning
_SIGN_OF_LIFE_S: Final = 15.0  # proxies and clients give a silent stream up after 30 s or more
_WAITS: Final = b": waits for its turn\n\n"  # a comment, which every reader of event streams skips


async def patiently(turn: Coroutine[Any, Any, Turn], receive: Receive, sign: Callable[[bytes], Awaitable[None]] | None) -> Turn:
    """Wait for a turn for as long as the client does. Raises ClientLeft. `sign` sends a stream's signs of life."""
    loop = asyncio.get_running_loop()
    waiting, leaving = loop.create_task(turn), loop.create_task(left(receive))
    try:
        while True:
            await asyncio.wait((waiting, leaving), timeout=_SIGN_OF_LIFE_S, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            if leaving.done():
                raise ClientLeft
            if sign is not None:
                await sign(_WAITS)
    finally:
        for task in (waiting, leaving):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def deferred_headers(turn: Turn) -> list[Header]:
    waited = (DEFERRED_HEADER, b"%d" % round(turn.ran_s - turn.arrived_s))
    return [waited, (LATE_HEADER, b"true")] if turn.is_late else [waited]
