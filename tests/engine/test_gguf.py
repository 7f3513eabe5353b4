import contextlib
import struct
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact
from freehold.engine.gguf import FilePrefix, GgufHeader, read_header
from freehold.engine.tensor_types import TensorType
from tests.fakes.tiny_gguf import (
    BytesPrefix,
    pack_string,
    pack_tensor,
    pack_value,
    tiny_gguf,
    tiny_metadata,
    tiny_tensors,
    write_gguf,
)

VALID = tiny_gguf()


def parse(data: bytes) -> GgufHeader:
    return read_header(BytesPrefix(data), "file.gguf")


def header(
    keys: bytes = b"", tensors: bytes = b"", *, n_keys: int = 0, n_tensors: int = 0, version: int = 3, data: bytes = b""
) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_keys) + keys + tensors
    return head + bytes(-len(head) % 32) + data


def test_a_valid_file_gives_its_metadata_and_tensors() -> None:
    found = parse(VALID)
    metadata = tiny_metadata()
    assert set(found.metadata) == set(metadata)
    assert found.metadata["llama.block_count"] == 2
    assert found.metadata["tokenizer.ggml.tokens"] == metadata["tokenizer.ggml.tokens"]
    assert found.metadata["tokenizer.ggml.add_bos_token"] is False
    assert found.metadata["tokenizer.ggml.token_type"].tolist() == metadata["tokenizer.ggml.token_type"]
    for name, values in tiny_tensors(metadata).items():
        info = found.tensors[name]
        assert (info.type, info.shape) == (TensorType.F32, values.shape[::-1])
        raw = VALID[info.offset : info.offset + info.size_bytes]
        assert np.array_equal(np.frombuffer(raw, "<f4").reshape(values.shape), values.astype("<f4"))


def test_the_file_may_be_read_piece_by_piece(tmp_path: object) -> None:
    class Dribble:
        size_bytes = len(VALID)

        def upto(self, end: int) -> memoryview:
            return memoryview(VALID)[:end]

    assert read_header(Dribble(), "file.gguf").tensors == parse(VALID).tensors


def test_a_file_on_disk_is_read_only_as_far_as_needed(tmp_path: pytest.TempPathFactory) -> None:
    path = tmp_path / "tiny.gguf"  # type: ignore[operator]
    path.write_bytes(VALID)
    assert read_header(FilePrefix(path), "tiny.gguf").tensors == parse(VALID).tensors


def test_wrong_magic_is_named() -> None:
    with pytest.raises(MalformedArtefact, match="not a GGUF file: it starts with 504b0304"):
        parse(b"PK\x03\x04" + VALID[4:])


@pytest.mark.parametrize(("version", "words"), [(1, "version 1"), (4, "version 4"), (3 << 24, "big-endian")])
def test_other_versions_are_unsupported(version: int, words: str) -> None:
    with pytest.raises(UnsupportedArtefact, match=words):
        parse(header(version=version))


def test_unknown_tensor_type_is_named() -> None:
    with pytest.raises(UnsupportedArtefact, match=r"tensor 'w' has the unknown tensor type 200"):
        parse(header(tensors=pack_tensor("w", (32,), 200, 0), n_tensors=1, data=bytes(128)))


@pytest.mark.parametrize("cut", [0, 3, 10, 30, 100, 2000, 6000])
def test_a_file_cut_in_its_header_is_malformed(cut: int) -> None:
    with pytest.raises(MalformedArtefact):
        parse(VALID[:cut])


def test_a_file_cut_in_its_data_says_so() -> None:
    with pytest.raises(MalformedArtefact, match="cut short; fetch it again"):
        parse(VALID[:-64])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (header(n_tensors=65_537), "65537 tensors"),
        (header(n_keys=4_097), "4097 metadata keys"),
        (header(struct.pack("<Q", 1 << 62), n_keys=1), "bytes long; the limit is 65535"),
        (header(pack_string("k") + struct.pack("<IQ", 8, 1 << 40), n_keys=1), "the limit is 16777216"),
        (header(pack_string("k") + struct.pack("<IIQ", 9, 8, 1 << 61), n_keys=1), "claims 2305843009213693952 strings"),
        (
            header(pack_string("k") + struct.pack("<IIQ", 9, 10, 1 << 61), n_keys=1),
            "claims 2305843009213693952 elements of 8 bytes",
        ),
        (header(pack_string("k") + struct.pack("<IIQ", 9, 99, 1), n_keys=1), "unknown value type 99"),
        (header(pack_string("k") + struct.pack("<I", 13), n_keys=1), "unknown value type 13"),
        (header(pack_string("k") + struct.pack("<IB", 7, 2), n_keys=1), "boolean of value 2"),
        (header(pack_string(b"\xff") + pack_value(1), n_keys=1), "not UTF-8"),
        (header((pack_string("k") + pack_value(1)) * 2, n_keys=2), "'k' is there twice"),
        (header(pack_string("general.alignment") + pack_value(24), n_keys=1), "power of two"),
        (header(pack_string("general.alignment") + pack_value(0), n_keys=1), "power of two"),
        (header(pack_string("general.alignment") + pack_value("x"), n_keys=1), "power of two"),
        (header(tensors=pack_tensor("w", (), 0, 0), n_tensors=1), "0 dimensions"),
        (header(tensors=pack_tensor("w", (1,) * 5, 0, 0), n_tensors=1), "5 dimensions"),
        (header(tensors=pack_tensor("w", (0, 4), 0, 0), n_tensors=1), "shape"),
        (header(tensors=pack_tensor("w", (1 << 63, 1 << 63), 0, 0), n_tensors=1), "shape"),
        (header(tensors=pack_tensor("w", (1 << 40, 1 << 40, 1 << 40), 0, 0), n_tensors=1), "cut short"),
        (
            header(tensors=pack_tensor("w", (100,), 3, 0), n_tensors=1, data=bytes(999)),
            "row size 100 is not a multiple of Q4_1 block size 32",
        ),
        (header(tensors=pack_tensor("w", (8,), 0, 4), n_tensors=1, data=bytes(999)), "not at a multiple of 32"),
        (header(tensors=pack_tensor("w", (8,), 0, 0) * 2, n_tensors=2, data=bytes(999)), "'w' is there twice"),
        (
            header(tensors=pack_tensor("a", (16,), 0, 0) + pack_tensor("b", (16,), 0, 32), n_tensors=2, data=bytes(999)),
            "'b' at byte .* lies over tensor 'a'",
        ),
    ],
)
def test_each_lie_is_refused_by_name(data: bytes, words: str) -> None:
    with pytest.raises(MalformedArtefact, match=words):
        parse(data)


def test_arrays_of_arrays_are_unsupported() -> None:
    with pytest.raises(UnsupportedArtefact, match="array of arrays"):
        parse(header(pack_string("k") + struct.pack("<IIQ", 9, 9, 1), n_keys=1))


def test_a_lying_count_allocates_nothing() -> None:
    data = header(pack_string("k") + struct.pack("<IIQ", 9, 8, (1 << 40)), n_keys=1)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedArtefact):
            parse(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_large_vocabulary_parses_in_one_pass() -> None:
    """151936 tokens and as many merges: the bytes are walked once, so CPU time stays far below a second."""
    words = [f"token{i}" for i in range(151_936)]
    data = write_gguf({"a": words, "b": words}, {})
    start = time.process_time()
    assert parse(data).metadata["b"][-1] == words[-1]
    assert time.process_time() - start < 5  # a bound on the order of growth, not on the machine


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_either_parse_or_raise_our_error(tail: bytes) -> None:
    for data in (tail, VALID[:24] + tail, VALID[:4] + tail):
        with contextlib.suppress(MalformedArtefact, UnsupportedArtefact):
            parse(data)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, len(VALID))
)
def test_a_damaged_header_either_parses_or_raises_our_error(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(VALID)
    for at, value in changes:
        data[at % 8192] = value
    for damaged in (bytes(data), bytes(data[:cut])):
        try:
            found = parse(damaged)
        except (MalformedArtefact, UnsupportedArtefact):
            continue
        for info in found.tensors.values():
            assert found.header_bytes <= info.offset
            assert info.offset + info.size_bytes <= len(damaged)
