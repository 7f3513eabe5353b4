"""Waiting for work on behalf of a client who may leave, and who likes to hear that somebody is there."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final, TypeVar

from freehold.gateway.body import ClientLeft, Receive, left
from freehold.gateway.reply import Reply

PATIENCE_S: Final = 10.0  # of silence; proxies on the way give up after 30 and more
_PING = b": still there\n\n"
_T = TypeVar("_T")


async def patiently(work: Coroutine[Any, Any, _T], reply: Reply) -> _T:
    """What `work` comes to. A client that waits for long gets a stream, and a comment in it now and then."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        while not (await asyncio.wait((task,), timeout=PATIENCE_S))[0]:
            await reply.stream(_PING)
        return task.result()
    finally:
        await _ended(task)


async def following(events: AsyncIterator[_T]) -> _T | None:
    """The next of them, None after the last."""
    return await anext(events, None)


async def unless_left(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Do `work` for as long as its client is there. Raises ClientLeft."""
    loop = asyncio.get_running_loop()
    working, leaving = loop.create_task(work), loop.create_task(left(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeft
        working.result()
    finally:
        await _ended(working, leaving)


async def _ended(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # asked for, so that nobody is told that it was not
