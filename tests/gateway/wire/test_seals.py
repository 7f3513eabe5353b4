"""A thought is sealed by its provider; no other provider may be sent the seal, whichever answered the turns before."""

import json
from dataclasses import replace
from typing import Any

import pytest

from freehold.core.events import (
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    ReasoningDelta,
    ServedBy,
    ToolCallDelta,
    ToolCallStart,
)
from freehold.core.exchange import Exchange, ExchangeId, KeyId, Principal
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.codec import Codec, Incoming

SEALERS = ("anthropic.messages", "google.gemini", "openai.responses")
SEAL = "c2VhbA=="


def exchange(codec: Codec, history: list[Any] | None = None) -> Exchange:
    given: dict[str, dict[str, Any]] = {
        "anthropic.messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}, *(history or [])]},
        "google.gemini": {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}, *(history or [])],
            "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
        },
        "openai.responses": {"model": "m", "input": [{"role": "user", "content": "hi"}, *(history or [])]},
    }
    document = given[codec.dialect]
    principal = Principal(key_id=KeyId("k"), name="k")
    incoming = Incoming(
        exchange_id=ExchangeId("xc_1"),
        received_at_ns=0,
        principal=principal,
        body=json.dumps(document).encode(),
        document=document,
        path="m:generateContent",
    )
    return codec.decode_request(incoming)


def answered(codec: Codec, signature: str | None, *, stream: bool) -> list[Any]:
    """What a client keeps of an answer: a thought and a call."""
    events: list[Event] = [
        MessageStart(served=ServedBy(provider="p", model="m")),
        ReasoningDelta(text="hm"),
        PartEnd(kind=PartKind.REASONING, signature=signature),
        ToolCallStart(call_id="c1", name="f", part=1),
        ToolCallDelta(arguments="{}", part=1),
        PartEnd(kind=PartKind.TOOL_CALL, part=1),
    ]
    end = MessageEnd(finish_reason=FinishReason.TOOL_CALLS)
    asked = replace(exchange(codec), stream=stream)
    if not stream:
        whole = json.loads(codec.encode_answer(asked, [*events, end]))
        return turns_of(codec, whole)
    encoder = codec.stream_encoder(asked)
    sent = [json.loads(data) for event in events for data, _ in encoder.encode(event)]
    sent += [json.loads(data) for data, _ in encoder.finish([end], None)]
    return turns_of(codec, *sent)


def turns_of(codec: Codec, *sent: dict[str, Any]) -> list[Any]:
    match codec.dialect:
        case "openai.responses":
            return list(sent[-1].get("response", sent[-1])["output"])
        case "google.gemini":
            return [{"role": "model", "parts": [part for one in sent for part in one["candidates"][0]["content"]["parts"]]}]
    if len(sent) == 1:
        return [{"role": "assistant", "content": sent[0]["content"]}]
    blocks = [one["content_block"] for one in sent if one["type"] == "content_block_start"]
    for one in sent:
        for key in ("thinking", "signature"):
            if one.get("delta", {}).get("type") == f"{key}_delta":
                blocks[one["index"]][key] += one["delta"][key]
    return [{"role": "assistant", "content": blocks}]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("made_by", [*SEALERS, None])
@pytest.mark.parametrize("dialect", SEALERS)
def test_a_provider_is_sent_no_thought_that_another_sealed(dialect: str, made_by: str | None, stream: bool) -> None:
    codec = CODECS[dialect]
    history = answered(codec, f"{made_by}.{SEAL}" if made_by else None, stream=stream)
    asked = exchange(codec, history)
    passed = codec.same_document(asked, model="m", ask_usage=False)
    told = json.dumps(passed)
    if made_by == dialect:
        assert SEAL in told
        assert "hm" in told
        return
    assert "freehold" not in told
    assert not any(mark in told for mark in SEALERS)
    assert dialect == "google.gemini" or "hm" not in told  # Gemini takes thoughts without a seal
    assert '"f"' in told


@pytest.mark.parametrize("made_by", SEALERS)
@pytest.mark.parametrize("dialect", SEALERS)
def test_its_own_provider_gets_the_seal_back_whatever_the_client_speaks(dialect: str, made_by: str) -> None:
    client, provider = CODECS[dialect], CODECS[made_by]
    asked = exchange(client, answered(client, f"{made_by}.{SEAL}", stream=False))
    for other in (CODECS[sealer] for sealer in SEALERS):
        told = json.dumps(other.write_prompt(client.read_prompt(asked), model="m"))
        assert (SEAL in told) == (other is provider)


@pytest.mark.parametrize("kind", ["enabled", "adaptive"])
@pytest.mark.parametrize("made_by", ["anthropic.messages", "google.gemini"])
def test_a_call_that_another_model_made_is_gone_on_with_without_a_budget_for_thinking(made_by: str, kind: str) -> None:
    codec = CODECS["anthropic.messages"]
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "x"}]}
    asked = exchange(codec, [*answered(codec, f"{made_by}.{SEAL}", stream=False), result])
    asked = replace(asked, document={**asked.document, "thinking": {"type": kind, "budget_tokens": 2000}})
    assert ("thinking" in codec.same_document(asked, model="m", ask_usage=False)) == (
        made_by == "anthropic.messages" or kind == "adaptive"
    )
    later = [*asked.document["messages"], {"role": "user", "content": "so?"}]
    asked = replace(asked, document={**asked.document, "messages": later})
    assert "thinking" in codec.same_document(asked, model="m", ask_usage=False)


@pytest.mark.parametrize("call_id", ["call_1", "toolu_01"])
def test_a_client_that_left_its_own_thought_out_is_told_by_the_provider(call_id: str) -> None:
    codec = CODECS["anthropic.messages"]
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": call_id, "name": "f", "input": {}}]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": "x"}]}
    asked = exchange(codec, [call, result])
    asked = replace(asked, document={**asked.document, "thinking": {"type": "enabled", "budget_tokens": 2000}})
    assert ("thinking" in codec.same_document(asked, model="m", ask_usage=False)) == (call_id == "toolu_01")


def test_a_call_that_no_provider_of_geminis_made_goes_to_one_with_the_seal_that_google_documents_for_it() -> None:
    codec = CODECS["google.gemini"]
    asked = exchange(codec, answered(codec, None, stream=True))
    (call,) = [
        part
        for content in codec.same_document(asked, model="m", ask_usage=False)["contents"]
        for part in content["parts"]
        if "functionCall" in part
    ]
    assert call["thoughtSignature"] == "skip_thought_signature_validator"


def test_a_thought_that_only_anthropic_can_read_comes_back_to_it_from_a_client_of_another_dialect() -> None:
    anthropic, client = CODECS["anthropic.messages"], CODECS["openai.responses"]
    body = {
        "type": "message",
        "model": "m",
        "content": [{"type": "redacted_thinking", "data": "ZGF0YQ=="}],
        "stop_reason": "end_turn",
    }
    events = anthropic.decode_answer(json.dumps(body).encode(), provider="p")
    kept = turns_of(client, json.loads(client.encode_answer(exchange(client), events)))
    document = anthropic.write_prompt(client.read_prompt(exchange(client, kept)), model="m")
    assert document["messages"][1]["content"] == [{"type": "redacted_thinking", "data": "ZGF0YQ=="}]
