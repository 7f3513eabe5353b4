"""Serving: the stored fit is of the measured rows, and what must hold for any model and load."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest, NotFound, UnknownFigure
from freehold.plan.catalogue import find
from freehold.plan.models import DECODERS, Decoder, Weights, find_decoder
from freehold.plan.serving import Deployment, Load, memory_fit, prefill_s, serve
from freehold.plan.serving_fit import fit, non_negative, stored_fit, terms
from tests.plan.measured_steps import sha256, steps

LLAMA = Deployment(model=find_decoder("llama-3.1-70b"), chip=find("H100"), chips=4, weights=Weights.BF16)
LOAD = Load(prompt_tokens=512, output_tokens=512)
MODELS = st.sampled_from(sorted(DECODERS)).map(DECODERS.__getitem__)


def test_the_stored_fit_is_of_the_measured_rows() -> None:
    measured, seconds = steps()
    made, stored = fit(measured, seconds, sha256()), stored_fit()
    assert stored.data_sha256 == made.data_sha256
    assert stored.rows == made.rows == len(seconds)
    assert stored.coefficients == pytest.approx(made.coefficients, rel=1e-3, abs=1e-12)
    for name in ("sigma", "median_error", "p90_error", "dense_median_error"):
        assert getattr(stored, name) == pytest.approx(getattr(made, name), abs=1e-3)


def test_a_model_left_out_is_predicted_and_better_than_by_a_roofline() -> None:
    stored = stored_fit()
    assert stored.dense_median_error <= 0.07
    assert stored.median_error <= 0.10
    assert stored.p90_error <= 0.35
    measured, seconds = steps()
    roofline = [abs(sum(terms(step)[:2]) / took - 1) for step, took in zip(measured, seconds, strict=True)]
    assert float(np.median(roofline)) == pytest.approx(0.6, abs=0.02)


def test_70b_on_four_cards() -> None:
    found = serve(LLAMA, LOAD, batch=64)
    assert found.itl_ms.p50 == pytest.approx(24, rel=0.1)
    assert found.fit.weights_gb == pytest.approx(35.3)
    assert LLAMA.model.kv_bytes(1) == 2 * 80 * 8 * 128 * 2
    assert found.bound == "as asked"
    assert found.joules_per_token is not None


def test_what_a_window_or_a_latent_saves() -> None:
    gemma, deepseek = find_decoder("gemma-3-12b"), find_decoder("deepseek-r1")
    each = 2 * 8 * 256 * 2
    assert gemma.kv_bytes(10_000) == each * (8 * 10_000 + 40 * 1024)
    assert gemma.kv_bytes(100) == each * 48 * 100
    assert deepseek.kv_bytes(1) == 61 * 576 * 2


@given(MODELS, st.integers(1, 4096), st.sampled_from([1, 2, 4, 8]))
def test_a_step_reads_between_what_a_token_needs_and_all_there_is(model: Decoder, batch: int, chips: int) -> None:
    read = model.read_parameters(batch, chips, chips)
    assert model.active_parameters / chips * 0.999 <= read <= model.parameters / chips * 1.001
    assert model.read_parameters(batch + 1, chips, chips) >= read * (1 - 1e-12)


@settings(max_examples=25)
@given(MODELS, st.sampled_from(["H100", "H200", "B200"]), st.integers(1, 512), st.integers(16, 8192))
def test_more_at_a_time_is_never_faster_for_one_and_never_slower_for_all(
    model: Decoder, chip: str, batch: int, context: int
) -> None:
    deployment = Deployment(model=model, chip=find(chip), chips=8, weights=Weights.BF16)
    decode = stored_fit()
    one, two = (decode.seconds(deployment.step(count, context)) for count in (batch, 2 * batch))
    assert one <= two
    if model.experts is None:
        assert two / 2 <= one
    assert decode.seconds(deployment.step(batch, 2 * context)) >= one


@settings(max_examples=15)
@given(st.integers(1, 4000), st.integers(1, 4000), st.floats(5, 200))
def test_a_plan_keeps_its_memory_and_its_limit(prompt: int, output: int, itl_ms: float) -> None:
    load = Load(prompt_tokens=prompt, output_tokens=output, itl_ms=itl_ms, requests_per_s=100)
    try:
        found = serve(LLAMA, load)
    except InvalidRequest as error:
        found = None
        refusal = str(error)
    if found is None:
        assert "cannot be kept" in refusal
        return
    assert 1 <= found.batch <= found.fit.sequences
    assert found.itl_ms.p50 <= itl_ms * 1.03
    assert found.fit.sequences * found.fit.kv_bytes_per_sequence <= found.fit.kv_gb * 1e9 * LLAMA.chips
    assert found.replicas is not None
    assert found.replicas * found.requests_per_s >= 100


def test_twice_the_load_is_twice_the_replicas() -> None:
    counts = [serve(LLAMA, replace(LOAD, requests_per_s=rate)).replicas or 0 for rate in (200, 400)]
    assert counts[1] == pytest.approx(2 * counts[0], abs=1)


def test_prefill_is_of_peak_and_longer_for_longer_prompts() -> None:
    assert prefill_s(LLAMA, 512, 0.5) == pytest.approx(2 * 70.6e9 * 512 / (4 * 989.5e12 * 0.5), rel=0.02)
    eight = replace(LLAMA, weights=Weights.FP8)
    assert prefill_s(eight, 512, 0.5) == pytest.approx(prefill_s(LLAMA, 512, 0.5) / 2)


def test_what_does_not_fit_says_the_numbers() -> None:
    with pytest.raises(InvalidRequest, match=r"does not fit 1 H100 SXM 80GB: each would hold 141\.2 GB"):
        memory_fit(replace(LLAMA, chips=1), LOAD)
    with pytest.raises(InvalidRequest, match="the KV cache holds"):
        serve(LLAMA, LOAD, batch=100_000)
    with pytest.raises(InvalidRequest, match="cannot be kept"):
        serve(LLAMA, replace(LOAD, itl_ms=1.0))


@pytest.mark.parametrize(
    ("deployment", "load"),
    [
        (replace(LLAMA, chips=0), LOAD),
        (LLAMA, replace(LOAD, prompt_tokens=0)),
        (LLAMA, replace(LOAD, output_tokens=-1)),
        (LLAMA, replace(LOAD, requests_per_s=float("nan"))),
        (LLAMA, replace(LOAD, requests_per_s=1e300)),
        (LLAMA, replace(LOAD, itl_ms=-3.0)),
    ],
)
def test_absurd_loads_are_refused(deployment: Deployment, load: Load) -> None:
    with pytest.raises(InvalidRequest):
        serve(deployment, load)


def test_what_is_unknown_stops_the_plan() -> None:
    with pytest.raises(UnknownFigure, match="memory_gb of MatX One"):
        serve(replace(LLAMA, chip=find("MatX One")), LOAD)
    with pytest.raises(UnknownFigure, match="fp8_dense_tflops of A100"):
        serve(replace(LLAMA, chip=find("A100"), weights=Weights.FP8), LOAD)
    with pytest.raises(NotFound, match=r"may be Llama 3\.1 8B, Llama 3\.1 70B"):
        find_decoder("llama 3.1")
    with pytest.raises(NotFound, match="known: Llama"):
        find_decoder("gpt-9")
    assert any("not H200" in warning for warning in serve(replace(LLAMA, chip=find("H200")), LOAD).warnings)


@given(st.integers(0, 10**6))
def test_least_squares_without_negative_coefficients(seed: int) -> None:
    generator = np.random.default_rng(seed)
    table, truth = generator.random((20, 4)), np.maximum(0, generator.standard_normal(4))
    found = non_negative(table, table @ truth)
    assert np.all(found >= 0)
    assert found == pytest.approx(truth, abs=1e-6)
