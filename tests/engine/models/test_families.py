"""Every family against the NumPy forward pass of `tiny`, which is written without looking at `models.families`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact
from freehold.engine.kernels.graph import Rope
from freehold.engine.kernels.targets import host_targets
from freehold.engine.kv_cache import PAGE_POSITIONS
from freehold.engine.models.families import FAMILIES
from freehold.engine.models.llama import Llama
from freehold.engine.models.shape import shape_of
from freehold.engine.tensor_types import TensorType
from tests.engine.models.test_llama import PROMPT, log_probabilities, stepped, whole
from tests.engine.models.test_streaming import EVERYTHING, gguf_of, loaded
from tests.engine.models.tiny import Tiny, batch, built, forward, metadata, tiny
from tests.engine.models_on_disk import verified_model

BEYOND_LLAMA = [name for name in FAMILIES if name not in ("llama", "qwen2")]  # those two are test_llama's
LENGTH = 150  # three pages, and longer than every window


def assert_close(model: Tiny, llama: Llama, *, long: bool = False, positions: slice = slice(None)) -> None:
    ours, expected = (
        log_probabilities(logits)[positions]
        for logits in (whole(llama, PROMPT[:LENGTH]), forward(model, PROMPT[:LENGTH], long=long))
    )
    llama.close()
    apart = np.abs(ours - expected) / expected.std()  # floats against floats: keys and values rounded to f16 are all there is
    assert apart.mean() < 0.001
    assert apart.max() < 0.02


def with_facts(architecture: str, changes: dict[str, Any]) -> Tiny:
    return tiny(architecture, TensorType.F32, **changes)


@pytest.mark.parametrize("architecture", BEYOND_LLAMA)
def test_logits_equal_the_reference_forward_pass(architecture: str) -> None:
    model = tiny(architecture, TensorType.F32)
    assert_close(model, built(model))


@pytest.mark.parametrize("kernels", host_targets())
def test_all_that_a_graph_may_have_runs_on_every_target(kernels: str) -> None:
    facts = {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0, "rope.dimension_count": 32}
    model = with_facts("gemma3", facts)  # which has the rest
    assert_close(model, built(model, kernels=kernels))


@pytest.mark.parametrize("architecture", ["gemma2", "gemma3", "phi3"])
def test_chunks_and_mates_do_not_change_a_bit(architecture: str) -> None:
    model = built(tiny(architecture), threads=2)
    expected = whole(model, PROMPT)
    for cuts in ([1] * LENGTH, [*[7] * 21, 3], [64, 3, 64, 3, 16]):
        assert np.array_equal(stepped(model, cuts, mates=2), expected)
    model.close()


@pytest.mark.parametrize("architecture", ["gemma3", "phi3"])
def test_read_from_disk_in_tiles_they_compute_the_same_bits(architecture: str, tmp_path: Path) -> None:
    model = verified_model(tmp_path, gguf_of(tiny(architecture)))
    outs = []
    for memory_bytes in (EVERYTHING, 0):
        llama, placement = loaded(model, memory_bytes, threads=2)
        outs.append(whole(llama, PROMPT[:70]))
        llama.close()
    assert placement.streamed
    assert np.array_equal(outs[0], outs[1])


@pytest.mark.parametrize("window", [1, 3, 63, 64, 65, 129])
def test_a_window_of_any_length_hides_what_is_older(window: int) -> None:
    model = with_facts("llama", {"attention.sliding_window": window})
    assert_close(model, built(model))


def test_what_a_window_hides_is_not_read() -> None:
    model = with_facts("llama", {"attention.sliding_window": 40, "block_count": 1})
    llama = built(model)
    expected = whole(llama, PROMPT)
    sequence = llama.cache.open()
    llama.cache.reserve(sequence, len(PROMPT))
    llama.step(batch((sequence, 0, PROMPT[:-1])))
    page = llama.cache.block_tables[sequence, 0]
    llama.cache.store[page] = 0x7E00  # NaN: positions 0 to 63, and the window begins at 110
    assert np.array_equal(llama.step(batch((sequence, len(PROMPT) - 1, PROMPT[-1:]))), expected[-1:])
    llama.close()


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("llama", {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
        ("llama", {"rope.scaling.factor": 4.0}),  # no type: linear
        ("llama", {"rope.dimension_count": 32}),
        ("qwen2", {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 64}),
        ("gemma3", {"rope.scaling.type": "none", "final_logit_softcapping": 2.0}),
        ("gemma2", {"attn_logit_softcapping": 0.0, "final_logit_softcapping": 0.0}),
        ("phi3", {"tied": False, "attention.sliding_window": 0}),
    ],
    ids=lambda v: v if isinstance(v, str) else ",".join(v),
)
def test_variants_run(architecture: str, changes: dict[str, Any]) -> None:
    model = tiny(architecture, TensorType.F32, **changes)
    assert_close(model, built(model))


@pytest.mark.parametrize("long", [False, True])
def test_the_context_decides_between_short_and_long_factors(long: bool) -> None:
    model = tiny("phi3", TensorType.F32, factors=True)  # made for 512 positions
    assert_close(model, built(model, pages=24 if long else 512 // PAGE_POSITIONS), long=long)


def test_weights_in_another_order_turn_as_their_file_says() -> None:
    model = tiny("llama", TensorType.F32)
    shape = shape_of(model.metadata | {"freehold.rope": "halves"}, model.tensors)
    assert (model.shape.graph.rope, shape.graph.rope) == (Rope.INTERLEAVED, Rope.HALVES)


def test_the_size_that_scales_its_queries_otherwise_does() -> None:
    facts = {"attention.key_length": 32, "attention.value_length": 32, "embedding_length": 64, "feed_forward_length": 32}
    usual, odd = (with_facts("gemma2", facts | {"block_count": layers}).shape for layers in (2, 46))
    assert usual.graph.query_scale == 32**-0.5
    assert odd.graph.query_scale == (64 / 4) ** -0.5


def test_which_layers_have_windows() -> None:
    assert [tiny("gemma2").shape.window_of(layer) for layer in range(3)] == [24, 0, 24]
    assert [tiny("gemma3").shape.window_of(layer) for layer in range(7)] == [24] * 5 + [0, 24]
    assert [r.base for r in tiny("gemma3").shape.rotations] == [1e4, 1e6]
    assert with_facts("llama", {"attention.sliding_window": 512}).shape.windowed_layers == frozenset()  # hides nothing
    listed = with_facts("gemma3", {"attention.sliding_window_pattern": np.array([1, 0, 1, 0, 1, 0, 1], np.bool_)})
    assert listed.shape.windowed_layers == {0, 2, 4, 6}


def test_parts_of_a_fused_tensor_are_rows_of_it() -> None:
    shape = tiny("phi3").shape  # 4 heads of 64, 2 for keys; 512 wide
    assert shape.source("blk.1.attn_q.weight") == ("blk.1.attn_qkv.weight", 0)
    assert shape.source("blk.1.attn_v.weight") == ("blk.1.attn_qkv.weight", 6 * 64)
    assert shape.source("blk.1.ffn_gate.weight") == ("blk.1.ffn_up.weight", 0)
    assert shape.source("blk.1.ffn_up.weight") == ("blk.1.ffn_up.weight", 512)
    assert shape.source("blk.1.ffn_down.weight") == ("blk.1.ffn_down.weight", 0)


@pytest.mark.parametrize(
    ("architecture", "facts", "words"),
    [
        ("qwen2", {"attention.sliding_window": 64}, "qwen2.attention.sliding_window 64 is not supported for qwen2"),
        ("gemma3", {"attention.head_count": 3}, "head count 3 is not a multiple of 2"),
        ("phi3", {"attention.clamp_kqv": 2.0}, "phi3.attention.clamp_kqv 2.0 is not supported"),
    ],
)
def test_unfit_metadata_is_named(architecture: str, facts: dict[str, Any], words: str) -> None:
    with pytest.raises(UnsupportedArtefact, match=words):
        shape_of(metadata(architecture, **facts), tiny(architecture).tensors)


def test_missing_norms_are_named() -> None:
    model = tiny("gemma3")
    tensors = {name: tensor for name, tensor in model.tensors.items() if name != "blk.3.post_ffw_norm.weight"}
    with pytest.raises(MalformedArtefact, match=r"no tensor blk\.3\.post_ffw_norm\.weight"):
        shape_of(model.metadata, tensors)


@pytest.mark.parametrize("architecture", FAMILIES)
def test_a_pass_uses_every_row_of_the_file_once(architecture: str) -> None:
    model = tiny(architecture)
    used: dict[str, list[tuple[int, int]]] = {}
    for group in model.shape.order():
        for use in group:
            assert use.rows % use.multiple == 0 or use.name == "token_embd.weight" or "ffn_gate_inp" in use.name
            used.setdefault(use.tensor, []).append((use.first_row, use.first_row + use.rows))
    matrices = {name: tensor.rows for name, tensor in model.tensors.items() if len(tensor.shape) == 2}  # no experts
    for name, rows in matrices.items():
        ends = [0, *(end for pair in sorted(used[name]) for end in pair), rows]
        assert all(ends[i] == ends[i + 1] for i in range(0, len(ends), 2))
    assert used.keys() == matrices.keys()
