"""Folds text to one ASCII byte a character, so that positions in what is matched are positions in the text.

Compatibility forms (full-width, mathematical letters) and accents fold to their plain letter, exotic spaces and dashes to plain
ones. Characters nobody sees (soft hyphen, zero-width, combining marks) become `IGNORED`. A letter of another script becomes one
of the `LETTERS`: enough to know a word by, and no part of a value. Everything else is `OTHER`, which ends a word, as those do.
"""

import codecs
import re
import unicodedata

OTHER = 0x01
IGNORED = 0x02
LETTERS = bytes((*range(0x03, 0x09), *range(0x0E, 0x1B), *range(0x1C, 0x20)))  # controls but white space and escape

_DASHES = dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE58), ord("-"))
_LINES = dict.fromkeys((0x2502, 0x2503, 0x2551), ord("|"))  # between the columns of a table
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


_UNKNOWN = 0xFF
_PLANE = bytearray((_UNKNOWN,)) * 0x10000  # what the first 65,536 characters fold to, as far as they have been asked
_PLANE[:0x80] = range(0x80)
for _code, _folded in (_DASHES | _LINES | _COMMA | _FILLERS | _LETTERS).items():
    _PLANE[_code] = _folded
_OTHER_PLANES = re.compile("[\U00010000-\U0010ffff]")


def _fold_dense(text: str) -> str:
    """By a look-up of each character, 26 ns; those of other planes are rare, and have none."""
    folded = text.translate(_PLANE)
    if chr(_UNKNOWN) in folded:
        for char in set(text):
            if char <= "\uffff" and _PLANE[ord(char)] == _UNKNOWN:
                _PLANE[ord(char)] = _fold_one(ord(char))
        folded = text.translate(_PLANE)
    return folded if folded.isascii() else _OTHER_PLANES.sub(lambda found: chr(_fold_one(ord(found[0]))), folded)


def _fold_run(error: UnicodeError) -> tuple[str, int]:
    """What stands for a run of characters beyond ASCII, where the run ends."""
    assert isinstance(error, UnicodeEncodeError)
    return _fold_dense(error.object[error.start : error.end]), error.end


# The encoder passes over ASCII at 1 ns a character, but a run costs 200.
_RUN_BY_RUN = "freehold-fold"
codecs.register_error(_RUN_BY_RUN, _fold_run)
_DENSE = 8  # one character in so many beyond ASCII, and looking up every one is faster

_LONG_CHARS = 2048  # from here on it is worth it to make a table for the alphabet that a text begins with
_BEGINNING_CHARS = 512
_ASCII = bytes(range(0x80))
_LETTERS_LIMIT = 0x7F  # in a table of bytes, beside ASCII


def _fold_any(text: str) -> bytes:
    if len(text.encode("utf-8", "surrogatepass")) - len(text) <= len(text) // _DENSE:
        return text.encode("ascii", _RUN_BY_RUN)
    if len(text) >= _LONG_CHARS:
        letters = "".join(char for char in set(text[:_BEGINNING_CHARS]) if "\x7f" < char <= "\uffff")
        if len(letters) <= _LETTERS_LIMIT:
            return _fold_alphabet(text, letters)
    return _fold_dense(text).encode()


def _fold_alphabet(text: str, letters: str) -> bytes:
    """At 3 ns a character where `letters` are all that is beyond ASCII; what else there is, run by run."""
    numbers, _ = codecs.charmap_encode(text, _RUN_BY_RUN, codecs.charmap_build(_ASCII.decode() + letters))
    return numbers.translate((_ASCII + _fold_dense(letters).encode()).ljust(0x100))


# The two-character escapes of JSON and of most languages' strings stand for one character: a blank takes the place of the
# backslash, so that a word after `\n` starts a word. `\/` hides nothing, so its backslash is ignored. `\\` and `\uXXXX` are left
# to the decodings.
_ESCAPES = {f"\\{c}".encode(): f" {to}".encode() for c, to in zip("nrtbf\"'", "\n\r\t\b\f\"'", strict=True)} | {b"\\/": b"\x02/"}
_ESCAPE = re.compile(rb"(?s)\\.")


def fold(text: str) -> bytes:
    """One ASCII byte a character of `text`, which does not end inside an escape."""
    folded = text.encode() if text.isascii() else _fold_any(text)
    return _ESCAPE.sub(lambda m: _ESCAPES.get(m[0], m[0]), folded) if b"\\" in folded else folded
