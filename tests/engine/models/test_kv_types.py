"""Attention over keys and values of one byte, against the plain forward pass over the same, and against f16."""

from typing import Any

import numpy as np
import pytest

from freehold.engine.kernels import reference
from freehold.engine.kernels.targets import host_targets
from freehold.engine.kv_cache import PAGE_POSITIONS, KvCache, KvType
from freehold.engine.tensor_types import TensorType
from tests.engine.models.test_llama import PROMPT, cut, log_probabilities, stepped, whole
from tests.engine.models.tiny import built, forward, tiny

CASES: list[tuple[str, str, dict[str, Any]]] = [
    *((kernels, "llama", {}) for kernels in host_targets()),
    (host_targets()[0], "qwen2", {"attention.head_count": 2, "attention.head_count_kv": 1}),  # heads of 128
    (host_targets()[0], "llama", {"attention.key_length": 96, "attention.value_length": 96}),
]


@pytest.mark.parametrize(("kernels", "architecture", "changes"), CASES, ids=str)
def test_logits_equal_the_reference_over_bytes(kernels: str, architecture: str, changes: dict[str, Any]) -> None:
    model = tiny(architecture, TensorType.Q8_0, **changes)
    llama = built(model, kernels=kernels, kv_type=KvType.Q8)
    ours = log_probabilities(whole(llama, PROMPT[:80]))
    llama.close()
    expected = log_probabilities(forward(model, PROMPT[:80], kv_type=KvType.Q8))
    # Here as in test_llama: what is at the border of two bytes may round either way.
    assert np.abs(ours - expected).mean() < 0.01 * expected.std()
    assert np.abs(ours - expected).max() < 0.1 * expected.std()


@pytest.mark.parametrize("kernels", host_targets())
def test_chunks_and_mates_do_not_change_a_bit(kernels: str) -> None:
    llama = built(tiny("qwen2", TensorType.Q4_K), kernels=kernels, kv_type=KvType.Q8)
    expected = whole(llama, PROMPT)
    for sizes, mates in (([7], 0), ([1], 1), ([64], 3), ([65, 3], 2)):
        assert np.array_equal(stepped(llama, cut(sizes), mates), expected)
    llama.close()


def test_stale_bytes_of_an_ended_sequence_do_not_matter() -> None:
    llama = built(tiny(), pages=3, kv_type=KvType.Q8)
    expected = whole(llama, PROMPT[:100])
    llama.cache.store[:] = 0xFF  # bytes of -1, scales of NaN
    assert np.array_equal(whole(llama, PROMPT[:100]), expected)
    llama.close()


def test_an_element_is_off_by_at_most_half_a_step() -> None:
    x = np.random.default_rng(2).standard_normal((50, 2, 64)).astype(np.float32) * 7
    x[3] = 0
    error = np.abs(reference.held(x, KvType.Q8) - x)
    assert (error <= np.abs(x).max(-1, keepdims=True) / 254 * (1 + 1e-6)).all()


def test_bytes_change_little_of_what_a_model_says() -> None:
    model = tiny("llama", TensorType.Q8_0)
    found = []
    for kv_type in KvType:
        llama = built(model, kv_type=kv_type)
        found.append(log_probabilities(whole(llama, PROMPT)))
        llama.close()
    assert 0 < np.abs(found[0] - found[1]).mean() < 0.05 * found[0].std()


@pytest.mark.parametrize(("head_dim", "share"), [(64, 0.54), (128, 0.52)])
def test_bytes_take_half_the_memory(head_dim: int, share: float) -> None:
    halves, bytes_ = (KvCache.page_bytes(2, 1, head_dim, kv_type) for kv_type in KvType)
    assert bytes_ < share * halves
    kv = KvCache(2, 1, head_dim, 3, 1, 3, KvType.Q8)
    assert kv.store.nbytes == 3 * bytes_
    assert kv.store[2].flags.c_contiguous
    assert bytes_ % PAGE_POSITIONS == 0
