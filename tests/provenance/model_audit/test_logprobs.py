import numpy as np
import pytest

from freehold.provenance.model_audit.logprobs import logprob_test, table


def test_a_token_that_a_draw_did_not_list_had_its_least_listed_probability() -> None:
    found = table([{"aa": -0.5, "bb": -1.5}, {"aa": -0.4, "cc": -2.0}])
    assert found.tolist() == [[-0.5, -1.5, -1.5], [-0.4, -2.0, -2.0]]


def test_a_probability_of_nothing_is_a_finite_number() -> None:
    assert table([{"aa": float("-inf"), "bb": -9999.0}]).tolist() == [[-100.0, -100.0]]


def test_an_exact_copy_is_never_told_apart() -> None:
    tables = [(np.tile([-1.0, -2.0], (4, 1)), 2)] * 10
    result = logprob_test(tables, 99, 0.05, np.random.default_rng(1))
    assert (result.shift, result.p, result.critical) == (0.0, 1.0, 0.0)


def test_any_move_of_sides_without_noise_is_found() -> None:
    tables = [(np.array([[-1.0], [-1.0], [-1.0001], [-1.0001]]), 2)] * 12
    result = logprob_test(tables, 999, 0.05, np.random.default_rng(1))
    assert result.p == pytest.approx(1 / 1000)
    assert result.shift == pytest.approx(0.0001)


def test_false_alarms_of_noisy_sides_are_no_more_than_alpha() -> None:
    rng = np.random.default_rng(4)

    def p(shift: float) -> float:
        tables = []
        for _ in range(8):
            values = rng.normal(size=(8, 3))
            values[4:] += shift
            tables.append((values, 4))
        return logprob_test(tables, 199, 0.05, rng).p

    assert np.mean([p(0.0) <= 0.05 for _ in range(300)]) <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5
    assert np.mean([p(1.0) <= 0.05 for _ in range(30)]) >= 0.9
