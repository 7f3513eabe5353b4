import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import DeviceError
from freehold.meter.sources.power import PowerIntegral, SampledPower
from freehold.meter.sources.source import Busy, Reading
from tests.fakes.energy import HandClock


def test_joules_are_the_area_under_the_samples() -> None:
    clock, watts = HandClock(), iter([100.0, 200.0, 200.0])
    source = SampledPower("p", "gpu", lambda: next(watts), every_s=1, min_window_s=1, clock=clock, runs=False)
    clock.turn(1)
    assert source.read(Busy()) == Reading(150.0)
    clock.turn(0.5)
    assert source.read(Busy()) == Reading(100.0)


@given(st.lists(st.floats(0, 1000), min_size=2, max_size=20), st.data())
def test_where_readings_cut_does_not_change_the_sum(watts: list[float], data: st.DataObject) -> None:
    whole, cut, cut_j = PowerIntegral(10), PowerIntegral(10), 0.0
    for i, power_w in enumerate(watts):
        whole.add(float(i), power_w)
        cut.add(float(i), power_w)
        if data.draw(st.booleans()):
            cut_j += cut.take() or 0.0
    assert cut_j + (cut.take() or 0.0) == pytest.approx(whole.take())


def test_a_sample_that_fails_makes_what_lies_beside_it_unknown() -> None:
    clock = HandClock()
    watts: list[float | None] = [100.0]

    def ask() -> float:
        if watts[0] is None:
            raise DeviceError("gone")
        return watts[0]

    source = SampledPower("p", "gpu", ask, every_s=1, min_window_s=1, clock=clock, runs=False)
    for said, known in ((100.0, True), (None, False), (100.0, False), (100.0, True)):
        watts[0] = said
        clock.turn(1)
        assert (source.read(Busy()) is not None) is known


def test_a_gap_is_not_bridged() -> None:
    integral = PowerIntegral(2.0)
    integral.add(0, 100)
    integral.add(5, 100)
    assert integral.take() is None
    integral.add(6, 100)
    assert integral.take() == 100


def test_watts_that_cannot_be_are_no_sample() -> None:
    integral = PowerIntegral(2.0)
    integral.add(0, 100)
    integral.add(1, -5)
    assert integral.take() is None
