"""One client's way to one server, for messages in both directions. Knows no transport.

A message comes in as it was read and goes out as `Forward`, to the other side, or as `Answer`, back to where it came from; None
is neither. Decided here: what does not parse, what the SDK's types refuse and what can't be scanned does not pass; an answer
passes only to a question that was asked; a tool is called only while its pin holds, its name is allowed and its call was
judged. A call that does not pass is answered with a result that the model can read, and everything else goes on.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from mcp_types import PROTOCOL_VERSION_META_KEY

from freehold.core.errors import (
    BlockedByPolicy,
    FreeholdError,
    InternalError,
    InvalidRequest,
    LimitReached,
    NotAllowed,
    RecordNotWritten,
    UpstreamBroken,
    UpstreamTimeout,
)
from freehold.core.events import Event
from freehold.core.exchange import Principal
from freehold.core.findings import Context
from freehold.core.ports import GuardSession
from freehold.gateway import log
from freehold.gateway.mcp import message as messages
from freehold.gateway.mcp.calls import DIALECT, CallRecord
from freehold.gateway.mcp.config import McpConfig
from freehold.gateway.mcp.message import BEFORE_HANDSHAKE, CALL, CANCELLED, DISCOVER, INITIALIZE, KNOWN, Id, Kind, Message, Side
from freehold.gateway.mcp.offers import Offers, is_allowed
from freehold.gateway.mcp.pins import PINNED, shown
from freehold.gateway.mcp.screening import Screening
from freehold.gateway.mcp.services import McpServices
from freehold.gateway.mcp.texts import LISTS

PENDING_LIMIT: Final = 1024  # questions of one client that the server has not answered, and the other way round
PAGES_LIMIT: Final = 100
OWN_TIMEOUT_S: Final = 60.0
_ABOUT_TOOL: Final = {"prompts/get": "prompts"}

Ask = Callable[[bytes, Id], Awaitable[Message]]
"""Sends the server a question of our own, and gives its answer. Raises UpstreamError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    data: bytes = field(repr=False)


Outcome = Forward | Answer | None


class Withheld(NotAllowed):
    code = "withheld"


@dataclass(slots=True, kw_only=True)
class _Asked:
    """A client's question that the server has not answered yet."""

    method: str
    tool: str = ""
    meta: Mapping[str, Any] = field(repr=False, default_factory=dict)
    call: CallRecord | None = None


class Passage:
    def __init__(
        self,
        config: McpConfig,
        services: McpServices,
        principal: Principal,
        ask: Ask,
        *,
        screening: Screening | None = None,
        version: str = BEFORE_HANDSHAKE,
    ) -> None:
        self._config, self._services, self._principal, self._ask = config, services, principal, ask
        self._screening = screening or Screening(services.guard, context_of(config, principal))
        self._offers = Offers(config, services)
        self._version = version
        self._asked: dict[Id, _Asked] = {}
        self._asked_back: dict[Id, str] = {}  # the server's questions that the client has not answered -> method
        self._judging: dict[Id, asyncio.Task[Any]] = {}

    @property
    def waits(self) -> bool:
        """Whether the server owes an answer."""
        return bool(self._asked)

    async def from_client(self, message: Message) -> Outcome:
        try:
            self._check_version(message)
            if message.is_answer:
                return await self._client_answers(message)
            if message.kind is Kind.NOTIFICATION:
                return await self._client_notifies(message)
            messages.check(message, Side.CLIENT, self._version)
            if message.id in self._asked or message.id in self._judging or len(self._asked) >= PENDING_LIMIT:
                raise LimitReached("this id is in use, or too many questions wait for an answer; wait for some of them")
            if message.method == CALL:
                return await self._called(message)
            return await self._client_asks(message)
        except Exception as exc:
            problem = _translated(exc)
            if message.kind is not Kind.REQUEST:
                log.info("mcp_dropped", server=self._config.name, kind=message.kind, code=problem.code)
                return None
            return Answer(data=self._error(message.id, problem))

    async def from_server(self, message: Message) -> Outcome:
        try:
            if message.is_answer:
                return await self._server_answers(message)
            messages.check(message, Side.SERVER, self._version)
            session = self._screening.open()
            passed = await self._screening.pass_on(message, Side.SERVER, session, self._note)
            if message.kind is Kind.REQUEST:
                assert message.id is not None
                if len(self._asked_back) >= PENDING_LIMIT:
                    raise LimitReached("too many questions wait for the client's answer")
                self._asked_back[message.id] = message.method
            return Forward(data=passed.data)
        except Exception as exc:
            problem = _translated(exc)
            log.info("mcp_dropped", server=self._config.name, kind=message.kind, code=problem.code)
            return Answer(data=self._error(message.id, problem)) if message.kind is Kind.REQUEST else None

    async def lost(self, problem: FreeholdError, ids: Sequence[Id] | None = None) -> list[bytes]:
        """The server will not answer: what the client is told to each question that waits, or to those of `ids`."""
        answers = []
        for waiting in list(self._asked if ids is None else ids):
            asked = self._asked.pop(waiting, None)
            if asked is None:
                continue
            if asked.call is None:
                answers.append(self._error(waiting, problem))
                continue
            try:
                answers.append(await asked.call.failed(problem))
            except RecordNotWritten as worse:
                answers.append(self._error(waiting, worse))
        return answers

    def _error(self, id: Id | None, problem: FreeholdError) -> bytes:  # noqa: A002 - JSON-RPC's word
        return messages.error(id, self._services.paths.keep_from_client(problem))

    async def left(self) -> None:
        """The client is gone: its calls are recorded as they are."""
        for task in list(self._judging.values()):
            task.cancel()
        for waiting in list(self._asked):
            await self.forget(waiting)

    async def forget(self, waiting: Id) -> None:
        """Nobody wants the answer any more: should it come, it is dropped."""
        asked = self._asked.pop(waiting, None)
        if asked is not None and asked.call is not None:
            with contextlib.suppress(RecordNotWritten):  # logged and told where it failed
                await asked.call.left()

    # What a client says

    async def _client_asks(self, message: Message) -> Outcome:
        about = _ABOUT_TOOL.get(message.method)
        if about is not None:
            await self._check_pin(about, str(message.params.get("name", "")))
        passed = await self._screening.pass_on(message, Side.CLIENT, self._screening.open(), self._note)
        assert message.id is not None
        self._asked[message.id] = _Asked(method=message.method, meta=_meta(message))
        return Forward(data=passed.data)

    async def _client_notifies(self, message: Message) -> Outcome:
        messages.check(message, Side.CLIENT, self._version)
        if message.method == CANCELLED:
            cancelled = message.params.get("requestId")
            if isinstance(cancelled, str | int):
                if (judging := self._judging.get(cancelled)) is not None:
                    judging.cancel()  # the server has not heard of it
                    return None
                await self.forget(cancelled)
        passed = await self._screening.pass_on(message, Side.CLIENT, self._screening.open(), self._note)
        return Forward(data=passed.data)

    async def _client_answers(self, message: Message) -> Outcome:
        method = self._asked_back.pop(message.id, None) if message.id is not None else None
        if method is None:
            raise InvalidRequest("this answers no question of the server's", code="invalid_message")
        messages.check(message, Side.CLIENT, self._version, asked=method)
        passed = await self._screening.pass_on(message, Side.CLIENT, self._screening.open(), self._note, asked=method)
        return Forward(data=passed.data)

    async def _called(self, message: Message) -> Outcome:
        """A call is judged in a task of its own, so that it can be cancelled while a person is asked."""
        assert message.id is not None
        record = CallRecord(self._services, self._principal, message)
        task = asyncio.ensure_future(self._judged(message, record))
        self._judging[message.id] = task
        try:
            return await task
        except asyncio.CancelledError:
            await record.left()
            current = asyncio.current_task()
            if current is not None and current.cancelling():  # all of it is over, and not the call alone
                raise
            return None
        except RecordNotWritten:
            raise
        except Exception as exc:
            problem = _translated(exc)
            return Answer(data=await record.failed(problem))
        finally:
            del self._judging[message.id]

    async def _judged(self, message: Message, record: CallRecord) -> Outcome:
        assert message.id is not None
        tool = str(message.params["name"])
        session = self._screening.open()
        record.account.policy_digest = session.policy_digest
        try:
            await self._check_pin("tools", tool, _meta(message))
            record.names(self._config.name, shown(tool))
            passed = await self._screening.pass_on(message, Side.CLIENT, session, record.note, tool=tool)
        except (BlockedByPolicy, NotAllowed) as problem:
            words = (
                f"The call of {shown(tool)} was not made: {problem.message}." if problem.code == "withheld" else problem.message
            )
            return Answer(data=await record.refused(words, self._version, code=problem.code))
        arguments = orjson.dumps(passed.params.get("arguments") or {}).decode()
        verdict = await self._screening.judge(tool, str(message.id), arguments, session, record.note)
        refused = verdict.refused
        if verdict.held is not None and not await self._services.approvals.ask(verdict.held, self._principal, record.id):
            refused = verdict.held.refused
        if refused is not None:
            return Answer(data=await record.refused(refused.text, self._version))
        if verdict.arguments != arguments:
            passed = _with_arguments(passed, verdict.arguments)
        self._asked[message.id] = _Asked(method=CALL, tool=tool, meta=_meta(message), call=record)
        record.account.was_asked = True
        return Forward(data=passed.data)

    async def _check_pin(self, kind: str, name: str, meta: Mapping[str, Any] | None = None) -> None:
        """Raises Withheld unless the thing may be used. A server whose list nobody has seen is asked for it first."""
        book, server = self._services.book, self._config.name
        if kind == "tools" and not is_allowed(self._config, name):
            raise Withheld(f"this node's configuration does not allow this tool of the server {server}")
        pin = book.find(server, kind, name)  # on this thread: a look at the file's date, and seldom more
        if pin is None:
            await self._list(kind, meta or {})
            pin = book.find(server, kind, name)
        if pin is None:
            raise Withheld(f"the server {server} lists no such {PINNED[kind]}")
        if not pin.may_pass:
            raise Withheld(
                f"the {PINNED[kind]} is withheld ({pin.why}) until a person accepts it: freehold mcp pins accept {server}"
            )

    # What a server says

    async def _server_answers(self, message: Message) -> Outcome:
        asked = self._asked.pop(message.id, None) if message.id is not None else None
        if asked is None:
            raise InvalidRequest("this answers no question of the client's", code="invalid_message")
        try:
            messages.check(message, Side.SERVER, self._version, asked=asked.method)
            passed = await self._passed(message, asked)
        except Exception as exc:
            problem = _translated(exc, of_server=True)
            if asked.call is None:
                return Forward(data=self._error(message.id, problem))
            return Forward(data=await self._told(message, asked.call, problem))
        if asked.call is None:
            return Forward(data=passed.data)
        try:
            return Forward(data=await asked.call.answered(passed))
        except RecordNotWritten as problem:
            return Forward(data=self._error(message.id, problem))

    async def _told(self, message: Message, call: CallRecord, problem: FreeholdError) -> bytes:
        """A result that can't be shown is one the model can read about; a server that broke the protocol is an error."""
        try:
            if isinstance(problem, BlockedByPolicy):
                words = f"The tool ran, but its result is withheld: {problem.message}."
                return await call.refused(words, self._version)
            return await call.failed(problem)
        except RecordNotWritten as worse:
            return self._error(message.id, worse)

    async def _passed(self, message: Message, asked: _Asked) -> Message:
        session = self._screening.open()
        note = asked.call.note if asked.call is not None else self._note
        if asked.method == INITIALIZE and message.kind is Kind.RESULT:
            self._agree(str(message.document["result"].get("protocolVersion", "")))
        if message.kind is Kind.RESULT and asked.method in LISTS:
            return await self._listed(message, asked, session)
        if message.kind is Kind.RESULT and asked.method in (INITIALIZE, DISCOVER):
            message = await self._offers.without_bad_advice(message, session)
        return await self._screening.pass_on(message, Side.SERVER, session, note, asked=asked.method, tool=asked.tool)

    async def _listed(self, message: Message, asked: _Asked, session: GuardSession) -> Message:
        """A list, whole: a server's pages are put together, so that the digest is over all of it."""
        kind = LISTS[asked.method]
        body = dict(message.document["result"])
        items = list(body[kind])
        pages = 1
        while (cursor := body.pop("nextCursor", None)) is not None:
            pages += 1
            if pages > PAGES_LIMIT:
                raise UpstreamBroken(f"the server lists more than {PAGES_LIMIT} pages of {kind}")
            body["nextCursor"] = None
            more = await self._own(asked.method, {"cursor": cursor, **_carried(asked.meta)})
            items += more[kind]
            body["nextCursor"] = more.get("nextCursor")
        body.pop("nextCursor", None)
        kept = await self._offers.passed(kind, items, session)  # each by itself; then what is around them
        shell = messages.with_result(message, {**body, kind: []})
        passed = await self._screening.pass_on(shell, Side.SERVER, session, self._note, asked=asked.method)
        return messages.with_result(passed, {**passed.document["result"], kind: kept})

    async def _list(self, kind: str, meta: Mapping[str, Any]) -> None:
        """See for ourselves what the server offers."""
        method = next(method for method, listed in LISTS.items() if listed == kind)
        items: list[Mapping[str, Any]] = []
        params: dict[str, Any] = _carried(meta)
        for _ in range(PAGES_LIMIT):
            page = await self._own(method, params)
            items += page[kind]
            if (cursor := page.get("nextCursor")) is None:
                break
            params = {**params, "cursor": cursor}
        await self._offers.passed(kind, items, self._screening.open())

    async def _own(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """A question of our own to the server: the body of its result."""
        own = f"freehold-{secrets.token_hex(8)}"
        try:
            async with asyncio.timeout(OWN_TIMEOUT_S):
                answer = await self._ask(messages.request(own, method, params), own)
        except TimeoutError as exc:
            raise UpstreamTimeout(f"the server did not answer {method} in {OWN_TIMEOUT_S:g} s") from exc
        if answer.kind is not Kind.RESULT:
            raise UpstreamBroken(f"the server answered {method} with an error")
        messages.check(answer, Side.SERVER, self._version, asked=method)
        body: Mapping[str, Any] = answer.document["result"]
        return body

    def _agree(self, version: str) -> None:
        if version not in messages.HANDSHAKE:
            known = ", ".join(sorted(messages.HANDSHAKE))
            raise UpstreamBroken(f"the server wants a revision of the protocol that this node does not know; it knows {known}")
        self._version = version

    def _check_version(self, message: Message) -> None:
        """A request of the newer revisions says its own; over stdio nothing else does."""
        said = _meta(message).get(PROTOCOL_VERSION_META_KEY)
        if said is None or message.kind is not Kind.REQUEST:
            return
        if said not in KNOWN:
            raise InvalidRequest(
                f"this node knows the revisions {', '.join(sorted(KNOWN))} of the protocol", code="invalid_params"
            )
        if said in messages.MODERN:
            self._version = str(said)

    def _note(self, event: Event) -> None:
        """Findings outside of calls have no record of their own."""
        finding = getattr(event, "finding", None)
        if finding is not None:
            log.info("mcp_found", server=self._config.name, rule=finding.rule, action=finding.enforced, channel=finding.channel)


def context_of(config: McpConfig, principal: Principal) -> Context:
    return Context(
        dialect=DIALECT,
        model=config.name,
        key_id=principal.key_id,
        key_name=principal.name,
        team=principal.team or "",
        labels=principal.labels,
    )


def _meta(message: Message) -> Mapping[str, Any]:
    meta = message.params.get("_meta")
    return meta if isinstance(meta, dict) else {}


def _carried(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Newer revisions want to be told with each request who speaks; its progress is nobody's but the client's."""
    kept = {key: value for key, value in meta.items() if key.startswith("io.modelcontextprotocol/")}
    return {"_meta": kept} if kept else {}


def _with_arguments(message: Message, arguments: str) -> Message:
    params = {**message.params, "arguments": orjson.loads(arguments)}
    return messages.with_document(message, {**message.document, "params": params})


def _translated(exc: Exception, *, of_server: bool = False) -> FreeholdError:
    """What may be said of it. What a server did wrong is no fault of its client's."""
    if isinstance(exc, BlockedByPolicy) or (isinstance(exc, FreeholdError) and not of_server):
        return exc
    if isinstance(exc, InvalidRequest):
        return UpstreamBroken(f"the MCP server broke the protocol: {exc.message}")
    if isinstance(exc, FreeholdError):
        return exc
    log.error("unexpected_error", path="/mcp", error=type(exc).__name__, where=log.place(exc))
    return InternalError("the node failed unexpectedly, so the message did not pass; its log has more")
