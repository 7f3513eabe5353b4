"""What a plan command has to say, and the three ways of saying it: a terminal, one JSON document, a page with plots.

A command makes an `Answer`; `tell` does the rest. The page, `templates/plan.html`, is one file that loads and runs nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from jinja2 import Environment, PackageLoader, StrictUndefined

from freehold import __version__
from freehold.cli.charts import Chart, Span, range_chart, tornado_chart
from freehold.cli.plan_words import as_json, echo_json, show_facts, show_rows, tornado
from freehold.core.errors import InvalidRequest, os_errors
from freehold.plan.uncertainty import Simulation

_DRAWN = "Eight in ten draws lie between P10 and P90; the seed is fixed, so that the same question has the same answer."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranged:
    """A result that was drawn many times; `of` says what it is, as in "what moves … most"."""

    of: str
    simulation: Simulation
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A table; without a header, names and what they are. One that `is_detail` comes after the facts."""

    rows: tuple[Sequence[str], ...]
    header: tuple[str, ...] = ()
    title: str = ""
    is_detail: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`moved` are the results whose tornado is shown; `spans` those that the page shows beside each other."""

    title: str
    document: object
    lead: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Rows, ...] = ()
    notes: tuple[tuple[str, tuple[str, ...]], ...] = ()  # titles, and lines
    spans: tuple[Span, ...] = ()
    moved: tuple[Ranged, ...] = ()
    charts: tuple[Chart, ...] = ()
    sources: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()


def answer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    html = click.option(
        "--html",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Also write a page with plots: one file that loads nothing.",
    )
    return as_json(html(command))


def tell(answer: Answer, as_json: bool, html: Path | None) -> None:
    """Raises InvalidRequest where the page cannot be written."""
    if html is not None:
        _write(html, page(answer, _inputs(click.get_current_context())))
    if as_json:
        echo_json(answer.document)
        return
    for at, show in enumerate(_parts(answer)):
        if at:
            click.echo()
        show()


def _parts(answer: Answer) -> list[Callable[[], None]]:
    """What is printed, in turn."""
    parts: list[Callable[[], None]] = [partial(click.echo, answer.lead)] if answer.lead else []
    parts += [partial(_table, table) for table in answer.tables if not table.is_detail]
    parts += [partial(show_facts, answer.facts)] if answer.facts else []
    parts += [partial(_table, table) for table in answer.tables if table.is_detail]
    parts += [partial(_lines, *note) for note in answer.notes]
    return [*parts, *(partial(_tornado, one) for one in answer.moved)]


def _table(table: Rows) -> None:
    if table.title:
        click.echo(table.title)
    if table.header:
        show_rows(table.header, table.rows)
    else:
        show_facts((f"  {row[0]}", row[1]) for row in table.rows)


def _lines(title: str, lines: Sequence[str]) -> None:
    click.echo(title)
    for line in lines:
        click.echo(f"  {line}")


def _tornado(one: Ranged) -> None:
    click.echo(f"what moves {one.of} most")
    tornado(one.simulation, one.unit)


Drawn = tuple[str, Simulation | None, str]  # a name, its draws, their unit


def spans(*drawn: Drawn) -> tuple[Span, ...]:
    """Those that are known."""
    return tuple(
        Span(name=name, p10=one.p10, p50=one.p50, p90=one.p90, unit=unit) for name, one, unit in drawn if one is not None
    )


def moved(*drawn: Drawn) -> tuple[Ranged, ...]:
    """Those that are known, and that something moves."""
    return tuple(
        Ranged(of=name, simulation=one, unit=unit)
        for name, one, unit in drawn
        if one is not None and any(bar.at_p10 != bar.at_p90 for bar in one.bars)
    )


def page(answer: Answer, inputs: Iterable[tuple[str, str, bool]]) -> str:
    """HTML. `inputs` are names, values, and whether they were given."""
    charts = [
        *answer.charts,
        *([range_chart("How sure", answer.spans)] if answer.spans else []),
        *(tornado_chart(f"What moves {one.of} most", one.simulation, one.unit) for one in answer.moved),
    ]
    environment = Environment(
        loader=PackageLoader("freehold.cli"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("plan.html").render(
        answer=answer,
        charts=charts,
        inputs=list(inputs),
        drawn=_DRAWN if answer.spans or answer.moved else "",
        version=__version__,
        day=datetime.now(UTC).date().isoformat(),
    )


def _inputs(context: click.Context) -> Iterable[tuple[str, str, bool]]:
    for parameter in context.command.params:
        name, value = parameter.name or "", context.params.get(parameter.name or "")
        if name in ("as_json", "html") or value is None or value in ((), {}):
            continue
        is_given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        label = parameter.opts[0] if isinstance(parameter, click.Option) else parameter.make_metavar(context)
        yield label, _words(value), is_given


def _words(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case Enum():
            return str(value.value)
        case tuple() | list():
            return ", ".join(_words(one) for one in value)
        case dict():
            return ", ".join(f"{name}={_words(one)}" for name, one in value.items())
        case datetime():
            return value.date().isoformat()
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _write(path: Path, text: str) -> None:
    with os_errors(f"cannot write {path}", partial(InvalidRequest, param="html")):
        path.write_text(text, encoding="utf-8")
