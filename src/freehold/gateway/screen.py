"""Passes a prompt through the guard, every string of it, before anything else may see it."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from freehold.core.errors import BlockedByPolicy
from freehold.core.events import Blocked, Event, PromptText
from freehold.core.exchange import Exchange
from freehold.core.findings import Action, Verdict
from freehold.core.stage import Stage
from freehold.gateway.wire.codec import Codec, Leaf
from freehold.gateway.wire.leaves import rewrite

_TURN_LEAVES = 64  # about a millisecond of scanning, before others may go on


async def screen(exchange: Exchange, codec: Codec, stage: Stage, note: Callable[[Event], None]) -> Exchange:
    """The exchange as it may go on, its document rewritten where the guard changed a text. Raises BlockedByPolicy."""
    leaves = codec.leaves(exchange.document)
    released = await _released(leaves, stage, note)
    changes = [(leaf, text) for leaf, text in zip(leaves, released, strict=True) if text != leaf.text]
    return _decoded_again(exchange, codec, rewrite(exchange.document, changes)) if changes else exchange


async def _released(leaves: Sequence[Leaf], stage: Stage, note: Callable[[Event], None]) -> list[str]:
    """What the stage lets through of each leaf. The stage is closed, whatever happens."""
    texts: list[list[str]] = [[] for _ in leaves]

    def keep(events: list[Event]) -> None:
        for event in events:
            note(event)
            if isinstance(event, PromptText):
                texts[event.leaf].append(event.text)
            elif isinstance(event, Blocked):
                raise blocked(event.verdict)

    try:
        for number, leaf in enumerate(leaves, 1):
            if number % _TURN_LEAVES == 0:
                await asyncio.sleep(0)
            keep(stage.receive(PromptText(leaf=number - 1, channel=leaf.channel, text=leaf.text)))
    except BaseException:
        with contextlib.suppress(Exception):
            stage.close()
        raise
    keep(stage.close())
    return ["".join(pieces) for pieces in texts]


def _decoded_again(exchange: Exchange, codec: Codec, document: dict[str, object]) -> Exchange:
    return codec.decode_request(
        document,
        exchange_id=exchange.id,
        received_at_ns=exchange.received_at_ns,
        principal=exchange.principal,
        body=exchange.body,
    )


def blocked(verdict: Verdict) -> BlockedByPolicy:
    """Names the rules, never what they found."""
    rules = sorted({finding.rule for finding in verdict.findings if finding.enforced is Action.BLOCK})
    named = f" ({', '.join(rules)})" if rules else ""
    return BlockedByPolicy(f"this node's policy blocked the request{named}; take out what it names and send it again")
