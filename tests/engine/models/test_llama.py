from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InternalError, MalformedArtefact, UnsupportedArtefact
from freehold.engine.kernels.formats import FORMATS
from freehold.engine.kernels.targets import host_targets
from freehold.engine.models.llama import Llama
from freehold.engine.models.shape import shape_of
from freehold.engine.tensor_types import Tensor, TensorType
from tests.engine.models.tiny import Tiny, batch, built, forward, metadata, tiny

PROMPT = np.random.default_rng(9).integers(0, 301, 150).astype(np.int32)


def log_probabilities(logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted.astype(np.float64)).sum(-1, keepdims=True)))


def whole(model: Llama, tokens: np.ndarray[Any, np.dtype[np.int32]]) -> np.ndarray[Any, Any]:
    """Logits of a prompt in one chunk, in a sequence of its own."""
    sequence = model.cache.open()
    model.cache.reserve(sequence, len(tokens))
    logits = model.step(batch((sequence, 0, tokens)))
    model.cache.free(sequence)
    return logits


def assert_close(model: Tiny, llama: Llama, tokens: np.ndarray[Any, np.dtype[np.int32]]) -> None:
    ours, expected = log_probabilities(whole(llama, tokens)), log_probabilities(forward(model, tokens))
    llama.close()
    # An activation at the border of two signed bytes may round either way: that is all the two may differ by.
    assert np.abs(ours - expected).mean() < 0.01 * expected.std()
    assert np.abs(ours - expected).max() < 0.1 * expected.std()


@pytest.mark.parametrize("kernels", host_targets())
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_logits_equal_the_reference_forward_pass(architecture: str, kernels: str) -> None:
    model = tiny(architecture, tied=architecture == "llama")
    assert_close(model, built(model, kernels=kernels), PROMPT[:70])


@pytest.mark.parametrize("type_", sorted(FORMATS), ids=lambda t: t.name)
def test_every_tensor_type_runs(type_: TensorType) -> None:
    model = tiny("llama", type_)
    assert_close(model, built(model), PROMPT[:20])


@pytest.mark.parametrize(
    "changes",
    [
        {"factors": True},
        {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0},
        {"attention.head_count": 2, "attention.head_count_kv": 1},  # heads of 128
        {"attention.key_length": 96, "attention.value_length": 96},  # and not embedding / heads
        {"attention.head_count": 8, "attention.head_count_kv": 8},  # heads of 32, ungrouped
        {"tied": False, "vocabulary": 33},
    ],
    ids=lambda c: ",".join(c),
)
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_shapes_of_the_family_run(architecture: str, changes: dict[str, Any]) -> None:
    model = tiny(architecture, TensorType.Q8_0, **changes)
    assert_close(model, built(model), PROMPT[:40] % model.shape.vocabulary)


# ---- a token's logits depend on its sequence alone ---------------------------------------------------------------


@pytest.fixture(scope="module", params=host_targets())
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Llama, Llama]]:
    """One model on one and on two threads."""
    model = tiny("qwen2", TensorType.Q4_K)
    one, two = (built(model, threads=n, kernels=request.param) for n in (1, 2))
    yield one, two
    one.close()
    two.close()


def stepped(model: Llama, cuts: list[int], mates: int = 0) -> np.ndarray[Any, Any]:
    """Logits of PROMPT in chunks of these sizes, each step shared with `mates` other sequences before and behind it."""
    cache = model.cache
    own, others = cache.open(), [cache.open() for _ in range(mates)]
    for sequence in (own, *others):
        cache.reserve(sequence, len(PROMPT))
    rng, rows, position = np.random.default_rng(1), [], 0
    for size in cuts:
        parts = [(o, position, rng.integers(0, 301, size if i % 2 else 1).astype(np.int32)) for i, o in enumerate(others)]
        parts.insert(len(parts) // 2, (own, position, PROMPT[position : position + size]))
        step = batch(*parts)
        rows.append(model.step(step)[step.sequences == own])
        position += size
    for sequence in (own, *others):
        cache.free(sequence)
    return np.concatenate(rows)


def cut(sizes: list[int]) -> list[int]:
    """Sizes repeated until they make up the prompt."""
    out: list[int] = []
    while sum(out) < len(PROMPT):
        out.append(min(sizes[len(out) % len(sizes)], len(PROMPT) - sum(out)))
    return out


@pytest.mark.parametrize("sizes", [[7], [1], [64], [65, 3], [4, 5]], ids=str)
@pytest.mark.parametrize("mates", [0, 3])
def test_chunks_mates_and_threads_do_not_change_a_bit(pair: tuple[Llama, Llama], sizes: list[int], mates: int) -> None:
    expected = whole(pair[0], PROMPT)
    for model in pair:
        assert np.array_equal(stepped(model, cut(sizes), mates), expected)


@settings(max_examples=12)
@given(sizes=st.lists(st.integers(1, 90), min_size=1, max_size=8), mates=st.integers(0, 4))
def test_no_cut_of_a_prompt_changes_a_bit(pair: tuple[Llama, Llama], sizes: list[int], mates: int) -> None:
    assert np.array_equal(stepped(pair[1], cut(sizes), mates), whole(pair[0], PROMPT))


def test_a_pass_larger_than_its_buffers_is_split(pair: tuple[Llama, Llama]) -> None:
    tokens = np.resize(PROMPT, 600).astype(np.int32)
    assert np.array_equal(whole(pair[1], tokens)[:150], whole(pair[0], PROMPT))


def test_stale_pages_of_an_ended_sequence_do_not_matter() -> None:
    model = tiny()
    llama = built(model, pages=3)
    expected = whole(llama, PROMPT[:100])
    llama.cache.store[:] = 0x7E00  # NaN in every place that was not yet written
    assert np.array_equal(whole(llama, PROMPT[:100]), expected)
    llama.close()


def test_only_wanted_logits_are_given_in_batch_order(pair: tuple[Llama, Llama]) -> None:
    model = pair[1]
    expected = whole(model, PROMPT[:9])
    sequence = model.cache.open()
    model.cache.reserve(sequence, 9)
    step = batch((sequence, 0, PROMPT[:9]))
    step.wants_logits[:] = False
    assert model.step(step).shape == (0, 301)
    step.wants_logits[[2, 8]] = True
    assert np.array_equal(model.step(step), expected[[2, 8]])
    model.cache.free(sequence)


def test_bad_batches_are_refused_before_native_code_sees_them(pair: tuple[Llama, Llama]) -> None:
    model = pair[0]
    sequence = model.cache.open()
    with pytest.raises(InternalError, match="has no pages for position 0"):
        model.step(batch((sequence, 0, PROMPT[:1])))
    model.cache.reserve(sequence, 64)
    for bad, words in (
        (batch((sequence, 64, PROMPT[:1])), "no pages for position 64"),
        (batch((sequence, 0, np.array([301], np.int32))), "outside the vocabulary of 301"),
        (batch((sequence, 0, np.array([-1], np.int32))), "outside the vocabulary"),
        (batch((99, 0, PROMPT[:1])), "sequence 99 is not open"),
        (batch((sequence, 0, PROMPT[:0])), "above 0"),
    ):
        with pytest.raises(InternalError, match=words):
            model.step(bad)
    model.cache.free(sequence)


def test_a_closed_model_computes_no_more() -> None:
    llama = built(tiny(), threads=2)
    sequence = llama.cache.open()
    llama.cache.reserve(sequence, 1)
    llama.close()
    with pytest.raises(InternalError, match="stopped"):
        llama.step(batch((sequence, 0, PROMPT[:1])))


# ---- what is refused, before weights are read --------------------------------------------------------------------


def replaced(model: Tiny, name: str, **changes: Any) -> dict[str, Tensor]:
    old = model.tensors[name]
    facts: dict[str, Any] = {"name": name, "type": old.type, "shape": old.shape, "data": old.data} | changes
    return model.tensors | {name: Tensor(**facts)}


@pytest.mark.parametrize(
    ("facts", "error", "words"),
    [
        ({"general.architecture": "mamba"}, UnsupportedArtefact, "architecture 'mamba' is not supported; supported are llama"),
        (
            {"llama.rope.scaling.type": "su"},
            UnsupportedArtefact,
            "rope scaling 'su' is not supported; supported are none, linear",
        ),
        ({"llama.rope.scaling.type": "longrope"}, MalformedArtefact, "longrope, and the model has no tensor rope_factors_short"),
        ({"llama.rope.freq_base": 1.0}, MalformedArtefact, "rope.freq_base 1.0 is not above 1"),
        ({"llama.attention.causal": False}, UnsupportedArtefact, "llama.attention.causal is off"),
        ({"llama.rope.scaling.yarn_log_multiplier": 0.1}, UnsupportedArtefact, "yarn_log_multiplier 0.1 is not supported"),
        ({"llama.rope.dimension_count": 48}, UnsupportedArtefact, "rope.dimension_count 48 is not a multiple of 32"),
        ({"llama.rope.dimension_count": 96}, MalformedArtefact, "rope.dimension_count 96 is above the head size 64"),
        ({"llama.attention.value_length": 32}, UnsupportedArtefact, "value_length 32 differs from the head size 64"),
        ({"llama.attention.key_length": 48}, UnsupportedArtefact, "head size 48 is not a multiple of 32"),
        ({"llama.attention.key_length": 288}, UnsupportedArtefact, "head size 288 is above 256"),
        ({"llama.attention.scale": 0.1}, UnsupportedArtefact, "llama.attention.scale 0.1 is not supported"),
        ({"llama.logit_scale": 8.0}, UnsupportedArtefact, "llama.logit_scale 8.0 is not supported"),
        ({"freehold.rope": "both"}, MalformedArtefact, "freehold.rope 'both' is not one of interleaved, halves"),
        ({"llama.attention.head_count_kv": [2, 2]}, UnsupportedArtefact, "head_count_kv is list"),
        ({"llama.attention.head_count_kv": 3}, UnsupportedArtefact, "head count 4 is not a multiple of 3"),
        ({"llama.embedding_length": 250}, UnsupportedArtefact, "embedding length 250 is not a multiple of 32"),
        ({"llama.block_count": 0}, MalformedArtefact, "llama.block_count is 0"),
        ({"llama.block_count": 3}, MalformedArtefact, "no tensor blk.2.attn_norm.weight"),
        ({"llama.block_count": (1 << 31) - 1}, MalformedArtefact, "the file has 20 tensors in all"),
        ({"llama.feed_forward_length": 1024}, MalformedArtefact, "blk.0.ffn_gate.weight has shape"),
        ({"llama.rope.freq_base": float("nan")}, MalformedArtefact, "rope.freq_base is not a positive number"),
        ({"llama.context_length": None}, MalformedArtefact, "no llama.context_length"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_unfit_metadata_is_named(facts: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        shape_of(metadata() | facts, tiny().tensors)


def test_unfit_tensors_are_named() -> None:
    model = tiny()
    for tensors, words in (
        (replaced(model, "blk.1.ffn_up.weight", type=TensorType.IQ3_S), "blk.1.ffn_up.weight has type IQ3_S; supported are F32"),
        (replaced(model, "output_norm.weight", type=TensorType.F16), r"output_norm\.weight has type F16"),
        (model.tensors | {"blk.0.attn_q_norm.weight": model.tensors["output_norm.weight"]}, "first blk.0.attn_q_norm.weight"),
    ):
        with pytest.raises(UnsupportedArtefact, match=words):
            shape_of(model.metadata, tensors)
    with pytest.raises(MalformedArtefact, match=r"no tensor token_embd\.weight"):
        shape_of(model.metadata, {})
    short = replaced(model, "output_norm.weight", shape=(255,))
    with pytest.raises(MalformedArtefact, match=r"output_norm\.weight has shape \(255,\), \(256,\) is expected"):
        shape_of(model.metadata, short)
