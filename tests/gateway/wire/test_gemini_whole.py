"""Token counts and embeddings."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest, NotFound, UpstreamBroken, UpstreamError
from freehold.core.events import Event, FinishReason, MessageEnd, MessageStart, Payload, PromptText, ServedBy, Usage
from freehold.core.exchange import Exchange
from freehold.core.findings import Channel
from freehold.gateway.wire import CODECS, PATHS
from tests.gateway.asking import asked
from tests.gateway.wire.test_gemini_request import HELLO, load

COUNT = "google.gemini.count_tokens"
ONE, SEVERAL = "google.gemini.embed_content", "google.gemini.embed_contents"
METHODS = {COUNT: "countTokens", ONE: "embedContent", SEVERAL: "batchEmbedContents"}
DOCUMENTS: dict[str, dict[str, Any]] = {
    COUNT: {"generateContentRequest": {"model": "models/m", **HELLO}},
    ONE: {"model": "models/m", "content": {"parts": [{"text": "hi"}]}},
    SEVERAL: {"requests": [{"model": "models/m", "content": {"parts": [{"text": "hi"}]}}]},
}
END = MessageEnd(finish_reason=FinishReason.STOP)


def exchange(dialect: str, document: dict[str, Any] | None = None) -> Exchange:
    return asked(DOCUMENTS[dialect] if document is None else document, dialect, path=f"m:{METHODS[dialect]}")


@pytest.mark.parametrize("dialect", METHODS)
def test_each_method_has_its_own_address(dialect: str) -> None:
    codec = CODECS[dialect]
    for path in ("/v1beta/models/", "/v1/models/"):
        assert PATHS[f"{path}:{METHODS[dialect]}"] == dialect
    assert codec.target("g", stream=False) == f"/models/g:{METHODS[dialect]}"
    with pytest.raises(NotFound):
        asked(DOCUMENTS[dialect], dialect, path="m:generateContent")


@pytest.mark.parametrize("dialect", METHODS)
def test_the_body_goes_on_as_it_came_or_under_the_providers_name_of_the_model(dialect: str) -> None:
    given = exchange(dialect)
    assert CODECS[dialect].same_document(given, model="m", ask_usage=True) is given.document
    renamed = json.dumps(CODECS[dialect].same_document(given, model="g", ask_usage=True))
    assert json.loads(renamed.replace("models/g", "models/m")) == DOCUMENTS[dialect]
    assert "models/g" in renamed


def test_a_body_that_names_no_model_stays() -> None:
    given = exchange(COUNT, HELLO)
    assert CODECS[COUNT].same_document(given, model="g", ask_usage=True) is given.document


@pytest.mark.parametrize("document", [HELLO, DOCUMENTS[COUNT], load("everything")])
def test_what_is_counted_is_the_prompt(document: dict[str, Any]) -> None:
    messages = exchange(COUNT, document).messages
    assert "hi" in {message.text for message in messages} or messages[0].text == "Be brief."


@pytest.mark.parametrize(("dialect", "channel"), [(COUNT, Channel.USER), (ONE, Channel.INPUT), (SEVERAL, Channel.INPUT)])
def test_texts_are_leaves_in_their_channel(dialect: str, channel: Channel) -> None:
    assert [leaf.channel for leaf in CODECS[dialect].leaves(DOCUMENTS[dialect]) if leaf.text == "hi"] == [channel]


@pytest.mark.parametrize("dialect", [ONE, SEVERAL])
def test_an_embedding_of_nothing_is_refused(dialect: str) -> None:
    with pytest.raises(InvalidRequest, match="missing or empty"):
        exchange(dialect, {})


@pytest.mark.parametrize(
    ("dialect", "body", "tokens"),
    [
        (COUNT, b'{ "totalTokens": 7, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}] }', 7),
        (ONE, b'{"embedding":{"values":[0.5,-1]}}', None),
        (SEVERAL, b'{"embeddings":[{"values":[0.5]}],"usageMetadata":{"promptTokenCount":3}}', 3),
    ],
)
def test_a_providers_body_goes_on_as_it_came(dialect: str, body: bytes, tokens: int | None) -> None:
    events = CODECS[dialect].decode_answer(body, provider="p", verbatim=exchange(dialect))
    assert events[0] == MessageStart(served=ServedBy(provider="p", model=""))
    assert [event.data for event in events if isinstance(event, Payload)] == [body]
    assert events[-2:] == [Usage(input_tokens=tokens, output_tokens=0), END]


@pytest.mark.parametrize("dialect", METHODS)
def test_strings_in_an_answer_are_scanned(dialect: str) -> None:
    body = b'{"totalTokens":1,"embeddings":[{"values":["a text"]}],"unheard_of":"another"}'
    events = CODECS[dialect].decode_answer(body, provider="p", verbatim=exchange(dialect))
    assert {event.text for event in events if isinstance(event, PromptText)} == {"a text", "unheard_of", "another"}


def test_a_count_by_another_is_written_in_geminis_words() -> None:
    events: list[Event] = [Usage(input_tokens=5, output_tokens=0), END]
    assert json.loads(CODECS[COUNT].encode_answer(exchange(COUNT), events)) == {"totalTokens": 5}
    with pytest.raises(UpstreamBroken):
        CODECS[COUNT].encode_answer(exchange(COUNT), [END])


@settings(max_examples=100)
@given(
    st.sampled_from(sorted(METHODS)),
    st.binary(max_size=8)
    | st.dictionaries(
        st.sampled_from(["totalTokens", "embedding", "embeddings", "usageMetadata"]),
        st.none() | st.integers() | st.text(max_size=3) | st.lists(st.floats(allow_nan=False), max_size=2),
        max_size=3,
    ).map(lambda document: json.dumps(document).encode()),
)
def test_whatever_the_bytes_only_our_errors_come(dialect: str, body: bytes) -> None:
    try:
        events = CODECS[dialect].decode_answer(body, provider="p", verbatim=exchange(dialect))
    except UpstreamError:
        return
    assert orjson.loads(body) == orjson.loads(next(event.data for event in events if isinstance(event, Payload)))
