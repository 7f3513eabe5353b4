import contextlib
import json
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import FreeholdError, InvalidRequest, NotFound, UpstreamError, UpstreamRejected
from freehold.core.events import (
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    ReasoningDelta,
    ServedBy,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.core.exchange import Exchange, ExchangeId, KeyId, ModelId, Principal
from freehold.gateway.sse import SseParser
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.openai_chat import OpenAIChat

CODEC = OpenAIChat()
VECTORS = Path(__file__).parents[2] / "vectors" / "openai_chat"
SERVED = ServedBy(provider="p", model="m")

texts = st.text(min_size=1, max_size=8)
likely = st.tuples(texts, st.binary(max_size=4), st.floats(-50, 0))
logprobs = st.builds(
    TokenLogprob,
    token=texts,
    token_bytes=st.binary(max_size=4),
    logprob=st.floats(-50, 0),
    top=st.lists(likely, max_size=2).map(tuple),
)
choices = st.integers(0, 2)
deltas = st.one_of(
    st.builds(
        TextDelta, text=texts, choice=choices, logprobs=st.just(()) | st.lists(logprobs, min_size=1, max_size=2).map(tuple)
    ),
    st.builds(ReasoningDelta, text=texts, choice=choices),
    st.builds(ToolCallDelta, arguments=texts, choice=choices, part=st.integers(0, 3)),
)
usages = st.builds(
    Usage,
    input_tokens=st.integers(0, 10**6),
    output_tokens=st.integers(0, 10**6),
    cached_input_tokens=st.none() | st.integers(0, 9),
)


def exchange(choices: int = 3) -> Exchange:
    return Exchange(
        id=ExchangeId("xc_1"),
        received_at_ns=10**18,
        principal=Principal(key_id=KeyId("k"), name="n"),
        dialect="openai.chat",
        operation="chat",
        model="m",
        stream=True,
        body=b"",
        document={},
        include_usage=True,
        choices=choices,
    )


def started(events: list[Event]) -> list[Event]:
    """The same with a ToolCallStart in front of each call's first piece, a choice's calls numbered in this order."""
    parts: dict[tuple[int, int], int] = {}
    out: list[Event] = []
    for event in events:
        if isinstance(event, ToolCallDelta):
            key = (event.choice, event.part)
            part = parts.get(key, sum(choice == event.choice for choice, _ in parts))
            if key not in parts:
                parts[key] = part
                out.append(ToolCallStart(call_id=f"c{event.choice}{part}", name=f"f{part}", choice=event.choice, part=part))
            out.append(replace(event, part=part))
        else:
            out.append(event)
    return out


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    body = started(draw(st.lists(deltas, max_size=8)))
    ends = [MessageEnd(finish_reason=draw(st.sampled_from(FinishReason)), choice=choice) for choice in range(3)]
    return [MessageStart(served=SERVED), *body, draw(usages), *ends]


def play(stream: list[bytes], read_payloads: int = 1) -> list[Event]:
    """What a decoder makes of a stream of which `read_payloads` come in each read."""
    decoder = CODEC.stream_decoder(provider="p")
    events: list[Event] = []
    for start in range(0, len(stream), read_payloads):
        events += decoder.decode([(data, b"") for data in stream[start : start + read_payloads]])
    return events + decoder.close()


def encode_stream(events: list[Event]) -> list[bytes]:
    encoder = CODEC.stream_encoder(exchange())
    usage = next(event for event in events if isinstance(event, Usage))
    ends = [event for event in events if isinstance(event, MessageEnd)]
    return [data for event in events for data, _ in encoder.encode(event)] + [data for data, _ in encoder.finish(ends, usage)]


@settings(max_examples=100)
@given(answers())
def test_a_stream_read_back_is_the_same_events(events: list[Event]) -> None:
    assert plain(play(encode_stream(events))) == plain(events)


def test_calls_are_counted_as_they_begin_whatever_part_they_are() -> None:
    """Clients keep them in a list; other dialects number texts and thoughts among them."""
    calls: list[Event] = [ToolCallStart(call_id=f"c{part}", name="f", part=part, choice=part % 2) for part in (2, 4, 7)]
    encoder = CODEC.stream_encoder(exchange())
    sent = [json.loads(data)["choices"][0] for event in calls for data, _ in encoder.encode(event)]
    assert [(choice["index"], choice["delta"]["tool_calls"][0]["index"]) for choice in sent] == [(0, 0), (0, 1), (1, 0)]


def plain(events: list[Event]) -> list[Event]:
    """Without the ends of parts, which this format has no word for: they are told from what follows."""
    return [
        replace(event, part=0) if isinstance(event, TextDelta | ReasoningDelta) else event
        for event in events
        if not isinstance(event, PartEnd)
    ]


def place(event: Event) -> object:
    """Which text an event belongs to; None where it belongs to none."""
    return (type(event), event.choice, event.part) if isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta) else None


@settings(max_examples=100)
@given(answers(), st.integers(2, 20))
def test_deltas_that_come_together_are_joined_and_say_the_same_in_the_same_order(events: list[Event], read: int) -> None:
    together = plain(play(encode_stream(events), read))
    assert merged(together) == merged(events)
    assert [at for at, _ in groupby(map(place, together))] == [at for at, _ in groupby(map(place, events))]
    whole = plain(play(encode_stream(events), len(events) + 10))
    assert all(place(a) is None or place(a) != place(b) for a, b in pairwise(whole))


def test_what_came_before_a_chunk_that_makes_no_sense_is_given() -> None:
    decoder = CODEC.stream_decoder(provider="p")
    hello = b'{"choices":[{"index":0,"delta":{"content":"Hello"}}]}'
    assert decoder.decode([(hello, b""), (b"{nonsense", b""), (hello, b"")])[1:] == [TextDelta(text="Hello")]
    assert decoder.done
    with pytest.raises(UpstreamError, match="not JSON"):
        decoder.close()


@settings(max_examples=100)
@given(answers())
def test_every_chunk_is_json_of_one_line(events: list[Event]) -> None:
    for payload in encode_stream(events):
        assert b"\n" not in payload
        assert json.loads(payload)["object"] == "chat.completion.chunk"


def merged(events: list[Event]) -> dict[object, Any]:
    """What was said in each place, however it was cut."""
    said: dict[object, Any] = {}
    for event in events:
        match event:
            case TextDelta():
                text, tokens = said.get(("text", event.choice), ("", ()))
                said["text", event.choice] = (text + event.text, tokens + event.logprobs)
            case ReasoningDelta():
                said["reasoning", event.choice] = str(said.get(("reasoning", event.choice), "")) + event.text
            case ToolCallDelta():
                said["call", event.choice, event.part] = str(said.get(("call", event.choice, event.part), "")) + event.arguments
            case ToolCallStart():
                said["name", event.choice, event.part] = (event.call_id, event.name)
            case MessageEnd():
                said["end", event.choice] = event.finish_reason
            case Usage() | MessageStart():
                said[type(event)] = event
    return said


def closed_ranks(events: list[Event]) -> list[Event]:
    """Calls numbered without gaps in each choice: a plain body has no index to keep a gap with."""
    parts: dict[int, list[int]] = {}
    for event in events:
        if isinstance(event, ToolCallStart):
            parts.setdefault(event.choice, []).append(event.part)
    rank = {(choice, part): sorted(of).index(part) for choice, of in parts.items() for part in of}
    out: list[Event] = []
    for event in events:
        if isinstance(event, ToolCallStart):
            event = ToolCallStart(
                call_id=event.call_id, name=event.name, choice=event.choice, part=rank[event.choice, event.part]
            )
        elif isinstance(event, ToolCallDelta):
            event = ToolCallDelta(arguments=event.arguments, choice=event.choice, part=rank[event.choice, event.part])
        out.append(event)
    return out


@settings(max_examples=100)
@given(answers())
def test_a_plain_body_read_back_says_the_same(events: list[Event]) -> None:
    body = CODEC.encode_answer(exchange(), events)
    assert merged(plain(CODEC.decode_answer(body, provider="p"))) == merged(closed_ranks(events))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
PATHS = st.sampled_from(
    [
        "choices", "choices.0", "choices.0.index", "choices.0.delta", "choices.0.delta.content",
        "choices.0.delta.tool_calls", "choices.0.finish_reason", "choices.0.delta.tool_calls.0",
        "choices.0.delta.tool_calls.0.index", "choices.0.delta.tool_calls.0.function", "model", "usage", "error",
        "choices.0.logprobs", "choices.0.logprobs.content", "choices.0.logprobs.content.0.bytes",
        "choices.0.logprobs.content.0.logprob", "choices.0.logprobs.content.0.top_logprobs", "usage.prompt_tokens_details",
    ]
)  # fmt: skip


def broken_at(path: str, junk: object) -> bytes:
    document = {
        "model": "m",
        "usage": {"prompt_tokens": 1, "prompt_tokens_details": {}},
        "choices": [
            {
                "index": 0,
                "delta": {"content": "x", "tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}]},
                "logprobs": {"content": [{"token": "x", "bytes": [120], "logprob": -1, "top_logprobs": []}]},
                "finish_reason": "stop",
            }
        ],
    }
    place: object = document
    *steps, last = path.split(".")
    for step in steps:
        place = place[int(step)] if isinstance(place, list) else place[step]  # type: ignore[index]
    place[int(last) if isinstance(place, list) else last] = junk  # type: ignore[index]
    return json.dumps(document, allow_nan=False).encode()


@settings(max_examples=300)
@given(PATHS, JUNK.filter(lambda value: "nan" not in repr(value).lower() and "inf" not in repr(value).lower()))
def test_junk_anywhere_in_a_chunk_raises_only_upstream_errors(path: str, junk: object) -> None:
    data = broken_at(path, junk)
    with contextlib.suppress(UpstreamError):
        play([data])
    with contextlib.suppress(UpstreamError):
        CODEC.decode_answer(data.replace(b'"delta"', b'"message"'), provider="p")


@settings(max_examples=150)
@given(st.binary(max_size=80))
def test_any_bytes_into_the_answer_side_raise_only_upstream_errors(data: bytes) -> None:
    with contextlib.suppress(UpstreamError):
        play([data])
    with contextlib.suppress(UpstreamError):
        CODEC.decode_answer(data, provider="p")
    CODEC.decode_error(data)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.sse")), ids=lambda path: path.stem)
@pytest.mark.parametrize("piece_bytes", [1, 7, 64, 100_000])
def test_recorded_streams_read_the_same_however_they_are_cut(path: Path, piece_bytes: int) -> None:
    parser, decoder = SseParser(limit_bytes=1 << 20), CODEC.stream_decoder(provider="p")
    raw = path.read_bytes()
    events: list[Event] = []
    for start in range(0, len(raw), piece_bytes):
        events += decoder.decode(parser.feed(raw[start : start + piece_bytes]))
    events += decoder.close()
    expected = json.loads(path.with_suffix(".json").read_text())
    assert {
        "text": "".join(event.text for event in events if isinstance(event, TextDelta)),
        "reasoning": "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        "calls": [event.name for event in events if isinstance(event, ToolCallStart)],
        "arguments": "".join(event.arguments for event in events if isinstance(event, ToolCallDelta)),
        "usage": [[event.input_tokens, event.output_tokens] for event in events if isinstance(event, Usage)],
        "ends": [event.finish_reason for event in events if isinstance(event, MessageEnd)],
        "done": decoder.done,
    } == expected


def test_a_stream_without_its_end_is_broken() -> None:
    with pytest.raises(UpstreamError, match="before the answer's end"):
        play([b'{"choices":[{"index":0,"delta":{"content":"x"}}]}', b"[DONE]"])


def test_an_error_inside_a_stream_is_the_providers() -> None:
    with pytest.raises(UpstreamRejected, match="overloaded") as caught:
        play([b'{"error":{"message":"overloaded","code":529}}'])
    assert caught.value.status == 529


def test_a_body_whose_content_is_in_parts_reads_like_a_stream() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "so"},
        {"type": "x"},
        1,
    ]
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]}
    events = CODEC.decode_answer(json.dumps(body).encode(), provider="p")
    said = [(type(event), event.text) for event in events if isinstance(event, TextDelta | ReasoningDelta)]
    assert said == [(ReasoningDelta, "hm"), (TextDelta, "so")]


@pytest.mark.parametrize("dialect", sorted(CODECS))
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":"overloaded"}', "overloaded"),
        (b'{"error":{"message":"slow down"}}', "slow down"),
        (
            b'{"object":"error","message":"max_tokens is too large","type":"BadRequestError","code":400}',
            "max_tokens is too large",
        ),
        (b'{"detail":"Not Found"}', "Not Found"),
        (
            b'{"detail":[{"loc":["body","x"],"msg":"extra fields not permitted"},{"msg":"and more"}]}',
            "body.x: extra fields not permitted; and more",
        ),
        (b'{"object":"error","message":{"detail":[{"loc":["body"],"msg":"no"}]}}', "body: no"),
        (b'{"error":{"message":7},"detail":[1,{}]}', None),
        (b'{"error":' * 1000 + b"7" + b"}" * 1000, None),
        (b"[]", None),
        (b"<html>", None),
    ],
)
def test_an_error_is_understood_in_whatever_shape_servers_write_it(dialect: str, body: bytes, said: str | None) -> None:
    assert CODECS[dialect].decode_error(body)[0] == said


def test_a_remote_providers_build_stays_out_of_answers() -> None:
    for served, shown in (
        (ServedBy(provider="p", model="m", build="x"), None),
        (replace(SERVED, model_id=ModelId("1"), build="x"), "x"),
    ):
        payloads = CODEC.stream_encoder(exchange()).encode(MessageStart(served=served))
        assert {json.loads(data)["system_fingerprint"] for data, _ in payloads} == {shown}


def test_unknown_usage_is_null_and_never_zero() -> None:
    encoder = CODEC.stream_encoder(exchange(choices=1))
    last = encoder.finish([MessageEnd(finish_reason=FinishReason.STOP)], Usage(input_tokens=None, output_tokens=3))
    assert json.loads(last[-1][0])["usage"] is None


def test_minus_infinity_has_a_number() -> None:
    delta = TextDelta(text="x", logprobs=(TokenLogprob(token="x", token_bytes=b"x", logprob=float("-inf")),))
    ((data, _),) = CODEC.stream_encoder(exchange()).encode(delta)
    assert json.loads(data)["choices"][0]["logprobs"]["content"][0]["logprob"] == -9999.0


def test_a_plain_answer_of_tool_calls_alone_has_null_content() -> None:
    events: list[Event] = [
        MessageStart(served=SERVED),
        ToolCallStart(call_id="c", name="f"),
        ToolCallDelta(arguments="{}"),
        MessageEnd(finish_reason=FinishReason.TOOL_CALLS),
    ]
    message = json.loads(CODEC.encode_answer(exchange(choices=1), events))["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"] == [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


@pytest.mark.parametrize(
    ("error", "kind", "param"),
    [
        (InvalidRequest("m", param="p", code="c"), "invalid_request_error", "p"),
        (NotFound("m"), "not_found_error", None),
        (UpstreamRejected("m", status=429), "rate_limit_error", None),
        (UpstreamRejected("m", status=503), "server_error", None),
    ],
)
def test_errors_have_openais_shape(error: FreeholdError, kind: str, param: str | None) -> None:
    expected = {"message": "m", "type": kind, "param": param, "code": error.code}
    assert json.loads(CODEC.encode_error(error)) == {"error": expected}


def test_every_codec_is_in_the_table_under_its_dialect() -> None:
    assert all(codec.dialect == name for name, codec in CODECS.items())
