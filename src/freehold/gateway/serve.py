"""Runs an app on uvicorn with what it lacks: a time and a size limit for headers, and a cap on connections with a real answer.

Decided here: which address may be bound. Beyond loopback a node needs keys and TLS, or a plain word that something in front has
both. Streams under way at a shutdown may finish within `shutdown_timeout_s`.
"""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from freehold.core.errors import ConfigError
from freehold.gateway.config import GatewayConfig
from freehold.gateway.report_config import is_loopback

_OFFER = re.compile(rb"(\r\n)(upgrade:[ \t]*h2c[ \t]*(?:\r\n|$))", re.IGNORECASE)
_RECORD_S = 5.0
_BACKLOG = 2048  # uvicorn's own default
_UNSENT_BYTES = 128 << 10  # that the system keeps of an answer beyond what is under way; else a client that stalls is sent MiBs


def check_bind(config: GatewayConfig, *, has_keys: bool) -> None:
    """Raises ConfigError where binding would open the node to strangers."""
    _check_tls(config)
    if is_loopback(config.host) or config.allow_insecure_bind:
        return
    missing = []
    if not has_keys:
        missing.append("a client key ('freehold keys create NAME')")
    if config.tls_certificate is None:
        missing.append("gateway.tls_certificate and gateway.tls_key")
    if missing:
        raise ConfigError(
            f"gateway.host {config.host} is open to other machines and lacks {' and '.join(missing)}; add what is missing, "
            "bind 127.0.0.1, or set gateway.allow_insecure_bind = true if a proxy in front does TLS"
        )


def _check_tls(config: GatewayConfig) -> None:
    if config.tls_certificate is None or config.tls_key is None:
        return
    for path in (config.tls_certificate, config.tls_key):
        if not Path(path).is_file():
            raise ConfigError(f"gateway: no file {path}; set tls_certificate and tls_key to PEM files")
    try:  # an empty password: a locked key fails here instead of asking whoever sits at the terminal
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.tls_certificate, config.tls_key, password="")
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        raise ConfigError(
            f"gateway: {config.tls_certificate} and {config.tls_key} are not a PEM certificate and its own, unlocked key"
        ) from exc


def bind(config: GatewayConfig, *, has_keys: bool) -> socket.socket:
    """A listening socket's address, taken. Raises ConfigError."""
    check_bind(config, has_keys=has_keys)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise ConfigError(f"gateway.host {config.host} is no address of this machine: {exc.strerror}") from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # connections inherit it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        listener.bind(address)
    except OSError as exc:
        listener.close()
        raise ConfigError(
            f"can't listen on {config.host}:{config.port}: {exc.strerror}; stop what listens there or set another gateway.port"
        ) from exc
    return listener


def url_of(listener: socket.socket, config: GatewayConfig) -> str:
    host, port = listener.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    return f"{'https' if config.tls_certificate else 'http'}://{name}:{port}"


def event_loop() -> asyncio.AbstractEventLoop:
    """uvloop where it is installed: it takes half the CPU of asyncio's own loop."""
    try:
        import uvloop  # noqa: PLC0415  # not on Windows
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class _Server(uvicorn.Server):
    """Says when it listens, and leaves signals to the app: a node has more to stop than this."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp, config: GatewayConfig, listener: socket.socket, hurry: asyncio.Event | None = None
) -> AsyncIterator[str]:
    """The app on a bound socket: gives its URL once it listens, and lets streams finish on the way out, unless `hurry` is set."""
    server = _Server(_uvicorn_config(app, config))
    url = url_of(listener, config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    listening = asyncio.create_task(server.listening.wait())
    try:
        await asyncio.wait((running, listening), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()  # raises what stopped it
        yield url
    finally:
        listening.cancel()
        server.should_exit = True
        cutting = asyncio.create_task(_cut(server, hurry or asyncio.Event()))
        await running
        cutting.cancel()
        if cut := server.server_state.tasks:  # what was cancelled still writes its record
            await asyncio.wait(cut, timeout=_RECORD_S)


async def _cut(server: uvicorn.Server, hurry: asyncio.Event) -> None:
    """End what is under way, as the timeout does."""
    await hurry.wait()
    for task in server.server_state.tasks:
        task.cancel()


def _uvicorn_config(app: ASGIApp, config: GatewayConfig) -> uvicorn.Config:
    protocol = _protocol(config)
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # a client's nonsense is answered, not logged: it would fill the log
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=int(config.keep_alive_s),
        timeout_graceful_shutdown=int(config.shutdown_timeout_s),
        ssl_certfile=config.tls_certificate,
        ssl_keyfile=config.tls_key,
    )


def _protocol(config: GatewayConfig) -> type[HttpToolsProtocol]:
    """uvicorn makes one instance a connection from a class: the limits are the class's."""
    return type(
        "LimitedProtocol",
        (LimitedProtocol,),
        {
            "header_timeout_s": config.header_timeout_s,
            "header_limit_bytes": config.header_limit_bytes,
            "max_connections": config.max_connections,
        },
    )


def _stay_with_http_1(data: bytes) -> bytes:
    """The headers without the offer of HTTP/2 that Java's own client makes: the parser would take the body for another protocol.

    RFC 9110 §7.8: a server may ignore it.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _OFFER.sub(rb"\1x-\2", head) + end + rest


class _HeadersTooLarge(Exception):
    pass


class Corked:
    """A transport that hands on what is written when the event loop comes round.

    So the head of an answer leaves with its first words, and the writes of several connections leave one after the other: each
    wakes whoever reads it, who else takes the CPU in the midst of the next one's work.
    """

    __slots__ = ("_held", "_held_bytes", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []
        self._held_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes >= HIGH_WATER_LIMIT:
            self._flush()
        elif len(self._held) == 1:
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))


class LimitedProtocol(HttpToolsProtocol):
    """Closes a connection whose headers are late or too large, or that is one too many.

    The clock runs whenever the client owes a request: from the connection's start, and from the first byte after an answer (be
    it the rest of a body nobody waited for). It runs until the headers are complete; a trickle does not restart it.
    """

    header_timeout_s: float
    header_limit_bytes: int
    max_connections: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_timer: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._in_headers = False
        self._too_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(Corked(transport, self.loop))  # type: ignore[arg-type]  # it is one in all that is used
        if len(self.connections) > self.max_connections:
            self._refuse(
                b"503 Service Unavailable", "too_many_connections", "the node has all the connections it takes; try again later"
            )
            return
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if b"h2c" in data and (self._in_headers or self.cycle is None or self.cycle.response_complete):
            data = _stay_with_http_1(data)
        if self._in_headers:  # the parser keeps an unfinished header to itself, so its size shows only here
            self._header_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_headers and self._header_bytes > self.header_limit_bytes:
            self._too_large = True
            self.send_400_response("")
        elif self._header_timer is None and (self._in_headers or self.cycle is None or self.cycle.response_complete):
            self._await_headers()

    def on_message_begin(self) -> None:
        self._in_headers, self._header_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._stop_waiting()
        size_bytes = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size_bytes > self.header_limit_bytes:
            self._too_large = True
            raise _HeadersTooLarge  # the parser stops; uvicorn answers through send_400_response
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        if self._too_large:
            limit = f"the request's headers are larger than {self.header_limit_bytes} bytes"
            self._refuse(b"431 Request Header Fields Too Large", "headers_too_large", limit)
        else:
            self._refuse(b"400 Bad Request", "invalid_http", "the request is not valid HTTP/1.1")

    def _await_headers(self) -> None:
        self._header_timer = self.loop.call_later(self.header_timeout_s, self._on_late_headers)

    def _stop_waiting(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _on_late_headers(self) -> None:
        self._header_timer = None
        if not self.transport.is_closing():
            self._refuse(b"408 Request Timeout", "request_timeout", f"no complete request within {self.header_timeout_s:g} s")

    def _refuse(self, status: bytes, code: str, message: str) -> None:
        """Answer below ASGI, in the shape of every other error, and close."""
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        body = orjson.dumps({"error": error})
        head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, len(body)) + body)
        self.transport.close()
