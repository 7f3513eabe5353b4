"""What a number given out by a state, an insurer or an issuer is, as a row of a table, and the detector it makes.

A number whose check leaves little to chance stands alone; a weak one counts only after a label that says what it is.
"""

from typing import NamedTuple

from freehold.guard.detectors.detector import PERSONAL_DATA, Detector
from freehold.guard.detectors.labels import APART_CHARS, hint, labelled
from freehold.guard.detectors.validators import Validator, digits, stdnum_valid
from freehold.guard.digits import chars_to_digit

_ALONE = r"(?:^|[^A-Za-z0-9 .,_+/-]|(?:^|[^0-9])[ ,])"  # not the rest of a longer row of groups; a table's column is
_ROWS = b"0123456789012"  # what a person types for the look of a number


class Number(NamedTuple):
    """`check`: a module of python-stdnum, a function of ours, or nothing. Without `labels` it stands alone.

    `core` matches a part of every one that stands alone, and begins with digits or capitals: Hyperscan skips others at 10 GB/s,
    but has to read every character for what begins otherwise. Where all begin with a digit they need none.
    """

    id: str
    pattern: str
    check: str | Validator | None
    example: str
    counterexample: str
    labels: tuple[str, ...] = ()
    confidence: float = 0.85
    core: str = ""


def _hint(number: Number) -> str:
    if number.labels:
        return hint(*number.labels)
    if number.core:
        return number.core
    return f"(?:^|[^0-9])(?:{number.pattern})" if chars_to_digit(number.pattern) == 0 else ""


def detector(number: Number) -> Detector:
    return Detector(
        id=number.id,
        category=PERSONAL_DATA,
        left="" if number.labels else _ALONE,
        before=labelled(*number.labels) if number.labels else "",
        pattern=number.pattern,
        hint=_hint(number),
        hint_reach_chars=APART_CHARS if number.labels else 0,
        confidence=number.confidence,
        validator=validator(number),
        retry=not number.labels,
        must_match=(number.example, f"it says {number.example}, and more"),
        must_not_match=(number.counterexample,),
    )


def validator(number: Number) -> Validator:
    """The check of `number`; what nobody was given, as all digits alike, is none."""
    if number.check is None:
        return lambda value: len(set(digits(value))) > 1
    check = _stdnum(number.check) if isinstance(number.check, str) else number.check
    return lambda value: (
        check(value) and len(set(digits(value))) > 2 and not _ROWS.startswith(digits(value), value.startswith(b"1"))
    )


def _stdnum(name: str) -> Validator:
    """The check of python-stdnum's module `name`, of the number as it is written or without separators."""
    is_valid = stdnum_valid(name)
    return lambda value: is_valid(value) or is_valid(digits(value))
