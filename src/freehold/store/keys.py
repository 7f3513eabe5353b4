"""Client keys: made, listed, revoked, and checked at every request. Implements `core.ports.KeyRing`.

A secret is `fh_` and 32 random bytes in base 62, shown once. Stored is its SHA-256: slow password hashes exist because people
choose guessable words, and 256 random bits cannot be guessed at any speed; a fast hash lets each request be checked in
microseconds. What is looked up is the digest, so the time that a lookup takes tells nothing about a secret.

A key that was found is remembered for half a second: a revocation, by any process, holds well within one.
"""

import secrets
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from freehold.core.errors import InvalidKey, InvalidRequest, NotFound
from freehold.core.exchange import KeyId, Principal
from freehold.core.ports import MonotonicClock, UnixClock
from freehold.store.config import StoreConfig
from freehold.store.database import open_writer, transaction, translated

PREFIX = "fh_"
SECRET_BYTES = 32
SECRET_CHARS = 43  # 62 ** 43 > 2 ** 256
SHOWN_CHARS = 10  # "fh_" and 7 of 43: enough to tell keys apart, nothing to guess the rest from
REMEMBERED_S = 0.5
REMEMBERED_KEYS = 10_000
NAME_LIMIT_CHARS = 200
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_FIND = "SELECT id, name, team, is_admin FROM client_key WHERE secret_sha256 = ? AND revoked_at_ns IS NULL"
_COLUMNS = "id, shown, name, team, is_admin, created_at_ns, revoked_at_ns"


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


class ClientKeys:
    """Thread-safe. Makes the record's file where there is none yet."""

    def __init__(
        self,
        path: Path,
        config: StoreConfig | None = None,
        clock: MonotonicClock = time.monotonic,
        unix_clock: UnixClock = time.time_ns,
    ) -> None:
        self._path = path
        self._clock = clock
        self._unix_clock = unix_clock
        self._connection = open_writer(path, (config or StoreConfig()).busy_timeout_s)
        self._lock = threading.Lock()
        self._remembered: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()  # digest -> (who, good until)

    def authenticate(self, secret: str) -> Principal:
        digest = _digest(secret)
        now_s = self._clock()
        with self._lock:
            known = self._remembered.get(digest)
            if known is not None and now_s < known[1]:
                return known[0]
        with self._locked() as connection:
            row = connection.execute(_FIND, (digest,)).fetchone()
            if row is None:
                self._remembered.pop(digest, None)
                raise InvalidKey("unknown or revoked API key; an operator makes one with: freehold keys create NAME")
            principal = Principal(key_id=KeyId(row["id"]), name=row["name"], team=row["team"], is_admin=bool(row["is_admin"]))
            self._remembered[digest] = (principal, now_s + REMEMBERED_S)
            self._remembered.move_to_end(digest)
            if len(self._remembered) > REMEMBERED_KEYS:
                self._remembered.popitem(last=False)
        return principal

    def create(self, name: str, *, team: str | None = None, is_admin: bool = False) -> tuple[ClientKey, str]:
        """The key, and its secret: the only time it can be seen."""
        for what, text in (("name", name), ("team", team)):
            if text is not None and (not text.strip() or len(text) > NAME_LIMIT_CHARS or not text.isprintable()):
                raise InvalidRequest(f"a key's {what} has 1 to {NAME_LIMIT_CHARS} printable characters", param=what)
        secret = PREFIX + _base62(secrets.token_bytes(SECRET_BYTES))
        key = ClientKey(
            key_id=KeyId(f"key_{secrets.token_hex(6)}"),
            shown=secret[:SHOWN_CHARS],
            name=name,
            team=team,
            is_admin=is_admin,
            created_at_ns=self._unix_clock(),
            revoked_at_ns=None,
        )
        with self._locked() as connection, transaction(connection):
            connection.execute(
                f"INSERT INTO client_key ({_COLUMNS}, secret_sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
                (key.key_id, key.shown, name, team, int(is_admin), key.created_at_ns, None, _digest(secret)),
            )
        return key, secret

    def list(self) -> list[ClientKey]:
        """All keys, revoked ones too, oldest first."""
        with self._locked() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM client_key ORDER BY created_at_ns, id").fetchall()  # noqa: S608
        return [_key_of(row) for row in rows]

    def revoke(self, key_id: str) -> ClientKey:
        """The key as it is now. Revoking twice keeps the first time. Raises NotFound."""
        with self._locked() as connection, transaction(connection):
            connection.execute(
                "UPDATE client_key SET revoked_at_ns = ? WHERE id = ? AND revoked_at_ns IS NULL", (self._unix_clock(), key_id)
            )
            row = connection.execute(f"SELECT {_COLUMNS} FROM client_key WHERE id = ?", (key_id,)).fetchone()  # noqa: S608
            self._remembered.clear()
        if row is None:
            raise NotFound(f"no key {key_id[:100]!r}; see: freehold keys list")
        return _key_of(row)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _locked(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self._path):
            yield self._connection


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
    )
