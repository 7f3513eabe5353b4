"""A provider's payloads through the real guard: as they came, but for what it hides."""

import json
from collections.abc import Iterable
from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InternalError, UpstreamBroken
from freehold.core.events import Event, PartKind, Payload, PromptText, Slot, TextDelta
from freehold.core.exchange import Exchange
from freehold.core.findings import Channel, Context, Direction
from freehold.gateway.relay import through
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.leaves import faithful
from freehold.gateway.wire.verbatim import PayloadNotes, VerbatimEncoder
from freehold.guard import StreamGuard
from freehold.guard.config import GuardConfig
from tests.gateway.asking import asked

CHAT = CODECS["openai.chat"]
GUARD = StreamGuard(GuardConfig())
TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z5A"
ASKED = asked({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True})


def chunk(**delta: object) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    return orjson.dumps({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m-1", "x_new": 1, "choices": [choice]})


STOP = b'{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'


def play(payloads: Iterable[bytes], *, together: int = 1, exchange: Exchange = ASKED) -> list[SseEvent]:
    """What a client gets of a provider's stream, of which `together` payloads come in each read."""
    decoder = CHAT.stream_decoder(provider="p", verbatim=exchange)
    stage, encoder = GUARD.open(Context()).stage(Direction.RESPONSE), VerbatimEncoder(CHAT.scrub)
    sent: list[SseEvent] = []

    def send(events: list[Event]) -> None:
        for event in through(events, [stage]):
            sent.extend(encoder.encode(event))

    items = [(data, b"") for data in payloads]
    for start in range(0, len(items), together):
        send(decoder.decode(items[start : start + together]))
    send(decoder.close())
    send(stage.close())
    return sent + encoder.finish([], None)


def said(sent: list[SseEvent], field: str = "content") -> str:
    deltas = [json.loads(data)["choices"][0]["delta"] for data, _ in sent]
    return "".join(delta.get(field) or "" for delta in deltas)


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


@settings(max_examples=60)
@given(st.text(max_size=60), st.lists(st.integers(0, 60), max_size=8), st.integers(1, 5))
def test_what_no_decision_touched_goes_on_byte_for_byte(text: str, places: list[int], together: int) -> None:
    stream = [chunk(role="assistant", content=""), *(chunk(content=piece) for piece in cut(text, places)), STOP]
    assert [data for data, _ in play(stream, together=together)] == stream


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 80), max_size=12), st.integers(1, 5), st.sampled_from(["content", "reasoning_content", "new_field"])
)
def test_a_key_is_masked_wherever_it_is_cut_and_the_rest_stays(places: list[int], together: int, field: str) -> None:
    text = f"the key is {TOKEN} and that was it"
    stream = [*(chunk(**{field: piece}) for piece in cut(text, places)), STOP]
    sent = play(stream, together=together)
    assert said(sent, field) == text.replace(TOKEN, "[REDACTED:github-token]") or TOKEN[4:12] not in said(sent, field)
    assert said(sent, field).startswith("the key is [REDACTED")
    assert said(sent, field).endswith(" and that was it")
    assert len(sent) == len(stream)
    assert sent[-1][0] == STOP


def test_a_key_in_a_field_nobody_knows_is_masked_in_its_place_every_time_it_comes() -> None:
    hidden = orjson.dumps({"id": TOKEN, "note": {TOKEN: 1}, "choices": [{"index": 0, "delta": {"content": "hello "}}]})
    sent = play([hidden, hidden.replace(b"hello", b"there"), STOP])
    assert not any(TOKEN.encode() in data for data, _ in sent)
    assert said(sent) == "hello there "
    assert all("REDACTED" in json.loads(data)["id"] for data, _ in sent[:2])


def test_a_key_in_a_refusal_is_masked_whatever_the_content_says_meanwhile() -> None:
    stream = [chunk(refusal=TOKEN[:9]), chunk(content="so "), chunk(refusal=TOKEN[9:] + " "), STOP]
    sent = play(stream)
    assert TOKEN[4:12] not in said(sent, "refusal")
    assert said(sent) == "so "


def test_more_of_an_answer_after_its_end_is_broken() -> None:
    with pytest.raises(UpstreamBroken, match="after its end"):
        play([chunk(content=TOKEN[:9]), STOP, chunk(content=TOKEN[9:])])


def test_a_whole_key_in_an_unknown_field_of_each_delta_is_masked_each_time() -> None:
    sent = play([chunk(new_field=TOKEN), chunk(new_field=TOKEN), chunk(content="done "), STOP])
    assert not any(TOKEN.encode() in data for data, _ in sent)


def test_an_answer_that_nests_too_deep_is_broken() -> None:
    deep = b'{"choices":[{"index":0,"delta":{"content":"hi "}}],"x":' + b"[" * 300 + b"]" * 300 + b"}"
    with pytest.raises(UpstreamBroken, match="deep"):
        play([deep, STOP])


def test_a_value_that_a_later_key_hides_from_the_parser_is_not_sent() -> None:
    twice = b'{"id":"%s","id":"x","choices":[{"index":0,"delta":{"content":"hello "}}]}' % TOKEN.encode()
    assert not any(TOKEN.encode() in data for data, _ in play([twice, STOP]))
    assert faithful(b'{"a": [1, 2.50]}', {"a": [1, 2.5]}) == b'{"a": [1, 2.50]}'
    assert faithful(b'{"a":{"b":1,"b":2}}', {"a": {"b": 2}}) == b'{"a":{"b":2}}'


def test_log_probabilities_go_with_the_text_they_tell() -> None:
    def with_logprobs(text: str, token: str) -> bytes:
        document = json.loads(chunk(content=text))
        document["choices"][0]["logprobs"] = {"content": [{"token": token, "logprob": -0.1, "bytes": None, "top_logprobs": []}]}
        return orjson.dumps(document)

    clean = [with_logprobs(piece, piece) for piece in ("hello ", "there ")]
    assert [data for data, _ in play([*clean, STOP])] == [*clean, STOP]
    masked = play([*(with_logprobs(piece, piece) for piece in (TOKEN[:9], TOKEN[9:], " ")), STOP])
    assert not any(TOKEN[9:20].encode() in data for data, _ in masked)
    smuggled = play([with_logprobs("hello ", TOKEN), STOP])
    assert not any(TOKEN.encode() in data for data, _ in smuggled)


def test_usage_that_the_client_did_not_ask_for_is_left_out() -> None:
    usage = b'{"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    stream = [chunk(content="hi "), STOP, usage]
    assert [data for data, _ in play(stream)] == stream[:2]
    wants = asked(
        {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, "stream_options": {"include_usage": True}}
    )
    assert [data for data, _ in play(stream, exchange=wants)] == stream


def test_the_payloads_that_end_an_answer_wait_for_the_record() -> None:
    decoder, encoder = CHAT.stream_decoder(provider="p", verbatim=ASKED), VerbatimEncoder(CHAT.scrub)
    sent = [out for event in decoder.decode([(chunk(content="hi "), b""), (STOP, b"")]) for out in encoder.encode(event)]
    assert [data for data, _ in sent] == [chunk(content="hi ")]
    assert encoder.finish([], None) == [(STOP, b"")]


def test_a_text_that_never_came_out_of_the_stages_ends_in_an_error() -> None:
    encoder = VerbatimEncoder(CHAT.scrub)
    slot = Slot(kind=PartKind.TEXT, choice=0, part=0, path=("a",), chars=2)
    encoder.encode(Payload(data=b'{"a":"hi"}', number=0, slots=(slot,)))
    encoder.encode(TextDelta(text="h"))
    with pytest.raises(InternalError, match="not let through"):
        encoder.finish([], None)
    with pytest.raises(InternalError, match="more of a text"):
        encoder.encode(TextDelta(text="i there"))


def test_payloads_with_the_same_strings_are_scanned_once() -> None:
    notes = PayloadNotes(frozenset({"id", "n"}), lambda path, value, around: Channel.OTHER)
    first = notes.note(b'{"id":"a"}', b"", {"id": "a"})
    again = notes.note(b'{"id":"a"}', b"", {"id": "a"})
    other = notes.note(b'{"id":"b"}', b"", {"id": "b"})
    assert [isinstance(event, PromptText) for event in first] == [False, True]
    assert len(again) == 1
    assert isinstance(again[0], Payload)
    assert again[0].like == 0
    assert len(other) == 2


@pytest.mark.parametrize("together", [1, 3, 50, 1000])
def test_a_long_row_of_chunks_goes_on_as_it_came_whatever_stands_in_it(together: int) -> None:
    texts = ["a few plain words.. "] * 300 + ['"quoted"\n', "ä"] + ["and on "] * 300
    payloads = [chunk(content=text) for text in texts]
    payloads[150] = chunk(content="other", odd="field")
    sent = play([*payloads, STOP], together=together)
    assert [data for data, _ in sent] == [*payloads, STOP]
