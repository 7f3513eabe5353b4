import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings

from freehold.core.errors import DeviceError
from freehold.core.exchange import ExchangeId
from freehold.core.ledger import Draft, LedgerEntry
from freehold.store.reader import RecordReader
from freehold.store.writer import RecordWriter
from tests.store.drafts import FINDING, ChainSigner, claims, draft, entries


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "record.db"


@pytest.fixture
def writer(path: Path) -> Iterator[RecordWriter]:
    writer = RecordWriter(path, ChainSigner())
    yield writer
    writer.close()


async def test_entries_come_oldest_first_after_a_number_and_newest_first_from_the_end(writer: RecordWriter, path: Path) -> None:
    for i in range(5):
        await writer.record(draft(f"xc_{i}", findings=(FINDING,) * i))
    with closing(RecordReader(path)) as reader:
        assert [(seq, e.exchange_id) for seq, e in reader.after(2, 2)] == [(3, "xc_2"), (4, "xc_3")]
        assert [(seq, e.exchange_id) for seq, e in reader.recent(2)] == [(5, "xc_4"), (4, "xc_3")]
        assert [len(e.findings) for _, e in reader.after(0, 9)] == [0, 1, 2, 3, 4]
        assert reader.after(5, 9) == []


async def test_a_receipt_that_is_not_there_is_none(writer: RecordWriter, path: Path) -> None:
    with closing(RecordReader(path)) as reader:
        assert reader.receipt(ExchangeId("xc_1")) is None


def test_an_entry_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    count = 0

    async def record(writer: RecordWriter, entry: LedgerEntry) -> None:
        await writer.record(Draft(claims=claims(entry.exchange_id), entry=entry))

    with closing(RecordWriter(path, ChainSigner())) as writer, closing(RecordReader(path)) as reader:

        @settings(max_examples=50)
        @given(entries())
        def check(entry: LedgerEntry) -> None:
            nonlocal count
            if any(e.exchange_id == entry.exchange_id for _, e in reader.after(0, 1000)):
                return
            asyncio.run(record(writer, entry))
            count += 1
            assert reader.recent(1) == [(count, entry)]

        check()
    assert count > 10


async def test_threads_read_while_the_writer_writes(writer: RecordWriter, path: Path) -> None:
    seen: list[int] = []

    def read(reader: RecordReader) -> None:
        while not seen or seen[-1] < 100:
            seen.append(len(reader.after(0, 1000)))

    with closing(RecordReader(path)) as reader:
        threads = [threading.Thread(target=read, args=(reader,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for i in range(100):
            await writer.record(draft(f"xc_{i}"))
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert reader.after(99, 9)[0][1].exchange_id == "xc_99"


def test_a_record_that_is_missing_or_damaged_is_a_clear_error(path: Path) -> None:
    with closing(RecordReader(path)) as reader:
        with pytest.raises(DeviceError, match=r"record\.db"):
            reader.recent(1)
        path.write_bytes(b"not a database at all, " * 100)
        with pytest.raises(DeviceError, match="damaged or no record"):
            reader.recent(1)
        path.write_bytes(b"")
        with pytest.raises(DeviceError, match="no up-to-date record"):
            reader.recent(1)


async def test_a_reader_cannot_write(writer: RecordWriter, path: Path) -> None:
    with closing(RecordReader(path)) as reader, pytest.raises(DeviceError, match="read-only"), reader._lent() as connection:
        connection.execute("DELETE FROM ledger")
