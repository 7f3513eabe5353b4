from hypothesis import given
from hypothesis import strategies as st

from freehold.gateway.breaker import LONGEST_OPENS, Breaker, State
from freehold.gateway.config import RoutingConfig

CONFIG = RoutingConfig(breaker_window_s=30, breaker_failures=4, breaker_ratio=0.5, breaker_open_s=10)


def opened(at_s: float = 0) -> Breaker:
    breaker = Breaker(CONFIG)
    assert [breaker.failed(at_s, is_probe=breaker.begin()) for _ in range(4)] == [False, False, False, True]
    return breaker


def test_enough_failures_open_it_and_nothing_goes_through() -> None:
    breaker = opened()
    assert breaker.state(9.9) is State.OPEN
    assert not breaker.allows(9.9)
    assert breaker.opens_in_s(4) == 6


def test_few_failures_among_many_answers_do_not_open_it() -> None:
    breaker = Breaker(CONFIG)
    for _ in range(10):
        breaker.answered(0, is_probe=breaker.begin())
    assert [breaker.failed(0, is_probe=False) for _ in range(9)] == [False] * 9
    assert breaker.failed(0, is_probe=False)


def test_failures_older_than_the_window_are_forgotten() -> None:
    breaker = Breaker(CONFIG)
    for at_s in (0, 20, 40, 60, 80):
        assert not breaker.failed(at_s, is_probe=False)
    assert breaker.recent(80) == (2, 2)


def test_one_probe_at_a_time_goes_through_and_its_answer_closes_it() -> None:
    breaker = opened()
    assert breaker.state(10) is State.HALF_OPEN
    assert breaker.allows(10)
    is_probe = breaker.begin()
    assert is_probe
    assert not breaker.allows(10)
    assert breaker.answered(11, is_probe=is_probe)
    assert breaker.state(11) is State.CLOSED
    assert breaker.recent(11) == (0, 1)


def test_a_probe_that_fails_doubles_the_time_up_to_a_bound() -> None:
    breaker, now_s, waits = opened(), 0.0, []
    for _ in range(7):
        waits.append(breaker.opens_in_s(now_s))
        now_s += waits[-1]
        breaker.failed(now_s, is_probe=breaker.begin())
    assert waits == [10, 20, 40, 80, 160, 160, 160]
    assert max(waits) == LONGEST_OPENS * 10
    breaker.answered(now_s + 160, is_probe=breaker.begin())
    for _ in range(4):
        breaker.failed(now_s + 170, is_probe=False)
    assert breaker.opens_in_s(now_s + 170) == 10


def test_a_probe_whose_client_left_makes_room_for_the_next() -> None:
    breaker = opened()
    breaker.abandoned(is_probe=breaker.begin())
    assert breaker.allows(10)


def test_exchanges_that_began_before_say_nothing_while_it_is_open() -> None:
    breaker = opened()
    assert not breaker.answered(5, is_probe=False)
    assert not breaker.failed(5, is_probe=False)
    assert breaker.state(5) is State.OPEN
    assert breaker.opens_in_s(5) == 5


@given(st.lists(st.tuples(st.sampled_from(["answered", "failed", "abandoned"]), st.integers(0, 20)), max_size=80))
def test_it_is_never_stuck(steps: list[tuple[str, int]]) -> None:
    breaker, now_s = Breaker(CONFIG), 0.0
    for what, gap_s in steps:
        now_s += gap_s
        if not breaker.allows(now_s):
            assert breaker.state(now_s) is State.OPEN
            continue
        is_probe = breaker.begin()
        if what == "abandoned":
            breaker.abandoned(is_probe=is_probe)
        else:
            getattr(breaker, what)(now_s, is_probe=is_probe)
    assert breaker.allows(now_s + LONGEST_OPENS * CONFIG.breaker_open_s)
