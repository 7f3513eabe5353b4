"""A mixture whose experts are read when a token takes them computes what it computes in memory, bit for bit."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from freehold.core.errors import DeviceError, VerificationError
from freehold.core.models import VerifiedModel
from freehold.engine import runtime as runtime_module
from freehold.engine.budget import Plan, plan
from freehold.engine.expert_cache import ExpertSeals, ExpertStats
from freehold.engine.kv_cache import KvCache
from freehold.engine.models.moe import MixtureModel
from freehold.engine.models.shape import shape_of
from freehold.engine.tensor_types import TensorType
from freehold.engine.tiers import Placement, place
from freehold.engine.weights import Weights
from tests.engine.models.test_moe import TOKENS, run
from tests.engine.models.test_streaming import gguf_of
from tests.engine.models.tiny import built, tiny
from tests.engine.models_on_disk import verified_model
from tests.engine.test_runtime import answers, runtime, submit, user
from tests.fakes.tiny_gguf import tiny_metadata, tiny_tensors, write_gguf

MIXTURE = tiny("qwen3moe", TensorType.Q4_1)
EXPERTS = 2 * 24


@pytest.fixture
def model(tmp_path: Path) -> VerifiedModel:
    return verified_model(tmp_path, gguf_of(MIXTURE))


def placed(weights: Weights, memory_bytes: int) -> Placement:
    shape = shape_of(weights.header.metadata, weights.header.tensors)
    return place(
        shape.order(),
        weights.header.tensors,
        memory_bytes,
        experts=shape.expert_uses(),
        experts_used=shape.experts_used,
        tile_bytes=20_000,
    )


def whole_bytes(model: VerifiedModel) -> int:
    weights = Weights(model)
    weights.close()
    return placed(weights, 1 << 40).memory_bytes


def loaded(model: VerifiedModel, memory_bytes: int, *, slots: int | None = None, threads: int = 1) -> MixtureModel:
    weights = Weights(model)
    shape, placement = shape_of(weights.header.metadata, weights.header.tensors), placed(weights, memory_bytes)
    seals = ExpertSeals(placement.experts)
    found = weights.load(lambda *_: None, placement, beside=seals)
    assert found.streaming is not None
    experts = seals.open(found.streaming.files, found.streaming.sealer, slots or placement.expert_slots)
    cache = KvCache(shape.layers, shape.kv_heads, shape.head_dim, 12, 4, 4)
    return MixtureModel(shape, found.tensors, cache, threads, streaming=found.streaming, experts=experts)


def stats_of(model: MixtureModel) -> ExpertStats:
    stats = model.expert_stats()
    assert stats is not None
    return stats


def resident(*cuts: int) -> np.ndarray[Any, Any]:
    computing = built(MIXTURE)
    out = run(computing, computing.cache.open(), TOKENS, *cuts)
    computing.close()
    return out


@pytest.mark.parametrize("slots", [1, 2, 7, None], ids=lambda slots: f"{slots} slots")
@pytest.mark.parametrize("threads", [1, 2])
def test_read_or_resident_the_answer_is_the_same(model: VerifiedModel, slots: int | None, threads: int) -> None:
    computing = loaded(model, whole_bytes(model) * 2 // 3, slots=slots, threads=threads)
    cuts = (7, 8, 9, 30)
    assert np.array_equal(run(computing, computing.cache.open(), TOKENS, *cuts), resident(*cuts))
    computing.close()


def test_dense_parts_may_be_streamed_beside_experts(model: VerifiedModel) -> None:
    computing = loaded(model, 0)
    assert computing.stream_stats() is not None
    assert np.array_equal(run(computing, computing.cache.open(), TOKENS, 20), resident(20))
    stats = computing.stream_stats()
    assert stats is not None
    assert stats.tiles > 0
    computing.close()


def test_what_was_used_is_not_read_again(model: VerifiedModel) -> None:
    computing = loaded(model, whole_bytes(model) * 3 // 4)
    stats = []
    for _ in range(4):
        sequence = computing.cache.open()
        run(computing, sequence, TOKENS[:6], 1, 2, 3, 4, 5)
        computing.cache.free(sequence)
        stats.append(stats_of(computing))
    computing.close()
    each = np.diff([0, *(found.read_bytes for found in stats)])
    assert each[0] > 0
    assert each[-1] < each[0] / 4
    assert stats[-1].taken > 3 * stats[-1].read


def test_only_experts_that_a_token_takes_are_read(model: VerifiedModel) -> None:
    computing = loaded(model, whole_bytes(model) * 3 // 4)
    run(computing, computing.cache.open(), TOKENS[:1])
    stats = stats_of(computing)
    computing.close()
    assert stats.taken == stats.read == 2 * 4  # layers, experts of a token


def test_a_changed_expert_is_found_before_it_is_computed(model: VerifiedModel) -> None:
    computing = loaded(model, whole_bytes(model) * 2 // 3, slots=4)
    sequence = computing.cache.open()
    run(computing, sequence, TOKENS[:3])
    path = model.directory / "model.gguf"
    good = path.read_bytes()
    weights = Weights(model)
    info = weights.header.tensors["blk.1.ffn_up_exps.weight"]
    weights.close()
    with path.open("r+b") as file:
        file.seek(info.offset)
        file.write(bytes(byte ^ 1 for byte in good[info.offset : info.offset + info.size_bytes]))
        file.flush()
        os.fsync(file.fileno())
    computing.cache.reserve(sequence, len(TOKENS))
    with pytest.raises(VerificationError, match="are not what they were when the model was loaded"):
        run(computing, sequence, TOKENS)
    path.write_bytes(good)
    expected = built(MIXTURE)
    assert np.array_equal(run(computing, sequence, TOKENS), run(expected, expected.cache.open(), TOKENS))  # and goes on
    expected.close()
    computing.close()


def test_a_file_cut_short_is_a_clear_error(model: VerifiedModel) -> None:
    computing = loaded(model, whole_bytes(model) * 2 // 3, slots=4)
    sequence = computing.cache.open()
    os.truncate(model.directory / "model.gguf", 50_000)
    with pytest.raises(DeviceError, match=r"ended at byte .* while it was read"):
        run(computing, sequence, TOKENS)
    computing.close()


def test_a_placement_gives_experts_what_every_pass_leaves(model: VerifiedModel) -> None:
    weights = Weights(model)
    weights.close()
    whole = placed(weights, 1 << 40)
    assert whole.is_whole
    assert sum(len(layer) for layer in whole.experts) == EXPERTS
    for share in (0.3, 0.5, 0.8, 0.95):
        memory = int(share * whole.memory_bytes)
        found = placed(weights, memory)
        assert not found.is_whole
        assert found.memory_bytes <= memory
        assert found.expert_slots >= 4
        assert found.expert_slots == 4 or not found.streamed_bytes


def with_experts() -> bytes:
    """The tiny model, each feed-forward part of it made into four."""
    metadata = tiny_metadata(**{"llama.expert_count": 4, "llama.expert_used_count": 2})
    rng = np.random.default_rng(2)
    tensors: dict[str, np.ndarray[Any, Any]] = {}
    for name, values in tiny_tensors(metadata).items():
        block, _, part = name.removesuffix(".weight").rpartition(".")
        if part in ("ffn_gate", "ffn_up", "ffn_down"):
            tensors[f"{block}.{part}_exps.weight"] = np.stack([values * rng.uniform(0.5, 1.5) for _ in range(4)])
        else:
            tensors[name] = values
        if part == "ffn_norm":
            tensors[f"{block}.ffn_gate_inp.weight"] = rng.normal(0, 0.5, (4, values.size)).astype(np.float32)
    return write_gguf(metadata, tensors)


def test_an_engine_answers_alike_with_experts_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = verified_model(tmp_path, with_experts()), [submit(i, user("hello " * (1 + i))) for i in range(3)]
    whole = runtime(model)
    expected = answers(whole, *asked)
    whole.model.close()

    def few_experts(shape: Any, tensors: Any, *others: Any) -> Plan:
        """A tiny model always fits: this one has two slots for its eight experts all the same."""
        experts = {"experts": shape.expert_uses(), "experts_used": shape.experts_used}
        return replace(plan(shape, tensors, *others), placement=place(shape.order(), tensors, 0, tile_bytes=8192, **experts))

    monkeypatch.setattr(runtime_module, "plan", few_experts)
    streamed = runtime(model)
    assert streamed.plan.placement.expert_slots == 2
    assert answers(streamed, *asked) == expected
    assert isinstance(streamed.model, MixtureModel)
    assert stats_of(streamed.model).read > 0
    streamed.model.close()
