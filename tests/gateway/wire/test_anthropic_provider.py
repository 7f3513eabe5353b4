import contextlib
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import UpstreamBroken, UpstreamError, UpstreamRejected
from freehold.core.events import (
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    Payload,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.core.findings import Context, Direction
from freehold.gateway.relay import through
from freehold.gateway.sse import SseEvent, SseParser
from freehold.gateway.wire.verbatim import VerbatimEncoder
from tests.gateway.wire.anthropic_playing import (
    CODEC,
    END,
    START,
    TOKEN,
    VECTORS,
    ask,
    block,
    decode,
    document,
    event,
    guard,
    guarded,
    in_pieces,
    parsed,
    stream,
    vector,
    wire,
)

EXPECTED = json.loads((VECTORS / "expected.json").read_text())
WHOLE = [name for name, expected in EXPECTED.items() if "error" not in expected]
SLOTS = ["text", "thinking", "call", "server_call", "signature", "unknown"]


def summary(events: list[Event]) -> dict[str, Any]:
    starts = [event for event in events if isinstance(event, ToolCallStart)]
    usage = next((event for event in events if isinstance(event, Usage)), None)
    seals = [event.signature for event in events if isinstance(event, PartEnd) and event.signature]
    found: dict[str, Any] = {
        "text": "".join(event.text for event in events if isinstance(event, TextDelta)),
        "reasoning": "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        "signature": seals[0].removeprefix("anthropic.messages.") if seals else "",
        "calls": {
            start.call_id: [
                start.name,
                "".join(event.arguments for event in events if isinstance(event, ToolCallDelta) and event.part == start.part),
            ]
            for start in starts
        },
        "end": next((event.finish_reason for event in events if isinstance(event, MessageEnd)), None),
        "usage": usage
        and [
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_input_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
        ],
    }
    return {name: value for name, value in found.items() if value}


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("piece_bytes", [1, 7, 64, 100_000])
def test_recorded_streams_read_the_same_however_they_are_cut(name: str, piece_bytes: int) -> None:
    parser, decoder = SseParser(limit_bytes=1 << 20), CODEC.stream_decoder(provider="p")
    raw, expected = vector(name), dict(EXPECTED[name])
    events: list[Event] = []
    for start in range(0, len(raw), piece_bytes):
        events += decoder.decode(parser.feed(raw[start : start + piece_bytes]))
    if error := expected.pop("error", None):
        with pytest.raises(UpstreamError, match=error):
            decoder.close()
    else:
        events += decoder.close()
    assert summary(events) == expected
    assert isinstance(events[0], MessageStart)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("together", [1, 3, 100])
def test_what_no_decision_touched_goes_on_byte_for_byte(name: str, together: int) -> None:
    assert wire(guarded(parsed(vector(name)), together=together)) == vector(name)


def test_each_part_ends_once_and_no_part_is_used_again() -> None:
    for name in WHOLE:
        for verbatim in (None, ask()):
            ended: set[tuple[PartKind, int]] = set()
            kinds = {TextDelta: PartKind.TEXT, ReasoningDelta: PartKind.REASONING, ToolCallDelta: PartKind.TOOL_CALL}
            for got in decode(parsed(vector(name)), verbatim=verbatim):
                if isinstance(got, PartEnd):
                    assert (got.kind, got.part) not in ended
                    ended.add((got.kind, got.part))
                elif isinstance(got, TextDelta | ReasoningDelta | ToolCallDelta):
                    assert (kinds[type(got)], got.part) not in ended


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def said(payloads: list[SseEvent]) -> str:
    deltas = [json.loads(data).get("delta", {}) for data, name in payloads if name == b"content_block_delta"]
    return "".join(value for delta in deltas for key, value in delta.items() if key != "type")


@pytest.mark.parametrize("kind", SLOTS)
def test_a_key_is_masked_at_every_cut_in_two(kind: str) -> None:
    text = f"the key is {TOKEN} and that was it"
    for place in range(len(text) + 1):
        sent = guarded(stream(in_pieces(0, kind, [text[:place], text[place:]])))
        assert said(sent) == text.replace(TOKEN, "[REDACTED:github-token]"), place


@settings(max_examples=80)
@given(st.sampled_from(SLOTS), st.lists(st.integers(0, 80), max_size=40), st.integers(1, 50))
def test_a_key_is_masked_wherever_it_is_cut_and_the_rest_stays(kind: str, places: list[int], together: int) -> None:
    text = f"the key is {TOKEN} and that was it"
    payloads = stream(in_pieces(0, "text", ["before "]), in_pieces(1, kind, cut(text, places)), in_pieces(2, "text", ["after"]))
    sent = guarded(payloads, together=together)
    assert said(sent) == "before " + text.replace(TOKEN, "[REDACTED:github-token]") + "after"
    assert [name for _, name in sent] == [name for _, name in payloads]
    assert [data for data, _ in sent[:4]] == [data for data, _ in payloads[:4]]
    assert sent[-2:] == END


@settings(max_examples=40)
@given(st.text(max_size=60), st.lists(st.integers(0, 60), max_size=8), st.integers(1, 9), st.sampled_from(SLOTS))
def test_any_clean_text_goes_on_byte_for_byte(text: str, places: list[int], together: int, kind: str) -> None:
    payloads = stream(in_pieces(0, kind, cut(text, places)))
    assert guarded(payloads, together=together) == payloads


@pytest.mark.parametrize(
    "payloads",
    [
        stream(block(0, {"type": "text", "text": TOKEN})),
        stream(block(0, {"type": "tool_use", "id": TOKEN, "name": "f", "input": {}})),
        stream(block(0, {"type": "tool_use", "id": "t", "name": "f", "input": {"k": {TOKEN: [TOKEN]}}})),
        stream(block(0, {"type": "redacted_thinking", "data": TOKEN})),
        stream(block(0, {"type": "text", "text": ""}, {"type": "citations_delta", "citation": {"cited_text": TOKEN}})),
        stream(block(0, {"type": "web_search_tool_result", "content": [{"title": TOKEN, "url": f"https://x/{TOKEN}"}]})),
        stream(block(0, {"type": "text", "text": "", "new": TOKEN}, {"type": "text_delta", "text": "a", "new": TOKEN})),
        stream([event("content_block_patch", patch={"a": TOKEN[:9]}), event("content_block_patch", patch={"a": TOKEN[9:]})]),
        stream([event("news", note=TOKEN), event("ping", note=TOKEN)]),
        [event("message_start", message={"model": "m", "id": TOKEN}), *END],
        [START, event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": TOKEN}), END[1]],
        [START, (json.dumps({"type": "ping"}).encode(), TOKEN.encode()), *END],
        [START, (b'{"type":"ping","a":"%s","a":"b"}' % TOKEN.encode(), b"ping"), *END],
    ],
)
def test_a_key_in_any_other_string_of_a_stream_never_leaves(payloads: list[SseEvent]) -> None:
    sent = guarded(payloads)
    assert len(sent) == len(payloads)
    assert not any(TOKEN[6:14].encode() in data + name or TOKEN[20:28].encode() in data + name for data, name in sent)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where a string could stand: in the place of each one there is, and in a field of each object."""
    if isinstance(value, dict):
        yield (*path, "planted")
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from places(item, (*path, number))
    elif isinstance(value, str) and path != ("type",):
        yield path


def planted(document: dict[str, Any], path: tuple[Any, ...], text: str) -> bytes:
    copy = json.loads(json.dumps(document))
    parent = copy
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = text
    return orjson.dumps(copy)


@pytest.mark.parametrize("name", WHOLE)
def test_a_key_planted_anywhere_in_a_stream_never_leaves(name: str) -> None:
    payloads = parsed(vector(name))
    for number, (data, event_name) in enumerate(payloads):
        found = json.loads(data)
        for path in places(found):
            hostile = [*payloads[:number], (planted(found, path, f"a {TOKEN} b"), event_name), *payloads[number + 1 :]]
            try:
                sent = wire(guarded(hostile))
            except UpstreamError:  # it makes no sense any more, and says so
                continue
            assert TOKEN[6:14].encode() not in sent, path
            assert sent.count(b"REDACTED") == 1, path


@pytest.mark.parametrize("name", ["body_text_and_call", "body_refusal"])
def test_a_key_planted_anywhere_in_a_body_never_leaves(name: str) -> None:
    for path in places(document(name)):
        body = planted(document(name), path, f"a {TOKEN} b")
        events = CODEC.decode_answer(body, provider="p", verbatim=ask(stream=False))
        encoder, stage = VerbatimEncoder(CODEC.scrub), guard().open(Context()).stage(Direction.RESPONSE)
        for out in (*through(events, [stage]), *stage.close()):
            assert encoder.encode(out) == []  # nothing goes before the record is kept
        ((sent, _),) = encoder.finish([], None)
        assert TOKEN[6:14].encode() not in sent, path
        assert sent.count(b"REDACTED") == 1, path


def test_a_value_that_a_later_key_hides_does_not_ride_on_the_fast_path() -> None:
    head, hidden = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":', TOKEN.encode()
    first = in_pieces(0, "text", ["hello "])
    for body in (b'"%s","text":"b "}}' % hidden, b'"b "},"delta":{"type":"text_delta","text":"%s"}}' % hidden):
        sent = guarded(stream([*first[:2], (head + body, b"content_block_delta"), first[2]]))
        assert not any(hidden[6:] in data for data, _ in sent)
        assert said(sent).startswith("hello ")


def test_texts_of_one_read_are_joined_and_their_payloads_are_a_row() -> None:
    payloads = stream(in_pieces(0, "text", [f"word {n} " for n in range(50)]))
    events = decode(payloads, together=100, verbatim=ask())
    assert sum(isinstance(event, TextDelta) for event in events) == 1
    assert max(len(event.row) for event in events if isinstance(event, Payload)) >= 48
    assert guarded(payloads, together=100) == payloads


def test_an_error_under_way_says_what_the_provider_said() -> None:
    for kind, status in [("overloaded_error", 529), ("rate_limit_error", 429), ("api_error", 502), (3, 502)]:
        with pytest.raises(UpstreamRejected, match="so it is") as caught:
            decode([START, event("error", error={"type": kind, "message": "so it is"})])
        assert caught.value.status == status
    with pytest.raises(UpstreamRejected, match="broke off"):
        decode([START, event("error")])


@pytest.mark.parametrize(
    "payloads",
    [
        [(b"nonsense", b"")],
        [(b"[]", b"")],
        [event("content_block_start", index=0, content_block={"type": "text", "text": ""})],
        [START, event("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"})],
        [START, event("content_block_stop", index=0)],
        [START, event("content_block_start", index="0", content_block={"type": "text", "text": ""})],
        [START, event("content_block_start", index=0, content_block={"type": "text"})],
        [START, event("content_block_start", index=0, content_block={"type": ["text"]})],
        [START, *in_pieces(0, "text", [])[:1], event("content_block_delta", index=0, delta={"type": "text_delta", "text": 3})],
        [START, *in_pieces(0, "text", [])[:1] * 2],
        [START, event("content_block_start", index=0, content_block={"type": "tool_use", "id": "x" * 300, "name": "f"})],
        [START, (b'{"type":"ping","a":' + b"[" * 900 + b"]" * 900 + b"}", b"ping")],
    ],
)
@pytest.mark.parametrize("is_verbatim", [False, True])
def test_what_makes_no_sense_ends_the_answer(payloads: list[SseEvent], is_verbatim: bool) -> None:
    if not is_verbatim and b"ping" in payloads[-1][1]:
        return  # nobody looks at it
    with pytest.raises(UpstreamBroken):
        decode([*payloads, *END], verbatim=ask() if is_verbatim else None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "index", "delta", "text"]), inner),
    max_leaves=8,
)
event_types = st.sampled_from([name.decode() for _, name in parsed(vector("pause_with_search"))] + ["error", "ping", "new"])
garbage = st.binary(max_size=30) | st.builds(
    lambda kind, rest: json.dumps({"index": 0, **rest, "type": kind}).encode(),
    event_types,
    st.dictionaries(
        st.sampled_from(["index", "message", "delta", "content_block", "usage", "error"]), json_values | st.integers(0, 2)
    ),
)


@settings(max_examples=150)
@given(st.lists(garbage, max_size=6), st.booleans())
def test_garbage_raises_only_our_errors(payloads: list[bytes], is_verbatim: bool) -> None:
    decoder = CODEC.stream_decoder(provider="p", verbatim=ask() if is_verbatim else None)
    decoder.decode([START, *((data, b"") for data in payloads)])
    with contextlib.suppress(UpstreamError):
        decoder.close()


@settings(max_examples=100)
@given(st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode()), st.booleans())
def test_garbage_for_a_body_raises_only_our_errors(body: bytes, is_verbatim: bool) -> None:
    with contextlib.suppress(UpstreamError):
        CODEC.decode_answer(body, provider="p", verbatim=ask() if is_verbatim else None)


def test_a_whole_body_is_read_like_a_stream() -> None:
    body = orjson.dumps(document("body_text_and_call"))
    events = CODEC.decode_answer(body, provider="p")
    assert summary(events) == {
        "text": "Looking.",
        "reasoning": "Hm, let me see.",
        "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h",
        "calls": {"toolu_01A": ["get_weather", '{"location":"Rome","days":[1,2]}']},
        "end": "tool_calls",
        "usage": [10, 5, 2, 1, None],
    }
    refusal = CODEC.decode_answer(orjson.dumps(document("body_refusal")), provider="p")
    assert MessageEnd(finish_reason=FinishReason.CONTENT_FILTER) in refusal


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"content":[3]}', b'{"content":[{"type":"text"}]}'])
def test_a_body_that_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamBroken):
        CODEC.decode_answer(body, provider="p")
    with pytest.raises(UpstreamRejected, match="no"):
        CODEC.decode_answer(b'{"type":"error","error":{"type":"api_error","message":"no"}}', provider="p")
