import asyncio

import pytest

from freehold.gateway import pauses
from freehold.gateway.pauses import TURNS, Pauses
from tests.gateway.turns import of_others


async def test_short_work_goes_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "WORK_S", 3600.0)
    with of_others() as turns:
        work = Pauses()
        for _ in range(100):
            await work.take()
    assert turns.taken == 0


async def test_however_much_long_work_there_is_others_wait_for_one_step_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "WORK_S", 0.0)
    steps = 0

    async def long() -> None:
        nonlocal steps
        work = Pauses()
        while True:
            steps += 1
            await work.take()

    tasks = [asyncio.create_task(long()) for _ in range(40)]
    await asyncio.sleep(0)
    begun = steps
    for _ in range(TURNS * 20):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    assert begun == 40
    assert 10 <= steps - begun <= 20


async def test_work_that_is_given_up_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "WORK_S", 0.0)
    given_up = [asyncio.create_task(Pauses().take()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in given_up:
        task.cancel()
    await asyncio.wait_for(Pauses().take(), timeout=5)
