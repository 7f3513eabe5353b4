import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.provenance.files import write_durably
from freehold.provenance.keys import PUBLIC_NAME, key_directory
from tests.store.logs import KEY, check, tamper, write_log


@pytest.fixture
def home(home: Path) -> Path:
    """With a log of twelve rows, and the public key that sealed it."""
    asyncio.run(write_log(home / "record.db"))
    keys = key_directory(home)
    keys.mkdir(parents=True)
    write_durably(keys / PUBLIC_NAME, KEY.public.pem(), mode=0o644)
    return home


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["log", *words])


def test_a_log_that_holds_says_so_and_shows_its_head(home: Path) -> None:
    result = run("verify")
    assert result.exit_code == 0
    assert "12 rows, 6 exchanges" in result.output
    assert str(check(home / "record.db").head) in result.output
    document = json.loads(run("verify", "--json", "--signatures").output)
    assert document["holds"] is True
    assert (document["rows"], document["sealed_through"], document["broken"]) == (12, 12, None)


def test_a_row_that_was_changed_is_named_and_the_exit_code_says_it(home: Path) -> None:
    tamper(home / "record.db", "UPDATE ledger SET input_tokens = 13 WHERE seq = 3")
    result = run("verify")
    assert result.exit_code == 1
    assert "row 6 of the log, exchange xc_2: changed: input_tokens is 13" in result.stderr
    document = json.loads(run("verify", "--json").output)
    assert document["broken"]["n"] == 6


def test_the_check_runs_in_a_process_of_its_own_beside_an_open_record(home: Path) -> None:
    command = [sys.executable, "-m", "freehold", "log", "verify", "--json"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 12


def test_a_head_that_was_kept_must_still_be_there(home: Path) -> None:
    head = str(check(home / "record.db").head)
    assert run("verify", "--head", head).exit_code == 0
    tamper(
        home / "record.db",
        "DELETE FROM audit WHERE n > 11",
        "DELETE FROM ledger WHERE seq > 5",
        "DELETE FROM finding WHERE ledger_seq > 5",
        "DELETE FROM receipt WHERE ledger_seq > 5",
        "UPDATE sqlite_sequence SET seq = 11 WHERE name = 'audit'",
        "UPDATE sqlite_sequence SET seq = 5 WHERE name = 'ledger'",
    )
    assert run("verify").exit_code == 0
    result = run("verify", "--head", head)
    assert result.exit_code == 1
    assert "truncated" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--head", "nonsense"], "is no head"),
        (["--head", "1:00", "--from", "3"], "leave --from and --to out"),
        (["--from", "yesterday"], "neither a row's number nor a day"),
        (["--from", "2099-01-01"], "has no row since"),
        (["--to", "2001-01-01"], "has no row before the end of"),
        (["--from", "99"], "no row 98"),
        (["--from", "8", "--to", "5"], "no row lies from 8 to 5"),
        (["--key", "nowhere.pub"], "no public key"),
        (["--file", "nowhere.db"], "there is no record at nowhere.db"),
    ],
)
def test_what_cannot_be_checked_is_told_with_another_exit_code(home: Path, words: list[str], message: str) -> None:
    result = run("verify", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_part_can_be_checked_by_rows_and_days(home: Path) -> None:
    assert json.loads(run("verify", "--from", "5", "--to", "8", "--json").output)["rows"] == 4
    assert json.loads(run("verify", "--from", "2001-01-01", "--to", "2099-01-01", "--json").output)["rows"] == 12
    assert json.loads(run("verify", "--from", "2001-01-01T10:00", "--json").output)["rows"] == 12


def test_the_last_rows_are_shown_newest_first(home: Path) -> None:
    rows = json.loads(run("show", "--json", "--limit", "3").output)
    assert [row["n"] for row in rows] == [12, 11, 10]
    assert rows[1]["facts"] == {"allowed": ["here"], "labels": ["personal"]}
    text = run("show", "--kind", "placement").output
    assert text.count("placement") == 6
    assert "exchange " not in text.splitlines()[1]


@pytest.mark.parametrize("command", ["show", "export"])
def test_a_kind_that_no_row_has_is_told_with_those_there_are(home: Path, command: str) -> None:
    result = run(command, "--kind", "placemnt")
    assert result.exit_code == 0
    assert "no row of kind 'placemnt'; it has: exchange, placement." in result.stderr
    assert run(command, "--kind", "placement").stderr == ""


def test_the_export_has_every_row_with_its_findings(home: Path) -> None:
    rows = [json.loads(line) for line in run("export").output.splitlines()]
    assert [row["n"] for row in rows] == list(range(1, 13))
    exchange = rows[3]
    assert (exchange["kind"], exchange["exchange_id"], exchange["facts"]["input_tokens"]) == ("exchange", "xc_1", 12)
    assert [finding["value_digest"] for finding in exchange["facts"]["findings"]] == [None, "ab" * 32]
    assert len(run("export", "--from", "3", "--to", "6", "--kind", "placement").output.splitlines()) == 2
