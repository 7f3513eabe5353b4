"""A remote provider of any dialect, on loopback: it writes to the socket exactly what a test told it to, cut where the test says.

Many answers can be under way at once. A request says which one it is for by a word in it, `probe-17`, that no guard touches. What
is written below HTTP is the test's own too, so that a provider can break off, go on for ever, or talk nonsense.
"""

import asyncio
import itertools
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

JSON, EVENTS = "application/json", "text/event-stream"
_PROBE = re.compile(rb"probe-(\d+)")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_HEAD_LIMIT_BYTES = 1 << 20

Write = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True)
class Script:
    """`pieces` are written one at a time; where `raw` is given it writes the whole answer instead, HTTP included."""

    pieces: Sequence[bytes] = ()
    content_type: str = EVENTS
    status: int = 200
    raw: Callable[[Write], Awaitable[None]] | None = None
    body: bytes = b""  # of the request, as it arrived
    target: str = ""
    written_bytes: int = 0
    has_begun: threading.Event = field(default_factory=threading.Event)
    has_ended: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class ScriptedProvider:
    port: int = 0
    scripts: dict[int, Script] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1000))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def add(self, script: Script) -> str:
        """The word that a request for this script must hold."""
        number = next(self._numbers)
        self.scripts[number] = script
        return f"probe-{number}"

    def forget(self, word: str) -> None:
        del self.scripts[int(word.removeprefix("probe-"))]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head, reader, writer)
        writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = _LENGTH.search(head)
        body = await reader.readexactly(int(found[1])) if found else b""
        asked = _PROBE.search(body)
        script = self.scripts.get(int(asked[1]) if asked else 0)
        if script is None:
            script = Script(pieces=[b'{"error": {"message": "no such script"}}'], content_type=JSON, status=400)
        script.body, script.target = body, head.split(b" ", 2)[1].decode("latin-1")
        script.has_begun.set()

        async def write(data: bytes) -> None:
            writer.write(data)
            script.written_bytes += len(data)
            await writer.drain()

        try:
            if script.raw is not None:
                await script.raw(write)
                raise ConnectionResetError("a raw answer ends with its connection")
            await _write_framed(script, write)
        finally:
            script.has_ended.set()


async def _write_framed(script: Script, write: Write) -> None:
    head = f"HTTP/1.1 {script.status} OK\r\ncontent-type: {script.content_type}\r\n"
    if script.content_type == JSON:
        body = b"".join(script.pieces)
        await write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        return
    await write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
    for piece in script.pieces:
        await write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await asyncio.sleep(0)  # a read of its own for each write, where the other side keeps up
    await write(b"0\r\n\r\n")


@contextmanager
def serving() -> Iterator[ScriptedProvider]:
    """The provider in a thread with a loop of its own, on a free loopback port."""
    provider, started, loop = ScriptedProvider(), threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(provider.serve, "127.0.0.1", 0, limit=_HEAD_LIMIT_BYTES, backlog=1024)
        provider.port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    started.wait(timeout=10)
    try:
        yield provider
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=10)
        loop.close()
