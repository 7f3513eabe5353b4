"""GGUF: magic, counts, strings, offsets and the chat template. Tensor types are sized where they are known.

What is checked is what native readers were broken by: counts and sizes that do not fit the file, products that overflow,
tensors that lie on each other or past the end. ggml/docs/gguf.md.
"""

import math
import struct

from freehold.provenance.scan.context import Context
from freehold.provenance.scan.findings import shown
from freehold.provenance.scan.source import Cursor, Source, Truncated
from freehold.provenance.scan.templates import scan_template

MAGIC = b"GGUF"
TENSORS_LIMIT, KEYS_LIMIT, DIMENSIONS_LIMIT = 1 << 16, 1 << 16, 4
KEY_LIMIT_BYTES, STRING_LIMIT_BYTES = 1 << 16, 16 << 20
ELEMENTS_LIMIT = 1 << 24  # of one array: vocabularies have 300,000
NESTING_LIMIT = 3
FILE_LIMIT_BYTES = 1 << 50
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
# Of arrays that readers take by their length in tokens: native ones go through them by the width they expect.
_VOCABULARY = {
    b"tokenizer.ggml.tokens": (_STRING,),
    b"tokenizer.ggml.merges": (_STRING,),
    b"tokenizer.ggml.scores": (6,),
    b"tokenizer.ggml.token_type": (4, 5),
}
# (values, bytes) of a block, by ggml's number of the type.
# fmt: off
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18:
    (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26:
    (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36),
    41: (128, 18),
}
# fmt: on


class _Lie(Exception):
    """A number that no honest writer makes."""


def scan_gguf(source: Source, context: Context) -> None:
    cursor = Cursor(source)
    try:
        _scan(cursor, context)
    except Truncated:
        context.find("cut-short", "gguf: its header goes on past the end of the file", cursor.offset)
    except _Lie as exc:
        context.find("header-lie", f"gguf: {exc}", cursor.offset)


def _scan(cursor: Cursor, context: Context) -> None:
    cursor.skip(4)
    version = cursor.number(4)
    if version not in (2, 3):
        context.find("unparsed", f"gguf: version {version}", 4)
        return
    tensors, keys = cursor.number(8), cursor.number(8)
    if tensors > TENSORS_LIMIT or keys > KEYS_LIMIT:
        raise _Lie(f"{tensors} tensors and {keys} keys; {TENSORS_LIMIT} and {KEYS_LIMIT} are the limits")
    seen: set[bytes] = set()
    lengths: dict[bytes, int] = {}
    alignment = 32
    for _ in range(keys):
        key = _string(cursor, KEY_LIMIT_BYTES)
        if key in seen:
            raise _Lie(f"key {shown(key.decode('utf-8', 'replace'))} is there twice")
        seen.add(key)
        at, kind = cursor.offset, cursor.number(4)
        if kind == _STRING and key.startswith(b"tokenizer.chat_template"):
            text = _string(cursor, STRING_LIMIT_BYTES)
            scan_template(text.decode("utf-8", "replace"), context, cursor.offset - len(text))
        elif key == b"general.alignment":
            alignment = cursor.number(4) if kind == 4 else 0
            if alignment <= 0 or alignment % 8 or alignment > 1 << 20:
                raise _Lie(f"an alignment of {alignment}")
        else:
            if key in _VOCABULARY:
                lengths[key] = _length(cursor, key, kind)
            _skip(cursor, kind, at, context)
    _check_lengths(lengths, context)
    _check_tensors(cursor, tensors, alignment, context)


def _length(cursor: Cursor, key: bytes, kind: int) -> int:
    """Of the array that begins here, which is not passed."""
    if cursor.remaining < 12:
        raise Truncated
    inner, count = struct.unpack("<IQ", cursor.source.read_at(cursor.offset, 12))
    if kind != _ARRAY or inner not in _VOCABULARY[key]:
        raise _Lie(f"{key.decode()} is of type {kind} of {inner}, which readers go through by another width")
    return int(count)


def _check_lengths(lengths: dict[bytes, int], context: Context) -> None:
    tokens = lengths.get(b"tokenizer.ggml.tokens")
    for key in (b"tokenizer.ggml.scores", b"tokenizer.ggml.token_type"):
        if tokens is not None and lengths.get(key, tokens) != tokens:
            context.find("header-odd", f"gguf: {lengths[key]} values in {key.decode()} for {tokens} tokens")


def _string(cursor: Cursor, limit: int) -> bytes:
    size_bytes = cursor.number(8)
    if size_bytes > limit:
        raise _Lie(f"a string of {size_bytes} bytes; the limit is {limit}")
    return cursor.take(size_bytes)


def _skip(cursor: Cursor, kind: int, at: int, context: Context, nesting: int = 0) -> None:
    if kind in _SIZES:
        cursor.skip(_SIZES[kind])
    elif kind == _STRING:
        _string(cursor, STRING_LIMIT_BYTES)
    elif kind == _ARRAY and nesting < NESTING_LIMIT:
        inner, count = cursor.number(4), cursor.number(8)
        if count > ELEMENTS_LIMIT:
            raise _Lie(f"an array of {count} values; the limit is {ELEMENTS_LIMIT}")
        if inner in _SIZES:
            cursor.skip(count * _SIZES[inner])
            return
        for _ in range(count):
            _skip(cursor, inner, at, context, nesting + 1)
    else:
        raise _Lie(f"a value of type {kind}")


def _check_tensors(cursor: Cursor, count: int, alignment: int, context: Context) -> None:
    ranges: list[tuple[int, int, str]] = []
    seen: set[bytes] = set()
    for _ in range(count):
        raw = _string(cursor, KEY_LIMIT_BYTES)
        name = raw.decode("utf-8", "replace")
        if raw in seen:
            raise _Lie(f"tensor {shown(name)} is there twice")
        seen.add(raw)
        dimensions = cursor.number(4)
        if not 1 <= dimensions <= DIMENSIONS_LIMIT:
            raise _Lie(f"tensor {shown(name)} has {dimensions} dimensions")
        shape = struct.unpack(f"<{dimensions}Q", cursor.take(8 * dimensions))
        kind, offset = cursor.number(4), cursor.number(8)
        if not all(0 < n < 1 << 48 for n in shape) or offset % alignment:
            raise _Lie(f"tensor {shown(name)} has shape {shape} at {offset}")
        block = _BLOCKS.get(kind)
        if block is None:
            context.find("unparsed", f"gguf: tensor {shown(name)} is of type {kind}, whose size is not known", cursor.offset)
            return
        if shape[0] % block[0]:
            raise _Lie(f"tensor {shown(name)}: rows of {shape[0]} are not whole blocks of {block[0]}")
        ranges.append((offset, offset + math.prod(shape) // block[0] * block[1], name))
    data_at = -(-cursor.offset // alignment) * alignment
    held_bytes = cursor.source.size_bytes - data_at
    end = 0
    for start, stop, name in sorted(ranges):
        if start < end:
            raise _Lie(f"tensor {shown(name)} lies on top of another")
        if stop > FILE_LIMIT_BYTES:
            raise _Lie(f"tensor {shown(name)} ends at {stop}, where no file goes")
        end = stop
    if end > held_bytes:
        context.find("cut-short", f"gguf: tensors end at {end}, the data has {held_bytes} bytes", data_at)
