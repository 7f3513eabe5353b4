import asyncio
import itertools
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.core.exchange import ExchangeId
from freehold.core.findings import Finding
from freehold.core.ledger import Draft, LedgerEntry
from freehold.provenance.keys import NodeKey
from freehold.store import audit
from freehold.store.audit import LogEnd, decision, entry_of, link_of
from freehold.store.database import open_writer, transaction
from freehold.store.exchanges import verdict_digest
from tests.store.drafts import FINDING, entries
from tests.store.logs import KEY, broken, check, honest, log_writer, tamper, write_log


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "record.db"
    await write_log(path)
    return path


async def test_a_log_as_it_was_written_holds(path: Path) -> None:
    report = check(path)
    assert report.broken is None
    assert (report.rows, report.exchanges, report.purged, report.before_log, report.sealed_through) == (12, 6, 0, 0, 12)
    assert report.head is not None
    assert report.head.n == 12
    assert check(path, each_signature=True).broken is None


async def test_a_log_holds_while_a_node_goes_on_writing_it(path: Path) -> None:
    with closing(log_writer(path)) as writer:
        for i in range(5):
            writing = asyncio.ensure_future(writer.record(honest(f"xc_more_{i}")))
            report = await asyncio.to_thread(check, path)
            assert report.broken is None
            await writing
    assert check(path).rows == 17


def test_an_empty_record_holds(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    open_writer(path, 1.0).close()
    report = check(path)
    assert (report.broken, report.rows, report.head) == (None, 0, None)


CHANGES = [
    ("UPDATE ledger SET input_tokens = 13 WHERE seq = 3", 6, "input_tokens is 13, the receipt was signed over 12"),
    ("UPDATE ledger SET status = 'failed' WHERE seq = 3", 6, "status is 'failed'"),
    ("UPDATE ledger SET model_id = 'ff' WHERE seq = 3", 6, "model_id"),
    ("UPDATE ledger SET policy_digest = 'ff' WHERE seq = 3", 6, "policy_digest"),
    ("UPDATE ledger SET key_id = 'key_2' WHERE seq = 3", 6, "not in its receipt"),
    ("UPDATE ledger SET team = 'red' WHERE seq = 3", 6, "not in its receipt"),
    ("UPDATE ledger SET duration_ms = 1 WHERE seq = 3", 6, "not in its receipt"),
    ("UPDATE ledger SET cost_microusd = 1 WHERE seq = 3", 6, "not in its receipt"),
    ("UPDATE ledger SET received_at_ns = received_at_ns + 1 WHERE seq = 3", 6, "not in its receipt"),
    ("UPDATE finding SET action = 'allow' WHERE ledger_seq = 4 AND n = 0", 8, "findings"),
    ("UPDATE finding SET value_digest = NULL WHERE ledger_seq = 4 AND n = 1", 8, "findings"),
    ("UPDATE finding SET span_end = 99 WHERE ledger_seq = 4 AND n = 1", 8, "findings"),
    ("DELETE FROM finding WHERE ledger_seq = 4 AND n = 1", 8, "findings"),
    ("INSERT INTO finding SELECT ledger_seq, 2, rule, category, direction, channel, part, span_start, span_end, confidence,"
     " action, mode, value_digest FROM finding WHERE ledger_seq = 4 AND n = 0", 8, "findings"),
    ("UPDATE receipt SET envelope = x'7b7d' WHERE ledger_seq = 3", 6, "cannot be read"),
    ("UPDATE receipt SET digest = 'ff' WHERE ledger_seq = 3", 6, "not the one whose digest"),
    ("UPDATE receipt SET salt = x'00' WHERE ledger_seq = 3", 6, "not in its receipt"),
    ("UPDATE receipt SET signed_by = 'me' WHERE ledger_seq = 3", 6, "not in its receipt"),
    ("UPDATE audit SET facts = '{\"allowed\":[\"elsewhere\"]}' WHERE n = 5", 5, "facts"),
    ("UPDATE audit SET at_ns = at_ns + 1 WHERE n = 5", 5, "link"),
    ("UPDATE audit SET kind = 'harmless' WHERE n = 5", 5, "link"),
    ("UPDATE audit SET exchange_id = 'xc_other' WHERE n = 6", 6, "link"),
    ("UPDATE audit SET digest = x'00' WHERE n = 5", 5, "facts"),
    ("UPDATE audit SET link = x'00' WHERE n = 5", 5, "link"),
    ("UPDATE audit SET seal = NULL, signed_by = NULL WHERE n = 5", 6, "the seal before it"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "n", "detail"), CHANGES)
async def test_a_changed_field_is_named_with_its_row(path: Path, statement: str, n: int, detail: str) -> None:
    tamper(path, statement)
    found = broken(path)
    assert (found.what, found.n) == ("changed", n)
    assert detail in found.detail


@pytest.mark.parametrize(
    ("statements", "n", "ledger_seq", "what"),
    [
        (["DELETE FROM ledger WHERE seq = 3"], 6, 3, "deleted"),
        (["DELETE FROM receipt WHERE ledger_seq = 3"], 6, 3, "deleted"),
        (["DELETE FROM audit WHERE n = 5"], 5, None, "deleted"),
        (["DELETE FROM audit WHERE n = 6"], 6, None, "deleted"),
        (["UPDATE audit SET facts = NULL WHERE n = 5"], 5, None, "deleted"),
        (["DELETE FROM audit WHERE n = 1"], 1, None, "deleted"),
    ],
)
async def test_a_row_taken_out_is_missed(path: Path, statements: list[str], n: int, ledger_seq: int | None, what: str) -> None:
    tamper(path, *statements)
    found = broken(path)
    assert (found.what, found.n, found.ledger_seq) == (what, n, ledger_seq)


async def test_an_exchange_taken_out_with_everything_that_names_it_is_missed(path: Path) -> None:
    tamper(
        path,
        "DELETE FROM ledger WHERE seq = 3",
        "DELETE FROM receipt WHERE ledger_seq = 3",
        "DELETE FROM audit WHERE n = 6",
        "UPDATE audit SET n = n - 1 WHERE n > 6",
    )
    found = broken(path)
    assert (found.what, found.n) in [("deleted", 6), ("changed", 6)]


async def test_a_row_put_in_is_noticed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(ledger)")]
    others = ", ".join(name for name in names if name not in ("seq", "exchange_id"))
    tamper(path, f"INSERT INTO ledger (exchange_id, {others}) SELECT 'xc_forged', {others} FROM ledger WHERE seq = 3")
    found = broken(path)
    assert (found.what, found.ledger_seq, found.exchange_id) == ("inserted", 7, "xc_forged")


async def test_findings_of_no_exchange_are_noticed(path: Path) -> None:
    tamper(path, "UPDATE finding SET ledger_seq = 3 WHERE ledger_seq = 2", "DELETE FROM finding WHERE ledger_seq = 4")
    assert broken(path).what == "changed"
    tamper(
        path,
        "DELETE FROM finding",
        "INSERT INTO finding VALUES (0, 0, 'r', 'c', 'd', 'c', 0, 0, 1, 1.0, 'mask', 'enforce', NULL)",
    )
    assert broken(path).what in ("inserted", "changed")


async def test_rows_that_changed_places_are_noticed(path: Path) -> None:
    swap = "UPDATE {0} SET {1} = CASE {1} WHEN 3 THEN -4 WHEN 5 THEN -3 END WHERE {1} IN (3, 5)"
    back = "UPDATE {0} SET {1} = CASE {1} WHEN -4 THEN 5 WHEN -3 THEN 3 END WHERE {1} < 0"
    tables = [("ledger", "seq"), ("receipt", "ledger_seq")]
    tamper(path, *(text.format(*table) for text in (swap, back) for table in tables))
    found = broken(path)
    assert (found.what, found.n, found.ledger_seq) == ("reordered", 6, 3)


async def test_rows_of_the_log_that_changed_places_are_noticed(path: Path) -> None:
    """Those of two exchanges: 6 and 8 have rows 3 and 4 of the ledger."""
    tamper(
        path, "UPDATE audit SET n = 99 WHERE n = 6", "UPDATE audit SET n = 6 WHERE n = 8", "UPDATE audit SET n = 8 WHERE n = 99"
    )
    found = broken(path)
    assert (found.what, found.n) == ("reordered", 6)


async def test_facts_put_beside_an_exchange_are_noticed(path: Path) -> None:
    tamper(path, "UPDATE audit SET facts = '{}' WHERE n = 6")
    found = broken(path)
    assert (found.what, found.n) == ("changed", 6)


async def test_receipts_that_changed_places_are_noticed(path: Path) -> None:
    tamper(
        path,
        "UPDATE ledger SET exchange_id = exchange_id || '_' WHERE seq IN (3, 5)",
        "UPDATE ledger SET exchange_id = CASE seq WHEN 3 THEN 'xc_4' ELSE 'xc_2' END WHERE seq IN (3, 5)",
    )
    found = broken(path)
    assert (found.what, found.n) == ("reordered", 6)


async def test_a_tail_that_was_cut_off_is_noticed(path: Path) -> None:
    tamper(path, "DELETE FROM audit WHERE n > 10", "DELETE FROM ledger WHERE seq > 5", "DELETE FROM receipt WHERE ledger_seq > 5")
    found = broken(path)
    assert (found.what, found.n) == ("truncated", 11)


async def test_a_tail_cut_off_with_its_counters_shows_against_a_kept_head(path: Path) -> None:
    head = check(path).head
    tamper(
        path,
        "DELETE FROM audit WHERE n > 10",
        "DELETE FROM ledger WHERE seq > 5",
        "DELETE FROM receipt WHERE ledger_seq > 5",
        "DELETE FROM finding WHERE ledger_seq > 5",
        "UPDATE sqlite_sequence SET seq = 10 WHERE name = 'audit'",
        "UPDATE sqlite_sequence SET seq = 5 WHERE name = 'ledger'",
    )
    assert check(path).broken is None  # nothing in the file tells
    found = broken(path, head=head)
    assert (found.what, found.n) == ("truncated", 12)


async def test_a_kept_head_holds_after_the_log_has_grown(path: Path) -> None:
    head = check(path).head
    with closing(log_writer(path)) as writer:
        await writer.append("policy_loaded", {"digest": "00"})
    assert check(path, head=head).broken is None


def relink(path: Path, key: NodeKey | None) -> None:
    """What an attacker without the node's key can do: recompute every digest's link, and sign with a key of their own."""
    with closing(open_writer(path, 1.0)) as connection, transaction(connection):
        rows = connection.execute("SELECT * FROM audit ORDER BY n").fetchall()
        before: tuple[bytes, bytes | None, str | None] = (b"", None, None)
        for row in rows:
            digest = audit.facts_digest(row["facts"]) if row["facts"] is not None else row["digest"]
            link = link_of(entry_of(before, row["n"], row["at_ns"], row["kind"], (row["exchange_id"], row["ledger_seq"]), digest))
            seal, signed_by = row["seal"], row["signed_by"]
            if key is not None and link != row["link"]:
                seal, signed_by = key.sign(audit.seal_message(row["n"], link)), KEY.key_id
            connection.execute(
                "UPDATE audit SET digest = ?, link = ?, seal = ?, signed_by = ? WHERE n = ?",
                (digest, link, seal, signed_by, row["n"]),
            )
            before = (link, seal, signed_by)


@pytest.mark.parametrize("own_key", [None, NodeKey.generate()])
async def test_a_log_written_anew_without_the_nodes_key_is_forged_from_the_row_that_was_changed(
    path: Path, own_key: NodeKey | None
) -> None:
    tamper(path, 'UPDATE audit SET facts = \'{"allowed":["elsewhere"]}\' WHERE n = 5')
    relink(path, own_key)
    found = broken(path)
    assert (found.what, found.n) == ("forged", 5)
    assert "seal of row 5" in found.detail


async def test_a_seal_that_was_spoiled_is_noticed_even_on_the_last_row(path: Path) -> None:
    tamper(path, "UPDATE audit SET seal = zeroblob(64) WHERE n = 12")
    found = broken(path)
    assert (found.what, found.n) == ("forged", 12)


async def test_a_seal_by_a_key_that_is_not_trusted_does_not_hold(path: Path) -> None:
    found = broken(path, key=NodeKey.generate())
    assert (found.what, found.n) == ("forged", 1)
    assert "not trusted" in found.detail


async def test_a_log_sealed_by_another_key_than_the_nodes_is_forged(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    other = NodeKey.generate()
    with closing(log_writer(path, key=other)) as writer:
        await asyncio.gather(*(writer.record(honest(f"xc_{i}")) for i in range(5)))
    assert broken(path).what == "forged"


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("change", ["seal = x'00'", "signed_by = 'me'"])
async def test_a_seal_that_was_spoiled_in_the_middle_is_named(path: Path, change: str, each: bool) -> None:
    tamper(path, f"UPDATE audit SET {change} WHERE n = 5")
    found = broken(path, each_signature=each)
    assert (found.what, found.n) == ("forged", 5)


async def test_rows_at_the_end_that_nobody_sealed_do_not_hold_until_the_next_seal(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    with closing(log_writer(path, key=None)) as writer:
        await writer.append("policy_loaded", {})
    found = broken(path)
    assert (found.what, found.n) == ("unsealed", 1)
    with closing(log_writer(path)) as writer:
        await writer.append("policy_loaded", {})
    report = check(path)
    assert (report.broken, report.sealed_through) == (None, 2)


async def test_seals_that_were_stripped_off_do_not_pass_for_rows_that_wait_for_one(path: Path) -> None:
    tamper(path, 'UPDATE audit SET facts = \'{"allowed":["elsewhere"]}\' WHERE n = 9')
    tamper(path, "UPDATE audit SET seal = NULL, signed_by = NULL WHERE n >= 9")
    relink(path, None)
    found = broken(path)
    assert (found.what, found.n) == ("unsealed", 9)


@pytest.mark.parametrize(("first", "last", "rows"), [(1, None, 12), (5, None, 8), (6, 8, 3), (12, 12, 1), (2, 2, 1)])
async def test_a_part_of_the_log_can_be_checked(path: Path, first: int, last: int | None, rows: int) -> None:
    report = check(path, first_n=first, last_n=last)
    assert report.broken is None
    assert report.rows == rows


async def test_a_part_is_checked_up_to_its_seal_and_not_beyond(path: Path) -> None:
    tamper(path, "UPDATE ledger SET team = 'red' WHERE seq = 5")
    assert check(path, first_n=1, last_n=9).broken is None
    assert check(path, first_n=11).broken is None
    assert broken(path, first_n=7, last_n=10).n == 10
    with pytest.raises(InvalidRequest, match="no row 99"):
        check(path, first_n=100)


async def test_exchanges_from_before_the_log_are_held_by_their_receipts(path: Path) -> None:
    tamper(path, "DELETE FROM audit", "DELETE FROM sqlite_sequence WHERE name = 'audit'")  # as an older release left the file
    with closing(log_writer(path)) as writer:
        await writer.record(honest("xc_new"))
    report = check(path)
    assert (report.broken, report.before_log, report.rows, report.exchanges) == (None, 6, 2, 1)
    tamper(path, "UPDATE ledger SET input_tokens = 1 WHERE seq = 2")
    assert (broken(path).what, broken(path).ledger_seq) == ("changed", 2)


async def test_a_log_that_was_taken_out_does_not_pass_for_one_that_never_was(path: Path) -> None:
    tamper(path, "DELETE FROM audit", "DELETE FROM sqlite_sequence WHERE name = 'audit'")
    found = broken(path)
    assert (found.what, found.n) == ("deleted", 1)
    assert "start the node once" in found.detail


async def test_the_beginning_of_the_log_cannot_be_made_later(path: Path) -> None:
    tamper(path, "DELETE FROM audit", "DELETE FROM sqlite_sequence WHERE name = 'audit'")
    with closing(log_writer(path)) as writer:
        await writer.record(honest("xc_new"))
    tamper(path, "UPDATE audit SET facts = replace(facts, '6', '7') WHERE n = 1")
    assert broken(path).n == 1


async def test_a_receipt_from_before_the_log_that_the_node_did_not_sign_is_forged(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    await write_log(path)
    tamper(path, "DELETE FROM audit", "DELETE FROM sqlite_sequence WHERE name = 'audit'")
    found = broken(path, key=NodeKey.generate())
    assert (found.what, found.ledger_seq) == ("forged", 1)


def test_findings_recorded_before_values_had_digests_hold(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    asyncio.run(_write_older(path))
    assert check(path).broken is None


async def _write_older(path: Path) -> None:
    bare = {k: v for k, v in json.loads(json.dumps(_plain(FINDING))).items() if k != "value_digest"}
    digest = sha256(json.dumps([bare], sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    draft = honest("xc_old", findings=(FINDING,))
    with closing(log_writer(path)) as writer:
        await writer.record(Draft(claims=replace(draft.claims, verdict_digest=digest), entry=draft.entry))


def _plain(finding: Finding) -> dict[str, object]:
    return {name: getattr(finding, name) for name in finding.__slots__}


def test_whatever_an_entry_holds_its_row_comes_back_with_the_same_digest(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    written = itertools.count()

    async def write(entry: LedgerEntry) -> None:
        draft = honest(entry.exchange_id)
        names = ("dialect", "operation", "finish_reason", "input_tokens", "output_tokens", "policy_digest", "energy")
        claims = replace(draft.claims, status=str(entry.status), **{name: getattr(entry, name) for name in names})
        served = replace(claims.served, provider=entry.provider, model_id=entry.model_id)  # type: ignore[type-var]
        claims = replace(claims, served=served, verdict_digest=verdict_digest(list(entry.findings)))
        await writer.record(Draft(claims=claims, entry=entry))

    with closing(log_writer(path)) as writer:

        @settings(max_examples=40)
        @given(entries(), st.integers(0, 3), st.sampled_from([-0.0, 0.0, 1e-320, 3.0]))
        def run(entry: LedgerEntry, whole_ms: int, ttft_ms: float) -> None:
            exchange_id = ExchangeId(f"xc_{next(written)}")
            provider = entry.provider or "here"
            asyncio.run(write(replace(entry, exchange_id=exchange_id, provider=provider, duration_ms=whole_ms, ttft_ms=ttft_ms)))

        run()
    report = check(path)
    assert (report.broken, report.exchanges) == (None, next(written))


def test_decisions_can_join_another_rooms_transaction(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    with closing(open_writer(path, 1.0)) as connection:
        with transaction(connection):
            audit.append(connection, [decision("policy_loaded", {"digest": "d1"}, 5)], KEY)
        connection.execute("BEGIN")
        LogEnd(connection).write(KEY)
        audit.append(connection, [decision("policy_loaded", {"digest": "d2"}, 6)], KEY)
        connection.execute("ROLLBACK")
    report = check(path)
    assert (report.broken, report.rows) == (None, 1)


@pytest.mark.parametrize(
    ("kind", "facts"),
    [("exchange", {}), ("", {}), ("k" * 65, {}), ("placement", {"what": object()}), ("placement", {"big": 1 << 70})],
)
def test_a_decision_that_could_not_be_read_again_is_refused(kind: str, facts: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="decision"):
        decision(kind, facts, 0)
