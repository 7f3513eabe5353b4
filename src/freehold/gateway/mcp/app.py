"""`/mcp/{server}`: streamable HTTP for MCP clients, in the protocol's revisions with and without sessions.

Decided here: who may ask, by a Freehold key; which of a node's servers it goes to; in what shape HTTP tells what comes of it.
While a person is asked or a server works, a client hears a comment now and then. A server that is a process speaks the
revisions with sessions alone, as it belongs to one. What may pass is decided in `passage.py`.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import orjson
from mcp_types.jsonrpc import UNSUPPORTED_PROTOCOL_VERSION
from starlette.types import Receive, Scope, Send

from freehold.core.errors import (
    ClientError,
    FreeholdError,
    InternalError,
    InvalidRequest,
    NotAllowed,
    NotFound,
    UpstreamBroken,
    UpstreamUnavailable,
)
from freehold.core.exchange import Principal
from freehold.core.ports import KeyRing
from freehold.gateway import log
from freehold.gateway.access import Headers as RawHeaders
from freehold.gateway.access import authenticate, read_headers
from freehold.gateway.body import ClientLeft, read_body
from freehold.gateway.config import GatewayConfig
from freehold.gateway.mcp import message as messages
from freehold.gateway.mcp.config import McpConfig
from freehold.gateway.mcp.headers import LAST_EVENT, SESSION, VERSION, routing
from freehold.gateway.mcp.link import NO_HEADERS, DoesNotListen, Headers, Link, SessionGone
from freehold.gateway.mcp.message import HANDSHAKE, INITIALIZE, MODERN, Kind, Message
from freehold.gateway.mcp.passage import Answer, Forward, Passage
from freehold.gateway.mcp.patience import following, patiently, unless_left
from freehold.gateway.mcp.remote import RemoteLink
from freehold.gateway.mcp.services import McpServices
from freehold.gateway.mcp.sessions import Server, Session
from freehold.gateway.mcp.sse import EVENT_ID, ServerEvent, frame
from freehold.gateway.reply import Reply, error_headers

_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_PLAIN: Final = ServerEvent(data=b"")  # an event of our own: no id, no pause
_ANY_SIZE = 1 << 62  # the transport has measured it

_Passed = tuple[bytes, ServerEvent, bool]  # what goes on, the event it came in, whether it is the answer


class WrongMethod(InvalidRequest):
    status = 405
    code = "method_not_allowed"


class NotAcceptable(InvalidRequest):
    status = 406
    code = "not_acceptable"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """One HTTP request, past the door."""

    server: Server
    principal: Principal
    headers: RawHeaders = field(repr=False)
    reply: Reply

    def text(self, name: str) -> str:
        return self.headers.get(name.encode(), b"").decode("latin-1")


class McpGateway:
    """The ASGI app. `close` ends all sessions."""

    def __init__(
        self, servers: Sequence[McpConfig], services: McpServices, keys: KeyRing, gateway: GatewayConfig, folder: Path = Path()
    ) -> None:
        """`folder` is what files named in the configuration are relative to. Raises ConfigError where a secret is missing."""
        self._servers = {one.name: Server(one, services, folder) for one in servers}
        self._services, self._keys, self._gateway = services, keys, gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = Reply(send, stall_timeout_s=self._gateway.idle_timeout_s)
        try:
            async with reply:
                await self._answer(scope, receive, reply)
        except ClientLeft:
            log.info("client_left", path="/mcp")
        except Exception as exc:
            problem = exc if isinstance(exc, FreeholdError) else _unforeseen(exc)
            with contextlib.suppress(ClientLeft):
                async with reply:
                    await _refuse(reply, self._services.paths.keep_from_client(problem))

    async def close(self) -> None:
        await asyncio.gather(*(server.close() for server in self._servers.values()))

    async def _answer(self, scope: Scope, receive: Receive, reply: Reply) -> None:
        headers = read_headers(scope["headers"])
        server = self._find(scope["path"], headers)
        principal = authenticate(headers, self._keys)
        _check_may_use(server.config, principal)
        if not (status := self._services.recorder.status()).ready:
            raise UpstreamUnavailable(f"no record can be kept now, so nothing is passed on: {status.detail}")
        asking = _Asking(server=server, principal=principal, headers=headers, reply=reply)
        match scope["method"]:
            case "POST":
                await self._post(asking, receive)
            case "GET":
                await self._get(asking, receive)
            case "DELETE":
                await server.end(_session(asking))
                await reply.whole(b"{}")
            case _:
                raise WrongMethod("an MCP server is asked by POST, GET and DELETE")

    def _find(self, path: str, headers: RawHeaders) -> Server:
        server = self._servers.get(path.removesuffix("/").rpartition("/")[2])
        if server is None:
            raise NotFound("no such MCP server is configured here; its path is /mcp/NAME, with the name of an [[mcp]] table")
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and not _is_ours(origin, self._gateway.host, server.config.origins):
            raise NotAllowed("a web page of this origin may not ask; add it to the server's origins if it should")
        return server

    # POST: one message of a client's

    async def _post(self, asking: _Asking, receive: Receive) -> None:
        config = asking.server.config
        if not ("application/json" in asking.text("accept") and "text/event-stream" in asking.text("accept")):
            raise NotAcceptable("an MCP client accepts both application/json and text/event-stream")
        announced = asking.text("content-length")
        body = await read_body(
            receive,
            announced_bytes=int(announced) if announced.isdigit() else None,
            limit_bytes=min(config.message_limit_bytes, self._gateway.body_limit_bytes),
            timeout_s=self._gateway.body_timeout_s,
        )
        message = messages.read(body, self._services.bounds(config.message_limit_bytes))
        version = asking.text(VERSION)
        if version and version not in HANDSHAKE:
            await unless_left(self._without_session(asking, message, version), receive)
        elif message.method == INITIALIZE and message.kind is Kind.REQUEST:
            await unless_left(self._begin(asking, message), receive)
        else:
            await unless_left(self._in_session(asking, _session(asking), message), receive)

    async def _begin(self, asking: _Asking, message: Message) -> None:
        """The handshake: it makes a session, if the server agrees."""
        server = asking.server
        session = await server.begin(asking.principal)
        has_begun = False
        try:
            answer = await self._whole(session.passage, session.link, message)
            document = orjson.loads(answer)
            if has_begun := "result" in document:
                if isinstance(session.link, RemoteLink):
                    session.link.speak(str(document["result"]["protocolVersion"]))
                server.open(session)
            await asking.reply.whole(answer, headers=[(SESSION.encode(), session.id.encode())] if has_begun else [])
        finally:
            if not has_begun:
                await server.end(session)

    async def _whole(self, passage: Passage, link: Link, message: Message) -> bytes:
        """An answer alone, whatever else comes before it."""
        outcome = await passage.from_client(message)
        if isinstance(outcome, Answer):
            return outcome.data
        assert outcome is not None
        async with contextlib.aclosing(self._passed(passage, link, message, outcome)) as events:
            async for data, _, is_answer in events:
                if is_answer:
                    return data
        raise UpstreamBroken("the MCP server gave no answer to the handshake")

    async def _in_session(self, asking: _Asking, session: Session, message: Message) -> None:
        async with asking.server.used(session):
            await self._exchange(asking.reply, session.passage, session.link, message)

    async def _without_session(self, asking: _Asking, message: Message, version: str) -> None:
        """The revisions in which each request stands alone. A client that leaves takes its question back."""
        server = asking.server
        if server.remote is None or version not in MODERN:
            known = [*sorted(HANDSHAKE), *(sorted(MODERN) if server.remote is not None else [])]
            await asking.reply.whole(_unsupported(message, version, known), status=400)
            return
        link, screening = server.link_to(server.remote, {VERSION: version}), server.screening(asking.principal)
        passage = Passage(server.config, self._services, asking.principal, link.ask, screening=screening, version=version)
        try:
            headers = await routing(asking.headers, message, version, screening.open())
            await self._exchange(asking.reply, passage, link, message, headers)
        finally:
            await passage.left()

    async def _exchange(
        self, reply: Reply, passage: Passage, link: Link, message: Message, headers: Headers = NO_HEADERS
    ) -> None:
        """One message of a client's, and what comes of it."""
        outcome = await patiently(passage.from_client(message), reply)
        if isinstance(outcome, Answer):
            await (reply.end_stream(frame(outcome.data, _PLAIN)) if reply.started else reply.whole(outcome.data))
        elif outcome is not None and message.kind is Kind.REQUEST:
            await self._stream(reply, self._passed(passage, link, message, outcome, headers))
        else:
            if outcome is not None:
                await link.tell(outcome.data, headers)
            await (reply.end_stream(b"") if reply.started else reply.whole(b"", status=202))

    async def _stream(self, reply: Reply, events: AsyncGenerator[_Passed, None]) -> None:
        """One answer alone goes whole; with anything before it, or after a silence, it is a stream."""
        async with contextlib.aclosing(events):
            while (passed := await patiently(following(events), reply)) is not None:
                data, event, is_answer = passed
                if is_answer and not reply.started and not event.id:
                    await reply.whole(data)
                    return
                await reply.stream(frame(data, event))
        await reply.end_stream(b"")

    async def _passed(
        self, passage: Passage, link: Link, message: Message, outcome: Forward, headers: Headers = NO_HEADERS
    ) -> AsyncGenerator[_Passed, None]:
        """What a server says to a question, as it may go on, up to the answer. A server that fails is answered for."""
        assert message.id is not None
        is_resumable = False
        problem: FreeholdError | None = None
        try:
            async with link.answers(message, outcome.data, headers) as events:
                async for event in events:
                    is_resumable |= bool(event.id)
                    said = None if not event.data else _addressed(self._read(event), message)
                    data = b"" if said is None else await _heard(passage, link, said)
                    is_answer = said is not None and said.is_answer and said.id == message.id
                    if data is not None:
                        yield data, event, is_answer
                    if is_answer:
                        return
            if is_resumable:
                return  # the client asks again, with the last event's id
            problem = UpstreamBroken("the MCP server ended its answer before its end; try again")
        except SessionGone:
            raise
        except ClientError as exc:
            problem = UpstreamBroken(f"the MCP server broke the protocol: {exc.message}")
        except FreeholdError as exc:
            problem = exc
        finally:
            if problem is None and not is_resumable:
                await passage.forget(message.id)  # answered, or else its client has left for good
        assert problem is not None  # all else has returned, or raised
        for answer in await passage.lost(problem, [message.id]):
            yield answer, _PLAIN, True

    def _read(self, event: ServerEvent) -> Message:
        return messages.read(event.data, self._services.bounds(_ANY_SIZE))

    # GET: what a server says by itself, and what a client missed

    async def _get(self, asking: _Asking, receive: Receive) -> None:
        if "text/event-stream" not in asking.text("accept"):
            raise NotAcceptable("a stream is text/event-stream; accept it")
        session, after = _session(asking), asking.text(LAST_EVENT)
        if after and not EVENT_ID.fullmatch(after):
            raise InvalidRequest("the Last-Event-ID is none that a server gave")
        await unless_left(self._listen(asking, session, after), receive)

    async def _listen(self, asking: _Asking, session: Session, after: str) -> None:
        reply = asking.reply
        try:
            async with asking.server.used(session), session.link.listen(after) as events:
                await reply.stream(b": open\n\n")
                while (event := await patiently(following(events), reply)) is not None:
                    await self._tell_on(reply, session, event)
        except DoesNotListen as exc:
            raise WrongMethod(exc.message) from exc
        await reply.end_stream(b"")

    async def _tell_on(self, reply: Reply, session: Session, event: ServerEvent) -> None:
        try:
            data = b"" if not event.data else await _heard(session.passage, session.link, self._read(event))
        except ClientError as exc:
            log.info("mcp_dropped", kind="event", code=exc.code)
            return
        if data is not None:
            await reply.stream(frame(data, event))


def _session(asking: _Asking) -> Session:
    if not (given := asking.text(SESSION)):
        raise InvalidRequest("the Mcp-Session-Id header is missing; begin with initialize")
    return asking.server.find(given, asking.principal)


def _check_may_use(config: McpConfig, principal: Principal) -> None:
    if not config.keys and not config.teams:
        return
    if any(fnmatchcase(name, glob) for glob in config.keys for name in (principal.name, principal.key_id)):
        return
    if principal.team is not None and any(fnmatchcase(principal.team, glob) for glob in config.teams):
        return
    raise NotAllowed(f"this key may not use the MCP server {config.name}")


def _is_ours(origin: str, host: str, allowed: Sequence[str]) -> bool:
    """The protocol's guard against DNS rebinding: a page's own name proves nothing, so that only known ones count."""
    if origin in allowed:
        return True
    try:
        name = urlsplit(origin).hostname
    except ValueError:
        return False
    return name is not None and (name in _LOOPBACK or name == host)


def _unsupported(message: Message, version: str, known: Sequence[str]) -> bytes:
    """A client that hears this falls back to a revision that is named."""
    data = {"supported": list(known), "requested": version[:64]}
    words = "this node does not speak this revision of the protocol to this server"
    problem = {"code": UNSUPPORTED_PROTOCOL_VERSION, "message": words, "data": data}
    return orjson.dumps({"jsonrpc": "2.0", "id": message.id, "error": problem})


def _addressed(said: Message, question: Message) -> Message:
    """An error about a message whose id its receiver could not read: on this stream it is the answer."""
    if said.id is not None or said.kind is not Kind.ERROR:
        return said
    return replace(messages.with_document(said, {**said.document, "id": question.id}), id=question.id)


async def _heard(passage: Passage, link: Link, said: Message) -> bytes | None:
    """What a client may hear of a server's message; None is nothing."""
    outcome = await passage.from_server(said)
    if isinstance(outcome, Answer):
        await link.tell(outcome.data)
    return outcome.data if isinstance(outcome, Forward) else None


async def _refuse(reply: Reply, problem: FreeholdError) -> None:
    """What is wrong before a message could be read has no id."""
    if reply.started:
        await reply.end_stream(b"")
    else:
        await reply.whole(messages.error(None, problem), status=problem.status, headers=error_headers(problem))


def _unforeseen(exc: Exception) -> InternalError:
    log.error("unexpected_error", path="/mcp", error=type(exc).__name__, where=log.place(exc))
    return InternalError("the node failed unexpectedly; its log has more")
