import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from freehold.core.content import Kept
from freehold.core.errors import RecordNotWritten
from freehold.core.exchange import ExchangeId
from freehold.core.ledger import Draft
from freehold.core.limits import DAY_NS
from freehold.core.receipts import content_digest
from freehold.provenance.content import content_key
from freehold.provenance.signer import NodeSigner
from freehold.store.config import StoreConfig
from freehold.store.content import ContentStore
from freehold.store.reader import RecordReader
from freehold.store.retention import Purged, Retention
from freehold.store.writer import RecordWriter
from tests.store.logs import KEY, check, honest

NOW_NS = 1_795_000_000 * 1_000_000_000
CONTENT = b'{"body":"xyzzyplugh"}'


def kept_draft(exchange_id: str, days: int = 5) -> Draft:
    draft = honest(exchange_id, received_at_ns=NOW_NS)
    claims = replace(draft.claims, content_digest=content_digest(draft.claims.salt, CONTENT))
    return replace(draft, claims=claims, kept=Kept(content=CONTENT, until_ns=NOW_NS + days * DAY_NS))


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Three kept exchanges, of 5, 10 and 15 days, and one that is not."""
    path = tmp_path / "record.db"
    key = content_key(tmp_path / "keys", make=True)
    with closing(RecordWriter(path, NodeSigner(KEY), sealer=KEY, cipher=key)) as writer:
        for i in (1, 2, 3):
            await writer.record(kept_draft(f"xc_{i}", days=5 * i))
        await writer.record(honest("xc_4"))
    return path


def store(path: Path, days: int = 0) -> ContentStore:
    return ContentStore(path, sealer=KEY, unix_ns=lambda: NOW_NS + days * DAY_NS)


def ids(path: Path) -> list[str]:
    return [row.exchange_id for row in store(path).list(99)]


async def test_what_is_kept_opens_with_the_homes_key_and_is_not_in_the_file(path: Path) -> None:
    assert ids(path) == ["xc_3", "xc_2", "xc_1"]
    encrypted = store(path).read(ExchangeId("xc_2"))
    assert encrypted is not None
    assert content_key(path.parent / "keys").decrypt(encrypted, ExchangeId("xc_2")) == CONTENT
    assert b"xyzzyplugh" not in b"".join(file.read_bytes() for file in path.parent.glob("record.db*"))
    assert store(path).read(ExchangeId("xc_4")) is None
    assert check(path).broken is None


async def test_one_is_deleted_by_itself_and_its_digest_stays(path: Path) -> None:
    encrypted = store(path).read(ExchangeId("xc_2"))
    assert encrypted is not None
    assert store(path).delete(["xc_2", "xc_2", "xc_none"]) == ["xc_2"]
    assert ids(path) == ["xc_3", "xc_1"]
    assert encrypted[:64] not in b"".join(file.read_bytes() for file in path.parent.glob("record.db*"))
    with closing(RecordReader(path)) as reader:
        stored = reader.receipt(ExchangeId("xc_2"))
    assert stored is not None
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT exchange_id FROM audit WHERE kind = 'content_deleted'").fetchall()
    assert rows == [("xc_2",)]
    assert check(path).broken is None
    assert store(path).delete() == ["xc_1", "xc_3"]


async def test_that_a_person_read_one_is_in_the_log(path: Path) -> None:
    store(path).note_shown(ExchangeId("xc_1"))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT exchange_id FROM audit WHERE kind = 'content_shown'").fetchall() == [("xc_1",)]
    assert check(path).broken is None


async def test_each_goes_at_its_own_time_whatever_the_records_retention(path: Path) -> None:
    assert store(path, days=6).read(ExchangeId("xc_1")) is None  # over, and not purged yet
    for config in (StoreConfig(), StoreConfig(retention_days=40)):
        retention = Retention(path, config, KEY, lambda: NOW_NS + 6 * DAY_NS)
        assert retention.purge() == (Purged(kept=1) if config == StoreConfig() else Purged())
    assert ids(path) == ["xc_3", "xc_2"]
    assert check(path).broken is None


async def test_an_exchange_that_is_purged_takes_what_was_kept_of_it_along(path: Path) -> None:
    later_ns = NOW_NS + 200 * DAY_NS
    purged = Retention(path, StoreConfig(retention_days=40), KEY, lambda: later_ns).purge()
    assert (purged.exchanges, ids(path)) == (4, [])


async def test_nothing_is_kept_in_the_clear_where_there_is_no_key(tmp_path: Path) -> None:
    with (
        closing(RecordWriter(tmp_path / "record.db", NodeSigner(KEY), sealer=KEY)) as writer,
        pytest.raises(RecordNotWritten, match="no key to encrypt"),
    ):
        await writer.record(kept_draft("xc_1"))
