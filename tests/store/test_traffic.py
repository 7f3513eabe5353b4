"""The busiest hour of the ledger."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.core.errors import DeviceError
from freehold.core.ledger import LedgerEntry
from freehold.store.database import open_writer
from freehold.store.rows import INSERT_ENTRY, entry_row
from freehold.store.traffic import RecordedTraffic
from tests.store.drafts import entry

HOUR_NS = 3_600 * 1_000_000_000


def store(path: Path, *entries: LedgerEntry) -> RecordedTraffic:
    with closing(open_writer(path, 1.0)) as connection:
        for one in entries:
            connection.execute(INSERT_ENTRY, entry_row(one))
    return RecordedTraffic(path)


def at(hour: float, n: int, tokens: int, provider: str | None = "openai", output_tokens: int | None = 10) -> LedgerEntry:
    return replace(
        entry(f"xc_{hour}_{n}"),
        received_at_ns=int(hour * HOUR_NS) + n,
        provider=provider,
        input_tokens=tokens,
        output_tokens=output_tokens,
    )


def test_the_busiest_hour_is_the_one_with_most_tokens(tmp_path: Path) -> None:
    traffic = store(
        tmp_path / "record.db",
        at(5, 0, 10),
        at(5, 1, 20),
        at(5, 2, 30),
        at(7.5, 1, 900),
        at(7, 2, 50),
        at(7, 3, 5, provider="freehold"),  # our own engine
        at(7, 4, 5, provider=None),  # nobody answered
        at(7, 5, 5, output_tokens=None),  # nobody counted
    )
    assert traffic.busiest_hour(0, 100 * HOUR_NS, "freehold") == [(7 * HOUR_NS + 2, 50, 10), (int(7.5 * HOUR_NS) + 1, 900, 10)]
    assert len(traffic.busiest_hour(0, 100 * HOUR_NS)) == 3
    assert [row[1] for row in traffic.busiest_hour(0, 6 * HOUR_NS)] == [10, 20, 30]
    assert traffic.busiest_hour(50 * HOUR_NS, 60 * HOUR_NS) == []


def test_a_record_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="record"):
        RecordedTraffic(tmp_path / "record.db").busiest_hour(0, HOUR_NS)
