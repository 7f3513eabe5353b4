"""Recorded answers of every dialect with a key in any string, known or not, for clients of every dialect: it is not sent."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import UpstreamError
from freehold.core.events import Event, MessageEnd, Usage
from freehold.core.findings import Channel, Context, Direction
from freehold.gateway.relay import through
from freehold.gateway.sse import SseEvent, SseParser
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.leaves import rewrite, walk
from freehold.gateway.wire.verbatim import VerbatimEncoder
from freehold.guard import StreamGuard
from freehold.guard.config import GuardConfig
from tests.gateway.asking import asked

GUARD = StreamGuard(GuardConfig(engine="re2"))
TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z5A"
TURN = {"role": "user", "content": "hi"}
ASKED = {
    "openai.chat": asked({"model": "m", "messages": [TURN], "stream": True, "logprobs": True}),
    "anthropic.messages": asked({"model": "m", "max_tokens": 9, "messages": [TURN], "stream": True}, "anthropic.messages"),
    "openai.responses": asked({"model": "m", "input": "hi", "stream": True}, "openai.responses"),
    "google.gemini": asked(
        {"contents": [{"parts": [{"text": "hi"}]}]}, "google.gemini", path="models/m:streamGenerateContent", query={"alt": "sse"}
    ),
}
VECTORS = Path(__file__).parents[2] / "vectors"
FOLDERS = {dialect: VECTORS / dialect.replace("google.", "").replace(".messages", "").replace(".", "_") for dialect in ASKED}
STREAMS = [(dialect, path) for dialect, folder in FOLDERS.items() for path in sorted(folder.glob("*.sse"))]
MEMBERS = st.sampled_from(
    ["text", "content", "delta", "arguments", "name", "input", "args", "refusal", "data", "token", "id", "new"]
)
ALONE = f" {TOKEN} "  # as a text goes on behind it, a word that runs into the key would be one with it
VALUES = st.sampled_from([ALONE, [ALONE], {"a": ALONE}, {TOKEN: 1}, [{"token": ALONE}], [{"type": "text", "text": ALONE}]])


def play(provider: str, client: str, events: list[SseEvent]) -> list[SseEvent]:
    codec, is_same = CODECS[provider], provider == client
    decoder = codec.stream_decoder(provider="p", verbatim=ASKED[client] if is_same else None)
    stage = GUARD.open(Context()).stage(Direction.RESPONSE)
    encoder = VerbatimEncoder(codec.scrub, codec.refuser) if is_same else CODECS[client].stream_encoder(ASKED[client])
    passed: list[Event] = through([*decoder.decode(events), *decoder.close()], [stage])
    passed += stage.close()
    sent = [out for event in passed for out in encoder.encode(event)]
    usage = next((event for event in passed if isinstance(event, Usage)), None)
    return sent + encoder.finish([event for event in passed if isinstance(event, MessageEnd)], usage)


def objects(value: Any) -> list[dict[str, Any]]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = [one for item in inner for one in objects(item)]
    return [value, *found] if isinstance(value, dict) else found


@settings(max_examples=250)
@given(st.sampled_from(STREAMS), st.sampled_from([None, *ASKED]), st.data())
def test_a_key_in_whatever_string_of_whatever_payload_is_not_sent(
    stream: tuple[str, Path], other: str | None, data: st.DataObject
) -> None:
    provider, path = stream
    given = SseParser(limit_bytes=1 << 20).feed(path.read_bytes())
    at = data.draw(st.sampled_from([at for at, (payload, _) in enumerate(given) if payload[:1] == b"{" and payload[-1:] == b"}"]))
    document = json.loads(given[at][0])
    if data.draw(st.booleans()):
        leaf = data.draw(st.sampled_from(walk(document, lambda *_: Channel.OTHER, frozenset())))
        document = rewrite(document, [(leaf, ALONE)])
    else:
        data.draw(st.sampled_from(objects(document)))[data.draw(MEMBERS)] = data.draw(VALUES)
    changed = (orjson.dumps(document), given[at][1])
    try:
        sent = play(provider, other or provider, [*given[:at], changed, *given[at + 1 :]])
    except UpstreamError:  # without what its reader needs, it is no answer
        return
    assert TOKEN.encode() not in b"".join(payload for payload, _ in sent)


def chat(top: dict[str, Any]) -> list[dict[str, Any]]:
    said = [{"token": "hello", "logprob": -0.5, "bytes": [104], "top_logprobs": [top]}]
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choice = {"index": 0, "delta": {"content": "hello"}, "logprobs": {"content": said}, "finish_reason": "stop"}
    return [{**chunk, "choices": [choice]}]


def responses(top: dict[str, Any]) -> list[dict[str, Any]]:
    said = [{"token": "hello", "logprob": -0.5, "bytes": [104], "top_logprobs": [top]}]
    place = {"item_id": "it_1", "output_index": 0, "content_index": 0}
    return [
        {"type": "response.output_text.delta", **place, "delta": "hello", "logprobs": said},
        {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}},
    ]


def gemini(top: dict[str, Any]) -> list[dict[str, Any]]:
    said = {"chosenCandidates": [{"token": "hello", "logProbability": -0.5}], "topCandidates": [{"candidates": [top]}]}
    content = {"parts": [{"text": "hello"}], "role": "model"}
    return [{"candidates": [{"content": content, "index": 0, "finishReason": "STOP", "logprobsResult": said}]}]


@pytest.mark.parametrize(
    ("dialect", "answer"), [("openai.chat", chat), ("openai.responses", responses), ("google.gemini", gemini)]
)
def test_log_probabilities_are_scanned_where_they_say_more_than_tokens(
    dialect: str, answer: Callable[[dict[str, Any]], list[dict[str, Any]]]
) -> None:
    def sent(top: dict[str, Any]) -> tuple[list[bytes], list[bytes]]:
        given = [(orjson.dumps(document), str(document.get("type", "")).encode()) for document in answer(top)]
        done: list[SseEvent] = [(b"[DONE]", b"")] if dialect == "openai.chat" else []
        return [data for data, _ in given], [data for data, _ in play(dialect, dialect, [*given, *done])]

    given, passed = sent({"token": " internationalisation", "logprob": -1.5})
    assert passed[: len(given)] == given
    for top in ({"token": TOKEN}, {"token": "you", "note": f"it is {TOKEN} "}, {"token": "you", TOKEN: 1}):
        assert TOKEN.encode() not in b"".join(sent({**top, "logprob": -1.5})[1])


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":"b"}'}}
CHAT_MESSAGE = {"role": "assistant", "content": "hello", "refusal": None, "reasoning_content": "hm", "tool_calls": [CALL]}
BODIES: list[tuple[str, dict[str, Any]]] = [
    ("openai.chat", {"id": "c", "model": "m", "choices": [{"index": 0, "message": CHAT_MESSAGE, "finish_reason": "tool_calls"}]}),
    *(("anthropic.messages", json.loads(path.read_bytes())) for path in sorted(FOLDERS["anthropic.messages"].glob("body*.json"))),
    ("openai.responses", json.loads((FOLDERS["openai.responses"] / "body.json").read_bytes())),
    ("google.gemini", gemini({"token": "you", "logProbability": -1.5})[0]),
]
JUNK: st.SearchStrategy[Any] = (
    st.sampled_from([None, 0, -1, True, "", "x", [], {}, [[]], [None], {"a": 1}, 1e300, 2**63]) | VALUES
)


@settings(max_examples=250)
@given(st.sampled_from(BODIES), st.sampled_from([None, *ASKED]), JUNK, st.data())
def test_a_whole_answer_with_anything_anywhere_is_read_or_broken_and_no_key_is_sent(
    answer: tuple[str, dict[str, Any]], other: str | None, junk: Any, data: st.DataObject
) -> None:
    dialect, document = answer[0], json.loads(orjson.dumps(answer[1]))
    inside = data.draw(st.sampled_from(objects(document)))
    inside[data.draw(st.sampled_from([*inside, "new"]))] = junk
    client = other or dialect
    codec, is_same = CODECS[dialect], client == dialect
    stage = GUARD.open(Context()).stage(Direction.RESPONSE)
    try:
        events = codec.decode_answer(orjson.dumps(document), provider="p", verbatim=ASKED[client] if is_same else None)
        passed = [*through(events, [stage]), *stage.close()]
        answered = b"" if is_same else CODECS[client].encode_answer(ASKED[client], passed)
    except UpstreamError:
        return
    if is_same:
        encoder = VerbatimEncoder(codec.scrub, codec.refuser)
        answered = b"".join(data for event in passed for data, _ in encoder.encode(event))
        answered += b"".join(data for data, _ in encoder.finish([], None))
    assert TOKEN.encode() not in answered


@pytest.mark.parametrize(("dialect", "path"), STREAMS, ids=lambda value: value if isinstance(value, str) else value.stem)
def test_an_events_name_that_is_no_word_of_a_format_is_not_sent(dialect: str, path: Path) -> None:
    events = SseParser(limit_bytes=1 << 20).feed(path.read_bytes())
    for named in (TOKEN, TOKEN.lower(), "response." + TOKEN):
        try:
            sent = play(dialect, dialect, [(data, named.encode()) for data, _ in events])
        except UpstreamError:
            continue
        assert not any(name for _, name in sent)
