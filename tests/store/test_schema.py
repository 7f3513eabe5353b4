import multiprocessing
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from freehold.core.errors import ConfigError, DeviceError
from freehold.store import schema
from freehold.store.database import open_reader, open_writer


def test_a_fresh_file_has_the_tables_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "home" / "record.db"
    with closing(open_writer(path, 1.0)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        tables = {row["name"]: row["strict"] for row in connection.execute("PRAGMA table_list") if row["schema"] == "main"}
        connection.execute("INSERT INTO probe VALUES (1, x'00')")
        for file in (path, path.with_name("record.db-wal"), path.with_name("record.db-shm")):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {name for name, strict in tables.items() if strict} == {
        *("ledger", "finding", "receipt", "client_key", "allowance", "audit", "probe"),
        *("tree_tile", "checkpoint", "witnessed", "content"),
        *("batch", "batch_file", "batch_line", "batch_output"),
    }


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    for _ in range(2):
        with closing(open_writer(path, 1.0)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS)


def test_an_older_file_is_brought_up_to_date_and_keeps_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.db"
    with closing(open_writer(path, 1.0)) as connection:
        connection.execute("INSERT INTO probe VALUES (1, x'00')")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE later (id INTEGER) STRICT",)))
    with closing(open_writer(path, 1.0)) as connection:
        assert connection.execute("SELECT count(*) FROM probe").fetchone()[0] == 1
        assert connection.execute("SELECT count(*) FROM later").fetchone()[0] == 0


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.db"
    open_writer(path, 1.0).close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE later (id INTEGER) STRICT", "NONSENSE")))
    with pytest.raises(DeviceError, match="NONSENSE"):
        open_writer(path, 1.0)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS) - 1
        assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'later'").fetchone()[0] == 0


@pytest.mark.parametrize("opener", [open_writer, open_reader])
def test_a_newer_file_is_refused_with_advice(tmp_path: Path, opener: object) -> None:
    path = tmp_path / "record.db"
    with closing(open_writer(path, 1.0)) as connection:
        connection.execute("PRAGMA user_version=99")
    assert callable(opener)
    with pytest.raises(ConfigError, match=r"newer Freehold \(schema 99"):
        opener(path, 1.0)


def test_what_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    path.write_bytes(b"something else entirely" * 50)
    with pytest.raises(DeviceError, match="damaged or no record"):
        open_writer(path, 1.0)
    with pytest.raises(DeviceError, match="cannot open the record"):
        open_writer(path / "below", 1.0)


def test_a_fresh_file_that_another_process_is_making_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")  # SQLite answers a wish for WAL at once with "locked" now, whatever its timeout
        timer = threading.Timer(0.1, other.execute, ("ROLLBACK",))
        timer.start()
        open_writer(path, 10.0).close()
        timer.join()


def _open(path: Path, results: "multiprocessing.SimpleQueue[str]") -> None:
    try:
        open_writer(path, 10.0).close()
        results.put("")
    except Exception as exc:
        results.put(repr(exc))


def test_processes_that_start_at_once_on_a_fresh_file_all_get_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    results = context.SimpleQueue()
    processes = [context.Process(target=_open, args=(tmp_path / "record.db", results)) for _ in range(5)]
    for process in processes:
        process.start()
    outcomes = [results.get() for _ in processes]
    for process in processes:
        process.join()
    assert outcomes == [""] * 5
