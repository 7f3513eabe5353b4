"""Passes a prompt through the guard, every string of it, before anything else may see it."""

from collections.abc import Callable

from freehold.core.errors import BlockedByPolicy
from freehold.core.events import Blocked, Event, PromptText
from freehold.core.exchange import Exchange
from freehold.core.findings import Action, Verdict
from freehold.core.stage import Stage
from freehold.gateway.wire.codec import Codec
from freehold.gateway.wire.leaves import rewrite


def screen(exchange: Exchange, codec: Codec, stage: Stage, note: Callable[[Event], None]) -> Exchange:
    """The exchange as it may go on, its document rewritten where the guard changed a text. Raises BlockedByPolicy."""
    leaves = codec.leaves(exchange.document)
    released: dict[int, list[str]] = {}
    verdict: Verdict | None = None

    def keep(events: list[Event]) -> None:
        nonlocal verdict
        for event in events:
            note(event)
            if isinstance(event, PromptText):
                released.setdefault(event.leaf, []).append(event.text)
            elif isinstance(event, Blocked) and verdict is None:
                verdict = event.verdict

    for number, leaf in enumerate(leaves):
        keep(stage.receive(PromptText(leaf=number, channel=leaf.channel, text=leaf.text)))
        if verdict is not None:
            raise blocked(verdict)
    keep(stage.close())
    if verdict is not None:
        raise blocked(verdict)
    texts = ["".join(released.get(number, ())) for number in range(len(leaves))]
    changes = [(leaf, text) for leaf, text in zip(leaves, texts, strict=True) if text != leaf.text]
    return _decoded_again(exchange, codec, rewrite(exchange.document, changes)) if changes else exchange


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
