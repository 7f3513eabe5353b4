"""Why energy changed: the effects add up, whatever the periods."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.meter.decomposition import Activity, decompose, logarithmic_mean

counts = st.one_of(st.just(0.0), st.floats(1e-3, 1e9))
periods = st.builds(Activity, requests=counts, tokens=counts, energy_j=counts)


@given(periods, periods)
def test_the_effects_add_up_to_the_change(before: Activity, after: Activity) -> None:
    parts = decompose(before, after)
    scale = max(1.0, before.energy_j, after.energy_j)
    terms = (parts.requests_j, parts.length_j, parts.intensity_j)
    assert all(math.isfinite(term) for term in terms)
    assert abs(sum(terms) - (after.energy_j - before.energy_j)) <= 1e-9 * scale


def test_each_effect_is_told_apart() -> None:
    before = Activity(requests=100, tokens=10_000, energy_j=5_000)
    assert decompose(before, Activity(requests=200, tokens=20_000, energy_j=10_000)).requests_j == pytest.approx(5_000)
    assert decompose(before, Activity(requests=100, tokens=20_000, energy_j=10_000)).length_j == pytest.approx(5_000)
    assert decompose(before, Activity(requests=100, tokens=10_000, energy_j=2_500)).intensity_j == pytest.approx(-2_500)


def test_what_began_from_nothing_came_with_the_requests() -> None:
    parts = decompose(Activity(requests=0, tokens=0, energy_j=0), Activity(requests=3, tokens=30, energy_j=12))
    assert (parts.requests_j, parts.length_j, parts.intensity_j) == (12, 0, 0)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_the_logarithmic_mean_lies_between(a: float, b: float) -> None:
    mean = logarithmic_mean(a, b)
    assert min(a, b) * (1 - 1e-9) <= mean <= max(a, b) * (1 + 1e-9)
    assert mean == pytest.approx(logarithmic_mean(b, a), rel=1e-6)
