"""What a plan command has to say, and the three ways of saying it: a terminal, one JSON document, a page with plots.

A command makes an `Answer`; `tell` does the rest. The page, `templates/plan.html`, is one file that loads and runs nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from jinja2 import Environment, PackageLoader, StrictUndefined

from freehold import __version__
from freehold.cli.charts import Chart, Span, range_chart, tornado_chart
from freehold.cli.plan_words import as_json, echo_json, show_facts, show_rows, tornado
from freehold.core.errors import InvalidRequest
from freehold.plan.uncertainty import Simulation

_DRAWN = "Eight in ten draws lie between P10 and P90; the seed is fixed, so that the same question has the same answer."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranged:
    """A result that was drawn many times; `of` says what it is, as in "what moves … most"."""

    of: str
    simulation: Simulation
    unit: str = ""

    @property
    def span(self) -> Span:
        drawn = self.simulation
        return Span(name=self.of, p10=drawn.p10, p50=drawn.p50, p90=drawn.p90, unit=self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    header: tuple[str, ...]
    rows: tuple[Sequence[str], ...]
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`moved` are the results whose tornado is shown; `spans` those that the page shows beside each other."""

    title: str
    document: Mapping[str, object]
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Rows, ...] = ()
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
    for table in answer.tables:
        if table.title:
            click.echo(table.title)
        show_rows(table.header, table.rows)
        click.echo()
    if answer.facts:
        show_facts(answer.facts)
    for one in answer.moved:
        click.echo(f"\nwhat moves {one.of} most")
        tornado(one.simulation, one.unit)


def spans(*drawn: tuple[str, Simulation | None, str]) -> tuple[Span, ...]:
    """Of names, draws and units, those that are known."""
    return tuple(Ranged(of=of, simulation=one, unit=unit).span for of, one, unit in drawn if one is not None)


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
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise InvalidRequest(f"cannot write {path}: {exc.strerror}", param="html") from exc
