"""One `tools/call` and its record: an exchange of the dialect "mcp", with a receipt like any other.

The request's digest is over the message as the client sent it, the response's over the message that the client is sent. The
record is durable before the answer leaves; where it can't be written, the answer does not leave.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from freehold.core.errors import FreeholdError, RecordNotWritten
from freehold.core.events import Alerted, Event, MessageStart, ServedBy
from freehold.core.exchange import Exchange, ExchangeId, Principal
from freehold.core.ledger import Status
from freehold.core.measurement import NOTHING_RAN, UNKNOWN_ENERGY
from freehold.gateway import log
from freehold.gateway.account import Account
from freehold.gateway.alerts import RECORD_FAILED, alert_of
from freehold.gateway.mcp import message
from freehold.gateway.mcp.message import Message
from freehold.gateway.mcp.services import McpServices

DIALECT: Final = "mcp"
OPERATION: Final = "execute_tool"  # the GenAI semantic conventions' word
RECEIPT: Final = "freehold/receipt"  # the key in a result's `_meta`


class CallRecord:
    def __init__(self, services: McpServices, principal: Principal, call: Message) -> None:
        self._services = services
        self._call = call
        self.account = Account(
            principal=principal,
            dialect=DIALECT,
            operation=OPERATION,
            unix_ns=services.unix_ns(),
            started_at_s=services.monotonic_s(),
        )
        self.account.body = call.data
        self._is_written = False

    @property
    def id(self) -> ExchangeId:
        return self.account.exchange_id

    def note(self, event: Event) -> None:
        self.account.note(event)
        if isinstance(event, Alerted):
            self._services.alarm.raise_alert(event.alert)

    def names(self, server: str, tool: str) -> None:
        """Which tool it is: known to be one, so that its name may stand in the record."""
        account = self.account
        account.exchange = Exchange(
            id=account.exchange_id,
            received_at_ns=account.received_at_ns,
            principal=account.principal,
            dialect=DIALECT,
            operation=OPERATION,
            model=f"{server}/{tool}",
            stream=False,
            body=account.body,
            document=self._call.document,
        )
        account.is_routed = True
        account.note(MessageStart(served=ServedBy(provider=server, model=tool)))

    async def answered(self, answer: Message) -> bytes:
        """The answer with the receipt's id in it, once it is recorded. Raises RecordNotWritten."""
        document = dict(answer.document)
        if "result" in document:
            document["result"] = self._with_receipt(document["result"])
        else:
            self.account.status, self.account.error_code = Status.FAILED, "mcp_error"
        return await self._recorded(orjson.dumps(document))

    async def refused(self, words: str, version: str, *, code: str = "blocked_by_policy") -> bytes:
        """A call that was not made, as a result that the model can read. Raises RecordNotWritten."""
        self.account.status, self.account.error_code = Status.BLOCKED, code
        assert self._call.id is not None
        return await self._recorded(message.result(self._call.id, self._with_receipt(message.failed_call(words, version))))

    async def failed(self, error: FreeholdError) -> bytes:
        """Raises RecordNotWritten."""
        error = self._services.paths.keep_from_client(error)
        self.account.fail(error, Status.FAILED)
        return await self._recorded(message.error(self._call.id, error))

    async def left(self) -> None:
        """Nobody waits for the answer any more."""
        if not self._is_written:
            self.account.status, self.account.error_code = Status.CANCELLED, "client_left"
            await self._write()

    def _with_receipt(self, body: Mapping[str, Any]) -> dict[str, Any]:
        meta = body.get("_meta")
        return {**body, "_meta": {**(meta if isinstance(meta, dict) else {}), RECEIPT: self.id}}

    async def _recorded(self, data: bytes) -> bytes:
        self.account.sent.add(data)
        await self._write()
        return data

    async def _write(self) -> None:
        services, account = self._services, self.account
        self._is_written = True
        energy = UNKNOWN_ENERGY if account.was_asked else NOTHING_RAN
        draft = account.draft(now_s=services.monotonic_s(), now_ns=services.unix_ns(), energy=energy)
        try:
            await services.recorder.record(draft)
        except Exception as exc:
            services.alarm.raise_alert(RECORD_FAILED)
            log.error("record_failed", exchange_id=account.exchange_id, error=type(exc).__name__, where=log.place(exc))
            if isinstance(exc, RecordNotWritten):
                raise
            raise RecordNotWritten("the record of this call could not be written; the node's log says why") from exc
        if (alert := alert_of(draft.entry)) is not None:
            services.alarm.raise_alert(alert)
        services.count(draft.entry)
        log.info("exchange_finished", **log.facts(draft.entry))
