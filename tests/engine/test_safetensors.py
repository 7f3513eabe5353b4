import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import ArtefactError, MalformedArtefact
from freehold.engine.safetensors import MAX_HEADER_BYTES, read_safetensors
from tests.fakes.tiny_directory import safetensors
from tests.fakes.tiny_gguf import BytesPrefix

WHOLE = safetensors(
    {
        "a": ("F32", np.arange(6, dtype=np.float32).reshape(2, 3)),
        "b": ("BF16", np.zeros(4, np.uint16)),
        "c": ("I64", np.zeros(())),
    },
    format="pt",
)


def read(data: bytes) -> Any:
    return read_safetensors(BytesPrefix(data), "model.safetensors")


def with_header(header: Any, data: bytes = bytes(8)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes


def test_tensors_are_found_where_they_lie() -> None:
    found = read(WHOLE)
    assert [(t.name, t.dtype, t.shape, t.size_bytes) for t in found.values()] == [
        ("a", "F32", (2, 3), 24),
        ("b", "BF16", (4,), 8),
        ("c", "I64", (), 8),
    ]
    assert WHOLE[found["a"].offset :][:24] == np.arange(6, dtype=np.float32).tobytes()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x00", "has 1 bytes"),
        (struct.pack("<Q", MAX_HEADER_BYTES + 1) + bytes(64), "by its own word"),
        (struct.pack("<Q", 100) + bytes(64), "by its own word"),
        (with_header(b"{"), "not JSON"),
        (with_header(b"[" * 5000), "not JSON"),
        (with_header(b'{"a": NaN}'), "not JSON"),
        (with_header(b'{"a": ' + b"9" * 5000 + b"}"), "not JSON"),
        (with_header(b"\xff\xfe"), "not JSON"),
        (with_header([]), "not a JSON object"),
        (with_header(b'{"a": {"dtype": "F32"}, "a": {}}'), "each name once"),
        (with_header({"a": 1}), "does not have dtype"),
        (with_header({"a": tensor(more=1)}), "and nothing else"),
        (with_header({"a": tensor(dtype="F33")}), "unknown type 'F33'"),
        (with_header({"a": tensor(dtype=["F32"])}), "unknown type"),
        (with_header({"a": tensor(shape=[-2])}), "no shape"),
        (with_header({"a": tensor(shape=[True, 2])}), "no shape"),
        (with_header({"a": tensor(shape=[1, 1, 1, 1, 2])}), "no shape"),
        (with_header({"a": tensor(shape=[1 << 62])}), "no shape"),
        (with_header({"a": tensor(shape=[3])}), "has 12 bytes, its data_offsets say 8"),
        (with_header({"a": tensor(data_offsets=[0])}), "two numbers"),
        (with_header({"a": tensor(data_offsets=[8, 16])}, bytes(16)), "leaves a gap after the header"),
        (with_header({"a": tensor(), "b": tensor(data_offsets=[4, 12])}, bytes(12)), "lies over tensor 'a'"),
        (with_header({"a": tensor(), "b": tensor(data_offsets=[12, 20])}, bytes(20)), "leaves a gap after tensor 'a'"),
        (with_header({"a": tensor()}, bytes(4)), "ends at byte"),
        (with_header({"a": tensor()}, bytes(9)), "the file has"),
        (with_header({"a\n": tensor()}), "printable"),
        (with_header({"": tensor()}), "printable"),
    ],
)
def test_what_is_wrong_is_said_by_name(data: bytes, words: str) -> None:
    with pytest.raises(MalformedArtefact, match=words):
        read(data)


@settings(max_examples=300)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255), st.integers(0, len(WHOLE)))
def test_damaged_bytes_raise_no_other_error(at: int, byte: int, end: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] = byte
    try:
        found = read(bytes(damaged[:end]))
    except ArtefactError:
        return
    assert sum(t.size_bytes for t in found.values()) <= end
