"""What a text says once it is decoded: base64, hex, escapes, entities, binary, spelled, reversed and rotated letters.

All is bounded: so many runs, so many characters each, two layers deep. Whether what comes out is an attack is judged elsewhere.
"""

import base64
import binascii
import codecs
import html
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import re2

LIMIT_RUNS = 24  # of one kind
LIMIT_RUN_CHARS = 8_000
DEPTH = 2

_BASE64 = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{24,}={0,2}")
_HEX = re.compile(r"(?<![0-9a-zA-Z])(?:0x)?(?:[0-9a-fA-F]{2}[ :]?){16,}(?![0-9a-zA-Z])")
_HEX_ESCAPES = re.compile(r"(?:\\x[0-9a-fA-F]{2}){8,}|(?:\\u[0-9a-fA-F]{4}[ ]?){8,}")
_PERCENT = re.compile(r"(?:[\w.+-]{0,12}%[0-9a-fA-F]{2}){3,}[\w.+-]{0,40}")
_ENTITIES = re.compile(r"(?:&#(?:x[0-9a-fA-F]{1,5}|\d{1,6});\s?){6,}")
_BINARY = re.compile(r"(?<![01])(?:[01]{8}[ ,]?){8,}(?![01])")
_SPELLED = re.compile(r"(?<!\S)(?:[A-Za-z][ .\-_*]{1,2}){10,}[A-Za-z](?!\w)")
_BACKWARDS = r"(?i)snoitcurtsni|tpmorp|erongi|drawssap|dragersid|tegrof|etucexe|laever"
_ROTATED = r"(?i)vafgehpgvba|cebzcg|vtaber|cnffjbeq|qvfertneq|sbetrg|rkrphgr|erirny"
_GAPS = re.compile(r"[ .\-_*]")


class Decoded(NamedTuple):
    text: str
    start: int
    end: int
    words: str


def decoded(text: str, depth: int = DEPTH) -> Iterator[Decoded]:
    """What stands encoded in `text`, inner layers in place of their outer one."""
    for one in _decoded(text):
        inner = list(decoded(one.text, depth - 1)) if depth > 1 else []
        yield one
        for deeper in inner:
            yield Decoded(deeper.text, one.start, one.end, deeper.words)


def _decoded(text: str) -> Iterator[Decoded]:
    for number in sorted(_TRIGGERS.Match(text) or ()):
        kind = _KINDS[number]
        for count, found in enumerate(kind.regex.finditer(text)):
            if count == LIMIT_RUNS:
                break
            start, end = max(0, found.start() - kind.around_chars), min(len(text), found.end() + kind.around_chars)
            run = text[start : min(end, start + LIMIT_RUN_CHARS)]
            said = kind.decode(run)
            if said and said != run:
                yield Decoded(said, start, end, kind.words)


def _from_base64(run: str) -> str:
    if run.isalpha() and (run.islower() or run.isupper()):
        return ""
    body = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _readable(base64.b64decode(body[: len(body) // 4 * 4] + _rest(body)))
    except binascii.Error:
        return ""


def _rest(body: str) -> str:
    left = len(body) % 4
    return body[-left:] + "=" * (4 - left) if left > 1 else ""


def _from_hex(run: str) -> str:
    digits = re.sub(r"[^0-9a-fA-F]", "", run.removeprefix("0x"))
    return _readable(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _from_escapes(run: str) -> str:
    said = re.sub(r"\\[xu]([0-9a-fA-F]{2,4}) ?", lambda found: chr(int(found[1], 16)), run)
    return said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # two escapes make a character beyond 16 bits


def _from_percent(run: str) -> str:
    said = re.sub(rb"%([0-9a-fA-F]{2})", lambda found: bytes([int(found[1], 16)]), run.encode())
    return _readable(said.replace(b"+", b" "))


def _from_binary(run: str) -> str:
    bits = re.sub(r"[^01]", "", run)
    return _readable(bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8)))


def _from_spelled(run: str) -> str:
    """Two gaps between letters are a gap between words."""
    return _GAPS.sub("", re.sub(r"([ .\-_*])[ .\-_*]+", "\0", run)).replace("\0", " ")


def _readable(data: bytes) -> str:
    """Text, if it is one: almost all of it printable, and some of it blanks."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data[:-3].decode("utf-8", "ignore")  # a run may end inside a character
        if len(text.encode()) < len(data) - 6:
            return ""
    printable = sum(char.isprintable() or char in "\n\t\r" for char in text[:400])
    is_said = " " in text or len(text) < 40 or _BASE64.fullmatch(text) is not None
    return text if is_said and printable >= 0.95 * min(len(text), 400) else ""


class _Kind(NamedTuple):
    """`trigger` is in RE2's syntax: all triggers are looked for in one pass, as almost no text has any. What stands so many
    characters around a match is decoded with it."""

    trigger: str
    regex: re.Pattern[str]
    decode: Callable[[str], str]
    words: str
    around_chars: int = 0


_KINDS = (
    _Kind(r"[A-Za-z0-9+/_-]{24}", _BASE64, _from_base64, "base64 says it"),
    _Kind(r"(?:[0-9a-fA-F]{2}[ :]?){16}", _HEX, _from_hex, "hexadecimal says it"),
    _Kind(r"(?:\\x[0-9a-fA-F]{2}){8}|(?:\\u[0-9a-fA-F]{4} ?){8}", _HEX_ESCAPES, _from_escapes, "escapes say it"),
    _Kind(r"%[0-9a-fA-F]{2}", _PERCENT, _from_percent, "percent encoding says it"),
    _Kind(r"&#(?:x[0-9a-fA-F]{1,5}|[0-9]{1,6});", _ENTITIES, html.unescape, "HTML entities say it"),
    _Kind(r"(?:[01]{8}[ ,]?){8}", _BINARY, _from_binary, "binary digits say it"),
    _Kind(r"(?:[A-Za-z][ .\-_*]{1,2}){10}", _SPELLED, _from_spelled, "spelled letters say it"),
    # Words of attacks as they read backwards and under ROT13; texts without one are not turned round.
    _Kind(_BACKWARDS, re.compile(_BACKWARDS), lambda text: text[::-1], "read backwards, it says so", 400),
    _Kind(_ROTATED, re.compile(_ROTATED), lambda text: codecs.decode(text, "rot13"), "ROT13 says it", 400),
)


def _triggers() -> re2.Set:
    found = re2.Set.SearchSet()
    for kind in _KINDS:
        found.Add(kind.trigger)
    found.Compile()
    return found


_TRIGGERS = _triggers()
