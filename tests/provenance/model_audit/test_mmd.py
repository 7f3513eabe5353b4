import numpy as np
import pytest

from freehold.provenance.model_audit.mmd import likeness, mmd_test
from freehold.provenance.model_audit.sample import AuditPlan, Sample
from tests.provenance.model_audit.talking import Talker, plan


def test_likeness_is_the_share_of_equal_characters_in_their_places() -> None:
    found = likeness(["abcd", "abxd", "ab", ""], 1000)
    assert found[0].tolist() == [1.0, 0.75, 0.5, 0.0]
    assert found[2, 3] == 0.5  # both have ended in the last two places
    assert likeness(["abcd", "abxd"], 2)[0, 1] == 1.0


def test_answers_that_are_all_empty_are_all_alike() -> None:
    assert (likeness(["", ""], 10) == 1).all()


def test_the_estimate_is_that_of_its_definition() -> None:
    texts = ["abab", "abba", "bbbb", "aaab", "abaa"]
    kernel, ours = likeness(texts, 4), 2
    xx = kernel[0, 1]
    yy = np.mean([kernel[i, j] for i in range(2, 5) for j in range(2, 5) if i != j])
    xy = kernel[:2, 2:].mean()
    assert mmd_test([(kernel, ours)], 19, np.random.default_rng(1)).mmd2 == pytest.approx(xx + yy - 2 * xy)


def test_prompts_with_one_answer_of_a_side_count_for_nothing() -> None:
    result = mmd_test([(likeness(["a", "b"], 9), 1)], 19, np.random.default_rng(1))
    assert (result.mmd2, result.p) == (0.0, 1.0)


def test_false_alarms_are_no_more_than_alpha() -> None:
    asked, talker = plan(), Talker()
    ps = [_p(asked, talker.sample(asked, 2 * n), talker.sample(asked, 2 * n + 1), n) for n in range(200)]
    assert np.mean(np.array(ps) <= 0.05) <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5
    assert 0.4 < np.mean(ps) < 0.6  # and they are not merely all large


def test_another_model_and_a_disturbed_one_are_found() -> None:
    truth = Talker()
    for other, asked, least in ((Talker(weights=2), plan(), 1.0), (Talker(noise=1.0), plan(10, samples=20), 0.8)):
        found = [_p(asked, truth.sample(asked, n), other.sample(asked, 1000 + n), n) <= 0.05 for n in range(20)]
        assert np.mean(found) >= least


def test_the_same_seed_gives_the_same_p_value() -> None:
    asked, talker = plan(), Talker()
    one, other = talker.sample(asked, 1), talker.sample(asked, 2)
    assert _p(asked, one, other, 7) == _p(asked, one, other, 7)


def _p(asked: AuditPlan, one: Sample, other: Sample, seed: int) -> float:
    pairs = []
    for prompt in asked.prompts:
        ours, theirs = one.replies[prompt.id].answers, other.replies[prompt.id].answers
        pairs.append((likeness([*ours, *theirs], asked.chars), len(ours)))
    return mmd_test(pairs, asked.permutations, np.random.default_rng(seed)).p
