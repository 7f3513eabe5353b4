"""What an MCP server offers, asked for by ourselves, for a person who decides on its pins. Nothing is judged or called."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from freehold import __version__
from freehold.core.errors import UpstreamBroken
from freehold.gateway.mcp import message as messages
from freehold.gateway.mcp.child import ChildLink, environment
from freehold.gateway.mcp.config import McpConfig
from freehold.gateway.mcp.link import Link
from freehold.gateway.mcp.message import BEFORE_HANDSHAKE, INITIALIZE, Kind, Side
from freehold.gateway.mcp.passage import PAGES_LIMIT
from freehold.gateway.mcp.pins import PINNED
from freehold.gateway.mcp.remote import Remote, RemoteLink
from freehold.gateway.mcp.services import Bounds
from freehold.gateway.mcp.texts import LISTS

_INITIALIZED: Final = orjson.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})
_CAPABILITY = {"tools": "tools", "prompts": "prompts", "resourceTemplates": "resources"}


async def offered(
    config: McpConfig, bounds: Bounds, folder: Path, environ: Mapping[str, str]
) -> list[tuple[str, Mapping[str, Any]]]:
    """(kind, item) of all that is pinned. Raises UpstreamError."""
    async with _linked(config, bounds, folder, environ) as link:
        client = {"name": "freehold", "version": __version__}
        params = {"protocolVersion": BEFORE_HANDSHAKE, "capabilities": {}, "clientInfo": client}
        agreed = await _asked(link, INITIALIZE, params, BEFORE_HANDSHAKE)
        version = str(agreed["protocolVersion"])
        if isinstance(link, RemoteLink):
            link.speak(version)
        await link.tell(_INITIALIZED)
        found: list[tuple[str, Mapping[str, Any]]] = []
        for method, kind in LISTS.items():
            if kind in PINNED and _CAPABILITY[kind] in agreed["capabilities"]:
                found += [(kind, item) for item in await _listed(link, method, kind, version)]
        return found


async def _listed(link: Link, method: str, kind: str, version: str) -> list[Mapping[str, Any]]:
    items: list[Mapping[str, Any]] = []
    params: dict[str, Any] = {}
    for _ in range(PAGES_LIMIT):
        page = await _asked(link, method, params, version)
        items += page[kind]
        if (cursor := page.get("nextCursor")) is None:
            break
        params = {"cursor": cursor}
    return items


async def _asked(link: Link, method: str, params: Mapping[str, Any], version: str) -> Mapping[str, Any]:
    own = f"freehold-{secrets.token_hex(8)}"
    answer = await link.ask(messages.request(own, method, params), own)
    if answer.kind is not Kind.RESULT:
        raise UpstreamBroken(f"the MCP server answered {method} with an error")
    messages.check(answer, Side.SERVER, version, asked=method)
    body: Mapping[str, Any] = answer.document["result"]
    return body


@asynccontextmanager
async def _linked(config: McpConfig, bounds: Bounds, folder: Path, environ: Mapping[str, str]) -> AsyncIterator[Link]:
    if config.url is None:
        child = ChildLink(config.name, bounds)
        await child.start(config.command, environment(config.env, environ), folder / config.folder if config.folder else None)
        try:
            yield child
        finally:
            await child.close()
        return
    remote = Remote(config, folder)
    link = RemoteLink(remote, bounds)
    try:
        yield link
    finally:
        await link.close()
        await remote.close()
