import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.findings import Action, Mode
from freehold.core.ledger import Status
from freehold.core.measurement import NOTHING_RAN, UNKNOWN_ENERGY, Carbon, Footprint, Grade, Measurement
from freehold.dashboard.figures import joules
from freehold.dashboard.rows import row, totals
from tests.fakes.ledger import entry, finding, unknown_entry


def test_speed_counts_the_tokens_after_the_first() -> None:
    assert row(1, entry(), {}).speed == "50.0"  # 100 tokens in 2 s


def test_an_answer_that_came_all_at_once_has_no_speed() -> None:
    assert row(1, entry(ttft_ms=20.0, duration_ms=20.04), {}).speed == "—"


def test_what_it_cost_is_told_where_it_is_known_and_never_rounded_to_nothing() -> None:
    costs = {None: "unknown", 0: "$0.00", 7: "$0.000007", 200_000: "$0.20", 1_234_567_890: "$1,234.57"}
    assert {cost: row(1, entry(cost_microusd=cost), {}).costs[0].amount for cost in costs} == costs


def test_electricity_and_a_price_list_are_two_figures() -> None:
    both = row(1, entry(cost_microusd=900, footprint=Footprint(electricity_microusd=0.4)), {}).costs
    assert [(cost.amount, cost.what) for cost in both] == [("$0.0009", "by price list"), ("< $0.000001", "electricity")]


def test_carbon_carries_its_factor_and_its_interval() -> None:
    carbon = Carbon(g=0.0021, low_g=0.001, high_g=0.004, zone="ISL", year=2022)
    shown = row(1, entry(footprint=Footprint(carbon=carbon)), {})
    assert (shown.carbon, shown.carbon_note, shown.carbon_range) == ("2.1 mg", "ISL 2022", "1 mg – 4 mg")
    assert (row(1, entry(), {}).carbon, row(1, entry(), {}).carbon_note) == ("unknown", "")


def test_where_nothing_ran_nothing_is_unknown() -> None:
    refused = row(1, entry(status=Status.BLOCKED, ttft_ms=None, provider=None, energy=NOTHING_RAN), {})
    assert (refused.energy, refused.energy_note, refused.carbon) == ("—", "nothing ran", "—")
    assert [cost.amount for cost in refused.costs] == ["—"]
    assert totals([entry(1), entry(2, energy=NOTHING_RAN)]).energy_note == "all known"
    assert totals([entry(2, energy=NOTHING_RAN)]).energy == "—"


def test_what_never_began_is_neither_unknown_nor_zero() -> None:
    blocked = row(1, entry(status=Status.BLOCKED, ttft_ms=None, output_tokens=0), {})
    assert (blocked.ttft, blocked.speed) == ("—", "—")


def test_modelled_energy_carries_its_interval() -> None:
    assert row(1, entry(), {}).energy == "3.21 J"
    assert row(1, entry(), {}).energy_note == "modelled"
    assert row(1, entry(), {}).energy_range == "2.1 J – 4.62 J"
    assert row(1, unknown_entry(), {}).energy_range == ""


def test_sums_say_what_they_leave_out() -> None:
    sums = totals([entry(1), unknown_entry(2)])
    assert (sums.input_tokens, sums.output_tokens) == ("36+", "101+")
    assert (sums.energy, sums.energy_note) == ("3.21 J", "without 1 unknown")
    assert totals([unknown_entry(1)]).energy == "unknown"
    assert totals([]).energy == "—"


def test_a_key_without_a_name_is_shown_by_its_id() -> None:
    shown = row(1, entry(), {})
    assert shown.key == entry().key_id
    assert row(1, entry(), {entry().key_id: "notebook"}).key == "notebook"


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("mode", list(Mode))
def test_every_action_has_a_word(action: Action, mode: Mode) -> None:
    (label,) = row(1, entry(findings=(finding(action=action, mode=mode),)), {}).findings
    assert label.fate.startswith("shadow: would " if mode is Mode.SHADOW else action.value.rstrip("e")[:3])


@given(st.floats(min_value=0, max_value=1e12, allow_nan=False))
def test_known_energy_is_never_shown_as_unknown(energy_j: float) -> None:
    measurement = Measurement(grade=Grade.MEASURED_COUNTER, source="rapl", energy_j=energy_j)
    shown = row(1, entry(energy=measurement), {})
    assert shown.energy == joules(energy_j) != "unknown"
    assert row(1, entry(energy=UNKNOWN_ENERGY), {}).energy == "unknown"
