"""How long a pattern's matches are and where their digits: what can't match where there is none need not be looked for.

A label like "run" or "name" is in many texts, a number after it in few.
"""

from collections.abc import Sequence
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_DIGITS = range(ord("0"), ord("9") + 1)


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
