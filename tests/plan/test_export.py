"""Parameters of chips against dated rules: published figures, routes, days, and what is not known."""

import csv
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest, UnknownFigure
from freehold.plan.catalogue import CATALOGUE, Accelerator, find
from freehold.plan.export import RULES, Outcome, Parameters, decide, parameters, tpp

PUBLISHED = list(csv.DictReader((Path(__file__).parent / "tpp.csv").read_text(encoding="utf-8").splitlines()))
BEFORE, AFTER = date(2025, 12, 1), date(2026, 2, 1)
CHIPS = st.sampled_from(sorted(name for name, chip in CATALOGUE.items() if chip.dense_tera_ops)).map(CATALOGUE.__getitem__)


@pytest.mark.parametrize("row", PUBLISHED, ids=[row["chip"] for row in PUBLISHED])
def test_tpp_is_what_was_published(row: dict[str, str]) -> None:
    chip = find(row["chip"].split("/")[0])
    formats = {round(rate * precision.bits) for precision, rate in chip.dense_tera_ops.items()}
    assert int(row["expected_tpp"]) in formats
    assert round(tpp(chip)) == max(formats)
    assert max(formats) - int(row["expected_tpp"]) <= 1  # formats differ by what their rates were rounded to


@pytest.mark.parametrize(
    ("chip", "destination", "origin", "day", "outcome"),
    [
        ("H200", "CN", "US", BEFORE, Outcome.DENIAL),
        ("H200", "CN", "US", date(2026, 1, 14), Outcome.DENIAL),
        ("H200", "CN", "US", date(2026, 1, 15), Outcome.CASE_BY_CASE),
        ("H200", "CN", "US", AFTER, Outcome.CASE_BY_CASE),
        ("H200", "MO", "US", AFTER, Outcome.CASE_BY_CASE),
        ("H200", "CN", "SG", AFTER, Outcome.DENIAL),  # a re-export
        ("H200", "RU", "US", AFTER, Outcome.DENIAL),
        ("H200", "AE", "US", AFTER, Outcome.LICENCE),
        ("H200", "IN", "US", AFTER, Outcome.NO_LICENCE),
        ("H200", "IL", "US", AFTER, Outcome.NO_LICENCE),  # D:4, but A:6
        ("MI325X", "CN", "US", AFTER, Outcome.CASE_BY_CASE),
        ("B200", "CN", "US", AFTER, Outcome.DENIAL),
        ("MI355X", "CN", "US", AFTER, Outcome.DENIAL),
        ("CS-3", "CN", "US", AFTER, Outcome.DENIAL),
        ("H20", "CN", "US", AFTER, Outcome.NOT_CONTROLLED),
        ("V100", "CN", "US", AFTER, Outcome.NOT_CONTROLLED),
        ("RTX 4090", "CN", "US", AFTER, Outcome.NOTIFY),
        ("RTX 4090 D", "CN", "US", AFTER, Outcome.NOT_CONTROLLED),
        ("TPU v4", "CN", "US", AFTER, Outcome.UNDECIDED),  # TPP 4,400 and no die area
    ],
)
def test_routes_and_days(chip: str, destination: str, origin: str, day: date, outcome: Outcome) -> None:
    decision = decide(find(chip), destination, day, origin)
    assert decision.outcome is outcome
    assert decision.reasons


def test_the_diffusion_rule_is_named_while_it_stood() -> None:
    stood = {hit.rule.id for hit in decide(find("H100"), "IN", date(2025, 3, 1)).hits}
    later = {hit.rule.id for hit in decide(find("H100"), "IN", date(2025, 5, 13)).hits}
    assert "us-ai-diffusion" in stood - later


@given(CHIPS, st.dates(date(2023, 11, 17), date(2027, 1, 1)), st.sampled_from(["CN", "IN", "AE", "RU", "US"]))
def test_every_chip_has_an_outcome_on_every_day(chip: Accelerator, day: date, destination: str) -> None:
    decision = decide(chip, destination, day)
    assert all(hit.rule.in_force(day) and hit.rule.source for hit in decision.hits)
    if decision.outcome is Outcome.UNDECIDED:
        assert None in (decision.parameters.density, decision.parameters.bandwidth)


@given(st.none() | st.floats(0, 1e6), st.none() | st.floats(0, 100), st.none() | st.floats(0, 1e5), st.data())
def test_what_is_decided_without_a_figure_stays_decided_with_it(
    performance: float | None, density: float | None, bandwidth: float | None, data: st.DataObject
) -> None:
    some = Parameters(tpp=performance, density=density, bandwidth=bandwidth)
    more = Parameters(
        tpp=data.draw(st.floats(0, 1e6)) if performance is None else performance,
        density=data.draw(st.floats(0, 100)) if density is None else density,
        bandwidth=data.draw(st.floats(0, 1e5)) if bandwidth is None else bandwidth,
    )
    for rule in RULES:
        if rule.holds(some) is not None:
            assert rule.holds(more) == rule.holds(some)
        assert rule.holds(more) is not None


def test_what_cannot_be_tested_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="begin on 2023-11-17"):
        decide(find("H100"), "CN", date(2022, 1, 1))
    for nowhere in ("China", "XX", "UK", "cn", ""):
        with pytest.raises(InvalidRequest, match="two capital letters"):
            decide(find("H100"), nowhere, AFTER)
    with pytest.raises(UnknownFigure, match="unknown: bf16_dense_tflops"):
        decide(find("MatX One"), "CN", AFTER)
    assert parameters(find("MI300X")).density is None
