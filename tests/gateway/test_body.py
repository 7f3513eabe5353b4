import asyncio
import contextlib
import json
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest, RequestTimeout, RequestTooLarge
from freehold.gateway.body import ClientLeft, parse, read_body, too_deep

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4) | st.sampled_from(['"', "\\", '\\"', "[", "]{", '["]']),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.sampled_from(["[", '"', "\\"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def depth_of(value: Any) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 0


class Script:
    """An ASGI receive that plays messages, then waits for ever."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = list(messages)

    async def __call__(self) -> MutableMapping[str, Any]:
        if not self.messages:
            await asyncio.Event().wait()
        return self.messages.pop(0)


def piece(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def read(*messages: dict[str, Any], announced_bytes: int | None = None, timeout_s: float = 5) -> bytes:
    return await read_body(Script(*messages), announced_bytes=announced_bytes, limit_bytes=10, timeout_s=timeout_s)


async def test_a_body_in_pieces_is_joined() -> None:
    assert await read(piece(b"abc"), piece(b"def"), piece(b"", more=False)) == b"abcdef"


async def test_an_announced_size_above_the_limit_is_refused_unread() -> None:
    with pytest.raises(RequestTooLarge, match="10 bytes"):
        await read(announced_bytes=11)


async def test_more_than_announced_is_refused_while_it_arrives() -> None:
    with pytest.raises(RequestTooLarge):
        await read(piece(b"123456"), piece(b"789012"), announced_bytes=3)


async def test_a_body_that_never_ends_times_out() -> None:
    with pytest.raises(RequestTimeout, match="body_timeout_s"):
        await read(piece(b"abc"), timeout_s=0.01)


async def test_a_client_that_leaves_is_not_answered() -> None:
    with pytest.raises(ClientLeft):
        await read(piece(b"abc"), {"type": "http.disconnect"})


@settings(max_examples=200)
@given(JSON, st.integers(0, 5), st.booleans())
def test_depth_is_that_of_the_document_whatever_its_strings_hold(value: Any, limit: int, escape: bool) -> None:
    assert too_deep(json.dumps(value, ensure_ascii=escape).encode(), limit) == (depth_of(value) > limit)


@settings(max_examples=150)
@given(st.binary(max_size=60) | st.text(alphabet='[]{}",:\\ 1aé', max_size=60).map(str.encode))
def test_any_bytes_are_an_object_or_an_invalid_request(body: bytes) -> None:
    with contextlib.suppress(InvalidRequest):
        assert isinstance(parse(body, depth=4, values=1000), dict)


def test_100k_levels_are_refused_before_parsing() -> None:
    with pytest.raises(InvalidRequest, match="deeper than 64"):
        parse(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", depth=64, values=1000)


def test_more_values_than_anyone_sends_are_refused_before_parsing() -> None:
    few, many = b'{"a": [' + b'"x",' * 9 + b"1]}", b'{"a": [' + b'"x",' * 1000 + b"1]}"
    assert len(parse(few, depth=4, values=11)["a"]) == 10
    with pytest.raises(RequestTooLarge, match="more than 10 values"):
        parse(few, depth=4, values=10)
    with pytest.raises(RequestTooLarge, match="more than 1000 values"):
        parse(many, depth=4, values=1000)
    with pytest.raises(RequestTooLarge):
        parse(b'{"a": [' + b"[]," * 600 + b"1]}", depth=4, values=1000)


def test_what_strings_hold_is_not_counted_as_values() -> None:
    prose = b'{"a": "' + b'well, [so] {it} is, \\", ' * 10_000 + b'"}'
    assert parse(prose, depth=4, values=2)


def test_strings_longer_than_a_piece_keep_their_brackets_to_themselves() -> None:
    body = b'{"a": "' + b"[" * 200_000 + b'", "b": [' + b'"]",' * 100_000 + b"1]}"
    assert not too_deep(body, 2)
    assert too_deep(body, 1)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"x"', b'{"a": NaN}', b'{"a": "\xff"}', b'{"a": 1', b'{"a": "\\ud800"}', b"\xef\xbb\xbf{}"]
)
def test_what_is_not_a_json_object_in_utf8_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse(body, depth=64, values=1000)


def test_the_error_names_the_place_and_quotes_nothing() -> None:
    with pytest.raises(InvalidRequest, match=r"line 1 column") as caught:
        parse(b'{"secret": hunter2}', depth=64, values=1000)
    assert "hunter2" not in caught.value.message
