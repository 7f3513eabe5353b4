"""Formats that hold no programs, but whose sizes may lie, and those that name code."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from freehold.provenance.scan.findings import Verdict
from freehold.provenance.scan.scanner import scan_file
from tests.engine.embedded_model import embedded_model
from tests.fakes.tiny_gguf import pack_string
from tests.provenance.scan.looks import look, rules, verdict
from tests.provenance.scan.test_archives import zipped


def safetensors(header: object, data: bytes = b"", pad: int = 0) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    raw += b" " * pad
    return struct.pack("<Q", len(raw)) + raw + data


def tensor(start: int, end: int, shape: list[int], kind: str = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


def test_safetensors_are_clean() -> None:
    good = safetensors(
        {"__metadata__": {"format": "pt"}, "a": tensor(0, 8, [2]), "b": tensor(8, 10, [1], "F16")}, b"\0" * 10, pad=5
    )
    report = look(good, "m.safetensors")
    assert (report.format, report.findings) == ("safetensors", ())


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        ({"a": tensor(0, 8, [3])}, "header-lie"),
        ({"a": tensor(0, 8, [2]), "b": tensor(4, 8, [1])}, "header-lie"),
        ({"a": tensor(4, 12, [2])}, "header-lie"),
        ({"a": tensor(0, 80, [20])}, "cut-short"),
        ({"a": tensor(0, 4, [1])}, "trailing-data"),
        ({"a": tensor(0, 8, [2], "F99")}, "unparsed"),
        ({"a": tensor(0, 8, [-2])}, "unparsed"),
        ({"a": 3}, "unparsed"),
        (b'{"a": 1, "a": 2}', "unparsed"),
        (b'{"a": NaN}', "unparsed"),
        (b"{" * 100_000, "unparsed"),
        ({"__metadata__": {"a": 1}, "a": tensor(0, 8, [2])}, "header-odd"),
    ],
)
def test_safetensors_that_lie_are_told(header: object, rule: str) -> None:
    assert rule in rules(safetensors(header, b"\0" * 8), "m.safetensors")


def test_a_safetensors_header_longer_than_its_file_is_told() -> None:
    assert rules(struct.pack("<Q", 1 << 20) + b'{"a":1}', "m.safetensors") == {"cut-short"}


def gguf(
    tensors: list[bytes], keys: list[bytes], data: bytes = b"", counts: tuple[int, int] | None = None, version: int = 3
) -> bytes:
    head = struct.pack("<4sIQQ", b"GGUF", version, *(counts or (len(tensors), len(keys)))) + b"".join(keys) + b"".join(tensors)
    return head + b"\0" * (-len(head) % 32) + data


def entry(name: str, shape: tuple[int, ...], offset: int, kind: int = 0) -> bytes:
    return pack_string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def key(name: str, text: str) -> bytes:
    return pack_string(name) + struct.pack("<I", 8) + pack_string(text)


def test_gguf_is_clean() -> None:
    keys = [key("general.architecture", "llama"), pack_string("a") + struct.pack("<IIQ", 9, 4, 2) + b"\0" * 8]
    report = look(gguf([entry("t", (4, 2), 0)], keys, b"\0" * 32), "m.gguf")
    assert (report.format, report.findings) == ("GGUF", ())


LIES = {
    "tensors": gguf([], [], counts=(1 << 40, 0)),
    "keys": gguf([], [], counts=(0, 1 << 60)),
    "a string": gguf([], [pack_string("a") + struct.pack("<IQ", 8, 1 << 62)]),
    "an array": gguf([], [pack_string("a") + struct.pack("<IIQ", 9, 4, 1 << 62)]),
    "arrays in arrays": gguf([], [pack_string("a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9]),
    "a type of value": gguf([], [pack_string("a") + struct.pack("<I", 99)]),
    "a key twice": gguf([], [key("a", "b"), key("a", "c")]),
    "an alignment": gguf([], [pack_string("general.alignment") + struct.pack("<II", 4, 0)]),
    "dimensions": gguf([entry("t", (1,) * 5, 0)], []),
    "a product that overflows": gguf([entry("t", (1 << 33, 1 << 33), 0)], []),
    "no rows": gguf([entry("t", (4, 0), 0)], []),
    "far past the end": gguf([entry("t", (4, 2), 1 << 62)], [], b"\0" * 32),
    "an overlap": gguf([entry("t", (16,), 0), entry("u", (8,), 32)], [], b"\0" * 64),
    "a name twice": gguf([entry("t", (8,), 0), entry("t", (8,), 32)], [], b"\0" * 64),
    "rows of broken blocks": gguf([entry("t", (33,), 0, 8)], [], b"\0" * 64),
    "a vocabulary of bytes": gguf([], [pack_string("tokenizer.ggml.token_type") + struct.pack("<IIQ", 9, 0, 3) + b"abc"]),
    "scores that are words": gguf([], [pack_string("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 8, 1) + pack_string("x")]),
    "tokens that are no list": gguf([], [key("tokenizer.ggml.tokens", "x" * 9)]),
    "an odd offset": gguf([entry("t", (4,), 7)], [], b"\0" * 64),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_gguf_that_lies_is_malicious(lie: str) -> None:
    assert rules(LIES[lie], "m.gguf") == {"header-lie"}


def test_a_gguf_that_was_cut_is_unparsed() -> None:
    whole = gguf([entry("t", (4, 2), 0)], [key("a", "b")], b"\0" * 32)
    for size_bytes in range(4, len(whole)):
        assert rules(whole[:size_bytes], "m.gguf") == {"cut-short"}
        assert verdict(whole[:size_bytes], "m.gguf") is Verdict.UNPARSED


def test_a_gguf_whose_tensor_has_an_unknown_type_is_unparsed() -> None:
    assert verdict(gguf([entry("t", (4,), 0, 77)], [], b"\0" * 32), "m.gguf") is Verdict.UNPARSED
    assert verdict(gguf([], [], version=9), "m.gguf") is Verdict.UNPARSED


def test_a_gguf_with_fewer_scores_than_tokens_is_told() -> None:
    tokens = pack_string("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + pack_string("a") + pack_string("b")
    scores = pack_string("tokenizer.ggml.scores") + struct.pack("<IIQf", 9, 6, 1, 0.5)
    assert rules(gguf([], [tokens, scores]), "m.gguf") == {"header-odd"}


def test_a_template_in_a_gguf_is_read() -> None:
    evil = "{{ messages.__class__ }}"
    assert rules(gguf([], [key("tokenizer.chat_template", evil)]), "m.gguf") == {"template-code"}
    assert rules(gguf([], [key("tokenizer.chat_template.tool_use", evil)]), "m.gguf") == {"template-code"}


def npy(array: np.ndarray[Any, Any]) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def test_numpy_files() -> None:
    assert look(npy(np.ones((3, 4))), "m.npy").findings == ()
    assert look(npy(np.zeros(2, dtype=[("a", "f4"), ("b", "U3")])), "m.npy").findings == ()
    assert look(npy(np.array([1, "a", None], dtype=object)), "m.npy").findings == ()
    assert rules(npy(np.ones(9))[:-8], "m.npy") == {"cut-short"}
    assert rules(npy(np.ones(9)) + b"x", "m.npy") == {"trailing-data"}
    evil = npy(np.array([1, None], dtype=object))
    at = evil.index(b"\n") + 1
    assert "pickle-code" in rules(evil[:at] + b"cos\nsystem\n(S'true'\ntR.", "m.npy")
    called = b"{'descr': __import__('os'), 'fortran_order': False, 'shape': ()}"
    assert rules(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(called)) + called, "m.npy") == {"unparsed"}
    archive = io.BytesIO()
    np.savez_compressed(archive, a=np.ones(100), b=np.arange(3))
    report = look(archive.getvalue(), "m.npz")
    assert (report.format, report.findings) == ("NumPy archive", ())


def field(number: int, data: bytes) -> bytes:
    size = len(data)
    out = bytes([number << 3 & 0x7F | 2]) if number < 16 else bytes([(number << 3 | 2) & 0x7F | 0x80, number >> 4])
    while size >= 0x80:
        out += bytes([size & 0x7F | 0x80])
        size >>= 7
    return out + bytes([size]) + data


def onnx(location: bytes = b"weights.bin", domain: bytes = b"", nested: bool = False) -> bytes:
    external = field(13, field(1, b"location") + field(2, location))
    graph = field(1, field(4, b"Add")) + field(5, b"\x08\x03\x10\x01" + external)
    if nested:
        graph = field(1, field(4, b"If") + field(5, field(6, graph)))
    return b"\x08\x08" + field(2, b"test") + field(8, field(1, domain) + b"\x10\x15") + field(7, graph)


def test_onnx() -> None:
    assert look(onnx(), "m.onnx").findings == ()
    assert look(onnx(), "m").format == "ONNX"
    for location in (b"../../etc/passwd", b"/etc/passwd", b"a/../../b", b"..\\x"):
        assert rules(onnx(location), "m.onnx") == {"onnx-path"}
        assert rules(onnx(location, nested=True), "m.onnx") == {"onnx-path"}
    assert rules(onnx(domain=b"evil.ops"), "m.onnx") == {"onnx-operator"}
    assert rules(onnx()[:-3], "m.onnx") == {"unparsed"}
    assert rules(b"", "m.onnx") == {"unparsed"}
    assert rules(field(2, b"no graph"), "m.onnx") == {"unparsed"}


def keras(config: object) -> bytes:
    members = {
        "metadata.json": b"{}",
        "config.json": json.dumps(config).encode(),
        "model.weights.h5": b"\x89HDF\r\n\x1a\n" + b"\0" * 64,
    }
    return zipped(members)


DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}, "registered_name": None}


def test_keras_zips() -> None:
    report = look(keras({"module": "keras", "class_name": "Functional", "config": {"layers": [DENSE]}}), "m.keras")
    assert (report.format, report.findings) == ("Keras", ())
    for layer in (
        {"module": "keras.layers", "class_name": "Lambda", "config": {"function": {"class_name": "__lambda__"}}},
        {"module": "os", "class_name": "function", "config": "system"},
        {"module": "subprocess", "class_name": "Popen"},
        {"module": "keras.utils.get_file", "class_name": "function"},
        {"module": "builtins", "class_name": "eval"},
        {"module": "builtins", "class_name": "function", "config": "eval"},
        {"class_name": "TFSMLayer"},
    ):
        assert rules(keras({"layers": [DENSE, {"config": [layer]}]}), "m.keras") == {"keras-code"}


def test_a_layer_of_a_package_of_ones_own_is_told() -> None:
    assert rules(keras({"layers": [{"module": "mypackage.layers", "class_name": "Mine"}]}), "m.keras") == {"code-hook"}
    relu = {"module": "builtins", "class_name": "function", "config": "relu"}
    assert rules(keras({"layers": [DENSE, relu]}), "m.keras") == set()


def test_hdf5_is_searched() -> None:
    head = b"\x89HDF\r\n\x1a\n" + b"\0" * 100
    plain = b'model_config {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense"}]}}'
    assert look(head + plain, "m.h5").findings == ()
    assert rules(head + plain.replace(b"Dense", b"Lambda"), "m.h5") == {"keras-code"}
    assert rules(head + plain.replace(b"Dense", b"\\u004cambda"), "m.h5") == {"unparsed"}
    assert rules(head + b"model_config" + b"\x01\x02" * 50, "m.h5") == {"unparsed"}


def test_the_embedded_model_is_clean() -> None:
    assert scan_file(embedded_model()).findings == ()


def test_every_type_that_gguf_writes_is_clean(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    path = tmp_path / "all.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_chat_template("{{ messages[0]['content'] }}")
    for kind, (_, size_bytes) in gguf.GGML_QUANT_SIZES.items():
        if kind.name not in ("Q8_1", "Q8_K"):  # for what is being computed: in no file
            plain = {"F32": np.float32, "F16": np.float16, "F64": np.float64}.get(kind.name)
            if plain is not None:
                writer.add_tensor(kind.name, np.zeros((3, 64), plain))
            elif kind.name.startswith("I") and kind.name[1:].isdigit():
                writer.add_tensor(kind.name, np.zeros((3, 64), f"i{int(kind.name[1:]) // 8}"))
            else:
                writer.add_tensor(kind.name, np.zeros((3, 2 * size_bytes), np.uint8), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert look(path.read_bytes(), "all.gguf").findings == ()
