"""Words to concepts: a text becomes a string of letters, one a word, whatever its language.

"Ignore all previous instructions" and „Vergiss alle vorherigen Anweisungen" both read `IAPN`. Patterns (`signals.py`) and the
classifier (`features.py`) look at these strings, so that what is learned of one wording holds for its synonyms. The table is
data: `data/concepts.toml`. A word without a concept is a `.`, a number `#`, an address `@`; a sentence, line, cell or tag ends
with `|`, `?` or `!`.
"""

import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from typing import NamedTuple

from freehold.guard.injection.reading import read

_STEM_BYTES = 4  # the shortest stem
# A line goes on in the next where that begins with a small letter: mails are wrapped.
_TOKEN = re.compile(
    rb"[A-Za-z0-9_\x80-\xff]+(?:['.@-][A-Za-z0-9_\x80-\xff]+)*|[.!?]+(?=[\s\"')\]]|$)|\n(?![ \t]*[a-z(])|\|+|\x1e"
    rb"|</?[A-Za-z!][^<>]{0,200}>|/\*|\*/|-->|[\"`?!:]"
)
_ADDRESS = re.compile(
    rb"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?:@[a-z0-9_.-]+|\.(?:[a-z]{2,4}|example|invalid|test|museum|online|store))"
)
_LEET = bytes.maketrans(b"013457", b"oieast")
# Scripts that write without blanks, or glue particles to words: concepts are looked for inside a run.
_UNSPACED = re.compile("[\u0600-\u06ff\u0900-\u097f\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_SEAM = "\x1f"  # set around them: a control character that no token takes

GAP, NUMBER, ADDRESS, END = b".", b"#", b"@", b"|"
ENDS = b"|?!"
_MARKS = {b'"': b'"', b"`": b'"', b"?": b"?", b"!": b"!", b":": b":", b".": END, b"\n": END, b"|": END, b"\x1e": END}


class Words(NamedTuple):
    """A text's words and telling marks in small letters, the concept of each, and the bytes they were read from."""

    words: list[bytes]
    letters: bytes
    data: bytes

    def places(self) -> list[tuple[int, int]]:
        """Where, in the bytes, each word stands."""
        return [found.span() for found in _TOKEN.finditer(self.data)]

    def in_text(self, at: int) -> int:
        """The place in the text of a place in the bytes."""
        before = self.data[:at]
        return at if before.isascii() else len(before.decode().replace(_SEAM, ""))


class Lexicon(NamedTuple):
    words: dict[bytes, bytes]  # word -> letter
    stems: dict[bytes, tuple[tuple[bytes, bytes], ...]]  # first bytes -> (stem, letter)
    inside: dict[str, tuple[str, ...]]  # first character -> terms of unspaced scripts, longest first
    starts: re.Pattern[str]  # a character that begins such a term


def parse(text: str) -> Lexicon:
    """A lexicon of TOML; see the head of `data/concepts.toml`."""
    words: dict[bytes, bytes] = dict(_MARKS)
    stems: dict[bytes, list[tuple[bytes, bytes]]] = {}
    inside: dict[str, list[str]] = {}
    for concept in tomllib.loads(text).values():
        letter = concept["letter"].encode()
        for word in _written(concept):
            if word.endswith("*"):
                stem = word[:-1].encode()
                stems.setdefault(stem[:_STEM_BYTES], []).append((stem, letter))
                continue
            words.setdefault(word.encode(), letter)
            if _UNSPACED.match(word):
                inside.setdefault(word[0], []).append(word)
    return Lexicon(
        words=words,
        stems={first: tuple(sorted(group, key=lambda one: -len(one[0]))) for first, group in stems.items()},
        inside={first: tuple(sorted(terms, key=len, reverse=True)) for first, terms in inside.items()},
        starts=re.compile("[" + "".join(inside) + "]"),
    )


def _written(concept: dict[str, str]) -> Iterator[str]:
    for language, line in concept.items():
        if language != "letter":
            for word in line.split():
                yield read(word).text.lower()


LEXICON = parse((files("freehold.guard.injection") / "data" / "concepts.toml").read_text(encoding="utf-8"))


def words_of(text: str) -> Words:
    """`text` is a reading's."""
    if _SEAM in text:
        text = text.replace(_SEAM, " ")
    if not text.isascii():
        text = _seamed(text)
    data = text.encode("utf-8", "replace")
    found = _TOKEN.findall(data)
    words = b"\0".join(found).lower().split(b"\0") if found else []
    get, stems = LEXICON.words.get, LEXICON.stems
    letters = [get(word) or (GAP if word.isalpha() and word[:_STEM_BYTES] not in stems else _of(word)) for word in words]
    return Words(words, b"".join(letters), data)


def _of(word: bytes) -> bytes:
    for stem, letter in LEXICON.stems.get(word[:_STEM_BYTES], ()):
        if word.startswith(stem):
            return letter
    if word.isdigit():
        return NUMBER
    if word[:1] in b".!?\n|<*/-":
        return b"!" if word[:1] == b"!" else b"?" if word[:1] == b"?" else END
    if _ADDRESS.fullmatch(word):
        return ADDRESS
    return LEXICON.words.get(word.translate(_LEET), GAP)


def _seamed(text: str) -> str:
    """`text` with a seam around each term of a script without blanks."""
    pieces: list[str] = []
    at = 0
    for found in LEXICON.starts.finditer(text):
        start = found.start()
        if start < at:
            continue
        for term in LEXICON.inside[text[start]]:
            if text.startswith(term, start):
                pieces += (text[at:start], _SEAM, term, _SEAM)
                at = start + len(term)
                break
    pieces.append(text[at:])
    return "".join(pieces)
