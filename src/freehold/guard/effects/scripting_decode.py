"""Undoes encodings of texts that a program has in itself: base64, hex, rot13, compression, percent signs. Bounded.

What can't be undone gives None; the value is marked as decoded all the same.
"""

import base64
import binascii
import bz2
import codecs
import lzma
import re
import zlib
from collections.abc import Callable, Mapping

from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scripting_sinks import Given
from freehold.guard.effects.scripting_values import DECODED, LIMIT_TEXT, Value, known, marked

Fold = Callable[[Given], Value]  # what a call is worth

_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def from_base64(data: bytes) -> bytes | None:
    """Of either alphabet, padded or not, white space left out."""
    plain = bytes(data.translate(_URL_SAFE, b" \t\r\n"))
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4))
    except (binascii.Error, ValueError):
        return None


def _by(function: Callable[[bytes], bytes]) -> Callable[[bytes], bytes | None]:
    def decode(data: bytes) -> bytes | None:
        try:
            return function(data)
        except (binascii.Error, ValueError, TypeError):
            return None

    return decode


def inflated(data: bytes) -> bytes | None:
    """zlib, gzip or bare deflate."""
    for window in (47, -15):  # 32 + 15: header found by itself; bare
        try:
            return zlib.decompressobj(window).decompress(data, LIMIT_TEXT)
        except zlib.error:
            continue
    return None


def _unpacked(data: bytes) -> bytes | None:
    """bzip2 and xz, as far as a text may be long."""
    try:
        if data[:2] == b"BZ":
            return bz2.BZ2Decompressor().decompress(data, LIMIT_TEXT)
        return lzma.LZMADecompressor(memlimit=64 << 20).decompress(data, LIMIT_TEXT)
    except (OSError, ValueError, EOFError, lzma.LZMAError, MemoryError):
        return None


def rot13(data: bytes) -> bytes:
    return codecs.encode(data.decode("latin-1"), "rot13").encode("latin-1")


def _unquoted(data: bytes) -> bytes:
    return _PERCENT.sub(lambda found: bytes((int(found[1], 16),)), data)


DECODERS: dict[str, Callable[[bytes], bytes | None]] = {
    "base64": from_base64,
    "base32": _by(base64.b32decode),
    "base16": _by(base64.b16decode),
    "base85": _by(base64.b85decode),
    "ascii85": _by(base64.a85decode),
    "hex": _by(lambda data: bytes.fromhex(data.decode("latin-1"))),
    "zlib": inflated,
    "bz2": _unpacked,
    "lzma": _unpacked,
    "rot13": rot13,
    "percent": _unquoted,
    "uu": _by(lambda data: b"".join(binascii.a2b_uu(line) for line in data.splitlines())),
}


def decoded(codec: str, value: Value) -> Value:
    """Marked as decoded whether or not it could be undone."""
    marks = value.marks | DECODED
    text = value.const.encode("latin-1", "replace") if isinstance(value.const, str) else value.const
    if not isinstance(text, bytes) or (isinstance(value.const, str) and HOLE in value.const):
        return marked(marks)
    result = DECODERS[codec](text)
    return marked(marks) if result is None else known(result, marks)


def decoders(functions: Mapping[str, str], first: Fold = Given.first) -> dict[str, Fold]:
    """A language's functions that decode, by their codec: what each makes of its `first` argument."""
    return {name: _decoder(codec, first) for codec, names in functions.items() for name in names.split()}


def _decoder(codec: str, first: Fold) -> Fold:
    return lambda given: decoded(codec, first(given))
