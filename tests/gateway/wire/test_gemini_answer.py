"""Answers of any provider or engine as Gemini's clients get them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import UpstreamError
from freehold.core.events import (
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    ReasoningDelta,
    ServedBy,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    Worked,
)
from freehold.gateway.sse import SseParser
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.codec import StreamEncoder
from tests.gateway import asking
from tests.gateway.wire.gemini_streams import CODEC, STOP, asked, parts_of, payload, read, translate

START = MessageStart(served=ServedBy(provider="p", model="m"))
END = MessageEnd(finish_reason=FinishReason.STOP)
VECTORS = Path(__file__).parents[2] / "vectors"


def call(part: int, *pieces: str, name: str = "f") -> list[Event]:
    start = ToolCallStart(call_id=f"c{part}", name=name, part=part)
    return [start, *(ToolCallDelta(arguments=piece, part=part) for piece in pieces)]


def text_of(stream: list[bytes], choice: int = 0) -> str:
    return "".join(part["text"] for part in parts_of(stream, choice) if "text" in part and not part.get("thought"))


def test_a_stream_in_full() -> None:
    events: list[Event] = [START, TextDelta(text="Hé"), TextDelta(text="llo\n"), Usage(input_tokens=3, output_tokens=2), END]
    shared = {"modelVersion": "m", "responseId": "xc_1"}
    assert [json.loads(data) for data in translate(events, asked())] == [
        {"candidates": [{"content": {"parts": [{"text": "Hé"}], "role": "model"}, "index": 0}], **shared},
        {"candidates": [{"content": {"parts": [{"text": "llo\n"}], "role": "model"}, "index": 0}], **shared},
        {
            "candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
            **shared,
        },
    ]


def test_nothing_is_sent_for_what_has_no_text() -> None:
    encoder = CODEC.stream_encoder(asked())
    for event in (
        START,
        END,
        TextDelta(text=""),
        Worked(compute_s=1, prefill_s=1, decode_s=1),
        Usage(input_tokens=1, output_tokens=1),
    ):
        assert encoder.encode(event) == []


def test_calls_are_written_whole_when_they_end() -> None:
    events: list[Event] = [
        START,
        *call(1, '{"a', '":1}'),
        PartEnd(kind=PartKind.TOOL_CALL, part=1, signature="google.gemini.c2VhbA=="),
        END,
    ]
    first, last = translate(events, asked())
    assert parts_of([first]) == [{"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2VhbA=="}]
    assert parts_of([last]) == [{"text": ""}]


def test_calls_of_dialects_that_mark_no_ends_come_with_the_last_payload() -> None:
    one, two = call(0, '{"n":', "1}"), call(1, name="g")
    events: list[Event] = [
        START,
        one[0],
        two[0],
        one[1],
        TextDelta(text="hm"),
        one[2],
        MessageEnd(finish_reason=FinishReason.TOOL_CALLS),
    ]
    text, last = translate(events, asked())
    assert text_of([text]) == "hm"
    assert [part["functionCall"]["args"] for part in parts_of([last])] == [{"n": 1}, {}]
    assert json.loads(last)["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("ends", [True, False])
def test_a_call_that_the_limit_of_tokens_cut_off_is_left_out(ends: bool) -> None:
    """An agent would run it with half of its arguments."""
    ended = [PartEnd(kind=PartKind.TOOL_CALL, part=2)] if ends else []
    begun: list[Event] = [START, *call(1, "{}"), PartEnd(kind=PartKind.TOOL_CALL, part=1), *call(2, '{"a": "b'), *ended]
    cut: list[Event] = [*begun, MessageEnd(finish_reason=FinishReason.LENGTH)]
    whole = json.loads(CODEC.encode_answer(asked(stream=False), cut))["candidates"][0]["content"]["parts"]
    for parts in (parts_of(translate(cut, asked())), whole):
        assert [part["functionCall"]["args"] for part in parts if "functionCall" in part] == [{}]
    masked = [part["functionCall"]["args"] for part in parts_of(translate([*begun, END], asked())) if "functionCall" in part]
    assert masked == [{}, {"arguments": '{"a": "b'}]


def test_thoughts_are_shown_to_who_asked_for_them_alone() -> None:
    events: list[Event] = [
        START,
        ReasoningDelta(text="hm"),
        PartEnd(kind=PartKind.REASONING, signature="google.gemini.c2Vh"),
        TextDelta(text="a"),
        END,
    ]
    assert parts_of(translate(events, asked(thoughts=True)))[:3] == [
        {"text": "hm", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": "c2Vh"},
        {"text": "a"},
    ]
    assert parts_of(translate(events, asked())) == [{"text": "a"}, {"text": ""}]
    whole = json.loads(CODEC.encode_answer(asked(thoughts=True, stream=False), events))
    assert whole["candidates"][0]["content"]["parts"][0] == {"text": "hm", "thought": True, "thoughtSignature": "c2Vh"}


def test_a_seal_that_is_not_base64_stays_out() -> None:
    events: list[Event] = [
        START,
        ReasoningDelta(text="hm"),
        PartEnd(kind=PartKind.REASONING, signature="google.gemini.no base64!"),
        END,
    ]
    assert parts_of(translate(events, asked(thoughts=True))) == [{"text": "hm", "thought": True}, {"text": ""}]


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (None, None),
        (Usage(input_tokens=None, output_tokens=None), None),
        (Usage(input_tokens=None, output_tokens=4), {"candidatesTokenCount": 4}),
        (
            Usage(input_tokens=9, output_tokens=7, cached_input_tokens=2, reasoning_tokens=5),
            {
                "promptTokenCount": 9,
                "candidatesTokenCount": 2,
                "thoughtsTokenCount": 5,
                "cachedContentTokenCount": 2,
                "totalTokenCount": 16,
            },
        ),
    ],
)
def test_unknown_counts_are_left_out(usage: Usage | None, counts: dict[str, int] | None) -> None:
    events: list[Event] = [START, TextDelta(text="a"), *([usage] if usage else []), END]
    assert json.loads(translate(events, asked())[-1]).get("usageMetadata") == counts
    assert json.loads(CODEC.encode_answer(asked(stream=False), events)).get("usageMetadata") == counts


@pytest.mark.parametrize(
    ("reason", "word"), [("stop", "STOP"), ("tool_calls", "STOP"), ("length", "MAX_TOKENS"), ("content_filter", "SAFETY")]
)
def test_reasons_to_end_in_geminis_words(reason: str, word: str) -> None:
    events: list[Event] = [START, TextDelta(text="a"), MessageEnd(finish_reason=FinishReason(reason))]
    assert json.loads(translate(events, asked())[-1])["candidates"][0]["finishReason"] == word
    assert json.loads(CODEC.encode_answer(asked(stream=False), events))["candidates"][0]["finishReason"] == word


def test_log_probabilities_go_both_ways() -> None:
    token = TokenLogprob(token="a", token_bytes=b"a", logprob=-0.5, top=(("a", b"a", -0.5), ("b", b"b", float("-inf"))))
    events: list[Event] = [START, TextDelta(text="a", logprobs=(token,)), END]
    likely = [{"token": "a", "logProbability": -0.5}, {"token": "b", "logProbability": -9999.0}]
    expected = {"chosenCandidates": likely[:1], "topCandidates": [{"candidates": likely}]}
    stream = translate(events, asked())
    assert json.loads(stream[0])["candidates"][0]["logprobsResult"] == expected
    whole = json.loads(CODEC.encode_answer(asked(stream=False), events))
    assert whole["candidates"][0]["logprobsResult"] == expected
    (delta,) = [event for event in read(stream) if isinstance(event, TextDelta)]
    assert [(one.token, one.logprob, one.top[1][2]) for one in delta.logprobs] == [("a", -0.5, -9999.0)]


def test_a_whole_body_keeps_parts_in_the_order_they_began() -> None:
    events: list[Event] = [
        START,
        TextDelta(text="a", part=0),
        *call(1, "{}"),
        TextDelta(text="b", part=0),
        TextDelta(text="c", part=2),
        END,
    ]
    whole = json.loads(CODEC.encode_answer(asked(stream=False), events))
    assert whole["candidates"][0]["content"]["parts"] == [
        {"text": "ab"},
        {"functionCall": {"id": "c1", "name": "f", "args": {}}, "thoughtSignature": "ZnJlZWhvbGQudW5zZWFsZWQ="},
        {"text": "c"},
    ]


def test_every_candidate_asked_for_is_there() -> None:
    two = asked({"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"candidateCount": 2}}, stream=False)
    whole = json.loads(CODEC.encode_answer(two, [START, TextDelta(text="a", choice=1), END]))
    assert [(one["index"], one["content"]["parts"]) for one in whole["candidates"]] == [(0, [{"text": ""}]), (1, [{"text": "a"}])]


def test_an_empty_answer_has_a_part_all_the_same() -> None:
    (last,) = translate([START, END], asked())
    assert parts_of([last]) == [{"text": ""}]


texts = st.text(max_size=6)
events_of_any = st.lists(
    st.one_of(
        st.builds(TextDelta, text=texts, choice=st.integers(0, 1), part=st.integers(0, 3)),
        st.builds(ReasoningDelta, text=texts, choice=st.integers(0, 1), part=st.integers(0, 3)),
        st.builds(ToolCallStart, call_id=texts, name=texts, choice=st.integers(0, 1), part=st.integers(4, 6)),
        st.builds(ToolCallDelta, arguments=texts, choice=st.integers(0, 1), part=st.integers(4, 6)),
        st.builds(PartEnd, kind=st.sampled_from(PartKind), choice=st.integers(0, 1), part=st.integers(0, 6)),
    ),
    max_size=12,
)


@settings(max_examples=150)
@given(events_of_any, st.booleans())
def test_events_in_any_order_are_written_and_read_back_as_the_same_texts(events: list[Event], thoughts: bool) -> None:
    ends = [MessageEnd(finish_reason=FinishReason.STOP, choice=choice) for choice in (0, 1)]
    stream = translate([START, *events, *ends], asked(thoughts=thoughts))
    back = read(stream)
    for choice in (0, 1):
        for kind in (TextDelta, ReasoningDelta):
            shown = kind is TextDelta or thoughts
            assert said(back, kind, choice) == (said(events, kind, choice) if shown else "")
    whole = CODEC.decode_answer(CODEC.encode_answer(asked(thoughts=thoughts), [*events, *ends]), provider="p")
    for choice in (0, 1):
        assert sorted(said(whole, TextDelta, choice)) == sorted(said(events, TextDelta, choice))


def said(events: list[Event], kind: type[TextDelta] | type[ReasoningDelta], choice: int) -> str:
    return "".join(event.text for event in events if type(event) is kind and event.choice == choice)


CLIENTS: dict[str, dict[str, Any]] = {
    "openai.chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True},
    "anthropic.messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": True},
    "openai.responses": {"model": "m", "input": "hi", "stream": True},
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("path", sorted((VECTORS / "gemini").glob("*.sse")), ids=lambda path: path.stem)
def test_a_gemini_stream_reaches_a_client_of_another_dialect(client: str, path: Path) -> None:
    """Decoded from Gemini, encoded in the client's dialect, decoded from that: the same text, calls and end."""
    expected = json.loads(path.with_suffix(".json").read_text())
    decoder = CODEC.stream_decoder(provider="p")
    events = decoder.decode(SseParser(limit_bytes=1 << 20).feed(path.read_bytes()))
    if expected["error"] is not None:
        with pytest.raises(UpstreamError):
            decoder.close()
        return
    if len(expected["ends"]) > 1 and client != "openai.chat":
        return  # these have one choice
    exchange = asking.asked(CLIENTS[client], client)
    back = again(events + decoder.close(), CODECS[client].stream_encoder(exchange), client)
    assert said(back, TextDelta, 0) == expected["text"]
    assert [event.name for event in back if isinstance(event, ToolCallStart)] == expected["calls"]
    arguments = {event.part: "" for event in back if isinstance(event, ToolCallStart)}
    for event in back:
        if isinstance(event, ToolCallDelta):
            arguments[event.part] += event.arguments
    assert [json.loads(text or "{}") for text in arguments.values()] == expected["arguments"]


def again(events: list[Event], encoder: StreamEncoder, dialect: str) -> list[Event]:
    ends = [event for event in events if isinstance(event, MessageEnd)]
    usage = next((event for event in events if isinstance(event, Usage)), None)
    wire = [sent for event in events for sent in encoder.encode(event)] + encoder.finish(ends, usage)
    decoder = CODECS[dialect].stream_decoder(provider="again")
    return decoder.decode([*wire, *SseParser(limit_bytes=1 << 20).feed(CODECS[dialect].last_word)]) + decoder.close()


@pytest.mark.parametrize("path", sorted((VECTORS / "openai_chat").glob("*.sse")), ids=lambda path: path.stem)
def test_a_chat_providers_stream_reaches_a_gemini_client(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text())
    decoder = CODECS["openai.chat"].stream_decoder(provider="p")
    events = decoder.decode(SseParser(limit_bytes=1 << 20).feed(path.read_bytes())) + decoder.close()
    stream = translate(events, asked())
    assert text_of(stream) == expected["text"]
    calls = [part["functionCall"] for part in parts_of(stream) if "functionCall" in part]
    assert [one["name"] for one in calls] == expected["calls"]


def test_the_payloads_made_here_are_read_by_ourselves() -> None:
    assert said(read([payload({"text": "x"}), STOP]), TextDelta, 0) == "x"
