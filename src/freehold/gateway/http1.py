"""HTTP/1.1 to one host: connections kept open, one request on each at a time, the answer's body as it comes.

Knows HTTP and nothing of what is sent. llhttp parses; decided here is what surrounds it: a connection goes back to the pool only
after a whole answer with nothing behind it, silence and endless heads end an answer, and a reader that stalls stops the sender.
Redirects, cookies, compression and proxies from the environment are not there, so that nothing switches them on
(docs/adr/0036-own-http-client-to-providers.md).
"""

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import aiohappyeyeballs
import httptools

from freehold.core.errors import UpstreamBroken, UpstreamError, UpstreamTimeout, UpstreamUnavailable

_BUFFER_BYTES = 256 << 10  # what waits for a slow reader before the sender has to
_OVERHEAD_BYTES = 64 << 10  # of head, chunk sizes and trailers between two pieces of body; nginx gives heads 8 KiB, node 16
_KEPT_S = 15.0  # an idle connection older than this may be closed by the other side at the moment it is used
_DRAIN_S = 0.05
_SECOND_ADDRESS_S = 0.25  # RFC 8305 §5: so long the first has before the next of a host's addresses is tried beside it
_PORTS = {"http": 80, "https": 443}
_NOT_IN_A_LINE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class HttpClient:
    """Posts below one URL. Makes its connections on first use, inside the running event loop. Raises UpstreamErrors alone.

    `name` is who is there, as errors say it.
    """

    def __init__(self, name: str, url: str, *, connect_timeout_s: float, max_connections: int) -> None:
        parts = urlsplit(url)
        self._name = name
        self._host, self._port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        self._is_https = parts.scheme == "https"
        self._path = quote(parts.path, safe="/%:@!$&'()*+,;=~")
        self._authority = _authority(self._host, parts.port)
        self._connect_timeout_s = connect_timeout_s
        self._tls: ssl.SSLContext | None = None
        self._slots = asyncio.Semaphore(max_connections)
        self._idle: deque[Answer] = deque()  # the one used last at the right
        self._is_closed = False

    async def post(self, target: str, headers: Mapping[str, str], body: bytes, *, silence_s: float) -> "Answer":
        """The answer, its head read. Whoever gets it gives it to `release`.

        `target` is path and query below the URL. Longer than `silence_s` the other side may not be silent.
        """
        head = self._head(target, headers, len(body))
        await self._slots.acquire()
        connection: Answer | None = None
        try:
            connection = self._kept() or await self._connect()
            connection.ask(head, body, silence_s)
            await connection.head()
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def release(self, connection: "Answer") -> None:
        """Keep the connection for the next request if its answer is over; else close it."""
        if connection.is_reusable and not self._is_closed:
            connection.rest()
            self._idle.append(connection)
            self._slots.release()
        else:
            self._drop(connection)

    def close(self) -> None:
        self._is_closed = True
        while self._idle:
            self._idle.pop().abort()

    def _head(self, target: str, headers: Mapping[str, str], body_bytes: int) -> bytes:
        path = self._path + target
        lines = [f"POST {path if path.startswith('/') else f'/{path}'} HTTP/1.1", f"host: {self._authority}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        for line in lines:
            if _NOT_IN_A_LINE.search(line):  # never sent: it could end the line, and begin another request
                raise UpstreamBroken(f"a header for {self._name} holds a character that no header may have")
        return "\r\n".join([*lines, f"content-length: {body_bytes}", "", ""]).encode("latin-1")

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
                addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                connected = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_SECOND_ADDRESS_S)
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _, connection = await loop.create_connection(
                    lambda: Answer(self._name),
                    sock=connected,
                    ssl=self._tls,
                    server_hostname=self._host if self._is_https else None,
                )
        except TimeoutError as exc:
            raise UpstreamTimeout(f"{self._name} was silent for too long; try again later") from exc
        except (OSError, UnicodeError) as exc:  # TLS errors are OSErrors, too; a host's name may be none
            raise UpstreamUnavailable(f"{self._name} can't be reached; try again later") from exc
        return connection

    def _drop(self, connection: "Answer | None") -> None:
        if connection is not None:
            connection.abort()
        self._slots.release()


class Answered(NamedTuple):
    """A whole answer."""

    status: int
    content_type: str
    body: bytes


async def post_once(
    name: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, limit_bytes: int
) -> Answered:
    """Over a connection of its own. `timeout_s` is for all of it, `limit_bytes` for the answer's body. Raises UpstreamErrors."""
    parts = urlsplit(url)
    client = HttpClient(name, parts._replace(query="").geturl(), connect_timeout_s=timeout_s, max_connections=1)
    try:
        async with asyncio.timeout(timeout_s):
            answer = await client.post(f"?{parts.query}" if parts.query else "", headers, body, silence_s=timeout_s)
            try:
                return Answered(answer.status, answer.content_type, await answer.whole(limit_bytes))
            finally:
                client.release(answer)
    except TimeoutError as exc:
        raise UpstreamTimeout(f"{name} did not answer within {timeout_s:g} s; try again later") from exc
    finally:
        client.close()


class Answer(asyncio.Protocol):
    """A connection, and the one answer that is on its way over it. `headers` have lower-case names."""

    on_body: Callable[[bytes], None]

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._heard_at = 0.0
        self._silence_s = 0.0
        self._begin()

    def _begin(self) -> None:
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append  # a provider sends a chunk a token: the parser puts each where it belongs itself
        self._parser = httptools.HttpResponseParser(self)
        self._waiting_bytes = 0
        self._unsent_bytes = 0
        self._overhead_bytes = 0
        self._is_paused = False
        self._has_head = False
        self._is_whole = False
        self._is_clean = True  # nothing came that nobody asked for, nor word that the other side will close
        self._failure: UpstreamError | None = None
        self.status = 0
        self.headers: dict[str, str] = {}

    # What the client does with a connection.

    def ask(self, head: bytes, body: bytes, silence_s: float) -> None:
        self._begin()
        self._heard_at, self._silence_s = self._loop.time(), silence_s
        self._timer = self._loop.call_later(silence_s, self._check_silence)
        self._transport.writelines((head, body))

    async def head(self) -> None:
        while not self._has_head:
            await self._wait()

    async def read(self) -> bytes:
        """What has come of the body; empty at its end."""
        while not self._pieces:
            if self._is_whole:
                return b""
            await self._wait()
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._waiting_bytes = 0
        if self._is_paused:
            self._is_paused = False
            self._heard_at = self._loop.time()  # until now the silence was ours
            self._transport.resume_reading()
        return data

    async def whole(self, limit_bytes: int) -> bytes:
        """The body to its end. Raises UpstreamBroken for one that is larger."""
        pieces: list[bytes] = []
        left_bytes = limit_bytes
        while piece := await self.read():
            left_bytes -= len(piece)
            if left_bytes < 0:
                raise UpstreamBroken(f"{self._name} sent more than {limit_bytes} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    async def drain(self) -> None:
        """Give the end that should follow the last word a moment to come, so that the connection can be used again."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                while await self.read():
                    pass
        except (TimeoutError, UpstreamError):
            pass  # then it is not reusable

    @property
    def content_type(self) -> str:
        """Without parameters, in lower case; empty where none is said."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

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
        """What the other side takes of the request is a sign of life, too; while its reader stalls the silence is ours."""
        now, unsent_bytes = self._loop.time(), self._transport.get_write_buffer_size()
        if self._is_paused or 0 < unsent_bytes != self._unsent_bytes:
            self._heard_at, self._unsent_bytes = now, unsent_bytes
        left_s = self._heard_at + self._silence_s - now
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._check_silence)
        else:
            self._timer = None
            self._fail(UpstreamTimeout(f"{self._name} was silent for too long; try again later"))

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
        pieces = len(self._pieces)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            if not self._is_whole:
                self._break(exc)
            self._is_clean = False
            return
        if len(self._pieces) > pieces:
            self._overhead_bytes = 0
            self._waiting_bytes += len(data)
            if self._waiting_bytes > _BUFFER_BYTES and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()
        else:
            self._overhead_bytes += len(data)
            if self._overhead_bytes > _OVERHEAD_BYTES:
                self._break(None)
                return
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
        kind = type(exc).__name__ if exc else "too early, or with a head that does not end"
        error = UpstreamBroken(f"{self._name} broke the connection off ({kind}); try again")
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
        if self._is_whole:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:  # RFC 9110 §15.2: the answer itself is still to come
            self.headers = {}
        else:
            self._has_head = True

    def on_message_complete(self) -> None:
        if self._has_head and not self._is_whole:
            self._is_whole = True
            self._is_clean = self._parser.should_keep_alive()
            self._pieces = self._pieces.copy()  # what the parser finds behind it is nobody's


def _authority(host: str, port: int | None) -> str:
    """As the header `host` has it."""
    host = host if host.isascii() else host.encode("idna").decode()
    name = f"[{host}]" if ":" in host else host
    return f"{name}:{port}" if port else name
