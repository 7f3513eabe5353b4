import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import BlockedByPolicy, InvalidRequest
from freehold.core.findings import Context
from freehold.gateway.mcp.headers import routing, unwrapped, wrapped
from freehold.gateway.mcp.message import read
from freehold.gateway.mcp.services import Bounds
from tests.fakes.guard import FORBIDDEN, MASK, SECRET, WordGuard

CALL = read(
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"w\xc3\xb6rk","arguments":{}}}',
    Bounds(size_bytes=1000, depth=16, values=100),
)


@given(st.text())
def test_what_is_wrapped_can_stand_in_a_header_and_reads_as_it_was(value: str) -> None:
    clean = value.encode(errors="replace").decode()
    assert unwrapped(wrapped(clean)) == clean
    assert wrapped(clean).isascii()
    assert "\n" not in wrapped(clean)


@pytest.mark.parametrize("value", ["=?base64?!!?=", "=?base64?YQ?=", "=?base64?YR==?=", "=?base64?/w==?="])
def test_what_others_might_read_otherwise_is_not_read(value: str) -> None:
    assert unwrapped(value) is None


async def test_headers_that_say_what_the_message_says_go_on_and_no_others() -> None:
    headers = {
        b"mcp-method": b"tools/call",
        b"mcp-name": wrapped("wörk").encode(),
        b"mcp-param-city": b"Wien",
        b"authorization": b"Bearer fh_key",
        b"cookie": b"c",
    }
    assert await routing(headers, CALL, "2026-07-28", WordGuard().open(Context())) == {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": wrapped("wörk"),
        "mcp-param-city": "Wien",
    }


async def test_an_argument_in_a_header_is_masked_as_it_is_in_the_message() -> None:
    session = WordGuard().open(Context())
    kept = await routing({b"mcp-param-x": SECRET.encode()}, CALL, "2026-07-28", session)
    assert unwrapped(kept["mcp-param-x"]) == MASK
    kept = await routing({b"mcp-param-x": wrapped(f"\n{SECRET}").encode()}, CALL, "2026-07-28", session)
    assert unwrapped(kept["mcp-param-x"]) == f"\n{MASK}"
    with pytest.raises(BlockedByPolicy):
        await routing({b"mcp-param-x": FORBIDDEN.encode()}, CALL, "2026-07-28", session)


@pytest.mark.parametrize(
    "headers",
    [{b"mcp-method": b"ping"}, {b"mcp-name": b"other"}, {b"mcp-param-x": b"=?base64?!?="}, {b"mcp-name": b"=?base64?!?="}],
)
async def test_a_header_that_says_something_else_is_refused(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(InvalidRequest):
        await routing(headers, CALL, "2026-07-28", WordGuard().open(Context()))
