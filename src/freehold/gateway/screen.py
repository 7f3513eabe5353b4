"""Passes a prompt through the guard, every string of it, before anything else may see it."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from freehold.core.errors import BlockedByPolicy
from freehold.core.events import Blocked, Event, PromptText
from freehold.core.exchange import Exchange
from freehold.core.findings import Action, Channel, Context, Direction, Verdict
from freehold.core.stage import Stage, steps
from freehold.gateway.pauses import STEP_CHARS, Pauses, apart
from freehold.gateway.wire.codec import Codec, Incoming, Leaf
from freehold.gateway.wire.leaves import rewrite
from freehold.gateway.wire.tool_names import ToolNames

_OF_TOOLS = frozenset((Channel.TOOL_DESCRIPTION, Channel.TOOL_ARGUMENTS, Channel.TOOL_RESULT))


def context_of(exchange: Exchange) -> Context:
    """Whose exchange it is, as the guard asks."""
    principal = exchange.principal
    return Context(
        dialect=exchange.dialect,
        model=exchange.model,
        key_id=principal.key_id,
        key_name=principal.name,
        team=principal.team or "",
        labels=principal.labels,
    )


async def screen(exchange: Exchange, incoming: Incoming, codec: Codec, stage: Stage, note: Callable[[Event], None]) -> Exchange:
    """The exchange as it may go on, document and headers rewritten where the guard changed them. Raises BlockedByPolicy."""
    leaves = codec.leaves(exchange.document)
    texts = prompt_texts(exchange, leaves)
    texts += [
        PromptText(leaf=at, channel=Channel.OTHER, text=value) for at, value in enumerate(exchange.headers.values(), len(texts))
    ]
    passed = await released(texts, stage, note)
    changes = [(leaf, text) for leaf, text in zip(leaves, passed, strict=False) if text != leaf.text]
    headers = dict(zip(exchange.headers, passed[len(leaves) :], strict=True))
    if not changes:
        return exchange if headers == exchange.headers else replace(exchange, headers=headers)
    again = codec.decode_request(replace(incoming, document=rewrite(exchange.document, changes), headers=headers))
    return replace(again, is_rewritten=True)


def prompt_texts(exchange: Exchange, leaves: Sequence[Leaf]) -> list[PromptText]:
    """The strings of a request, as stages take them."""
    tools = ToolNames(exchange.document)
    return [leaf.said(at, tools.of(leaf.path) if leaf.channel in _OF_TOOLS else "") for at, leaf in enumerate(leaves)]


async def released(texts: Sequence[PromptText], stage: Stage, note: Callable[[Event], None]) -> list[str]:
    """What the stage lets through of each text, numbered from 0. Raises BlockedByPolicy. The stage is closed in any case."""
    out: list[list[str]] = [[] for _ in texts]

    def keep(events: list[Event]) -> None:
        for event in events:
            note(event)
            if isinstance(event, PromptText):
                out[event.leaf].append(event.text)
            elif isinstance(event, Blocked):
                raise blocked(event.verdict)

    pauses = Pauses()
    try:
        for text in texts:
            if len(text.text) <= STEP_CHARS:
                keep(stage.receive(text))
                await pauses.take()
                continue
            going = steps(stage, text)
            for passed in going:
                keep(passed if passed is not None else await apart(partial(next, going)) or [])
                await pauses.take()
    except BaseException:
        with contextlib.suppress(Exception):
            stage.close()
        raise
    keep(stage.close())
    return ["".join(pieces) for pieces in out]


def blocked(verdict: Verdict) -> BlockedByPolicy:
    """Names the rules, never what they found. Either way: of a request, and of an answer that goes on in its own payloads."""
    rules = sorted({finding.rule for finding in verdict.findings if finding.enforced is Action.BLOCK})
    named = f" ({', '.join(rules)})" if rules else ""
    if any(finding.direction is Direction.RESPONSE for finding in verdict.findings):
        return BlockedByPolicy(f"this node's policy stopped the answer{named}; ask for one without what it names")
    return BlockedByPolicy(f"this node's policy blocked the request{named}; take out what it names and send it again")
