import asyncio

from freehold.core.errors import RecordNotWritten
from freehold.dashboard.feed import RING_ENTRIES, Feed
from tests.fakes.ledger import InMemoryLedger, entry

POLL_S = 0.01


def _polling(feed: Feed) -> bool:
    return feed.is_polling


async def until(feed: Feed, seq: int, count: int) -> list[int]:
    got: list[int] = []
    async with asyncio.timeout(10):
        while len(got) < count:
            got += [number for number, _ in await feed.newer(got[-1] if got else seq, timeout_s=0.1)]
    return got


async def test_many_pages_share_one_poller_and_it_ends_with_the_last() -> None:
    ledger = InMemoryLedger()
    feed = Feed(ledger, poll_s=POLL_S)
    assert not _polling(feed)
    async with feed.watching():
        async with feed.watching():
            ledger.add(entry(1))
            first, second = await asyncio.gather(until(feed, 0, 1), until(feed, 0, 1))
            assert first == second == [1]
            pollers = [task for task in asyncio.all_tasks() if task.get_name() == "dashboard-poller"]
            assert len(pollers) == 1
        assert _polling(feed)
    assert not _polling(feed)
    reads = ledger.reads
    await asyncio.sleep(POLL_S * 5)
    assert ledger.reads == reads


async def test_a_page_that_fell_behind_the_ring_still_gets_every_entry_in_order() -> None:
    ledger = InMemoryLedger()
    feed = Feed(ledger, poll_s=POLL_S)
    total = RING_ENTRIES * 2 + 50
    for number in range(1, total + 1):
        ledger.add(entry(number))
    async with feed.watching():
        assert await until(feed, 0, total) == list(range(1, total + 1))


async def test_a_burst_larger_than_the_ring_is_not_lost() -> None:
    ledger = InMemoryLedger()
    feed = Feed(ledger, poll_s=POLL_S)
    ledger.add(entry(1))
    async with feed.watching():
        assert await until(feed, 0, 1) == [1]
        for number in range(2, RING_ENTRIES * 2):
            ledger.add(entry(number))
        assert await until(feed, 1, RING_ENTRIES * 2 - 2) == list(range(2, RING_ENTRIES * 2))


async def test_after_a_pause_the_ring_starts_afresh() -> None:
    ledger = InMemoryLedger()
    feed = Feed(ledger, poll_s=POLL_S)
    ledger.add(entry(1))
    async with feed.watching():
        await until(feed, 0, 1)
    for number in range(2, 1000):
        ledger.add(entry(number))
    reads = ledger.reads
    async with feed.watching():
        assert await until(feed, 998, 1) == [999]
    assert ledger.reads - reads < 10


async def test_a_record_that_cannot_be_read_is_said_and_tried_again() -> None:
    ledger = InMemoryLedger()
    ledger.failure = RecordNotWritten("the disk is gone")
    feed = Feed(ledger, poll_s=POLL_S)
    async with feed.watching():
        async with asyncio.timeout(10):
            while feed.status.ready:
                await feed.newer(0, timeout_s=POLL_S)
        assert feed.status.detail == "the disk is gone"
        ledger.failure = None
        ledger.add(entry(1))
        assert await until(feed, 0, 1) == [1]
        assert feed.status.ready


async def test_closing_lets_waiting_pages_go() -> None:
    feed = Feed(InMemoryLedger(), poll_s=POLL_S)
    async with feed.watching():
        waiting = asyncio.create_task(feed.newer(0, timeout_s=60))
        await asyncio.sleep(POLL_S)
        await feed.close()
        async with asyncio.timeout(10):
            assert await waiting == []
