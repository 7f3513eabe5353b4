"""How a client says that it can wait."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest
from freehold.gateway.batches.words import NOTHING_SAID, Words, read_deadline, said_in_headers, taken_out, together

BODY = {"model": "m", "messages": []}
JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers(), max_size=2)


def waits(words: Words, *, can_wait: bool = False) -> float | None:
    found = words.deferral(1000.0, default_wait_s=600.0, can_wait=can_wait)
    return None if found is None else found.deadline_s - 1000.0


@pytest.mark.parametrize(
    ("words", "tier_waits", "waits_s"),
    [
        (NOTHING_SAID, False, None),
        (NOTHING_SAID, True, 600.0),
        (Words(priority="deferrable"), False, 600.0),
        (Words(priority="deferrable", deadline="90m"), False, 5400.0),
        (Words(deadline="90m"), True, 5400.0),
        (Words(priority="now"), True, None),
        (Words(priority="deferrable", deadline="1100"), False, 100.0),
    ],
)
def test_the_nodes_own_word_counts_before_the_dialects(words: Words, tier_waits: bool, waits_s: float | None) -> None:
    assert waits(words, can_wait=tier_waits) == waits_s


def test_a_body_without_the_fields_is_the_same_body() -> None:
    words, document = taken_out(BODY)
    assert words is NOTHING_SAID
    assert document is BODY


def test_the_fields_are_taken_out_of_the_body() -> None:
    for said, words in (
        ({"priority": "deferrable"}, Words(priority="deferrable")),
        ({"priority": " now "}, Words(priority="now")),
        ({"priority": "deferrable", "deadline": "2h"}, Words(priority="deferrable", deadline="2h")),
        ({"priority": "deferrable", "deadline": 1_772_373_600}, Words(priority="deferrable", deadline="1772373600")),
        ({"priority": None, "deadline": None}, Words()),
    ):
        assert taken_out({**BODY, **said}) == (words, BODY)


def test_a_number_as_priority_is_a_providers_own_and_stays() -> None:
    asked = {**BODY, "priority": -3}
    assert taken_out(asked) == (NOTHING_SAID, asked)
    assert taken_out({**asked, "deadline": "2h"}) == (Words(deadline="2h"), asked)


def test_both_places_may_say_the_same_and_not_another_thing() -> None:
    headers = said_in_headers({b"x-freehold-priority": b"deferrable", b"x-freehold-deadline": b"2h"})
    assert together(headers, Words(priority="deferrable")) == headers
    assert together(NOTHING_SAID, headers) == headers
    for body, field in ((Words(priority="now"), "priority"), (Words(deadline="3h"), "deadline")):
        with pytest.raises(InvalidRequest, match=f"{field} is said by a header and by the body, and differently") as caught:
            together(headers, body)
        assert caught.value.param == field


@given(JSON, JSON)
def test_whatever_the_fields_hold_is_out_of_the_body_or_refused(priority: Any, deadline: Any) -> None:
    try:
        words, document = taken_out({**BODY, "priority": priority, "deadline": deadline})
        words.deferral(1000.0, default_wait_s=600.0, can_wait=True)
    except InvalidRequest:
        return
    assert document == (BODY if type(priority) is not int else {**BODY, "priority": priority})
    assert words.priority in ("deferrable", "now", "")


@given(st.text(max_size=40) | st.from_regex(r"[0-9]{1,14}[smhd]?", fullmatch=True), st.floats(0, 4e9))
def test_whatever_a_deadline_is_it_lies_ahead_or_is_refused(written: str, now_s: float) -> None:
    try:
        deadline_s = read_deadline(written, now_s)
    except InvalidRequest:
        return
    assert deadline_s > now_s
