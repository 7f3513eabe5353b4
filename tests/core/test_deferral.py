"""What waiting spared, against running at once."""

import pytest

from freehold.core.deferral import NOTHING_SAVED, Turn

WAITED = Turn(
    arrived_s=0,
    at_once_s=0,
    ran_s=3600,
    deadline_s=7200,
    g_at_once=400.0,
    g_at_run=100.0,
    price_at_once=0.4,
    price_at_run=0.1,
    pue=1.5,
)


def test_what_was_spared_is_counted_at_the_sites_meter_as_the_ledgers_carbon_is() -> None:
    saving = NOTHING_SAVED.plus(WAITED, 3.6e6)
    assert saving.energy_j == 3.6e6
    assert saving.carbon_at_once_g == pytest.approx(600.0)
    assert saving.carbon_spared_g == pytest.approx(450.0)
    assert saving.price_spared == pytest.approx(0.45)


def test_what_is_unknown_is_in_no_sum_and_counted() -> None:
    saving = NOTHING_SAVED.plus(WAITED, None)
    assert (saving.exchanges, saving.energy_known, saving.carbon_known, saving.price_known) == (1, 0, 0, 0)
