import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from freehold.core.events import FinishReason, MessageEnd, MessageStart, ServedBy, TextDelta, Usage
from freehold.core.exchange import ModelId
from freehold.core.ledger import Draft
from freehold.core.receipts import content_digest, tokens_digest
from freehold.gateway.config import KeepConfig
from freehold.gateway.keeping import Keeping
from freehold.gateway.services import Services
from tests.fakes.guard import SECRET
from tests.fakes.upstream import MODEL, ScriptedUpstream
from tests.gateway.node import TestNode, running

OURS = ServedBy(provider="freehold", model=MODEL, model_id=ModelId("ab" * 32), seed=7)


def engine(served: ServedBy = OURS, tokens: tuple[int, ...] | None = (5, 6, 2), text: str = "Hello.") -> ScriptedUpstream:
    """Answers as our engine does: with tokens."""
    end = MessageEnd(finish_reason=FinishReason.STOP, tokens=tokens)
    return ScriptedUpstream(MessageStart(served=served), TextDelta(text=text), Usage(input_tokens=3, output_tokens=3), end)


@dataclass(slots=True)
class KeepingNode(TestNode):
    __test__ = False

    rules: tuple[KeepConfig, ...] = (KeepConfig(days=3),)

    def services(self) -> Services:
        return replace(TestNode.services(self), keeping=Keeping(self.rules))


async def ask(node: TestNode, content: str = "Hi", **body: Any) -> Draft:
    async with node.sdk() as client:
        await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}], **body)
    return node.recorder.drafts[-1]


async def test_what_policy_keeps_is_the_request_as_the_engine_got_it_and_the_tokens() -> None:
    upstream = engine()
    async with running(KeepingNode(upstream=upstream)) as node:
        draft = await ask(node, f"my {SECRET} word", temperature=0.5)
    assert draft.kept is not None
    kept = json.loads(draft.kept.content)
    assert (kept["tokens"], kept["is_rewritten"]) == ([[5, 6, 2]], True)
    assert json.loads(kept["body"]) == upstream.exchanges[0].document
    assert SECRET not in kept["body"]
    assert draft.kept.until_ns == kept["received_at_ns"] + 3 * 86_400 * 10**9
    assert draft.claims.content_digest == content_digest(draft.claims.salt, draft.kept.content)
    assert draft.claims.tokens_digest == tokens_digest(draft.claims.salt, [(5, 6, 2)])


async def test_tokens_that_say_what_was_masked_are_not_kept_but_claimed() -> None:
    async with running(KeepingNode(upstream=engine(text=f"it is {SECRET}"))) as node:
        draft = await ask(node)
    assert draft.kept is not None
    assert json.loads(draft.kept.content)["tokens"] is None
    assert draft.claims.tokens_digest == tokens_digest(draft.claims.salt, [(5, 6, 2)])


async def test_a_request_that_nothing_was_masked_in_is_kept_byte_for_byte() -> None:
    async with running(KeepingNode(upstream=engine())) as node:
        draft = await ask(node, "plain")
    assert draft.kept is not None
    kept = json.loads(draft.kept.content)
    assert not kept["is_rewritten"]
    assert '"content":"plain"' in kept["body"].replace(" ", "")


@pytest.mark.parametrize(
    ("rules", "served"),
    [
        ((), OURS),
        ((KeepConfig(days=0), KeepConfig(days=9)), OURS),
        ((KeepConfig(days=9, keys=("other-*",)),), OURS),
        ((KeepConfig(days=9, teams=("hr",)),), OURS),
        ((KeepConfig(days=9, models=("x",)),), OURS),
        ((KeepConfig(days=9, labels=("personal",)),), OURS),
        ((KeepConfig(days=9),), ServedBy(provider="elsewhere", model=MODEL)),
    ],
)
async def test_nothing_else_is_kept(rules: tuple[KeepConfig, ...], served: ServedBy) -> None:
    async with running(KeepingNode(upstream=engine(served=served), rules=rules)) as node:
        draft = await ask(node)
    assert (draft.kept, draft.claims.content_digest) == (None, None)


async def test_tokens_that_are_not_all_known_are_not_claimed() -> None:
    async with running(KeepingNode(upstream=engine(tokens=None))) as node:
        assert (await ask(node)).claims.tokens_digest is None
