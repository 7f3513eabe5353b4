"""The room's own tables: CSV files that come with the package, an empty cell being unknown and never zero.

Part of the code as much as a table in it would be: each is read when its module is imported, and a cell that is not what its
column says is a broken package.
"""

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import fields
from importlib.resources import files
from typing import Any

from freehold.core.errors import MalformedArtefact

Row = dict[str, str]


def rows(name: str) -> Iterator[Row]:
    text = (files("freehold.plan") / "data" / name).read_text(encoding="utf-8")
    yield from csv.DictReader(io.StringIO(text))


def number(row: Row, column: str) -> float | None:
    """Raises MalformedArtefact where the cell holds something else than a finite number above zero."""
    cell = row[column]
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise MalformedArtefact(f"column {column} of {next(iter(row.values()))!r} holds {cell[:40]!r}, not a number above zero")
    return value


def cells(row: Row, kind: type) -> dict[str, Any]:
    """The columns that are called as fields of the dataclass `kind`, of those that hold text or a number that may be unknown."""
    named = [field for field in fields(kind) if field.name in row]
    texts = {field.name: row[field.name] for field in named if field.type is str}
    return texts | {field.name: number(row, field.name) for field in named if field.type == float | None}


def needed(row: Row, column: str) -> float:
    """Raises MalformedArtefact where the cell is empty, too."""
    value = number(row, column)
    if value is None:
        raise MalformedArtefact(f"{column} of {next(iter(row.values()))!r} is empty")
    return value
