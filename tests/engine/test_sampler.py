from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from freehold.core.errors import InternalError, InvalidRequest
from freehold.core.exchange import Sampling
from freehold.engine.sampler import Sampler, Settings, _filtered, largest_first, pick, uniform

Floats = npt.NDArray[np.float32]
LOGITS = np.array([1.0, 3.0, 2.0, -1.0, 0.5], np.float32)

vectors = arrays(np.float32, st.integers(1, 400), elements=st.floats(-30, 30, width=32))


def chosen(count: int, logits: Floats = LOGITS, prompt: tuple[int, ...] = (), **changes: Any) -> list[int]:
    sampler = Sampler(Settings(**{"seed": 7, "temperature": 1.0, "top_p": 1.0} | changes), prompt, logits.size)
    return [sampler.choose(logits.copy()).token for _ in range(count)]


def softmax(logits: Floats) -> npt.NDArray[np.float64]:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(weights / weights.sum())


def slow_filter(scaled: Floats, settings: Settings) -> set[int]:
    """What may be drawn, by the book: a full sort."""
    order = [int(i) for i in np.lexsort((np.arange(scaled.size), -scaled))]
    order = order[: settings.top_k or None]
    weights = np.exp(scaled[order].astype(np.float64))
    mass = np.cumsum(weights) / weights.sum()
    order = order[: int(np.searchsorted(mass, settings.top_p)) + 1] if settings.top_p < 1 else order
    return {i for i in order if np.exp(scaled[i]) >= settings.min_p * np.exp(scaled[order[0]])}


def test_greedy_takes_the_largest_and_of_equals_the_first() -> None:
    assert chosen(3, temperature=0.0) == [1, 1, 1]
    assert chosen(1, np.array([0, 5, 5, 1], np.float32), temperature=0.0) == [1]


def test_draws_follow_the_distribution() -> None:
    counts = Counter(chosen(20_000))
    for token, expected in enumerate(softmax(LOGITS)):
        assert abs(counts[token] / 20_000 - expected) < 4 * np.sqrt(expected * (1 - expected) / 20_000)


def test_temperature_divides() -> None:
    counts = Counter(chosen(20_000, temperature=2.0))
    for token, expected in enumerate(softmax(LOGITS / np.float32(2))):
        assert abs(counts[token] / 20_000 - expected) < 4 * np.sqrt(expected * (1 - expected) / 20_000)


def test_a_tiny_temperature_is_greedy_and_not_infinite() -> None:
    assert set(chosen(50, LOGITS * 1000, temperature=1e-6)) == {1}
    assert set(chosen(5, temperature=5e-324)) == {1}  # the least there is: its inverse is infinite


def test_top_k_leaves_k() -> None:
    assert set(chosen(2000, top_k=2)) == {1, 2}
    assert set(chosen(50, top_k=1)) == {1}
    assert set(chosen(2000, top_k=100)) == {0, 1, 2, 3, 4}


def test_top_p_keeps_the_one_that_crosses() -> None:
    likely = softmax(LOGITS)[[1, 2]]
    assert set(chosen(2000, top_p=float(likely[0]) - 0.01)) == {1}
    assert set(chosen(2000, top_p=float(likely[0]) + 0.01)) == {1, 2}
    assert set(chosen(2000, top_p=float(likely.sum()) + 0.01)) == {0, 1, 2}


def test_min_p_is_a_share_of_the_likeliest() -> None:
    assert set(chosen(2000, min_p=0.2)) == {1, 2}


def test_repetition_counts_prompt_and_answer_and_works_on_both_signs() -> None:
    logits = np.array([2.0, 1.9, -0.5, -0.6], np.float32)
    assert chosen(1, logits, (0,), temperature=0.0, repetition_penalty=1.5) == [1]
    assert chosen(3, logits, temperature=0.0, repetition_penalty=1.5) == [0, 1, 0]
    negative = np.array([-1.0, -1.1], np.float32)
    assert chosen(1, negative, (0,), temperature=0.0, repetition_penalty=1.5) == [1]


def test_presence_and_frequency_count_the_answer_alone() -> None:
    logits = np.array([2.0, 1.5, 0.0], np.float32)
    assert chosen(2, logits, (0, 0, 0), temperature=0.0, presence_penalty=1.0) == [0, 1]
    assert chosen(4, logits, temperature=0.0, frequency_penalty=0.3) == [0, 0, 1, 0]


def test_log_probabilities_are_of_the_unmodified_distribution() -> None:
    sampler = Sampler(Settings(seed=1, temperature=0.3, top_k=1, repetition_penalty=2.0, top_logprobs=3), (1,), 5)
    found = sampler.choose(LOGITS.copy())
    expected = np.log(softmax(LOGITS))
    assert [token for token, _ in found.top] == [1, 2, 0]
    assert np.allclose([value for _, value in found.top], expected[[1, 2, 0]], atol=1e-6)
    assert found.logprob == pytest.approx(expected[found.token], abs=1e-6)


def test_log_probabilities_cost_nothing_unasked() -> None:
    found = Sampler(Settings(seed=1), (), 5).choose(LOGITS.copy())
    assert (found.logprob, found.top) == (None, ())
    only_chosen = Sampler(Settings(seed=1, top_logprobs=0), (), 5).choose(LOGITS.copy())
    assert only_chosen.logprob is not None
    assert only_chosen.top == ()


def test_a_seed_repeats_and_seeds_differ() -> None:
    assert chosen(100) == chosen(100)
    assert chosen(100, seed=8) != chosen(100)


def test_the_generator_is_splitmix64() -> None:
    """Reference outputs for seed 1234567, as published with the algorithm."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [uniform(1234567, i + 1) for i in range(3)] == [(value >> 11) * 2.0**-53 for value in expected]


def test_uniform_numbers_are_uniform() -> None:
    numbers = np.array([uniform(3, i) for i in range(20_000)])
    assert abs(numbers.mean() - 0.5) < 0.01
    assert np.abs(np.histogram(numbers, 20, (0, 1))[0] / 1000 - 1).max() < 0.15


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_our_own_error(bad: float) -> None:
    logits = LOGITS.copy()
    logits[2] = bad
    with pytest.raises(InternalError, match="no numbers"):
        Sampler(Settings(seed=1), (), 5).choose(logits)


@pytest.mark.parametrize(
    ("sampling", "param"),
    [
        (Sampling(temperature=-0.1), "temperature"),
        (Sampling(temperature=float("nan")), "temperature"),
        (Sampling(top_p=0.0), "top_p"),
        (Sampling(top_p=1.1), "top_p"),
        (Sampling(top_k=-1), "top_k"),
        (Sampling(min_p=2.0), "min_p"),
        (Sampling(repetition_penalty=0.0), "repetition_penalty"),
        (Sampling(max_tokens=0), "max_tokens"),
        (Sampling(top_logprobs=21), "top_logprobs"),
        (Sampling(stop=("",)), "stop"),
        (Sampling(stop=("x" * 257,)), "stop"),
        (Sampling(stop=("x",) * 17), "stop"),
    ],
)
def test_a_setting_out_of_range_is_named(sampling: Sampling, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Settings.of(sampling, 1)
    assert caught.value.param == param


def test_settings_keep_what_was_chosen_and_fill_the_rest() -> None:
    found = Settings.of(Sampling(temperature=0.0, stop=("a",), max_tokens=5), 9)
    assert (found.temperature, found.top_p, found.stop, found.max_tokens, found.seed) == (0.0, 0.95, ("a",), 5, 9)


@settings(max_examples=100)
@given(vectors, st.integers(1, 400))
def test_the_largest_are_found_without_a_full_sort(values: Floats, count: int) -> None:
    count = min(count, values.size)
    expected = np.lexsort((np.arange(values.size), -values))[:count]
    assert np.array_equal(largest_first(values, count), expected)


@settings(max_examples=30)
@given(st.integers(0, 1 << 32), st.sampled_from([1, 20, 100]), st.sampled_from([0.3, 3.0, 12.0]))
def test_the_largest_of_a_real_vocabulary_are_found(seed: int, count: int, scale: float) -> None:
    values = (np.random.default_rng(seed).standard_normal(49_152) * scale).astype(np.float32)
    assert np.array_equal(largest_first(values, count), np.lexsort((np.arange(values.size), -values))[:count])


@settings(max_examples=60)
@given(
    st.integers(0, 1 << 32),
    st.sampled_from([50, 5_000]),
    st.sampled_from([0.1, 1.0, 5.0]),
    st.sampled_from([0, 1, 40]),
    st.sampled_from([0.1, 0.5, 0.9, 0.999]),
    st.sampled_from([0.0, 0.05]),
)
def test_filters_keep_what_a_full_sort_keeps(seed: int, size: int, scale: float, top_k: int, top_p: float, min_p: float) -> None:
    values = (np.random.default_rng(seed).standard_normal(size) * scale).astype(np.float32)
    scaled = values - values.max()
    chosen_settings = Settings(seed=1, top_k=top_k, top_p=top_p, min_p=min_p)
    tokens, weights = _filtered(scaled, chosen_settings)
    assert tokens is not None
    assert np.allclose(weights, np.exp(scaled[tokens]))
    # Rounding of a sum may move the crossing by one token.
    assert len(set(tokens.tolist()) ^ slow_filter(scaled, chosen_settings)) <= 1


@settings(max_examples=100)
@given(arrays(np.float32, st.integers(1, 300), elements=st.floats(0, 1, width=32)), st.floats(0, 1, exclude_max=True))
def test_a_pick_is_never_of_weight_zero(weights: Floats, point: float) -> None:
    weights[0] += 0.5
    found = pick(weights, point)
    assert weights[found] > 0
    running = np.cumsum(weights, dtype=np.float64)
    assert running[found] >= point * running[-1] * (1 - 1e-9)
