"""Folds text to one ASCII byte a character, so that positions in what is matched are positions in the text.

Compatibility forms (full-width, mathematical letters) and accents fold to their plain letter, exotic spaces and dashes to plain
ones. Characters nobody sees (soft hyphen, zero-width, combining marks) become `IGNORED`. A letter of another script becomes one
of the `LETTERS`: enough to know a word by, and no part of a value. Everything else is `OTHER`, which ends a word, as those do.
"""

import codecs
import re
import unicodedata

import numpy as np
import numpy.typing as npt

OTHER = 0x01
IGNORED = 0x02
LETTERS = bytes((*range(0x03, 0x09), *range(0x0E, 0x1B), *range(0x1C, 0x20)))  # controls but white space and escape

_DASHES = dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE58), ord("-"))
_COMMA = {0xFF0C: OTHER}  # of Chinese text: unlike the plain one, it parts no groups of digits
_FILLERS = dict.fromkeys((0x115F, 0x1160, 0x3164, 0xFFA0), IGNORED)  # letters by category, blank by design


# Latin letters that Unicode does not take apart: "Straße", "Ørsted", "Łódź", "ığdır" are words, too.
_LETTERS = {ord(letter): ord(plain) for letter, plain in zip("ßøØłŁđĐðÐþÞæÆœŒıħĦŧŦŋŊ", "soOlLdDdDtTaAoOihHtTnN", strict=True)}


def _fold_one(code: int) -> int:
    char = chr(code)
    if char.isspace():
        return ord("\n") if code in (0x85, 0x2028, 0x2029) else ord(" ")
    if unicodedata.category(char) in ("Cf", "Mn", "Me"):
        return IGNORED
    plain = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    if len(plain) == 1 and plain.isascii():
        return ord(plain)
    letter = plain if len(plain) == 1 else char  # Hangul comes apart into its strokes
    return LETTERS[ord(letter.lower()[0]) % len(LETTERS)] if unicodedata.category(letter)[0] in "LM" else OTHER


class _Table(dict[int, int]):
    def __missing__(self, code: int) -> int:
        folded = code if code < 0x80 else _fold_one(code)
        if code <= 0xFFFF:  # the rest is rare, and a million entries are not worth their memory
            self[code] = folded
        return folded


_TABLE = _Table({**_DASHES, **_COMMA, **_FILLERS, **_LETTERS})


def _fold_run(error: UnicodeError) -> tuple[str, int]:
    """What stands for a run of characters beyond ASCII, where the run ends."""
    assert isinstance(error, UnicodeEncodeError)
    return error.object[error.start : error.end].translate(_TABLE), error.end


# `translate` looks up every character, 20 ns each; the encoder passes over ASCII at 1 ns, but a run costs 200.
_RUN_BY_RUN = "freehold-fold"
codecs.register_error(_RUN_BY_RUN, _fold_run)
_DENSE = 8  # one character in so many beyond ASCII, and the table is faster


_LONG_CHARS = 512  # below, the table is faster than what calls cost
_UNKNOWN = 0xFF
_PLANE = np.full(1 << 16, _UNKNOWN, np.uint8)  # the table's first plane, as far as it has been asked


def _fold_any(text: str) -> bytes:
    if len(text.encode("utf-8", "surrogatepass")) - len(text) <= len(text) // _DENSE:
        return text.encode("ascii", _RUN_BY_RUN)
    if len(text) >= _LONG_CHARS:
        codes = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), "<u2")
        if len(codes) == len(text):  # characters of other planes take two
            return _fold_plane(codes)
    return text.translate(_TABLE).encode()


def _fold_plane(codes: npt.NDArray[np.uint16]) -> bytes:
    folded = _PLANE[codes]
    unknown = folded == _UNKNOWN
    if unknown.any():
        for code in np.unique(codes[unknown]).tolist():
            _PLANE[code] = _TABLE[code]
        folded = _PLANE[codes]
    return folded.tobytes()


# The two-character escapes of JSON and of most languages' strings stand for one character: a blank takes the place of the
# backslash, so that a word after `\n` starts a word. `\/` hides nothing, so its backslash is ignored. `\\` and `\uXXXX` are left
# to the decodings.
_ESCAPES = {f"\\{c}".encode(): f" {to}".encode() for c, to in zip("nrtbf\"'", "\n\r\t\b\f\"'", strict=True)} | {b"\\/": b"\x02/"}
_ESCAPE = re.compile(rb"(?s)\\.")


def fold(text: str) -> bytes:
    """One ASCII byte a character of `text`, which does not end inside an escape."""
    folded = text.encode() if text.isascii() else _fold_any(text)
    return _ESCAPE.sub(lambda m: _ESCAPES.get(m[0], m[0]), folded) if b"\\" in folded else folded
