"""Reads carbon intensity, price and surplus over time from a CSV file or from JSON.

A CSV file has one line of column names. Ours are `start`, `end` (may be left out), `g_per_kwh`, `price_per_kwh`, `surplus_w`;
Electricity Maps' exports are known by `Datetime (UTC)` and their columns of carbon intensity. A row without an end lasts until
the next one, but never longer than the file's usual step: what follows a gap is unknown, as is an empty cell.
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from freehold.core.errors import MalformedArtefact
from freehold.core.ports import SignalPoint

ROW_LIMIT: Final = 200_000  # a year in steps of five minutes has 105,120
_UNIX_LIMIT_S: Final = 7_258_118_400.0  # the year 2200; beyond it somebody wrote milliseconds
_CELL_LIMIT_CHARS: Final = 100
_QUANTITIES: Final = ("g_per_kwh", "price_per_kwh", "surplus_w")
# What no source means: beyond it lie other units, such as kilograms, or the price of a megawatt-hour.
_BOUNDS: Final = {"g_per_kwh": (0.0, 5000.0), "price_per_kwh": (-100.0, 100.0), "surplus_w": (-1e12, 1e12)}
# "Carbon intensity gCO₂eq/kWh (Life cycle)"; files of earlier years say "(LCA)". The small 2 comes in several encodings.
_EXPORTED: Final = re.compile(r"carbon intensity g\S*/kwh \((direct|life cycle|lca)\)", re.IGNORECASE)
_KINDS: Final = {"direct": "direct", "life cycle": "life cycle", "lca": "life cycle"}
_EXPORTED_TIME: Final = "datetime (utc)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line or object as it was written. `where` is how an error calls it."""

    where: str
    start_s: float
    end_s: float | None
    g_per_kwh: float | None
    price_per_kwh: float | None
    surplus_w: float | None


def read_csv(text: str, source: str, *, intensity: str = "life cycle") -> tuple[SignalPoint, ...]:
    """Points in order. Raises MalformedArtefact that names the line, whatever `text` is."""
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(lines, None)
        if header is None or not any(header):
            raise MalformedArtefact(f"{source} is empty; its first line names the columns, such as start,g_per_kwh")
        columns = _columns(header, source, intensity)
        rows = [_row(columns, cells, f"{source} line {lines.line_num}") for cells in _bounded(lines, source) if any(cells)]
    except csv.Error as exc:
        raise MalformedArtefact(f"{source} line {lines.line_num}: no CSV: {exc}") from exc
    return points_of(rows, source)


def _bounded(lines: Iterator[list[str]], source: str) -> Iterator[list[str]]:
    for at, cells in enumerate(lines):
        if at >= ROW_LIMIT:
            raise MalformedArtefact(f"{source} has more than {ROW_LIMIT} rows; keep what lies ahead and the last days")
        yield cells


def _columns(header: Sequence[str], source: str, intensity: str) -> dict[str, int]:
    """Which cell holds what."""
    names = [name.strip().lower().removeprefix("\ufeff") for name in header]
    for name in names:
        if name and names.count(name) > 1:
            raise MalformedArtefact(f"{source} line 1: two columns are called {name[:_CELL_LIMIT_CHARS]!r}")
    columns = {name: at for at, name in enumerate(names) if name in ("start", "end", *_QUANTITIES)}
    exported = {_KINDS[match[1].lower()]: at for at, name in enumerate(names) if (match := _EXPORTED.fullmatch(name))}
    if _EXPORTED_TIME in names and exported:
        columns.setdefault("utc", names.index(_EXPORTED_TIME))
        columns.setdefault("g_per_kwh", exported.get(intensity, next(iter(exported.values()))))
    if not {"start", "utc"} & columns.keys():
        raise MalformedArtefact(f"{source} line 1: no column 'start' (nor 'Datetime (UTC)'): when does a row begin?")
    if not set(_QUANTITIES) & columns.keys():
        raise MalformedArtefact(f"{source} line 1: none of the columns {', '.join(_QUANTITIES)}: a row tells nothing")
    return columns


def _row(columns: Mapping[str, int], cells: Sequence[str], where: str) -> Row:
    def cell(name: str) -> str | None:
        at = columns.get(name)
        if at is None:
            return None
        if at >= len(cells):
            raise MalformedArtefact(f"{where}: has {len(cells)} cells, and {name!r} is in the {at + 1}th")
        return cells[at].strip() or None

    start, utc = cell("start"), cell("utc")
    written = start or utc
    if written is None:
        raise MalformedArtefact(f"{where}: says not when it begins")
    end = cell("end")
    return Row(
        where=where,
        start_s=time_of(written, where, is_utc=start is None),
        end_s=None if end is None else time_of(end, where),
        g_per_kwh=number_of(cell("g_per_kwh"), "g_per_kwh", where),
        price_per_kwh=number_of(cell("price_per_kwh"), "price_per_kwh", where),
        surplus_w=number_of(cell("surplus_w"), "surplus_w", where),
    )


def time_of(written: object, where: str, *, is_utc: bool = False) -> float:
    """Unix seconds of an ISO 8601 time with its offset from UTC, or of Unix seconds."""
    shown = str(written)[:_CELL_LIMIT_CHARS]
    try:
        seconds = float(written) if isinstance(written, int | float | str) and not isinstance(written, bool) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if math.isnan(seconds):
        try:
            moment = datetime.fromisoformat(shown)
        except ValueError as exc:
            raise MalformedArtefact(f"{where}: {shown!r} is no time; write it like 2026-03-01T14:00:00Z") from exc
        if moment.tzinfo is None and not is_utc:
            raise MalformedArtefact(f"{where}: {shown!r} says not in which time zone; write 2026-03-01T14:00:00Z or ...+01:00")
        seconds = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    if not 0 <= seconds <= _UNIX_LIMIT_S:
        raise MalformedArtefact(f"{where}: {shown!r} is not between 1970 and 2200; Unix times are in seconds")
    return seconds


def number_of(written: object, name: str, where: str) -> float | None:
    """None where nothing is written. A surplus below 0 is a site that draws power: none is left over."""
    if written is None:
        return None
    shown = str(written)[:_CELL_LIMIT_CHARS]
    try:
        value = float(written) if isinstance(written, int | float | str) and not isinstance(written, bool) else math.nan
    except (ValueError, OverflowError):
        value = math.nan
    low, high = _BOUNDS[name]
    if not low <= value <= high:  # false of NaN, too
        raise MalformedArtefact(f"{where}: {name} {shown!r} is no number from {low:g} to {high:g}; leave it empty where unknown")
    return max(value, 0.0) if name == "surplus_w" else value


def points_of(rows: Sequence[Row], source: str, *, last_step_s: float | None = None) -> tuple[SignalPoint, ...]:
    """Rows in order of time as points. `last_step_s` is how long a lone row without an end lasts."""
    for before, row in pairwise(rows):
        if row.start_s <= before.start_s:
            raise MalformedArtefact(f"{row.where}: begins no later than the row before it; sort the rows by time, each once")
        if before.end_s is not None and before.end_s > row.start_s:
            raise MalformedArtefact(f"{row.where}: begins before the row above it ends")
    step_s = _usual_step(rows) or last_step_s
    points = []
    for at, row in enumerate(rows):
        end_s = row.end_s
        if end_s is None:
            if step_s is None:
                raise MalformedArtefact(f"{row.where}: nothing tells how long it lasts; add a row, or a column 'end'")
            next_s = rows[at + 1].start_s if at + 1 < len(rows) else math.inf
            end_s = min(row.start_s + step_s, next_s)
        if end_s <= row.start_s:
            raise MalformedArtefact(f"{row.where}: ends before it begins")
        points.append(
            SignalPoint(
                start_s=row.start_s,
                end_s=end_s,
                g_per_kwh=row.g_per_kwh,
                price_per_kwh=row.price_per_kwh,
                surplus_w=row.surplus_w,
            )
        )
    if not points:
        raise MalformedArtefact(f"{source} has no rows; a file that tells nothing is better left out of [signal]")
    return tuple(points)


def _usual_step(rows: Sequence[Row]) -> float | None:
    """The most common distance of two rows; of several as common the shortest."""
    steps = Counter(later.start_s - row.start_s for row, later in pairwise(rows))
    return min(steps, key=lambda step_s: (-steps[step_s], step_s)) if steps else None
