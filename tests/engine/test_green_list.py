import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.core.watermark import Watermark, watermark
from freehold.engine.green_list import GreenLists, binomial_tail, detect
from freehold.engine.sampler import Sampler, Settings
from freehold.engine.sequence import Finished
from tests.engine.scheduler_bench import Bench, prompt
from tests.engine.test_speculation import Alternating

SECRET = bytes(range(32))
MARK = watermark(SECRET, gamma=0.25, delta=4.0, context_tokens=2)
OTHER = watermark(SECRET[::-1], gamma=0.25, delta=4.0, context_tokens=2)


def sampled(mark: Watermark | None, count: int, *, spread: float = 2.0, temperature: float = 1.0) -> list[int]:
    """Tokens of a model whose logits are noise: the smaller the spread, the more a token is open."""
    rng, sampler = np.random.default_rng(1), Sampler(Settings(seed=3, temperature=temperature), (1, 2), 1000, mark)
    return [sampler.choose((rng.standard_normal(1000) * spread).astype(np.float32)).token for _ in range(count)]


def test_gamma_of_the_vocabulary_is_green_and_the_tokens_before_choose_which() -> None:
    lists = GreenLists(MARK, 100_000)
    here, there = lists.at([5, 6, 7]), lists.at([6, 7, 8])
    assert here.mean() == pytest.approx(0.25, abs=0.01)
    assert (here & there).mean() == pytest.approx(0.25**2, abs=0.01)
    assert (here == lists.at([9, 9, 6, 7])).all()  # the last two count
    assert (here[:500] == GreenLists(MARK, 500).at([6, 7])).all()


def test_marked_text_is_told_with_its_secret_alone() -> None:
    tokens = sampled(MARK, 200)
    found = detect(tokens, MARK, 1000)
    assert (found.tokens, found.scored) == (200, 198)
    assert found.p_value < 1e-20
    assert found.z_score > 10
    assert detect(tokens, OTHER, 1000).p_value > 0.001
    assert detect(sampled(None, 200), MARK, 1000).p_value > 0.001


def test_where_the_model_is_sure_little_is_marked() -> None:
    """Greedy, and one token far ahead of the others: nothing that a watermark adds changes it."""
    open_, sure = (detect(sampled(MARK, 100, spread=spread, temperature=0), MARK, 1000) for spread in (2.0, 60.0))
    assert open_.p_value < 1e-10 < sure.p_value


def test_what_repeats_is_counted_once() -> None:
    tokens = sampled(MARK, 60)
    once, often = detect(tokens, MARK, 1000), detect(tokens * 50, MARK, 1000)
    assert often.scored <= once.scored + 2
    assert abs(often.green - once.green) <= 2


def test_false_alarms_are_as_rare_as_the_p_value_says() -> None:
    rng = np.random.default_rng(8)
    p_values = [detect([int(token) for token in rng.integers(0, 1000, 40)], MARK, 1000).p_value for _ in range(300)]
    for level in (0.5, 0.1, 0.02):
        rate, spread = np.mean([p <= level for p in p_values]), math.sqrt(level * (1 - level) / 300)
        assert rate <= level + 4 * spread
    assert np.mean(p_values) > 0.5  # discrete: never too small


@settings(max_examples=60)
@given(st.integers(0, 60), st.integers(0, 61), st.sampled_from([0.25, 0.5, 0.1, 60_000 / 65_536]))
def test_the_p_value_is_the_binomial_tail(trials: int, least: int, chance: float) -> None:
    p = Fraction(chance)
    exact = sum(math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(least, trials + 1))
    assert binomial_tail(trials, least, chance) == pytest.approx(float(exact), rel=1e-9, abs=1e-300)


def test_long_texts_have_p_values_too() -> None:
    assert binomial_tail(100_000, 25_000, 0.25) == pytest.approx(0.5, abs=0.01)
    assert binomial_tail(100_000, 1, 0.25) == 1.0
    assert 0.0 <= binomial_tail(100_000, 60_000, 0.25) < 1e-300
    assert binomial_tail(0, 0, 0.25) == 1.0


def test_drafts_change_nothing_of_a_marked_answer_and_a_form_comes_first() -> None:
    found = []
    for drafts in (0, 6):
        bench = Bench(max_drafts=drafts, repeat_rate=0.8)
        for number in range(2):
            form = Alternating(30) if number else None
            bench.submit(number, prompt(number, 20), max_tokens=60, constraint=form, watermark=MARK)
        bench.run()
        ends = [bench.ended[number] for number in range(2)]
        found.append([end.tokens for end in ends if isinstance(end, Finished)])
    assert found[0] == found[1]
    assert all(token % 2 == place % 2 for place, token in enumerate(found[0][1]))
    assert bench.scheduler.stats().accepted_tokens > 0
    plain = Bench(repeat_rate=0.8)
    plain.submit(0, prompt(0, 20), max_tokens=60)
    plain.run()
    assert plain.finished(0).tokens != found[0][0]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"gamma": 0.0}, "gamma is 0"),
        ({"gamma": 1.0}, "gamma is 1"),
        ({"gamma": 1e-9}, "gamma is 1e-09"),
        ({"gamma": math.nan}, "gamma is nan"),
        ({"delta": 0.0}, "delta is 0"),
        ({"delta": math.inf}, "delta is inf"),
        ({"context_tokens": 0}, "context is 0"),
        ({"context_tokens": 9}, "context is 9"),
    ],
)
def test_parameters_that_mark_nothing_or_everything_are_refused(changes: dict[str, float], match: str) -> None:
    values = {"gamma": 0.25, "delta": 2.0, "context_tokens": 2} | changes
    with pytest.raises(InvalidRequest, match=match):
        watermark(SECRET, **values)  # type: ignore[arg-type]


def test_the_digest_tells_parameters_and_secret_apart_and_holds_neither() -> None:
    digests = {MARK.digest, OTHER.digest, watermark(SECRET, gamma=0.25, delta=2.0, context_tokens=2).digest}
    assert len(digests) == 3
    assert SECRET.hex() not in MARK.digest
    assert repr(SECRET) not in repr(MARK)
