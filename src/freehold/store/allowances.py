"""Allowances as rows, and back. One table holds those of keys and of teams.

Checked here, whoever writes one: globs and labels that could not match anything, and limits that no exchange could keep.
"""

import json
import re
import sqlite3
from functools import lru_cache
from math import isfinite

from freehold.core.errors import InvalidRequest
from freehold.core.limits import Allowance, EnergyBudget, Limits, MoneyBudget, Period

_COLUMNS = (
    "models labels expires_at_ns requests_per_min tokens_per_min concurrent money_microusd money_period energy_j energy_period"
)
COLUMNS = tuple(_COLUMNS.split())
GLOBS_LIMIT = 100
GLOB_LIMIT_CHARS = 200
COUNT_LIMIT = 1_000_000_000  # far below what SQLite's integers hold, far above what a node serves
MONEY_LIMIT_MICROUSD = 10**15  # a thousand million dollars

_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_WRITE = (
    f"INSERT OR REPLACE INTO allowance (holder_kind, holder, {', '.join(COLUMNS)}) "  # noqa: S608 - our constants
    f"VALUES ({', '.join('?' * (len(COLUMNS) + 2))})"
)


def selected(alias: str) -> str:
    """The columns of one allowance among others, in the order that `allowance_of` takes them."""
    return ", ".join(f"{alias}.{column}" for column in COLUMNS)


def allowance_of(row: sqlite3.Row, first: int) -> Allowance:
    """The allowance whose columns begin at `first`."""
    return _allowance(*row[first : first + len(COLUMNS)])


@lru_cache(maxsize=1024)  # every request reads its key's and its team's; they seldom change
def _allowance(
    models: str | None,
    labels: str | None,
    expires_at_ns: int | None,
    requests_per_min: int | None,
    tokens_per_min: int | None,
    concurrent: int | None,
    money_microusd: int | None,
    money_period: str | None,
    energy_j: float | None,
    energy_period: str | None,
) -> Allowance:
    money = energy = None
    if money_microusd is not None and money_period is not None:
        money = MoneyBudget(limit_microusd=money_microusd, period=Period(money_period))
    if energy_j is not None and energy_period is not None:
        energy = EnergyBudget(limit_j=energy_j, period=Period(energy_period))
    limits = Limits(
        requests_per_min=requests_per_min, tokens_per_min=tokens_per_min, concurrent=concurrent, money=money, energy=energy
    )
    return Allowance(
        models=tuple(json.loads(models or "[]")),
        labels=frozenset(json.loads(labels or "[]")),
        expires_at_ns=expires_at_ns,
        limits=limits,
    )


def write(connection: sqlite3.Connection, kind: str, holder: str, allowance: Allowance) -> None:
    """Inside the caller's transaction. Raises InvalidRequest."""
    _check(allowance)
    connection.execute(_WRITE, (kind, holder, *_row(allowance)))


def facts(allowance: Allowance) -> dict[str, object]:
    """What is set of it, for the log."""
    whole = dict(zip(COLUMNS, _row(allowance), strict=True))
    lists = {"models": list(allowance.models), "labels": sorted(allowance.labels)}
    return {name: value for name, value in {**whole, **lists}.items() if value not in (None, [])}


def _row(allowance: Allowance) -> tuple[str | float | None, ...]:
    limits = allowance.limits
    money, energy = limits.money, limits.energy
    return (
        json.dumps(allowance.models),
        json.dumps(sorted(allowance.labels)),
        allowance.expires_at_ns,
        limits.requests_per_min,
        limits.tokens_per_min,
        limits.concurrent,
        None if money is None else money.limit_microusd,
        None if money is None else str(money.period),
        None if energy is None else energy.limit_j,
        None if energy is None else str(energy.period),
    )


def remove(connection: sqlite3.Connection, kind: str, holder: str) -> bool:
    """Whether there was one."""
    found = connection.execute("DELETE FROM allowance WHERE holder_kind = ? AND holder = ?", (kind, holder))
    return found.rowcount > 0


def _check(allowance: Allowance) -> None:
    if len(allowance.models) > GLOBS_LIMIT:
        raise InvalidRequest(
            f"{len(allowance.models)} models are more than the {GLOBS_LIMIT} a key takes; use globs", param="models"
        )
    for glob in allowance.models:
        if not 0 < len(glob) <= GLOB_LIMIT_CHARS or not glob.isprintable() or glob != glob.strip():
            raise InvalidRequest(f"a model's name or glob has 1 to {GLOB_LIMIT_CHARS} printable characters", param="models")
    for label in allowance.labels:
        if not _LABEL.fullmatch(label):
            raise InvalidRequest(
                f"{label[:100]!r} is no label: a letter, then letters, digits, _ and -, all lower case", param="labels"
            )
    _check_limits(allowance.limits)


def _check_limits(limits: Limits) -> None:
    for name in ("requests_per_min", "tokens_per_min", "concurrent"):
        count = getattr(limits, name)
        if count is not None and not 1 <= count <= COUNT_LIMIT:
            raise InvalidRequest(f"{name} {count} must be from 1 to {COUNT_LIMIT}; revoke a key that may do nothing", param=name)
    if limits.money is not None and not 0 <= limits.money.limit_microusd <= MONEY_LIMIT_MICROUSD:
        raise InvalidRequest("a budget is from 0 to 1000000000 dollars", param="budget")
    if limits.energy is not None and not (isfinite(limits.energy.limit_j) and limits.energy.limit_j >= 0):
        raise InvalidRequest("an energy budget is a number of joules, 0 or more", param="energy")
