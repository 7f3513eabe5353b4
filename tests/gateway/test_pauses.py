import asyncio
import sys
import threading
import time
from functools import partial

import pytest

from freehold.gateway import pauses
from freehold.gateway.pauses import LONG_CHARS, SWITCH_S, TURNS, Pauses, apart
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


@pytest.mark.parametrize(("took_s", "rests_s"), [(0.003, []), (0.04, [0.01])])
async def test_a_dear_step_is_followed_by_a_rest(monkeypatch: pytest.MonkeyPatch, took_s: float, rests_s: list[float]) -> None:
    slept: list[float] = []
    at_s = 0.0

    async def sleep(delay: float) -> None:
        slept.append(delay)

    monkeypatch.setattr(pauses, "monotonic", lambda: at_s)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    work = Pauses()
    at_s = took_s
    await work.take()
    assert slept == [0.0] * TURNS + rests_s


async def test_work_that_is_given_up_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "WORK_S", 0.0)
    given_up = [asyncio.create_task(Pauses().take()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in given_up:
        task.cancel()
    await asyncio.wait_for(Pauses().take(), timeout=5)


async def test_others_go_on_while_something_is_done_apart() -> None:
    with of_others() as turns:
        assert await apart(lambda: turns.wait_for(100)) >= 100


async def test_what_is_short_does_not_wait_for_what_is_long() -> None:
    ended = threading.Event()
    long = asyncio.ensure_future(apart(lambda: ended.wait(timeout=5), LONG_CHARS + 1))
    assert await apart(lambda: "short", LONG_CHARS) == "short"
    assert not long.done()
    ended.set()
    assert await long


async def test_however_much_is_done_apart_two_are_done_at_a_time() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def work() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.001)
        with lock:
            now -= 1

    await asyncio.gather(*(apart(work, chars) for chars in range(0, LONG_CHARS * 2, LONG_CHARS // 20)))
    assert (now, most) == (0, 2)


async def test_threads_take_turns_often_while_something_is_done_apart_and_no_longer() -> None:
    before = sys.getswitchinterval()
    assert await apart(sys.getswitchinterval) == pytest.approx(SWITCH_S)
    assert sys.getswitchinterval() == before


async def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    ended, begun = threading.Event(), list[int]()
    first = asyncio.ensure_future(apart(lambda: ended.wait(timeout=5)))
    second, third = (asyncio.ensure_future(apart(partial(begun.append, number))) for number in (2, 3))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    ended.set()
    await asyncio.gather(first, third)
    assert begun == [3]
