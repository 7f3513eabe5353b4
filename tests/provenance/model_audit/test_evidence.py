import math

import numpy as np
import pytest

from freehold.provenance.model_audit.evidence import Evidence, log_bound, log_e_value
from freehold.provenance.model_audit.logprobs import logprob_test

DAYS, LIVES, ALPHA, DRAWS, KEPT = 20, 100, 0.1, 6, 60


def test_an_e_value_is_one_on_average_over_uniform_p_values() -> None:
    points = (np.arange(1_000_000) + 0.5) / 1_000_000
    assert np.mean(0.5 / np.sqrt(points)) == pytest.approx(1.0, abs=0.002)
    assert math.exp(log_e_value(0.01)) == pytest.approx(5.0)


def test_products_grow_by_test_and_a_run_without_a_test_leaves_it() -> None:
    found = Evidence().after({"mmd": 0.01, "ranks": 0.25}).after({"mmd": 0.01})
    assert found.runs == 2
    assert math.exp(found.log_e["mmd"]) == pytest.approx(25.0)
    assert math.exp(found.log_e["ranks"]) == pytest.approx(1.0)


def test_an_alarm_stays_when_the_product_falls_again() -> None:
    found = Evidence().after({"mmd": 0.0001}).after({"mmd": 1.0}).after({"mmd": 1.0})
    assert found.log_e["mmd"] < log_bound(0.05, 1)
    assert found.alarms(0.05, 1) == ["mmd"]
    assert found.alarms(0.05, 3) == []  # of three tests each needs more


def test_looking_every_day_for_weeks_alarms_no_more_often_than_alpha() -> None:
    """Against one stored baseline: each day is compared with it and with all days before."""
    rng = np.random.default_rng(5)
    alarms = sum(_life(rng) for _ in range(LIVES))
    assert alarms / LIVES <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / LIVES) ** 0.5


def test_a_drift_raises_the_alarm_within_days() -> None:
    rng = np.random.default_rng(6)
    assert sum(_life(rng, drift=1.5) for _ in range(10)) >= 9


def _life(rng: np.random.Generator, drift: float = 0.0) -> bool:
    before = rng.normal(size=(4 * DRAWS, 2))
    evidence = Evidence()
    for _ in range(DAYS):
        today = rng.normal(size=(DRAWS, 2)) + drift
        both = np.concatenate((before, today))
        evidence = evidence.after({"logprobs": logprob_test([(both, len(before))], 199, 0.05, rng).p})
        if evidence.alarms(ALPHA, 1):
            return True
        before = rng.permutation(both)[:KEPT]  # chance alone chooses what is kept
    return False
