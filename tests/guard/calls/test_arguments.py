import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.guard.calls.arguments import LIMIT_LEAVES, read


def test_members_are_found_however_their_names_are_written() -> None:
    assert read('{"file_path": "a", "newString": "b"}').text("filepath") == "a"
    assert read('{"file-path": "a"}').text("filepath") == "a"
    assert read("").members == read("  ").members == read("{}").members == {}


@pytest.mark.parametrize(
    "text",
    [
        '{"command": "ls", "command": "rm -rf /"}',
        '{"command": "ls", "Command": "rm -rf /"}',
        '{"filePath": "a", "file_path": "b"}',
        '{"a": {"b": 1, "b": 2}}',
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": 1',
        '{"a": "\\ud800"}',
        '{"a": "line\nbreak"}',
        "{'a': 1}",
        '["rm", "-rf", "/"]',
        '"rm -rf /"',
        "null",
        "17",
        "[" * 100_000,
        '{"a":' * 2_000 + "1" + "}" * 2_000,
        '{"a": ' + "9" * 5_000 + "}",
        '{"a": 1} {"a": 2}',
    ],
)
def test_what_two_readers_could_take_for_two_things_is_a_problem(text: str) -> None:
    found = read(text)
    assert found.problem
    assert not found.members
    assert not found.plain


def test_a_text_that_is_no_json_document_is_plain() -> None:
    assert read("*** Begin Patch\n").plain == "*** Begin Patch\n"
    assert read("ls -la").plain == "ls -la"
    assert not read("ls -la").problem


def test_every_string_is_a_leaf_with_its_members_name() -> None:
    found = read('{"a": "1", "b": [{"c_d": "2", "C-D": "3"}, ["4"]], "e": 5, "f": null}')
    assert list(found.leaves()) == [("a", "1"), ("cd", "2"), ("cd", "3"), ("b", "4")]


def test_too_many_leaves_end_with_a_nameless_one() -> None:
    found = list(read(json.dumps({"a": ["x"] * (LIMIT_LEAVES + 50)})).leaves())
    assert found[-1] == ("", "")
    assert len(found) == LIMIT_LEAVES + 1


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    found = read(text)
    assert bool(found.problem) + bool(found.plain) + bool(found.members) <= 1


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["command", "path", "content", "x y"]), _JSON))
def test_every_object_that_json_can_say_without_doubt_is_read(document: dict[str, object]) -> None:
    found = read(json.dumps(document))
    assert found.problem in ("", "the arguments are not JSON")  # half surrogates
    if not found.problem:
        assert len(found.members) == len(document)
