"""NumPy's .npy: a header that is a Python literal, then raw values, or a pickle where values are objects.

Format: numpy/lib/format.py, versions 1 to 3. The header is parsed as a literal, by size first, and never evaluated.
"""

import ast
import math
import re
from typing import Any

from freehold.provenance.scan.context import Context
from freehold.provenance.scan.findings import shown
from freehold.provenance.scan.pickles import scan_pickles
from freehold.provenance.scan.source import Cursor, Source, Truncated

MAGIC = b"\x93NUMPY"
HEADER_LIMIT_BYTES = 64 << 10  # numpy's own is 10,000 characters for files that are not trusted
_LONG = re.compile(r"\b(\d+)L\b")  # Python 2 wrote long numbers so
_DTYPE = re.compile(r"[<>|=]?([?bBiufcmMSUVO])(\d{0,9})(?:\[\w{1,12}\])?")


def scan_numpy(source: Source, context: Context) -> None:
    try:
        header, data_at = _header(source)
    except (Truncated, ValueError, SyntaxError, MemoryError, RecursionError) as exc:
        context.find("unparsed", f"npy header: {exc or 'ends too early'}"[:200], 0)
        return
    kind, shape = header["descr"], header["shape"]
    if _has_objects(kind):
        scan_pickles(source.part(data_at, source.size_bytes), context)
        return
    found = _DTYPE.fullmatch(kind) if isinstance(kind, str) else None
    if found is None:
        return  # a record: its fields hold no objects, and numpy counts its bytes
    needed_bytes = math.prod(shape) * int(found[2] or 1) * (4 if found[1] == "U" else 1)
    held_bytes = source.size_bytes - data_at
    if needed_bytes > held_bytes:
        context.find("cut-short", f"npy: {shown(kind)} of shape {shown(str(shape))} does not fit in {held_bytes} bytes", data_at)
    elif needed_bytes < held_bytes:
        context.find("trailing-data", f"{held_bytes - needed_bytes} bytes follow the array", data_at + needed_bytes)


def _header(source: Source) -> tuple[dict[str, Any], int]:
    cursor = Cursor(source)
    cursor.skip(len(MAGIC))
    major = cursor.number(1)
    cursor.skip(1)
    if major not in (1, 2, 3):
        raise ValueError(f"version {major}")
    size_bytes = cursor.number(2 if major == 1 else 4)
    if size_bytes > HEADER_LIMIT_BYTES:
        raise ValueError(f"{size_bytes} bytes, the limit is {HEADER_LIMIT_BYTES}")
    text = cursor.take(size_bytes).decode("utf-8" if major == 3 else "latin-1").strip()
    header = ast.literal_eval(_LONG.sub(r"\1", text))
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise ValueError("not descr, fortran_order and shape")
    shape = header["shape"]
    if not isinstance(shape, tuple) or not all(type(n) is int and 0 <= n < 1 << 62 for n in shape) or len(shape) > 64:
        raise ValueError("a shape that is none")
    if not isinstance(header["descr"], str | list | tuple):
        raise ValueError("a type that is none")
    return header, cursor.offset


def _has_objects(kind: object, depth: int = 0) -> bool:
    """A type is a string, or for records a list of (name, type, shape). What is odd counts as objects, and is walked as such."""
    if isinstance(kind, str):
        return "O" in kind or not _DTYPE.fullmatch(kind)
    if isinstance(kind, list) and depth < 8:
        return not all(isinstance(f, tuple) and len(f) in (2, 3) for f in kind) or any(
            _has_objects(f[1], depth + 1) for f in kind
        )
    if isinstance(kind, tuple) and len(kind) == 2 and depth < 8:  # (type, shape): a subarray
        return _has_objects(kind[0], depth + 1)
    return True
