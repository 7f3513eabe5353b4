"""Responses' payloads through the real guard, for a client of the same dialect: as they came, but for what it hides."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import UpstreamBroken, UpstreamError
from freehold.core.events import Event, Payload, PromptText
from freehold.core.findings import Channel, Context, Direction
from freehold.gateway.relay import through
from freehold.gateway.sse import SseEvent, SseParser
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.leaves import rewrite, walk
from freehold.gateway.wire.verbatim import VerbatimEncoder
from freehold.guard import StreamGuard
from freehold.guard.config import GuardConfig
from tests.gateway.asking import asked

CODEC = CODECS["openai.responses"]
GUARD = StreamGuard(GuardConfig())
TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z5A"
MARK = "[REDACTED"
ASKED = asked({"model": "m", "input": "hi", "stream": True}, "openai.responses")
VECTORS = Path(__file__).parents[2] / "vectors" / "openai_responses"
STREAMS = sorted(path.stem for path in VECTORS.glob("*.sse"))
WHOLE = [name for name in STREAMS if not json.loads((VECTORS / f"{name}.json").read_text())["error"]]


def play(reads: list[list[SseEvent]]) -> list[SseEvent]:
    """What a client gets. Raises UpstreamError where the stream is broken."""
    decoder = CODEC.stream_decoder(provider="p", verbatim=ASKED)
    stage, encoder = GUARD.open(Context()).stage(Direction.RESPONSE), VerbatimEncoder(CODEC.scrub)
    sent: list[SseEvent] = []

    def send(events: list[Event]) -> None:
        for event in through(events, [stage]):
            sent.extend(encoder.encode(event))

    for read in reads:
        send(decoder.decode(read))
    send(decoder.close())
    send(stage.close())
    return sent + encoder.finish([], None)


def events_of(wire: bytes, *cuts: int) -> list[list[SseEvent]]:
    parser, edges = SseParser(limit_bytes=1 << 20), [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    return [parser.feed(wire[start:end]) for start, end in pairwise(edges)]


def stream(*documents: dict[str, Any], is_number_first: bool = True) -> list[SseEvent]:
    """OpenAI writes the number after the type; others write the fields in the alphabet's order."""
    numbered = [{"sequence_number": number, **document} for number, document in enumerate(documents)]
    option = 0 if is_number_first else orjson.OPT_SORT_KEYS
    return [(orjson.dumps(document, option=option), document["type"].encode()) for document in numbered]


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


CALLS = {"function_call_arguments": "function_call", "custom_tool_call_input": "custom_tool_call"}


def answer(kind: str, pieces: list[str], *, done: str = "text", **place: Any) -> list[dict[str, Any]]:
    """A stream of one item with one text in pieces, and all that repeats it."""
    text, at = "".join(pieces), {"item_id": "it_1", "output_index": 0, **place}
    item = {"id": "it_1", "type": "message", "content": [{"type": "output_text", "text": text, "annotations": []}]}
    begun: dict[str, Any] = {**item, "content": []}
    if call := CALLS.get(kind):
        item = {"id": "it_1", "type": call, "call_id": "call_1", "name": "f", done: text}
        begun = {**item, done: ""}
    return [
        {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        *({"type": f"response.{kind}.delta", **at, "delta": piece} for piece in pieces),
        {"type": f"response.{kind}.done", **at, done: text},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": [item]}},
    ]


KINDS: dict[str, dict[str, Any]] = {
    "output_text": {"content_index": 0},
    "refusal": {"content_index": 0, "done": "refusal"},
    "reasoning_text": {"content_index": 0},
    "reasoning_summary_text": {"summary_index": 0},
    "function_call_arguments": {"done": "arguments"},
    "custom_tool_call_input": {"done": "input"},
    "mcp_call_arguments": {"done": "arguments"},
    "code_interpreter_call_code": {"done": "code"},
    "kind_of_tomorrow": {},
}


def told(sent: list[SseEvent]) -> str:
    return "".join(document["delta"] for data, _ in sent if "delta" in (document := json.loads(data)))


@pytest.mark.parametrize("name", WHOLE)
def test_a_recorded_stream_goes_on_byte_for_byte(name: str) -> None:
    wire = (VECTORS / f"{name}.sse").read_bytes()
    assert play(events_of(wire)) == events_of(wire)[0]


@settings(max_examples=40)
@given(st.sampled_from(WHOLE), st.lists(st.integers(0, 5000), max_size=8))
def test_where_the_wire_is_cut_does_not_matter(name: str, cuts: list[int]) -> None:
    wire = (VECTORS / f"{name}.sse").read_bytes()
    assert play(events_of(wire, *cuts)) == events_of(wire)[0]


@pytest.mark.parametrize("name", [name for name in STREAMS if name not in WHOLE])
def test_a_broken_stream_never_ends_cleanly(name: str) -> None:
    with pytest.raises(UpstreamError):
        play(events_of((VECTORS / f"{name}.sse").read_bytes()))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)
@given(places=st.lists(st.integers(0, 80), max_size=12), together=st.integers(1, 6), is_number_first=st.booleans())
def test_a_key_is_masked_wherever_it_is_cut_and_in_all_that_repeats_it(
    kind: str, places: list[int], together: int, is_number_first: bool
) -> None:
    text = f"the key is {TOKEN} and that was it"
    given = stream(*answer(kind, cut(text, places), **KINDS[kind]), is_number_first=is_number_first)
    sent = play([given[at : at + together] for at in range(0, len(given), together)])
    said = told(sent)
    assert said.startswith(f"the key is {MARK}")
    assert said.endswith(" and that was it")
    assert TOKEN[4:12] not in said
    assert TOKEN.encode() not in b"".join(data for data, _ in sent)
    assert len(sent) == len(given)
    repeated = json.loads(sent[-3][0])[KINDS[kind].get("done", "text")]
    item = json.loads(sent[-1][0])["response"]["output"][0]
    final = item[KINDS[kind]["done"]] if kind in CALLS else item["content"][0]["text"]
    assert repeated == final == said


def test_a_payload_that_says_more_than_the_one_before_is_not_of_its_row() -> None:
    documents = answer("output_text", ["hello ", "there ", "you ", "all"], content_index=0)
    given = stream(*documents)
    smuggled = [
        given[3][0].replace(b'"delta":"there "', b'"delta":"there ","delta2":"%s"' % TOKEN.encode()),
        given[4][0].replace(b'"sequence_number":4', b'"sequence_number":4,"note":"%s","sequence_number":4' % TOKEN.encode()),
        given[5][0].replace(b'"delta":"all"', b'"delta":"%s","delta":"all"' % TOKEN.encode()),
    ]
    given[3:6] = [(data, name) for data, (_, name) in zip(smuggled, given[3:6], strict=True)]
    assert all(TOKEN.encode() in data for data in smuggled)
    assert TOKEN.encode() not in b"".join(data for data, _ in play([given]))


def test_every_single_cut_of_a_key_is_masked() -> None:
    for at in range(len(TOKEN) + 1):
        sent = play([stream(*answer("output_text", ["see ", TOKEN[:at], TOKEN[at:], " there"], content_index=0))])
        assert told(sent) == f"see {MARK}:github-token] there"


def test_a_key_in_a_field_nobody_knows_is_masked_in_its_place_every_time_it_comes() -> None:
    documents = answer("output_text", ["hello ", "there ", "you"], content_index=0)
    for document in documents:
        document["note"] = {"x": TOKEN, TOKEN: 1}
    sent = play([stream(*documents)])
    assert TOKEN.encode() not in b"".join(data for data, _ in sent)
    assert all(json.loads(data)["note"]["x"].startswith(MARK) for data, _ in sent)
    assert told(sent) == "hello there you"


@pytest.mark.parametrize(
    "pads", [[TOKEN, "x9", "y8"], ["x9", TOKEN, "y8"], ["x9", "y8", TOKEN[:4] + "!" + TOKEN], ["x9", "", TOKEN]]
)
def test_padding_is_scanned_too(pads: list[str]) -> None:
    documents = answer("output_text", ["hello ", "there ", "you"], content_index=0)
    for document, pad in zip(documents[2:5], pads, strict=True):
        document["item_id"], document["obfuscation"] = TOKEN, pad
    sent = play([stream(*documents)])
    assert TOKEN[4:].encode() not in b"".join(data for data, _ in sent)
    for (data, _), pad in zip(sent[2:5], pads, strict=True):
        assert json.loads(data)["item_id"].startswith(MARK)
        assert json.loads(data)["obfuscation"] == pad or TOKEN in pad
    assert told(sent) == "hello there you"


def test_log_probabilities_go_with_the_text_they_tell() -> None:
    def tokens(*words: str) -> list[dict[str, Any]]:
        return [{"token": word, "logprob": -0.5, "bytes": list(word.encode()), "top_logprobs": []} for word in words]

    pieces = ["see ", TOKEN[:9], TOKEN[9:], " now "]
    documents = answer("output_text", pieces, content_index=0)
    for document, piece in zip(documents[2:6], pieces, strict=True):
        document["logprobs"] = tokens(piece)
    documents[6]["logprobs"] = tokens(*pieces)
    sent = b"".join(data for data, _ in play([stream(*documents)]))
    assert TOKEN[9:20].encode() not in sent
    assert orjson.dumps(tokens("see ")) in sent
    assert orjson.dumps(tokens(" now ")) in sent
    documents = answer("output_text", ["hello "], content_index=0)
    documents[2]["logprobs"] = tokens(TOKEN)
    assert TOKEN.encode() not in b"".join(data for data, _ in play([stream(*documents)]))


@settings(max_examples=60)
@given(name=st.sampled_from(WHOLE), data=st.data())
def test_a_key_in_whatever_string_of_whatever_payload_is_not_sent(name: str, data: st.DataObject) -> None:
    given = events_of((VECTORS / f"{name}.sse").read_bytes())[0]
    at = data.draw(st.integers(0, len(given) - 1))
    document = json.loads(given[at][0])
    leaves = list(walk(document, lambda path, value, around: around, frozenset()))
    leaf = data.draw(st.sampled_from(leaves))
    wire = orjson.dumps(rewrite(document, [(leaf, f" {TOKEN} ")]))
    assert TOKEN.encode() in wire
    try:
        sent = play([[*given[:at], (wire, given[at][1]), *given[at + 1 :]]])
    except UpstreamError:  # without what its reader needs, it is no answer
        return
    assert TOKEN.encode() not in b"".join(payload for payload, _ in sent)
    assert len(sent) == len(given)


def test_several_texts_in_one_delta_are_texts_apart() -> None:
    def delta(out: str, err: str) -> dict[str, Any]:
        place = {"item_id": "sh_1", "output_index": 0, "command_index": 0}
        return {"type": "response.shell_call_output_content.delta", **place, "delta": {"stdout": out, "stderr": err}}

    end = {"type": "response.completed", "response": {"status": "completed"}}
    documents = [delta(f"a {TOKEN[:20]}", "warning "), delta(f"{TOKEN[20:]} b", "again"), end]
    sent = play([stream(*documents)])
    both = [json.loads(data)["delta"] for data, _ in sent[:2]]
    assert "".join(each["stdout"] for each in both) == f"a {MARK}:github-token] b"
    assert "".join(each["stderr"] for each in both) == "warning again"


def test_a_body_goes_on_byte_for_byte_and_its_texts_are_masked() -> None:
    def collected(body: bytes) -> bytes:
        stage, encoder = GUARD.open(Context()).stage(Direction.RESPONSE), VerbatimEncoder(CODEC.scrub)
        for event in [*through(CODEC.decode_answer(body, provider="p", verbatim=ASKED), [stage]), *stage.close()]:
            encoder.encode(event)
        return encoder.finish([], None)[0][0]

    body = (VECTORS / "body.json").read_bytes()
    assert collected(body) == body
    for word in ("It rains.", "Look up", "Oslo", "get_weather", "Be brief.", "resp_68a1", "session-7"):
        masked = collected(body.replace(word.encode(), TOKEN.encode()))
        assert TOKEN.encode() not in masked
        assert MARK.encode() in masked


@pytest.mark.parametrize("field", ["delta", "x", "logprobs"])
def test_an_answer_that_nests_too_deep_is_broken(field: str) -> None:
    deep = b'{"type":"response.new.delta","output_index":0,"%s":%s}' % (field.encode(), b"[" * 900 + b'"a"' + b"]" * 900)
    with pytest.raises(UpstreamBroken):
        play([[(deep, b""), (b'{"type":"response.completed","response":{"status":"completed"}}', b"")]])


@pytest.mark.parametrize("is_number_first", [True, False])
def test_deltas_of_one_text_are_one_row(is_number_first: bool) -> None:
    decoder = CODEC.stream_decoder(provider="p", verbatim=ASKED)
    pieces = ["a", "b", 'quote " and \\', "é\n", "}"]
    events = decoder.decode(stream(*answer("output_text", pieces, content_index=0), is_number_first=is_number_first))
    rows = [event for event in events if isinstance(event, Payload) and event.row]
    assert [(row.slots[0].chars, row.row_chars) for row in rows] == [(1, (13, 2, 1))]


def test_what_repeats_the_stream_is_a_summary_and_what_repeats_the_request_is_what_it_was() -> None:
    response = {
        "status": "completed",
        "instructions": "be brief",
        "output": [{"type": "message", "content": [{"text": "done so"}]}],
    }
    decoder = CODEC.stream_decoder(provider="p", verbatim=ASKED)
    events = decoder.decode(stream({"type": "response.completed", "response": response}))
    channels = {event.text: event.channel for event in events if isinstance(event, PromptText)}
    assert channels == {"be brief": Channel.SYSTEM, "done so": Channel.SUMMARY}
