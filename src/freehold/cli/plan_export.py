"""`freehold plan export`: a chip, a route and a day against dated US parameters."""

from collections.abc import Iterable
from datetime import UTC, date, datetime

import click

from freehold.cli.plan_words import as_json, echo_json, figure, show_facts
from freehold.plan.catalogue import find
from freehold.plan.export import Decision, Hit, decide

_WORDS = {True: "holds", False: "does not hold", None: "undecided"}


@click.command()
@click.option("--chip", required=True, help="A name of the catalogue: H200, MI325X, RTX 4090.")
@click.option("--to", "destination", required=True, help="Where it goes: two letters (ISO 3166), as CN or AE.")
@click.option("--from", "origin", default="US", show_default=True, help="Where it is sent from.")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Whose rules. Default: today.")
@as_json
def export(chip: str, destination: str, origin: str, day: datetime | None, as_json: bool) -> None:
    """Test a chip's parameters against the US export rules of a day: no legal advice.

    Total processing performance and performance density are computed from dense rates and die area. Who buys, who owns them and
    what for is not looked at, and decides as much.
    """
    when = day.date() if day else today()
    decision = decide(find(chip), destination.upper(), when, origin.upper())
    if as_json:
        echo_json(_document(decision))
    else:
        show_facts(_facts(decision))


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
