import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import InvalidKey, InvalidRequest, NotFound
from freehold.store import keys as keys_module
from freehold.store.keys import REMEMBERED_S, ClientKeys


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(tmp_path: Path, clock: Clock) -> Iterator[ClientKeys]:
    with closing(ClientKeys(tmp_path / "record.db", clock=clock, unix_clock=lambda: 77)) as ring:
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


def test_a_key_revoked_by_another_process_is_refused_within_a_second(ring: ClientKeys, clock: Clock, tmp_path: Path) -> None:
    key, secret = ring.create("alice")
    ring.authenticate(secret)
    with closing(ClientKeys(tmp_path / "record.db")) as other:
        other.revoke(key.key_id)
    assert ring.authenticate(secret).name == "alice"  # still remembered
    assert REMEMBERED_S < 1
    clock.now_s += REMEMBERED_S
    with pytest.raises(InvalidKey):
        ring.authenticate(secret)


def test_a_remembered_key_needs_no_disk(ring: ClientKeys, clock: Clock) -> None:
    _, secret = ring.create("alice")
    ring.authenticate(secret)
    statements: list[str] = []
    ring._connection.set_trace_callback(statements.append)
    for _ in range(100):
        ring.authenticate(secret)
    assert statements == []
    clock.now_s += REMEMBERED_S
    ring.authenticate(secret)
    assert len(statements) == 1


def test_what_is_remembered_is_bounded(ring: ClientKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "REMEMBERED_KEYS", 3)
    for _, secret in [ring.create("k") for _ in range(6)]:
        ring.authenticate(secret)
    assert len(ring._remembered) == 3


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
