"""What a node kept and sent, made again from the engine's events alone."""

from dataclasses import replace

import msgspec
import pytest

from freehold.core.content import KeptExchange
from freehold.core.errors import InvalidRequest, MalformedArtefact
from freehold.core.events import Event, FinishReason, MessageEnd, MessageStart, TextDelta, Usage, Worked
from freehold.core.ledger import Draft
from freehold.gateway.config import GatewayConfig
from freehold.gateway.replay import NotComparable, ReplayedExchange
from tests.fakes.guard import FORBIDDEN, SECRET, WordGuard
from tests.fakes.upstream import MODEL, ScriptedUpstream
from tests.gateway.node import running
from tests.gateway.test_keeping import OURS, KeepingNode


def events(*texts: str, choices: int = 1, cached: int = 0) -> list[Event]:
    deltas = [TextDelta(text=text, choice=choice) for text in texts for choice in range(choices)]
    ends = [MessageEnd(finish_reason=FinishReason.STOP, choice=choice, tokens=(1, 2)) for choice in range(choices)]
    worked = Worked(compute_s=0.0, prefill_s=0.0, decode_s=0.0)
    usage = Usage(input_tokens=9, output_tokens=4, cached_input_tokens=cached)
    return [MessageStart(served=OURS), *deltas, worked, usage, *ends]


async def kept(said: list[Event], *, stream: bool, choices: int = 1) -> tuple[KeptExchange, Draft]:
    node = KeepingNode(upstream=ScriptedUpstream(*said))
    async with running(node) as started, started.sdk() as client:
        messages = [{"role": "user", "content": f"Hello, {SECRET}"}]
        answer = await client.chat.completions.create(
            model=MODEL,
            messages=messages,  # type: ignore[arg-type]
            stream=stream,
            n=choices,
            extra_body={"stream_options": {"include_usage": True}} if stream else None,
        )
        if stream:
            [chunk async for chunk in answer]  # type: ignore[union-attr]
    draft = node.recorder.drafts[-1]
    assert draft.kept is not None
    return msgspec.json.decode(draft.kept.content, type=KeptExchange), draft


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "texts", [("Hello", " there."), ("the word is ses", "ame-47", "11, keep it"), ("so ", FORBIDDEN, " and more")]
)
async def test_what_was_sent_comes_out_again_masked_and_stopped_as_it_was(texts: tuple[str, ...], stream: bool) -> None:
    found, draft = await kept(events(*texts, cached=5), stream=stream)
    again = await ReplayedExchange(found, GatewayConfig()).sent(events(*texts, cached=0), WordGuard(), draft.claims.salt)
    assert (again.digest, again.links) == (draft.claims.response_digest, draft.claims.response_links)
    other = await ReplayedExchange(found, GatewayConfig()).sent(events("Goodbye."), WordGuard(), draft.claims.salt)
    assert other.digest != draft.claims.response_digest


async def test_answers_side_by_side_are_the_same_whole_and_not_comparable_streamed() -> None:
    found, draft = await kept(events("Hello", choices=2), stream=False, choices=2)
    again = await ReplayedExchange(found, GatewayConfig()).sent(events("Hello", choices=2), WordGuard(), draft.claims.salt)
    assert again.digest == draft.claims.response_digest
    found, draft = await kept(events("Hello", choices=2), stream=True, choices=2)
    with pytest.raises(NotComparable, match="matter of timing"):
        await ReplayedExchange(found, GatewayConfig()).sent(events("Hello", choices=2), WordGuard(), draft.claims.salt)


async def test_the_engine_is_asked_what_it_was_asked_then_with_the_seed_it_chose() -> None:
    found, _ = await kept(events("Hello"), stream=False)
    replayed = ReplayedExchange(found, GatewayConfig())
    asked = replayed.for_engine(77)
    assert asked.sampling == replace(replayed.exchange.sampling, seed=77)
    assert [message.text for message in asked.messages] == ["Hello, [REDACTED:sesame]"]


async def test_values_that_were_put_back_are_not_kept_so_the_answer_is_not_compared() -> None:
    found, draft = await kept(events("Hello"), stream=False)
    replayed = ReplayedExchange(replace(found, has_reversible_tokens=True), GatewayConfig())
    with pytest.raises(NotComparable, match="not kept"):
        await replayed.sent(events("Hello"), WordGuard(), draft.claims.salt)


async def test_what_no_codec_reads_is_an_error_in_words() -> None:
    found, _ = await kept(events("Hello"), stream=False)
    with pytest.raises(MalformedArtefact, match="'telex'"):
        ReplayedExchange(replace(found, dialect="telex"), GatewayConfig())
    with pytest.raises(InvalidRequest):
        ReplayedExchange(replace(found, body="{"), GatewayConfig())
