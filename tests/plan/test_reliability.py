"""Failures, checkpoints, and draws of what is uncertain."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.plan.reliability import CHIP_MTBF_H, best_interval_s, goodput, reliability, young_interval_s
from freehold.plan.uncertainty import Array, LogNormal, Spread, Triangular, simulate, spearman


@pytest.mark.parametrize(
    ("chips", "quick", "slow"),  # checkpoints of 10 s and restarts of 5 min; 60 s and 10 min
    [(1_024, 0.988, 0.971), (16_384, 0.933, 0.852), (100_000, 0.763, 0.550), (476_000, 0.360, 0.112)],
)
def test_goodput_by_the_exact_form(chips: int, quick: float, slow: float) -> None:
    mtbf_s = CHIP_MTBF_H * 3600 / chips
    for checkpoint_s, restart_s, wanted in ((10.0, 300.0, quick), (60.0, 600.0, slow)):
        found = goodput(mtbf_s, young_interval_s(mtbf_s, checkpoint_s), checkpoint_s, restart_s)
        assert float(found) == pytest.approx(wanted, abs=0.001)


def test_failures_of_16384_chips_come_every_three_hours() -> None:
    assert reliability(16_384).job_mtbf_h == pytest.approx(3.09, abs=0.01)


@given(st.floats(1.0, 1e8), st.floats(0.1, 1e4), st.floats(0.1, 1e4), st.floats(0.05, 20))
def test_no_interval_is_better_than_the_best(mtbf_s: float, checkpoint_s: float, restart_s: float, factor: float) -> None:
    best = best_interval_s(mtbf_s, checkpoint_s)
    found = float(goodput(mtbf_s, best, checkpoint_s, restart_s))
    assert 0 <= found < 1
    assert float(goodput(mtbf_s, np.asarray(best) * factor, checkpoint_s, restart_s)) <= found * (1 + 1e-9)


@given(st.integers(1, 10**7))
def test_more_chips_lose_more(chips: int) -> None:
    one, two = reliability(chips), reliability(chips + chips)
    assert two.goodput <= one.goodput
    assert 0 < two.interval_s < two.job_mtbf_h * 3600


def test_young_and_the_exact_form_agree_where_failures_are_rare() -> None:
    assert float(best_interval_s(1e8, 10.0)) == pytest.approx(float(young_interval_s(1e8, 10.0)), rel=0.01)


def test_times_that_cannot_be_are_refused() -> None:
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidRequest, match="above zero"):
            reliability(8, checkpoint_s=bad)


def test_draws_have_the_spread_that_was_asked_for() -> None:
    found = simulate(lambda inputs: inputs["x"], {"x": LogNormal(median=100.0, sigma=0.3)})
    assert found.p50 == pytest.approx(100, rel=0.02)
    assert found.p90 == pytest.approx(100 * np.exp(0.3 * 1.2816), rel=0.03)
    found = simulate(lambda inputs: inputs["x"], {"x": Triangular(low=0.0, mode=0.0, high=1.0)})
    assert found.p50 == pytest.approx(1 - np.sqrt(0.5), rel=0.03)


def test_the_tornado_has_what_matters_most_first() -> None:
    def model(inputs: Mapping[str, Array]) -> Array:
        return inputs["much"] * 10 - inputs["little"]

    spreads = {"little": Triangular(low=0, mode=1, high=2), "much": Triangular(low=0, mode=1, high=2)}
    found = simulate(model, spreads)
    assert [bar.name for bar in found.bars] == ["much", "little"]
    assert (found.bars[0].rank or 0) > 0 > (found.bars[1].rank or 0)
    assert found.bars[0].at_p10 < found.bars[0].at_p90
    assert simulate(model, spreads) == found  # the same question, the same answer


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(0, 1), st.lists(st.floats(0, 1), min_size=1))
def test_a_triangle_stays_in_its_range(low: float, width: float, at: float, shares: list[float]) -> None:
    spread = Triangular(low=low, mode=min(low + width, low + width * at), high=low + width)
    values = spread.at(np.array(shares))
    assert np.all(values >= low - 1e-6)
    assert np.all(values <= low + width + 1e-6)


def test_what_does_not_vary_has_no_rank() -> None:
    assert spearman(np.ones(5), np.arange(5.0)) == 0
    with pytest.raises(InvalidRequest, match="goes up"):
        Triangular(low=2, mode=1, high=3)


def test_few_draws_are_spread_evenly_and_have_no_ranks() -> None:
    def model(inputs: Mapping[str, Array]) -> Array:
        return inputs["a"] * inputs["b"]

    spreads: dict[str, Spread] = {"a": Triangular(low=1, mode=2, high=4), "b": LogNormal(median=1, sigma=0.1)}
    few, many = simulate(model, spreads, draws=30, are_few=True), simulate(model, spreads)
    for name in ("p10", "p50", "p90"):
        assert getattr(few, name) == pytest.approx(getattr(many, name), rel=0.08)
    assert [bar.name for bar in few.bars] == ["a", "b"]
    assert all(bar.rank is None for bar in few.bars)
    assert few.at_medians == many.at_medians == pytest.approx(float(spreads["a"].at(np.array([0.5]))[0]))
    moved = few.scaled(2).shifted(1)
    assert (moved.p10, moved.at_medians) == pytest.approx((2 * few.p10 + 1, 2 * few.at_medians + 1))
