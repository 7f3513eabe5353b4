"""What an operator may say about the electricity of this site, as it changes over time."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_QUARTER_MIN = 15  # every time zone's offset from UTC is a multiple of it
_DAY_MIN = 24 * 60
_PRICE_LIMIT = 100.0  # of a kilowatt-hour; who writes more means a megawatt-hour


class TariffConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One price and the hours it holds. `hours` may pass midnight: "22:00-06:00"."""

    price_per_kwh: float
    hours: str = "00:00-24:00"
    days: str = "mon-sun"  # or "sat", or "mon-fri"

    def __post_init__(self) -> None:
        if not -_PRICE_LIMIT <= self.price_per_kwh <= _PRICE_LIMIT:
            raise ValueError(f"signal.tariff: {self.price_per_kwh} a kWh is beyond {_PRICE_LIMIT:g}; is it the price of a MWh?")
        self.minutes()
        self.weekdays()

    def minutes(self) -> tuple[int, int]:
        """From and until which minute of the day; the first is above the second where midnight lies between."""
        first, _, last = self.hours.partition("-")
        start, end = _minute(first), _minute(last)
        if start is None or end is None or start in (end, _DAY_MIN):
            raise ValueError(f"signal.tariff: hours {self.hours!r} must be like '06:00-22:00', on the quarter-hour")
        return start, end

    def weekdays(self) -> frozenset[int]:
        """0 is Monday. Hours that pass midnight belong to the day they begin on."""
        first, dash, last = self.days.lower().partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise ValueError(f"signal.tariff: days {self.days!r} must be like 'mon-fri' or 'sun'; days are {', '.join(_DAYS)}")
        start, end = _DAYS.index(first), _DAYS.index(last if dash else first)
        return frozenset((start + n) % 7 for n in range((end - start) % 7 + 1))


class SignalConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where it is read from. Of two sources that tell the same quantity the command goes before the files, and a file's
    price before the tariff's. Without any, nothing is known and nothing waits.
    """

    file: str | None = None  # CSV of carbon intensity, price or surplus over time; relative to this file's folder
    surplus_file: str | None = None  # the same, where the surplus comes from elsewhere
    intensity: Literal["life cycle", "direct"] = "life cycle"  # which column of a file that has both
    command: tuple[str, ...] = ()  # prints g/kWh now, or JSON
    command_timeout_s: Seconds = 10.0
    command_every_s: Annotated[float, msgspec.Meta(ge=10, le=86_400)] = 300.0
    tariff: tuple[TariffConfig, ...] = ()  # the first entry that fits a time counts
    time_zone: str = "UTC"  # of the tariff's hours
    currency: str = "USD"  # only shown
    follow: Literal["carbon", "price"] = "carbon"  # which of the two decides when deferred work runs; the other breaks ties
    power_w: Annotated[float, msgspec.Meta(gt=0, le=1e9)] = 200.0  # what the busy node draws: how much of it a surplus covers

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            raise ValueError(f"signal.time_zone {self.time_zone!r} is unknown here; name one like 'Europe/Berlin'") from exc
        if not self.currency or len(self.currency) > 8 or not self.currency.isalnum():
            raise ValueError(f"signal.currency {self.currency!r} must be a short word like 'EUR'")


def _minute(text: str) -> int | None:
    hour, colon, minute = text.strip().partition(":")
    if not (hour.isascii() and hour.isdigit() and len(hour) <= 2):
        return None
    if colon and not (minute.isascii() and minute.isdigit() and len(minute) == 2 and int(minute) < 60):
        return None
    value = int(hour) * 60 + int(minute or 0)
    return value if value <= _DAY_MIN and value % _QUARTER_MIN == 0 else None
