"""Servers across HTTP that do what they should not, and those that do it in a way seldom seen."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp_types import JSONRPCMessage
from starlette.requests import Request
from starlette.responses import Response

from freehold.core.errors import ConfigError
from freehold.core.ledger import Status
from freehold.gateway.config import GatewayConfig
from freehold.gateway.mcp.config import HeaderConfig, McpConfig
from freehold.gateway.mcp.remote import Remote
from freehold.gateway.serve import bind, serving
from tests.fakes.keys import CLIENT_KEY
from tests.gateway.mcp.proxying import INITIALIZE, Proxy, asked, running, serving_example, text_of

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}
INFO = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
TOOLS = {"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}
CALL = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "t", "arguments": {}}}
DONE = {"content": [{"type": "text", "text": "done"}]}


def answer(document: Any, result: Any) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": document["id"], "result": result})


class Scripted:
    """A server that is well-behaved until a call comes."""

    def __init__(self, on_call: Callable[[Any], Response]) -> None:
        self.on_call = on_call
        self.heard: list[Request] = []
        self.pages: list[Any] = [TOOLS]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.heard.append(request)
        body = await request.body()
        await self._respond(request, orjson.loads(body) if body else {})(scope, receive, send)

    def _respond(self, request: Request, document: Any) -> Response:
        match document.get("method"):
            case "initialize":
                return Response(answer(document, INFO), headers={**JSON, "mcp-session-id": "theirs"})
            case "tools/list":
                number = int(document.get("params", {}).get("cursor", "0"))
                more = {"nextCursor": str(number + 1)} if number + 1 < len(self.pages) else {}
                return Response(answer(document, {**self.pages[number], **more}), headers=JSON)
            case "tools/call":
                return self.on_call(document)
        return Response(status_code=202 if request.method == "POST" else 405)


@contextlib.asynccontextmanager
async def before(tmp_path: Path, scripted: Scripted, **settings: Any) -> AsyncIterator[Proxy]:
    config = GatewayConfig(port=0, shutdown_timeout_s=1)
    async with (
        serving(scripted, config, bind(config, has_keys=True)) as url,
        running(Proxy(tmp_path, [McpConfig(name="it", url=f"{url}/mcp", **settings)])) as proxy,
    ):
        yield proxy


async def called(proxy: Proxy) -> Any:
    session = (await asked(proxy, INITIALIZE)).headers["mcp-session-id"]
    response = await asked(proxy, CALL, mcp_session_id=session)
    text = response.text
    return orjson.loads(text.rpartition("data: ")[2].strip() if "data: " in text else text)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (Response(status_code=500), "answered with status 500"),
        (Response(status_code=401), "refused this node's own credentials"),
        (Response(status_code=302, headers={"location": "http://127.0.0.1:9/"}), "answered with status 302"),
        (Response(b"<html>", headers={"content-type": "text/html"}), "answered with status 200"),
        (Response(b"{}", headers={**JSON, "content-encoding": "gzip"}), "compresses its answer"),
        (Response(b"not json", headers=JSON), "broke the protocol"),
        (Response(b'{"jsonrpc":"2.0","id":5,"result":{},"error":{}}', headers=JSON), "broke the protocol"),
        (Response(b'{"jsonrpc":"2.0","id":5,"result":{"content":"x"}}', headers=JSON), "broke the protocol"),
        (Response(b"x" * 200_000, headers=JSON), "more than 100000 bytes"),
        (Response(b"data: " + b"x" * 200_000, headers=SSE), "larger than 100000 bytes"),
        (Response(b"", headers=SSE), "before its end"),
        (Response(b"data: {\n\n", headers=SSE), "broke the protocol"),
        (Response(status_code=202), "promised no answer"),
        (Response(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}', status_code=400, headers=JSON), "no"),
    ],
)
async def test_a_server_that_breaks_the_protocol_in_a_call_is_an_error_of_the_call(
    tmp_path: Path, response: Response, words: str
) -> None:
    async with before(tmp_path, Scripted(lambda document: response), message_limit_bytes=100_000) as proxy:
        told = await called(proxy)
        assert told["id"] == 5
        assert words in told["error"]["message"]
        assert proxy.recorder.drafts[-1].entry.status is Status.FAILED


async def test_answers_to_questions_that_nobody_asked_do_not_pass(tmp_path: Path) -> None:
    def on_call(document: Any) -> Response:
        forged = orjson.dumps({"jsonrpc": "2.0", "id": 1, "result": INFO})
        return Response(b"data: " + forged + b"\n\ndata: " + answer(document, DONE) + b"\n\n", headers=SSE)

    async with before(tmp_path, Scripted(on_call)) as proxy:
        told = await called(proxy)
        assert told["result"]["content"] == DONE["content"]


async def test_the_session_and_the_keys_of_either_side_stay_on_their_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("THEIR_TOKEN", "token-4711")
    scripted = Scripted(lambda document: Response(answer(document, DONE), headers=JSON))
    headers = {"Authorization": HeaderConfig(env="THEIR_TOKEN", prefix="Bearer ")}
    async with before(tmp_path, scripted, headers=headers) as proxy:
        session = (await asked(proxy, INITIALIZE)).headers["mcp-session-id"]
        assert session != "theirs"
        await asked(proxy, CALL, mcp_session_id=session, cookie="c=1")
        last = scripted.heard[-1]
        assert last.headers["authorization"] == "Bearer token-4711"
        assert last.headers["mcp-session-id"] == "theirs"
        assert last.headers["mcp-protocol-version"] == "2025-11-25"
        assert "cookie" not in last.headers
        assert not any(CLIENT_KEY in str(request.headers) for request in scripted.heard)
        await asked(proxy, b"", method="DELETE", mcp_session_id=session)
        assert scripted.heard[-1].method == "DELETE"
    assert "token-4711" not in caplog.text


async def test_a_session_that_the_server_forgot_is_told_so_that_the_client_begins_anew(tmp_path: Path) -> None:
    async with before(tmp_path, Scripted(lambda document: Response(status_code=404))) as proxy:
        session = (await asked(proxy, INITIALIZE)).headers["mcp-session-id"]
        assert (await asked(proxy, CALL, mcp_session_id=session)).status_code == 404
        assert (await asked(proxy, CALL, mcp_session_id=session)).json()["error"]["message"].startswith("there is no such")


async def test_a_server_without_a_stream_of_its_own_is_405(tmp_path: Path) -> None:
    async with before(tmp_path, Scripted(lambda document: Response(status_code=404))) as proxy:
        session = (await asked(proxy, INITIALIZE)).headers["mcp-session-id"]
        response = await asked(proxy, b"", method="GET", mcp_session_id=session)
        assert response.status_code == 405


async def test_a_list_in_pages_is_put_together_and_pinned_whole(tmp_path: Path) -> None:
    scripted = Scripted(lambda document: Response(answer(document, DONE), headers=JSON))
    scripted.pages = [{"tools": [{"name": f"t{n}", "inputSchema": {"type": "object"}}]} for n in range(3)]
    async with before(tmp_path, scripted) as proxy:
        session = (await asked(proxy, INITIALIZE)).headers["mcp-session-id"]
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        result = (await asked(proxy, listing, mcp_session_id=session)).json()["result"]
        assert [tool["name"] for tool in result["tools"]] == ["t0", "t1", "t2"]
        assert "nextCursor" not in result
        assert set(proxy.book.servers()["it"].kinds["tools"]) == {"t0", "t1", "t2"}


async def test_pages_without_an_end_are_an_error(tmp_path: Path) -> None:
    scripted = Scripted(lambda document: Response(answer(document, DONE), headers=JSON))
    scripted.pages = [TOOLS] * 200
    async with before(tmp_path, scripted) as proxy:
        session = (await asked(proxy, INITIALIZE)).headers["mcp-session-id"]
        listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        told = (await asked(proxy, listing, mcp_session_id=session)).json()
        assert "more than 100 pages" in told["error"]["message"]


async def test_a_server_of_an_unknown_revision_is_not_spoken_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INFO, "protocolVersion", "2031-01-01")
    async with before(tmp_path, Scripted(lambda document: Response(status_code=404))) as proxy:
        response = await asked(proxy, INITIALIZE)
        assert "revision" in response.json()["error"]["message"]
        assert "mcp-session-id" not in response.headers


class KeptEvents(EventStore):
    """As in the SDK's own example: events in memory."""

    def __init__(self) -> None:
        self.events: list[tuple[StreamId, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        self.events.append((stream_id, message))
        return str(len(self.events))

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        stream = self.events[int(last_event_id) - 1][0]
        for number, (of, message) in enumerate(self.events, 1):
            if of == stream and number > int(last_event_id) and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


async def test_a_stream_that_breaks_off_is_taken_up_where_it_was(tmp_path: Path) -> None:
    async with (
        serving_example(event_store=KeptEvents(), retry_interval=10) as (example, url),
        running(Proxy(tmp_path, [McpConfig(name="it", url=url)])) as proxy,
    ):
        add_hanging_up(example.server)
        async with proxy.client("it", mode="legacy") as client:
            result = await client.call_tool("hang_up", {})
            assert text_of(result.content[0]) == "said later"
            assert proxy.recorder.drafts[-1].entry.status is Status.COMPLETED


def add_hanging_up(server: MCPServer) -> None:
    @server.tool()
    async def hang_up(ctx: Context) -> str:
        """Close the stream, and answer on the next one."""
        await ctx.close_sse_stream()
        return "said later"


def test_a_secret_that_is_missing_or_odd_is_named_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"s3c\nr3t")
    for header in (HeaderConfig(env="NOT_SET_ANYWHERE"), HeaderConfig(file="none"), HeaderConfig(file="token")):
        with pytest.raises(ConfigError) as caught:
            Remote(McpConfig(name="it", url="http://127.0.0.1:9/mcp", headers={"X-Key": header}), tmp_path)
        assert "header X-Key" in caught.value.message
        assert "s3c" not in caught.value.message
