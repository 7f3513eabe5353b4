import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from freehold.core.errors import DeviceError, MalformedArtefact, UnsupportedArtefact, VerificationError
from freehold.core.models import BLOCK_BYTES, ManifestFile
from freehold.engine.weights import Weights
from tests.engine.models_on_disk import model_of, verified_directory, verified_model
from tests.fakes.tiny_directory import tiny_directory
from tests.fakes.tiny_gguf import tiny_gguf, tiny_metadata, tiny_parts, tiny_tensors, write_gguf


def nothing(done: int, whole: int) -> None:
    pass


def large_gguf() -> bytes:
    """Some blocks and an odd end."""
    return write_gguf(tiny_metadata(), {"a": np.arange(2_500_000, dtype=np.float32), "b": np.ones((3, 5), np.float32)})


def test_tensors_are_the_files_bytes(tmp_path: Path) -> None:
    tensors = Weights(verified_model(tmp_path, tiny_gguf())).load(nothing).tensors
    expected = tiny_tensors(tiny_metadata())
    assert set(tensors) == set(expected)
    for name, values in expected.items():
        assert tensors[name].shape == values.shape[::-1]
        assert tensors[name].data.tobytes() == values.astype("<f4").tobytes()


def test_every_block_is_checked_once_and_progress_is_told(tmp_path: Path) -> None:
    data = large_gguf()
    (tmp_path / "model.gguf").write_bytes(data)
    seen: list[int] = []
    told: list[tuple[int, int]] = []

    def check(name: str, block: int, content: memoryview) -> None:
        assert (name, bytes(content)) == ("model.gguf", data[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES])
        seen.append(block)

    weights = Weights(model_of(tmp_path, check, size_bytes=len(data)))
    tensors = weights.load(lambda done, whole: told.append((done, whole))).tensors
    assert seen == [0, 1, 2]
    assert told == [(BLOCK_BYTES, len(data)), (2 * BLOCK_BYTES, len(data)), (len(data), len(data))]
    assert np.array_equal(tensors["a"].data.view("<f4"), np.arange(2_500_000, dtype=np.float32))


@pytest.mark.parametrize("at", [0, 100, BLOCK_BYTES, BLOCK_BYTES + 1, -1])
def test_a_changed_byte_anywhere_is_refused(tmp_path: Path, at: int) -> None:
    data = large_gguf()
    model = verified_model(tmp_path, data)
    changed = bytearray(data)
    changed[at] ^= 1
    (tmp_path / "model.gguf").write_bytes(changed)
    with pytest.raises(VerificationError, match="is not the signed one"):
        Weights(model).load(nothing)


def test_what_is_written_after_the_check_does_not_reach_the_tensors(tmp_path: Path) -> None:
    data = large_gguf()
    tensors = Weights(verified_model(tmp_path, data)).load(nothing).tensors
    (tmp_path / "model.gguf").write_bytes(bytes(len(data)))
    assert np.array_equal(tensors["a"].data.view("<f4"), np.arange(2_500_000, dtype=np.float32))


def test_the_header_is_parsed_only_from_checked_bytes(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"not a model")

    def refuse(name: str, block: int, content: memoryview) -> None:
        raise VerificationError("refused")

    with pytest.raises(VerificationError):
        Weights(model_of(tmp_path, refuse, size_bytes=11))


def test_a_truncated_file_is_refused_by_its_size(tmp_path: Path) -> None:
    data = tiny_gguf()
    model = verified_model(tmp_path, data)
    (tmp_path / "model.gguf").write_bytes(data[:-1])
    with pytest.raises(VerificationError, match="pull the model again"):
        Weights(model)


def test_a_signed_file_that_is_no_gguf_is_malformed(tmp_path: Path) -> None:
    with pytest.raises(MalformedArtefact, match="not a GGUF file"):
        Weights(verified_model(tmp_path, b"PK\x03\x04 and so on"))
    with pytest.raises(MalformedArtefact, match="ends inside"):
        Weights(verified_model(tmp_path, b""))


def test_a_missing_file_is_a_device_error(tmp_path: Path) -> None:
    model = verified_model(tmp_path, tiny_gguf())
    (tmp_path / "model.gguf").unlink()
    with pytest.raises(DeviceError, match=r"cannot open model\.gguf"):
        Weights(model)


def test_file_systems_without_direct_reads_work_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = large_gguf()
    model = verified_model(tmp_path, data)
    monkeypatch.delattr(os, "O_DIRECT")
    tensors = Weights(model).load(nothing).tensors
    assert np.array_equal(tensors["a"].data.view("<f4"), np.arange(2_500_000, dtype=np.float32))


@pytest.mark.parametrize("names", [(), ("a.gguf", "b.gguf"), ("model.safetensors",)])
def test_a_model_of_other_than_one_gguf_is_unsupported(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(UnsupportedArtefact, match="model tiny cannot be run"):
        Weights(verified_model(tmp_path, tiny_gguf(), names=names))


def test_a_directory_of_safetensors_is_loaded_as_it_lies(tmp_path: Path) -> None:
    weights = tiny_directory(tmp_path, "qwen2", shards=2)
    loaded = Weights(verified_directory(tmp_path)).load(nothing).tensors
    found = loaded["blk.1.ffn_down.weight"].data.view("<u2").astype(np.uint32) << 16
    expected = weights["model.layers.1.mlp.down_proj.weight"]
    np.testing.assert_array_equal(found.view(np.float32).reshape(expected.shape), expected)
    bias = loaded["blk.0.attn_q.bias"].data.view(np.float32)
    np.testing.assert_array_equal(bias, weights["model.layers.0.self_attn.q_proj.bias"])


def test_settings_and_vocabularies_are_read_from_checked_bytes_too(tmp_path: Path) -> None:
    tiny_directory(tmp_path, "llama")
    model = verified_directory(tmp_path)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace("256", "128"))
    with pytest.raises(VerificationError, match=r"config\.json: block 0"):
        Weights(model)


def test_the_parts_of_a_split_model_are_one(tmp_path: Path) -> None:
    files = tiny_parts(3)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    seen: list[str] = []
    listed = tuple(ManifestFile(name=n, size_bytes=len(d), root=b"", sha256="", leaves=()) for n, d in reversed(files.items()))
    model = model_of(tmp_path, lambda name, *_: seen.append(name), size_bytes=0)
    model = replace(model, manifest=replace(model.manifest, files=listed))
    tensors = Weights(model).load(nothing).tensors
    for name, values in tiny_tensors(tiny_metadata()).items():
        assert tensors[name].data.tobytes() == values.astype("<f4").tobytes()
    assert seen == list(files)  # each of them checked
    (tmp_path / list(files)[2]).unlink()
    with pytest.raises(DeviceError, match=r"cannot open tiny-00003-of-00003\.gguf"):
        Weights(model)
    with pytest.raises(UnsupportedArtefact, match=r"tiny-00002-of-00003\.gguf is missing"):
        Weights(replace(model, manifest=replace(model.manifest, files=(listed[0], listed[2]))))
