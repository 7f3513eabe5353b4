"""How plans read on a terminal, and the options that several of them have."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table

from freehold.cli.terminal import print_table
from freehold.core.errors import InvalidRequest
from freehold.plan.catalogue import Accelerator, Density, Precision
from freehold.plan.power import PUE
from freehold.plan.uncertainty import Bar, Simulation

_ALIASES = {"fp16": Precision.BF16}
_PRECISIONS = [*(one.value for one in Precision), *_ALIASES]

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
pue = click.option(
    "--pue", type=float, default=PUE, show_default=True, help="Power of the site over power of what computes in it."
)


def read_text(path: Path, most_bytes: int, param: str, advice: str) -> str:
    """A table that an option names. Raises InvalidRequest."""
    if path.stat().st_size > most_bytes:
        raise InvalidRequest(f"{path} is larger than {most_bytes >> 20} MiB: {advice}", param=param)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"{path} is no text: {exc}", param=param) from exc


def precision_option(help_: str) -> Callable[[Any], Any]:
    return click.option("--precision", type=click.Choice(_PRECISIONS, case_sensitive=False), callback=_precision, help=help_)


def _precision(ctx: click.Context, param: click.Parameter, value: str | None) -> Precision | None:
    return None if value is None else _ALIASES.get(value) or Precision(value)


def density_option(help_: str) -> Callable[[Any], Any]:
    return click.option("--dense/--sparse", "is_dense", default=None, callback=_density, help=help_)


def _density(ctx: click.Context, param: click.Parameter, value: bool | None) -> Density | None:
    return None if value is None else Density.DENSE if value else Density.SPARSE


def figure(value: float | None, unit: str = "") -> str:
    """Three digits, thousands apart; what is unknown says so."""
    if value is None:
        return "unknown"
    if value == 0 or not math.isfinite(value):
        text = f"{value:g}"
    elif abs(value) < 1e-3:
        text = f"{value:.3g}"
    else:
        digits = max(0, 2 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{digits}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {unit}".rstrip()


def money(low: float | None, high: float | None) -> str:
    """Of dollars: millions or billions."""
    if low is None or high is None:
        return "unknown"
    scale, word = (1e9, "bn") if high >= 1e9 else (1e6, "M") if high >= 1e6 else (1.0, "")
    ends = figure(low / scale) if low == high else f"{figure(low / scale)} to {figure(high / scale)}"
    return f"{ends} {word} USD".replace("  ", " ")


def simulated(one: Simulation | None, unit: str = "") -> str:
    """The middle, and the range of eight in ten draws."""
    if one is None:
        return "unknown"
    p10, p50, p90 = (three_digits(value) for value in (one.p10, one.p50, one.p90))
    return f"{figure(p50, unit)} (P10 {figure(p10)} to P90 {figure(p90)})"


def three_digits(value: float) -> float:
    """What is known that well."""
    return float(f"{value:.3g}")


def tornado(one: Simulation, unit: str = "") -> None:
    """A line for each input, what moves the result most first."""
    show_rows(*tornado_rows(one, unit))


def tornado_rows(one: Simulation, unit: str = "") -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """The header, and a row for each input; ranks where there were draws enough for them."""
    header = ("input", "at its P10", "at its P90")
    if any(bar.rank is None for bar in one.bars):
        return header, tuple((bar.name, *_ends(bar, unit)) for bar in one.bars)
    return (*header, "rank correlation"), tuple((bar.name, *_ends(bar, unit), f"{bar.rank:+.2f}") for bar in one.bars)


def _ends(bar: Bar, unit: str) -> tuple[str, str]:
    return figure(three_digits(bar.at_p10), unit), figure(three_digits(bar.at_p90), unit)


def known_by(chip: Accelerator, precision: Precision, density: Density = Density.DENSE) -> str:
    return " (inferred)" if chip.is_inferred(precision, density) else ""


def show_facts(facts: Iterable[tuple[str, str]]) -> None:
    table = Table("fact", "value", box=None, pad_edge=False, show_header=False)
    for what, how in facts:
        table.add_row(what, how)
    print_table(table)


def show_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(*header, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    print_table(table)


def echo_json(document: object) -> None:
    """Dates, enumerations and dataclasses as JSON has them."""
    click.echo(json.dumps(msgspec.to_builtins(document), indent=2, allow_nan=False))
