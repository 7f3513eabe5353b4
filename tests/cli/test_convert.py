"""Pickles of weights become safetensors and models that run, and what was made of what is attested."""

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from freehold.cli import main
from freehold.provenance.keys import key_directory, node_key, trusted
from freehold.provenance.slsa import read_attestation
from tests.fakes.tiny_directory import tiny_directory
from tests.provenance.torch_zips import Made, Named, Stored, tensor, torch_zip


def freehold(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", *arguments])


def pickled(source: Path) -> Path:
    """A tiny model whose weights are in two pickles with an index, as PyTorch would write them."""
    arrays = list(tiny_directory(source, "llama", dtype="F32").items())
    (source / "model.safetensors").unlink()
    places = {}
    for number, part in enumerate((arrays[: len(arrays) // 2], arrays[len(arrays) // 2 :]), 1):
        name = f"pytorch_model-{number:05}-of-00002.bin"
        state, storages = {}, {}
        for key, (tensor_name, values) in enumerate(part):
            strides = tuple(n // values.itemsize for n in np.ascontiguousarray(values).strides)
            state[tensor_name] = tensor(Stored("FloatStorage", str(key), values.size), 0, values.shape, strides)
            storages[str(key)] = np.ascontiguousarray(values).tobytes()
            places[tensor_name] = name
        (source / name).write_bytes(torch_zip(state, storages))
    (source / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    return source


def test_a_folder_of_pickles_becomes_a_model_that_is_attested(home: Path, tmp_path: Path) -> None:
    source = pickled(tmp_path / "tiny")
    result = freehold("convert", str(source), "--quant", "Q8_0")
    assert result.exit_code == 0, result.output
    path = home / "models" / "tiny-q8_0" / "tiny-q8_0.gguf"
    assert sorted(p.name for p in path.parent.iterdir()) == ["manifest.json", "tiny-q8_0.gguf", "tiny-q8_0.gguf.provenance.json"]
    keys = trusted(node_key(key_directory(home)).public)
    attested = read_attestation(path.with_name("tiny-q8_0.gguf.provenance.json"), keys)
    definition = attested.statement.predicate.buildDefinition
    assert definition.externalParameters == {"source": "tiny", "to": "gguf", "quant": "Q8_0"}
    assert definition.internalParameters == {"steps": ["unpickle", "quantise"]}
    assert {one.name for one in definition.resolvedDependencies} == {"tiny", *(p.name for p in source.iterdir())}
    # In two steps it is the same file.
    out = tmp_path / "two" / "tiny"
    assert freehold("convert", str(source), "--to", "safetensors", "--out", str(out)).exit_code == 0
    assert (out / "model.provenance.json").exists()
    second = freehold("convert", str(out), "--quant", "Q8_0", "--name", "again")
    assert second.exit_code == 0, second.output
    assert (home / "models" / "again" / "again.gguf").read_bytes() == path.read_bytes()


def test_one_pickle_becomes_one_file_beside_it(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(torch_zip({"w": tensor(Stored("FloatStorage", "0", 2), 0, (2,), (1,)), "step": 3}, {"0": bytes(8)}))
    result = freehold("convert", str(path), "--to", "safetensors")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'w.safetensors'}\n")
    assert "left out, as they are no tensors: step" in result.stderr
    assert (tmp_path / "w.safetensors.provenance.json").exists()
    again = freehold("convert", str(path), "--to", "safetensors")
    assert (again.exit_code, "--replace" in again.stderr) == (2, True)
    told = json.loads(freehold("convert", str(path), "--to", "safetensors", "--replace", "--json").stdout)
    assert told["files"] == ["w.safetensors"]


def test_what_cannot_be_is_told_with_what_to_do(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(torch_zip({"w": Made(Named("os", "system"), "true")}, {}))
    evil = freehold("convert", str(path), "--to", "safetensors")
    assert (evil.exit_code, "imports 'os.system'" in evil.stderr, "freehold scan" in evil.stderr) == (1, True, True)
    assert "--to safetensors" in freehold("convert", str(path)).stderr
    tiny_directory(tmp_path / "tiny", "llama")
    assert "is no pickle" in freehold("convert", str(tmp_path / "tiny"), "--to", "safetensors").stderr
    absent = freehold("convert", str(tmp_path / "absent"), "--to", "safetensors")
    assert (absent.exit_code, "there is no" in absent.stderr) == (1, True)
    assert not list(tmp_path.glob("*.safetensors"))
