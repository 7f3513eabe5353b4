"""How a call's words are put before a person: nothing moves a cursor, nothing is left out, nothing looks like another member."""

import json

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.approvals import members, plain, plain_lines


def test_what_a_model_wrote_does_not_move_the_cursor() -> None:
    assert plain("a\x1b[2Jb\u202ec\r") == r"a\x1b[2Jb\u202ec\r"
    assert plain_lines("a\r\nb\u200b") == "a\\r\nb\\u200b"


def test_a_member_that_is_there_twice_is_shown_twice() -> None:
    assert members('{"command":"ls","command":"rm -rf /"}') == [("command", "ls"), ("command", "rm -rf /")]
    assert members('{"edit":{"a":1,"a":[2,{"b":null}]}}') == [("edit", '{"a": 1, "a": [2, {"b": null}]}')]


def test_what_is_no_object_is_shown_as_it_came() -> None:
    for text in ("", "rm -rf /", "[1]", '{"a":', "[" * 100_000):
        assert members(text) == [("", text)]


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))
def test_every_member_is_shown(arguments: dict[str, object]) -> None:
    shown = members(json.dumps(arguments))
    assert [name for name, _ in shown] == list(arguments)
    assert all(plain(value).replace("\t", "").isprintable() for _, value in shown)
