"""What plain HTTP requests get: who may come in, and what is answered to those who may not."""

from pathlib import Path
from typing import Any

import pytest

from freehold.gateway.config import GatewayConfig
from freehold.gateway.mcp.config import McpConfig
from tests.fakes.keys import ADMIN_KEY, OTHER_KEY
from tests.gateway.mcp.proxying import INITIALIZE, Proxy, asked, child, running, standing

PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}


async def test_without_a_key_of_this_node_nothing_is_passed_on(tmp_path: Path) -> None:
    async with standing(tmp_path, "web") as proxy:
        for key in (None, "fh_nobody"):
            response = await asked(proxy, INITIALIZE, key=key)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.json()["error"]["code"] == -32600


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1", 200),
        ("https://tool.example", 200),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
async def test_a_web_page_of_an_unknown_origin_may_not_ask(tmp_path: Path, origin: str, status: int) -> None:
    async with standing(tmp_path, "web", origins=("https://tool.example",)) as proxy:
        assert (await asked(proxy, INITIALIZE, origin=origin)).status_code == status


async def test_only_keys_and_teams_that_are_named_may_use_a_server(tmp_path: Path) -> None:
    async with standing(tmp_path, "web", keys=("oth*",), teams=("red",)) as proxy:
        assert (await asked(proxy, INITIALIZE)).status_code == 200  # its team is red
        assert (await asked(proxy, INITIALIZE, key=OTHER_KEY)).status_code == 200
        assert (await asked(proxy, INITIALIZE, key=ADMIN_KEY)).status_code == 403


async def test_a_session_is_its_own_keys_and_ends_when_it_says_so(tmp_path: Path) -> None:
    async with standing(tmp_path, "local") as proxy:
        session = (await asked(proxy, INITIALIZE)).headers["mcp-session-id"]
        initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await asked(proxy, initialized, mcp_session_id=session)).status_code == 202
        assert (await asked(proxy, PING, mcp_session_id=session)).json() == {"jsonrpc": "2.0", "id": 2, "result": {}}
        assert (await asked(proxy, PING, mcp_session_id=session, key=OTHER_KEY)).status_code == 404
        assert (await asked(proxy, b"", method="DELETE", mcp_session_id=session, key=OTHER_KEY)).status_code == 404
        assert (await asked(proxy, b"", method="DELETE", mcp_session_id=session)).status_code == 200
        assert (await asked(proxy, PING, mcp_session_id=session)).status_code == 404


async def test_an_error_does_not_say_where_the_pins_lie(tmp_path: Path) -> None:
    (tmp_path / "mcp-pins.json").write_text("nonsense")
    async with standing(tmp_path, "local") as proxy:
        session = (await asked(proxy, INITIALIZE)).headers["mcp-session-id"]
        told = (await asked(proxy, {"jsonrpc": "2.0", "id": 3, "method": "tools/list"}, mcp_session_id=session)).text
        assert "mcp-pins.json holds no pins that can be read" in told
        assert str(tmp_path) not in told


async def test_a_session_that_nobody_used_for_long_is_over(tmp_path: Path) -> None:
    async with standing(tmp_path, "local", session_idle_s=0.01) as proxy:
        session = (await asked(proxy, INITIALIZE)).headers["mcp-session-id"]
        assert (await asked(proxy, INITIALIZE)).status_code == 200
        assert (await asked(proxy, PING, mcp_session_id=session)).status_code == 404


async def test_sessions_are_bounded(tmp_path: Path) -> None:
    async with standing(tmp_path, "web", max_sessions=1) as proxy:
        assert (await asked(proxy, INITIALIZE)).status_code == 200
        assert (await asked(proxy, INITIALIZE)).status_code == 429


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[]", 400),
        ([PING], 400),
        ({}, 400),
        ({"jsonrpc": "1.0", "id": 1, "method": "ping"}, 400),
        ({"jsonrpc": "2.0", "id": 1.5, "method": "ping"}, 400),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, 400),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "result": {}}, 400),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b"[" * 100_000, 400),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[' + b"1," * 70_000 + b"1]}}", 413),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"' + b"x" * 200_000 + b'"}}', 413),
    ],
)
async def test_what_is_no_message_gets_an_error_and_goes_nowhere(tmp_path: Path, body: Any, status: int) -> None:
    proxy = Proxy(tmp_path, [McpConfig(name="it", url="http://127.0.0.1:9/mcp", message_limit_bytes=150_000)])
    async with running(proxy):
        response = await asked(proxy, body)
        assert response.status_code == status
        assert response.json()["id"] is None


async def test_a_request_that_is_none_of_its_revision_is_answered_with_an_error(tmp_path: Path) -> None:
    async with standing(tmp_path, "web") as proxy:
        session = (await asked(proxy, INITIALIZE)).headers["mcp-session-id"]
        call = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": ["echo"]}}
        answer = (await asked(proxy, call, mcp_session_id=session)).json()
        assert answer["error"]["code"] == -32602
        assert answer["id"] == 3


async def test_http_that_is_no_mcp_is_refused(tmp_path: Path) -> None:
    async with standing(tmp_path, "web") as proxy:
        assert (await asked(proxy, INITIALIZE, accept="application/json")).status_code == 406
        assert (await asked(proxy, INITIALIZE, method="PUT")).status_code == 405
        assert (await asked(proxy, INITIALIZE, server="nobody")).status_code == 404
        assert (await asked(proxy, PING)).status_code == 400
        assert (await asked(proxy, b"", method="GET", mcp_session_id="x")).status_code == 404


async def test_a_revision_nobody_knows_is_named_with_those_that_are_known(tmp_path: Path) -> None:
    async with running(Proxy(tmp_path, [child("it")])) as proxy:
        for version in ("2026-07-28", "2099-01-01"):
            response = await asked(proxy, PING, mcp_protocol_version=version)
            assert response.status_code == 400
            assert response.json()["error"]["data"]["supported"][-1] == "2025-11-25"


async def test_headers_that_contradict_the_message_are_refused(tmp_path: Path) -> None:
    call = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "echo"}}
    modern = {"mcp_protocol_version": "2026-07-28"}
    async with standing(tmp_path, "web") as proxy:
        assert (await asked(proxy, call, **modern, mcp_method="tools/list")).status_code == 400
        assert (await asked(proxy, call, **modern, mcp_method="tools/call", mcp_name="add")).status_code == 400


async def test_where_no_record_can_be_kept_nothing_is_passed_on(tmp_path: Path) -> None:
    async with standing(tmp_path, "web") as proxy:
        session = (await asked(proxy, INITIALIZE)).headers["mcp-session-id"]
        call = {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "add", "arguments": {"a": 1, "b": 2}}}
        proxy.recorder.failing = True
        answer = (await asked(proxy, call, mcp_session_id=session)).json()
        assert "result" not in answer
        assert "disk is full" in answer["error"]["message"]
        proxy.recorder.full = True
        assert (await asked(proxy, PING, mcp_session_id=session)).status_code == 503


async def test_a_broken_guard_lets_nothing_through_and_says_nothing_of_it(tmp_path: Path) -> None:
    async with standing(tmp_path, "web") as proxy:
        proxy.guard.words.broken = True
        answer = (await asked(proxy, INITIALIZE)).json()
        assert answer["error"]["code"] == -32603
        assert "broken stage" not in answer["error"]["message"]


async def test_a_body_that_does_not_arrive_is_given_up(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path, [McpConfig(name="it", url="http://127.0.0.1:9/mcp")])
    proxy.config = GatewayConfig(port=0, shutdown_timeout_s=1, body_limit_bytes=100)
    async with running(proxy):
        assert (await asked(proxy, INITIALIZE | {"x": "x" * 200})).status_code == 413


async def test_a_server_that_can_not_be_reached_is_an_error_in_words(tmp_path: Path) -> None:
    async with running(Proxy(tmp_path, [McpConfig(name="it", url="http://127.0.0.1:9/mcp")])) as proxy:
        answer = (await asked(proxy, INITIALIZE)).json()
        assert "can't be reached" in answer["error"]["message"]
        assert answer["error"]["code"] == -32012


async def test_a_program_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    async with running(Proxy(tmp_path, [McpConfig(name="it", command=("/nowhere/server",))])) as proxy:
        response = await asked(proxy, INITIALIZE)
        assert response.status_code == 503
        assert "can't be started" in response.json()["error"]["message"]
