"""What electricity at this site is like over time, out of all that an operator named. Implements `core.ports.Signal`.

Files are read again when they change and the command is run now and then, both by `refresh`, which blocks; `between` answers from
memory. A source that fails later keeps what it said before, and `trouble` says what is wrong: what it said ends at its time, and
after that nothing is known.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from freehold.core.errors import FreeholdError, MalformedArtefact
from freehold.core.ports import SignalPoint
from freehold.meter.signal_command import ask
from freehold.meter.signal_config import SignalConfig, TariffConfig
from freehold.meter.signal_series import read_csv

FILE_LIMIT_BYTES: Final = 64 << 20
HEARD_S: Final = 3 * 86_400.0  # how long what the command said is kept: for what ran, not for what will
_QUARTER_S: Final = 900

Series = Sequence[SignalPoint]


@dataclass(slots=True)
class _File:
    path: Path
    intensity: str
    stamp: tuple[int, int] = (0, 0)
    points: tuple[SignalPoint, ...] = ()
    trouble: str | None = None

    def refresh(self) -> None:
        """Raises MalformedArtefact; what was read before stays."""
        try:
            facts = self.path.stat()
            stamp = (facts.st_mtime_ns, facts.st_size)
            if stamp == self.stamp:
                return
            if facts.st_size > FILE_LIMIT_BYTES:
                raise MalformedArtefact(f"{self.path} has {facts.st_size} bytes; at most {FILE_LIMIT_BYTES} are read")
            text = self.path.read_text(encoding="utf-8")
        except OSError as exc:
            raise MalformedArtefact(f"cannot read {self.path}: {exc.strerror}; see [signal]") from exc
        except UnicodeDecodeError as exc:
            raise MalformedArtefact(f"{self.path} is not UTF-8 at byte {exc.start}; save it as UTF-8") from exc
        self.points, self.stamp = read_csv(text, str(self.path), intensity=self.intensity), stamp


@dataclass(slots=True)
class _Command:
    config: SignalConfig
    unix_s: Callable[[], float]
    points: tuple[SignalPoint, ...] = ()
    asked_at_s: float = field(default=float("-inf"))
    trouble: str | None = None

    def refresh(self) -> None:
        now_s, config = self.unix_s(), self.config
        if now_s < self.asked_at_s + config.command_every_s:
            return
        self.asked_at_s = now_s
        # What it says of now holds until it is asked again and has had its time to answer.
        hold_s = config.command_every_s + config.command_timeout_s
        heard = ask(config.command, now_s=now_s, hold_s=hold_s, timeout_s=config.command_timeout_s)
        before = [_cut(point, point.start_s, heard[0].start_s) for point in self.points if point.end_s > now_s - HEARD_S]
        self.points = (*(point for point in before if point.start_s < point.end_s), *heard)


class Signals:
    def __init__(self, config: SignalConfig, folder: Path, unix_s: Callable[[], float] = time.time) -> None:
        """Reads the files. Raises MalformedArtefact for one that is not what it must be."""
        self._tariff = Tariff(config.tariff, config.time_zone)
        files = [folder / name for name in (config.file, config.surplus_file) if name is not None]
        self._files = [_File(path, config.intensity) for path in files]
        self._command = _Command(config, unix_s) if config.command else None
        for file in self._files:
            file.refresh()

    @property
    def trouble(self) -> str | None:
        """What is wrong with a source; None where all is well."""
        return next((source.trouble for source in self._sources() if source.trouble), None)

    def refresh(self) -> None:
        """Read again what may have changed. Blocks for as long as the command may take; raises nothing."""
        for source in self._sources():
            try:
                source.refresh()
                source.trouble = None
            except FreeholdError as error:
                source.trouble = error.message

    def between(self, start_s: float, end_s: float) -> tuple[SignalPoint, ...]:
        series: list[Series] = [source.points for source in self._sources()]
        return merged([*series, self._tariff.between(start_s, end_s)], start_s, end_s)

    def _sources(self) -> "list[_File | _Command]":
        return [*([self._command] if self._command else []), *self._files]


class Tariff:
    """Prices that repeat every week, by local time."""

    def __init__(self, entries: Sequence[TariffConfig], time_zone: str) -> None:
        self._entries = [(entry.price_per_kwh, entry.minutes(), entry.weekdays()) for entry in entries]
        self._zone = ZoneInfo(time_zone)

    def between(self, start_s: float, end_s: float) -> list[SignalPoint]:
        """One point for as long as a price holds. Local time moves against UTC in whole quarter-hours, as hours here do."""
        points: list[SignalPoint] = []
        if not self._entries:
            return points
        for at_s in range(int(start_s // _QUARTER_S) * _QUARTER_S, int(-(-end_s // 1)), _QUARTER_S):
            price = self._price(datetime.fromtimestamp(at_s, UTC).astimezone(self._zone))
            if price is None:
                continue
            if points and points[-1].end_s == at_s and points[-1].price_per_kwh == price:
                points[-1] = SignalPoint(start_s=points[-1].start_s, end_s=at_s + _QUARTER_S, price_per_kwh=price)
            else:
                points.append(SignalPoint(start_s=at_s, end_s=at_s + _QUARTER_S, price_per_kwh=price))
        return points

    def _price(self, local: datetime) -> float | None:
        minute, today = local.hour * 60 + local.minute, local.weekday()
        for price, (first, last), weekdays in self._entries:
            if first < last:
                fits = first <= minute < last and today in weekdays
            else:  # past midnight: its last hours belong to the day before
                fits = (minute >= first and today in weekdays) or (minute < last and (today - 1) % 7 in weekdays)
            if fits:
                return price
        return None


def merged(series: Sequence[Series], start_s: float, end_s: float) -> tuple[SignalPoint, ...]:
    """One series out of several: of each quantity, what the first one that knows it says."""
    inside = [[_cut(point, start_s, end_s) for point in _touching(one, start_s, end_s)] for one in series]
    edges = sorted({edge for one in inside for point in one for edge in (point.start_s, point.end_s)})
    points: list[SignalPoint] = []
    cursors = [0] * len(inside)
    for first_s, last_s in pairwise(edges):
        here: list[SignalPoint] = []
        for at, one in enumerate(inside):
            while cursors[at] < len(one) and one[cursors[at]].end_s <= first_s:
                cursors[at] += 1
            if cursors[at] < len(one) and one[cursors[at]].start_s <= first_s:
                here.append(one[cursors[at]])
        intensity, price, surplus = (
            next((value for point in here if (value := getattr(point, name)) is not None), None)
            for name in ("g_per_kwh", "price_per_kwh", "surplus_w")
        )
        if (intensity, price, surplus) != (None, None, None):
            points.append(SignalPoint(start_s=first_s, end_s=last_s, g_per_kwh=intensity, price_per_kwh=price, surplus_w=surplus))
    return tuple(points)


def _touching(series: Series, start_s: float, end_s: float) -> list[SignalPoint]:
    first = max(bisect_right(series, start_s, key=lambda point: point.start_s) - 1, 0)
    touching = []
    for point in series[first:]:
        if point.start_s >= end_s:
            break
        if point.end_s > start_s:
            touching.append(point)
    return touching


def _cut(point: SignalPoint, start_s: float, end_s: float) -> SignalPoint:
    """The part of it within [start_s, end_s); empty or turned about where there is none."""
    return SignalPoint(
        start_s=max(point.start_s, start_s),
        end_s=min(point.end_s, end_s),
        g_per_kwh=point.g_per_kwh,
        price_per_kwh=point.price_per_kwh,
        surplus_w=point.surplus_w,
    )
