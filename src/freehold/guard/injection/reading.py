"""A text as it is read here: look-alike letters folded, invisible ones taken out.

What is folded keeps its length, so that places in a reading are places in the text; only where something invisible was taken out
does a table say where each character came from. Other scripts are kept: what words mean is `concepts.py`'s to say. So is the case
of ASCII letters, by which a wrapped line is told from a new one.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

# Characters that show nothing: soft hyphen, zero-width, bidi controls, variation selectors, tags, combining marks of Latin.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\u0300-\u034e\u0350-\u036f]+"
)
# Letters of other scripts that look like Latin ones, by Unicode's confusables (UTS #39): the ones in everyday fonts.
_LOOKALIKES = str.maketrans(
    "аеорсухіѕјһԁԛԝкмтнвАЕОРСУХІЅЈНКМТВοναρτικυΟΑΡΤΙΚΕΗΜΝΒΖΧΥ", "aeopcyxisjhdqwkmthbAEOPCYXISJHKMTBovaptikuOAPTIKEHMNBZXY"
)
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f][^A-Za-z]*")  # and what stands between words of such letters
_MIXED = re.compile(r"[A-Za-z][\u0370-\u03ff\u0400-\u04ff]|[\u0370-\u03ff\u0400-\u04ff][A-Za-z]")
_WORD = re.compile(r"[^\W\d_]+")
_PUNCTUATION = (
    dict.fromkeys(map(ord, "“”„‟«»「」『』＂"), '"')
    | dict.fromkeys(map(ord, "‘’‚‛´＇"), "'")
    | dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE58), "-")
    | {0x3002: ".", 0xFF01: "!", 0xFF1F: "?", 0x061F: "?", 0xFF0C: ",", 0x3001: ",", 0xFF1A: ":", 0x0964: "."}
    | {0x85: "\n", 0x2028: "\n", 0x2029: "\n", 0x2026: ".", 0xA6: "|"}
)
# Latin letters that Unicode does not take apart.
_LETTERS = {
    ord("ß"): "s",
    ord("ł"): "l",
    ord("Ł"): "L",
    ord("ı"): "i",
    ord("ɡ"): "g",
    ord("ɑ"): "a",
    ord("ø"): "o",
    ord("đ"): "d",
}

# The two-character escapes of JSON and code, read as what they stand for and a blank.
_ESCAPE = re.compile(r"\\[nrtbf\"'/\\]")
_ESCAPES = {f"\\{letter}": f"{to} " for letter, to in zip("nrtbf", "\n\n\t  ", strict=True)}
_ESCAPES |= {f"\\{letter}": f" {letter}" for letter in "\"'/\\"}

CELL_END = "\x1e"  # ASCII's own sign for it
# JSON, whole or a piece: what a tool answers with, mostly. Its strings are what somebody wrote; the rest is scaffolding.
_JSON = re.compile(r"\s*[{\[]\s*(?:[{\[\]}]\s*)*(?:\"|-?\d|true|false|null|$)")
_JSON_PARTS = re.compile(r"\"([^\"\\]*(?:\\.[^\"\\]*)*)\"|[\s,:{}\[\]]+|-?\d[\d.eE+-]*|\b(?:true|false|null)\b", re.DOTALL)


class Reading(NamedTuple):
    """`places[i]` is where character i of `text` stands in the original; None where nothing was taken out."""

    text: str
    places: Sequence[int] | None
    invisible: tuple[tuple[int, int], ...]  # what was taken out, in the original
    has_lookalikes: bool

    def place(self, at: int) -> int:
        if self.places is None:
            return at
        return self.places[at] if at < len(self.places) else self.places[-1] + 1 if self.places else 0


def read(text: str) -> Reading:
    places: Sequence[int] | None = None
    invisible: tuple[tuple[int, int], ...] = ()
    has_lookalikes = False
    if not text.isascii():
        invisible = tuple(found.span() for found in INVISIBLE.finditer(text))
        if invisible:
            text, places = _without(text, invisible)
        text = _BEYOND_ASCII.sub(lambda found: found[0].translate(_FOLDED), text)
        if _MIXED.search(text):
            has_lookalikes = True
            text = _WORD.sub(_unmixed, text)
    if "\\" in text:
        text = _ESCAPE.sub(lambda found: _ESCAPES[found[0]], text)
    return Reading(text, places, invisible, has_lookalikes)


def strings_alone(text: str) -> str:
    """Of JSON, what its strings say, each a cell of its own and in its place; names, numbers and signs are blank.

    What is no JSON comes back as it is, and so does whatever stands in JSON where it does not belong: nothing hides there.
    """
    return _JSON_PARTS.sub(_cell, text) if _JSON.match(text) else text


def _cell(part: re.Match[str]) -> str:
    said = part[1]
    if said and (" " in said or not said.isascii() or "\\" in said):
        return f" {said}{CELL_END}"
    return " " * (part.end() - part.start())


def _without(text: str, stretches: Sequence[tuple[int, int]]) -> tuple[str, Sequence[int]]:
    pieces: list[str] = []
    places: list[int] = []
    at = 0
    for start, end in (*stretches, (len(text), len(text))):
        pieces.append(text[at:start])
        places += range(at, start)
        at = end
    return "".join(pieces), places


def _unmixed(word: re.Match[str]) -> str:
    return word[0].translate(_LOOKALIKES) if _MIXED.search(word[0]) else word[0]


def _fold_one(code: int) -> str:
    char = chr(code)
    if char.isspace():
        return " "
    plain = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
    if len(plain) == 1 and plain.isascii():
        return plain
    small = char.lower()
    return small if len(small) == 1 else char


class _Table(dict[int, str]):
    def __missing__(self, code: int) -> str:
        folded = chr(code) if code < 0x80 else _fold_one(code)
        if code <= 0xFFFF:  # the rest is rare, and a million entries are not worth their memory
            self[code] = folded
        return folded


_FOLDED = _Table(_PUNCTUATION | _LETTERS)
