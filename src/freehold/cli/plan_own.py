"""`freehold plan own`: what answering oneself would take, cost and emit, by the node's own ledger."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from freehold import config as configuration
from freehold.cli.charts import bar_chart
from freehold.cli.meter_rebound import examined
from freehold.cli.plan_answer import Answer, answer_options, moved, spans, tell
from freehold.cli.plan_words import figure, money, pue, simulated
from freehold.cli.record import record_at
from freehold.core.errors import InvalidRequest
from freehold.core.limits import DAY_NS
from freehold.core.totals import DayTotal
from freehold.meter.rebound import Verdict
from freehold.plan.catalogue import find
from freehold.plan.grid import grid
from freehold.plan.models import Weights, find_decoder
from freehold.plan.own import LIFE_YEARS, MOST_ELASTICITY, RATE, Bought, Own, Terms, Traffic
from freehold.plan.own import own as work_out
from freehold.plan.serving import Deployment
from freehold.plan.trace import Arrival
from freehold.store.totals import RecordedTotals
from freehold.store.traffic import RecordedTraffic

_WEIGHTS = {one.name.lower(): one for one in Weights}
_ENGINE = "freehold"  # what the ledger calls our own engine


@click.command()
@click.option("--model", required=True, help="The open model that would answer: llama-3.1-70b, qwen3-32b.")
@click.option("--chip", required=True, help="A name of the catalogue.")
@click.option("--tp", type=int, default=1, show_default=True, help="Chips of one replica.")
@click.option("--weights", type=click.Choice(list(_WEIGHTS)), default="bf16", show_default=True, help="How weights are stored.")
@click.option("--days", type=int, default=28, show_default=True, help="How far back the ledger is read.")
@click.option("--all", "is_all", is_flag=True, help="What this node's own engine answered, too; otherwise what APIs did.")
@click.option(
    "--itl-ms", type=float, default=50.0, show_default=True, help="The most between two tokens, for 95 of 100 requests."
)
@click.option("--ttft-ms", type=float, default=2000.0, show_default=True, help="The most before the first token, for 95 of 100.")
@click.option("--usd-per-kwh", type=float, required=True, help="What a kilowatt-hour costs at the meter.")
@click.option("--chip-usd", type=float, help="What a chip costs. Default: the catalogue's range.")
@click.option("--server-usd", type=float, default=0.0, show_default=True, help="What else a replica takes: server, network.")
@click.option("--people-usd", type=float, default=0.0, show_default=True, help="People and rooms, a year.")
@click.option("--life-years", type=float, default=LIFE_YEARS, show_default=True, help="How long the machines are used.")
@click.option("--rate", type=float, default=RATE, show_default=True, help="What money costs a year, as a share.")
@click.option("--country", help="Whose grid: three letters (ISO 3166) or a name.")
@click.option(
    "--elasticity",
    type=float,
    multiple=True,
    help="How demand answers to a cheaper token: 0.7. May be repeated. Default: what `freehold meter rebound` measures here.",
)
@click.option("--file", "path", type=click.Path(path_type=Path, exists=True), help="The record; default: this node's.")
@pue
@answer_options
def own(
    model: str,
    chip: str,
    tp: int,
    weights: str,
    days: int,
    is_all: bool,
    itl_ms: float,
    ttft_ms: float,
    usd_per_kwh: float,
    chip_usd: float | None,
    server_usd: float,
    people_usd: float,
    life_years: float,
    rate: float,
    country: str | None,
    elasticity: tuple[float, ...],
    path: Path | None,
    pue: float,
    as_json: bool,
    html: Path | None,
) -> None:
    """Tell what it would take to answer oneself what APIs answer now, by this node's ledger: chips, money, carbon, and when it
    pays.
    """
    deployment = Deployment(model=find_decoder(model), chip=find(chip), chips=tp, weights=_WEIGHTS[weights])
    terms = Terms(
        usd_per_kwh=usd_per_kwh,
        chip_usd=chip_usd,
        server_usd=server_usd,
        people_usd_per_year=people_usd,
        life_years=life_years,
        rate=rate,
        pue=pue,
    )
    traffic = _traffic(path, days, None if is_all else _ENGINE)
    where = grid(country) if country else None
    if not elasticity:
        elasticity = _measured(path)
    found = work_out(traffic, deployment, terms, itl_ms=itl_ms, ttft_ms=ttft_ms, grid=where, elasticity=elasticity)
    tell(_answer(found), as_json, html)


def _measured(path: Path | None) -> tuple[float, ...]:
    """How demand answered to gains of the last year, where the ledger can tell."""
    store = configuration.load().store
    found, _ = examined(RecordedTotals(record_at(path, store), store), 365, time.time_ns())
    values = [one.elasticity.value for one in found if one.elasticity is not None and one.verdict is not Verdict.NOT_IDENTIFIED]
    return tuple(round(value, 2) for value in values if -1 <= value <= MOST_ELASTICITY)


def _answer(one: Own) -> Answer:
    deployment, traffic = one.serving.deployment, one.traffic
    costs = [("the APIs, as now", traffic.api_usd_per_year), ("owning", one.own_usd_per_year.p50)]
    rent = [] if one.rent_usd_per_year is None else [("renting the same", one.rent_usd_per_year)]
    return Answer(
        title=f"Answering oneself with {deployment.model.name} on {deployment.chip.name}",
        document=_document(one),
        facts=tuple(_facts(one)),
        spans=spans(
            ("to buy", one.capital_usd, "USD"),
            ("energy of a year", one.energy_kwh_per_year, "kWh"),
            ("cost of owning", one.own_usd_per_year, "USD"),
        ),
        moved=moved(("the cost of owning", one.own_usd_per_year, "USD a year")),
        charts=(bar_chart("A year at this rate", [*costs, *rent], "USD"),),
        sources=(
            f"{deployment.chip.name}: {deployment.chip.source}",
            f"{deployment.model.name}: {deployment.model.source}",
            "traffic and what the APIs cost: this node's own ledger",
        ),
        caveats=one.warnings,
    )


def _traffic(path: Path | None, days: int, without: str | None) -> Traffic:
    if not 1 <= days <= 3660:
        raise InvalidRequest(f"days lie between 1 and 3,660, got {days:,}", param="days")
    store = configuration.load().store
    path = record_at(path, store)
    end_ns = time.time_ns()
    start_ns = end_ns - days * DAY_NS
    totals = [one for one in RecordedTotals(path, store).between(start_ns, end_ns) if one.provider not in (None, without)]
    rows = RecordedTraffic(path, store).busiest_hour(start_ns, end_ns, without)
    busiest = tuple(
        Arrival(at_s=(at_ns - rows[0][0]) / 1e9, prompt_tokens=max(1, prompt), output_tokens=output)
        for at_ns, prompt, output in rows
    )
    first = min((one.day for one in totals), default=0) * DAY_NS  # a young ledger's period is as long as it is old
    return Traffic(days=max(1.0, (end_ns - max(start_ns, first)) / DAY_NS), bought=_bought(totals), busiest=busiest)


def _bought(totals: Sequence[DayTotal]) -> tuple[Bought, ...]:
    groups: dict[tuple[str, str], list[DayTotal]] = defaultdict(list)
    for one in totals:
        groups[one.provider or "", one.model].append(one)
    return tuple(
        Bought(
            provider=provider,
            model=model,
            requests=sum(one.requests for one in group),
            input_tokens=sum(one.input_tokens for one in group),
            output_tokens=sum(one.output_tokens for one in group),
            cost_usd=sum(one.cost_microusd for one in group) / 1e6,
            unknown_costs=sum(one.unknown_costs for one in group),
            carbon_requests=sum(one.carbon_requests for one in group),
            carbon_low_g=sum(one.carbon_low_g for one in group),
            carbon_high_g=sum(one.carbon_high_g for one in group),
        )
        for (provider, model), group in sorted(groups.items())
    )


def _facts(one: Own) -> Iterable[tuple[str, str]]:
    traffic, deployment = one.traffic, one.serving.deployment
    for bought in traffic.bought:
        tokens = f"{bought.input_tokens:,} tokens in, {bought.output_tokens:,} out"
        cost = _usd(bought.cost_usd) + (f", unknown of {bought.unknown_costs:,}" if bought.unknown_costs else "")
        yield f"{bought.provider} {bought.model}", f"{bought.requests:,} requests, {tokens}, {cost}"
    yield "the period", f"{figure(traffic.days)} days; its busiest hour had {len(traffic.busiest):,} requests"
    machines = f"{one.chips:,} {deployment.chip.name}, {_replicas(one.played.replicas)} of {deployment.chips}"
    yield "it would take", f"{machines}: {deployment.model.name} in {deployment.weights.name}"
    yield (
        "in the busiest hour",
        f"first token within {figure(one.played.ttft_p95_ms, 'ms')}, {figure(one.played.between_p95_ms, 'ms')} between "
        "tokens, for 95 of 100",
    )
    yield "at work", f"{one.busy:.1%} of the time"
    yield "to buy", simulated(one.capital_usd, "USD")
    yield "energy", f"{simulated(one.energy_kwh_per_year, 'kWh')} a year"
    if one.carbon_kg_per_year is not None:
        yield "CO2e of one's own", f"{figure(one.carbon_kg_per_year, 'kg')} a year, by location"
    yield "CO2e of the APIs", _api_carbon(traffic)
    yield "owning costs", f"{simulated(one.own_usd_per_year, 'USD')} a year"
    if one.rent_usd_per_year is not None:
        yield "renting the same", f"{_usd(one.rent_usd_per_year)} a year, by the hour all year long"
    yield "the APIs cost", f"{_usd(traffic.api_usd_per_year)} a year at this rate"
    yield "break-even", _break_even(one)
    for grown in one.grown:
        yield (
            f"elasticity {grown.elasticity:g}",
            f"demand {figure(grown.factor)} times the present once a token is one's own: {_replicas(grown.replicas)}, "
            f"{_usd(grown.own_usd_per_year)} a year",
        )
    for warning in one.warnings:
        yield "note", warning


def _api_carbon(traffic: Traffic) -> str:
    known = traffic.api_carbon_kg_per_year
    if known is None:
        return "unknown"
    count = sum(one.carbon_requests for one in traffic.bought)
    return f"{figure(known[0])} to {figure(known[1], 'kg')} a year, modelled, of {count / traffic.requests:.0%} of the requests"


def _break_even(one: Own) -> str:
    traffic = (
        "" if one.break_even_traffic is None else f"; at {figure(one.break_even_traffic)} times this traffic both cost the same"
    )
    if one.break_even_months is None:
        return f"never: power and people alone cost more than the APIs{traffic}"
    months = f"{figure(one.break_even_months)} months until what was bought is saved"
    return f"{months}{traffic}"


def _replicas(count: int) -> str:
    return f"{count:,} replica{'' if count == 1 else 's'}"


def _usd(amount: float) -> str:
    return money(amount, amount)


def _document(one: Own) -> dict[str, object]:
    traffic = one.traffic
    return {
        "days": traffic.days,
        "bought": traffic.bought,
        "busiest_hour_requests": len(traffic.busiest),
        "api_usd_per_year": traffic.api_usd_per_year,
        "unknown_costs": traffic.unknown_costs,
        "model": one.serving.deployment.model.name,
        "weights": one.serving.deployment.weights.name.lower(),
        "chip": one.serving.deployment.chip.name,
        "chips": one.chips,
        "replicas": one.played.replicas,
        "played": one.played,
        "busy": one.busy,
        "capital_usd": one.capital_usd,
        "energy_kwh_per_year": one.energy_kwh_per_year,
        "own_usd_per_year": one.own_usd_per_year,
        "rent_usd_per_year": one.rent_usd_per_year,
        "carbon_kg_per_year": one.carbon_kg_per_year,
        "api_carbon_kg_per_year": traffic.api_carbon_kg_per_year,
        "break_even_months": one.break_even_months,
        "break_even_traffic": one.break_even_traffic,
        "grown": one.grown,
        "warnings": one.warnings,
    }
