"""Records whose receipts are signed for real, for tests of the log."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from freehold.cli.audit_record import NodeProofs
from freehold.core.findings import Finding
from freehold.core.ledger import Draft
from freehold.provenance.keys import NodeKey, trusted
from freehold.provenance.signer import NodeSigner
from freehold.store.audit import Head
from freehold.store.config import StoreConfig
from freehold.store.database import open_reader
from freehold.store.exchanges import Broken, verdict_digest
from freehold.store.verify import LogReport, verify_log
from freehold.store.writer import RecordWriter
from tests.store.drafts import FINDING, claims, entry

KEY = NodeKey.generate()
KEYED_FINDING = replace(FINDING, value_digest="ab" * 32)


def honest(exchange_id: str, *, findings: tuple[Finding, ...] = (), received_at_ns: int | None = None) -> Draft:
    """A draft whose claims and entry say the same, as the gateway makes them."""
    row = entry(exchange_id, findings=findings)
    if received_at_ns is not None:
        row = replace(row, received_at_ns=received_at_ns)
    said = replace(
        claims(exchange_id, salt=exchange_id.encode()),
        policy_digest=row.policy_digest,
        energy=row.energy,
        verdict_digest=verdict_digest(list(findings)),
    )
    return Draft(claims=said, entry=row)


def log_writer(path: Path, *, key: NodeKey | None = KEY, group_drafts: int = 256) -> RecordWriter:
    return RecordWriter(path, NodeSigner(KEY), StoreConfig(group_drafts=group_drafts), sealer=key)


async def write_log(path: Path, *, exchanges: int = 6) -> None:
    """A placement before each exchange, every second one with findings: rows 1, 3, 5 … are decisions. Each commit is one row."""
    with closing(log_writer(path)) as writer:
        for i in range(exchanges):
            await writer.append("placement", {"allowed": ["here"], "labels": ["personal"]}, None)
            await writer.record(honest(f"xc_{i}", findings=(FINDING, KEYED_FINDING) if i % 2 else ()))


def check(path: Path, *, head: Head | None = None, key: NodeKey = KEY, **options: object) -> LogReport:
    with closing(open_reader(path, 1.0)) as connection:
        return verify_log(connection, NodeProofs(trusted(key.public)), head=head, **options)  # type: ignore[arg-type]


def broken(path: Path, **options: object) -> Broken:
    """What is wrong. Fails where nothing is."""
    report = check(path, **options)  # type: ignore[arg-type]
    assert report.broken is not None
    return report.broken


def tamper(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
