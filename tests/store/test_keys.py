import json
import math
import multiprocessing
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import InvalidKey, InvalidRequest, NotFound
from freehold.core.limits import NO_LIMITS, Allowance, EnergyBudget, Limits, MoneyBudget, Period
from freehold.store import keys as keys_module
from freehold.store.keys import ClientKeys

LIMITS = Limits(
    requests_per_min=60,
    tokens_per_min=9000,
    concurrent=4,
    money=MoneyBudget(limit_microusd=50_000_000, period=Period.MONTH),
    energy=EnergyBudget(limit_j=7.5, period=Period.WEEK),
)
WHOLE = Allowance(models=("gpt-*", "o1"), labels=frozenset({"internal"}), expires_at_ns=1000, limits=LIMITS)


class Clock:
    now_ns = 77

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(tmp_path: Path, clock: Clock) -> Iterator[ClientKeys]:
    with closing(ClientKeys(tmp_path / "record.db", unix_clock=clock)) as ring:
        yield ring


def test_a_fresh_key_opens_the_door(ring: ClientKeys) -> None:
    key, secret = ring.create("alice", team="red", is_admin=True)
    principal = ring.authenticate(secret)
    assert (principal.key_id, principal.name, principal.team, principal.is_admin) == (key.key_id, "alice", "red", True)
    assert (key.created_at_ns, key.revoked_at_ns) == (77, None)


def test_a_secret_is_long_random_and_shown_by_its_beginning(ring: ClientKeys) -> None:
    pairs = [ring.create("k") for _ in range(50)]
    secrets = {secret for _, secret in pairs}
    assert len(secrets) == len({key.key_id for key, _ in pairs}) == 50
    assert all(s.startswith("fh_") and len(s) == 46 and s[3:].isalnum() and s.isascii() for s in secrets)
    assert all(secret.startswith(key.shown) and len(key.shown) == 10 for key, secret in pairs)


@given(st.binary(min_size=32, max_size=32))
def test_base_62_loses_nothing(raw: bytes) -> None:
    number = 0
    for digit in keys_module._base62(raw):
        number = number * 62 + keys_module._DIGITS.index(digit)
    assert number.to_bytes(32) == raw


def test_the_secret_itself_is_nowhere_in_the_file(ring: ClientKeys, tmp_path: Path) -> None:
    key, secret = ring.create("alice")
    ring.close()
    raw = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert key.shown.encode() in raw
    assert secret.encode() not in raw
    assert secret[4:].encode() not in raw


@pytest.mark.parametrize("secret", ["", "fh_", "fh_" + "0" * 43, "Bearer x", "\udc80", "x" * 100_000, "' OR 1=1 --"])
def test_anything_else_is_refused(ring: ClientKeys, secret: str) -> None:
    ring.create("alice")
    with pytest.raises(InvalidKey, match="freehold keys create"):
        ring.authenticate(secret)


def test_a_revoked_key_is_refused_at_once_here(ring: ClientKeys) -> None:
    key, secret = ring.create("alice")
    ring.authenticate(secret)
    assert ring.revoke(key.key_id).revoked_at_ns == 77
    with pytest.raises(InvalidKey):
        ring.authenticate(secret)


def test_what_another_process_changes_holds_for_the_next_request(ring: ClientKeys, tmp_path: Path) -> None:
    key, secret = ring.create("alice")
    assert ring.authenticate(secret).limits == NO_LIMITS
    with closing(ClientKeys(tmp_path / "record.db")) as other:
        other.update(key.key_id, team="red", allowance=Allowance(models=("gpt-*",), limits=LIMITS))
        principal = ring.authenticate(secret)
        assert (principal.team, principal.models, principal.limits) == ("red", ("gpt-*",), LIMITS)
        other.set_team("red", Allowance(limits=Limits(concurrent=1)))
        assert ring.authenticate(secret).team_limits == Limits(concurrent=1)
        other.revoke(key.key_id)
        with pytest.raises(InvalidKey):
            ring.authenticate(secret)


def _revoke(path: Path, key_id: str) -> None:
    with closing(ClientKeys(path)) as ring:
        ring.revoke(key_id)


def test_a_key_revoked_in_a_real_other_process_is_refused_at_once(ring: ClientKeys, tmp_path: Path) -> None:
    key, secret = ring.create("alice")
    ring.authenticate(secret)
    process = multiprocessing.get_context("forkserver").Process(target=_revoke, args=(tmp_path / "record.db", key.key_id))
    process.start()
    process.join()
    with pytest.raises(InvalidKey):
        ring.authenticate(secret)


def test_an_allowance_is_kept_whole(ring: ClientKeys) -> None:
    key, secret = ring.create("alice", team="red", allowance=WHOLE)
    assert ring.get(key.key_id) == key
    assert ring.get(key.key_id).allowance == WHOLE
    assert ring.authenticate(secret).limits == LIMITS
    assert ring.set_team("red", WHOLE) == ring.team("red") == ring.teams()[0]
    assert ring.team("blue").allowance == Allowance()


def test_a_key_has_the_labels_of_its_team_and_the_models_both_allow(ring: ClientKeys) -> None:
    _, secret = ring.create("a", team="red", allowance=Allowance(models=("gpt-*",), labels=frozenset({"internal"})))
    ring.set_team("red", Allowance(models=("*-mini",), labels=frozenset({"personal"})))
    principal = ring.authenticate(secret)
    assert principal.labels == {"internal", "personal"}
    assert [m for m in ("gpt-5", "gpt-5-mini", "o1-mini", "GPT-5-mini") if principal.may_use(m)] == ["gpt-5-mini"]
    ring.remove_team("red")
    assert ring.authenticate(secret).may_use("gpt-5")
    with pytest.raises(NotFound, match="teams list"):
        ring.remove_team("red")


def test_a_key_or_team_that_expired_is_told_when_and_what_helps(ring: ClientKeys, clock: Clock) -> None:
    key, secret = ring.create("alice", team="red", allowance=Allowance(expires_at_ns=5_000_000_000))
    clock.now_ns = 4_999_999_999
    ring.authenticate(secret)
    clock.now_ns = 5_000_000_000
    with pytest.raises(InvalidKey, match=f"expired at 1970-01-01T00:00:05Z; .*freehold keys update {key.key_id}") as caught:
        ring.authenticate(secret)
    assert caught.value.code == "expired_api_key"
    ring.update(key.key_id, team="red", allowance=Allowance())
    ring.authenticate(secret)
    ring.set_team("red", Allowance(expires_at_ns=1))
    with pytest.raises(InvalidKey, match="freehold teams set"):
        ring.authenticate(secret)


@pytest.mark.parametrize(
    "allowance",
    [
        Allowance(models=("",)),
        Allowance(models=(" gpt",)),
        Allowance(models=("x" * 201,)),
        Allowance(models=("m",) * 101),
        Allowance(labels=frozenset({"Personal data"})),
        Allowance(limits=Limits(requests_per_min=0)),
        Allowance(limits=Limits(tokens_per_min=-1)),
        Allowance(limits=Limits(concurrent=10**10)),
        Allowance(limits=Limits(money=MoneyBudget(limit_microusd=-1, period=Period.DAY))),
        Allowance(limits=Limits(energy=EnergyBudget(limit_j=math.nan, period=Period.DAY))),
    ],
)
def test_an_allowance_that_cannot_hold_is_refused_and_nothing_is_kept(ring: ClientKeys, allowance: Allowance) -> None:
    with pytest.raises(InvalidRequest):
        ring.create("alice", allowance=allowance)
    with pytest.raises(InvalidRequest):
        ring.set_team("red", allowance)
    assert ring.list() == []
    assert ring.teams() == ()


def test_changing_a_key_that_is_not_there_is_told(ring: ClientKeys) -> None:
    with pytest.raises(NotFound, match="key_nobody"):
        ring.update("key_nobody", team=None, allowance=Allowance())
    with pytest.raises(NotFound, match="key_nobody"):
        ring.get("key_nobody")


def test_the_list_has_all_keys_and_no_secret(ring: ClientKeys) -> None:
    first, secret = ring.create("alice", team="red")
    second, _ = ring.create("bob")
    ring.revoke(second.key_id)
    listed = {key.key_id: key for key in ring.list()}
    assert listed[first.key_id] == first
    assert listed[second.key_id].revoked_at_ns == 77
    assert secret not in repr(ring.list())


def test_revoking_twice_keeps_the_first_time_and_an_unknown_id_is_told(ring: ClientKeys, tmp_path: Path) -> None:
    key, _ = ring.create("alice")
    ring.revoke(key.key_id)
    with closing(ClientKeys(tmp_path / "record.db", unix_clock=lambda: 99)) as later:
        assert later.revoke(key.key_id).revoked_at_ns == 77
    with pytest.raises(NotFound, match="key_nobody"):
        ring.revoke("key_nobody")


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\nb", "\x1b[31mred"])
def test_a_name_that_would_garble_a_list_is_refused(ring: ClientKeys, name: str) -> None:
    with pytest.raises(InvalidRequest, match="printable"):
        ring.create(name)
    with pytest.raises(InvalidRequest, match="team"):
        ring.create("alice", team=name)


def test_keys_work_beside_a_writer_in_the_same_file(ring: ClientKeys, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "record.db", isolation_level=None)) as writer:
        _, secret = ring.create("alice")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO probe VALUES (1, x'00')")
        assert ring.authenticate(secret).name == "alice"
        writer.execute("ROLLBACK")


def test_each_change_is_in_the_tamper_evident_log_and_no_secret_is(ring: ClientKeys, tmp_path: Path) -> None:
    key, secret = ring.create("alice", team="red", allowance=WHOLE)
    ring.update(key.key_id, team=None, allowance=Allowance(models=("o1",)))
    ring.set_team("red", Allowance(limits=Limits(concurrent=3)))
    ring.remove_team("red")
    ring.revoke(key.key_id)
    ring.revoke(key.key_id)
    with closing(sqlite3.connect(tmp_path / "record.db")) as connection:
        rows = connection.execute("SELECT kind, facts FROM audit ORDER BY n").fetchall()
    assert [kind for kind, _ in rows] == ["key_created", "key_changed", "team_changed", "team_removed", "key_revoked"]
    created, changed, team, *_ = (json.loads(facts) for _, facts in rows)
    assert created | {"models": ["gpt-*", "o1"], "labels": ["internal"], "money_microusd": 50_000_000, "team": "red"} == created
    assert changed == {"key_id": key.key_id, "name": "alice", "team": None, "is_admin": False, "models": ["o1"]}
    assert team == {"team": "red", "concurrent": 3}
    assert secret[4:] not in repr(rows)


def test_a_change_that_is_refused_is_not_in_the_log(ring: ClientKeys, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        ring.create("alice", allowance=Allowance(models=("",)))
    with pytest.raises(NotFound):
        ring.remove_team("red")
    with closing(sqlite3.connect(tmp_path / "record.db")) as connection:
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (0,)
