"""A node's MCP proxy on loopback, with fakes for the other rooms, before real servers."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import mcp_types as types
import orjson
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from freehold.core.events import Held
from freehold.core.exchange import ExchangeId, Principal
from freehold.gateway.config import GatewayConfig
from freehold.gateway.mcp.app import McpGateway
from freehold.gateway.mcp.config import McpConfig
from freehold.gateway.mcp.pins import PinBook
from freehold.gateway.mcp.services import McpServices
from freehold.gateway.serve import bind, serving
from tests.fakes.keys import CLIENT_KEY, PlainKeyRing
from tests.fakes.oversight import AlarmBell, InMemoryAudit
from tests.fakes.recorder import InMemoryRecorder
from tests.gateway.mcp.example_server import Example
from tests.gateway.mcp.watchful import WatchfulGuard

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "tests.gateway.mcp.example_server")


class Person:
    """Implements `Approvals`: says yes or no, or nothing for ever."""

    def __init__(self, answer: bool | None = False) -> None:
        self.answer = answer
        self.asked: list[Held] = []
        self.withdrawn = 0
        self.delay_s = 0.0

    async def ask(self, held: Held, principal: Principal, exchange_id: ExchangeId) -> bool:
        self.asked.append(held)
        await asyncio.sleep(self.delay_s)
        if self.answer is None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.withdrawn += 1
                raise
        return bool(self.answer)


@dataclass(slots=True)
class Proxy:
    home: Path
    servers: list[McpConfig] = field(default_factory=list)
    guard: WatchfulGuard = field(default_factory=WatchfulGuard)
    recorder: InMemoryRecorder = field(default_factory=InMemoryRecorder)
    audit: InMemoryAudit = field(default_factory=InMemoryAudit)
    alarm: AlarmBell = field(default_factory=AlarmBell)
    person: Person = field(default_factory=Person)
    config: GatewayConfig = field(default_factory=lambda: GatewayConfig(port=0, shutdown_timeout_s=2))
    now_ns: int = 1_700_000_000_000_000_000
    url: str = ""
    app: Any = None

    @property
    def book(self) -> PinBook:
        return PinBook(self.home / "mcp-pins.json", lambda: self.now_ns)

    def services(self) -> McpServices:
        return McpServices(
            guard=self.guard,
            recorder=self.recorder,
            audit=self.audit,
            alarm=self.alarm,
            approvals=self.person,
            book=self.book,
            unix_ns=lambda: self.now_ns,
        )

    def alerts(self) -> list[str]:
        return [alert.kind for alert in self.alarm.alerts]

    @contextlib.asynccontextmanager
    async def client(self, server: str, key: str = CLIENT_KEY, **options: Any) -> AsyncIterator[Client]:
        headers = {"authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
            transport = streamable_http_client(f"{self.url}/mcp/{server}", http_client=http)
            async with Client(transport, **options) as client:
                yield client


@contextlib.asynccontextmanager
async def running(proxy: Proxy) -> AsyncIterator[Proxy]:
    proxy.app = McpGateway(proxy.servers, proxy.services(), PlainKeyRing(), proxy.config, folder=ROOT)
    async with serving(proxy.app, proxy.config, bind(proxy.config, has_keys=True)) as url:
        proxy.url = url
        try:
            yield proxy
        finally:
            await proxy.app.close()


@contextlib.asynccontextmanager
async def serving_example(**options: Any) -> AsyncIterator[tuple[Example, str]]:
    """The example server over streamable HTTP."""
    example = Example()
    app = example.server.streamable_http_app(**options)
    config = GatewayConfig(port=0, shutdown_timeout_s=1)
    async with example.server.session_manager.run(), serving(app, config, bind(config, has_keys=True)) as url:
        yield example, f"{url}/mcp"


def child(name: str = "local", kind: str = "example", **settings: Any) -> McpConfig:
    return McpConfig(name=name, command=(*COMMAND, kind), folder=".", **settings)


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}},
}


@contextlib.asynccontextmanager
async def standing(home: Path, place: str, **settings: Any) -> AsyncIterator[Proxy]:
    """A proxy before the example server, called `it`, across HTTP or as a process."""
    async with contextlib.AsyncExitStack() as stack:
        if place == "web":
            _, url = await stack.enter_async_context(serving_example())
            config = McpConfig(name="it", url=url, **settings)
        else:
            config = child("it", **settings)
        yield await stack.enter_async_context(running(Proxy(home, [config])))


@contextlib.asynccontextmanager
async def example_behind(home: Path, **settings: Any) -> AsyncIterator[tuple[Example, Proxy]]:
    """The example server across HTTP, for tests that change it while it runs."""
    async with serving_example() as (example, url), running(Proxy(home, [McpConfig(name="it", url=url, **settings)])) as proxy:
        yield example, proxy


async def asked(
    proxy: Proxy, document: Any, *, server: str = "it", key: str | None = CLIENT_KEY, method: str = "POST", **headers: str
) -> httpx2.Response:
    """What plain HTTP gets."""
    every = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    every |= {"authorization": f"Bearer {key}"} if key else {}
    every |= {name.replace("_", "-"): value for name, value in headers.items()}
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    async with httpx2.AsyncClient(timeout=20) as http:
        return await http.request(method, f"{proxy.url}/mcp/{server}", content=body, headers=every)


def text_of(content: Any) -> str:
    assert isinstance(content, types.TextContent), content
    return content.text


def words_of(error: BaseException) -> list[str]:
    """Of an error, and of those in a group."""
    return (
        [words for one in error.exceptions for words in words_of(one)] if isinstance(error, BaseExceptionGroup) else [str(error)]
    )


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in other processes, too
            await asyncio.sleep(0.01)
