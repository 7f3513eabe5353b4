"""Weights out of pickles: what PyTorch saves comes out the same, and what is no weights comes out not at all."""

import contextlib
import io
import json
import math
import pickle
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import ArtefactError, DangerousArtefact, MalformedArtefact, UnsupportedArtefact
from freehold.provenance.progress import Silent
from freehold.provenance.scan.findings import Verdict
from freehold.provenance.scan.scanner import scan_file
from freehold.provenance.scan.source import of_bytes
from freehold.provenance.unpickle import unpickle
from freehold.provenance.unpickle_torch import read_torch, write_safetensors
from tests.provenance.torch_zips import Made, Named, Stored, pickled, tensor, torch_zip

FOUR = np.arange(4, dtype=np.float32).tobytes()


def plain(data: bytes, key: str | None = None) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Converted in this process; (dtype, shape, bytes) by name, read by the format's own definition."""
    out = bytearray()
    with memoryview(data) as view:
        write_safetensors(read_torch(of_bytes(data), key), view, out.extend, lambda *_: None)
    return parsed(bytes(out))


def parsed(data: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    (count,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + count])
    header.pop("__metadata__")
    rest = data[8 + count :]
    return {name: (t["dtype"], tuple(t["shape"]), rest[slice(*t["data_offsets"])]) for name, t in header.items()}


def one(
    storage: Stored | Made | str = "", offset: object = 0, shape: object = (2, 2), stride: object = (2, 1)
) -> dict[str, Made]:
    return {"w": tensor(storage or Stored("FloatStorage", "0", 4), offset, shape, stride)}


def test_a_tensor_is_its_storages_bytes() -> None:
    assert plain(torch_zip(one(), {"0": FOUR})) == {"w": ("F32", (2, 2), FOUR)}


def test_values_come_in_order_whatever_the_stride() -> None:
    (found,) = plain(torch_zip(one(stride=(1, 2)), {"0": FOUR})).values()
    assert np.frombuffer(found[2], np.float32).tolist() == [0, 2, 1, 3]


def test_a_checkpoint_is_searched_for_its_state_dict() -> None:
    checkpoint: dict[str, Any] = {"state_dict": {"enc": one(), "epoch": 3}, "optimizer": {"state": {0: one()}}, "epoch": 3}
    data = torch_zip(checkpoint, {"0": FOUR})
    assert list(plain(data)) == ["enc.w"]
    assert list(plain(data, "optimizer")) == ["state.0.w"]
    with pytest.raises(UnsupportedArtefact, match="no table of tensors is called 'ema'; there are: 'state_dict', 'optimizer'"):
        plain(data, "ema")
    with pytest.raises(UnsupportedArtefact, match=r"say it with --key: 'a', 'b'"):
        plain(torch_zip({"a": one(), "b": one()}, {"0": FOUR}))


HARMFUL = {
    "an import": {"w": one()["w"], "x": Named("os", "system")},
    "a call": {"w": one()["w"], "x": Made(Named("os", "system"), "true")},
    "a class of one's own": {"w": one()["w"], "x": Named("mylib", "Block")},
    "a class in the place of a storage": {"w": tensor(Made(Named("torch.hub", "load"), "x"), 0, (2,), (1,))},
}


@pytest.mark.parametrize("how", HARMFUL)
def test_what_weights_do_not_need_ends_it(how: str) -> None:
    with pytest.raises(DangerousArtefact, match="imports"):
        plain(torch_zip(HARMFUL[how], {"0": FOUR}))


WRONG: dict[str, tuple[object, str]] = {
    "past its storage": (one(offset=1), "ends at value 5 of a storage of 4"),
    "a stride past it": (one(stride=(3, 1)), "ends at value 5 of a storage of 4"),
    "a negative offset": (one(offset=-1), "do not fit together"),
    "a negative stride": (one(stride=(-2, 1)), "whose size is none"),
    "a truth value as size": (one(shape=(True, 2)), "whose size is none"),
    "sizes that do not pair": (one(shape=(2,)), "do not fit together"),
    "a storage that lies": (one(Stored("FloatStorage", "0", 400)), "has 16 bytes, 400 values need more"),
    "an absent storage": (one(Stored("FloatStorage", "7", 4)), "there is no storage '7'"),
    "one key, two types": ({"a": one()["w"], "b": one(Stored("HalfStorage", "0", 4))["w"]}, "in two sizes or types"),
    "over what is no storage": ({"w": tensor("0", 0, (2,), (1,))}, "over what is no storage"),
    "values that repeat": (one(shape=(1000, 4), stride=(0, 1)), r"repeating values of its storage \(expand\)"),
    "a bomb": (one(shape=(1 << 40, 4), stride=(0, 1)), "repeating values"),
    "quantised": (
        {"w": Made(Named("torch._utils", "_rebuild_qtensor"), 1, 2)},
        "_rebuild_qtensor, which safetensors has no form",
    ),
    "complex numbers of 16 bytes": (one(Stored("ComplexDoubleStorage", "0", 1)), "torch.ComplexDoubleStorage, which"),
    "an array of NumPy": (
        {"v": one()["w"], "w": Made(Named("numpy.core.multiarray", "_reconstruct"), 1)},
        "'w' is NumPy's, and no tensor",
    ),
    "no tensor": ({"epoch": 3}, "which of its tables holds the weights is not plain"),
    "no table": ([one()], "no table of names and tensors"),
    "a long name": ({"w" * 600: one()["w"]}, "is no name for a tensor"),
    "a name of control characters": ({"a\nb": one()["w"]}, "is no name for a tensor"),
    "a pickle that ends early": (pickled(one())[:-1], "ends before its STOP"),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_does_not_hold_together_is_refused_by_name(how: str) -> None:
    value, words = WRONG[how]
    with pytest.raises(ArtefactError, match=words):
        plain(torch_zip(value, {"0": FOUR}))


def test_tables_that_hold_themselves_end() -> None:
    value: dict[str, Any] = one()
    value["inner"] = value
    with pytest.raises(UnsupportedArtefact, match="lie more than 8 deep"):
        plain(torch_zip(value, {"0": FOUR}))


def test_other_zips_are_refused_by_what_they_are() -> None:
    for data, words in [
        (torch_zip(one(), {"0": FOUR * 999}, method=zipfile.ZIP_DEFLATED), "is packed"),
        (torch_zip(one(), {"0": FOUR}, more={"byteorder": b"big"}), "other byte order"),
        (torch_zip(one(), {"0": FOUR}, more={"code/x.py": b"1"}), "TorchScript"),
        (pickle.dumps({"w": 1}), "a pickle that PyTorch did not write"),
        (twice(), "a name is there twice"),
        (b"", "ends before its STOP"),
    ]:
        with pytest.raises(ArtefactError, match=words):
            plain(data)


def twice() -> bytes:
    out = io.BytesIO(torch_zip(one(), {"0": FOUR}))
    with zipfile.ZipFile(out, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("archive/data/0", bytes(16))
    return out.getvalue()


def test_bytes_that_many_names_share_do_not_grow_without_end() -> None:
    storage = Stored("FloatStorage", "0", 4000)
    with pytest.raises(UnsupportedArtefact, match="share so much"):
        plain(torch_zip({f"w{i}": tensor(storage, 0, (4000,), (1,)) for i in range(40)}, {"0": FOUR * 1000}))


GOOD = torch_zip({"a": one()["w"], "b": one(Stored("HalfStorage", "1", 4), stride=(1, 2))["w"]}, {"0": FOUR, "1": FOUR[:8]})


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=8), st.integers(0, 40))
def test_a_damaged_file_gives_tensors_or_our_own_error(changes: list[tuple[int, int]], cut: int) -> None:
    raw = bytearray(GOOD)
    for at, value in changes:
        raw[at] = value
    with contextlib.suppress(ArtefactError):
        plain(bytes(raw[: len(raw) - cut]))


@settings(max_examples=300)
@given(st.binary(max_size=60), st.integers(0, 200))
def test_any_pickle_in_the_zip_gives_tensors_or_our_own_error(noise: bytes, at: int) -> None:
    whole = pickled(one())
    at = min(at, len(whole))
    for data in (noise, whole[:at] + noise + whole[at + len(noise) :]):
        with contextlib.suppress(ArtefactError):
            plain(torch_zip(data, {"0": FOUR}))


# What PyTorch itself writes.


def saved(path: Path, value: object, **how: Any) -> Path:
    torch = pytest.importorskip("torch")
    torch.save(value, path, **how)
    return path


def same(torch: Any, found: Mapping[str, tuple[str, tuple[int, ...], bytes]], wanted: Mapping[str, Any]) -> None:
    assert set(found) == set(wanted)
    for name, (_, shape, raw) in found.items():
        value = wanted[name].detach().clone(memory_format=torch.contiguous_format)
        assert shape == tuple(value.shape), name
        assert raw == bytes(value.reshape(-1).view(torch.uint8).numpy()) if value.numel() else not raw, name


@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}])
def test_weights_come_out_as_torch_has_them(tmp_path: Path, how: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    base = torch.randn(64, 32)
    kinds = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64")
    weights = {kind: (torch.randn(3, 5) * 9).to(getattr(torch, kind)) for kind in kinds}
    weights |= {"float8_e4m3fn": torch.randn(7).to(torch.float8_e4m3fn), "uint16": torch.arange(5).to(torch.uint16)}
    weights |= {
        "turned": base.t(),
        "cut": base[3:40:2, 1:30:3],
        "whole": base,
        "scalar": torch.tensor(2.5),
        "none": torch.zeros(0, 4),
    }
    weights |= {"parameter": torch.nn.Parameter(torch.ones(2)), "one": base[:1].t()}
    module = {f"linear.{name}": value for name, value in torch.nn.Linear(3, 2).state_dict().items()}
    path = saved(tmp_path / "w.pt", {**weights, **module, "step": 3, "note": "x"}, **how)
    (result,) = unpickle(path, tmp_path / "w.safetensors", Silent())
    same(torch, parsed((tmp_path / "w.safetensors").read_bytes()), weights | module)
    assert result.left_out == ("step", "note")
    assert {"turned", "cut", "whole", "one"} == set(result.shared)
    assert scan_file(tmp_path / "w.safetensors").verdict is Verdict.CLEAN
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.pt", "w.safetensors"]


@settings(max_examples=60)
@given(data=st.data())
def test_any_view_comes_out_as_torch_has_it(data: st.DataObject) -> None:
    torch = pytest.importorskip("torch")
    kind = data.draw(st.sampled_from(["float32", "float16", "bfloat16", "int64", "int8", "bool"]))
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    base = torch.arange(math.prod(shape)).reshape(shape).to(getattr(torch, kind))
    view = base
    for _ in range(data.draw(st.integers(0, 4))):
        dims = view.dim()
        match data.draw(st.sampled_from(["turn", "cut", "pick", "widen"])) if dims else "widen":
            case "turn":
                view = view.transpose(data.draw(st.integers(0, dims - 1)), data.draw(st.integers(0, dims - 1)))
            case "cut":
                dim = data.draw(st.integers(0, dims - 1))
                low = data.draw(st.integers(0, view.shape[dim]))
                view = view[(slice(None),) * dim + (slice(low, None, data.draw(st.integers(1, 3))),)]
            case "pick" if view.shape[0]:
                view = view[data.draw(st.integers(0, view.shape[0] - 1))]
            case _:
                view = view.unsqueeze(0)
    out = io.BytesIO()
    torch.save({"base": base, "view": view}, out, _use_new_zipfile_serialization=data.draw(st.booleans()))
    same(torch, plain(out.getvalue()), {"base": base, "view": view})


def test_a_state_dict_of_a_module_comes_out_by_its_names(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 9))
    module[2].weight = module[0].weight  # tied
    path = saved(tmp_path / "m.ckpt", {"model": module.state_dict(), "optimizer": {"lr": 0.1}, "epoch": 1})
    unpickle(path, tmp_path / "m.safetensors", Silent())
    same(torch, parsed((tmp_path / "m.safetensors").read_bytes()), module.state_dict())


def test_a_module_as_a_whole_is_a_program_and_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = saved(tmp_path / "m.pt", torch.nn.Linear(2, 2))
    with pytest.raises(DangerousArtefact, match=r"torch\.nn\.modules\.linear\.Linear.*weights do not need.*freehold scan"):
        unpickle(path, tmp_path / "m.safetensors", Silent())
    assert [p.name for p in tmp_path.iterdir()] == ["m.pt"]


# Folders, and the process that does it.


def folder(path: Path, shards: int = 2) -> Path:
    path.mkdir()
    (path / "config.json").write_text("{}")
    places = {}
    for i in range(shards):
        name = f"pytorch_model-{i + 1:05}-of-{shards:05}.bin"
        (path / name).write_bytes(torch_zip({f"w{i}": one()["w"]}, {"0": FOUR}))
        places[f"w{i}"] = name
    (path / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return path


def test_a_folder_of_shards_becomes_one_with_an_index(tmp_path: Path) -> None:
    out = tmp_path / "out"
    unpickle(folder(tmp_path / "in"), out, Silent())
    index = json.loads((out / "model.safetensors.index.json").read_text())["weight_map"]
    assert index == {"w0": "model-00001-of-00002.safetensors", "w1": "model-00002-of-00002.safetensors"}
    assert sorted(p.name for p in out.iterdir()) == ["config.json", *sorted(index.values()), "model.safetensors.index.json"]
    for name, file in index.items():
        assert parsed((out / file).read_bytes()) == {name: ("F32", (2, 2), FOUR)}


@pytest.mark.parametrize("what", ["twice", "missing", "outside", "absent", "dangerous"])
def test_a_folder_that_does_not_hold_together_leaves_nothing(tmp_path: Path, what: str) -> None:
    source = folder(tmp_path / "in")
    second, index = source / "pytorch_model-00002-of-00002.bin", source / "pytorch_model.bin.index.json"
    document = json.loads(index.read_text())
    if what == "twice":
        second.write_bytes(torch_zip({"w0": one()["w"]}, {"0": FOUR}))
    elif what == "missing":
        document["weight_map"]["w9"] = second.name
    elif what == "outside":
        document["weight_map"]["w9"] = "../../x.bin"
    elif what == "absent":
        second.unlink()
    else:
        second.write_bytes(torch_zip({"w1": Made(Named("os", "system"), "true")}, {"0": FOUR}))
    index.write_text(json.dumps(document))
    words = {
        "twice": "'w0' is in another file",
        "missing": "names 'w9', which is in none",
        "outside": "no file of weights beside it",
        "absent": "pytorch_model-00002-of-00002",
        "dangerous": r"pytorch_model-00002-of-00002\.bin is refused.*os\.system",
    }
    with pytest.raises(ArtefactError, match=words[what]):
        unpickle(source, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


CONFINED = """
import json, os, socket, sys
from freehold.provenance.confinement import confine
layers = confine(data_bytes=1 << 30, cpu_s=10, output_bytes=1 << 20)
def fails(work):
    try:
        work()
    except (OSError, MemoryError):
        return True
    return False
print(json.dumps([layers, [name for name, work in {
    "open": lambda: open("/etc/hostname"),
    "write": lambda: open("/tmp/freehold-confined", "w"),
    "remove": lambda: os.unlink(sys.argv[1]),
    "socket": lambda: socket.socket(),
    "fork": lambda: os.fork(),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "memory": lambda: bytearray(4 << 30),
}.items() if not fails(work)]]))
"""


def test_a_confined_process_opens_nothing_reaches_nobody_and_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    ran = subprocess.run(
        [sys.executable, "-c", CONFINED, str(tmp_path / "kept")], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    layers, possible = json.loads(ran.stdout)
    if not {"seccomp", "landlock", "no network"} <= set(layers):
        pytest.skip(f"this kernel confines by {', '.join(layers)} alone")
    assert possible == []
    assert (tmp_path / "kept").exists()


def test_what_is_malformed_is_said_by_the_confined_process(tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(torch_zip(one(offset=1), {"0": FOUR}))
    with pytest.raises(MalformedArtefact, match=r"w\.bin is refused.*ends at value 5.*freehold scan"):
        unpickle(path, tmp_path / "w.safetensors", Silent())
