"""Grid factors out of an operator's own file, and which one a time and a place get.

zone,year,g_per_kwh,method,water_l_per_kwh,source        the last three may be missing
ISL,2024,26.9,average,6.1,Landsnet 2024
"""

import csv
import io
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from freehold.core.errors import ConfigError, os_errors
from freehold.core.measurement import GridFactor

MOST_G_PER_KWH: Final = 5000.0  # lignite without heat use is 1200; more is a slip of units
MOST_L_PER_KWH: Final = 1000.0
FILE_LIMIT_BYTES: Final = 4 << 20
_NEEDED: Final = ("zone", "year", "g_per_kwh")
_METHODS: Final = ("average", "marginal")
_ZONE: Final = re.compile(r"[A-Za-z0-9_.-]{1,32}")


def read_factors(path: Path) -> list[GridFactor]:
    """Raises ConfigError that names the line and what is wrong there."""
    with os_errors(f"[meter] factors: cannot read {path}", ConfigError):
        raw = path.read_bytes()
    if len(raw) > FILE_LIMIT_BYTES:
        raise ConfigError(f"[meter] factors: {path} has {len(raw)} bytes; at most {FILE_LIMIT_BYTES} are read")
    return parse_factors(raw, str(path))


def parse_factors(raw: bytes, name: str) -> list[GridFactor]:
    """As `read_factors`."""
    try:
        rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as exc:
        raise ConfigError(f"{name} is no CSV in UTF-8: {exc}") from exc
    if not rows or any(column not in rows[0] for column in _NEEDED):
        raise ConfigError(f"{name} must begin with the line zone,year,g_per_kwh[,method,water_l_per_kwh,source] and have a row")
    return [_factor(row, f"{name}, row {number}") for number, row in enumerate(rows, 1)]


def _factor(row: dict[str, str | None], where: str) -> GridFactor:
    zone, year = (row["zone"] or "").strip(), (row["year"] or "").strip()
    if not _ZONE.fullmatch(zone):
        raise ConfigError(f"{where}: zone {zone[:40]!r} must be a short word, as ISL or US-CAL")
    if not (year.isascii() and year.isdigit() and 1990 <= int(year) <= 2200):
        raise ConfigError(f"{where}: year {year[:40]!r} must be a year, as 2024")
    method = (row.get("method") or "average").strip()
    if method not in _METHODS:
        raise ConfigError(f"{where}: method {method[:40]!r} must be average or marginal")
    carbon = _number(row["g_per_kwh"], "g_per_kwh", MOST_G_PER_KWH, where)
    if carbon is None:
        raise ConfigError(f"{where}: g_per_kwh is empty; leave a row out whose factor is unknown")
    return GridFactor(
        zone=zone,
        year=int(year),
        g_per_kwh=carbon,
        method=method,
        water_l_per_kwh=_number(row.get("water_l_per_kwh"), "water_l_per_kwh", MOST_L_PER_KWH, where),
        source=(row.get("source") or "").strip()[:200],
    )


def _number(cell: str | None, column: str, most: float, where: str) -> float | None:
    if not (cell or "").strip():
        return None
    try:
        value = float(str(cell))
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise ConfigError(f"{where}: {column} {str(cell)[:40]!r} must be a number from 0 to {most:g}")
    return value


class Factors:
    """Of one zone, by year."""

    def __init__(self, factors: Iterable[GridFactor]) -> None:
        self._by_year = sorted(factors, key=lambda factor: factor.year)

    def at(self, year: int) -> GridFactor | None:
        """That year's, else the last one before it, else the first one after: its own year is told with the figure."""
        before = [factor for factor in self._by_year if factor.year <= year]
        return before[-1] if before else (self._by_year[0] if self._by_year else None)
