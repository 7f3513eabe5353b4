import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.gateway.window import SlidingWindow


def test_what_is_spent_counts_for_the_span_and_no_longer() -> None:
    window = SlidingWindow(60)
    for at_s in (0.0, 10.0, 20.0):
        assert window.wait_s(1, 3, at_s) == 0
        window.spend(1, at_s)
    assert window.wait_s(1, 3, 20.0) == 40
    assert window.wait_s(1, 3, 59.0) == 1
    assert window.wait_s(1, 3, 60.0) == 0
    assert window.wait_s(2, 3, 60.0) == 10


def test_more_than_the_whole_limit_fits_into_an_empty_window() -> None:
    window = SlidingWindow(60)
    assert window.wait_s(500, 100, 0) == 0
    window.spend(500, 0)
    assert window.wait_s(1, 100, 1) == 59


def test_a_correction_counts_while_its_entry_does() -> None:
    window = SlidingWindow(60)
    entry = window.spend(90, 0)
    assert window.wait_s(20, 100, 1) == 59
    window.correct(entry, 10)
    assert window.wait_s(20, 100, 1) == 0
    assert window.wait_s(20, 100, 61) == 0
    window.correct(entry, 1000)
    assert window.wait_s(100, 100, 61) == 0


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 9)), max_size=40), st.integers(9, 20))
def test_no_span_ever_holds_more_than_the_limit(asks: list[tuple[int, int]], limit: int) -> None:
    window, admitted, now_s = SlidingWindow(60), list[tuple[int, int]](), 0
    for gap_tenths, amount in asks:
        now_s += gap_tenths
        if window.wait_s(amount, limit, now_s) == 0:
            window.spend(amount, now_s)
            admitted.append((now_s, amount))
    for at_s, _ in admitted:
        assert sum(amount for other_s, amount in admitted if at_s - 60 < other_s <= at_s) <= limit


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), min_size=1, max_size=40), st.integers(9, 20))
def test_the_wait_is_exact(asks: list[tuple[int, int]], limit: int) -> None:
    window, now_s = SlidingWindow(60), 0
    for gap_s, amount in asks:
        now_s += gap_s
        wait_s = window.wait_s(amount, limit, now_s)
        if wait_s > 0:
            assert window.wait_s(amount, limit, now_s + wait_s - 0.5) == pytest.approx(0.5)
            assert window.wait_s(amount, limit, now_s + wait_s) == 0
            now_s += int(wait_s)
        window.spend(amount, now_s)
