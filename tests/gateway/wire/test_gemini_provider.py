"""Providers' streams, recorded and made up, to events."""

import contextlib
import json
from itertools import pairwise
from pathlib import Path
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
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.gateway.sse import SseParser
from tests.gateway.wire.gemini_streams import CODEC, STOP, asked, pass_on, payload, read

VECTORS = Path(__file__).parents[2] / "vectors" / "gemini"
PATHS = sorted(VECTORS.glob("*.sse"))
FIELDS = [
    *("candidates", "content", "parts", "text", "thought", "functionCall", "args", "name", "index", "finishReason"),
    *("usageMetadata", "promptFeedback", "blockReason", "error", "code", "message", "logprobsResult", "chosenCandidates", "x"),
]


def texts(events: list[Event], kind: type[TextDelta] | type[ReasoningDelta], choice: int = 0) -> str:
    return "".join(event.text for event in events if type(event) is kind and event.choice == choice)


def recorded(path: Path, piece_bytes: int = 1 << 20) -> list[list[tuple[bytes, bytes]]]:
    data, parser = path.read_bytes(), SseParser(limit_bytes=1 << 20)
    return [parser.feed(data[start : start + piece_bytes]) for start in range(0, len(data), piece_bytes)]


def told(reads: list[list[tuple[bytes, bytes]]], *, verbatim: bool) -> dict[str, Any]:
    """What the events say, in the words of the vectors' JSON files."""
    decoder = CODEC.stream_decoder(provider="p", verbatim=asked() if verbatim else None)
    events = [event for payloads in reads for event in decoder.decode(payloads)]
    error = None
    try:
        events += decoder.close()
    except UpstreamError as exc:
        error = exc.code
    arguments: dict[int, str] = {event.part: "{}" for event in events if isinstance(event, ToolCallStart)}
    arguments |= {event.part: event.arguments for event in events if isinstance(event, ToolCallDelta)}
    known = [event for event in events if not isinstance(event, ReasoningDelta) or event.part < 1 << 16]
    return {
        "text": texts(events, TextDelta),
        "reasoning": texts(known, ReasoningDelta),
        "calls": [event.name for event in events if isinstance(event, ToolCallStart)],
        "arguments": [json.loads(text) for text in arguments.values()],
        "usage": [count for event in events if isinstance(event, Usage) for count in (event.input_tokens, event.output_tokens)],
        "ends": [event.finish_reason.value for event in events if isinstance(event, MessageEnd)],
        "error": error,
    }


@pytest.mark.parametrize("piece_bytes", [1, 7, 1 << 20])
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_recorded_stream_says_what_was_written_down(path: Path, piece_bytes: int) -> None:
    expected = json.loads(path.with_suffix(".json").read_text())
    assert told(recorded(path, piece_bytes), verbatim=False) == expected


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_same_is_read_of_payloads_that_go_on_as_they_came(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text())
    if path.stem == "malformed_call":  # such a client reads the provider's own word for it
        expected |= {"error": None, "ends": ["stop"], "usage": [9, 2]}
    assert told(recorded(path), verbatim=True) == expected


@pytest.mark.parametrize("path", [path for path in PATHS if json.loads(path.with_suffix(".json").read_text())["error"] is None])
@pytest.mark.parametrize("together", [1, 3, 100])
def test_a_recorded_stream_passes_byte_for_byte(path: Path, together: int) -> None:
    stream = [data for payloads in recorded(path) for data, _ in payloads]
    assert pass_on(stream, together=together) == stream


def test_parts_are_numbered_as_they_begin_and_text_goes_on_behind_a_call() -> None:
    stream = [
        payload({"text": "why", "thought": True}),
        payload({"text": "a "}),
        payload({"functionCall": {"name": "f", "args": {"x": 1}}}),
        payload({"text": "b"}),
        STOP,
    ]
    events = read(stream)
    assert [type(event) for event in events if not isinstance(event, MessageStart | Usage)] == [
        ReasoningDelta, PartEnd, TextDelta, ToolCallStart, ToolCallDelta, PartEnd, TextDelta, MessageEnd,
    ]  # fmt: skip
    assert [event.part for event in events if isinstance(event, TextDelta)] == [1, 1]
    assert events[-1] == MessageEnd(finish_reason=FinishReason.TOOL_CALLS)


def test_a_sentence_before_a_call_stays_before_it_for_a_client_of_another_dialect() -> None:
    """The guard holds a text's last word until more of it comes, or its end."""
    stream = [payload({"text": "I look."}), payload({"functionCall": {"name": "f"}}), payload({"text": "So"}), STOP]
    parts = [(type(event), getattr(event, "part", None)) for event in read(stream)]
    assert parts.index((PartEnd, 0)) < parts.index((ToolCallStart, 1))
    assert (TextDelta, 2) in parts


def test_a_second_thought_is_a_part_of_its_own() -> None:
    stream = [payload({"text": text, "thought": thought}) for text, thought in (("a", True), ("b", False), ("c", True))]
    events = read([*stream, STOP])
    assert [event.part for event in events if isinstance(event, ReasoningDelta)] == [0, 2]
    assert [event.part for event in events if isinstance(event, PartEnd)] == [0, 2]


def test_seals_end_what_they_seal() -> None:
    call = {"functionCall": {"name": "f"}, "thoughtSignature": "Yg=="}
    events = read([payload({"text": "a", "thought": True, "thoughtSignature": "YQ=="}), payload(call), STOP])
    assert [event for event in events if isinstance(event, PartEnd)] == [
        PartEnd(kind=PartKind.REASONING, part=0, signature="google.gemini.YQ=="),
        PartEnd(kind=PartKind.TOOL_CALL, part=1, signature="google.gemini.Yg=="),
    ]
    assert [event.arguments for event in events if isinstance(event, ToolCallDelta)] == ["{}"]


def test_a_call_without_an_id_gets_one_that_is_always_the_same() -> None:
    call = {"functionCall": {"name": "f", "args": {"x": 1}}}
    stream = [payload(call, call), STOP]
    first, second = (event.call_id for event in read(stream) if isinstance(event, ToolCallStart))
    assert first != second
    assert [event.call_id for event in read(stream) if isinstance(event, ToolCallStart)] == [first, second]


def test_an_id_the_provider_gave_is_kept() -> None:
    events = read([payload({"functionCall": {"id": "abc", "name": "f"}}), STOP])
    assert [event.call_id for event in events if isinstance(event, ToolCallStart)] == ["abc"]


def test_the_counts_of_the_last_payload_are_the_answers_and_thoughts_count_as_output() -> None:
    counts = {"promptTokenCount": 5, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 7, "thoughtsTokenCount": 3}
    last = {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {**counts, "cachedContentTokenCount": 1}}
    events = read([payload({"text": "a"}), orjson.dumps(last)])
    assert [event for event in events if isinstance(event, Usage)] == [
        Usage(input_tokens=7, output_tokens=10, cached_input_tokens=1, reasoning_tokens=3)
    ]


@pytest.mark.parametrize("verbatim", [False, True])
def test_a_payload_without_counts_takes_none_away(verbatim: bool) -> None:
    stream = [payload({"text": "a"}), payload({"text": "b"}, tokens=9), b'{"candidates":[{"finishReason":"STOP"}]}']
    events = read(stream, verbatim=asked() if verbatim else None)
    assert [event.output_tokens for event in events if isinstance(event, Usage)] == [9]


@pytest.mark.parametrize("counts", [{}, {"promptTokenCount": "9"}, {"promptTokenCount": -1}, {"totalTokenCount": True}])
def test_counts_that_make_no_sense_are_unknown(counts: dict[str, Any]) -> None:
    events = read([orjson.dumps({"candidates": [{"finishReason": "STOP"}], "usageMetadata": counts})])
    assert all(event.input_tokens is None and event.output_tokens is None for event in events if isinstance(event, Usage))


@pytest.mark.parametrize(
    ("word", "reason"),
    [("STOP", "stop"), ("MAX_TOKENS", "length"), ("SPII", "content_filter"), ("OTHER", "content_filter"), ("NEW_WORD", "stop")],
)
def test_reasons_to_end(word: str, reason: str) -> None:
    assert read([payload(finishReason=word)])[-1] == MessageEnd(finish_reason=FinishReason(reason))


def test_a_reason_that_says_nothing_ends_nothing() -> None:
    with pytest.raises(UpstreamBroken, match="before the answer's end"):
        read([payload({"text": "a"}, finishReason="FINISH_REASON_UNSPECIFIED")])


def test_every_candidate_must_end() -> None:
    with pytest.raises(UpstreamBroken, match="before the answer's end"):
        read([payload({"text": "a"}), payload({"text": "b"}, index=1, finishReason="STOP")])


@pytest.mark.parametrize("verbatim", [False, True])
def test_an_error_in_the_stream_is_the_providers(verbatim: bool) -> None:
    with pytest.raises(UpstreamRejected, match="slow down") as caught:
        read([payload({"text": "a"}), b'{"error":{"code":429,"message":"slow down"}}'], verbatim=asked() if verbatim else None)
    assert caught.value.status == 429


def test_log_probabilities_that_tell_another_text_are_not_taken() -> None:
    chosen = {"chosenCandidates": [{"token": "other", "logProbability": -1.0}]}
    events = read([payload({"text": "said"}, logprobsResult=chosen), STOP])
    assert [event.logprobs for event in events if isinstance(event, TextDelta)] == [()]


def test_a_whole_body_is_read_as_a_stream_of_one() -> None:
    body = payload({"text": "a"}, {"text": "b"}, finishReason="STOP")
    assert texts(CODEC.decode_answer(body, provider="p"), TextDelta) == "ab"


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 200) | st.text(max_size=4) | st.sampled_from(["STOP", "SAFETY"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=12,
)
garbage = st.binary(max_size=12) | anything.map(orjson.dumps)


@settings(max_examples=200)
@given(st.lists(garbage, max_size=4), st.booleans())
def test_whatever_the_bytes_only_our_errors_come(stream: list[bytes], verbatim: bool) -> None:
    decoder = CODEC.stream_decoder(provider="p", verbatim=asked() if verbatim else None)
    for data in [payload({"text": "first"}), *stream]:
        decoder.decode([(data, b"")])
    with contextlib.suppress(UpstreamError):
        decoder.close()


@pytest.mark.parametrize("levels", [300, 5000])
@pytest.mark.parametrize(
    "place", [b'{"x":%s}', b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":%s}}}]}}]}']
)
def test_a_payload_that_nests_too_deep_ends_the_answer(place: bytes, levels: int) -> None:
    decoder = CODEC.stream_decoder(provider="p", verbatim=asked())
    decoder.decode([(place % (b"[" * levels + b"]" * levels), b"")])
    with pytest.raises(UpstreamBroken):
        decoder.close()


parts = st.one_of(
    st.builds(lambda text: {"text": text}, st.text(max_size=6)),
    st.builds(lambda text: {"text": text, "thought": True}, st.text(max_size=6)),
    st.builds(
        lambda args: {"functionCall": {"name": "f", "args": args}}, st.dictionaries(st.text(max_size=3), st.text(max_size=3))
    ),
)


@settings(max_examples=100)
@given(st.lists(st.lists(parts, max_size=2), max_size=6), st.integers(1, 4))
def test_both_ways_of_reading_say_the_same(stream: list[list[dict[str, Any]]], together: int) -> None:
    wire = [*(payload(*items, tokens=number) for number, items in enumerate(stream)), STOP]
    plain, passed = read(wire), read(wire, together=together, verbatim=asked())
    for kind in (TextDelta, ReasoningDelta):
        assert texts(plain, kind) == texts(passed, kind)
    assert [event for event in plain if isinstance(event, MessageEnd | Usage)] == [
        event for event in passed if isinstance(event, MessageEnd | Usage)
    ]
    assert [event.name for event in plain if isinstance(event, ToolCallStart)] == [
        event.name for event in passed if isinstance(event, ToolCallStart)
    ]


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[low:high] for low, high in pairwise(edges)]


@settings(max_examples=60)
@given(st.text(max_size=60), st.lists(st.integers(0, 60), max_size=8), st.integers(1, 5))
def test_where_a_text_is_cut_does_not_matter(text: str, places: list[int], together: int) -> None:
    wire = [*(payload({"text": piece}, tokens=number) for number, piece in enumerate(cut(text, places))), STOP]
    assert pass_on(wire, together=together, guarded=False) == wire
    assert texts(read(wire, together=together, verbatim=asked()), TextDelta) == text
