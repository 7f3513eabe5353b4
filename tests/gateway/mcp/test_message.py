import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import ClientError, InvalidRequest, RequestTooLarge
from freehold.gateway.mcp.message import Kind, Side, check, read
from freehold.gateway.mcp.services import Bounds

BOUNDS = Bounds(size_bytes=1000, depth=16, values=100)
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{}}}'

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0"]),
        "id": json_values,
        "method": json_values,
        "params": json_values,
        "result": json_values,
        "error": json_values,
    },
)


@given(st.binary() | envelopes.map(lambda document: json.dumps(document).encode()))
def test_any_bytes_are_a_message_or_our_own_error(data: bytes) -> None:
    try:
        message = read(data, BOUNDS)
    except ClientError:
        return
    for side in Side:
        for version in ("2025-11-25", "2026-07-28"):
            with contextlib.suppress(InvalidRequest):
                check(message, side, version, asked="tools/call")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (CALL, Kind.REQUEST),
        (b'{"jsonrpc":"2.0","method":"notifications/initialized"}', Kind.NOTIFICATION),
        (b'{"jsonrpc":"2.0","id":"a","result":{}}', Kind.RESULT),
        (b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}', Kind.ERROR),
    ],
)
def test_a_message_is_one_of_four_kinds(data: bytes, kind: Kind) -> None:
    assert read(data, BOUNDS).kind is kind


@pytest.mark.parametrize(
    "data",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"a","result":{}}',  # two readers may see two things in it
        b'{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"m"}}',
        b'{"jsonrpc":"2.0","id":true,"method":"a"}',
        b'{"jsonrpc":"2.0","id":null,"method":"a"}',
        b'{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}',
        b'{"jsonrpc":"2.0","id":1,"result":[]}',
        b"[" + CALL + b"]",
        CALL + CALL,
    ],
)
def test_what_could_be_read_in_two_ways_is_no_message(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read(data, BOUNDS)


def test_a_message_above_its_bounds_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(RequestTooLarge):
        read(CALL + b" " * 1000, BOUNDS)


def test_a_call_is_held_to_the_sdks_type_and_an_unknown_method_is_not() -> None:
    wrong = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{}}}'
    with pytest.raises(InvalidRequest, match="tools/call"):
        check(read(wrong, BOUNDS), Side.CLIENT, "2025-11-25")
    check(read(b'{"jsonrpc":"2.0","id":1,"method":"tasks/new","params":{"x":1}}', BOUNDS), Side.CLIENT, "2025-11-25")


def test_a_result_is_held_to_the_type_of_what_was_asked() -> None:
    answer = read(b'{"jsonrpc":"2.0","id":1,"result":{"content":"text"}}', BOUNDS)
    with pytest.raises(InvalidRequest, match="answer to tools/call"):
        check(answer, Side.SERVER, "2025-11-25", asked="tools/call")
    check(answer, Side.SERVER, "2025-11-25", asked="something/else")
