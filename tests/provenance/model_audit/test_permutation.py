import numpy as np
import pytest

from freehold.provenance.model_audit.permutation import holm, labels, p_value


def test_the_observed_order_counts_as_one_of_the_permutations() -> None:
    assert p_value(3.0, np.array([1.0, 2.0, 3.0, 4.0])) == 3 / 5
    assert p_value(9.0, np.zeros(99)) == 1 / 100


def test_what_is_equal_but_for_rounding_counts_as_equal() -> None:
    assert p_value(0.1 + 0.2, np.array([0.3])) == 1.0


def test_every_row_of_labels_has_as_many_of_ours() -> None:
    found = labels(3, 5, 50, np.random.default_rng(1))
    assert found.shape == (50, 8)
    assert (found.sum(axis=1) == 3).all()
    assert len({tuple(row) for row in found}) > 20


def test_holm_multiplies_the_smallest_most_and_never_turns_the_order() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
