"""A kept exchange made again: its request read as it was, and an engine's events turned into what the client would be sent.

Decided here: what cannot be made again. A person's yes or no to a call is not asked for twice, values that the guard put back for
its tokens are not kept, nor is the order in which answers side by side were streamed; the tokens alone are compared then.
"""

import asyncio
from collections.abc import AsyncIterator, MutableMapping, Sequence
from dataclasses import replace
from typing import Any

from freehold.core.content import KeptExchange
from freehold.core.errors import BlockedByPolicy, MalformedArtefact
from freehold.core.events import Event, Held, Usage
from freehold.core.exchange import Exchange, Principal
from freehold.core.findings import Direction
from freehold.core.ports import Guard
from freehold.gateway.account import Account, Chain
from freehold.gateway.answering import Answering
from freehold.gateway.body import parse
from freehold.gateway.config import GatewayConfig
from freehold.gateway.flow import Flow
from freehold.gateway.placement import continued
from freehold.gateway.screen import context_of, prompt_texts, released
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.codec import Codec, Incoming

_PATIENCE_S = 3600.0  # everything is there already


class NotComparable(Exception):
    """Why the answer as sent cannot be made again, in words."""


class ReplayedExchange:
    """One kept exchange. Raises MalformedArtefact for what no codec can read, InvalidRequest for what it refuses now."""

    def __init__(self, kept: KeptExchange, config: GatewayConfig) -> None:
        codec = CODECS.get(kept.dialect)
        if codec is None:
            raise MalformedArtefact(f"the kept exchange is in the dialect {kept.dialect[:80]!r}, which nobody here knows")
        self._kept, self._codec = kept, codec
        body = kept.body.encode()
        incoming = Incoming(
            exchange_id=kept.exchange_id,
            received_at_ns=kept.received_at_ns,
            principal=Principal(key_id=kept.key_id, name=kept.key_name, team=kept.team, labels=frozenset(kept.labels)),
            body=body,
            document=parse(body, depth=config.json_depth, values=config.json_values),
            path=kept.path,
            query=kept.query,
        )
        self.exchange = codec.decode_request(incoming)

    def for_engine(self, seed: int) -> Exchange:
        """The exchange as it was asked of the engine, the seed it chose among it."""
        return replace(self.exchange, sampling=replace(self.exchange.sampling, seed=seed))

    async def sent(self, events: Sequence[Event], guard: Guard, salt: bytes) -> Chain:
        """The chain over what the client would be sent of these events, under the policy in force now. Raises NotComparable."""
        if self._kept.has_reversible_tokens:
            raise NotComparable("the guard had put values back into the answer, and those are not kept")
        exchange = self.exchange
        if exchange.stream and exchange.choices > 1:
            raise NotComparable("several answers were streamed side by side, and which word came first is a matter of timing")
        account = _account(exchange, self._codec, salt)
        session = guard.open(context_of(exchange))
        try:
            texts = prompt_texts(exchange, self._codec.leaves(exchange.document))
            await released(texts, session.stage(Direction.REQUEST), lambda _: None)  # what it has read, its judges know
        except BlockedByPolicy as exc:
            raise NotComparable("the policy blocks the kept request now") from exc
        stages = [session.stage(Direction.RESPONSE), session.judge(history_is_known=not continued(exchange))]
        answering = Answering(exchange, self._codec, account, _nobody, _discard, lambda: 0.0)
        async with Flow(self._as_told(events), stages, _never, idle_timeout_s=_PATIENCE_S) as flow:
            await answering.run(flow)
        return account.sent

    async def _as_told(self, events: Sequence[Event]) -> AsyncIterator[list[Event]]:
        """How much of the prompt was in the cache is told in the answer, and is another matter than what was answered."""
        for event in events:
            yield [replace(event, cached_input_tokens=self._kept.cached_input_tokens) if isinstance(event, Usage) else event]


def _account(exchange: Exchange, codec: Codec, salt: bytes) -> Account:
    account = Account(
        principal=exchange.principal,
        dialect=codec.dialect,
        operation=codec.operation,
        unix_ns=exchange.received_at_ns,
        started_at_s=0.0,
    )
    account.exchange, account.sent = exchange, Chain(salt)
    return account


async def _nobody(_held: Held) -> bool:
    raise NotComparable("a person was asked about a tool call")


async def _discard(_frames: bytes) -> None:
    pass


async def _never() -> MutableMapping[str, Any]:
    """No client is there to leave."""
    await asyncio.Event().wait()
    raise AssertionError
