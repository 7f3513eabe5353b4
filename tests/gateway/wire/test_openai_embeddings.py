import base64
import json
import math
import struct
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.errors import InvalidRequest, UpstreamBroken, UpstreamError, UpstreamRejected
from freehold.core.events import MessageEnd, MessageStart, Usage
from freehold.core.findings import Channel, Context, Direction
from freehold.gateway.relay import through
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.prompt import Prompt
from freehold.gateway.wire.verbatim import VerbatimEncoder
from freehold.guard import StreamGuard
from freehold.guard.config import GuardConfig
from tests.gateway.asking import asked

CODEC = CODECS["openai.embeddings"]
GUARD = StreamGuard(GuardConfig())
TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z5A"
ASKED = asked({"model": "m", "input": "hi"}, CODEC.dialect)


def body(*vectors: object, **rest: Any) -> bytes:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    document = {"object": "list", "data": data, "model": "m-1", "usage": {"prompt_tokens": 5, "total_tokens": 5}, **rest}
    return json.dumps(document).encode()  # with spaces, as some providers write


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"{len(numbers)}f", *numbers)).decode()


def sent(answer: bytes) -> bytes:
    """What a client gets, through the real guard."""
    stage, encoder = GUARD.open(Context()).stage(Direction.RESPONSE), VerbatimEncoder(CODEC.scrub)
    for event in [*through(CODEC.decode_answer(answer, provider="p", verbatim=ASKED), [stage]), *stage.close()]:
        encoder.encode(event)
    return encoder.finish([], None)[0][0]


def test_texts_are_scanned_as_input() -> None:
    document = {"model": "m", "input": ["one", "two"], "user": "u1"}
    assert [(leaf.text, leaf.channel) for leaf in CODEC.leaves(document) if not leaf.is_key] == [
        ("m", Channel.OTHER),
        ("one", Channel.INPUT),
        ("two", Channel.INPUT),
        ("u1", Channel.OTHER),
    ]
    assert [message.text for message in asked(document, CODEC.dialect).messages] == ["one", "two"]
    assert [leaf.channel for leaf in CODEC.leaves({"input": "one"})] == [Channel.INPUT]


@pytest.mark.parametrize(
    ("document", "param", "words"),
    [
        ({"input": "x"}, "model", "missing"),
        ({"model": "m" * 300, "input": "x"}, "model", "256"),
        ({"model": "m"}, "input", "missing"),
        ({"model": "m", "input": ""}, "input", "missing"),
        ({"model": "m", "input": []}, "input", "missing"),
        ({"model": "m", "input": {"text": "x"}}, "input", "list of strings"),
        ({"model": "m", "input": ["a", None]}, "input[1]", "a string"),
        ({"model": "m", "input": [1, 2]}, "input", "token numbers"),
        ({"model": "m", "input": [[1, 2]]}, "input", "token numbers"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused_by_name(document: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        asked(document, CODEC.dialect)
    assert caught.value.param == param


def test_a_request_goes_on_as_it_came_but_for_the_providers_name_of_the_model() -> None:
    assert CODEC.same_document(ASKED, model="m", ask_usage=True) is ASKED.document
    assert CODEC.same_document(ASKED, model="theirs", ask_usage=True) == {"model": "theirs", "input": "hi"}


def test_no_other_dialect_makes_embeddings() -> None:
    with pytest.raises(InvalidRequest, match="same dialect"):
        CODEC.read_prompt(ASKED)
    with pytest.raises(InvalidRequest, match="embeddings alone"):
        CODEC.write_prompt(Prompt(turns=()), model="m")
    assert ASKED.unsaid == "embeddings"


@pytest.mark.parametrize("vector", [[0.25, -1e-05, 1], packed(0.25, -0.5), "", []])
def test_vectors_go_on_byte_for_byte(vector: object) -> None:
    answer = body(vector, vector)
    assert sent(answer) == answer


def test_an_answer_tells_its_usage_and_ends() -> None:
    events = CODEC.decode_answer(body([0.5]), provider="p", verbatim=ASKED)
    start = next(event for event in events if isinstance(event, MessageStart))
    assert (start.served.model, events[-2]) == ("m-1", Usage(input_tokens=5, output_tokens=0))
    assert isinstance(events[-1], MessageEnd)
    unknown = CODEC.decode_answer(b'{"data":[]}', provider="p", verbatim=ASKED)
    assert unknown[-2] == Usage(input_tokens=None, output_tokens=0)


@pytest.mark.parametrize("vector", [TOKEN, [TOKEN], [0.5, TOKEN], {"text": TOKEN}])
def test_what_is_no_vector_is_scanned(vector: object) -> None:
    assert TOKEN.encode() not in sent(body(vector))


@pytest.mark.parametrize("before", ["", " ", "  ", "   "])
def test_a_text_in_base64_is_no_vector(before: str) -> None:
    hidden = base64.b64encode(before.encode() + TOKEN.encode()).decode()
    assert hidden.encode() not in sent(body(hidden))


def test_all_other_strings_are_scanned() -> None:
    assert TOKEN.encode() not in sent(body([0.5], model=TOKEN, note={TOKEN: [TOKEN]}))
    twice = b'{"data":[{"embedding":"%s","embedding":[0.5]}],"usage":{}}' % TOKEN.encode()
    assert json.loads(sent(twice))["data"] == [{"embedding": [0.5]}]
    assert TOKEN.encode() not in sent(twice)


def test_numbers_that_are_not_finite_are_no_vector() -> None:
    strange = packed(math.inf)
    answer = CODEC.decode_answer(body(strange), provider="p", verbatim=ASKED)
    assert strange in [getattr(event, "text", None) for event in answer]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", UpstreamBroken),
        (b"[]", UpstreamBroken),
        (b"{}", UpstreamBroken),
        (b'{"data":{}}', UpstreamBroken),
        (b'{"error":{"message":"no"}}', UpstreamRejected),
        (b'{"error":"no"}', UpstreamRejected),
        (b'{"data":[],"x":' + b"[" * 900 + b"]" * 900 + b"}", UpstreamBroken),
    ],
)
def test_what_is_no_answer_is_the_providers_error(answer: bytes, error: type[UpstreamError]) -> None:
    with pytest.raises(error):
        CODEC.decode_answer(answer, provider="p", verbatim=ASKED)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "embedding", "usage", "error"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=80)
@given(
    st.binary(max_size=30)
    | json_values.map(lambda value: orjson.dumps({"data": value}))
    | json_values.map(json.dumps).map(str.encode)
)
def test_whatever_a_provider_sends_raises_only_our_errors(answer: bytes) -> None:
    try:
        events = CODEC.decode_answer(answer, provider="p", verbatim=ASKED)
    except UpstreamError:
        return
    assert isinstance(events[-1], MessageEnd)


def test_a_stream_is_no_answer() -> None:
    decoder = CODEC.stream_decoder(provider="p", verbatim=ASKED)
    assert (decoder.done, decoder.decode([(b"{}", b"")])) == (True, [])
    for ask in (decoder.close, lambda: CODEC.stream_encoder(ASKED), lambda: CODEC.encode_answer(ASKED, [])):
        with pytest.raises(UpstreamBroken):
            ask()


def test_errors_are_openais() -> None:
    error = UpstreamBroken("it broke")
    assert json.loads(CODEC.encode_error(error))["error"]["message"] == "it broke"
    assert CODEC.error_event(error) == (CODEC.encode_error(error), b"")
    assert CODEC.decode_error(b'{"error":{"message":"no","code":"x"}}') == ("no", "x")
    assert CODEC.provider_headers("k") == {"authorization": "Bearer k"}
    assert CODEC.target("m", stream=False) == "/embeddings"
