import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.boundary import LOOK_BACK_CHARS, last_boundary, last_delimiter, next_boundary
from freehold.guard.detectors.postal import OPEN_STREET, STREET_TRIGGERS


def boundaries(text: str, armed: bool = True) -> list[int]:
    """Every boundary of a text that is known whole and goes on with a letter."""
    data = text.encode() + b"z"
    found, at = [], 0
    while (stop := next_boundary(data, at, len(text), len(data), armed)) is not None:
        found.append(stop)
        at = stop
    return found


@pytest.mark.parametrize(
    "joined",
    [
        "4111 1111 1111 1111",
        "+49 (0) 151 234",
        "(415) 555-0123",
        "GB82 WEST 1234 5698 7654 32",
        "g h p _ a b",
        "&#103;&#104;&#112;",
        "\x1b[01;31m\x1b[Kab\x1b[m\x1b[Kcd",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
        "password = 'correct horse, battery'",
        "seed phrase: correct horse battery staple",
    ],
)
def test_groups_that_can_be_one_value_are_joined(joined: str) -> None:
    inner = joined.index("correct") + 1 if "correct" in joined else 1
    assert [at for at in boundaries(joined) if inner < at < len(joined)] == []


def test_words_are_not() -> None:
    assert boundaries("good day, dear sir") == [5, 9, 10, 15]


def test_a_digit_group_with_unknown_continuation_is_no_boundary_yet() -> None:
    data = b"call 555 "
    assert last_boundary(data, 0, len(data), len(data), False) == 5
    assert last_boundary(data + b"x", 0, len(data), len(data) + 1, False) == len(data)


TEXTS = "ab1 (),;'\"=\n-A\x1b[m"


@given(st.text(TEXTS, max_size=60), st.booleans())
def test_the_last_boundary_is_the_last_of_all(text: str, armed: bool) -> None:
    data = text.encode() + b"z"
    assert last_boundary(data, 0, len(text), len(data), armed) == max([0, *boundaries(text, armed)])


@given(st.text(TEXTS, max_size=40), st.text("ab1 '\"=", min_size=LOOK_BACK_CHARS, max_size=LOOK_BACK_CHARS + 9))
def test_only_what_is_near_decides(before: str, near: str) -> None:
    whole = [at - len(before) for at in boundaries(before + near) if at >= len(before) + LOOK_BACK_CHARS]
    assert whole == [at for at in boundaries(near) if at >= LOOK_BACK_CHARS]


def test_the_last_delimiter_ignores_joints() -> None:
    assert last_delimiter(b"12 34 56", 0, 8) == 6
    assert last_delimiter(b"123456", 0, 6) == 0


@given(st.from_regex(OPEN_STREET.pattern.removesuffix(b"$"), fullmatch=True))
def test_what_may_begin_a_street_has_a_trigger(text: bytes) -> None:
    assert any(re.search(trigger, text) for trigger in STREET_TRIGGERS)
