"""What `freehold keys` and `freehold teams` share: the options that set an allowance, and how one is shown.

A budget is written as an amount and its period, `50/month` or `2kWh/week`. `none` takes a limit away; what is not named stays.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import click

from freehold.core.limits import Allowance, DayUse, EnergyBudget, MoneyBudget, Period, day_of
from freehold.dashboard.figures import joules
from freehold.guard.labels import Label

NONE = "none"
COMMAND = TypeVar("COMMAND", bound=Callable[..., None])

_JOULES = {"J": 1, "kJ": 10**3, "MJ": 10**6, "Wh": 3600, "kWh": 3_600_000}
_MONEY = re.compile(r"(\d{1,10}(?:\.\d{1,6})?)/(day|week|month)")
_ENERGY = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(J|kJ|MJ|Wh|kWh)/(day|week|month)")
_NOW = {"day": "today", "week": "this week", "month": "this month"}
_SPAN = re.compile(r"(\d{1,5})([hd])")


class Amount(click.ParamType[object]):
    """A word that `read` understands, or `none`."""

    def __init__(self, name: str, read: Callable[[str], object]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> object:
        try:
            return NONE if value == NONE else self._read(str(value))
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


def read_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) > 0):
        raise ValueError(f"{text!r} is not a whole number above 0, nor {NONE!r}")
    return int(text)


def read_money(text: str) -> MoneyBudget:
    if not (found := _MONEY.fullmatch(text)):
        raise ValueError(f"{text!r} is not an amount of US dollars a day, week or month, such as 50/month or 2.50/day")
    return MoneyBudget(limit_microusd=int(Decimal(found[1]) * 1_000_000), period=Period(found[2]))


def read_energy(text: str) -> EnergyBudget:
    if not (found := _ENERGY.fullmatch(text)):
        raise ValueError(f"{text!r} is not an energy a day, week or month, such as 500kJ/day or 2kWh/month")
    return EnergyBudget(limit_j=float(Decimal(found[1]) * _JOULES[found[2]]), period=Period(found[3]))


def read_expiry(text: str) -> int:
    """Unix nanoseconds. A date alone is its midnight, and a time without a zone is UTC."""
    now = datetime.now(UTC)
    if found := _SPAN.fullmatch(text):
        when = now + timedelta(hours=int(found[1]) * (24 if found[2] == "d" else 1))
    else:
        try:
            when = datetime.fromisoformat(text)
        except ValueError as exc:
            raise ValueError(f"{text!r} is not a time such as 12h, 30d, 2027-01-31 or 2027-01-31T12:00:00Z") from exc
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if not 1970 < when.year < 2200:  # SQLite's integers hold nanoseconds up to 2262
        raise ValueError(f"{text!r} is not a time from 1971 to 2199")
    if when <= now:
        raise ValueError(f"{text!r} is over: a key that may be used no more is revoked, with 'freehold keys revoke'")
    return int(when.timestamp()) * 1_000_000_000


_OPTIONS: Sequence[Callable[[COMMAND], COMMAND]] = (
    click.option("--model", "models", multiple=True, metavar="GLOB", help="A model it may use; again for more. Without: all."),
    click.option("--label", "labels", multiple=True, help="What its traffic is at least: personal, internal. Again for more."),
    click.option("--expires", type=Amount("time", read_expiry), help="12h, 30d, or a date such as 2027-01-31."),
    click.option("--requests-per-min", type=Amount("count", read_count), help="Requests in any 60 seconds."),
    click.option("--tokens-per-min", type=Amount("count", read_count), help="Tokens, in and out, in any 60 seconds."),
    click.option("--concurrent", type=Amount("count", read_count), help="Requests at the same time."),
    click.option("--budget", "money", type=Amount("usd/period", read_money), help="US dollars a day, week or month: 50/month."),
    click.option("--energy", type=Amount("energy/period", read_energy), help="J, kJ, MJ, Wh or kWh: 2kWh/month."),
)


def allowance_options(command: COMMAND) -> COMMAND:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def changed(before: Allowance, options: dict[str, Any]) -> Allowance:
    """The allowance with the options that were given."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    whole: dict[str, Any] = {}
    if "models" in given:
        whole["models"] = () if NONE in given["models"] else given["models"]
    if "labels" in given:
        whole["labels"] = frozenset() if NONE in given["labels"] else frozenset(map(_label, given["labels"]))
    if "expires" in given:
        whole["expires_at_ns"] = _or_none(given["expires"])
    names = ("requests_per_min", "tokens_per_min", "concurrent", "money", "energy")
    limits: dict[str, Any] = {name: _or_none(given[name]) for name in names if name in given}
    return replace(before, **whole, limits=replace(before.limits, **limits))


def _label(word: str) -> str:
    """A label that nobody knows would refuse every request of its key, and only then."""
    if word not in set(Label):
        known = ", ".join(Label)
        raise click.BadParameter(f"there is no label {word!r}; known labels: {known}", param_hint="'--label'")
    return word


def _or_none(value: object) -> object:
    return None if value == NONE else value


def document(allowance: Allowance) -> dict[str, Any]:
    """For a program: budgets in dollars and joules."""
    limits = allowance.limits
    return {
        "models": list(allowance.models),
        "labels": sorted(allowance.labels),
        "expires_at": time_text(allowance.expires_at_ns),
        "requests_per_min": limits.requests_per_min,
        "tokens_per_min": limits.tokens_per_min,
        "concurrent": limits.concurrent,
        "budget": limits.money and {"usd": limits.money.limit_microusd / 1e6, "period": limits.money.period},
        "energy": limits.energy and {"joules": limits.energy.limit_j, "period": limits.energy.period},
    }


def summary(allowance: Allowance) -> str:
    """For a person, in one cell; empty for one that limits nothing."""
    limits = allowance.limits
    parts = [
        limits.requests_per_min and f"{limits.requests_per_min} requests/min",
        limits.tokens_per_min and f"{limits.tokens_per_min} tokens/min",
        limits.concurrent and f"{limits.concurrent} at once",
        limits.money and f"${limits.money.limit_microusd / 1e6:.2f}/{limits.money.period}",
        limits.energy and f"{joules(limits.energy.limit_j)}/{limits.energy.period}",
        allowance.models and "models " + " ".join(allowance.models),
        allowance.labels and "labels " + " ".join(sorted(allowance.labels)),
        allowance.expires_at_ns and f"until {time_text(allowance.expires_at_ns)}",
    ]
    return ", ".join(part for part in parts if part)


def used(days: Iterable[DayUse], now_ns: int) -> dict[str, Any]:
    """What was used in the day, week and month that are under way."""
    rows, today = list(days), day_of(now_ns)
    return {period.value: _total([row for row in rows if row.day >= period.first_day(today)]) for period in Period}


def _total(rows: Sequence[DayUse]) -> dict[str, Any]:
    return {
        "exchanges": sum(row.exchanges for row in rows),
        "tokens": sum(row.tokens for row in rows),
        "usd": sum(row.charged_microusd for row in rows) / 1e6,
        "costs_unknown": sum(row.unknown_costs for row in rows),
        "joules": round(sum(row.energy_j for row in rows), 3),
        "energies_unknown": sum(row.unknown_energies for row in rows),
    }


def used_lines(use: dict[str, Any]) -> list[str]:
    return [
        f"{_NOW[period]}: {of['exchanges']} exchanges, {of['tokens']} tokens, ${of['usd']:.4f}"
        f" (unknown for {of['costs_unknown']}), {joules(of['joules'])} (unknown for {of['energies_unknown']})"
        for period, of in use.items()
    ]


def month_start_ns(now_ns: int) -> int:
    """Where the longest period that is under way begins; a week may reach into the month before."""
    today = day_of(now_ns)
    return min(Period.MONTH.first_day(today), Period.WEEK.first_day(today)) * 86_400 * 1_000_000_000


def time_text(unix_ns: int | None) -> str | None:
    return None if unix_ns is None else datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
