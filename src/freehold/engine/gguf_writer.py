"""Writes GGUF files, version 3, from their beginning to their end: no more of a file is in memory than the caller gives at once.

A file appears under its name once it is whole and on disk; until then it is a `.part` beside it.
"""

import math
import os
import secrets
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from freehold.core.errors import InternalError, os_errors
from freehold.engine.gguf import DEFAULT_ALIGNMENT, MAGIC, SCALARS
from freehold.engine.tensor_types import TensorType

_VERSION: Final = 3
_U8, _U32, _I32, _F32, _BOOL, _STRING, _ARRAY, _U64, _I64 = 0, 4, 5, 6, 7, 8, 9, 10, 11
_DTYPES: Final = {dtype.name: kind for kind, (_, dtype) in SCALARS.items() if kind != _BOOL} | {"bool": _BOOL}


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorPlan:
    """A tensor to be written. `shape` is in ggml's order."""

    name: str
    type: TensorType
    shape: tuple[int, ...]

    @property
    def rows(self) -> int:
        return math.prod(self.shape[1:])

    @property
    def size_bytes(self) -> int:
        return self.rows * self.type.row_bytes(self.shape[0])


def header_bytes(metadata: Mapping[str, Any], tensors: Sequence[TensorPlan]) -> bytes:
    """Everything before the tensors' data, padding included."""
    parts = [MAGIC, struct.pack("<IQQ", _VERSION, len(tensors), len(metadata))]
    for key, value in metadata.items():
        parts += (_string(key), _value(key, value))
    offset = 0
    for tensor in tensors:
        parts.append(_string(tensor.name))
        parts.append(struct.pack(f"<I{len(tensor.shape)}QIQ", len(tensor.shape), *tensor.shape, tensor.type, offset))
        offset += _padded(tensor.size_bytes)
    raw = b"".join(parts)
    return raw + bytes(_padded(len(raw)) - len(raw))


def file_size(metadata: Mapping[str, Any], tensors: Sequence[TensorPlan]) -> int:
    return len(header_bytes(metadata, tensors)) + sum(_padded(tensor.size_bytes) for tensor in tensors)


def write_gguf(
    path: Path,
    metadata: Mapping[str, Any],
    tensors: Sequence[TensorPlan],
    data: Iterable[tuple[str, Iterable[bytes | memoryview]]],
) -> None:
    """`data` gives (name, its bytes in pieces) for each of `tensors`, in their order. Raises DeviceError where writing fails."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with os_errors(f"cannot write {path}"):
        try:
            with part.open("xb") as out:
                out.write(header_bytes(metadata, tensors))
                _write_tensors(out, tensors, iter(data))
                out.flush()
                os.fsync(out.fileno())
            part.replace(path)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()


def _write_tensors(
    out: BinaryIO, tensors: Sequence[TensorPlan], data: Iterator[tuple[str, Iterable[bytes | memoryview]]]
) -> None:
    for tensor, (name, pieces) in zip(tensors, data, strict=True):
        written_bytes = 0
        for piece in pieces:
            written_bytes += out.write(piece)
        if name != tensor.name or written_bytes != tensor.size_bytes:
            raise InternalError(f"{tensor.name} has {tensor.size_bytes} bytes; {name} of {written_bytes} was given")
        out.write(bytes(_padded(written_bytes) - written_bytes))


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(key: str, value: Any) -> bytes:
    """Type and value. Whole numbers are written as readers of GGUF expect most of them: as u32 where they fit."""
    match value:
        case bool():
            return struct.pack("<IB", _BOOL, value)
        case int() if 0 <= value < 1 << 32:
            return struct.pack("<II", _U32, value)
        case int():
            return struct.pack("<IQ", _U64, value) if value > 0 else struct.pack("<Iq", _I64, value)
        case float():
            return struct.pack("<If", _F32, value)
        case str():
            return struct.pack("<I", _STRING) + _string(value)
        case np.ndarray() if value.dtype.name in _DTYPES:
            little = value.astype(value.dtype.newbyteorder("<"))
            return struct.pack("<IIQ", _ARRAY, _DTYPES[value.dtype.name], len(value)) + little.tobytes()
        case list() if all(isinstance(entry, str) for entry in value):
            return struct.pack("<IIQ", _ARRAY, _STRING, len(value)) + b"".join(map(_string, value))
    raise InternalError(f"{key} is {type(value).__name__}, which has no place in a GGUF")
