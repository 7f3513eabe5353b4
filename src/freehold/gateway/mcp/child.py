"""An MCP server that is a process of this machine, spoken to over its standard streams, one line a message.

Decided here: it gets a few variables and no more; it leads a process group of its own, so that ending it ends what it started;
a line above the limit ends it, as nobody can tell what it belongs to; a line that is no message is dropped, and is an error where
it was to be an answer. What it says goes to the stream of the question it belongs to, else to the client's open stream, else it
waits, bounded.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import orjson

from freehold.core.errors import FreeholdError, UpstreamBroken, UpstreamUnavailable
from freehold.gateway import log
from freehold.gateway.mcp import message as messages
from freehold.gateway.mcp.link import NO_HEADERS, Headers
from freehold.gateway.mcp.message import Id, Kind, Message
from freehold.gateway.mcp.services import Bounds
from freehold.gateway.mcp.sse import ServerEvent

GRACE_S: Final = 2.0  # between closing its input, SIGTERM and SIGKILL each
_REAP_S: Final = 1.0  # of one that was killed, which takes it milliseconds
BACKLOG: Final = 256  # messages that wait for a stream
QUEUE: Final = 256  # of one stream, before the process has to wait
BASE_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL")

_End = ServerEvent | None  # None ends a stream


def environment(allowed: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in (*BASE_VARIABLES, *allowed) if name in environ}


class Process:
    """The process and its lines. `on_line` is awaited for each, `on_end` once when nothing more comes."""

    def __init__(self, name: str, limit_bytes: int) -> None:
        self._name, self._limit_bytes = name, limit_bytes
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._ending: asyncio.Task[None] | None = None
        self._has_read = False  # nothing more comes, and `on_end` is told

    async def start(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        folder: Path | None,
        on_line: Callable[[bytes], Awaitable[None]],
        on_end: Callable[[FreeholdError], Awaitable[None]],
        stderr: int | IO[bytes] | None = asyncio.subprocess.DEVNULL,
    ) -> None:
        """Raises UpstreamUnavailable where it can't be started."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env=dict(env),
                cwd=folder,
                start_new_session=True,
                limit=self._limit_bytes,
            )
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "its words hold a zero byte"
            raise UpstreamUnavailable(f"MCP server {self._name} can't be started: {reason}") from exc
        self._reading = asyncio.get_running_loop().create_task(self._read(on_line, on_end))

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.returncode

    async def write(self, data: bytes) -> None:
        """Raises UpstreamBroken. Whatever the message's own layout, it goes as one line."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        line = orjson.dumps(orjson.loads(data)) if b"\n" in data or b"\r" in data else data
        try:
            async with self._writing:
                process.stdin.write(line + b"\n")
                await process.stdin.drain()
        except (OSError, RuntimeError) as exc:
            raise UpstreamBroken(f"MCP server {self._name} has ended; begin a new session") from exc

    async def end(self) -> None:
        """It and all that it started are gone and reaped. Whoever stops waiting for that does not stop it."""
        if self._process is None:
            return
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end(self._process))
        await asyncio.shield(self._ending)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Its input is closed first, as the protocol says; then it is made to end, at once where the loop itself is ending."""
        transport = process._transport  # type: ignore[attr-defined]
        if process.stdin is not None:
            process.stdin.close()
        try:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(GRACE_S):
                        await process.wait()
                self._signal(process.pid, number)  # the group, also where its leader is gone
            await process.wait()
            if self._reading is not None and not self._has_read:  # else it may be what waits for this
                self._reading.cancel()
                await asyncio.wait([self._reading])
        except BaseException:
            self._signal(process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                transport.get_extra_info("subprocess").wait(_REAP_S)  # no loop will
            raise
        finally:
            transport.close()  # else a pipe that somebody else holds open stays ours

    def _signal(self, pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)

    async def _read(
        self, on_line: Callable[[bytes], Awaitable[None]], on_end: Callable[[FreeholdError], Awaitable[None]]
    ) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        problem: FreeholdError = UpstreamBroken(f"MCP server {self._name} ended; begin a new session")
        try:
            while line := await process.stdout.readline():
                if line.strip():
                    await on_line(line)
        except ValueError:  # the stream's way to say that the line is over its limit
            problem = UpstreamBroken(
                f"MCP server {self._name} sent a message of more than {self._limit_bytes} bytes; it was ended"
            )
        except Exception as exc:
            log.error("mcp_reader_failed", server=self._name, error=type(exc).__name__, where=log.place(exc))
            problem = UpstreamBroken(f"reading from MCP server {self._name} failed; it was ended")
        self._has_read = True
        await on_end(problem)


class ChildLink:
    """Implements `Link` over a process of its own."""

    def __init__(self, name: str, bounds: Bounds) -> None:
        self._name, self._bounds = name, bounds
        self._process = Process(name, bounds.size_bytes)
        self._own: dict[Id, asyncio.Future[Message]] = {}
        self._streams: dict[Id, asyncio.Queue[_End]] = {}  # by the question's id
        self._tokens: dict[Id, Id] = {}  # a question's progress token -> its id
        self._open: asyncio.Queue[_End] | None = None  # the client's own stream
        self._backlog: deque[ServerEvent] = deque(maxlen=BACKLOG)
        self.problem: FreeholdError | None = None  # once it has ended

    async def start(self, command: Sequence[str], env: Mapping[str, str], folder: Path | None) -> None:
        await self._process.start(command, env, folder, self._take, self._ended)

    async def ask(self, data: bytes, own: Id) -> Message:
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._own[own] = answer
        try:
            await self._write(data)
            return await answer
        finally:
            del self._own[own]

    @contextlib.asynccontextmanager
    async def answers(
        self, message: Message, data: bytes, headers: Headers = NO_HEADERS
    ) -> AsyncGenerator[AsyncIterator[ServerEvent], None]:
        assert message.id is not None
        queue: asyncio.Queue[_End] = asyncio.Queue(QUEUE)
        self._streams[message.id] = queue
        meta = message.params.get("_meta")
        token = meta.get("progressToken") if isinstance(meta, dict) else None
        if isinstance(token, str | int):
            self._tokens[token] = message.id
        try:
            await self._write(data)
            yield self._drawn(queue)
        finally:
            del self._streams[message.id]
            if isinstance(token, str | int):
                self._tokens.pop(token, None)
            _unblock(queue)

    async def tell(self, data: bytes, headers: Headers = NO_HEADERS) -> None:
        await self._write(data)

    @contextlib.asynccontextmanager
    async def listen(self, after: str) -> AsyncGenerator[AsyncIterator[ServerEvent], None]:
        """A client that opens a second stream has left the first. What waited for one comes first; what was missed is lost."""
        queue: asyncio.Queue[_End] = asyncio.Queue(QUEUE + BACKLOG)
        if self._open is not None:
            _unblock(self._open)
            self._open.put_nowait(None)
        self._open = queue
        while self._backlog:
            queue.put_nowait(self._backlog.popleft())
        try:
            yield self._drawn(queue)
        finally:
            if self._open is queue:
                self._open = None
            _unblock(queue)

    async def close(self) -> None:
        await self._process.end()

    async def _write(self, data: bytes) -> None:
        if self.problem is not None:
            raise self.problem
        await self._process.write(data)

    async def _drawn(self, queue: "asyncio.Queue[_End]") -> AsyncGenerator[ServerEvent, None]:
        while True:
            event = None if self.problem is not None and queue.empty() else await queue.get()
            if event is None and self.problem is not None:
                raise self.problem
            if event is None:
                return
            yield event

    async def _take(self, line: bytes) -> None:
        message = messages.read_line(line, self._name, self._bounds)
        if message is None:
            return
        if message.is_answer and message.id in self._own:
            if not self._own[message.id].done():
                self._own[message.id].set_result(message)
            return
        event = ServerEvent(data=message.data)
        if (queue := self._stream_for(message)) is not None:
            await queue.put(event)
        else:
            self._backlog.append(event)

    def _stream_for(self, message: Message) -> "asyncio.Queue[_End] | None":
        if message.is_answer:
            return (self._streams.get(message.id) if message.id is not None else None) or self._open
        if message.kind is Kind.NOTIFICATION and message.method == "notifications/progress":
            question = self._tokens.get(message.params.get("progressToken", ""))
            if question in self._streams:
                return self._streams[question]
        return self._open or next(reversed(self._streams.values()), None)

    async def _ended(self, problem: FreeholdError) -> None:
        self.problem = problem
        for answer in self._own.values():
            if not answer.done():
                answer.set_exception(problem)
        for queue in [*self._streams.values(), *([self._open] if self._open is not None else [])]:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)
        await self._process.end()


def _unblock(queue: "asyncio.Queue[_End]") -> None:
    """Nobody reads on: whoever waits to put something there goes on."""
    while not queue.empty():
        queue.get_nowait()
