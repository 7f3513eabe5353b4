"""What must not come out: values, in plain and in the forms people and models give them, and what counts as a leak of one.

A leak is any six characters in a row of a value's private part, in any string that came out, or in what a client joins of
several: the strings of one place over all events of a stream, with and without the numbers that tell its parts apart.
"""

import base64
import html
import itertools
import json
import random
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

WINDOW_CHARS = 6
BEFORE, AFTER = "Look at this: ", " and so it went on."


@dataclass(frozen=True, slots=True)
class Value:
    """`private` are those strings of which nothing may come out; `name` is for the test's report."""

    name: str
    text: str
    private: tuple[str, ...]

    @property
    def said(self) -> str:
        return f"{BEFORE}{self.text}{AFTER}"

    def leaks(self, text: str) -> bool:
        return any(window in text for window in windows(self.private))


def windows(private: tuple[str, ...]) -> Iterator[str]:
    return (part[at : at + WINDOW_CHARS] for part in private for at in range(len(part) - WINDOW_CHARS + 1))


AWS = "AKIA" + "QZ3MR7XKD2VWTN5B"
GITHUB = "ghp_" + "k7Qz2mXv9LrT4bWn8YcH3dFs6GjP1aRe5UiO"
CARD = "4539 5787 6362 1486"
IBAN = "DE89 3704 0044 0532 0130 00"
EMAIL = "margarethe.kowalczyk@" + "lindenhof-praxis.de"
CONNECTION = "postgres://svc_billing:" + "Qx7vLr2mTz9w@db7.lindenhof.net:5432/ledger"
PASSWORD = "password = " + "vT9xQm2kLz7R"
_LINES = [base64.b64encode(random.Random(n).randbytes(48)).decode() for n in range(6)]
PEM = "\n".join(["-----BEGIN PRIVATE KEY-----", *_LINES, "-----END PRIVATE KEY-----"])

_BASE64 = base64.b64encode(GITHUB.encode()).decode()
_PERCENT = "".join(f"%{ord(char):02X}" for char in GITHUB)
_ESCAPED = "".join(f"\\u{ord(char):04x}" for char in GITHUB)
_ENTITIES = "".join(f"&#x{ord(char):x};" for char in GITHUB)
_WIDE = "".join(chr(ord(char) + 0xFEE0) for char in GITHUB)

PLAIN = (
    Value("aws", AWS, (AWS[4:],)),
    Value("github", GITHUB, (GITHUB[4:],)),
    Value("pem", PEM, tuple(_LINES)),
    Value("card", CARD, (CARD[4:],)),
    Value("iban", IBAN, (IBAN[4:],)),
    Value("email", EMAIL, (EMAIL.partition("@")[0],)),
    Value("connection", CONNECTION, ("Qx7vLr2mTz9w",)),
    Value("password", PASSWORD, ("vT9xQm2kLz7R",)),
)
FORMS = (
    Value("spaced", " ".join(GITHUB), (" ".join(GITHUB[4:]), GITHUB[4:])),
    Value("base64", _BASE64, (_BASE64[8:-4], GITHUB[4:])),
    Value("hex", GITHUB.encode().hex(), (GITHUB[4:].encode().hex(),)),
    Value("percent", _PERCENT, (_PERCENT[12:], GITHUB[4:])),
    Value("percent_some", quote(GITHUB).replace("k7", "%6B%37").replace("a", "%61"), (GITHUB[6:28],)),
    Value("escaped", _ESCAPED, (_ESCAPED[24:], GITHUB[4:])),
    Value("entities", _ENTITIES, (_ENTITIES[24:], GITHUB[4:])),
    Value("wide", _WIDE, (_WIDE[4:], GITHUB[4:])),
    Value("zero_width", "\u200b".join(GITHUB), ("\u200b".join(GITHUB[4:]), GITHUB[4:])),
    Value("reversed", GITHUB[::-1], (GITHUB[:3:-1],)),
)
VALUES = PLAIN + FORMS
assert html.unescape(_ENTITIES) == GITHUB
assert unicodedata.normalize("NFKC", _WIDE) == GITHUB


def cut(text: str, at: Iterable[int]) -> list[str]:
    """`text` cut at the places `at`."""
    places = sorted({0, len(text), *at})
    return [text[start:stop] for start, stop in itertools.pairwise(places)]


def random_cuts(text: str, pieces: int, chance: random.Random) -> list[str]:
    return cut(text, (chance.randrange(len(text) + 1) for _ in range(pieces - 1)))


def wire_cuts(data: bytes, pieces: int, chance: random.Random) -> list[bytes]:
    places = sorted({0, len(data), *(chance.randrange(len(data) + 1) for _ in range(pieces - 1))})
    return [data[start:stop] for start, stop in itertools.pairwise(places)]


_Place = tuple[str | int, ...]
_NUMBERS = ("index", "output_index", "content_index", "summary_index", "item_id")


def sse_documents(stream: bytes) -> list[Any]:
    """The JSON documents of a stream of server-sent events; what is not JSON as a string. Gemini writes errors bare."""
    documents: list[Any] = []
    for event in stream.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line.removeprefix(b"data:").strip() for line in event.split(b"\n") if line.startswith((b"data:", b"{"))]
        if lines and (data := b"\n".join(lines)) != b"[DONE]":
            try:
                documents.append(json.loads(data))
            except ValueError:
                documents.append(data.decode("utf-8", "replace"))
    return documents


def joined(documents: Iterable[Any]) -> list[str]:
    """Every string a client could make of an answer: each alone, and those of one place joined over all documents."""
    alone: list[str] = []
    exact: dict[_Place, list[str]] = {}
    loose: dict[_Place, list[str]] = {}
    for document in documents:
        for path, numbers, text in _strings(document, (), ()):
            alone.append(text)
            exact.setdefault((*path, *numbers), []).append(text)
            loose.setdefault(tuple(step for step in path if isinstance(step, str)), []).append(text)
    texts = [*alone, *("".join(texts) for group in (exact, loose) for texts in group.values() if len(texts) > 1)]
    return [*texts, *(text for told in texts for text in _inside(told))]


def _strings(value: Any, path: _Place, numbers: _Place) -> Iterator[tuple[_Place, _Place, str]]:
    if isinstance(value, str):
        yield path, numbers, value
    elif isinstance(value, dict):
        named = _NUMBERS if path else ("type", *_NUMBERS)
        numbers = (*numbers, *(str(value[name]) for name in named if isinstance(value.get(name), str | int)))
        for key, item in value.items():
            yield (*path, "key"), numbers, key
            yield from _strings(item, (*path, key), numbers)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strings(item, (*path, number), numbers)


def _inside(text: str) -> Iterator[str]:
    """The strings of a text that is JSON itself, as a tool's arguments are; and the text without its disguises."""
    if text.startswith(("{", "[")):
        try:
            document = json.loads(text)
        except ValueError:
            document = text.replace("\\n", "\n").replace('\\"', '"')
        yield from (inner for _, _, inner in _strings(document, (), ()))
    if not text.isascii():
        plain = unicodedata.normalize("NFKC", text)
        yield "".join(char for char in plain if unicodedata.category(char) != "Cf")
