"""What a bench run leaves behind: one JSON object a figure in a file, and a table on the terminal.

A figure is a value with its unit. `peer` names what was measured beside us in the same run, and `ratio` is ours against it.
`limit` is the bar the design sets, for the ratio where there is one and for the value where there is none; which side of it
is good is the figure's own matter, so nothing is judged here.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    name: str  # "engine.decode.smollm2.t2": part, what, of what, how
    value: float
    unit: str
    peer: str | float | None = None
    peer_version: str | None = None
    ratio: float | None = None
    limit: float | None = None


class Report:
    """Call it once a figure. Each is written out at once: a run that is cut short keeps what it measured."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.figures: list[Figure] = []

    def __call__(
        self,
        name: str,
        value: float,
        unit: str,
        peer: str | float | None = None,
        peer_version: str | None = None,
        ratio: float | None = None,
        limit: float | None = None,
    ) -> None:
        figure = Figure(
            name=name,
            value=float(value),
            unit=unit,
            peer=peer,
            peer_version=peer_version,
            ratio=None if ratio is None else float(ratio),
            limit=None if limit is None else float(limit),
        )
        self.figures.append(figure)
        self._file.write(json.dumps(asdict(figure)) + "\n")
        self._file.flush()


def open_report(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w", encoding="utf-8")


def table(figures: Iterable[Figure]) -> Table:
    table = Table(title="Figures of this run", title_justify="left")
    table.add_column("figure", overflow="fold")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("peer", overflow="fold")
    table.add_column("ratio", justify="right")
    table.add_column("limit", justify="right")
    for figure in figures:
        peer = " ".join(str(part) for part in (figure.peer, figure.peer_version) if part is not None)
        table.add_row(figure.name, _number(figure.value), figure.unit, peer, _number(figure.ratio), _number(figure.limit))
    return table


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"
