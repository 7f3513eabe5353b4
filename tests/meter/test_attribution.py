import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.events import Worked
from freehold.core.measurement import UNKNOWN_ENERGY, Grade
from freehold.meter.attribution import ExchangeMeter
from freehold.meter.config import MeterConfig

seconds = st.floats(0, 1e6)


def worked(compute_s: float) -> Worked:
    return Worked(compute_s=compute_s, prefill_s=0.1, decode_s=0.2)


def test_work_nobody_saw_is_unknown_and_never_zero() -> None:
    assert ExchangeMeter().attribute(None) == UNKNOWN_ENERGY
    assert ExchangeMeter().attribute(None).energy_j is None


def test_seen_work_is_modelled_with_its_bounds() -> None:
    meter = ExchangeMeter(MeterConfig(watts_per_core=4.0, watts_per_core_low=2.0, watts_per_core_high=10.0))
    measured = meter.attribute(worked(1.5))
    assert (measured.grade, measured.source) == (Grade.MODELLED, "cpu-time-model")
    assert (measured.low_j, measured.energy_j, measured.high_j) == (3.0, 6.0, 15.0)


@given(st.lists(seconds, max_size=50))
def test_the_exchanges_joules_add_up_to_the_nodes(shares_s: list[float]) -> None:
    meter = ExchangeMeter()
    whole = meter.attribute(worked(math.fsum(shares_s)))
    shares = [meter.attribute(worked(s)) for s in shares_s]
    for bound in ("low_j", "energy_j", "high_j"):
        assert math.isclose(math.fsum(getattr(s, bound) for s in shares), getattr(whole, bound), rel_tol=1e-12, abs_tol=1e-300)


@given(seconds)
def test_the_estimate_lies_within_its_bounds(compute_s: float) -> None:
    measured = ExchangeMeter().attribute(worked(compute_s))
    assert measured.low_j is not None
    assert measured.energy_j is not None
    assert measured.high_j is not None
    assert 0 <= measured.low_j <= measured.energy_j <= measured.high_j


@pytest.mark.parametrize("compute_s", [-1.0, math.nan, math.inf])
def test_a_time_that_cannot_be_true_is_unknown_energy(compute_s: float) -> None:
    assert ExchangeMeter().attribute(worked(compute_s)) == UNKNOWN_ENERGY
