import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.measurement import EnergyTotals, Grade, Metered
from freehold.core.ports import PassShare
from freehold.meter.window import WindowMeter
from tests.fakes.energy import HandClock, SaidSource


def meter_of(source: SaidSource, **options: object) -> WindowMeter:
    meter = WindowMeter(source, clock=source.clock, **options)  # type: ignore[arg-type]
    meter.loaded(False)
    return meter


def pass_(meter: WindowMeter, clock: HandClock, seconds: float, **work: float) -> None:
    """`a=3` is request 'a' (its number) with a work of 3, and as many tokens."""
    meter.begin_pass()
    clock.turn(seconds)
    meter.end_pass([PassShare(ord(name), value, int(value)) for name, value in work.items()], seconds, 2)


def joules(metered: Metered | None) -> float:
    assert metered is not None
    assert metered.energy.energy_j is not None
    return metered.energy.energy_j


def adds_up(totals: EnergyTotals) -> bool:
    lines = (totals.attributed_j, totals.idle_j or 0.0, totals.unattributed_j, totals.load_j or 0.0, -totals.owed_j)
    return math.isclose(math.fsum(lines), totals.energy_j, rel_tol=1e-9, abs_tol=1e-9)


def test_an_answer_gets_all_joules_of_the_passes_it_was_alone_in() -> None:
    clock = HandClock()
    meter = meter_of(SaidSource(clock))
    for _ in range(5):
        pass_(meter, clock, 0.1, a=1)
    metered = meter.settle(ord("a"))
    assert joules(metered) == pytest.approx(50)
    assert metered is not None
    assert (metered.by_tokens_j, metered.by_time_j, metered.machine_s) == pytest.approx((50, 50, 0.5))
    assert metered.energy.grade is Grade.MEASURED_COUNTER
    assert meter.settle(ord("a")) is None


def test_requests_of_one_pass_share_by_their_work_and_two_other_ways() -> None:
    clock = HandClock()
    meter = meter_of(SaidSource(clock))
    meter.begin_pass()
    clock.turn(1)
    meter.end_pass([PassShare(1, 30.0, 1), PassShare(2, 10.0, 4)], 1, 2)
    one, two = meter.settle(1), meter.settle(2)
    assert (joules(one), joules(two)) == pytest.approx((75, 25))
    assert one is not None
    assert (one.by_tokens_j, one.by_time_j) == pytest.approx((20, 50))


def test_idling_before_an_answer_is_not_the_answers() -> None:
    clock = HandClock()
    source = SaidSource(clock, power_w=20)
    meter = meter_of(source)
    clock.turn(60)
    meter.begin_pass()
    source.power_w = 100
    clock.turn(2)
    meter.end_pass([PassShare(1, 1.0, 1)], 2, 2)
    assert joules(meter.settle(1)) == pytest.approx(2 * (100 - 20))  # the least power of a pause is what idling takes
    totals = meter.totals()
    assert totals.idle_j == pytest.approx(60 * 20 + 2 * 20)
    assert adds_up(totals)


def test_what_other_programs_drew_is_unattributed() -> None:
    clock = HandClock()
    meter = meter_of(SaidSource(clock), idle_w=20.0, ours=lambda: 0.25)
    pass_(meter, clock, 1.0, a=1)
    assert joules(meter.settle(ord("a"))) == pytest.approx(20)
    assert meter.totals().unattributed_j == pytest.approx(60)


def test_loading_is_a_line_of_its_own() -> None:
    clock = HandClock()
    meter = WindowMeter(SaidSource(clock), clock=clock)
    clock.turn(3)
    meter.tick()
    clock.turn(0.5)
    meter.loaded(False)
    totals = meter.totals()
    assert (totals.load_j, totals.energy_j) == pytest.approx((350, 350))


def test_an_answer_shorter_than_the_source_can_see_gets_what_its_work_cost_before_and_it_is_paid_back() -> None:
    clock = HandClock()
    source = SaidSource(clock, min_window_s=1.0)
    meter = meter_of(source)
    pass_(meter, clock, 1.0, a=10)  # 10 J for a unit of work
    pass_(meter, clock, 0.2, a=2, b=2)
    assert joules(meter.settle(ord("b"))) == pytest.approx(20)
    totals = meter.totals()
    assert totals.owed_j == pytest.approx(20)
    assert adds_up(totals)
    pass_(meter, clock, 0.8, a=8)
    assert joules(meter.settle(ord("a"))) == pytest.approx(100 + 80)
    assert meter.totals().owed_j == pytest.approx(0)
    assert adds_up(meter.totals())


def test_an_answer_that_ends_before_anything_could_be_seen_is_unknown_and_not_nothing() -> None:
    clock = HandClock()
    meter = meter_of(SaidSource(clock, min_window_s=1.0))
    pass_(meter, clock, 0.2, a=2)
    metered = meter.settle(ord("a"))
    assert metered is not None
    assert (metered.energy.grade, metered.energy.energy_j, metered.by_tokens_j) == (Grade.UNKNOWN, None, None)
    assert metered.machine_s == pytest.approx(0.2)


def test_a_window_whose_energy_is_unknown_makes_its_requests_unknown() -> None:
    clock = HandClock()
    source = SaidSource(clock)
    meter = meter_of(source)
    pass_(meter, clock, 1.0, a=1)
    source.fails = True
    pass_(meter, clock, 1.0, a=1)
    source.fails = False
    pass_(meter, clock, 1.0, a=1, b=1)
    a, b = meter.settle(ord("a")), meter.settle(ord("b"))
    assert a is not None
    assert a.energy.energy_j is None
    assert joules(b) == pytest.approx(50)
    assert meter.totals().unknown_s == pytest.approx(1)
    assert adds_up(meter.totals())


def test_absurd_watts_are_unknown() -> None:
    clock = HandClock()
    source = SaidSource(clock, power_w=1e7)
    meter = meter_of(source)
    pass_(meter, clock, 1.0, a=1)
    metered = meter.settle(ord("a"))
    assert metered is not None
    assert metered.energy.energy_j is None


def test_what_a_request_took_that_left_is_nobodys() -> None:
    clock = HandClock()
    meter = meter_of(SaidSource(clock))
    pass_(meter, clock, 1.0, a=1)
    assert joules(meter.so_far(ord("a"))) == pytest.approx(100)  # what its record will say
    pass_(meter, clock, 1.0, a=1)
    meter.forget(ord("a"))
    totals = meter.totals()
    assert (totals.attributed_j, totals.unattributed_j) == pytest.approx((100, 100))
    assert adds_up(totals)


def test_what_was_told_of_an_open_window_is_owed_when_the_request_leaves() -> None:
    clock = HandClock()
    meter = meter_of(SaidSource(clock))
    pass_(meter, clock, 1.0, a=1)
    pass_(meter, clock, 0.5, a=1)
    assert joules(meter.so_far(ord("a"))) == pytest.approx(200)  # a unit of work took 100 J in the window before
    meter.forget(ord("a"))
    assert (meter.totals().attributed_j, meter.totals().owed_j) == pytest.approx((200, 100))
    assert adds_up(meter.totals())
    clock.turn(1.5)
    meter.tick()
    assert meter.totals().owed_j == pytest.approx(0)
    assert adds_up(meter.totals())


def test_nobody_is_told_nothing_of_what_is_not_known_yet() -> None:
    clock = HandClock()
    meter = meter_of(SaidSource(clock, min_window_s=1.0))
    pass_(meter, clock, 0.5, a=1)
    told = meter.so_far(ord("a"))
    assert told is not None
    assert (told.energy.grade, told.energy.energy_j) == (Grade.UNKNOWN, None)
    model = meter_of(SaidSource(clock, grade=Grade.MODELLED))
    pass_(model, clock, 0.5, a=1)
    assert joules(model.so_far(ord("a"))) == pytest.approx(50)


def test_bounds_of_the_source_go_with_the_share() -> None:
    clock = HandClock()
    meter = meter_of(SaidSource(clock, bounds=(0.75, 1.25), grade=Grade.MODELLED))
    pass_(meter, clock, 1.0, a=1, b=1)
    metered = meter.settle(ord("a"))
    assert metered is not None
    assert (metered.energy.low_j, metered.energy.energy_j, metered.energy.high_j) == pytest.approx((37.5, 50, 62.5))


Step = tuple[str, float, dict[str, float]]
steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("pass"), st.floats(0.01, 2), st.dictionaries(st.sampled_from("abcd"), st.floats(0.1, 9), min_size=1)),
    st.tuples(st.just("pause"), st.floats(0.01, 5), st.just({})),
    st.tuples(st.just("end"), st.just(0.0), st.dictionaries(st.sampled_from("abcd"), st.just(1.0), min_size=1)),
    st.tuples(st.just("leave"), st.just(0.0), st.dictionaries(st.sampled_from("abcd"), st.just(1.0), max_size=1)),
    st.tuples(st.just("ask"), st.just(0.0), st.dictionaries(st.sampled_from("abcd"), st.just(1.0), max_size=2)),
    st.tuples(st.just("fail"), st.just(0.0), st.just({})),
)


@settings(max_examples=100)
@given(st.lists(steps, max_size=40), st.sampled_from([0.0, 0.1, 1.0]), st.none() | st.floats(0, 150), st.floats(0, 1))
def test_whatever_happens_all_lines_add_up_and_answers_sum_to_what_was_attributed(
    happens: list[Step], min_window_s: float, idle_w: float | None, ours: float
) -> None:
    clock = HandClock()
    source = SaidSource(clock, min_window_s=min_window_s)
    meter = meter_of(source, idle_w=idle_w, ours=lambda: ours)
    settled, told = 0.0, dict[str, float]()
    for what, seconds, work in happens:
        if what == "pass":
            source.fails = False
            pass_(meter, clock, seconds, **work)
        elif what == "pause":
            clock.turn(seconds)
            meter.tick()
        elif what == "fail":
            source.fails = True
        for name in work if what == "end" else ():
            metered = meter.settle(ord(name))
            if metered is not None and metered.energy.energy_j is not None:
                assert metered.energy.energy_j >= 0
                settled += metered.energy.energy_j
        for name in work if what == "ask" else ():
            told[name] = (asked.energy.energy_j or 0.0) if (asked := meter.so_far(ord(name))) is not None else 0.0
        for name in work if what == "leave" else ():
            known = (asked := meter.so_far(ord(name))) is not None and asked.energy.energy_j is not None
            settled += (asked.energy.energy_j or 0.0) if known and asked is not None else 0.0
            meter.forget(ord(name))
    for name in "abcd":
        metered = meter.settle(ord(name))
        settled += (metered.energy.energy_j or 0.0) if metered is not None else 0.0
    totals = meter.totals()
    assert adds_up(totals)
    assert math.isclose(settled, totals.attributed_j, rel_tol=1e-9, abs_tol=1e-6)
    assert totals.owed_j >= -1e-9
