"""One request, top to bottom.

Two rules shape the end of it. Nobody gets a clean end without a record: the last chunk, or the whole of a plain answer, leaves
only once the receipt is durable. And every exchange that got past authentication is recorded, whatever became of it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from freehold.core.deferral import Turn
from freehold.core.errors import (
    BlockedByPolicy,
    FreeholdError,
    InternalError,
    InvalidRequest,
    NotFound,
    RecordNotWritten,
    UpstreamRejected,
    UpstreamUnavailable,
)
from freehold.core.events import Blocked, Held, TextDelta
from freehold.core.exchange import Exchange, Principal
from freehold.core.findings import Context, Direction
from freehold.core.ledger import LedgerEntry, Status
from freehold.core.measurement import NO_FOOTPRINT, NOTHING_RAN
from freehold.core.ports import GuardSession, Permit, Recorder
from freehold.core.stage import Stage
from freehold.gateway import log
from freehold.gateway.access import Headers, authenticate
from freehold.gateway.account import Account
from freehold.gateway.alerts import RECORD_FAILED, alert_of
from freehold.gateway.answering import Answering
from freehold.gateway.attempt import May
from freehold.gateway.batches.waiting import deferred_headers, patiently
from freehold.gateway.batches.words import NOTHING_SAID, Deferral, Words, said_in_headers, taken_out, together
from freehold.gateway.body import ClientLeft, Receive, parse, read_body
from freehold.gateway.energy import ASK, energy_comment, energy_headers, tells_energy
from freehold.gateway.flow import Flow
from freehold.gateway.keeping import kept
from freehold.gateway.placement import continued
from freehold.gateway.reply import Reply, Send, error_headers
from freehold.gateway.screen import context_of, screen
from freehold.gateway.services import Services
from freehold.gateway.sse import ALONE_S, BARE, SseEvent, frame, frames
from freehold.gateway.wire.codec import Codec, Incoming


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What came before a request's body. `path` is what the codec's own paths leave open."""

    codec: Codec
    path: str
    query: Mapping[str, str] = field(repr=False)  # may hold the key
    headers: Headers = field(repr=False)
    turn: Turn | None = None  # of a line of a batch, which has waited for it


async def handle(call: Call, receive: Receive, send: Send, services: Services) -> None:
    """Answer one request, errors included."""
    codec = call.codec
    reply = Reply(send, stall_timeout_s=services.config.idle_timeout_s)
    try:
        principal = authenticate(call.headers, services.keys, call.query)
        _refuse_unless_recordable(services.recorder)
    except Exception as exc:
        error = services.paths.keep_from_client(exc if isinstance(exc, FreeholdError) else _unforeseen(exc))
        services.metrics.count_refused(error.code)
        async with reply:
            await reply.whole(codec.encode_error(error), status=error.status, headers=error_headers(error))
        return
    await answer(call, principal, receive, send, services)


async def answer(call: Call, principal: Principal, receive: Receive, send: Send, services: Services) -> None:
    """The same, once it is known who asks and that a record can be written."""
    codec = call.codec
    reply = Reply(send, stall_timeout_s=services.config.idle_timeout_s)
    account = Account(
        principal=principal,
        dialect=codec.dialect,
        operation=codec.operation,
        unix_ns=services.unix_ns(),
        started_at_s=services.monotonic_s(),
    )
    reply.receipt_id = account.exchange_id
    await _Handling(call, receive, reply, account, services).run()


class _Handling:
    """The state of one request on its way down the list."""

    def __init__(self, call: Call, receive: Receive, reply: Reply, account: Account, services: Services) -> None:
        self._call = call
        self._codec = call.codec
        self._receive = receive
        self._reply = reply
        self._account = account
        self._services = services
        self._guard: GuardSession | None = None  # once the request could be read
        self._permit: Permit | None = None  # once it was admitted
        self._trace = services.traces.begin(call.headers.get(b"traceparent"), account.dialect, account.operation)

    async def run(self) -> None:
        self._services.metrics.active.inc()
        try:
            async with self._reply:
                await self._answer()
        except ClientLeft:
            await self._record_departure()
        except RecordNotWritten as error:
            await self._tell(error)
        except FreeholdError as error:
            await self._fail(error)
        except asyncio.CancelledError:  # the server's patience at shutdown is over; this task ends here all the same
            await self._fail(UpstreamUnavailable("the node is shutting down; try again in a moment", retry_after_s=5))
        except Exception as exc:
            await self._fail(_unforeseen(exc, self._account.exchange_id))
        finally:
            self._services.metrics.active.dec()
            self._settle(None)

    async def _answer(self) -> None:
        services, account = self._services, self._account
        incoming, words = await self._read()
        exchange = self._codec.decode_request(incoming)
        account.exchange = exchange = exchange if words is NOTHING_SAID else replace(exchange, is_rewritten=True)
        context = context_of(exchange)
        guard = self._guard = services.guard.open(context)
        account.policy_digest = guard.policy_digest
        deferral = self._deferral(words, exchange)
        upstreams = self._serving(exchange)
        waits = deferral is not None and services.turns is not None and services.turns.is_here(exchange.model)
        self._permit = permit = services.admission.admit(account.principal, exchange, waits=waits)
        account.reserved_microusd = permit.reserved_microusd
        with self._trace.screen():
            exchange = await screen(exchange, incoming, self._codec, guard.stage(Direction.REQUEST), account.note)
        can_wait = deferral is not None or self._call.turn is not None
        if exchange.can_wait != can_wait:
            exchange = replace(exchange, can_wait=can_wait)
        placement, may = await services.placer.place(exchange, context, self._call.headers, account.findings, upstreams)
        account.passed, account.keep_days = exchange, services.keeping.days(exchange, placement.labels)
        stages = [guard.stage(Direction.RESPONSE)]
        form = exchange.response_format
        if (restorer := guard.restorer(in_json=form is not None and form.kind != "text")) is not None:
            stages.append(restorer)
        stages.append(guard.judge(history_is_known=not continued(exchange)))
        with await self._turn(exchange, deferral, permit), self._trace.upstream() as hop:
            last = await self._ask(_traced(exchange, hop.traceparent), stages, may)
            if account.served is not None:
                hop.served(account.served)
        if account.served is not None and account.served.response_id is not None:
            services.placer.remember(account.principal.key_id, account.served.response_id, placement)
        entry = await self._record()
        tells = tells_energy(services.config.energy_headers, self._call.headers.get(ASK))
        if exchange.stream:
            comment = energy_comment(entry) if tells else b""
            await self._reply.end_stream(comment + frames(last) + self._codec.last_word)
        else:
            await self._reply.whole(last[0][0], headers=energy_headers(entry) if tells else None)

    def _deferral(self, words: Words, exchange: Exchange) -> Deferral | None:
        """Whether the client can wait. Raises InvalidRequest for words that make no sense. A line waits with its batch."""
        turns = self._services.turns
        if turns is None or self._call.turn is not None:
            return None
        words = together(said_in_headers(self._call.headers), words)
        return turns.asked(words, self._account.received_at_ns / 1e9, can_wait=exchange.can_wait)

    async def _turn(self, exchange: Exchange, deferral: Deferral | None, permit: Permit) -> AbstractContextManager[object]:
        """Once it is its turn: work that can wait waits, and live work goes before it. What is given is held while it runs."""
        turns, account = self._services.turns, self._account
        if turns is None or self._call.turn is not None:
            account.turn = self._call.turn
            return contextlib.nullcontext()
        if deferral is None:
            return turns.live(exchange.model)
        place, sign = turns.place(), self._reply.stream if exchange.stream else None
        with contextlib.ExitStack() as stack:
            stack.callback(place.leave)
            with self._services.metrics.waits():
                account.turn = turn = await patiently(turns.wait(deferral, exchange, place, permit), self._receive, sign)
            self._reply.headers += deferred_headers(turn)
            return stack.pop_all()

    async def _ask(self, exchange: Exchange, stages: Sequence[Stage], may: May) -> list[SseEvent]:
        """Have it answered, and pass the answer on; give what ends it."""
        services, account = self._services, self._account
        account.was_asked = True

        def ask(held: Held) -> Awaitable[bool]:
            return services.approvals.ask(held, account.principal, account.exchange_id)

        answering = Answering(exchange, self._codec, account, ask, self._reply.stream, services.monotonic_s)
        async with Flow(
            services.router.send(exchange, may),
            stages,
            self._receive,
            idle_timeout_s=services.config.idle_timeout_s,
            first_timeout_s=services.first_timeout_s(exchange.stream),
        ) as flow:
            return await answering.run(flow)

    async def _read(self) -> tuple[Incoming, Words]:
        """The body, within its limits, parsed; and what it says to this node alone."""
        config, account, headers = self._services.config, self._account, self._call.headers
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise InvalidRequest("compressed bodies are not supported; send the body as it is, without content-encoding")
        announced = headers.get(b"content-length", b"")
        account.body = await read_body(
            self._receive,
            announced_bytes=int(announced) if announced.isdigit() else None,
            limit_bytes=config.body_limit_bytes,
            timeout_s=config.body_timeout_s,
        )
        words, document = taken_out(parse(account.body, depth=config.json_depth, values=config.json_values))
        incoming = Incoming(
            exchange_id=account.exchange_id,
            received_at_ns=account.received_at_ns,
            principal=account.principal,
            body=account.body,
            document=document,
            path=self._call.path,
            query=self._call.query,
            headers=_forwarded(headers, self._codec),
        )
        return incoming, words

    def _serving(self, exchange: Exchange) -> list[str]:
        if upstreams := self._services.router.upstreams_for(exchange.model):
            self._account.is_routed = True
            return upstreams
        may_use = self._account.principal.may_use
        names = ", ".join(sorted(filter(may_use, self._services.router.models()))) or "none"
        raise NotFound(f"no upstream serves this model; known models: {names}", code="model_not_found")

    async def _fail(self, error: FreeholdError) -> None:
        """Record the failure, then tell the client."""
        account = self._account
        if isinstance(error, UpstreamRejected):
            try:
                self._scan_message(error)
            except Exception as exc:
                error = _unforeseen(exc, account.exchange_id)
        error = self._services.paths.keep_from_client(error)
        account.fail(error, Status.BLOCKED if isinstance(error, BlockedByPolicy) else Status.FAILED)
        account.sent.add(self._codec.error_event(error)[0] if self._reply.started else self._codec.encode_error(error))
        try:
            await self._record()
        except RecordNotWritten as worse:
            error = worse
        await self._tell(error)

    async def _tell(self, error: FreeholdError) -> None:
        """Under way a stream ends with an error event and without its last word, so that nobody takes it for whole."""
        error = self._services.paths.keep_from_client(error)
        try:
            async with self._reply:
                if self._reply.started:
                    event = self._codec.error_event(error)
                    if event[1] == BARE:
                        await asyncio.sleep(ALONE_S)
                    await self._reply.end_stream(frame(event))
                else:
                    await self._reply.whole(self._codec.encode_error(error), status=error.status, headers=error_headers(error))
        except ClientLeft:
            log.info("client_left", exchange_id=self._account.exchange_id)

    def _scan_message(self, error: UpstreamRejected) -> None:
        """A provider's own words pass the guard like its answers do; where it blocks, they are withheld."""
        words, error.message = error.message, "the provider answered with an error whose message this node withholds"
        code, error.code = error.code, UpstreamRejected.code
        stage = (self._guard or self._services.guard.open(Context())).stage(Direction.RESPONSE)
        events = [*stage.receive(TextDelta(text=code, part=1)), *stage.receive(TextDelta(text=words)), *stage.close()]
        for event in events:
            self._account.note(event)
        if any(isinstance(event, Blocked) for event in events):
            return
        told = ["".join(event.text for event in events if isinstance(event, TextDelta) and event.part == part) for part in (0, 1)]
        error.message = told[0]
        if told[1] == code:  # else it holds what nobody may see, and is no code
            error.code = code

    async def _record_departure(self) -> None:
        account = self._account
        account.status, account.error_code = Status.CANCELLED, "client_left"
        try:
            await self._record()
        except RecordNotWritten:
            return  # logged and counted there; nobody is left to tell

    async def _record(self) -> LedgerEntry:
        """Make the exchange's record durable. Raises RecordNotWritten, and nothing else."""
        services, account = self._services, self._account
        now_s, now_ns = services.monotonic_s(), services.unix_ns()
        try:
            energy, footprint = services.meter.account(account.use(now_ns)) if account.was_asked else (NOTHING_RAN, NO_FOOTPRINT)
            draft = account.draft(
                now_s=now_s,
                now_ns=now_ns,
                energy=energy,
                footprint=footprint,
                cost_microusd=self._cost_microusd(),
                kept=kept(account, dict(self._call.query), self._call.path),
            )
            await services.recorder.record(draft)
        except Exception as exc:
            services.metrics.count_record_failure()
            self._trace.end(None)
            services.alarm.raise_alert(RECORD_FAILED)
            log.error("record_failed", exchange_id=account.exchange_id, error=type(exc).__name__, where=log.place(exc))
            if isinstance(exc, RecordNotWritten):
                raise
            raise RecordNotWritten("the record of this exchange could not be written; the node's log says why") from exc
        self._settle(draft.entry)
        self._trace.end(draft.entry)
        for alert in (alert_of(draft.entry), *account.alerts):
            if alert is not None:
                services.alarm.raise_alert(alert)
        services.metrics.count(draft.entry, between_s=account.between_s, is_served=account.is_routed)
        log.info("exchange_finished", **log.facts(draft.entry))
        return draft.entry

    def _cost_microusd(self) -> int | None:
        account = self._account
        if account.operation == "count_tokens":
            return 0
        if account.served is None:
            return None
        return self._services.prices.cost_microusd(account.model, account.served.provider, account.usage)

    def _settle(self, entry: LedgerEntry | None) -> None:
        if self._permit is not None:
            self._permit.settle(entry)
            self._permit = None


def _traced(exchange: Exchange, traceparent: str | None) -> Exchange:
    """An upstream's work belongs to the client's trace."""
    return replace(exchange, headers={**exchange.headers, "traceparent": traceparent}) if traceparent else exchange


def _forwarded(headers: Headers, codec: Codec) -> dict[str, str]:
    """Those meant for the provider, too. What is not ASCII no provider's API has."""
    pairs = {name: headers.get(name.encode()) for name in codec.forwarded_headers}
    return {name: value.decode("ascii") for name, value in pairs.items() if value is not None and value.isascii()}


def _unforeseen(exc: Exception, exchange_id: str | None = None) -> InternalError:
    """Logged with its place and told without its words: they may quote content."""
    log.error("unexpected_error", exchange_id=exchange_id, error=type(exc).__name__, where=log.place(exc))
    under = f" under {exchange_id}" if exchange_id else ""
    return InternalError(f"the node failed unexpectedly; its log has more{under}")


def _refuse_unless_recordable(recorder: Recorder) -> None:
    status = recorder.status()
    if not status.ready:
        raise RecordNotWritten(f"no request is taken while records can't be written: {status.detail}")
