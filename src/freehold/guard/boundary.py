"""Where a text may be cut: the units that are scanned, held back and released whole.

A unit is a run of characters without delimiter, and the delimiter after it. Some runs are joined, as their value has delimiters
inside: digit and IBAN groups, streets and house numbers, the words of a recovery phrase, spaced letters, HTML entities, colours
of a terminal, a PEM header, a quoted value after a credential's name. Whether a position is a boundary is decided by the
`LOOK_BACK_CHARS` before it and the character after it, nothing else: so it does not matter how the text was cut on its way here.
A position whose next character is unknown and could join is not a boundary yet.
"""

import re

from freehold.guard.decodings import COLOUR_CHARS
from freehold.guard.detectors.detector import compiled
from freehold.guard.detectors.generic import QUOTED_CHARS, QUOTED_CREDENTIAL
from freehold.guard.detectors.keys import OPEN_PHRASE, PHRASE_CHARS, PHRASE_LABEL
from freehold.guard.detectors.postal import OPEN_STREET, STREET_CHARS, STREET_TRIGGERS

LOOK_BACK_CHARS = 480  # a PEM header with its Proc-Type and DEK-Info lines is about 130, a quoted value up to QUOTED_CHARS

_PEM_BEGIN = b"-----BEGIN "

# Only near these may a boundary be decided by more than its neighbours: (what arms, for how many characters after it).
ARMING_TRIGGERS = (
    (QUOTED_CREDENTIAL.encode(), QUOTED_CHARS),
    (_PEM_BEGIN, LOOK_BACK_CHARS),
    (PHRASE_LABEL.encode(), PHRASE_CHARS),
    *((trigger, STREET_CHARS) for trigger in STREET_TRIGGERS),
)

_DELIMITERS = rb"\t-\r \"'`<>()\[\]{},;|\x01\x03-\x08\x0e-\x1f"  # the last: letters of other scripts (`fold.py`)
DELIMITER = re.compile(rb"[" + _DELIMITERS + rb"]")
_UP_TO_LAST_DELIMITER = re.compile(rb"(?s).*[" + _DELIMITERS + rb"]")
_IS_DELIMITER = bytes(bool(DELIMITER.fullmatch(bytes([b]))) for b in range(256))

_SPACE, _OPEN, _CLOSE, _SEMICOLON, _BRACKET, _ESC = b" ();[\x1b"
_WITHIN = (_SEMICOLON, _ESC)  # may stand in what hides a value, behind any letter
_DIGITS = frozenset(b"0123456789")
_UPPER = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LOWER = frozenset(b"abcdefghijklmnopqrstuvwxyz")
_AFTER_DIGIT_SPACE = _UPPER | frozenset(b"(+/")
_STREET_GOES_ON = _UPPER | _LOWER
_AFTER_PAREN = _DIGITS | frozenset(b" -")

_SHORT_GROUP = re.compile(rb"(?:^|[^A-Za-z0-9])[A-Z0-9]{1,4} \Z")
_ENTITY = re.compile(rb"&(?:#[xX]?[0-9A-Fa-f]{1,6}|[a-zA-Z]{2,6});\Z")
_COLOUR = re.compile(rb"\x1b\[[0-9;:]*\Z")
_PEM_HEAD = re.compile(  # what follows: its first line, or that and what comes before a body, as the private-key detector has it
    rb"[A-Z0-9 ]{0,40}+\Z|[A-Z0-9 ]{0,32}KEY(?: BLOCK)?-----([\t-\r \"'+,#>*|\\A-Za-z0-9.:()/=-]{0,160}+)\Z"
)
_PEM_HEAD_CHARS = 217  # the longest that matches, with BEGIN
_PEM_BODY = re.compile(rb"[A-Za-z0-9+/]{20}")
_OPENING_QUOTE = compiled(QUOTED_CREDENTIAL + "$")
_OPENING_CHARS = 96  # the longest that matches is 78
_LINE_END = re.compile(rb"[\n\r]")


def last_boundary(data: bytes, low: int, high: int, end: int, armed: bool) -> int:
    """The last boundary in (low, high], or `low`. `end` is where known text ends; `armed`: an arming trigger may be near."""
    while (found := _UP_TO_LAST_DELIMITER.match(data, low, high)) is not None:
        high = found.end()
        if not armed and high > 2 and data[high - 2] in _LOWER and data[high - 3] in _LOWER and data[high - 1] not in _WITHIN:
            return high  # the end of a word, as almost always
        if not _joins(data, high, end, armed):
            return high
        high -= 1
    return low


def next_boundary(data: bytes, low: int, high: int, end: int, armed: bool) -> int | None:
    """The first boundary in (low, high], or None."""
    while (found := DELIMITER.search(data, low, high)) is not None:
        low = found.end()
        if not _joins(data, low, end, armed):
            return low
    return None


def _joins(data: bytes, at: int, end: int, armed: bool) -> bool:
    """Whether the run before `at`, which ends with a delimiter, and the one after it belong together."""
    delimiter = data[at - 1]
    if delimiter in (_SPACE, _OPEN, _CLOSE) and _joins_groups(data, at, delimiter, data[at] if at < end else None):
        return True
    if delimiter == _SEMICOLON and _ENTITY.search(data, max(0, at - 10), at):
        return at == end or not _IS_DELIMITER[data[at]]
    if delimiter == _ESC and (at == end or data[at] == _BRACKET):
        return True
    if delimiter in (_BRACKET, _SEMICOLON) and _COLOUR.search(data, max(0, at - COLOUR_CHARS), at):
        return True
    if not armed:
        return False
    if delimiter == _SPACE and (at == end or data[at] in _STREET_GOES_ON) and _opens_street(data, at):
        return True
    if delimiter == _SPACE and (at == end or data[at] in _LOWER) and OPEN_PHRASE.search(data[max(0, at - PHRASE_CHARS) : at]):
        return True
    if _in_pem_head(data, max(0, at - _PEM_HEAD_CHARS), at):
        return True
    return _in_quoted_credential(data, max(0, at - QUOTED_CHARS), at)


def _opens_street(data: bytes, at: int) -> bool:
    return OPEN_STREET.search(data[max(0, at - STREET_CHARS) : at]) is not None


def _in_pem_head(data: bytes, low: int, at: int) -> bool:
    """Whether a PEM header that begins in [low, at) goes on up to `at`: the last that has all of its first line decides."""
    begin = at
    while (begin := data.rfind(_PEM_BEGIN, low, begin)) >= 0:
        if (head := _PEM_HEAD.match(data, begin + len(_PEM_BEGIN), at)) is not None:
            return head[1] is None or _PEM_BODY.search(head[1]) is None
    return False


def _in_quoted_credential(data: bytes, low: int, at: int) -> bool:
    """Whether the last quote in [low, at) opens the value of a credential, and its line has not ended."""
    quote = max(data.rfind(b'"', low, at), data.rfind(b"'", low, at), data.rfind(b"`", low, at))
    if quote < 0 or _LINE_END.search(data, quote, at):
        return False
    return _OPENING_QUOTE.search(data[max(0, quote + 1 - _OPENING_CHARS) : quote + 1]) is not None


def _joins_groups(data: bytes, at: int, delimiter: int, following: int | None) -> bool:
    before = data[at - 2] if at >= 2 else _SPACE
    if delimiter == _SPACE:
        if before in _DIGITS and (following is None or following in _AFTER_DIGIT_SPACE):
            return True
        if not _IS_DELIMITER[before] and (at < 3 or _IS_DELIMITER[data[at - 3]]):  # a single character
            return following is None or not _IS_DELIMITER[following]
        if before == _CLOSE:
            return at >= 3 and data[at - 3] in _DIGITS and (following is None or following in _DIGITS)
        if before in _UPPER:
            return (following is None or following in _UPPER) and _SHORT_GROUP.search(data, max(0, at - 6), at) is not None
        return False
    if delimiter == _OPEN:
        return before == _SPACE and at >= 3 and data[at - 3] in _DIGITS and (following is None or following in _DIGITS)
    return before in _DIGITS and (following is None or following in _AFTER_PAREN)


def last_delimiter(data: bytes, low: int, high: int) -> int:
    """The position after the last delimiter in [low, high), or `low`."""
    found = _UP_TO_LAST_DELIMITER.match(data, low, high)
    return low if found is None else found.end()
