"""How long a pattern's matches are, of what, and where their digits: what can't match somewhere need not be looked for there.

A label like "run" or "name" is in many texts, a number after it in few.
"""

import re
from collections.abc import Iterable, Sequence
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_DIGITS = range(ord("0"), ord("9") + 1)
_EVERY = frozenset(range(256))


def chars_to_digit(pattern: str) -> int | None:
    """The most characters of a match before its first digit; None where a match may have none, or that is not known."""
    try:
        reach, is_certain = _reach(parser.parse(pattern))
    except (ValueError, OverflowError, parser.error):  # RE2 has syntax that `re` lacks
        return None
    return reach if is_certain else None


def width_chars(pattern: str) -> int:
    """The most characters that a match may have."""
    return int(parser.parse(pattern).getwidth()[1])


def bytes_within(pattern: str) -> frozenset[int]:
    """What may stand in a match, at most; every byte where that is not known."""
    try:
        parsed = parser.parse(pattern)
        return _within(parsed, parsed.state.flags)
    except (ValueError, OverflowError, parser.error):
        return _EVERY


def _within(sequence: Sequence[Any], flags: int) -> frozenset[int]:
    return frozenset[int]().union(*(_within_one(op, argument, flags) for op, argument in sequence))


def _within_one(op: Any, argument: Any, flags: int) -> frozenset[int]:
    if op is ops.AT:
        return frozenset()
    if op is ops.SUBPATTERN:
        return _within(argument[-1], flags | argument[1])
    if op is ops.BRANCH:
        return frozenset[int]().union(*(_within(branch, flags) for branch in argument[1]))
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT):
        return _within(argument[-1], flags)
    if op is ops.LITERAL:
        return _cased({argument}, flags)
    if op is not ops.IN or any(kind is ops.CATEGORY for kind, _ in argument):
        return _EVERY
    ranges = (
        range(value[0], value[1] + 1) if kind is ops.RANGE else (value,) for kind, value in argument if kind is not ops.NEGATE
    )
    named = frozenset[int]().union(*ranges)
    return _EVERY - named if argument[0][0] is ops.NEGATE else _cased(named, flags)


def _cased(named: Iterable[int], flags: int) -> frozenset[int]:
    either = bytes(named)
    return frozenset(either + either.swapcase() if flags & re.IGNORECASE else either)


def _reach(sequence: Sequence[Any]) -> tuple[int, bool]:
    """(the most characters up to the first digit, or of all where there may be none; whether there is one for certain)."""
    reach = 0
    for op, argument in sequence:
        before, is_certain = _reach_of(op, argument)
        reach += before
        if is_certain:
            return reach, True
    return reach, False


def _reach_of(op: Any, argument: Any) -> tuple[int, bool]:
    if op is ops.LITERAL:
        return (0, True) if argument in _DIGITS else (1, False)
    if op is ops.IN:
        return (0, True) if all(_is_digits(member, value) for member, value in argument) else (1, False)
    if op is ops.BRANCH:
        reaches = [_reach(branch) for branch in argument[1]]
        return max(reach for reach, _ in reaches), all(is_certain for _, is_certain in reaches)
    if op is ops.SUBPATTERN:
        return _reach(argument[-1])
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT):
        least, most, repeated = argument
        reach, is_certain = _reach(repeated)
        if is_certain and least:
            return reach, True
        return reach * int(most), False
    if op is ops.AT:
        return 0, False
    if op in (ops.NOT_LITERAL, ops.ANY):
        return 1, False
    raise ValueError(op)


def _is_digits(op: Any, value: Any) -> bool:
    if op is ops.RANGE:
        return value[0] in _DIGITS and value[1] in _DIGITS
    return op is ops.LITERAL and value in _DIGITS
