"""Reads the header of an untrusted GGUF file, in pure Python, before anything else sees the file.

Decided here: every limit, and that a header either becomes a `GgufHeader` or raises `MalformedArtefact` (the bytes are wrong) or
`UnsupportedArtefact` (the bytes are right, but not for us), whatever the bytes. Nothing is allocated on the word of the file:
each count is first held against the bytes that are left. What the metadata means is left to others.

    magic "GGUF" | version | n_tensors | n_kv | key, type, value ... | name, n_dims, dims, type, offset ... | padding | data
"""

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from freehold.core.errors import MalformedArtefact, UnsupportedArtefact, os_errors
from freehold.engine.tensor_types import TensorType

MAGIC = b"GGUF"
VERSIONS = (2, 3)  # 1 had 32-bit counts; no file in use has it
MAX_TENSORS = 65_536  # the largest mixture-of-experts files have some 3000
MAX_KEYS = 4_096
MAX_KEY_BYTES = 65_535  # the format's own limit
MAX_NAME_BYTES = 256  # ggml allows 63
MAX_STRING_BYTES = 16 << 20
MAX_HEADER_BYTES = 64 << 20  # the largest vocabularies (262144 tokens and as many merges) need about 12 MiB
MAX_DIMS = 4
MAX_DIM = 1 << 40
MAX_ALIGNMENT = 1 << 20
DEFAULT_ALIGNMENT = 32

_STRING, _ARRAY, _BOOL = 8, 9, 7
SCALARS: dict[int, tuple[struct.Struct, np.dtype[Any]]] = {
    0: (struct.Struct("<B"), np.dtype("u1")),
    1: (struct.Struct("<b"), np.dtype("i1")),
    2: (struct.Struct("<H"), np.dtype("<u2")),
    3: (struct.Struct("<h"), np.dtype("<i2")),
    4: (struct.Struct("<I"), np.dtype("<u4")),
    5: (struct.Struct("<i"), np.dtype("<i4")),
    6: (struct.Struct("<f"), np.dtype("<f4")),
    7: (struct.Struct("<B"), np.dtype("u1")),
    10: (struct.Struct("<Q"), np.dtype("<u8")),
    11: (struct.Struct("<q"), np.dtype("<i8")),
    12: (struct.Struct("<d"), np.dtype("<f8")),
}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """Where a tensor lies. `shape` is in ggml's order: shape[0] is the row length. `offset` counts from the start of the file.

    `part` is the place of that file among the model's: see `split`.
    `convert` makes the tensor's bytes out of those that are stored, where they differ: only of vectors, and never in a GGUF.
    `type` and `shape` are then what comes out. `apart` are the tensors that it is made of where these do not lie side by side:
    one for each index of the last dimension. Such a tensor can be converted, and not loaded.
    """

    name: str
    type: TensorType
    shape: tuple[int, ...]
    offset: int
    size_bytes: int
    part: int = 0
    convert: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]] | None = field(default=None, repr=False, compare=False)
    apart: tuple["TensorInfo", ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """Arrays of strings are lists, arrays of numbers NumPy arrays of the file's own width."""

    version: int
    metadata: Mapping[str, Any] = field(repr=False)
    tensors: Mapping[str, TensorInfo] = field(repr=False)
    header_bytes: int
    file_bytes: int


class Prefix(Protocol):
    """A file that is read from its start, as far as the parser needs."""

    @property
    def size_bytes(self) -> int: ...

    def upto(self, end: int) -> memoryview:
        """At least the first `end` bytes; `end` is at most `size_bytes`."""


class FilePrefix:
    """A file on disk, for looking at a model that nobody signed yet. Never a source of weights."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = memoryview(b"")
        with os_errors(f"cannot read {path}"):
            self.size_bytes = path.stat().st_size

    def upto(self, end: int) -> memoryview:
        if end > len(self._read):
            with os_errors(f"cannot read {self._path}"), self._path.open("rb") as file:
                self._read = memoryview(file.read(min(self.size_bytes, max(1 << 20, 2 * end))))
        return self._read


def read_header(prefix: Prefix, name: str) -> GgufHeader:
    """Parse and check everything before the tensor data. `name` is what errors call the file."""
    cursor = _Cursor(prefix, name)
    magic = bytes(cursor.take(4, "the magic"))
    if magic != MAGIC:
        raise MalformedArtefact(f"{name} is not a GGUF file: it starts with {magic.hex()}, not {MAGIC.hex()} ('GGUF')")
    version = cursor.number(_U32, "the version")
    if version not in VERSIONS:
        swapped = " (a big-endian file: convert it first)" if int.from_bytes(version.to_bytes(4, "little")) in VERSIONS else ""
        raise UnsupportedArtefact(
            f"{name}: GGUF version {version}{swapped}; versions {VERSIONS[0]} and {VERSIONS[1]} are supported"
        )
    tensor_count = cursor.number(_U64, "the tensor count")
    key_count = cursor.number(_U64, "the key count")
    if tensor_count > MAX_TENSORS:
        raise cursor.malformed(f"{tensor_count} tensors; the limit is {MAX_TENSORS}")
    if key_count > MAX_KEYS:
        raise cursor.malformed(f"{key_count} metadata keys; the limit is {MAX_KEYS}")
    metadata: dict[str, Any] = {}
    for _ in range(key_count):
        key = cursor.string("a metadata key", MAX_KEY_BYTES)
        if key in metadata:
            raise cursor.malformed(f"the key {_shown(key)} is there twice")
        metadata[key] = _value(cursor, key)
    if not isinstance(metadata.get("general.architecture", ""), str):
        raise cursor.malformed("general.architecture is not a string")
    alignment = _alignment(metadata, cursor)
    declared = [_tensor(cursor) for _ in range(tensor_count)]
    data_offset = -(-cursor.at // alignment) * alignment
    return GgufHeader(
        version=version,
        metadata=MappingProxyType(metadata),
        tensors=MappingProxyType(_placed(declared, data_offset, alignment, cursor)),
        header_bytes=cursor.at,
        file_bytes=prefix.size_bytes,
    )


class _Cursor:
    """A position in the prefix that cannot leave it."""

    def __init__(self, prefix: Prefix, name: str) -> None:
        self._prefix = prefix
        self._view = prefix.upto(min(4096, prefix.size_bytes))
        self._limit = min(prefix.size_bytes, MAX_HEADER_BYTES)
        self.name = name
        self.at = 0

    @property
    def remaining(self) -> int:
        return self._limit - self.at

    def malformed(self, what: str) -> MalformedArtefact:
        return MalformedArtefact(f"{self.name}, byte {self.at}: {what}")

    def take(self, count: int, what: str) -> memoryview:
        start = self.at
        end = start + count
        if end > len(self._view):
            self._extend(end, what)
        self.at = end
        return self._view[start:end]

    def number(self, form: struct.Struct, what: str) -> Any:
        return form.unpack(self.take(form.size, what))[0]

    def string(self, what: str, limit: int = MAX_STRING_BYTES) -> str:
        size = self.number(_U64, what)
        if size > limit:
            raise self.malformed(f"{what} is {size} bytes long; the limit is {limit}")
        raw = self.take(size, what)
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError as exc:
            raise self.malformed(f"{what} is not UTF-8: {exc.reason} at its byte {exc.start}") from exc

    def strings(self, count: int, what: str) -> list[str]:
        """As `string`, `count` times, in one tight loop: a vocabulary has hundreds of thousands."""
        if count * _U64.size > self.remaining:
            raise self.malformed(f"{what} claims {count} strings; {self.remaining} bytes are left")
        found: list[str] = []
        append, unpack = found.append, _U64.unpack_from
        view, have, at = self._view, len(self._view), self.at
        try:
            for _ in range(count):
                if at + 8 > have:
                    self.at = at
                    view = self._extend(at + 8, what)
                    have = len(view)
                (size,) = unpack(view, at)
                end = at + 8 + size
                if end > have:
                    self.at = at
                    if size > MAX_STRING_BYTES:
                        raise self.malformed(f"{what} has a string of {size} bytes; the limit is {MAX_STRING_BYTES}")
                    view = self._extend(end, what)
                    have = len(view)
                append(str(view[at + 8 : end], "utf-8"))
                at = end
        except UnicodeDecodeError as exc:
            self.at = at
            raise self.malformed(f"{what} has a string that is not UTF-8 (number {len(found)}): {exc.reason}") from exc
        self.at = at
        return found

    def _extend(self, end: int, what: str) -> memoryview:
        if end > self._prefix.size_bytes:
            raise self.malformed(
                f"the file ends inside {what}: it has {self._prefix.size_bytes} bytes, this needs {end}; fetch it again"
            )
        if end > MAX_HEADER_BYTES:
            raise self.malformed(f"the header is longer than {MAX_HEADER_BYTES} bytes (inside {what})")
        self._view = self._prefix.upto(end)
        if len(self._view) < end:  # the file shrank while it was read
            raise self.malformed(f"the file ends inside {what}; fetch it again")
        return self._view


def _value(cursor: _Cursor, key: str) -> Any:
    what = f"the value of {_shown(key)}"
    kind = cursor.number(_U32, what)
    if kind == _STRING:
        return cursor.string(what)
    if kind == _ARRAY:
        return _array(cursor, what)
    if kind not in SCALARS:
        raise cursor.malformed(f"{what} has the unknown value type {kind}")
    value = cursor.number(SCALARS[kind][0], what)
    if kind != _BOOL:
        return value
    if value > 1:
        raise cursor.malformed(f"{what} is a boolean of value {value}")
    return bool(value)


def _array(cursor: _Cursor, what: str) -> Any:
    kind = cursor.number(_U32, what)
    count = cursor.number(_U64, what)
    if kind == _STRING:
        return cursor.strings(count, what)
    if kind == _ARRAY:  # bounds the nesting at one; ggml's own reader has none either
        raise UnsupportedArtefact(
            f"{cursor.name}, byte {cursor.at}: {what} is an array of arrays, which no model format we run uses"
        )
    if kind not in SCALARS:
        raise cursor.malformed(f"{what} is an array of the unknown value type {kind}")
    dtype = SCALARS[kind][1]
    if count * dtype.itemsize > cursor.remaining:
        raise cursor.malformed(f"{what} claims {count} elements of {dtype.itemsize} bytes; {cursor.remaining} bytes are left")
    values = np.frombuffer(cursor.take(count * dtype.itemsize, what), dtype).copy()
    if kind == _BOOL:
        if values.size and values.max() > 1:
            raise cursor.malformed(f"{what} has a boolean that is neither 0 nor 1")
        values = values.astype(np.bool_)
    values.flags.writeable = False
    return values


def _alignment(metadata: Mapping[str, Any], cursor: _Cursor) -> int:
    value = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if type(value) is not int or not 0 < value <= MAX_ALIGNMENT or value & (value - 1):
        raise cursor.malformed(f"general.alignment must be a power of two up to {MAX_ALIGNMENT}")
    return value


def _tensor(cursor: _Cursor) -> tuple[str, TensorType, tuple[int, ...], int]:
    """One entry of the tensor table; the offset counts from the start of the tensor data."""
    name = cursor.string("a tensor name", MAX_NAME_BYTES)
    what = f"tensor {_shown(name)}"
    dim_count = cursor.number(_U32, what)
    if not 1 <= dim_count <= MAX_DIMS:
        raise cursor.malformed(f"{what} has {dim_count} dimensions; 1 to {MAX_DIMS} are possible")
    shape = tuple(cursor.number(_U64, what) for _ in range(dim_count))
    if not all(0 < dim <= MAX_DIM for dim in shape):
        raise cursor.malformed(f"{what} has the shape {shape}; each dimension must be in 1..{MAX_DIM}")
    number = cursor.number(_U32, what)
    try:
        kind = TensorType(number)
    except ValueError as exc:
        raise UnsupportedArtefact(f"{cursor.name}: {what} has the unknown tensor type {number}") from exc
    return name, kind, shape, cursor.number(_U64, what)


def _placed(
    declared: list[tuple[str, TensorType, tuple[int, ...], int]], data_offset: int, alignment: int, cursor: _Cursor
) -> dict[str, TensorInfo]:
    """Every tensor inside the file, aligned, and none over another."""
    tensors: dict[str, TensorInfo] = {}
    for name, kind, shape, offset in declared:
        if name in tensors:
            raise cursor.malformed(f"tensor {_shown(name)} is there twice")
        tensors[name] = _placed_one(name, kind, shape, data_offset + offset, cursor.name)
        if offset % alignment:
            raise cursor.malformed(f"tensor {_shown(name)} starts at {offset}, not at a multiple of {alignment}")
    end, before = data_offset, "the header"
    for info in sorted(tensors.values(), key=lambda info: info.offset):
        if info.offset < end:
            raise cursor.malformed(f"tensor {_shown(info.name)} at byte {info.offset} lies over {before}, which ends at {end}")
        end, before = info.offset + info.size_bytes, f"tensor {_shown(info.name)}"
    size_bytes = cursor._prefix.size_bytes
    if end > size_bytes:
        raise MalformedArtefact(
            f"{cursor.name}: {before} ends at byte {end}, but the file has {size_bytes}: cut short; fetch it again"
        )
    return tensors


def _placed_one(name: str, kind: TensorType, shape: tuple[int, ...], offset: int, file: str) -> TensorInfo:
    if shape[0] % kind.block_elements:
        wrong = f"row size {shape[0]} is not a multiple of {kind.name} block size {kind.block_elements}"
        raise MalformedArtefact(f"{file}: tensor {_shown(name)}: {wrong}")
    size_bytes = math.prod(shape[1:]) * (shape[0] // kind.block_elements) * kind.block_bytes
    return TensorInfo(name=name, type=kind, shape=shape, offset=offset, size_bytes=size_bytes)


def _shown(name: str) -> str:
    """A name out of the file, safe to print and short."""
    return ascii(name if len(name) <= 80 else name[:77] + "...")
