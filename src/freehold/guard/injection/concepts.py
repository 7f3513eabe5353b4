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
    rb"([A-Za-z0-9_\x80-\xff]+(?:['.@-][A-Za-z0-9_\x80-\xff]+)*|[.!?]+(?=[\s\"')\]]|$)|\n(?![ \t]*[a-z(])|\|+|\x1e"
    rb"|<!--|</?[A-Za-z!][^<>]{0,200}>|/\*|\*/|-->|[\"`?!:])"
    rb"[^A-Za-z0-9_\x80-\xff.!?\n|\x1e<*/\-\"`:]*"  # what begins none is passed over in one go
)
_ADDRESS = re.compile(
    rb"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?:@[a-z0-9_.-]+|\.(?:[a-z]{2,4}|example|invalid|test|museum|online|store))"
)
_PARTS = re.compile(rb"['-]")
_LEET = bytes.maketrans(b"013457", b"oieast")
# Scripts that write without blanks, or glue particles to words: concepts are looked for inside a run.
_UNSPACED = re.compile("[\u0600-\u06ff\u0900-\u097f\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# Scripts with blanks and short words: a term of theirs begins a word, or stands behind particles that Arabic glues to it.
_WHOLE = re.compile("[\u0600-\u06ff\u0900-\u097f]")
_PARTICLES = frozenset(("", *"وفبلكس", "ال", "وال", "فال", "بال", "كال", "لل", "ول", "وب", "فل"))
_PARTICLES_CHARS = 3
_SHORT_CHARS = 2  # a term of so many is a whole word: "all" begins "word" in Arabic
# Where Latin letters and digits meet a script without blanks: "AI" in the middle of Chinese is a word.
_GLUED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_MEETING = re.compile(rf"(?<=[{_GLUED}])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?=[{_GLUED}])")
_SEAM = "\x1f"  # set around them: a control character that no token takes

_SECRET, _TOOL, _DEEDS = b"K", b"t", (b"D", b"G", b"V", b"E")
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
        return [found.span(1) for found in _TOKEN.finditer(self.data)]

    def in_text(self, at: int) -> int:
        """The place in the text of a place in the bytes."""
        before = self.data[:at]
        return at if before.isascii() else len(before.decode().replace(_SEAM, ""))


class Lexicon(NamedTuple):
    letters: tuple[bytes, ...]
    words: dict[bytes, bytes]  # word -> letter
    stems: dict[bytes, tuple[tuple[bytes, bytes], ...]]  # first bytes -> (stem, letter)
    inside: dict[str, tuple[str, ...]]  # first character -> terms of unspaced scripts, longest first
    starts: re.Pattern[str]  # a character that begins such a term


def parse(text: str) -> Lexicon:
    """A lexicon of TOML; see the head of `data/concepts.toml`."""
    words: dict[bytes, bytes] = dict(_MARKS)
    stems: dict[bytes, list[tuple[bytes, bytes]]] = {}
    inside: dict[str, list[str]] = {}
    tables = tomllib.loads(text).values()
    for concept in tables:
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
        letters=tuple(concept["letter"].encode() for concept in tables),
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
    letters = {
        word: get(word) or (GAP if word.isalpha() and word[:_STEM_BYTES] not in stems else _of(word)) for word in set(words)
    }
    return Words(words, b"".join(map(letters.__getitem__, words)), data)


def _of(word: bytes) -> bytes:
    if letter := _of_stem(word):
        return letter
    if word.isdigit():
        return NUMBER
    if word[:1] in b".!?\n|<*/-":
        return b"!" if word[:1] == b"!" else b"?" if word[:1] == b"?" else END
    if (b"." in word or b"@" in word) and _ADDRESS.fullmatch(word):
        return ADDRESS
    if plain := LEXICON.words.get(word.translate(_LEET)):
        return plain
    if b"_" in word:  # a name in code: of a secret, or "send_mail", which is a tool
        first, *_, last = word.split(b"_")
        return _SECRET if _of_part(last) == _SECRET else _TOOL if _of_part(first) in _DEEDS else GAP
    if b"-" not in word and b"'" not in word:
        return GAP
    parts = _PARTS.split(word)  # "l'utilisateur", "user's", "API-Zugangsdaten": the last part says what it is, else the first
    return _of_part(parts[-1]) or _of_part(parts[0]) or GAP


def _of_stem(word: bytes) -> bytes:
    for stem, letter in LEXICON.stems.get(word[:_STEM_BYTES], ()):
        if word.startswith(stem):
            return letter
    return b""


def _of_part(word: bytes) -> bytes:
    return LEXICON.words.get(word, b"") or _of_stem(word)


def _seamed(text: str) -> str:
    """`text` with a seam around each term of a script without blanks, and where Latin letters meet it."""
    if not _UNSPACED.search(text):
        return text
    text = _MEETING.sub(_SEAM, text)
    pieces: list[str] = []
    at = 0
    for found in LEXICON.starts.finditer(text):
        start = found.start()
        if start < at:
            continue
        for term in LEXICON.inside[text[start]]:
            if text.startswith(term, start) and _begins_a_word(text, start, term):
                pieces += (text[at:start], _SEAM, term, _SEAM)
                at = start + len(term)
                break
    pieces.append(text[at:])
    return "".join(pieces)


def _begins_a_word(text: str, start: int, term: str) -> bool:
    if not _WHOLE.match(term):
        return True
    first = start
    while first and start - first <= _PARTICLES_CHARS and _WHOLE.match(text[first - 1]):
        first -= 1
    end = start + len(term)
    return text[first:start] in _PARTICLES and (len(term) > _SHORT_CHARS or not _WHOLE.match(text[end : end + 1]))
