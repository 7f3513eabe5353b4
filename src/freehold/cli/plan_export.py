"""`freehold plan export`: a chip, a route and a day against dated US parameters."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

import click

from freehold.cli.charts import bar_chart
from freehold.cli.plan_answer import Answer, answer_options, moved, spans, tell
from freehold.cli.plan_words import figure, simulated
from freehold.plan.catalogue import find
from freehold.plan.dies import die_area, given
from freehold.plan.export import Decision, Hit, Uncertain, decide, decide_uncertain

NO_RANGE = "no die area is published, nor what would bound it; give two that it lies between: --die-mm2 400 900"
_WORDS = {True: "holds", False: "does not hold", None: "undecided"}


@click.command()
@click.option("--chip", required=True, help="A name of the catalogue: H200, MI325X, RTX 4090.")
@click.option("--to", "destination", required=True, help="Where it goes: two letters (ISO 3166), as CN or AE.")
@click.option("--from", "origin", default="US", show_default=True, help="Where it is sent from.")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Whose rules. Default: today.")
@click.option(
    "--die-mm2", type=(float, float), help="Two areas that the die's lies between. Default: by the catalogue, where it bounds it."
)
@answer_options
def export(
    chip: str,
    destination: str,
    origin: str,
    day: datetime | None,
    die_mm2: tuple[float, float] | None,
    as_json: bool,
    html: Path | None,
) -> None:
    """Test a chip's parameters against the US export rules of a day: no legal advice.

    Total processing performance and performance density are computed from dense rates and die area. Who buys, who owns them and
    what for is not looked at, and decides as much.
    """
    when = day.date() if day else today()
    route = (destination.upper(), when, origin.upper())
    found = find(chip)
    die = given(*die_mm2) if die_mm2 else die_area(found)
    one = decide(found, *route)
    tell(_answer(one, decide_uncertain(found, *route, die) if die is not None else None), as_json, html)


def _answer(one: Decision, uncertain: Uncertain | None) -> Answer:
    density = uncertain.density if uncertain else None
    limits = [(f"TPP of {one.chip.name}", one.parameters.tpp or 0.0), ("limit of 3A090.a", 4800.0), ("review of 2026", 21_000.0)]
    return Answer(
        title=f"{one.chip.name} from {one.origin} to {one.destination} on {one.day}",
        document=_document(one) | {"uncertain": uncertain, "no_range_because": None if uncertain else NO_RANGE},
        facts=(*_facts(one), *(_open(uncertain) if uncertain else [("density's range", f"none: {NO_RANGE}")])),
        spans=spans(("performance density", density, "")),
        moved=moved(("performance density", density, "")),
        charts=(bar_chart("Total processing performance", limits, "TPP"),),
        sources=(f"{one.chip.name}: {one.chip.source}", *dict.fromkeys(hit.rule.source for hit in one.hits)),
        caveats=(
            "A test of parameters on a date, not legal advice: who buys, who owns them and what for is not looked at.",
            "How sure each rule's text is stands beside it.",
        ),
    )


def _open(one: Uncertain) -> Iterable[tuple[str, str]]:
    yield "density's range", simulated(one.density)
    yield "because of the die", one.basis
    for outcome, share in one.shares.items():
        yield f"{share:.0%} of the draws", outcome


def today() -> date:
    return datetime.now(UTC).date()


def _facts(one: Decision) -> Iterable[tuple[str, str]]:
    groups = f" ({' '.join(sorted(one.groups))})" if one.groups else ""
    yield "chip", one.chip.name
    yield "route", f"{one.origin} to {one.destination}{groups} on {one.day}"
    yield "TPP", f"{figure(one.parameters.tpp and float(round(one.parameters.tpp)))} (limit 4,800)"
    yield "performance density", figure(one.parameters.density)
    yield "DRAM bandwidth", figure(one.parameters.bandwidth, "GB/s")
    yield "outcome", one.outcome
    for reason in one.reasons:
        yield "because", reason
    for hit in one.hits:
        yield hit.rule.id, _rule(hit)
    yield "this is", "a test of parameters on a date, not legal advice"


def _rule(hit: Hit) -> str:
    test = f"{_WORDS[hit.holds]}: {hit.rule.test_words}" if hit.rule.test_words else hit.rule.consequence
    return f"{test} [{hit.rule.source}; {hit.rule.confidence}]"


def _document(one: Decision) -> dict[str, object]:
    return {
        "chip": one.chip.name,
        "origin": one.origin,
        "destination": one.destination,
        "date": one.day,
        "outcome": one.outcome,
        "tpp": one.parameters.tpp,
        "performance_density": one.parameters.density,
        "dram_gb_per_s": one.parameters.bandwidth,
        "reasons": one.reasons,
        "rules": [
            {"rule": hit.rule.id, "holds": hit.holds, "source": hit.rule.source, "confidence": hit.rule.confidence}
            for hit in one.hits
        ],
        "is_legal_advice": False,
    }
