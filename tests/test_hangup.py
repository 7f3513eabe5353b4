import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from freehold.hangup import on_hangup


@pytest.fixture(autouse=True)
def before() -> Iterator[object]:
    """What SIGHUP does to the process of the tests."""
    found = signal.getsignal(signal.SIGHUP)
    yield found
    signal.signal(signal.SIGHUP, found)


async def test_whatever_may_have_been_mended_is_looked_at_until_the_node_closes() -> None:
    looked: list[str] = []
    async with contextlib.AsyncExitStack() as stack:
        on_hangup(stack, [lambda: looked.append("engine"), lambda: looked.append("policy")])
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.01)
    assert looked == ["engine", "policy"] * 2
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


async def test_a_node_that_looks_at_nothing_ends_as_others_do(before: object) -> None:
    async with contextlib.AsyncExitStack() as stack:
        on_hangup(stack, [])
        assert signal.getsignal(signal.SIGHUP) is before
