"""`core/limits.py`: where a day, week and month begin."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.limits import DAY_NS, Period, day_of, midnight


def number(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("period", "first", "after"),
    [
        (Period.DAY, (2026, 11, 23), (2026, 11, 24)),
        (Period.WEEK, (2026, 11, 23), (2026, 11, 30)),  # a Monday
        (Period.MONTH, (2026, 11, 1), (2026, 12, 1)),
    ],
)
def test_a_period_has_its_first_day_and_the_next_ones(
    period: Period, first: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    today = number(2026, 11, 23)
    assert (period.first_day(today), period.next_first_day(today)) == (number(*first), number(*after))


@given(st.integers(0, 60_000), st.sampled_from(Period))
def test_every_day_is_in_one_period(day: int, period: Period) -> None:
    first, after = period.first_day(day), period.next_first_day(day)
    assert first <= day < after
    assert {period.first_day(d) for d in range(first, after)} == {first}
    assert period.first_day(after) == after
    assert midnight(first).weekday() == 0 or period is not Period.WEEK
    assert midnight(first).day == 1 or period is not Period.MONTH


def test_a_day_begins_at_midnight_utc() -> None:
    assert day_of(DAY_NS - 1) == 0
    assert day_of(DAY_NS) == 1
    assert midnight(1) == datetime(1970, 1, 2, tzinfo=UTC)
