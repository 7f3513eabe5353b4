"""One poller for all open pages.

While anyone looks, the record is read twice a second, off the event loop, and the newest entries are kept in a ring. A page
keeps only the number of the last entry it has shown: it waits for the ring to move and takes what is newer, from the ring,
or from the record itself when it fell behind the ring. So a slow page costs no memory, and resuming is the same as being
slow.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from freehold.core.errors import FreeholdError
from freehold.core.ledger import LedgerEntry
from freehold.core.ports import LedgerReader, UpstreamStatus

log = logging.getLogger("freehold.dashboard")

Numbered = tuple[int, LedgerEntry]

RING_ENTRIES = 200  # what the page shows; older exchanges are the record's business
POLL_S = 0.5


class Feed:
    def __init__(self, reader: LedgerReader, *, poll_s: float = POLL_S) -> None:
        self._reader = reader
        self._poll_s = poll_s
        self._ring: deque[Numbered] = deque(maxlen=RING_ENTRIES)
        self._moved = asyncio.Condition()
        self._watchers = 0
        self._poller: asyncio.Task[None] | None = None
        self._closed = False
        self.status = UpstreamStatus(ready=True, detail="readable")

    @property
    def is_polling(self) -> bool:
        return self._poller is not None

    @property
    def is_closed(self) -> bool:
        return self._closed

    async def recent(self) -> list[Numbered]:
        """The last entries, newest first."""
        return await asyncio.to_thread(self._reader.recent, RING_ENTRIES)

    async def newest(self) -> int:
        """The number of the last entry, 0 without any."""
        entries = await asyncio.to_thread(self._reader.recent, 1)
        return entries[0][0] if entries else 0

    def shown(self) -> list[LedgerEntry]:
        """What the ring holds, oldest first."""
        return [entry for _, entry in self._ring]

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Keep the poller alive for as long as this is open."""
        self._watchers += 1
        try:
            if self._poller is None:
                self._poller = asyncio.create_task(self._poll(), name="dashboard-poller")
            yield
        finally:
            self._watchers -= 1
            if self._watchers == 0:
                await self._stop()

    async def newer(self, seq: int, timeout_s: float) -> list[Numbered]:
        """Entries above `seq`, oldest first; empty when `timeout_s` passes without any. Needs `watching`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(lambda: self._closed or (bool(self._ring) and self._ring[-1][0] > seq))
        if not self._ring or self._ring[-1][0] <= seq:
            return []
        if len(self._ring) == RING_ENTRIES and self._ring[0][0] > seq + 1:
            return await asyncio.to_thread(self._reader.after, seq, RING_ENTRIES)
        return [numbered for numbered in self._ring if numbered[0] > seq]

    async def close(self) -> None:
        """Let every page go, so that the server can stop."""
        self._closed = True
        async with self._moved:
            self._moved.notify_all()

    async def _poll(self) -> None:
        primed = False
        while True:
            try:
                fresh = await self._read(primed)
                primed = True
                self.status = UpstreamStatus(ready=True, detail="readable")
            except FreeholdError as failure:  # the disk's trouble is shown, and tried again
                self.status = UpstreamStatus(ready=False, detail=failure.message)
                fresh = []
            except Exception:
                log.exception("dashboard_poll_failed")
                self.status = UpstreamStatus(ready=False, detail="the record cannot be read; the node's log says why")
                fresh = []
            if fresh:
                self._ring.extend(fresh)
                async with self._moved:
                    self._moved.notify_all()
            await asyncio.sleep(self._poll_s)

    async def _read(self, primed: bool) -> list[Numbered]:
        """After a pause the ring may be far behind: it starts afresh rather than reading all that was missed."""
        if not primed:
            newest_first = await self.recent()
            self._ring.clear()
            return newest_first[::-1]
        last = self._ring[-1][0] if self._ring else 0
        return await asyncio.to_thread(self._reader.after, last, RING_ENTRIES)

    async def _stop(self) -> None:
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.cancel()
            with suppress(asyncio.CancelledError):
                await poller


def record_status(feed: Feed, others: Mapping[str, UpstreamStatus]) -> dict[str, UpstreamStatus]:
    """What the page shows under its heading: every part the node names, and whether the record can be read."""
    return {**others, "reading the record": feed.status} if not feed.status.ready else dict(others)
