"""Reads the header of an untrusted safetensors file: which tensors lie where.

Decided here: every limit, and that a header either becomes tensors or raises `MalformedArtefact`, whatever the bytes. Tensors
must fill the data without gaps and without lying over each other, as the format wants it: nothing can hide in between.

    size of the header (8 bytes, little-endian) | {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ...} | data
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from freehold.core.errors import MalformedArtefact
from freehold.engine.gguf import MAX_DIM, MAX_DIMS, MAX_TENSORS, Prefix

MAX_HEADER_BYTES: Final = 32 << 20  # some 300 bytes a tensor; the format itself allows 100 MB
MAX_NAME_CHARS: Final = 512
_METADATA: Final = "__metadata__"
_FIELDS: Final = {"dtype", "shape", "data_offsets"}
# By the bytes of an element: every type of the format that is whole bytes.
_BY_SIZE: Final[Mapping[int, tuple[str, ...]]] = {
    8: ("F64", "I64", "U64"),
    4: ("F32", "I32", "U32"),
    2: ("F16", "BF16", "I16", "U16"),
    1: ("F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"),
}
DTYPES: Final = {name: size_bytes for size_bytes, names in _BY_SIZE.items() for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """`shape` is in the format's order: the last varies fastest. `offset` counts from the start of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size_bytes: int


def read_safetensors(prefix: Prefix, name: str) -> dict[str, StoredTensor]:
    """The tensors in the order in which they lie. `name` is what errors call the file."""
    header, data_offset = _header(prefix, name)
    if len(header) > MAX_TENSORS:
        raise MalformedArtefact(f"{name} lists {len(header)} tensors; the limit is {MAX_TENSORS}")
    tensors = [_tensor(name, key, value, data_offset) for key, value in header.items() if key != _METADATA]
    tensors.sort(key=lambda tensor: (tensor.offset, tensor.size_bytes))
    end, before = data_offset, "the header"
    for tensor in tensors:
        if tensor.offset != end:
            what = "lies over" if tensor.offset < end else "leaves a gap after"
            raise MalformedArtefact(
                f"{name}: tensor {_shown(tensor.name)} at byte {tensor.offset} {what} {before}, which ends at {end}"
            )
        end, before = tensor.offset + tensor.size_bytes, f"tensor {_shown(tensor.name)}"
    if end != prefix.size_bytes:
        raise MalformedArtefact(f"{name}: {before} ends at byte {end}, the file has {prefix.size_bytes}; fetch it again")
    return {tensor.name: tensor for tensor in tensors}


def _header(prefix: Prefix, name: str) -> tuple[dict[str, Any], int]:
    if prefix.size_bytes < 8:
        raise MalformedArtefact(f"{name} has {prefix.size_bytes} bytes: no safetensors file is that short")
    size_bytes = int.from_bytes(prefix.upto(8)[:8], "little")
    if size_bytes > MAX_HEADER_BYTES or 8 + size_bytes > prefix.size_bytes:
        raise MalformedArtefact(
            f"{name}: its header has {size_bytes} bytes by its own word; the file has {prefix.size_bytes} and the limit is "
            f"{MAX_HEADER_BYTES}"
        )
    raw = bytes(prefix.upto(8 + size_bytes)[8 : 8 + size_bytes])
    try:
        header = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:  # the file's words are not repeated: they may be anything
        raise MalformedArtefact(f"{name}: the header is not JSON with each name once") from exc
    if not isinstance(header, dict):
        raise MalformedArtefact(f"{name}: the header is not a JSON object")
    return header, 8 + size_bytes


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def _tensor(file: str, key: str, value: Any, data_offset: int) -> StoredTensor:
    what = f"{file}: tensor {_shown(key)}"
    if len(key) > MAX_NAME_CHARS or not key.isprintable() or not key:
        raise MalformedArtefact(f"{what}: a name has 1 to {MAX_NAME_CHARS} printable characters")
    if not isinstance(value, dict) or set(value) != _FIELDS:
        raise MalformedArtefact(f"{what} does not have dtype, shape and data_offsets, and nothing else")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise MalformedArtefact(f"{what} has the unknown type {dtype!r:.40}")
    if not _whole(shape) or len(shape) > MAX_DIMS or not all(dim <= MAX_DIM for dim in shape):
        raise MalformedArtefact(f"{what} has no shape of up to {MAX_DIMS} dimensions of 0 to {MAX_DIM}")
    if not _whole(offsets) or len(offsets) != 2:
        raise MalformedArtefact(f"{what} has no data_offsets of two numbers")
    begin, end = offsets
    size_bytes = DTYPES[dtype]
    for dim in shape:
        size_bytes *= dim
    if end - begin != size_bytes:
        raise MalformedArtefact(f"{what} of shape {shape} in {dtype} has {size_bytes} bytes, its data_offsets say {end - begin}")
    return StoredTensor(name=key, dtype=dtype, shape=tuple(shape), offset=data_offset + begin, size_bytes=size_bytes)


def _whole(value: Any) -> bool:
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)


def _shown(name: str) -> str:
    """A name out of the file, safe to print and short."""
    return ascii(name if len(name) <= 80 else name[:77] + "...")
