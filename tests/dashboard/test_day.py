import asyncio
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.limits import DAY_NS
from freehold.core.totals import DayTotal
from freehold.dashboard.day import Day, Figure, figures
from tests.dashboard.days import BOUGHT, LOCAL


def shown(*totals: DayTotal) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures(totals)}


def test_a_day_without_exchanges_has_no_figure_and_no_zero() -> None:
    assert {(figure.value, figure.range) for figure in figures([])} == {("—", "")}
    assert [figure.note for figure in figures([])] == ["nothing ran", "nothing ran", "nothing ran here", "nothing was bought"]


def test_what_is_unknown_is_told_beside_what_is_known() -> None:
    day = shown(
        LOCAL, replace(LOCAL, requests=2, refused_requests=0, known_requests=0, energy_j=0.0, low_j=0.0, high_j=0.0, grades="")
    )
    assert (day["Energy"].value, day["Energy"].range) == ("7500 J", "6000 J – 9000 J")
    assert day["Energy"].note == "modelled; without 2 unknown of 5"
    nothing = shown(replace(BOUGHT, unknown_costs=1, cost_microusd=0))
    assert [figure.value for figure in nothing.values()] == ["unknown", "unknown", "—", "unknown"]


def test_what_was_refused_is_not_unknown() -> None:
    refused = replace(BOUGHT, provider=None, requests=3, refused_requests=3)
    assert shown(LOCAL, refused)["Energy"].note == "modelled; all 3 known"
    assert shown(refused)["Energy"].value == "—"


def test_electricity_is_this_sites_and_prices_are_providers() -> None:
    day = shown(LOCAL, BOUGHT)
    assert (day["Electricity"].value, day["Electricity"].note) == ("$0.0012", "all 3 known")
    assert (day["APIs"].value, day["APIs"].note) == ("$0.20", "all 1 known")


@given(st.lists(st.sampled_from([LOCAL, BOUGHT]), max_size=6))
def test_no_figure_is_zero_where_nothing_is_known(totals: list[DayTotal]) -> None:
    day = shown(*totals)
    assert (day["Energy"].value in ("—", "unknown")) == (LOCAL not in totals)
    assert (day["APIs"].value == "—") == (BOUGHT not in totals)


async def test_many_pages_share_one_reading_and_the_day_is_utcs() -> None:
    asked: list[tuple[int, int]] = []

    def between(start_ns: int, end_ns: int) -> Sequence[DayTotal]:
        asked.append((start_ns, end_ns))
        return [LOCAL]

    day = Day(between, unix_ns=lambda: 20_000 * DAY_NS + 5)
    first, second = await asyncio.gather(day.figures(), day.figures())
    assert first == second == figures([LOCAL])
    assert asked == [(20_000 * DAY_NS, 20_001 * DAY_NS)]
