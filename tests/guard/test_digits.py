import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.detectors import DETECTORS
from freehold.guard.digits import bytes_within, chars_to_digit

_NUMBERS = [d for d in DETECTORS if d.hint and chars_to_digit(d.pattern) is not None]


@pytest.mark.parametrize(
    ("pattern", "chars"),
    [
        ("[0-9]{9}", 0),
        ("[A-Z]{2}[0-9]", 2),
        ("(?:[A-Z]{1,3}[ -]?)?7", 4),
        ("[A-Z][0-9]|(?i:ab)[0-9]", 2),
        ("(?:a[0-9]){0,4}b[0-9]", 5),
        ("[0-9a-f]{8}", None),
        ("[0-9]?[A-Z]", None),
        ("[0-9]|x", None),
        ("[^a]", None),
        (r"\d", None),
        (r"\pN", None),
    ],
)
def test_how_far_the_first_digit_of_a_match_is(pattern: str, chars: int | None) -> None:
    assert chars_to_digit(pattern) == chars


@given(st.data())
def test_no_match_of_a_number_has_its_first_digit_later(data: st.DataObject) -> None:
    detector = data.draw(st.sampled_from(_NUMBERS))
    chars = chars_to_digit(detector.pattern)
    value = data.draw(st.from_regex(detector.pattern, fullmatch=True))
    digit = re.search("[0-9]", value)
    assert digit is not None
    assert chars is not None
    assert digit.start() <= chars


@pytest.mark.parametrize(
    ("pattern", "within"),
    [
        ("", b""),
        ("^ab?$", b"ab"),
        ("(?i:a-)[0-2]{0,4}", b"aA-012"),
        ("(?i)a|b", b"aAbB"),
        ("[^xy]", bytes(set(range(256)) - set(b"xy"))),
        ("a.", bytes(range(256))),
        (r"\s", bytes(range(256))),
        (r"\pN", bytes(range(256))),
    ],
)
def test_what_may_stand_in_a_match(pattern: str, within: bytes) -> None:
    assert bytes_within(pattern) == frozenset(within)


@given(st.data())
def test_nothing_else_stands_before_a_value(data: st.DataObject) -> None:
    before = data.draw(st.sampled_from([d.before for d in DETECTORS if d.before]))
    assert frozenset(data.draw(st.from_regex(before.encode(), fullmatch=True))) <= bytes_within(before)
