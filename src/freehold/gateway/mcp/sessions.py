"""The servers of a node, and the sessions that clients have with them.

Decided here: a session belongs to the key that began it, of everybody else's it is said that there is none, and the id that a
client has is ours; how many there may be, how often a process may be started, and when what nobody uses is ended. Of revisions
without sessions it is remembered, for a key and a server, whether what the server sent was suspect.
"""

import asyncio
import contextlib
import os
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from freehold.core.errors import LimitReached, UpstreamUnavailable
from freehold.core.exchange import Principal
from freehold.core.findings import Alert
from freehold.core.ports import MonotonicClock
from freehold.gateway.mcp.child import ChildLink, environment
from freehold.gateway.mcp.config import McpConfig
from freehold.gateway.mcp.link import Link, SessionGone
from freehold.gateway.mcp.passage import Passage, context_of
from freehold.gateway.mcp.remote import Remote, RemoteLink
from freehold.gateway.mcp.screening import Screening
from freehold.gateway.mcp.services import McpServices

WARY_LIMIT: Final = 1024  # keys that are remembered where there are no sessions
WARY_S: Final = 1800.0
FAILED: Final = "mcp_server_failed"


@dataclass(slots=True, kw_only=True)
class Session:
    id: str
    key_id: str
    passage: Passage
    link: Link
    used_at_s: float
    streams: int = 0  # that are open


class Server:
    """One configured server and its sessions."""

    def __init__(
        self,
        config: McpConfig,
        services: McpServices,
        folder: Path = Path(),
        environ: Mapping[str, str] = os.environ,
        clock: MonotonicClock = time.monotonic,
    ) -> None:
        """Raises ConfigError where a secret is missing."""
        self.config, self._services = config, services
        self.remote = None if config.url is None else Remote(config, folder)
        self._folder, self._environ, self._clock = folder, environ, clock
        self._sessions: dict[str, Session] = {}
        self._links: set[ChildLink] = set()  # every process that is not known to be gone, those of sessions that never opened too
        self._is_closed = False
        self._starts: deque[float] = deque()
        self._wary: OrderedDict[str, tuple[float, Screening]] = OrderedDict()
        self._ending: set[asyncio.Task[None]] = set()
        self._looking: asyncio.TimerHandle | None = None

    async def begin(self, principal: Principal) -> Session:
        """A session that is not open yet. Raises LimitReached, and UpstreamError where a process can't be started."""
        self._expire()
        config = self.config
        if len(self._sessions) >= config.max_sessions:
            raise LimitReached(f"MCP server {config.name} has {config.max_sessions} sessions already; end one, or try later")
        link: Link = await self._started() if self.remote is None else self.link_to(self.remote)
        passage = Passage(config, self._services, principal, link.ask)
        return Session(id=secrets.token_hex(16), key_id=principal.key_id, passage=passage, link=link, used_at_s=self._clock())

    def open(self, session: Session) -> None:
        self._sessions[session.id] = session
        self._look_again()

    def find(self, session_id: str, principal: Principal) -> Session:
        """Raises SessionGone."""
        self._expire()
        session = self._sessions.get(session_id)
        if session is None or session.key_id != principal.key_id:
            raise SessionGone("there is no such session; begin a new one with initialize")
        return session

    @contextlib.asynccontextmanager
    async def used(self, session: Session) -> AsyncIterator[None]:
        """While something of it is under way. One that the server has ended ends here, too."""
        session.streams += 1
        try:
            yield
        except SessionGone:
            await self.end(session)
            raise
        finally:
            session.streams -= 1
            session.used_at_s = self._clock()

    async def end(self, session: Session) -> None:
        self._sessions.pop(session.id, None)
        try:
            await session.passage.left()
        finally:
            await session.link.close()
        if isinstance(session.link, ChildLink):
            self._links.discard(session.link)

    async def close(self) -> None:
        """No process that was started here is left, whatever became of its session."""
        self._is_closed = True
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.gather(*(self.end(session) for session in list(self._sessions.values())))
        if self._ending:
            await asyncio.wait(self._ending)
        await asyncio.gather(*(link.close() for link in self._links))
        if self.remote is not None:
            await self.remote.close()

    def link_to(self, remote: Remote, headers: Mapping[str, str] | None = None) -> RemoteLink:
        return RemoteLink(remote, self._services.bounds(self.config.message_limit_bytes), headers or {})

    def screening(self, principal: Principal) -> Screening:
        """What is remembered of a key, where nothing else tells one client from another."""
        now_s = self._clock()
        at_s, screening = self._wary.pop(principal.key_id, (0.0, None))
        if screening is None or now_s - at_s > WARY_S:
            screening = Screening(self._services.guard, context_of(self.config, principal))
        self._wary[principal.key_id] = now_s, screening
        if len(self._wary) > WARY_LIMIT:
            self._wary.popitem(last=False)
        return screening

    async def _started(self) -> ChildLink:
        config, now_s = self.config, self._clock()
        while self._starts and now_s - self._starts[0] >= 60:
            self._starts.popleft()
        if len(self._starts) >= config.starts_per_minute:
            self._tell()
            raise LimitReached(
                f"MCP server {config.name} was started {config.starts_per_minute} times in a minute; try later", retry_after_s=60
            )
        self._starts.append(now_s)
        link = ChildLink(config.name, self._services.bounds(config.message_limit_bytes))
        folder = None if config.folder is None else self._folder / config.folder
        self._links.add(link)
        try:
            await link.start(config.command, environment(config.env, self._environ), folder)
        except UpstreamUnavailable:
            self._links.discard(link)
            self._tell()
            raise
        if self._is_closed:  # meanwhile
            await link.close()
            self._links.discard(link)
            raise UpstreamUnavailable(f"MCP server {config.name} is not started any more: the node is shutting down")
        return link

    def _tell(self) -> None:
        message = f"MCP server {self.config.name} can't be started, or ends again and again; the node's log says more"
        self._services.alarm.raise_alert(Alert(kind=FAILED, severity="warning", message=message))

    def _look_again(self) -> None:
        """So that a process ends in time though nobody asks for anything."""
        if self._looking is None and self._sessions:
            self._looking = asyncio.get_running_loop().call_later(self.config.session_idle_s, self._look)

    def _look(self) -> None:
        self._looking = None
        self._expire()
        self._look_again()

    def _expire(self) -> None:
        """Sessions that nobody used for long end, and those whose process has."""
        now_s = self._clock()
        for session in list(self._sessions.values()):
            is_dead = isinstance(session.link, ChildLink) and session.link.problem is not None
            if not session.streams and (is_dead or now_s - session.used_at_s > self.config.session_idle_s):
                del self._sessions[session.id]
                task = asyncio.get_running_loop().create_task(self.end(session))
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)
