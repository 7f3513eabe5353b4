import json
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.core.errors import InvalidKey
from freehold.core.exchange import KeyId
from freehold.store.database import open_writer
from freehold.store.keys import ClientKeys
from freehold.store.rows import INSERT_ENTRY, entry_row
from tests.store.drafts import entry


def freehold(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["keys", *arguments])


def test_a_created_key_works_and_its_secret_is_alone_on_standard_output(home: Path) -> None:
    result = freehold("create", "alice", "--team", "red", "--admin")
    assert result.exit_code == 0, result.output
    secret = result.stdout.strip()
    assert "key_" in result.stderr
    with closing(ClientKeys(home / "record.db")) as ring:
        principal = ring.authenticate(secret)
    assert (principal.name, principal.team, principal.is_admin) == ("alice", "red", True)


def test_the_list_shows_every_key_and_no_secret(home: Path) -> None:
    created = json.loads(freehold("create", "alice", "--json").stdout)
    freehold("create", "bob")
    text = freehold("list").stdout
    assert created["key_id"] in text
    assert "bob" in text
    assert created["secret"] not in text
    listed = json.loads(freehold("list", "--json").stdout)
    assert [key["name"] for key in listed] == ["alice", "bob"]
    assert set(listed[0]) == {
        *("key_id", "shown", "name", "team", "is_admin", "models", "labels", "expires_at", "requests_per_min"),
        *("tokens_per_min", "concurrent", "budget", "energy", "created_at", "revoked_at"),
    }


def test_a_revoked_key_is_refused_from_then_on(home: Path) -> None:
    created = json.loads(freehold("create", "alice", "--json").stdout)
    result = freehold("revoke", created["key_id"])
    assert result.exit_code == 0
    assert "is revoked since" in result.stdout
    with closing(ClientKeys(home / "record.db")) as ring, pytest.raises(InvalidKey):
        ring.authenticate(created["secret"])
    assert json.loads(freehold("revoke", created["key_id"], "--json").stdout)["revoked_at"] is not None


def test_limits_are_set_changed_one_by_one_and_taken_away(home: Path) -> None:
    options = ("--budget", "12.50/month", "--energy", "2kWh/week", "--model", "gpt-*", "--label", "internal", "--expires", "30d")
    created = json.loads(freehold("create", "alice", "--team", "red", "--requests-per-min", "60", *options, "--json").stdout)
    assert created["budget"] == {"usd": 12.5, "period": "month"}
    assert created["energy"] == {"joules": 7_200_000.0, "period": "week"}
    assert (created["models"], created["labels"], created["requests_per_min"]) == (["gpt-*"], ["internal"], 60)
    key_id = created["key_id"]
    assert "$12.50/month, 2.00 kWh/week, models gpt-*" in freehold("show", key_id).stdout
    changed = json.loads(
        freehold("update", key_id, "--budget", "none", "--concurrent", "3", "--expires", "2050-01-31", "--json").stdout
    )
    assert (changed["budget"], changed["concurrent"], changed["team"]) == (None, 3, "red")
    assert changed["expires_at"] == "2050-01-31T00:00:00Z"
    assert (changed["energy"], changed["models"]) == (created["energy"], ["gpt-*"])
    freed = json.loads(freehold("update", key_id, "--team", "none", "--model", "none", "--label", "none", "--json").stdout)
    assert (freed["team"], freed["models"], freed["labels"]) == (None, [], [])
    assert "60 requests/min" in freehold("update", key_id, "--concurrent", "none").stdout


def test_a_key_is_shown_with_what_it_may_use_and_has_used(home: Path) -> None:
    key_id = json.loads(freehold("create", "alice", "--budget", "1/day", "--json").stdout)["key_id"]
    now_ns = time.time_ns()
    with closing(open_writer(home / "record.db", 1.0)) as connection:
        for n, cost in enumerate([250_000, None]):
            draft = entry(f"xc_{n}")
            row = entry_row(replace(draft, key_id=KeyId(key_id), received_at_ns=now_ns, cost_microusd=cost))
            connection.execute(INSERT_ENTRY, row)
    shown = json.loads(freehold("show", key_id, "--json").stdout)
    assert shown["used"]["month"] | {"joules": 0} == {
        "exchanges": 2,
        "tokens": 124,
        "usd": 0.25,
        "costs_unknown": 1,
        "joules": 0,
        "energies_unknown": 2,
    }
    text = freehold("show", key_id).stdout
    assert "may use: $1.00/day" in text
    assert "today: 2 exchanges, 124 tokens, $0.2500 (unknown for 1)" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("revoke", "key_nobody"),
        ("create", "bad\nname"),
        ("create",),
        ("show", "key_nobody"),
        ("update", "key_nobody", "--budget", "1/day"),
        ("create", "a", "--budget", "1"),
        ("create", "a", "--budget", "-1/day"),
        ("create", "a", "--budget", "1/year"),
        ("create", "a", "--energy", "5/day"),
        ("create", "a", "--requests-per-min", "0"),
        ("create", "a", "--requests-per-min", "many"),
        ("create", "a", "--expires", "soon"),
        ("create", "a", "--expires", "0d"),
        ("create", "a", "--expires", "2020-01-01"),
        ("create", "a", "--expires", "9999-01-01"),
        ("create", "a", "--label", "Personal Data"),
        ("create", "a", "--label", "persnal"),
    ],
)
def test_what_cannot_be_done_is_told_with_exit_code_2(home: Path, arguments: tuple[str, ...]) -> None:
    result = freehold(*arguments)
    assert result.exit_code == 2
    assert "Error" in result.stderr
    assert result.stdout == ""


def test_a_record_that_cannot_be_opened_is_told_in_a_sentence(home: Path) -> None:
    (home / "record.db").write_bytes(b"something else" * 100)
    result = freehold("list")
    assert result.exit_code == 1
    assert "damaged or no record" in result.stderr


def test_a_list_in_a_pipe_is_cut_nowhere(home: Path) -> None:
    freehold("create", "n" * 150, "--team", "t" * 150)
    (line,) = freehold("list").stdout.splitlines()[1:]
    assert line.startswith("key_")
    assert "n" * 150 in line
    assert "t" * 150 in line
    assert "Z" in line.split()[-1]


def teams(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["teams", *arguments])


def test_a_team_is_limited_shown_and_freed(home: Path) -> None:
    key_id = json.loads(freehold("create", "alice", "--team", "red", "--json").stdout)["key_id"]
    assert teams("set", "red", "--budget", "100/week", "--concurrent", "2").exit_code == 0
    assert json.loads(teams("set", "red", "--concurrent", "none", "--json").stdout)["budget"] == {"usd": 100, "period": "week"}
    assert [team["name"] for team in json.loads(teams("list", "--json").stdout)] == ["red"]
    assert "$100.00/week" in teams("list").stdout
    shown = json.loads(teams("show", "red", "--json").stdout)
    assert shown["keys"] == [key_id]
    assert shown["used"]["week"]["exchanges"] == 0
    assert f"keys: {key_id}" in teams("show", "red").stdout
    assert teams("remove", "red").exit_code == 0
    assert teams("remove", "red").exit_code == 2
    assert "may use: everything" in teams("show", "red").stdout
    nobody = teams("show", "rde")
    assert nobody.exit_code == 2
    assert "no key is in a team 'rde'" in nobody.stderr


def test_what_the_commands_change_is_sealed_in_the_log(home: Path) -> None:
    key_id = json.loads(freehold("create", "alice", "--json").stdout)["key_id"]
    teams("set", "red", "--concurrent", "2")
    freehold("revoke", key_id)
    verified = CliRunner().invoke(main, ["log", "verify"])
    assert verified.exit_code == 0, verified.output
    assert "3 rows" in verified.stdout
    with closing(open_writer(home / "record.db", 1.0)) as connection:
        connection.execute("UPDATE audit SET facts = replace(facts, '2', '20') WHERE kind = 'team_changed'")
    assert CliRunner().invoke(main, ["log", "verify"]).exit_code == 1


def test_a_key_made_valid_again_beside_the_log_is_named(home: Path) -> None:
    key_id = json.loads(freehold("create", "co", "--json").stdout)["key_id"]
    freehold("revoke", key_id)
    verified = CliRunner().invoke(main, ["log", "verify"])
    assert "keys: 1, teams: 0, all as the log says" in verified.stdout
    with closing(open_writer(home / "record.db", 1.0)) as connection:
        connection.execute("UPDATE client_key SET is_admin = 1, revoked_at_ns = NULL WHERE name = 'co'")
    verified = CliRunner().invoke(main, ["log", "verify"])
    assert verified.exit_code == 1
    assert f"First broken: key {key_id}: changed: it is in force again, and row 2 of the log revoked it" in verified.stderr
    document = json.loads(CliRunner().invoke(main, ["log", "verify", "--json"]).stdout)
    assert (document["holds"], document["broken"]["holder"], document["holders"]) == (False, f"key {key_id}", None)
    assert "not compared" in CliRunner().invoke(main, ["log", "verify", "--from", "2"]).stdout


def test_labels_that_no_residency_table_acts_on_are_said_to_wait_for_one(home: Path) -> None:
    assert "has none yet" in freehold("create", "alice", "--label", "personal").stderr
    assert "has none yet" not in freehold("create", "bob").stderr
    (home / "freehold.toml").write_text("[residency]\n")
    assert "has none yet" not in freehold("create", "co", "--label", "personal").stderr
