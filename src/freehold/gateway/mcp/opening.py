"""The way in for those who may lack the extra: the protocol's types are loaded where they are wanted, and named if missing."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send

from freehold.core.errors import ConfigError
from freehold.core.ports import KeyRing
from freehold.gateway.config import GatewayConfig
from freehold.gateway.mcp.config import McpConfig
from freehold.gateway.mcp.services import McpServices


class McpApp(Protocol):
    """An ASGI app for the paths below `/mcp/`. `close` ends all sessions and what they started."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    async def close(self) -> None: ...


def open_mcp(servers: Sequence[McpConfig], services: McpServices, keys: KeyRing, gateway: GatewayConfig, folder: Path) -> McpApp:
    """`folder` is what files named in the configuration are relative to. Raises ConfigError."""
    opened: McpApp = part("app").McpGateway(servers, services, keys, gateway, folder)
    return opened


def part(name: str) -> Any:
    """A module of the proxy. Raises ConfigError where the extra is missing."""
    try:
        return importlib.import_module(f"freehold.gateway.mcp.{name}")
    except ImportError as exc:
        raise ConfigError(
            "MCP needs the protocol's types, which are not installed here: pip install 'freehold[mcp]', or take [[mcp]] out"
        ) from exc
