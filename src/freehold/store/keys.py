"""Client keys: made, listed, revoked, and checked at every request. Implements `core.ports.KeyRing`.

A secret is `fh_` and 32 random bytes in base 62, shown once. Stored is its SHA-256: slow password hashes exist because people
choose guessable words, and 256 random bits cannot be guessed at any speed; a fast hash lets each request be checked in
microseconds. What is looked up is the digest, so the time that a lookup takes tells nothing about a secret.

Nothing is remembered between requests: one look-up of a key, its team and what both may use takes about 10 us, so that a key
that is revoked or changed, by whatever process, is so for the next request of every process that has the record open.
"""

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from freehold.core.errors import DeviceError, InvalidKey, InvalidRequest, NotFound
from freehold.core.exchange import KeyId, Principal
from freehold.core.limits import Allowance, time_text
from freehold.core.ports import UnixClock
from freehold.core.sealer import Sealer
from freehold.store import allowances, audit
from freehold.store.config import StoreConfig
from freehold.store.database import open_writer, transaction, translated, trouble

PREFIX = "fh_"
SECRET_BYTES = 32
SECRET_CHARS = 43  # 62 ** 43 > 2 ** 256
SHOWN_CHARS = 10  # "fh_" and 7 of 43: enough to tell keys apart, nothing to guess the rest from
NAME_LIMIT_CHARS = 200
KEY_CREATED, KEY_CHANGED, KEY_REVOKED = "key_created", "key_changed", "key_revoked"  # rows of the log
TEAM_CHANGED, TEAM_REMOVED = "team_changed", "team_removed"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_COLUMNS = "id, shown, name, team, is_admin, created_at_ns, revoked_at_ns"
_PRINCIPAL = "id, name, client_key.team, is_admin"
_NO_ALLOWANCE = Allowance()
_OF_KEY = "LEFT JOIN allowance own ON own.holder_kind = 'key' AND own.holder = client_key.id"
_OF_TEAM = "LEFT JOIN allowance its ON its.holder_kind = 'team' AND its.holder = client_key.team"
_VALID = f"""
    SELECT {_PRINCIPAL}, {allowances.selected("own")}, {allowances.selected("its")}
    FROM client_key {_OF_KEY} {_OF_TEAM} WHERE revoked_at_ns IS NULL AND
"""  # noqa: S608 - our constants
_FIND, _FIND_BY_ID = f"{_VALID} secret_sha256 = ?", f"{_VALID} id = ?"
_OWN_FIRST = _PRINCIPAL.count(",") + 1
_KEYS = f"SELECT {_COLUMNS}, {allowances.selected('own')} FROM client_key {_OF_KEY}"  # noqa: S608 - our constants
_TEAMS = f"SELECT holder, {allowances.selected('own')} FROM allowance own WHERE holder_kind = 'team'"  # noqa: S608 - our constants


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """A key without its secret. `shown` is how the secret begins."""

    key_id: KeyId
    shown: str
    name: str
    team: str | None
    is_admin: bool
    created_at_ns: int
    revoked_at_ns: int | None
    allowance: Allowance = _NO_ALLOWANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """What all keys of a team may use together. A team without limits needs no row: keys name it all the same."""

    name: str
    allowance: Allowance


class ClientKeys:
    """Thread-safe. Makes the record's file where there is none yet.

    Each change is a row of the tamper-evident log, in the same transaction. Without a sealer it waits for the next seal there.
    """

    def __init__(
        self, path: Path, config: StoreConfig | None = None, unix_clock: UnixClock = time.time_ns, sealer: Sealer | None = None
    ) -> None:
        self._path = path
        self._sealer = sealer
        self._unix_clock = unix_clock
        self._connection = open_writer(path, (config or StoreConfig()).busy_timeout_s)
        self._lock = threading.Lock()

    def authenticate(self, secret: str) -> Principal:
        return self._principal(_FIND, _digest(secret))

    def by_id(self, key_id: KeyId) -> Principal:
        return self._principal(_FIND_BY_ID, key_id)

    def _principal(self, query: str, value: bytes | str) -> Principal:
        try:
            with self._lock:
                row = self._connection.execute(query, (value,)).fetchone()
        except sqlite3.Error as exc:
            raise DeviceError(trouble(self._path, exc)) from exc
        if row is None:
            raise InvalidKey("unknown or revoked API key; an operator makes one with: freehold keys create NAME")
        own = allowances.allowance_of(row, _OWN_FIRST)
        its = allowances.allowance_of(row, _OWN_FIRST + len(allowances.COLUMNS))
        self._refuse_expired("this API key", own, f"freehold keys update {row['id']} --expires 30d")
        self._refuse_expired("this API key's team", its, "freehold teams set TEAM --expires 30d")
        return Principal(
            key_id=KeyId(row["id"]),
            name=row["name"],
            team=row["team"],
            is_admin=bool(row["is_admin"]),
            models=own.models,
            labels=own.labels | its.labels,
            team_models=its.models,
            limits=own.limits,
            team_limits=its.limits,
        )

    def create(
        self, name: str, *, team: str | None = None, is_admin: bool = False, allowance: Allowance = _NO_ALLOWANCE
    ) -> tuple[ClientKey, str]:
        """The key, and its secret: the only time it can be seen."""
        _check_name("a key's name", name, param="name")
        if team is not None:
            _check_name("a key's team", team, param="team")
        secret = PREFIX + _base62(secrets.token_bytes(SECRET_BYTES))
        key = ClientKey(
            key_id=KeyId(f"key_{secrets.token_hex(6)}"),
            shown=secret[:SHOWN_CHARS],
            name=name,
            team=team,
            is_admin=is_admin,
            created_at_ns=self._unix_clock(),
            revoked_at_ns=None,
            allowance=allowance,
        )
        with self._locked() as connection, transaction(connection):
            connection.execute(
                f"INSERT INTO client_key ({_COLUMNS}, secret_sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
                (key.key_id, key.shown, name, team, int(is_admin), key.created_at_ns, None, _digest(secret)),
            )
            if allowance != _NO_ALLOWANCE:
                allowances.write(connection, "key", key.key_id, allowance)
            self._log(connection, KEY_CREATED, _facts(key) | _facts_of_making(connection, key, secret))
        return key, secret

    def list(self) -> list[ClientKey]:
        """All keys, revoked ones too, oldest first."""
        with self._locked() as connection:
            rows = connection.execute(f"{_KEYS} ORDER BY created_at_ns, id").fetchall()
        return [_key_of(row) for row in rows]

    def get(self, key_id: str) -> ClientKey:
        """Raises NotFound."""
        with self._locked() as connection:
            return _get(connection, key_id)

    def update(self, key_id: str, *, team: str | None, allowance: Allowance) -> ClientKey:
        """The key with another team and allowance. Raises NotFound."""
        if team is not None:
            _check_name("a key's team", team, param="team")
        with self._locked() as connection, transaction(connection):
            _get(connection, key_id)
            connection.execute("UPDATE client_key SET team = ? WHERE id = ?", (team, key_id))
            allowances.write(connection, "key", key_id, allowance)
            key = _get(connection, key_id)
            self._log(connection, KEY_CHANGED, _facts(key))
            return key

    def revoke(self, key_id: str) -> ClientKey:
        """The key as it is now. Revoking twice keeps the first time. Raises NotFound."""
        with self._locked() as connection, transaction(connection):
            key = _get(connection, key_id)
            if key.revoked_at_ns is not None:
                return key
            now_ns = self._unix_clock()
            connection.execute("UPDATE client_key SET revoked_at_ns = ? WHERE id = ?", (now_ns, key_id))
            self._log(connection, KEY_REVOKED, {"key_id": key_id, "revoked_at_ns": now_ns})
            return _get(connection, key_id)

    def teams(self) -> tuple[Team, ...]:
        """Those with an allowance, by name."""
        with self._locked() as connection:
            rows = connection.execute(f"{_TEAMS} ORDER BY holder").fetchall()
        return tuple(_team_of(row) for row in rows)

    def team(self, name: str) -> Team:
        """A team that was never set may use everything."""
        with self._locked() as connection:
            row = connection.execute(f"{_TEAMS} AND holder = ?", (name,)).fetchone()
        return Team(name=name, allowance=_NO_ALLOWANCE) if row is None else _team_of(row)

    def set_team(self, name: str, allowance: Allowance) -> Team:
        _check_name("a team's name", name, param="name")
        with self._locked() as connection, transaction(connection):
            allowances.write(connection, "team", name, allowance)
            self._log(connection, TEAM_CHANGED, {"team": name, **allowances.facts(allowance)})
        return Team(name=name, allowance=allowance)

    def remove_team(self, name: str) -> None:
        """Its keys go on under their own limits. Raises NotFound."""
        with self._locked() as connection, transaction(connection):
            if not allowances.remove(connection, "team", name):
                raise NotFound(f"no team {name[:100]!r} has limits; see: freehold teams list")
            self._log(connection, TEAM_REMOVED, {"team": name})

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _log(self, connection: sqlite3.Connection, kind: str, facts: dict[str, object]) -> None:
        audit.append(connection, [audit.decision(kind, facts, self._unix_clock())], self._sealer)

    def _refuse_expired(self, whose: str, allowance: Allowance, advice: str) -> None:
        expires_at_ns = allowance.expires_at_ns
        if expires_at_ns is not None and self._unix_clock() >= expires_at_ns:
            raise InvalidKey(
                f"{whose} expired at {time_text(expires_at_ns)}; an operator extends it with: {advice}", code="expired_api_key"
            )

    @contextmanager
    def _locked(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self._path):
            yield self._connection


def _check_name(what: str, text: str, *, param: str) -> None:
    if not text.strip() or len(text) > NAME_LIMIT_CHARS or not text.isprintable():
        raise InvalidRequest(f"{what} has 1 to {NAME_LIMIT_CHARS} printable characters", param=param)


def _facts(key: ClientKey) -> dict[str, object]:
    """What the log keeps of a key."""
    named = {"key_id": key.key_id, "name": key.name, "team": key.team, "is_admin": key.is_admin}
    return {**named, **allowances.facts(key.allowance)}


def _facts_of_making(connection: sqlite3.Connection, key: ClientKey, secret: str) -> dict[str, object]:
    """What never changes of a key, and how many keys there are with it: `verify_keys` holds the table against both."""
    count = connection.execute("SELECT count(*) FROM client_key").fetchone()[0]
    made = {"shown": key.shown, "created_at_ns": key.created_at_ns, "keys_count": count}
    return made | {"secret_digest": secret_digest(_digest(secret))}


def secret_digest(secret_sha256: bytes) -> str:
    """What the log keeps of a secret: a digest of the stored digest, as an exported log should not hold what a request is
    looked up by."""
    return sha256(secret_sha256).hexdigest()


def _get(connection: sqlite3.Connection, key_id: str) -> ClientKey:
    row = connection.execute(f"{_KEYS} WHERE id = ?", (key_id,)).fetchone()
    if row is None:
        raise NotFound(f"no key {key_id[:100]!r}; see: freehold keys list")
    return _key_of(row)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode(errors="surrogatepass")).digest()


def _base62(raw: bytes) -> str:
    number = int.from_bytes(raw)
    digits = []
    for _ in range(SECRET_CHARS):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def _key_of(row: sqlite3.Row) -> ClientKey:
    return ClientKey(
        key_id=KeyId(row["id"]),
        shown=row["shown"],
        name=row["name"],
        team=row["team"],
        is_admin=bool(row["is_admin"]),
        created_at_ns=row["created_at_ns"],
        revoked_at_ns=row["revoked_at_ns"],
        allowance=allowances.allowance_of(row, _COLUMNS.count(",") + 1),
    )


def _team_of(row: sqlite3.Row) -> Team:
    return Team(name=row["holder"], allowance=allowances.allowance_of(row, 1))
