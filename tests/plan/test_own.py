"""Answering oneself what APIs answer: what follows from what."""

from dataclasses import replace

import pytest

from freehold.core.errors import InvalidRequest, UnknownFigure
from freehold.plan.catalogue import find
from freehold.plan.grid import grid
from freehold.plan.models import Weights, find_decoder
from freehold.plan.own import Bought, Own, Terms, Traffic, own
from freehold.plan.serving import Deployment
from freehold.plan.trace import Arrival

BOUGHT = Bought(
    provider="openai",
    model="gpt-5",
    requests=80_000,
    input_tokens=80_000_000,
    output_tokens=16_000_000,
    cost_usd=40_000.0,
    unknown_costs=0,
)
BUSIEST = tuple(Arrival(at_s=n * 3.0, prompt_tokens=1_000, output_tokens=200) for n in range(1_200))
TRAFFIC = Traffic(days=28.0, bought=(BOUGHT,), busiest=BUSIEST)
DEPLOYMENT = Deployment(model=find_decoder("llama-3.1-70b"), chip=find("H100"), chips=4, weights=Weights.BF16)
TERMS = Terms(usd_per_kwh=0.15, chip_usd=30_000, server_usd=60_000, people_usd_per_year=50_000)


def ask(traffic: Traffic = TRAFFIC, terms: Terms = TERMS, elasticity: tuple[float, ...] = (), chip: str = "H100") -> Own:
    deployment = replace(DEPLOYMENT, chip=find(chip))
    return own(traffic, deployment, terms, itl_ms=50, ttft_ms=2000, grid=grid("ISL"), elasticity=elasticity)


def test_the_money_adds_up() -> None:
    found = ask()
    assert found.chips == 4 * found.played.replicas
    assert found.capital_usd.p50 == pytest.approx(found.chips * 30_000 + found.played.replicas * 60_000)
    assert found.traffic.api_usd_per_year == pytest.approx(40_000 * 365.25 / 28)
    running = found.energy_kwh_per_year.p50 * 0.15 + 50_000
    assert found.own_usd_per_year.p50 == pytest.approx(found.capital_usd.p50 * TERMS.annuity + running, rel=0.02)
    assert found.break_even_months == pytest.approx(12 * found.capital_usd.p50 / (found.traffic.api_usd_per_year - running))
    assert found.break_even_traffic == pytest.approx(found.own_usd_per_year.p50 / found.traffic.api_usd_per_year)
    assert found.carbon_kg_per_year is not None
    factor = grid("ISL").carbon_g_per_kwh
    assert factor is not None
    assert found.carbon_kg_per_year == pytest.approx(found.energy_kwh_per_year.p50 * factor / 1e3)


def test_what_a_price_is_spread_over_is_paid_back_with_interest() -> None:
    yearly, left = TERMS.annuity, 1.0
    for _ in range(4):
        left = left * 1.07 - yearly
    assert left == pytest.approx(0, abs=1e-12)
    assert replace(TERMS, rate=0.0).annuity == 0.25


def test_cheap_apis_are_never_beaten() -> None:
    found = ask(replace(TRAFFIC, bought=(replace(BOUGHT, cost_usd=10.0),)))
    assert found.break_even_months is None
    assert found.break_even_traffic is not None
    assert found.break_even_traffic > 100


def test_demand_grows_with_the_elasticity() -> None:
    none, half, more = ask(elasticity=(0.0, 0.5, 0.9)).grown
    assert none.factor == 1.0
    assert 1 < half.factor < more.factor
    cost = half.own_usd_per_year / TRAFFIC.api_usd_per_year / half.factor  # a token of one's own over one of an API
    assert half.factor == pytest.approx(cost**-0.5, rel=0.01)


def test_more_traffic_takes_more_machines() -> None:
    crowd = tuple(replace(one, at_s=one.at_s / 40) for one in BUSIEST * 40)
    bought = replace(BOUGHT, requests=3_200_000, input_tokens=3_200_000_000, output_tokens=640_000_000)
    assert (
        ask(replace(TRAFFIC, busiest=tuple(sorted(crowd, key=lambda one: one.at_s))[:20_000], bought=(bought,))).chips
        > ask().chips
    )


def test_what_is_not_known_is_said_and_not_guessed() -> None:
    found = ask(replace(TRAFFIC, days=3.0, bought=(replace(BOUGHT, unknown_costs=7),)), Terms(usd_per_kwh=0.1))
    said = " ".join(found.warnings)
    for words in ("7 of 80,000 requests", "days are few", "chips and power alone", "another model answers otherwise"):
        assert words in said
    with pytest.raises(UnknownFigure, match="--chip-usd"):
        ask(terms=Terms(usd_per_kwh=0.1), chip="MI355X")


@pytest.mark.parametrize(
    ("change", "words"),
    [({"usd_per_kwh": -1.0}, "usd_per_kwh"), ({"life_years": 0.0}, "half a year"), ({"rate": 3.0}, "between 0 and 1")],
)
def test_terms_that_cannot_be_are_refused(change: dict[str, float], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        replace(TERMS, **change)


def test_a_ledger_without_apis_has_nothing_to_take_over() -> None:
    with pytest.raises(InvalidRequest, match="nothing to take over"):
        ask(Traffic(days=28, bought=(), busiest=()))
    with pytest.raises(InvalidRequest, match="elasticity"):
        ask(elasticity=(99.0,))
