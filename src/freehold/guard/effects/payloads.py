"""Texts hidden in encodings, brought back: base64, hex, octal, rot13, reversed, compressed, one in another.

Decided here: what can be decoded in bounded time is, and the result is text. What can't is None, and the caller says that
something decoded runs which it could not read. Nothing is guessed: the caller says which encoding the command at hand undoes.
Sources: RFC 4648, RFC 1950 to 1952, bash(1) "QUOTING", GNU coreutils `basenc`.
"""

import base64
import binascii
import bz2
import codecs
import lzma
import re
import zlib
from collections.abc import Callable

LIMIT_CHARS = 128 << 10  # of what is decoded, and of what comes of it: what a script may have

_BLANKS = re.compile(r"\s+")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|0?([0-7]{1,3})|c(.)|(.))", re.DOTALL)
_NAMED = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "E": "\x1b",
    "f": "\f",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
}
_HEX = re.compile(r"[0-9A-Fa-f]+")
_XXD_LINE = re.compile(r"^[0-9A-Fa-f]+: ((?:[0-9A-Fa-f]{2,4} ?)+)", re.MULTILINE)


def unescaped(text: str) -> str:
    """`\\x41`, `\\101`, `\\n` and the like, as `$'…'`, `echo -e` and `printf` read them."""
    return _ESCAPE.sub(_escape, text) if "\\" in text else text


def _escape(found: re.Match[str]) -> str:
    for group, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
        digits = found.group(group)
        if digits:
            code = int(digits, base)
            return chr(code) if code < 0xD800 or 0xF900 <= code <= 0x10FFFF else "\ufffd"
    if found.group(5):
        return chr(ord(found.group(5)[0]) & 0x1F)
    return _NAMED.get(found.group(6), found.group(0))


def from_base64(text: str) -> str | None:
    """Standard or URL alphabet, with or without padding; what is in it compressed is unpacked too."""
    clean = _BLANKS.sub("", text).replace("-", "+").replace("_", "/").rstrip("=")
    if not clean or len(clean) > LIMIT_CHARS:
        return None
    try:
        return as_text(base64.b64decode(clean + "=" * (-len(clean) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None


def from_base32(text: str) -> str | None:
    clean = _BLANKS.sub("", text).rstrip("=").upper()
    if not clean or len(clean) > LIMIT_CHARS:
        return None
    try:
        return as_text(base64.b32decode(clean + "=" * (-len(clean) % 8)))
    except (binascii.Error, ValueError):
        return None


def from_hex(text: str) -> str | None:
    """Plain digits, with `\\x`, `0x` or blanks between, or the lines that xxd prints."""
    if len(text) > 4 * LIMIT_CHARS:
        return None
    lines = _XXD_LINE.findall(text)
    digits = "".join(_HEX.findall(" ".join(lines) if lines else text.replace("\\x", " ").replace("0x", " ")))
    try:
        return as_text(bytes.fromhex(digits)) if digits else None
    except ValueError:
        return None


def from_rot13(text: str) -> str:
    return codecs.decode(text, "rot13")


def reversed_lines(text: str) -> str:
    return "\n".join(line[::-1] for line in text.split("\n"))


def translated(text: str, args: list[str]) -> str | None:
    """What `tr` makes of a text. None for classes and options that it is not worth following."""
    flags = "".join(arg[1:] for arg in args if arg.startswith("-") and len(arg) > 1)
    sets = [arg for arg in args if not (arg.startswith("-") and len(arg) > 1)]
    if not sets or "[:" in "".join(sets).replace("[:upper:]", "").replace("[:lower:]", "") or set(flags) - set("ds"):
        return None
    first = _members(sets[0])
    if "d" in flags:
        return text.translate({ord(char): None for char in first})
    if len(sets) < 2:
        return text
    second = _members(sets[1])
    if not second:
        return None
    second += second[-1] * (len(first) - len(second))
    return text.translate({ord(old): new for old, new in zip(first, second, strict=False)})


def _members(text: str) -> str:
    text = unescaped(text.replace("[:upper:]", "A-Z").replace("[:lower:]", "a-z"))
    out: list[str] = []
    at = 0
    while at < len(text) and len(out) < 1000:
        if at + 2 < len(text) and text[at + 1] == "-" and ord(text[at]) <= ord(text[at + 2]) <= ord(text[at]) + 256:
            out.extend(chr(code) for code in range(ord(text[at]), ord(text[at + 2]) + 1))
            at += 3
        else:
            out.append(text[at])
            at += 1
    return "".join(out)


def as_text(raw: bytes) -> str | None:
    """Bytes as text, unpacked where they are compressed. None where they are no text."""
    unpacked = _unpacked(raw)
    try:
        text = unpacked.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if text.startswith("\ufeff") or "\x00" in text:
        return _wide(unpacked)
    return text[:LIMIT_CHARS]


def _wide(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-16-le").lstrip("\ufeff")[:LIMIT_CHARS]
    except UnicodeDecodeError:
        return None


def _unpacked(raw: bytes) -> bytes:
    makes: tuple[tuple[bytes, Callable[[], zlib._Decompress | bz2.BZ2Decompressor | lzma.LZMADecompressor]], ...] = (
        (b"\x1f\x8b", lambda: zlib.decompressobj(31)),
        (b"x\x9c", zlib.decompressobj),
        (b"x\xda", zlib.decompressobj),
        (b"x\x01", zlib.decompressobj),
        (b"BZh", bz2.BZ2Decompressor),
        (b"\xfd7zXZ", lzma.LZMADecompressor),
    )
    for magic, make in makes:
        if raw.startswith(magic):
            try:
                return make().decompress(raw, LIMIT_CHARS)
            except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
                return raw
    return raw


DECODERS: dict[str, Callable[[str], str | None]] = {
    "base64": from_base64,
    "base32": from_base32,
    "hex": from_hex,
    "rot13": from_rot13,
    "rev": reversed_lines,
}
