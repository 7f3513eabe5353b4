"""`freehold meter rebound`: whether gains in efficiency were eaten by demand, by the node's own ledger."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from freehold import config as configuration
from freehold.cli.plan_words import as_json, echo_json, figure, show_facts
from freehold.cli.record import record_at
from freehold.core.errors import InvalidRequest
from freehold.core.limits import DAY_NS, day_of, day_text
from freehold.core.totals import DayTotal, LogRow
from freehold.meter.decomposition import Activity, Decomposition, activity, decompose
from freehold.meter.journal import EVENT, FIRST
from freehold.meter.rebound import LONGEST_DAYS, EfficiencyEvent, Rebound, examine
from freehold.store.totals import RecordedTotals


@click.command()
@click.option("--days", type=int, default=365, show_default=True, help="How far back events are looked for.")
@click.option("--file", "path", type=click.Path(path_type=Path, exists=True), help="The record; default: this node's.")
@as_json
def rebound(days: int, path: Path | None, as_json: bool) -> None:
    """Tell what became of each gain in efficiency: saved, or eaten by demand (Jevons).

    Tenants who use what changed are compared with those who do not, four weeks at least on each side. The node notes a change of
    a served model or of the engine by itself; `freehold meter event` notes others, such as a change of price.
    """
    if not 1 <= days <= 3660:
        raise InvalidRequest(f"days lie between 1 and 3,660, got {days:,}", param="days")
    store = configuration.load().store
    ledger = RecordedTotals(record_at(path, store), store)
    now_ns = time.time_ns()
    found, totals = examined(ledger, days, now_ns)
    recent = _recent(totals, day_of(now_ns))
    if as_json:
        echo_json({"events": [_document(one) for one in found], "recent": recent})
        return
    for one in found:
        _show(one)
    if not found:
        click.echo(f"No event of the last {days:,} days: nothing changed what a token takes, or nobody noted it.\n")
    _show_recent(recent)


def examined(ledger: RecordedTotals, days: int, now_ns: int) -> tuple[list[Rebound], list[DayTotal]]:
    """What became of each event of the last days, and the totals by which that is told."""
    today = day_of(now_ns)
    events = [_event(row) for row in ledger.log_rows(EVENT, 0, now_ns) if row.facts.get("what") != FIRST]
    totals = ledger.between((today - days - LONGEST_DAYS) * DAY_NS, today * DAY_NS)  # today is not over yet
    return [examine(event, totals, events, today) for event in events if event.day >= today - days], totals


def _event(row: LogRow) -> EfficiencyEvent:
    facts = row.facts
    models = facts.get("models")
    return EfficiencyEvent(
        day=day_of(int(facts.get("at_ns") or row.at_ns)),
        what=str(facts.get("what", "other")),
        models=tuple(str(model) for model in models) if isinstance(models, list) else (),
        note=str(facts.get("note") or ""),
        price_ratio=_price_ratio(facts),
    )


def _price_ratio(facts: Mapping[str, Any]) -> float | None:
    """Of a change of price: `from` over `to`, both above zero."""
    if facts.get("what") != "price_changed":
        return None
    try:
        old, new = float(facts["from"]), float(facts["to"])
    except (KeyError, TypeError, ValueError):
        return None
    return old / new if old > 0 and new > 0 else None


def _recent(totals: Sequence[DayTotal], today: int) -> dict[str, Any]:
    """The last four weeks against the four before, of the whole node, whatever changed."""
    days = 28
    before = activity((one for one in totals if today - 2 * days <= one.day < today - days), days)
    after = activity((one for one in totals if today - days <= one.day < today), days)
    return {"days": days, "before": before, "after": after, "decomposition": decompose(before, after)}


def _show(one: Rebound) -> None:
    event = one.event
    click.echo(
        f"{day_text(event.day)}  {event.what}: {', '.join(event.models) or 'no model'}{f' ({event.note})' if event.note else ''}"
    )
    click.echo(f"{one.verdict}. {one.sentence}")
    show_facts(_facts(one))
    click.echo()


def _facts(one: Rebound) -> Iterable[tuple[str, str]]:
    if one.before is None or one.after is None or one.decomposition is None:
        return
    yield "days", f"{one.days_before} before and {one.days_after} after"
    yield "affected", _names(one.affected)
    yield "compared with", _names(one.others)
    yield from _effects(one.before, one.after, one.decomposition)
    if one.known_share is not None and one.known_share < 0.999:
        yield "known energy", f"of {one.known_share:.0%} of their tokens"


def _show_recent(recent: Mapping[str, Any]) -> None:
    click.echo(f"The node's last {recent['days']} days against the {recent['days']} before")
    show_facts(_effects(recent["before"], recent["after"], recent["decomposition"]))


def _effects(before: Activity, after: Activity, parts: Decomposition) -> Iterable[tuple[str, str]]:
    yield "energy", f"{figure(before.energy_j, 'J')} a day before, {figure(after.energy_j, 'J')} after"
    yield (
        "of the change",
        (
            f"{_signed(parts.requests_j)} from the number of requests, {_signed(parts.length_j)} from their length, "
            f"{_signed(parts.intensity_j)} from joules a token"
        ),
    )


def _signed(joules: float) -> str:
    return f"{'+' if joules > 0 else '-' if joules < 0 else ''}{figure(abs(joules), 'J')}"


def _names(tenants: Sequence[str]) -> str:
    shown = ", ".join(tenants[:5])
    return f"{shown} and {len(tenants) - 5} more" if len(tenants) > 5 else shown or "nobody"


def _document(one: Rebound) -> dict[str, object]:
    event = one.event
    facts = {"day": day_text(event.day), "what": event.what, "models": event.models, "note": event.note}
    return facts | {name: getattr(one, name) for name in one.__slots__ if name != "event"}
