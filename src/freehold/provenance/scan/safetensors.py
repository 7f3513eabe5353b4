"""safetensors: the header's structure. There is no code in the format; what can lie is its sizes."""

import json
import math
from typing import Any

from freehold.provenance.scan.context import Context
from freehold.provenance.scan.findings import shown
from freehold.provenance.scan.source import Source

HEADER_LIMIT_BYTES = 64 << 20  # the library takes 100 MB; 200,000 tensors need 30
TENSORS_LIMIT = 200_000
_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
    "C128": 128,
}


def looks_like_safetensors(head: bytes) -> bool:
    return len(head) >= 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= 100_000_000


def scan_safetensors(source: Source, context: Context) -> None:
    header_bytes = int.from_bytes(source.read_at(0, 8), "little")
    if source.size_bytes < 8 or header_bytes > source.size_bytes - 8:
        context.find("cut-short", f"safetensors: a header of {header_bytes} bytes in a file of {source.size_bytes}", 0)
        return
    if header_bytes > HEADER_LIMIT_BYTES:
        context.find("limit", f"safetensors: a header of {header_bytes} bytes", 0)
        return
    try:
        header = json.loads(source.read_at(8, header_bytes), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        context.find("unparsed", f"safetensors header: {str(exc)[:120]}", 8)
        return
    if not isinstance(header, dict) or len(header) > TENSORS_LIMIT:
        context.find("unparsed", "safetensors header: no table of tensors, or too long a one", 8)
        return
    about = header.pop("__metadata__", {})
    if not isinstance(about, dict) or not all(isinstance(v, str) for v in about.values()):
        context.find("header-odd", "safetensors: metadata that is not text", 8)
    _check_ranges(header, source.size_bytes - 8 - header_bytes, 8 + header_bytes, context)


def _check_ranges(tensors: dict[str, Any], data_bytes: int, data_at: int, context: Context) -> None:
    """Each tensor's range fits its shape, and all together cover the data without a gap or an overlap."""
    ranges = []
    for name, tensor in tensors.items():
        try:
            kind, shape, (start, end) = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
            whole = all(type(n) is int and 0 <= n < 1 << 62 for n in (*shape, start, end))
        except (TypeError, KeyError, ValueError):
            context.find("unparsed", f"safetensors: {shown(name)} is not described as a tensor", 8)
            return
        if not whole or not isinstance(kind, str) or kind not in _BITS:
            context.find("unparsed", f"safetensors: {shown(name)} has a type or sizes that are not known", 8)
            return
        if (end - start) * 8 != math.prod(shape) * _BITS[kind]:
            context.find("header-lie", f"safetensors: {shown(name)} has {end - start} bytes, its shape needs others", 8)
        ranges.append((start, end, name))
    at = 0
    for start, end, name in sorted(ranges):
        if start != at:
            context.find("header-lie", f"safetensors: {shown(name)} begins at {start}, not at {at}", data_at + max(start, 0))
            return
        at = end
    if at > data_bytes:
        context.find("cut-short", f"safetensors: tensors end at {at}, the data has {data_bytes} bytes", data_at)
    elif at < data_bytes:
        context.find("trailing-data", f"{data_bytes - at} bytes belong to no tensor", data_at + at)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name is there twice")
    return table


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a number")
