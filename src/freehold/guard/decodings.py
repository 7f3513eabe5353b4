"""What a suspicious piece of text says once it is decoded: escapes, colours, base64, hex, spaced and reversed letters.

Each decoding is a view: other bytes, with the position every byte came from, so that a match in it is a span of the text.
Decodings are decoded again, `DEPTH` times, within `BUDGET_BYTES` a unit. The triggers flag every text for which a view differs
from the text itself; without a flag nothing here runs.
"""

import binascii
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from html.entities import html5
from typing import NamedTuple

from freehold.guard.fold import fold

DEPTH = 2
BUDGET_BYTES = 64 << 10
LOOK_BACK_CHARS = 48  # an escape this far before a value still counts as its context
NAME_CHARS = 60  # of a run are looked at to see whether it is a name
OBSCURE_CONFIDENCE = 0.9  # in text that had to be guessed at (reversed, base64), only findings at least this sure count
RUN_CHARS = 20  # the shortest token worth turning round: an AWS access key id

_PERCENT = r"%[0-9A-Fa-f]{2}"
_BACKSLASH = r"\\(?:u\{?[0-9A-Fa-f]{4}\}?|x[0-9A-Fa-f]{2}|\\)"
_SIMPLE_ESCAPE = r"\\[nrtbf\"'/]"  # folding has undone these; they come up again inside escaped escapes
_ENTITY = r"&(?:#[xX]?[0-9A-Fa-f]{1,6}|[a-zA-Z]{2,6});"
_IGNORED = r"\x02"
COLOUR_CHARS = 24  # of a terminal's sequence for colours, or for the rest of a line
_COLOUR = rf"\x1b\[[0-9;:]{{0,{COLOUR_CHARS - 3}}}[mK]"
_SPACED = r"(?:[!-~] ){7}"
_RUN = r"[A-Za-z0-9+/_=-]"

SPACED_TRIGGER = _SPACED.encode()
ESCAPE_TRIGGERS = tuple(p.encode() for p in (_PERCENT, _BACKSLASH, _ENTITY, _IGNORED, _COLOUR))
RUN_TRIGGERS = (f"{_RUN}{{{RUN_CHARS}}}[^A-Za-z0-9+/_=-]".encode(),)

_ESCAPE = re.compile("|".join((_IGNORED, _COLOUR, _PERCENT, _BACKSLASH, _SIMPLE_ESCAPE, _ENTITY)).encode())
_SPACED_LETTERS = re.compile(rb"(?<![!-~])(?:[!-~] ){7,}(?:[!-~](?![!-~]))?")
_LONG_RUN = re.compile(f"{_RUN}{{{RUN_CHARS},}}".encode())
# `getElementsByName`, `MAX_OPEN_FILES`: of 20 characters of base64, three in a hundred have no digit, and few of those are made
# like this. Each part begins with what the one before cannot end with, so there is one way to read it.
_SMALL = "As|At|By|Do|Id|If|In|Is|It|My|No|Of|On|Or|To|Up"
_NAME = rf"[a-z]*(?:[_=-]+[A-Z]*[a-z]{{2,}}|[A-Z]+[a-z]{{2,}}|{_SMALL})*[A-Z_=-]{{0,4}}|[A-Z]*_[A-Z_]*"
_NO_CAPITAL = "[a-z+/_=-]*"  # base64 of ASCII has capitals: its every fourth character is one of A-Z, a-f
_ENDS_IN_A_NAME = re.compile(rf"(?s)(?>(?:.*[^A-Za-z0-9+/_=-])?)(?:{_NO_CAPITAL}|{_NAME})".encode())
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{20,}={0,2}")
_HEX = re.compile(rb"[0-9A-Fa-f]{32,}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_PRINTABLE = bytes([9, 10, 13, *range(32, 127)])
_Place = Callable[[int], tuple[int, int]]
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " "}


def may_be_encoded(data: bytes, end: int) -> bool:
    """Whether the run that ends at `end` may be more than a long name: most code has names of `RUN_CHARS` characters."""
    return _ENDS_IN_A_NAME.fullmatch(data, max(0, end - NAME_CHARS), end) is None


class View(NamedTuple):
    """`place(i)` bounds what `data[i]` stands for. `obscure`: chance may have made it, only sure findings count."""

    data: bytes
    place: _Place
    obscure: bool


def as_written(text: bytes) -> View:
    return View(text, lambda at: (at, at + 1), False)


def _always(bounds: tuple[int, int]) -> _Place:
    return lambda _: bounds


def decodings(window: bytes, low: int) -> Iterator[View]:
    """Views of `window`, whose text proper starts at `low`; before it is context, where only escapes are resolved."""
    budget = BUDGET_BYTES
    level = [as_written(window)]
    for _ in range(DEPTH):
        decoded: list[View] = []
        for parent in level:
            for view in _decode(parent, low):
                budget -= len(view.data)
                if budget < 0:
                    return
                decoded.append(view)
                yield view
        level = decoded


def _decode(view: View, low: int) -> Iterator[View]:
    if (plain := unescaped(view)) is not None:
        yield plain
    if (squeezed := unspaced(view)) is not None:
        yield squeezed
    data, place = view.data, view.place
    if not any(place(run.end() - 1)[0] >= low and may_be_encoded(data, run.end()) for run in _LONG_RUN.finditer(data)):
        return
    for pattern, decode in ((_BASE64, _from_base64), (_HEX, _from_hex)):
        for match in pattern.finditer(data):
            bounds = place(match.start())[0], place(match.end() - 1)[1]
            if bounds[0] >= low and (text := decode(match[0])) is not None:
                yield View(text, _always(bounds), True)
    last = len(data) - 1
    if place(0)[0] <= place(last)[0]:  # not turned round already
        yield View(data[::-1], lambda at: place(last - at), True)


def span(view: View, start: int, end: int) -> tuple[int, int]:
    """What `view.data[start:end]` stands for."""
    first, last = view.place(start), view.place(end - 1)
    return (first[0], last[1]) if first[0] <= last[0] else (last[0], first[1])


def first_from(view: View, low: int) -> int:
    """The first place in `view` that may stand for what is at `low` or later."""
    last = len(view.data) - 1
    if view.place(0)[0] >= view.place(last)[0]:  # turned round, or one piece
        return 0
    return bisect_left(range(last), low, key=lambda at: view.place(at)[0])


def unescaped(view: View) -> View | None:
    """With its escapes resolved; None where there is none, or nothing else."""
    edits = [(escape.start(), escape.end(), _resolved(escape[0])) for escape in _ESCAPE.finditer(view.data)]
    plain = _edited(view, edits) if edits else None
    return plain if plain is not None and plain.data else None


def unspaced(view: View) -> View | None:
    """Without the blanks between spaced letters; None where there are none."""
    rows = (range(row.start() + 1, row.end() - 1, 2) for row in _SPACED_LETTERS.finditer(view.data))
    edits = [(at, at + 1, b"") for row in rows for at in row]
    return _edited(view, edits)._replace(obscure=True) if edits else None


def _edited(view: View, edits: Sequence[tuple[int, int, bytes]]) -> View:
    """`view` with other bytes in the place of some; those stand for all that they replace."""
    said, begins = list[bytes](), list[int]()
    places: list[tuple[int, int, int]] = []  # (where the bytes end, what they stand for)
    at = size = 0
    for start, end, replacement in edits:
        said += (view.data[at:start], replacement)
        begins.append(size := size + start - at)
        places.append((size := size + len(replacement), start, end))
        at = end
    said.append(view.data[at:])

    def place(index: int) -> tuple[int, int]:
        edit = bisect_right(begins, index) - 1
        stop, start, end = places[edit] if edit >= 0 else (0, 0, 0)
        if index >= stop:
            start = end + index - stop
            end = start + 1
        return view.place(start)[0], view.place(end - 1)[1]

    return View(b"".join(said), place, view.obscure)


@lru_cache(maxsize=4096)
def _resolved(escape: bytes) -> bytes:
    return fold(_character(escape.decode("ascii")))


def _character(escape: str) -> str:
    """The text an escape stands for."""
    if escape[0] in "\x02\x1b":
        return ""
    if escape[0] == "%":
        return chr(int(escape[1:], 16))
    if escape[0] == "\\":
        if escape[1] in "ux":
            return chr(int(escape[2:].strip("{}"), 16))
        return _SIMPLE.get(escape[1], escape[1])
    if escape[1] != "#":
        return html5.get(escape[1:], escape)
    code = escape[2:-1]
    try:
        return chr(int(code[1:], 16) if code[0] in "xX" else int(code))
    except (ValueError, OverflowError):  # beyond Unicode, or hex digits without x
        return escape


def _from_base64(piece: bytes) -> bytes | None:
    piece = piece.rstrip(b"=")
    try:
        return _readable(binascii.a2b_base64(piece.translate(_URL_SAFE)[: len(piece) // 4 * 4] + _rest(piece)))
    except binascii.Error:
        return None


def _rest(piece: bytes) -> bytes:
    """The last incomplete group, padded; a single character left over says nothing."""
    left = len(piece) % 4
    return piece[-left:].translate(_URL_SAFE) + b"=" * (4 - left) if left > 1 else b""


def _from_hex(piece: bytes) -> bytes | None:
    return _readable(bytes.fromhex(piece[: len(piece) // 2 * 2].decode("ascii")))


def _readable(decoded: bytes) -> bytes | None:
    """`decoded`, folded, if it is text."""
    if len(decoded.translate(None, _PRINTABLE)) * 10 > len(decoded):
        return None
    return fold(decoded.decode("utf-8", "replace")) or None
