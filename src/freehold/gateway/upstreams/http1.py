"""HTTP/1.1 to one provider: connections kept open, one request on each at a time, the answer's body as it comes.

Knows HTTP and nothing of what is sent. llhttp parses; decided here is what surrounds it: a connection goes back to the pool only
after a whole answer and nothing beyond it, silence and endless heads end an answer, and a reader that stalls stops the provider.
A general client spends as much on a stream as the rest of the gateway (docs/adr/0010-own-http-client.md).
"""

import asyncio
import ssl
from collections import deque
from urllib.parse import SplitResult, urlsplit

import httptools

from freehold.core.errors import UpstreamBroken, UpstreamError, UpstreamTimeout, UpstreamUnavailable

_BUFFER_BYTES = 256 << 10  # what waits for a slow reader before the provider has to
_OVERHEAD_BYTES = 64 << 10  # of head, chunk sizes and trailers between two pieces of body; nginx gives heads 8 KiB, node 16
_KEPT_S = 15.0  # an idle connection older than this may be closed by the provider at the moment it is used
_DRAIN_S = 0.05
_PORTS = {"http": 80, "https": 443}


class HttpClient:
    """Posts to one URL. Makes its connections on first use, inside the running event loop. Raises UpstreamErrors alone."""

    def __init__(
        self,
        name: str,
        url: str,
        headers: dict[str, str],
        *,
        connect_timeout_s: float,
        idle_timeout_s: float,
        max_connections: int,
    ) -> None:
        self._name = name
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        self._is_https = parts.scheme == "https"
        self._head = _head(parts, headers)
        self._connect_timeout_s = connect_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._tls: ssl.SSLContext | None = None
        self._slots = asyncio.Semaphore(max_connections)
        self._idle: deque[Answer] = deque()  # the one used last at the right
        self._closed = False

    async def post(self, body: bytes) -> "Answer":
        """The answer, its head read. Whoever gets it gives it to `release`."""
        await self._slots.acquire()
        connection: Answer | None = None
        try:
            connection = self._kept() or await self._connect()
            connection.ask(self._head + b"%d\r\n\r\n" % len(body) + body)
            await connection.head()
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def release(self, connection: "Answer") -> None:
        """Keep the connection for the next request if its answer is over; else close it."""
        if connection.is_reusable and not self._closed:
            connection.rest()
            self._idle.append(connection)
            self._slots.release()
        else:
            self._drop(connection)

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().abort()

    def _kept(self) -> "Answer | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fresh:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> "Answer":
        loop = asyncio.get_running_loop()
        if self._is_https and self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: Answer(self._name, self._idle_timeout_s), self._host, self._port, ssl=self._tls
                )
        except TimeoutError as exc:
            raise UpstreamTimeout(f"upstream {self._name} was silent for too long; try again later") from exc
        except OSError as exc:  # TLS errors are OSErrors too
            raise UpstreamUnavailable(f"upstream {self._name} can't be reached; try again later") from exc
        return connection

    def _drop(self, connection: "Answer | None") -> None:
        if connection is not None:
            connection.abort()
        self._slots.release()


class Answer(asyncio.Protocol):
    """A connection, and the one answer that is on its way over it. `headers` have lower-case names."""

    def __init__(self, name: str, idle_timeout_s: float) -> None:
        self._name = name
        self._idle_timeout_s = idle_timeout_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = self._loop.time()
        self._waiter: asyncio.Future[None] | None = None
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._overhead_bytes = 0
        self._is_paused = False
        self._has_head = False
        self._is_whole = False
        self._is_clean = True  # nothing came that nobody asked for, nor word that the provider will close
        self._failure: UpstreamError | None = None
        self.status = 0
        self.headers: dict[str, str] = {}

    # What the client does with a connection.

    def ask(self, request: bytes) -> None:
        self._begin()
        self._heard_at = self._loop.time()
        self._timer = self._loop.call_later(self._idle_timeout_s, self._check_silence)
        self._transport.write(request)

    async def head(self) -> None:
        while not self._has_head:
            await self._wait()

    async def read(self) -> bytes:
        """What has come of the body; empty at its end."""
        while not self._pieces:
            if self._is_whole:
                return b""
            await self._wait()
        pieces, self._pieces, self._waiting_bytes = self._pieces, [], 0
        if self._is_paused:
            self._is_paused = False
            self._heard_at = self._loop.time()  # until now the silence was ours
            self._transport.resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def drain(self) -> None:
        """Give the end that should follow the last word a moment to come, so that the connection can be used again."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                while not self._is_whole and await self.read():
                    pass
        except (TimeoutError, UpstreamError):
            pass  # then it is not reusable

    @property
    def is_reusable(self) -> bool:
        return self._is_whole and self._is_clean and self._failure is None

    @property
    def is_fresh(self) -> bool:
        return self._is_clean and self._failure is None and self._loop.time() - self._heard_at < _KEPT_S

    def rest(self) -> None:
        self._stop_timer()
        self._heard_at = self._loop.time()

    def abort(self) -> None:
        self._stop_timer()
        self._transport.abort()

    async def _wait(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: UpstreamError) -> None:
        if self._failure is None:
            self._failure = error
        self._wake()

    def _check_silence(self) -> None:
        now = self._loop.time()
        left_s = self._idle_timeout_s - (now - self._heard_at)
        if self._is_paused or left_s > 0:
            self._timer = self._loop.call_later(self._idle_timeout_s if self._is_paused else left_s, self._check_silence)
        else:
            self._timer = None
            self._fail(UpstreamTimeout(f"upstream {self._name} was silent for too long; try again later"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What the event loop tells.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvloop's is no subclass
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._is_whole:
            self._is_clean = False  # nobody asked
            return
        self._heard_at = self._loop.time()
        self._overhead_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:  # an upgrade, which nobody asked for, is one too
            self._break(exc)
            return
        if self._overhead_bytes > _OVERHEAD_BYTES:
            self._break(None)
            return
        if self._waiting_bytes > _BUFFER_BYTES and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        if self._has_head:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._is_clean = False
        if self._has_head and not self._is_whole and self._ends_with_connection and exc is None:
            self._is_whole = True
            self._wake()
        elif not self._is_whole:
            self._break(exc)

    def _break(self, exc: Exception | None) -> None:
        kind = type(exc).__name__ if exc else "too early or senseless"
        error = UpstreamBroken(f"upstream {self._name} broke the connection off ({kind}); try again")
        error.__cause__ = exc
        self._fail(error)

    @property
    def _ends_with_connection(self) -> bool:
        """RFC 9112 §6.3: without a length and without chunks a body ends with its connection."""
        return "content-length" not in self.headers and "transfer-encoding" not in self.headers

    # What the parser tells.

    def on_message_begin(self) -> None:
        if self._is_whole:
            self._is_clean = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # trailers say nothing we ask for
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status < 200:  # RFC 9110 §15.2: the answer itself is still to come
            self.headers = {}
        else:
            self._has_head = True

    def on_body(self, body: bytes) -> None:
        if not self._is_whole:
            self._overhead_bytes = 0
            self._pieces.append(body)
            self._waiting_bytes += len(body)

    def on_message_complete(self) -> None:
        if self._has_head and not self._is_whole:
            self._is_whole = True
            self._is_clean = self._parser.should_keep_alive()


def _head(parts: SplitResult, headers: dict[str, str]) -> bytes:
    """A request's head up to the number of its content-length."""
    host = parts.hostname or ""
    host = host if host.isascii() else host.encode("idna").decode()
    name = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    lines = [f"POST {parts.path} HTTP/1.1", f"host: {name}{port}", *(f"{key}: {value}" for key, value in headers.items())]
    return "\r\n".join([*lines, "content-length: "]).encode("latin-1")
