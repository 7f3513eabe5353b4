from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from freehold.core.errors import DeviceError, MalformedArtefact, UnsupportedArtefact
from freehold.engine.convert import QUANTS, plan_conversion
from freehold.engine.header import ModelHeader, read_path
from freehold.engine.kernels.reference import dequantise
from freehold.engine.kv_cache import KvCache
from freehold.engine.models.llama import Llama
from freehold.engine.models.shape import shape_of
from freehold.engine.tensor_types import Tensor, TensorType
from freehold.engine.weights import Weights
from tests.engine.models.tiny import batch
from tests.engine.models_on_disk import verified_directory
from tests.fakes.tiny_directory import CONFIGS, EXPERTS, safetensors, tiny_directory
from tests.fakes.tiny_gguf import tiny_metadata, tiny_tensors, write_gguf

PROMPT = np.random.default_rng(3).integers(0, 260, 40).astype(np.int32)


def converted(source: Path, path: Path, quant: str) -> ModelHeader:
    plan_conversion(source, quant).write(path, lambda done, total: None)
    assert path.stat().st_size == plan_conversion(source, quant).size_bytes
    assert not list(path.parent.glob(".*.part"))
    return read_path(path)


def assert_kept(metadata: Mapping[str, Any], header: ModelHeader) -> None:
    for key, value in metadata.items():
        np.testing.assert_array_equal(header.metadata[key], np.float32(value) if isinstance(value, float) else value)


def logits(path: Path) -> npt.NDArray[np.float32]:
    """Of a prompt, by the model at a path, whatever its format."""
    header = read_path(path)
    directory = path if path.is_dir() else path.parent
    files = [np.fromfile(directory / name, np.uint8) for name in header.files]
    tensors = {}
    for info in header.tensors.values():
        stored = files[info.part][info.offset : info.offset + info.size_bytes]
        data = np.array(stored if info.convert is None else info.convert(stored))
        tensors[info.name] = Tensor(name=info.name, type=info.type, shape=info.shape, data=data)
    shape = shape_of(header.metadata, tensors)
    cache = KvCache(shape.layers, shape.kv_heads, shape.head_dim, 4, 1, 4)
    model = Llama(shape, tensors, cache, 1)
    cache.reserve(cache.open(), len(PROMPT))
    try:
        return model.step(batch((0, 0, PROMPT)))
    finally:
        model.close()


@pytest.mark.parametrize("family", CONFIGS)
def test_every_family_becomes_a_file_that_we_run(family: str, tmp_path: Path) -> None:
    tiny_directory(tmp_path / "source", family)
    header = converted(tmp_path / "source", tmp_path / "out.gguf", "Q8_0")
    shape_of(header.metadata, header.tensors)
    assert_kept({key: value for key, value in read_path(tmp_path / "source").metadata.items() if key != "freehold.rope"}, header)
    assert "freehold.rope" not in header.metadata


@pytest.mark.parametrize("family", ["llama", "gemma3", "phi3"])  # rows that change places, norms with their one, factors
def test_a_directory_and_the_file_made_of_it_give_the_same(family: str, tmp_path: Path) -> None:
    tiny_directory(tmp_path / "source", family)
    converted(tmp_path / "source", tmp_path / "out.gguf", "F16")
    directly, by_file = logits(tmp_path / "source"), logits(tmp_path / "out.gguf")
    assert directly.std() > 0.1
    # bfloat16's numbers of this size are float16's as well: only the order of sums differs.
    np.testing.assert_allclose(by_file, directly, atol=1e-3 * directly.std())


@pytest.mark.parametrize("quant", QUANTS)
def test_weights_are_those_of_the_source_in_the_type_that_was_asked_for(quant: str, tmp_path: Path) -> None:
    weights = tiny_directory(tmp_path / "source", "qwen2", shards=2, num_hidden_layers=8, intermediate_size=256)
    header = converted(tmp_path / "source", tmp_path / "out.gguf", quant)
    assert header.metadata["general.file_type"] == QUANTS[quant]
    names = {"attn_q": "self_attn.q_proj", "attn_v": "self_attn.v_proj", "ffn_down": "mlp.down_proj"}
    for ours, theirs in names.items():
        for layer in range(8):
            info = header.tensors[f"blk.{layer}.{ours}.weight"]
            raw = np.fromfile(tmp_path / "out.gguf", np.uint8, info.size_bytes, offset=info.offset)
            found = dequantise(info.type, raw.reshape(info.shape[1], -1))
            expected = weights[f"model.layers.{layer}.{theirs}.weight"]
            rms = np.sqrt(np.mean((found - expected) ** 2)) / expected.std()
            assert rms < {"F16": 1e-3, "Q8_0": 0.01, "Q6_K": 0.025, "Q4_K": 0.08}[info.type.name]
            if quant == "Q4_K_M":
                gets_more = ours != "attn_q" and layer in (0, 3, 6, 7)  # an eighth at each end, and every third between
                assert info.type is (TensorType.Q6_K if gets_more else TensorType.Q4_K)
            else:
                assert info.type is TensorType[quant]
    assert header.tensors["blk.0.attn_q.bias"].type is TensorType.F32
    assert header.tensors["token_embd.weight"].type.name == ("Q6_K" if quant == "Q4_K_M" else quant)  # it is the head, too


def test_rows_that_are_no_whole_blocks_of_256_get_blocks_of_32(tmp_path: Path) -> None:
    tiny_directory(tmp_path / "source", "llama", hidden_size=192, num_attention_heads=3, num_key_value_heads=1)
    header = converted(tmp_path / "source", tmp_path / "out.gguf", "Q4_K_M")
    assert header.tensors["blk.0.attn_q.weight"].type is TensorType.Q5_0
    assert header.tensors["output.weight"].type is TensorType.Q8_0
    assert header.tensors["blk.1.ffn_down.weight"].type is TensorType.Q6_K  # its rows have 512


def test_a_gguf_of_floats_is_a_source_too(tmp_path: Path) -> None:
    metadata = tiny_metadata()
    (tmp_path / "in.gguf").write_bytes(write_gguf(metadata, tiny_tensors(metadata)))
    header = converted(tmp_path / "in.gguf", tmp_path / "out.gguf", "Q8_0")
    assert header.tensors["token_embd.weight"].type is TensorType.Q8_0
    assert_kept(metadata, header)
    with pytest.raises(UnsupportedArtefact, match="Q8_0, quantised already"):
        plan_conversion(tmp_path / "out.gguf", "Q8_0")


def test_experts_are_made_smaller_and_their_router_is_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    metadata = tiny_metadata(**{"llama.expert_count": 4, "llama.expert_used_count": 2})
    tensors = tiny_tensors(metadata)
    for layer in range(2):
        for part in ("gate", "up", "down"):
            rows, columns = tensors.pop(f"blk.{layer}.ffn_{part}.weight").shape
            tensors[f"blk.{layer}.ffn_{part}_exps.weight"] = rng.standard_normal((4, rows, columns)).astype(np.float32)
        tensors[f"blk.{layer}.ffn_gate_inp.weight"] = rng.standard_normal((4, 64)).astype(np.float32)
    (tmp_path / "in.gguf").write_bytes(write_gguf(metadata, tensors))
    header = converted(tmp_path / "in.gguf", tmp_path / "out.gguf", "Q8_0")
    assert header.tensors["blk.0.ffn_gate_inp.weight"].type is TensorType.F32
    info = header.tensors["blk.1.ffn_up_exps.weight"]
    assert (info.type, info.shape) == (TensorType.Q8_0, (64, 96, 4))
    raw = np.fromfile(tmp_path / "out.gguf", np.uint8, info.size_bytes, offset=info.offset)
    found = dequantise(info.type, raw.reshape(4 * 96, -1)).reshape(4, 96, 64)
    np.testing.assert_allclose(found, tensors[info.name], atol=0.02)


@pytest.mark.parametrize("family", EXPERTS)
def test_experts_that_lie_apart_are_put_together(family: str, tmp_path: Path) -> None:
    weights = tiny_directory(tmp_path / "source", family, shards=2)
    header = converted(tmp_path / "source", tmp_path / "out.gguf", "F16")
    block, names = EXPERTS[family]
    for ours, theirs in zip(("gate", "up", "down"), names, strict=True):
        info = header.tensors[f"blk.1.ffn_{ours}_exps.weight"]
        raw = np.fromfile(tmp_path / "out.gguf", np.float16, info.size_bytes // 2, offset=info.offset)
        for expert, found in enumerate(raw.astype(np.float32).reshape(info.shape[::-1])):
            expected = weights[f"model.layers.1.{block}.experts.{expert}.{theirs}.weight"]
            np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(UnsupportedArtefact, match="models convert"):
        Weights(verified_directory(tmp_path / "source"))
    (tmp_path / "source" / "model-00002-of-00002.safetensors").write_bytes(safetensors({}))
    with pytest.raises(MalformedArtefact, match="experts of blk"):
        read_path(tmp_path / "source")


def test_gguf_files_can_be_read_by_ggufs_own_reader(tmp_path: Path) -> None:
    gguf: Any = pytest.importorskip("gguf")
    tiny_directory(tmp_path / "source", "gemma3", pieces=True)
    header = converted(tmp_path / "source", tmp_path / "out.gguf", "Q6_K")
    reader = gguf.GGUFReader(tmp_path / "out.gguf")
    assert {tensor.name: tensor.tensor_type.name for tensor in reader.tensors} == {
        info.name: info.type.name for info in header.tensors.values()
    }
    assert reader.fields["general.architecture"].contents() == "gemma3"
    assert reader.fields["tokenizer.ggml.tokens"].contents() == header.metadata["tokenizer.ggml.tokens"]


def test_a_weight_that_is_no_number_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    tiny_directory(tmp_path / "source", "llama", dtype="F32")
    file = tmp_path / "source" / "model.safetensors"
    raw = bytearray(file.read_bytes())
    info = read_path(tmp_path / "source").tensors["blk.1.ffn_up.weight"]
    raw[info.offset : info.offset + 4] = np.float32(np.nan).tobytes()
    file.write_bytes(raw)
    with pytest.raises(MalformedArtefact, match=r"blk\.1\.ffn_up\.weight: a weight is not a finite number"):
        converted(tmp_path / "source", tmp_path / "out.gguf", "Q8_0")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_what_cannot_be_written_or_read_is_told(tmp_path: Path) -> None:
    tiny_directory(tmp_path / "source", "llama")
    with pytest.raises(DeviceError, match="cannot write"):
        plan_conversion(tmp_path / "source", "Q8_0").write(tmp_path / "absent" / "out.gguf", lambda done, total: None)
    with pytest.raises(DeviceError, match="there is no"):
        plan_conversion(tmp_path / "nowhere", "Q8_0")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnsupportedArtefact, match=r"neither a \.gguf file nor"):
        plan_conversion(tmp_path / "empty", "Q8_0")


def test_tensors_may_lie_at_any_even_byte(tmp_path: Path) -> None:
    tiny_directory(tmp_path / "even", "llama")
    tiny_directory(tmp_path / "odd", "llama")
    file = tmp_path / "odd" / "model.safetensors"
    raw = file.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    # White space, so that data begin at a multiple of two alone.
    file.write_bytes((size + 2).to_bytes(8, "little") + raw[8 : 8 + size] + b"  " + raw[8 + size :])
    np.testing.assert_array_equal(logits(tmp_path / "odd"), logits(tmp_path / "even"))
    file.write_bytes((size + 1).to_bytes(8, "little") + raw[8 : 8 + size] + b" " + raw[8 + size :])
    with pytest.raises(UnsupportedArtefact, match="no multiple of 2"):
        read_path(tmp_path / "odd")


def test_an_empty_tensor_is_no_model(tmp_path: Path) -> None:
    tiny_directory(tmp_path, "llama")
    (tmp_path / "more.safetensors").write_bytes(safetensors({"model.norm.weight": ("F32", np.zeros(0, np.float32))}))
    with pytest.raises(UnsupportedArtefact, match="is empty"):
        read_path(tmp_path)
