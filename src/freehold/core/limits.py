"""What a key, or all keys of a team together, may use, and what was used.

None is no limit. Days are UTC and numbered from 1970-01-01; a week begins on Monday, a month on its first.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

DAY_NS = 86_400 * 1_000_000_000
_EPOCH = date(1970, 1, 1)


class Period(StrEnum):
    """What a budget is for. It is whole again when the next one begins."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def first_day(self, day: int) -> int:
        """The first day of the period that `day` is in."""
        match self:
            case Period.DAY:
                return day
            case Period.WEEK:
                return day - (day + 3) % 7  # day 0 was a Thursday
            case Period.MONTH:
                return day - (_EPOCH + timedelta(days=day)).day + 1

    def next_first_day(self, day: int) -> int:
        """The first day of the period after the one that `day` is in."""
        longest_days = {Period.DAY: 1, Period.WEEK: 7, Period.MONTH: 31}[self]
        return self.first_day(self.first_day(day) + longest_days)


def day_of(unix_ns: int) -> int:
    return unix_ns // DAY_NS


def midnight(day: int) -> datetime:
    """When a day begins."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)


def day_text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()


def time_text(unix_ns: int) -> str:
    return datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyBudget:
    limit_microusd: int  # millionths of a US dollar
    period: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyBudget:
    limit_j: float
    period: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Rates hold for any 60 seconds."""

    requests_per_min: int | None = None
    tokens_per_min: int | None = None
    concurrent: int | None = None  # exchanges at the same time
    money: MoneyBudget | None = None
    energy: EnergyBudget | None = None


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """`models` are globs, none is every model; `labels` are what its traffic is at least."""

    models: tuple[str, ...] = ()
    labels: frozenset[str] = frozenset()
    expires_at_ns: int | None = None
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUse:
    """What one key, counted for one team, used on one day.

    `charged_microusd` is what was paid, and where that is unknown what was held for it; `unknown_costs` counts the latter.
    """

    key_id: str
    team: str | None
    day: int
    exchanges: int
    tokens: int
    charged_microusd: int
    unknown_costs: int
    energy_j: float
    unknown_energies: int
