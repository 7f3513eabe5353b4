"""Mixtures of experts against a plain NumPy pass, and against themselves in other company."""

import itertools
from typing import Any

import numpy as np
import pytest

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact
from freehold.engine.kernels.targets import host_targets
from freehold.engine.models.llama import Llama
from freehold.engine.models.moe import route
from freehold.engine.models.shape import shape_of
from freehold.engine.tensor_types import TensorType
from tests.engine.models.tiny import Tiny, batch, built, forward, metadata, tiny

MIXTRAL: dict[str, Any] = {"expert_count": 8, "expert_used_count": 2}
TOKENS = np.random.default_rng(0).integers(0, 301, 40).astype(np.int32)


def model_of(architecture: str, **more: Any) -> Tiny:
    return tiny(architecture, **(MIXTRAL if architecture == "llama" else {}), **more)


def run(model: Llama, sequence: int, tokens: np.ndarray[Any, Any], *cuts: int) -> np.ndarray[Any, Any]:
    model.cache.reserve(sequence, len(tokens))
    edges = [0, *cuts, len(tokens)]
    return np.concatenate([model.step(batch((sequence, a, tokens[a:b]))) for a, b in itertools.pairwise(edges)])


@pytest.mark.parametrize("kernels", host_targets())
@pytest.mark.parametrize("architecture", ["llama", "qwen3moe"])
def test_logits_equal_a_plain_pass(architecture: str, kernels: str) -> None:
    model = model_of(architecture)
    computing = built(model, kernels=kernels, threads=2)
    found, expected = run(computing, computing.cache.open(), TOKENS), forward(model, TOKENS)
    computing.close()
    # An activation at the border of two signed bytes may round either way: that is all the two may differ by.
    apart = np.abs(found - expected) / expected.std()
    assert apart.mean() < 0.01
    assert apart.max() < 0.2


def test_experts_may_be_floats() -> None:
    model = model_of("qwen3moe", type_=TensorType.F32)
    computing = built(model)
    found, expected = run(computing, computing.cache.open(), TOKENS), forward(model, TOKENS)
    computing.close()
    apart = np.abs(found - expected) / expected.std()
    assert apart.mean() < 0.001
    assert apart.max() < 0.02


def test_a_tokens_logits_depend_on_its_own_sequence_alone() -> None:
    computing = built(model_of("qwen3moe"))
    alone = run(computing, computing.cache.open(), TOKENS, 1, 2, 17, 18)
    a, b = computing.cache.open(), computing.cache.open()
    for sequence in (a, b):
        computing.cache.reserve(sequence, len(TOKENS))
    together = computing.step(batch((a, 0, TOKENS), (b, 0, TOKENS[::-1])))
    computing.close()
    assert np.array_equal(together[: len(TOKENS)], alone)


def test_the_number_of_threads_changes_nothing() -> None:
    model = model_of("llama")
    outs = []
    for threads in (1, 3):
        computing = built(model, threads=threads)
        outs.append(run(computing, computing.cache.open(), TOKENS, 5))
        computing.close()
    assert np.array_equal(outs[0], outs[1])


def test_routing_takes_the_best_and_scales_their_shares_to_one() -> None:
    scores = np.array([[0.0, 3.0, 1.0, 2.0], [5.0, 5.0, 5.0, 5.0], [9.0, 0.0, 0.0, 8.0]], np.float32)
    routing = route(scores, 2)
    assert routing.wanted.tolist() == [0, 1, 3]
    assert routing.firsts.tolist() == [0, 2, 4]
    assert routing.counts.tolist() == [2, 2, 2]
    assert routing.token_of_slot.tolist() == [1, 2, 0, 1, 0, 2]
    assert routing.slot_of_pick.tolist() == [[2, 4], [0, 3], [1, 5]]
    weight = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(routing.weights, [[weight, 1 - weight], [0.5, 0.5], [weight, 1 - weight]], rtol=1e-6)


@pytest.mark.parametrize(
    ("architecture", "changes", "words"),
    [
        ("qwen2", {"expert_count": 8}, "expert_count 8 is not supported for qwen2"),
        ("llama", MIXTRAL | {"expert_used_count": 9}, "9 of 8 experts for each token"),
        ("llama", MIXTRAL | {"expert_gating_func": 2}, "expert_gating_func 2 is not supported"),
        ("llama", MIXTRAL | {"expert_shared_count": 1}, "expert_shared_count 1 is not supported"),
        ("llama", MIXTRAL | {"expert_weights_norm": False}, "expert_weights_norm is not supported"),
    ],
)
def test_mixtures_of_other_kinds_are_refused_by_name(architecture: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UnsupportedArtefact, match=words):
        shape_of(metadata(architecture, **changes), tiny().tensors)


def test_what_a_mixture_lacks_is_named() -> None:
    with pytest.raises(MalformedArtefact, match=r"no qwen3moe.expert_count"):
        shape_of(metadata("qwen3moe", expert_count=0), tiny().tensors)
    with pytest.raises(MalformedArtefact, match=r"no llama.expert_used_count"):
        shape_of(metadata("llama", expert_count=8), tiny().tensors)
    model = model_of("llama")
    tensors = {name: tensor for name, tensor in model.tensors.items() if name != "blk.1.ffn_up_exps.weight"}
    with pytest.raises(MalformedArtefact, match=r"no tensor blk.1.ffn_up_exps.weight"):
        shape_of(model.metadata, tensors)
