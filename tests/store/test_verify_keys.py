"""Keys and teams made for real, then changed beside the log."""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.core.limits import Allowance, EnergyBudget, Limits, MoneyBudget, Period
from freehold.store import audit
from freehold.store.config import StoreConfig
from freehold.store.database import open_writer, transaction
from freehold.store.keys import ClientKeys, _digest
from freehold.store.retention import Retention
from freehold.store.verify_keys import Holders
from tests.store.logs import KEY, broken, check, tamper, write_log

DAY_NS = 86_400 * 1_000_000_000
START_NS = 1_795_000_000 * 1_000_000_000
LIMITED = Allowance(
    models=("gpt-*", "größer"),
    labels=frozenset({"personal", "internal"}),
    expires_at_ns=START_NS * 2,
    limits=Limits(
        requests_per_min=5,
        money=MoneyBudget(limit_microusd=50, period=Period.WEEK),
        energy=EnergyBudget(limit_j=0.1, period=Period.DAY),
    ),
)
ROGUE = "INSERT INTO client_key VALUES ('key_rogue', x'00', 'fh_rogue', 'rogue', NULL, 1, {at_ns}, NULL)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "record.db"


@pytest.fixture
def ring(path: Path) -> Iterator[ClientKeys]:
    clock = itertools.count(START_NS)
    with closing(ClientKeys(path, unix_clock=lambda: next(clock), sealer=KEY)) as ring:
        yield ring


@pytest.fixture
def busy(ring: ClientKeys, path: Path) -> Path:
    """An admin, a limited key in a team, a key changed, a key revoked; a team set, changed, and one removed."""
    ring.create("root", is_admin=True)
    ring.create("alice", team="red", allowance=LIMITED)
    ring.update(ring.create("bob")[0].key_id, team="red", allowance=LIMITED)
    ring.revoke(ring.create("co", allowance=LIMITED)[0].key_id)
    for team in ("red", "blue"):
        ring.set_team(team, LIMITED)
    ring.set_team("red", Allowance(limits=Limits(concurrent=3)))
    ring.remove_team("blue")
    return path


def older(path: Path) -> None:
    """The record as a release without a log left it."""
    tamper(path, "DELETE FROM audit", "DELETE FROM sqlite_sequence WHERE name = 'audit'")


def key_id(path: Path, name: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT id FROM client_key WHERE name = ?", (name,)).fetchone()[0])


def holder(path: Path) -> tuple[str, str | None]:
    found = broken(path)
    return found.what, found.holder


def test_keys_and_teams_that_only_freehold_changed_hold(busy: Path) -> None:
    report = check(busy)
    assert (report.broken, report.holders) == (None, Holders(keys=4, teams=1, older_keys=0, older_teams=0))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("is_admin = 1", "is_admin is 1, and row 7 of the log says False"),
        ("team = 'blue'", "team is 'blue', and row 7"),
        ("name = 'root'", "name is 'root', and row 7"),
        ("shown = 'fh_other'", "shown is 'fh_other', and row 7"),
        ("created_at_ns = created_at_ns - 1", "created_at_ns is "),
        ("revoked_at_ns = 5", "it is revoked, and no row of the log says so"),
        ("secret_sha256 = x'00'", "its secret is not the one that it was made with"),
    ],
)
def test_each_field_of_a_key_is_held_to_the_log(ring: ClientKeys, path: Path, change: str, named: str) -> None:
    for _ in range(6):
        ring.create("other")
    bob, _ = ring.create("bob")
    tamper(path, f"UPDATE client_key SET {change} WHERE id = '{bob.key_id}'")
    found = broken(path)
    assert (found.what, found.holder, found.n) == ("changed", f"key {bob.key_id}", 7)
    assert named in found.detail


@pytest.mark.parametrize("name", ["alice", "bob"])
@pytest.mark.parametrize(
    "change",
    [
        "models = '[]'",
        "labels = 'no json'",
        "expires_at_ns = NULL",
        "requests_per_min = 6",
        "tokens_per_min = 1",
        "concurrent = 1",
        "money_microusd = 51",
        "money_period = 'no period'",
        "energy_j = 0.2",
        "energy_period = 'month'",
    ],
)
def test_each_limit_of_a_key_is_held_to_the_log(busy: Path, name: str, change: str) -> None:
    which = key_id(busy, name)
    tamper(busy, f"UPDATE allowance SET {change} WHERE holder = '{which}'")
    assert holder(busy) == ("changed", f"key {which}")


def test_limits_taken_off_a_key_are_noticed(busy: Path) -> None:
    tamper(busy, f"DELETE FROM allowance WHERE holder = '{key_id(busy, 'alice')}'")
    assert holder(busy) == ("changed", f"key {key_id(busy, 'alice')}")


def test_a_revocation_taken_back_or_moved_is_noticed(busy: Path) -> None:
    co = key_id(busy, "co")
    tamper(busy, "UPDATE client_key SET revoked_at_ns = revoked_at_ns + 1 WHERE name = 'co'")
    assert holder(busy) == ("changed", f"key {co}")
    tamper(busy, "UPDATE client_key SET is_admin = 1, revoked_at_ns = NULL WHERE name = 'co'")
    found = broken(busy)
    assert (found.what, found.holder) == ("changed", f"key {co}")
    assert "it is in force again" in found.detail


def test_a_key_changed_after_it_was_revoked_is_still_revoked(ring: ClientKeys, path: Path) -> None:
    key, _ = ring.create("co")
    ring.revoke(key.key_id)
    ring.update(key.key_id, team="red", allowance=LIMITED)
    assert check(path).broken is None
    tamper(path, "UPDATE client_key SET revoked_at_ns = NULL")
    assert "it is in force again" in broken(path).detail


def test_a_secret_swapped_before_the_key_is_changed_is_still_noticed(ring: ClientKeys, path: Path) -> None:
    key, _ = ring.create("co")
    tamper(path, "UPDATE client_key SET secret_sha256 = x'00'")
    ring.update(key.key_id, team="red", allowance=LIMITED)
    assert "secret" in broken(path).detail


def test_a_key_that_was_taken_out_is_named(busy: Path) -> None:
    co = key_id(busy, "co")
    tamper(busy, "DELETE FROM client_key WHERE name = 'co'")
    assert holder(busy) == ("deleted", f"key {co}")


@pytest.mark.parametrize("at_ns", [START_NS + DAY_NS, 1], ids=["dated now", "dated back"])
def test_a_key_that_the_log_does_not_know_is_named(busy: Path, at_ns: int) -> None:
    tamper(busy, ROGUE.format(at_ns=at_ns))
    assert holder(busy) == ("inserted", "key key_rogue")


def test_a_key_dated_back_does_not_pass_once_another_is_made(ring: ClientKeys, busy: Path) -> None:
    tamper(busy, ROGUE.format(at_ns=1))
    ring.create("later")
    found = broken(busy)
    assert (found.what, found.n) == ("inserted", 11)
    assert "6 keys with it, and 5" in found.detail


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE allowance SET concurrent = NULL WHERE holder = 'red'", "changed"),
        ("UPDATE allowance SET holder = 'green' WHERE holder = 'red'", "inserted"),
        ("DELETE FROM allowance WHERE holder = 'red'", "deleted"),
        ("INSERT INTO allowance (holder_kind, holder, models, labels) VALUES ('team', 'blue', '[]', '[]')", "inserted"),
    ],
)
def test_each_team_is_held_to_the_log(busy: Path, change: str, what: str) -> None:
    tamper(busy, change)
    found = broken(busy)
    assert found.what == what
    assert found.holder is not None
    assert found.holder.startswith("team ")


def test_what_is_older_than_the_log_is_counted_and_not_vouched_for(ring: ClientKeys, busy: Path) -> None:
    older(busy)
    ring.create("new")
    report = check(busy)
    assert (report.broken, report.holders) == (None, Holders(keys=1, teams=0, older_keys=4, older_teams=1))
    tamper(busy, "UPDATE client_key SET is_admin = 1 WHERE name = 'alice'")
    assert check(busy).broken is None
    tamper(busy, ROGUE.format(at_ns=1))
    found = broken(busy)
    assert (found.what, found.holder) == ("inserted", "a key")
    assert "there are 6 keys, and the log counts 5" in found.detail
    tamper(busy, "DELETE FROM client_key WHERE name IN ('rogue', 'bob')")
    assert broken(busy).what == "deleted"


def test_an_older_key_is_vouched_for_as_far_as_the_log_tells(ring: ClientKeys, busy: Path) -> None:
    older(busy)
    ring.revoke(key_id(busy, "alice"))
    ring.update(key_id(busy, "bob"), team="blue", allowance=LIMITED)
    ring.update(key_id(busy, "co"), team=None, allowance=LIMITED)  # revoked before the log began
    report = check(busy)
    assert (report.broken, report.holders) == (None, Holders(keys=3, teams=0, older_keys=1, older_teams=1))
    tamper(busy, "UPDATE client_key SET is_admin = 1 WHERE name = 'bob'")
    assert holder(busy) == ("changed", f"key {key_id(busy, 'bob')}")
    tamper(busy, "UPDATE client_key SET is_admin = 0, revoked_at_ns = NULL")
    assert holder(busy) == ("changed", f"key {key_id(busy, 'alice')}")


def test_rows_of_a_release_that_wrote_less_are_compared_as_far_as_they_go(path: Path, ring: ClientKeys) -> None:
    key, _ = ring.create("alice")
    older(path)
    facts = {"key_id": key.key_id, "name": "alice", "team": None, "is_admin": False}
    with closing(open_writer(path, 1.0)) as connection, transaction(connection):
        audit.append(connection, [audit.decision("key_created", facts, START_NS)], KEY)
    tamper(path, "UPDATE client_key SET secret_sha256 = x'00'")
    assert check(path).broken is None
    tamper(path, "UPDATE client_key SET is_admin = 1")
    assert holder(path) == ("changed", f"key {key.key_id}")


@pytest.mark.parametrize("facts", [{}, {"key_id": 5}, {"team": "red"}])
def test_a_row_that_names_no_key_is_said_to_be_wrong(path: Path, facts: dict[str, object]) -> None:
    with closing(open_writer(path, 1.0)) as connection, transaction(connection):
        audit.append(connection, [audit.decision("key_changed", facts, 5)], KEY)
    found = broken(path)
    assert (found.what, found.n) == ("changed", 1)


def test_part_of_a_log_does_not_tell_how_keys_came_about(busy: Path) -> None:
    tamper(busy, "UPDATE client_key SET is_admin = 1")
    for report in (check(busy, first_n=2), check(busy, last_n=3)):
        assert (report.broken, report.holders) == (None, None)


def test_a_row_of_the_log_that_was_changed_is_named_before_any_key(busy: Path) -> None:
    tamper(busy, "UPDATE client_key SET is_admin = 1", "UPDATE audit SET facts = replace(facts, 'co', 'xx') WHERE n = 5")
    found = broken(busy)
    assert (found.n, found.holder) == (5, None)


async def test_keys_are_held_to_the_log_after_everything_else_was_purged(ring: ClientKeys, path: Path) -> None:
    ring.create("alice")
    await write_log(path)
    Retention(path, StoreConfig(retention_days=31), KEY, lambda: START_NS * 2).purge()
    report = check(path)
    assert report.broken is None
    assert report.purged
    assert report.holders == Holders(keys=1, teams=0, older_keys=0, older_teams=0)
    tamper(path, "UPDATE client_key SET is_admin = 1")
    assert broken(path).holder == f"key {key_id(path, 'alice')}"


def test_what_the_log_keeps_of_a_secret_is_not_what_a_request_is_looked_up_by(ring: ClientKeys, path: Path) -> None:
    _, secret = ring.create("alice")
    with closing(sqlite3.connect(path)) as connection:
        (facts,) = connection.execute("SELECT facts FROM audit").fetchone()
    assert _digest(secret).hex() not in facts
    assert sha256(_digest(secret)).hexdigest() in facts


def test_a_name_that_was_put_in_cannot_command_a_terminal(busy: Path) -> None:
    tamper(busy, ROGUE.format(at_ns=START_NS * 2).replace("key_rogue", "key\x1b[2J"), "UPDATE client_key SET name = '\x1b[2J'")
    assert (broken(busy).holder or "").isprintable()
    tamper(busy, "DELETE FROM client_key WHERE id LIKE 'key\x1b%'")
    assert broken(busy).detail.isprintable()


CHANGES = st.lists(st.tuples(st.sampled_from(["create", "update", "revoke", "set_team", "remove_team"]), st.integers(0, 3)))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_whatever_an_operator_does_the_log_explains_it(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("ring") / "record.db"
    with closing(ClientKeys(path, sealer=KEY)) as ring:
        for what, which in changes:
            made = [key.key_id for key in ring.list()]
            allowance = LIMITED if which % 2 else Allowance()
            if what == "create":
                ring.create(f"k{which}", team="red" if which > 1 else None, is_admin=which == 0, allowance=allowance)
            elif what == "set_team":
                ring.set_team(f"t{which}", allowance)
            elif what == "remove_team" and ring.teams():
                ring.remove_team(ring.teams()[0].name)
            elif made and what == "update":
                ring.update(made[which % len(made)], team=f"t{which}", allowance=allowance)
            elif made and what == "revoke":
                ring.revoke(made[which % len(made)])
        keys, teams = len(ring.list()), len(ring.teams())
    report = check(path)
    assert (report.broken, report.holders) == (None, Holders(keys=keys, teams=teams, older_keys=0, older_teams=0))
