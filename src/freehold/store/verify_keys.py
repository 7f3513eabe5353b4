"""Holds the tables of keys and teams against the rows of the log that tell how they came about.

The tables say who may use the node now; whoever can write to the file could make a revoked key valid, or an admin's. Each change
of a key or team is a row of the log, too, so the rows, folded in order, give what the tables must hold. `verify` checks the rows
themselves, before what is folded from them is believed; retention keeps them.

Keys older than the log have no row. They are counted, not vouched for. The row of each key made since says how many keys there
were with it (`keys_count`), so that none slips in as an older one. What rows of earlier releases lack is not compared.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from freehold.store.allowances import COLUMNS
from freehold.store.exchanges import Broken, Stop, broken_at
from freehold.store.keys import KEY_CHANGED, KEY_CREATED, KEY_REVOKED, TEAM_CHANGED, TEAM_REMOVED, secret_digest

KINDS = frozenset({KEY_CREATED, KEY_CHANGED, KEY_REVOKED, TEAM_CHANGED, TEAM_REMOVED})

_NO_ALLOWANCE = {column: "[]" if column in ("models", "labels") else None for column in COLUMNS}
_LATER = ("shown", "created_at_ns", "secret_digest")  # of a key made since this release
_KEYS = """
    SELECT client_key.*, own.* FROM client_key LEFT JOIN allowance own ON own.holder_kind = 'key' AND own.holder = client_key.id
    ORDER BY client_key.created_at_ns, client_key.id
"""
_TEAMS = "SELECT * FROM allowance WHERE holder_kind = 'team' ORDER BY holder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """How many keys and teams are as the log says, and how many of each are older than it, so that nothing vouches for them."""

    keys: int
    teams: int
    older_keys: int
    older_teams: int


@dataclass(slots=True, kw_only=True)
class _Key:
    """What the rows so far say. `made`: its first row is there. An older key that was only revoked since has no name."""

    n: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    made: bool = False
    revoked_n: int | None = None


class HolderFold:
    """`take` each row of `KINDS` in order, then `check` the tables. Both raise Stop for what does not fit."""

    def __init__(self) -> None:
        self._keys: dict[str, _Key] = {}
        self._teams: dict[str, tuple[int, dict[str, Any] | None]] = {}  # None: its limits were taken away
        self._made = 0
        self._count: int | None = None  # how many keys there are, once a row has said it

    def take(self, row: sqlite3.Row) -> None:
        kind = row["kind"]
        facts = orjson.loads(row["facts"])
        holder = facts.get("team" if kind in (TEAM_CHANGED, TEAM_REMOVED) else "key_id") if isinstance(facts, dict) else None
        if not isinstance(holder, str):
            raise Stop(broken_at(row, "changed", f"it names no key or team, as every {kind} row does; another program wrote it"))
        if kind == TEAM_CHANGED:
            self._teams[holder] = (row["n"], facts)
        elif kind == TEAM_REMOVED:
            self._teams[holder] = (row["n"], None)
        else:
            self._take_key(row, holder, facts)

    def _take_key(self, row: sqlite3.Row, key_id: str, facts: dict[str, Any]) -> None:
        key = self._keys.setdefault(key_id, _Key())
        key.n = row["n"]
        if row["kind"] == KEY_REVOKED:
            key.revoked_n = row["n"]
            key.facts |= {name: facts[name] for name in ("revoked_at_ns",) if name in facts}
            return
        if row["kind"] == KEY_CREATED:
            key.made = True
            self._made += 1
            self._take_count(row, facts.get("keys_count"))
        kept = {name: key.facts[name] for name in (*_LATER, "revoked_at_ns") if name in key.facts}
        key.facts = {**facts, **kept}

    def _take_count(self, row: sqlite3.Row, count: object) -> None:
        expected = None if self._count is None else self._count + 1
        self._count = count if isinstance(count, int) else expected
        if expected is not None and self._count != expected:
            detail = (
                f"the node had {self._count} keys with it, and {expected} were made: others were added or removed beside the log"
            )
            raise Stop(broken_at(row, "inserted", detail))

    def check(self, connection: sqlite3.Connection) -> Holders:
        rows = connection.execute(_KEYS).fetchall()
        first = connection.execute("SELECT at_ns FROM audit ORDER BY n LIMIT 1").fetchone()
        unknown = [row for row in rows if row["id"] not in self._keys]
        for row in unknown:
            if first is not None and row["created_at_ns"] >= first["at_ns"]:
                detail = "the log has no row of it, and its date is not older than the log"
                raise _stop("inserted", _named("key", row["id"]), None, detail)
        for row in rows:
            if (key := self._keys.get(row["id"])) is not None:
                _check_key(row, key)
        self._check_none_missing("key", {row["id"] for row in rows}, {key_id: key.n for key_id, key in self._keys.items()})
        self._check_count(rows)
        has_older = len(rows) > self._made
        teams, older_teams = self._check_teams(connection.execute(_TEAMS).fetchall(), has_older)
        return Holders(keys=len(rows) - len(unknown), teams=teams, older_keys=len(unknown), older_teams=older_teams)

    def _check_count(self, rows: list[sqlite3.Row]) -> None:
        """One that no row names and that is dated back passes for older, and makes one more than the log counts."""
        if self._count is None or len(rows) == self._count:
            return
        unknown = [row["id"] for row in rows if row["id"] not in self._keys]
        what = "inserted" if len(rows) > self._count else "deleted"
        listed = ", ".join(map(ascii, unknown[:5])) or "none"
        detail = f"there are {len(rows)} keys, and the log counts {self._count}; those that it never names: {listed}"
        raise _stop(what, _named("key", unknown[0]) if what == "inserted" and len(unknown) == 1 else "a key", None, detail)

    def _check_teams(self, rows: list[sqlite3.Row], has_older: bool) -> tuple[int, int]:
        """How many are as the log says, and how many it does not know."""
        older = 0
        for row in rows:
            team, (n, facts) = _named("team", row["holder"]), self._teams.get(row["holder"], (None, None))
            if n is None and has_older:
                older += 1
            elif facts is None:
                why = "the log has no row of its limits" if n is None else f"row {n} of the log took its limits away"
                raise _stop("inserted", team, n, f"{why}; freehold teams set or remove makes it one that the log knows")
            else:
                _compare(team, n, row, _allowance(facts))
        there = {team: n for team, (n, facts) in self._teams.items() if facts is not None}
        self._check_none_missing("team", {row["holder"] for row in rows}, there)
        return len(rows) - older, older

    def _check_none_missing(self, kind: str, found: Iterable[str], logged: Mapping[str, int]) -> None:
        for holder in sorted(logged.keys() - set(found), key=lambda holder: logged[holder]):
            detail = f"row {logged[holder]} of the log is the last of it, and no row takes it away"
            raise _stop("deleted", _named(kind, holder), logged[holder], detail)


def _check_key(row: sqlite3.Row, key: _Key) -> None:
    who = _named("key", row["id"])
    if key.revoked_n is not None and row["revoked_at_ns"] is None:
        raise _stop("changed", who, key.revoked_n, f"it is in force again, and row {key.revoked_n} of the log revoked it")
    if key.revoked_n is None and key.made and row["revoked_at_ns"] is not None:
        raise _stop("changed", who, key.n, "it is revoked, and no row of the log says so")
    if "secret_digest" in key.facts and key.facts["secret_digest"] != secret_digest(row["secret_sha256"]):
        raise _stop("changed", who, key.n, "its secret is not the one that it was made with")
    expected: dict[str, Any] = {
        name: key.facts[name] for name in ("shown", "created_at_ns", "revoked_at_ns") if name in key.facts
    }
    if "name" in key.facts:
        expected |= {name: key.facts.get(name) for name in ("name", "team", "is_admin")} | _allowance(key.facts)
    _compare(who, key.n, row, expected)


def _allowance(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that the facts of an allowance were made from."""
    columns = {column: facts.get(column) for column in COLUMNS}
    return columns | {name: json.dumps(facts.get(name, [])) for name in ("models", "labels")}


def _compare(who: str, n: int | None, row: sqlite3.Row, expected: Mapping[str, Any]) -> None:
    for column, logged in expected.items():
        held = row[column] if row[column] is not None else _NO_ALLOWANCE.get(column)
        if held != logged:
            detail = f"{column} is {held!a:.80}, and row {n} of the log says {logged!a:.80}"
            raise _stop("changed", who, n, detail)


def _named(kind: str, holder: str) -> str:
    """Whoever changed the file may have chosen the name: nothing in it reaches a terminal as a command."""
    return f"{kind} {holder if holder.isprintable() else ascii(holder):.200}"


def _stop(what: str, holder: str, n: int | None, detail: str) -> Stop:
    return Stop(Broken(what=what, detail=detail, n=n, holder=holder))
