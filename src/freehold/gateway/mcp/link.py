"""What the proxy asks of a transport to a server: the same of one across the network and of a process of this machine."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from freehold.core.errors import ClientError, NotFound
from freehold.gateway.mcp.message import Id, Message
from freehold.gateway.mcp.sse import ServerEvent

Headers = Mapping[str, str]
NO_HEADERS: Headers = {}


class SessionGone(NotFound):
    """The server has forgotten the session: the client has to begin anew."""

    code = "session_not_found"


class DoesNotListen(ClientError):
    """The server has no stream of its own to give."""

    status = 405
    code = "method_not_allowed"


class Link(Protocol):
    """One session with one server."""

    async def ask(self, data: bytes, own: Id) -> Message:
        """A question of our own: its answer. Raises UpstreamError."""

    def answers(
        self, message: Message, data: bytes, headers: Headers = NO_HEADERS
    ) -> AbstractAsyncContextManager[AsyncIterator[ServerEvent]]:
        """Send a client's question: what comes of it, the answer among it. Raises UpstreamError and SessionGone."""

    async def tell(self, data: bytes, headers: Headers = NO_HEADERS) -> None:
        """Send what nobody answers. Raises UpstreamError and SessionGone."""

    def listen(self, after: str) -> AbstractAsyncContextManager[AsyncIterator[ServerEvent]]:
        """What the server says by itself, or what came after the event `after`. Raises DoesNotListen and UpstreamError."""

    async def close(self) -> None:
        """End the session with the server."""
