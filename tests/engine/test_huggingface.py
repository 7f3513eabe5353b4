import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tokenizers import Tokenizer

from freehold.core.errors import ArtefactError, MalformedArtefact, UnsupportedArtefact
from freehold.engine.gguf import FilePrefix, TensorInfo
from freehold.engine.huggingface import DirectoryHeader, floats, is_directory, needed, read_directory
from freehold.engine.models.shape import shape_of
from freehold.engine.template import chat_template
from freehold.engine.tensor_types import TensorType
from freehold.engine.tokenizer import read_tokenizer
from tests.fakes.tiny_directory import CONFIGS, tiny_directory


def read(directory: Path) -> DirectoryHeader:
    names = [path.name for path in directory.iterdir()]
    return read_directory(names, lambda name: FilePrefix(directory / name), "tiny")


def loaded(directory: Path, header: DirectoryHeader, info: TensorInfo) -> npt.NDArray[np.float32]:
    raw = (directory / header.files[info.part]).read_bytes()[info.offset : info.offset + info.size_bytes]
    stored = np.frombuffer(raw, np.uint8)
    return floats(info.type, stored if info.convert is None else info.convert(stored)).reshape(info.shape[::-1])


def edited(directory: Path, file: str, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads((directory / file).read_text())
    change(document)
    (directory / file).write_text(json.dumps(document))


@pytest.mark.parametrize("family", CONFIGS)
def test_a_directory_of_every_family_is_one_we_run(family: str, tmp_path: Path) -> None:
    tiny_directory(tmp_path, family)
    header = read(tmp_path)
    shape = shape_of(header.metadata, header.tensors)
    assert (shape.layers, shape.embedding, shape.heads, shape.kv_heads, shape.ffn) == (2, 256, 4, 2, 512)
    assert shape.graph.rope.value == "halves"
    assert shape.context == 512
    assert header.files == ("model.safetensors",)
    assert header.file_bytes == (tmp_path / "model.safetensors").stat().st_size
    tokenizer = read_tokenizer(header.metadata, "tiny")
    assert tokenizer.vocabulary == shape.vocabulary
    assert chat_template(header.metadata, "tiny", bos="", eos="").render([{"role": "user", "content": "hi"}])


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_matrices_are_the_bytes_they_were_and_vectors_float32(dtype: str, tmp_path: Path) -> None:
    weights = tiny_directory(tmp_path, "qwen2", dtype=dtype, shards=3)
    header = read(tmp_path)
    assert len(header.files) == 3
    places: Mapping[str, str] = {
        "token_embd.weight": "model.embed_tokens.weight",
        "blk.1.attn_q.weight": "model.layers.1.self_attn.q_proj.weight",
        "blk.0.ffn_down.weight": "model.layers.0.mlp.down_proj.weight",
        "blk.1.attn_k.bias": "model.layers.1.self_attn.k_proj.bias",
        "blk.0.ffn_norm.weight": "model.layers.0.post_attention_layernorm.weight",
    }
    for name, source in places.items():
        info = header.tensors[name]
        assert info.type is (TensorType[dtype] if len(info.shape) == 2 else TensorType.F32)
        assert (info.convert is None) == (len(info.shape) == 2)
        np.testing.assert_array_equal(loaded(tmp_path, header, info), weights[source])


def test_gemmas_norms_have_their_one_added(tmp_path: Path) -> None:
    weights = tiny_directory(tmp_path, "gemma3")
    header = read(tmp_path)
    for name, source in (("blk.0.attn_q_norm", "self_attn.q_norm"), ("blk.0.post_ffw_norm", "post_feedforward_layernorm")):
        found = loaded(tmp_path, header, header.tensors[f"{name}.weight"])
        np.testing.assert_array_equal(found, weights[f"model.layers.0.{source}.weight"] + np.float32(1))


def test_settings_become_what_a_gguf_says(tmp_path: Path) -> None:
    tiny_directory(tmp_path, "gemma3")
    shape = shape_of(read(tmp_path).metadata, read(tmp_path).tensors)
    assert shape.window == 24
    assert shape.windowed_layers == {0, 1}
    assert (shape.rotation.base, shape.rotation.scale) == (1e6, 8.0)
    assert shape.window_rotation is not None
    assert shape.window_rotation.base == 1e4
    tiny_directory(tmp_path / "phi", "phi3")
    phi = read(tmp_path / "phi")
    assert shape_of(phi.metadata, phi.tensors).rotation.original_context == 256
    assert phi.metadata["phi3.rope.scaling.attn_factor"] == pytest.approx((1 + 1 / 8) ** 0.5)
    np.testing.assert_array_equal(loaded(tmp_path, phi, phi.tensors["rope_factors_long.weight"]), np.full(32, 2.0))


def test_llama_3s_factors_leave_short_waves_alone_and_stretch_long_ones(tmp_path: Path) -> None:
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling |= {"original_max_position_embeddings": 64}
    tiny_directory(tmp_path, "llama", rope_scaling=scaling)
    header = read(tmp_path)
    factors = loaded(tmp_path, header, header.tensors["rope_freqs.weight"])
    assert factors[0] == 1.0
    assert factors[-1] == 8.0
    # arXiv 2407.21783's own code, for one pair in between
    wave = 2 * np.pi * 10000 ** (2 * 4 / 64)
    smooth = (64 / wave - 1) / (4 - 1)
    assert factors[4] == pytest.approx(1 / ((1 - smooth) / 8 + smooth))
    tiny_directory(tmp_path / "new", "llama", rope_theta=None, rope_parameters=scaling | {"rope_theta": 10000.0})
    new = read(tmp_path / "new")
    np.testing.assert_array_equal(loaded(tmp_path / "new", new, new.tensors["rope_freqs.weight"]), factors)


def test_a_head_that_repeats_the_embedding_is_left_out(tmp_path: Path) -> None:
    tiny_directory(tmp_path, "llama")
    edited(tmp_path, "config.json", lambda config: config.update(tie_word_embeddings=True))
    assert "output.weight" not in read(tmp_path).tensors


def test_the_text_part_of_a_model_that_sees_is_read(tmp_path: Path) -> None:
    tiny_directory(tmp_path, "gemma3")
    text = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": text, "vision_config": {}}))
    raw = (tmp_path / "model.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    seen = {f"language_model.{key}" if key.startswith("model.") else key: value for key, value in header.items()}
    end = max(value["data_offsets"][1] for key, value in seen.items() if key != "__metadata__")
    seen["vision_tower.encoder.weight"] = {"dtype": "F32", "shape": [1], "data_offsets": [end, end + 4]}
    changed = json.dumps(seen).encode()
    (tmp_path / "model.safetensors").write_bytes(len(changed).to_bytes(8, "little") + changed + raw[8 + size :] + bytes(4))
    found = read(tmp_path)
    assert shape_of(found.metadata, found.tensors).layers == 2


def test_byte_level_tokenizers_are_the_librarys_own(tmp_path: Path) -> None:
    tiny_directory(tmp_path, "llama")
    ours, theirs = read_tokenizer(read(tmp_path).metadata, "tiny"), Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in ("hello world", "Don't 12345  \n\n 你好 hello", " w ww www"):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids
    assert (ours.eos_id, ours.add_bos) == (2, False)
    assert ours.end_ids == {0, 2}


def test_pieces_are_the_librarys_own(tmp_path: Path) -> None:
    tiny_directory(tmp_path, "llama", pieces=True)
    ours, theirs = read_tokenizer(read(tmp_path).metadata, "tiny"), Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in ("hello world", "held  lower\n", "é 你 hellohello or", "wwor"):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids, text
    assert ours.add_bos
    assert ours.leading_space
    assert (ours.bos_id, ours.eos_id) == (1, 2)


LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@pytest.mark.parametrize(
    ("pattern", "whole_words", "pre"),
    [(LLAMA_3, True, "llama-bpe"), (LLAMA_3, False, "dbrx"), (LLAMA_3.replace("{1,3}", ""), False, "qwen2")],
)
def test_ways_to_split_are_known_by_their_expressions(pattern: str, whole_words: bool, pre: str, tmp_path: Path) -> None:
    tiny_directory(tmp_path, "llama")
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    rename = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}

    def change(document: dict[str, Any]) -> None:
        document["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, rename]}
        document["normalizer"] = {"type": "NFC"}
        document["model"]["ignore_merges"] = whole_words

    edited(tmp_path, "tokenizer.json", change)
    header = read(tmp_path)
    assert header.metadata["tokenizer.ggml.pre"] == pre
    ours, theirs = read_tokenizer(header.metadata, "tiny"), Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in ("Hello WORLD'LL hello", "1234567 12 ab\r\n\n  x", "  hello\t你好  "):
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False).ids


def test_pieces_that_are_split_or_changed_otherwise_are_refused(tmp_path: Path) -> None:
    tiny_directory(tmp_path, "llama", pieces=True)
    edited(tmp_path, "tokenizer.json", lambda document: document.update(pre_tokenizer={"type": "Whitespace"}))
    with pytest.raises(UnsupportedArtefact, match="splits pieces by 'Whitespace'"):
        read(tmp_path)
    edited(tmp_path, "tokenizer.json", lambda document: document.update(pre_tokenizer={"type": "Metaspace", "split": False}))
    assert read(tmp_path).metadata["tokenizer.ggml.add_space_prefix"] is True
    edited(tmp_path, "tokenizer.json", lambda document: document.update(normalizer={"type": "Replace", "content": "x"}))
    with pytest.raises(UnsupportedArtefact, match="changes text by 'Replace'"):
        read(tmp_path)


def test_a_template_of_its_own_file_is_taken(tmp_path: Path) -> None:
    tiny_directory(tmp_path, "llama")
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}!")
    assert read(tmp_path).metadata["tokenizer.chat_template"] == "{{ messages[0].content }}!"


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("config.json", {"auto_map": {"AutoModel": "evil.Model"}}, "code of its own"),
        ("config.json", {"quantization_config": {"quant_method": "gptq"}}, "unquantised weights"),
        ("config.json", {"model_type": "mamba"}, "model_type 'mamba' is not supported"),
        ("config.json", {"model_type": ["llama"]}, "is not supported"),
        ("config.json", {"hidden_act": "relu"}, "hidden_act 'relu' is not supported"),
        ("config.json", {"rope_scaling": {"rope_type": "dynamic"}}, "rope scaling 'dynamic'"),
        ("config.json", {"model_type": "qwen3_moe", "norm_topk_prob": False}, "norm_topk_prob False is not supported"),
        ("config.json", {"model_type": "smollm3", "no_rope_layers": [0, 1]}, "no_rope_layers other"),
        ("config.json", {"rope_scaling": 3}, "rope_scaling is not an object"),
        ("config.json", {"hidden_size": "256"}, "hidden_size '256' is not a positive"),
        ("config.json", {"attention_bias": True}, "attention_bias"),
        ("tokenizer.json", {"model": {"type": "Unigram", "vocab": []}}, "'Unigram' model"),
        ("tokenizer.json", {"pre_tokenizer": {"type": "Whitespace"}}, "not known: by 'Whitespace'"),
        ("tokenizer.json", {"normalizer": {"type": "Lowercase"}}, "changes text by 'Lowercase'"),
        ("tokenizer.json", {"added_tokens": [{"id": 9999, "content": "x"}]}, "token number 9999"),
        ("tokenizer.json", {"model": {"type": "BPE", "vocab": {}, "merges": ["a"]}}, "not two tokens"),
    ],
)
def test_what_is_not_run_is_refused_by_name(file: str, change: dict[str, Any], words: str, tmp_path: Path) -> None:
    tiny_directory(tmp_path, "llama")
    edited(tmp_path, file, lambda document: document.update(change))
    with pytest.raises(ArtefactError, match=words):
        read(tmp_path)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    tiny_directory(tmp_path, "llama", shards=2)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(MalformedArtefact, match="model-00002-of-00002"):
        read(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../etc/passwd.safetensors"}}')
    with pytest.raises(MalformedArtefact, match="etc/passwd"):
        read(tmp_path)
    with pytest.raises(UnsupportedArtefact, match=r"no config\.json"):
        read_directory([], lambda name: FilePrefix(tmp_path / name), "tiny")


def test_only_the_files_of_a_model_are_looked_at() -> None:
    names = ["config.json", "model.safetensors", "pytorch_model.bin", "modeling_evil.py", "sub/other.safetensors", "README.md"]
    assert is_directory(names)
    assert needed(names) == ["config.json", "model.safetensors"]
