from math import log

import numpy as np
import pytest

from freehold.provenance.model_audit.ranks import Grams, cramer_von_mises, random_rank, rank_test


def test_the_statistic_is_that_of_its_definition() -> None:
    assert cramer_von_mises(np.array([0.5])) == pytest.approx(1 / 12)
    assert cramer_von_mises(np.array([0.75, 0.25])) == pytest.approx(1 / 24)
    assert cramer_von_mises(np.array([0.0, 0.0])) == pytest.approx(1 / 24 + 0.25**2 + 0.75**2)


def test_one_in_twenty_uniform_sets_passes_the_known_bound() -> None:
    found = cramer_von_mises(np.random.default_rng(1).random((20_000, 40)))
    assert np.mean(found > 0.461) == pytest.approx(0.05, abs=0.006)
    assert np.mean(found > 0.743) == pytest.approx(0.01, abs=0.003)


def test_ranks_of_equal_sides_are_uniform_even_where_scores_tie() -> None:
    rng = np.random.default_rng(2)
    scores = rng.integers(0, 3, size=(4000, 11)).astype(float)
    ranks = np.array([random_rank(row[0], row[1:], rng) for row in scores])
    assert np.histogram(ranks, bins=10, range=(0, 1))[0] == pytest.approx(np.full(10, 400), abs=80)


def test_false_alarms_are_no_more_than_alpha_and_a_shift_is_found() -> None:
    rng = np.random.default_rng(3)

    def p(shift: float) -> float:
        return rank_test([(rng.normal() + shift, rng.normal(size=20)) for _ in range(30)], 199, rng).p

    assert np.mean([p(0.0) <= 0.05 for _ in range(300)]) <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5
    assert np.mean([p(1.0) <= 0.05 for _ in range(40)]) >= 0.9


def test_a_score_is_the_mean_log_probability_under_the_counts_of_the_others() -> None:
    scores = Grams(["ab", "ab", "ac"], 9).scores(np.arange(3))
    # Of "ab" are the trigrams __a, _ab and ab-end: the others have __a twice, _ab once of two _a, ab-end once of one ab.
    first = [log(2.5 / 52), log(1.5 / 52), log(1.5 / 51)]
    last = [log(2.5 / 52), log(0.5 / 52), log(0.5 / 50)]
    assert scores == pytest.approx([sum(first) / 3, sum(first) / 3, sum(last) / 3])


def test_scores_of_some_answers_are_as_if_there_were_no_others() -> None:
    answers = ["one two", "two three", "", "three four five", "none"]
    rows = np.array([4, 0, 2])
    alone = Grams([answers[row] for row in rows], 9).scores(np.arange(3))
    assert Grams(answers, 9).scores(rows) == pytest.approx(alone)
