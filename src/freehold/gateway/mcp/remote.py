"""An MCP server across the network, by streamable HTTP.

The secrets of its headers go there and nowhere else: redirects are not followed, and no message carries them. A client's own
key never leaves the node. Which words of a message's headers go on is decided here: those that the protocol itself defines.
"""

import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import aiohttp

from freehold.core.errors import (
    ConfigError,
    UpstreamBroken,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from freehold.gateway.mcp import message as messages
from freehold.gateway.mcp.config import HeaderConfig, McpConfig
from freehold.gateway.mcp.headers import LAST_EVENT, METHOD, SESSION, VERSION
from freehold.gateway.mcp.link import NO_HEADERS, DoesNotListen, Headers, SessionGone
from freehold.gateway.mcp.message import Id, Message
from freehold.gateway.mcp.services import Bounds
from freehold.gateway.mcp.sse import EVENT_ID, EventReader, ServerEvent

_ACCEPT: Final = {"accept": "application/json, text/event-stream", "accept-encoding": "identity"}
_JSON: Final = {"content-type": "application/json"}
_SECRET_LIMIT_BYTES = 64 << 10


def secret_headers(config: McpConfig, folder: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Raises ConfigError naming what is missing, never its value."""
    return {name: _value(config.name, name, header, folder, environ) for name, header in config.headers.items()}


def _value(server: str, name: str, header: HeaderConfig, folder: Path, environ: Mapping[str, str]) -> str:
    where = f"[[mcp]] {server}: header {name}"
    if header.env is not None:
        secret = environ.get(header.env, "").strip()
        if not secret:
            raise ConfigError(f"{where}: the variable {header.env} is not set; set it where the node is started")
    else:
        path = folder / Path(header.file or "").expanduser()
        try:
            with path.open("rb") as file:
                secret = file.read(_SECRET_LIMIT_BYTES).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not ASCII text"
            raise ConfigError(f"{where}: can't read {path}: {reason}") from exc
    value = header.prefix + secret
    if not secret or not (value.isascii() and value.isprintable()):
        raise ConfigError(f"{where}: the value is empty or holds characters that can't stand in a header")
    return value


class Remote:
    """One server. Makes its connections on first use, inside the running event loop."""

    def __init__(self, config: McpConfig, folder: Path = Path()) -> None:
        assert config.url is not None
        self.config, self.url = config, config.url
        self._secrets = secret_headers(config, folder)
        self._session: aiohttp.ClientSession | None = None

    def client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._secrets,
                connector=aiohttp.TCPConnector(limit=0),  # sessions are bounded, and each has a stream that stays open
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self.config.connect_timeout_s, sock_read=self.config.idle_timeout_s
                ),
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class RemoteLink:
    """Implements `Link`. `session_id` is the server's, once it gave one."""

    def __init__(self, remote: Remote, bounds: Bounds, headers: Headers = NO_HEADERS) -> None:
        self._remote, self._bounds = remote, bounds
        self._headers = dict(headers)  # of every request: the revision
        self.session_id: str | None = None

    def speak(self, version: str) -> None:
        """Name the revision that was agreed on from now on."""
        self._headers[VERSION] = version

    async def ask(self, data: bytes, own: Id) -> Message:
        asked = messages.read(data, self._bounds)
        headers = {METHOD: asked.method} if self._headers.get(VERSION) in messages.MODERN else {}
        async with self.answers(asked, data, headers) as events:
            async for event in events:
                answer = messages.read(event.data, self._bounds) if event.data else None
                if answer is not None and answer.is_answer and answer.id == own:
                    return answer
        raise UpstreamBroken(f"MCP server {self._remote.config.name} did not answer {asked.method}")

    @contextlib.asynccontextmanager
    async def answers(
        self, message: Message, data: bytes, headers: Headers = NO_HEADERS
    ) -> AsyncGenerator[AsyncIterator[ServerEvent], None]:
        async with self._opened("POST", data, {**_JSON, **headers}) as response:
            if message.method == messages.INITIALIZE:
                self._take_session(response)
            if response.status == 202:
                raise UpstreamBroken(f"MCP server {self._remote.config.name} took a question and promised no answer")
            yield self._events(response)

    async def tell(self, data: bytes, headers: Headers = NO_HEADERS) -> None:
        async with self._opened("POST", data, {**_JSON, **headers}) as response:
            if response.status >= 400:
                raise self._rejection(response.status)

    @contextlib.asynccontextmanager
    async def listen(self, after: str) -> AsyncGenerator[AsyncIterator[ServerEvent], None]:
        async with self._opened("GET", None, {LAST_EVENT: after} if after else {}) as response:
            if response.status in (404, 405) or response.content_type != "text/event-stream":
                raise DoesNotListen(f"MCP server {self._remote.config.name} has no stream of its own")
            yield self._events(response)

    async def close(self) -> None:
        if self.session_id is None:
            return
        with contextlib.suppress(UpstreamError, SessionGone):
            async with self._opened("DELETE", None, {}):
                self.session_id = None

    def _take_session(self, response: aiohttp.ClientResponse) -> None:
        given = response.headers.get(SESSION, "")
        if given and not EVENT_ID.fullmatch(given):
            raise UpstreamBroken(f"MCP server {self._remote.config.name} gave a session id that no header can hold")
        self.session_id = given or None

    @contextlib.asynccontextmanager
    async def _opened(self, method: str, data: bytes | None, headers: Headers) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        """A response, in our own errors. A 4xx passes where a JSON-RPC error may be in it."""
        name = self._remote.config.name
        session = {SESSION: self.session_id} if self.session_id is not None else {}
        every = {**_ACCEPT, **self._headers, **headers, **session}
        try:
            async with self._remote.client().request(
                method, self._remote.url, data=data, headers=every, allow_redirects=False
            ) as response:
                if response.status == 404 and session:
                    raise SessionGone("the MCP server has ended this session; begin a new one")
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise UpstreamBroken(f"MCP server {name} compresses its answer, which it was asked not to")
                if 300 <= response.status < 400 or response.status in (401, 403, 407, 429) or response.status >= 500:
                    raise self._rejection(response.status)
                yield response
        except TimeoutError as exc:
            raise UpstreamTimeout(f"MCP server {name} was silent for too long; try again later") from exc
        except aiohttp.ClientConnectorError as exc:
            raise UpstreamUnavailable(f"MCP server {name} can't be reached; try again later") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise UpstreamBroken(f"MCP server {name} broke the connection off ({type(exc).__name__}); try again") from exc

    def _rejection(self, status: int) -> UpstreamError:
        name = self._remote.config.name
        if status in (401, 403, 407):
            return UpstreamRejected(
                f"MCP server {name} refused this node's own credentials ({status}); its operator must mend that", status=502
            )
        return UpstreamRejected(f"MCP server {name} answered with status {status}", status=502)

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncGenerator[ServerEvent, None]:
        """Of a stream each event; of a body the one message in it."""
        limit_bytes = self._remote.config.message_limit_bytes
        if response.content_type == "text/event-stream":
            reader = EventReader(limit_bytes)
            async for piece in response.content.iter_any():
                for event in reader.feed(piece):
                    yield event
            return
        if response.content_type != "application/json":
            raise self._rejection(response.status)
        pieces: list[bytes] = []
        left_bytes = limit_bytes
        async for piece in response.content.iter_any():
            left_bytes -= len(piece)
            if left_bytes < 0:
                raise UpstreamBroken(f"MCP server {self._remote.config.name} sent more than {limit_bytes} bytes")
            pieces.append(piece)
        yield ServerEvent(data=b"".join(pieces))
