"""A guarded MCP server without a node: between a client's standard streams and a process, one line a message.

Decided here: the same judges as in a node, for one client who is this machine's own user. Who is asked about a call that policy
holds is the caller's to say; where it is nobody, the call is refused. The process gets the client's variables, as its client
starts it so, but for Freehold's own. What ends first ends the other, and all that the process started.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

from freehold.core.errors import FreeholdError, RequestTooLarge, UpstreamError
from freehold.core.events import Held
from freehold.core.exchange import ExchangeId, KeyId, Principal
from freehold.gateway import log
from freehold.gateway.mcp import message as messages
from freehold.gateway.mcp.child import Process
from freehold.gateway.mcp.config import McpConfig
from freehold.gateway.mcp.message import Id, Kind, Message
from freehold.gateway.mcp.passage import Answer, Forward, Passage
from freehold.gateway.mcp.services import McpServices

LOCAL: Final = Principal(key_id=KeyId("key_local"), name="local")
_OURS = "FREEHOLD_"
AT_ONCE: Final = 256  # messages under way: more of them wait in the pipe

Write = Callable[[bytes], Awaitable[None]]  # one line to the client


class Nobody:
    """Implements `core.ports.Approvals`."""

    async def ask(self, held: Held, principal: Principal, exchange_id: ExchangeId) -> bool:
        return False


class Wrap:
    def __init__(self, config: McpConfig, services: McpServices, write: Write) -> None:
        self._config, self._bounds = config, services.bounds(config.message_limit_bytes)
        self._to_client = write
        self._process = Process(config.name, config.message_limit_bytes)
        self._passage = Passage(config, services, LOCAL, self._ask)
        self._own: dict[Id, asyncio.Future[Message]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._ended = asyncio.Event()

    async def run(self, lines: AsyncIterator[bytes], environ: Mapping[str, str]) -> int:
        """Until one side ends. Gives the process's exit code, 0 where the client left first. Raises UpstreamUnavailable."""
        variables = {name: value for name, value in environ.items() if not name.startswith(_OURS)}
        await self._process.start(self._config.command, variables, None, self._server_says, self._server_ended, stderr=None)
        reading = asyncio.ensure_future(self._read(lines))
        ending = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED)
            has_left = not ending.done()
            if reading.done():
                reading.result()
        finally:
            await self._stop(reading, ending)
        return 0 if has_left else self._process.exit_code or 0

    async def _stop(self, *tasks: "asyncio.Future[Any]") -> None:
        await self._passage.left()
        await self._process.end()
        for task in (*tasks, *self._tasks):
            task.cancel()
        await asyncio.wait([*tasks, *self._tasks])

    async def _read(self, lines: AsyncIterator[bytes]) -> None:
        async for line in lines:
            try:
                message = messages.read(line, self._bounds)
            except FreeholdError as problem:
                await self._to_client(messages.error(None, problem))
                continue
            await self._handle(message, self._client_says, at_once=message.kind is not Kind.REQUEST)

    async def _server_says(self, line: bytes) -> None:
        message = messages.read_line(line, self._config.name, self._bounds)
        if message is None:
            return
        if message.is_answer and message.id in self._own:
            if not self._own[message.id].done():
                self._own[message.id].set_result(message)
            return
        # An answer may need more pages, which come by this same reader: it can't wait for them.
        await self._handle(message, self._pass_back, at_once=not message.is_answer)

    async def _handle(self, message: Message, work: Callable[[Message], Awaitable[None]], *, at_once: bool) -> None:
        if at_once:
            await work(message)
            return
        await self._places.acquire()
        task = asyncio.ensure_future(self._kept(work(message)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _kept(self, work: Awaitable[None]) -> None:
        try:
            await work
        except UpstreamError as problem:
            log.info("mcp_dropped", server=self._config.name, kind="message", code=problem.code)
        finally:
            self._places.release()

    async def _client_says(self, message: Message) -> None:
        outcome = await self._passage.from_client(message)
        if isinstance(outcome, Answer):
            await self._to_client(outcome.data)
        elif outcome is not None:
            with contextlib.suppress(UpstreamError):  # it has ended: whatever waits is answered there
                await self._process.write(outcome.data)

    async def _pass_back(self, message: Message) -> None:
        outcome = await self._passage.from_server(message)
        if isinstance(outcome, Forward):
            await self._to_client(outcome.data)
        elif isinstance(outcome, Answer):
            with contextlib.suppress(UpstreamError):
                await self._process.write(outcome.data)

    async def _server_ended(self, problem: FreeholdError) -> None:
        for own in self._own.values():
            if not own.done():
                own.set_exception(problem)
        for answer in await self._passage.lost(problem):
            await self._to_client(answer)
        await self._process.end()
        self._ended.set()

    async def _ask(self, data: bytes, own: Id) -> Message:
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._own[own] = answer
        try:
            await self._process.write(data)
            return await answer
        finally:
            del self._own[own]


async def lines_of(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Raises RequestTooLarge for a line above the stream's limit: nobody can tell what it belongs to."""
    while True:
        try:
            line = await stream.readline()
        except ValueError as exc:
            raise RequestTooLarge("the client sent a message above message_limit_bytes; nothing more is read") from exc
        if not line:
            return
        if line.strip():
            yield line.strip()
