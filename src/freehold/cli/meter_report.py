"""`freehold meter report`: energy, carbon, water and cost out of the ledger, and what of the machine's energy was nobody's."""

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import click
from rich.table import Column, Table

from freehold import config as configuration
from freehold.cli.plan_words import as_json, echo_json, figure
from freehold.cli.record import record_at
from freehold.cli.terminal import print_table
from freehold.core.errors import InvalidRequest
from freehold.core.limits import DAY_NS, day_of, day_text
from freehold.core.measurement import J_PER_KWH
from freehold.core.totals import DayTotal
from freehold.meter.config import MeterConfig
from freehold.meter.journal import WINDOW, lines
from freehold.meter.report import By, Line, by_grade, in_all, lines_by
from freehold.store.totals import RecordedTotals

DAYS = 30
CHART_CHARS = 40
_SUMS_OF = {
    "known_requests": ("energy_j", "local_j", "low_j", "high_j", "by_tokens_j", "by_time_j"),
    "carbon_requests": ("carbon_g", "carbon_low_g", "carbon_high_g"),
    "embodied_requests": ("embodied_g",),
    "water_requests": ("water_l",),
    "electricity_requests": ("electricity_microusd",),
}
_MACHINE = (
    ("attributed_j", "given to answers"),
    ("idle_j", "idle"),
    ("unattributed_j", "unattributed"),
    ("load_j", "loading models"),
)


@click.command()
@click.option("--from", "start", metavar="DAY", help=f"The first day, as 2026-11-01. Default: {DAYS} days ago.")
@click.option("--to", "end", metavar="DAY", help="The last day. Default: today.")
@click.option("--by", type=click.Choice(get_args(By)), default="model", show_default=True, help="What a line is.")
@click.option("--csv", "as_csv", is_flag=True, help="Lines as CSV, numbers whole.")
@click.option("--chart", is_flag=True, help="Joules as bars, too.")
@click.option("--file", "path", type=click.Path(path_type=Path, exists=True), help="The record; default: this node's.")
@as_json
def report(start: str | None, end: str | None, by: By, as_csv: bool, chart: bool, path: Path | None, as_json: bool) -> None:
    """Show what answers took: joules with their grade, carbon (location-based), water, cost; and what was nobody's.

    Days are UTC's. Sums are of what is known; the share that is unknown stands beside them. Totals are the ledger's.
    """
    config = configuration.load()
    start_ns, end_ns = _span(start, end)
    ledger = RecordedTotals(record_at(path, config.store), config.store)
    totals = ledger.between(start_ns, end_ns)
    machine = lines(ledger.log_rows(WINDOW, start_ns, end_ns))
    found, whole = lines_by(totals, by), in_all(totals)
    if as_json:
        echo_json(_document(start_ns, end_ns, by, found, whole, totals, machine, config.meter))
    elif as_csv:
        _write_csv(found, by)
    else:
        _show(start_ns, end_ns, by, found, whole, chart)
        _show_machine(totals, machine, whole)
        _show_notes(whole, config.meter.pue, config.meter.market_g_per_kwh)


def _span(start: str | None, end: str | None) -> tuple[int, int]:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    last = today if end is None else _day(end, "to")
    first = last - timedelta(days=DAYS - 1) if start is None else _day(start, "from")
    if first > last:
        raise InvalidRequest(f"--from {first:%Y-%m-%d} lies after --to {last:%Y-%m-%d}", param="from")
    return int(first.timestamp()) * 1_000_000_000, int(last.timestamp()) * 1_000_000_000 + DAY_NS


def _day(text: str, param: str) -> datetime:
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as exc:
        raise InvalidRequest(f"--{param} {text[:40]!r} is no day: write it as 2026-11-23", param=param) from exc
    if not 1970 <= found.year <= 2200:
        raise InvalidRequest(f"--{param} {text} lies outside 1970 to 2200", param=param)
    return found


def _show(start_ns: int, end_ns: int, by: By, found: Sequence[Line], whole: Line, chart: bool) -> None:
    click.echo(f"{day_text(day_of(start_ns))} to {day_text(day_of(end_ns) - 1)}, {whole.requests:,} requests")
    if not found:
        click.echo("Nothing was asked in that time.")
        return
    heads = ("requests", "energy", "from", "to", "unknown", "J/token", "CO2e", "g/1k out", "water", "electricity", "API cost")
    table = _table(by, *heads)
    table.add_column("grade")
    for line in (*found, whole):
        table.add_row(line.name, *_cells(line), ", ".join(sorted(line.grades)) or _nothing(line))
    print_table(table)
    if chart:
        _chart(found)
    shares = _table("shared out", "by work", "by tokens", "by time")
    for line in (line for line in found if line.known_requests):
        shares.add_row(line.name, *(joules(value) for value in (line.energy_j, line.by_tokens_j, line.by_time_j)))
    click.echo("\nThe same joules, shared out among the requests of a batch in three ways:")
    print_table(shares)


def _table(first: str, *heads: str) -> Table:
    return Table(first, *(Column(head, justify="right") for head in heads), box=None, pad_edge=False)


def _chart(found: Sequence[Line]) -> None:
    """Joules as bars."""
    most = max((line.energy_j for line in found), default=0.0)
    width = max((len(line.name) for line in found), default=0)
    click.echo("")
    for line in found:
        bar = "█" * round(CHART_CHARS * line.energy_j / most) if most else ""
        click.echo(
            f"{line.name:<{width}}  {bar:<{CHART_CHARS}}  {joules(line.energy_j) if line.known_requests else _nothing(line)}"
        )


def _cells(line: Line) -> list[str]:
    known, nothing = line.known_requests > 0, _nothing(line)
    return [
        f"{line.requests:,}",
        *(joules(value) if known else nothing for value in (line.energy_j, line.low_j, line.high_j)),
        f"{line.unknown_share:.0%}",
        figure(line.j_per_token),
        figure(line.carbon_g, "g") if line.carbon_requests else nothing,
        figure(line.sci_g) + ("" if line.has_embodied or line.sci_g is None else "*"),
        figure(line.water_l, "l") if line.water_requests else nothing,
        _usd(line.electricity_microusd) if line.electricity_requests else nothing,
        _usd(line.cost_microusd) if line.unknown_costs < line.requests else "unknown",
    ]


def _nothing(line: Line) -> str:
    """Where there is no figure: nobody knows it, or nothing ran that could have one."""
    return "unknown" if line.run_requests else "nothing ran"


def _show_machine(totals: Sequence[DayTotal], machine: Mapping[str, float], whole: Line) -> None:
    grades = by_grade(totals)
    if grades:
        told = ", ".join(f"{joules(energy_j)} {grade}" for grade, energy_j in sorted(grades.items()))
        click.echo(f"\nHow it is known: {told}; unknown for {whole.unknown_share:.0%} of the requests that ran")
    if not machine.get("energy_j"):
        click.echo("The engine's meter wrote no line in that time.")
        return
    click.echo(f"The machine, as its source told it over {machine['seconds'] / 3600:,.2f} h: {joules(machine['energy_j'])}")
    for name, words in _MACHINE:
        if name in machine:
            click.echo(f"  {words:<18}{joules(machine[name]):>12}  {machine[name] / machine['energy_j']:.1%}")
        else:
            click.echo(f"  {words:<18}{'unseen':>12}  the source can't tell it")
    if machine.get("unknown_s"):
        click.echo(f"  {'told nothing':<18}{machine['unknown_s']:>10,.0f} s")


def _show_notes(whole: Line, pue: float | None, market_g: float | None) -> None:
    if whole.refused_requests:
        click.echo(f"{whole.refused_requests:,} requests were refused before anything ran: they took nothing.")
    if pue is None:
        click.echo("[meter] pue is not set: cooling and conversion at the site are not counted.")
    if whole.sci_g is not None and not whole.has_embodied:
        click.echo("* without the hardware's share: [meter] embodied_kg is not set, so this is less than SCI's rate.")
    if market_g is not None and whole.local_j:
        grams = _market_g(whole, pue, market_g)
        click.echo(f"Market-based, beside the rate and never in it: {figure(grams, 'g')} at {market_g:g} g/kWh by contract.")


def _market_g(whole: Line, pue: float | None, market_g: float) -> float:
    """Of what this site drew: a contract covers no provider's power."""
    return whole.local_j * (pue or 1.0) / J_PER_KWH * market_g


def joules(value: float) -> str:
    for limit, unit in ((3.6e9, "MWh"), (3.6e6, "kWh")):
        if value >= limit:
            return figure(value / limit, unit)
    return figure(value / 1000, "kJ") if value >= 10_000 else figure(value, "J")


def _usd(microusd: float) -> str:
    return f"{figure(microusd / 1e6)} USD"


def _facts(line: Line) -> dict[str, Any]:
    facts = asdict(line) | {"grades": sorted(line.grades)}
    facts |= {"unknown_share": line.unknown_share, "j_per_token": line.j_per_token, "sci_g_per_1k_output_tokens": line.sci_g}
    facts["sci_has_embodied"] = line.has_embodied
    for count, names in _SUMS_OF.items():
        facts |= {name: facts[name] if facts[count] else None for name in names}  # unknown is never 0
    return facts


def _document(
    start_ns: int,
    end_ns: int,
    by: By,
    found: Sequence[Line],
    whole: Line,
    totals: Sequence[DayTotal],
    machine: Mapping[str, float],
    meter: MeterConfig,
) -> dict[str, Any]:
    return {
        "from": day_text(day_of(start_ns)),
        "to": day_text(day_of(end_ns) - 1),
        "by": by,
        "lines": [_facts(line) for line in found],
        "all": _facts(whole),
        "energy_j_by_grade": dict(by_grade(totals)),
        "machine": dict(machine) or None,
        "market_based_g": None if meter.market_g_per_kwh is None else _market_g(whole, meter.pue, meter.market_g_per_kwh),
    }


def _write_csv(found: Sequence[Line], by: By) -> None:
    rows = [_facts(line) | {"grades": " ".join(sorted(line.grades))} for line in found]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    names = [name for name in (rows[0] if rows else _facts(Line(name=""))) if name != "name"]
    writer.writerow([by, *names])
    writer.writerows([row["name"], *("" if row[name] is None else row[name] for name in names)] for row in rows)
