"""Hours of a year from somebody's table: sun, wind, prices or load.

Known columns: our own (`pv`, `wind`: power over capacity; `price_usd_per_mwh`; `load_mw`), renewables.ninja's `electricity`
(kW, of the capacity in its comments, else of 1 kW), and PVGIS's `P` (W, of the peak power above its table). Lines before the
heading and below an empty line are the exporter's own words. A year has 8,760 hours; 29 February is left out.
"""

import csv
import math
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum

import numpy as np

from freehold.core.errors import InvalidRequest
from freehold.plan.uncertainty import Array
from freehold.plan.weather import HOURS

LEAP_HOURS = HOURS + 24
_FEBRUARY_29 = slice((31 + 28) * 24, (31 + 29) * 24)


class Kind(StrEnum):
    """What is read; the name of our own column is its value."""

    PV = "pv"
    WIND = "wind"
    PRICE = "price_usd_per_mwh"
    LOAD = "load_mw"


_RANGES: Mapping[Kind, tuple[float, float, str]] = {
    Kind.PV: (0.0, 1.25, "shares of a capacity of 1"),
    Kind.WIND: (0.0, 1.25, "shares of a capacity of 1"),
    Kind.PRICE: (-10_000.0, 100_000.0, "USD/MWh"),
    Kind.LOAD: (0.0, 1e6, "MW"),
}
# Another program's column, and where the capacity stands that its figures are of: the pattern's number times this is in the
# column's unit.
_NINJA = ("electricity", re.compile(r'"?capacity"?\s*[:=]\s*"?([0-9.]+)'), 1.0)
_PVGIS = ("P", re.compile(r"Nominal power of the PV system[^:]*:\s*([0-9.]+)"), 1e3)
_FOREIGN = {Kind.PV: (_NINJA, _PVGIS), Kind.WIND: (_NINJA,), Kind.PRICE: (), Kind.LOAD: ()}


def parse_hours(text: str, where: str, kind: Kind) -> Array:
    """(8760,). Raises InvalidRequest naming the line."""
    lines = text.lstrip("\ufeff").splitlines()
    heading, column, unit = _heading(lines, where, kind)
    found = []
    for at, cell in _cells(lines, heading, column, where):
        found.append(_figure(cell, unit, kind, where, at))
        if len(found) > LEAP_HOURS:
            raise InvalidRequest(f"{where}: more than {LEAP_HOURS:,} hours; cut out one year, hour by hour", param=kind)
    if len(found) == LEAP_HOURS:
        del found[_FEBRUARY_29]
    if len(found) != HOURS:
        raise InvalidRequest(f"{where}: a year has {HOURS:,} or {LEAP_HOURS:,} hours, this table has {len(found):,}", param=kind)
    return np.array(found)


def in_steps(hours: Array, count: int) -> Array:
    """Means of `count` at a time. (T,)"""
    return np.asarray(hours.reshape(-1, count).mean(axis=1))


def _heading(lines: list[str], where: str, kind: Kind) -> tuple[int, int, float]:
    """Where the heading is, which column, and what one of its figures is divided by."""
    for at, line in enumerate(lines):
        names = [name.strip().strip('"') for name in line.split(",")]
        if kind.value in names:
            return at, names.index(kind.value), 1.0
        for name, pattern, per_capacity in _FOREIGN[kind]:
            if name in names:
                told = pattern.search("\n".join(lines[:at]))
                capacity = float(told[1]) if told and told[1].count(".") <= 1 and told[1] != "." else 1.0
                return at, names.index(name), (capacity or 1.0) * per_capacity
    known = ", ".join([kind.value, *(name for name, _, _ in _FOREIGN[kind])])
    raise InvalidRequest(f"{where}: no line has a column of these names: {known}", param=kind)


def _cells(lines: list[str], heading: int, column: int, where: str) -> Iterator[tuple[int, str]]:
    """Line numbers and cells, to the first empty line."""
    for at, line in enumerate(lines[heading + 1 :], heading + 2):
        if not line.strip():
            return
        try:
            (cells,) = csv.reader([line])
        except (csv.Error, ValueError) as exc:
            raise InvalidRequest(f"{where}, line {at}: not a line of a table ({exc})") from exc
        if column >= len(cells):
            raise InvalidRequest(f"{where}, line {at}: column {column + 1} is missing, the line has {len(cells)}")
        yield at, cells[column]


def _figure(cell: str, unit: float, kind: Kind, where: str, at: int) -> float:
    low, high, what = _RANGES[kind]
    try:
        value = float(cell) / unit
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise InvalidRequest(f"{where}, line {at}: {cell[:20]!r} is not between {low:g} and {high:g} ({what})", param=kind)
    return value
