"""Errors, headers, targets and token counts of Anthropic's dialects."""

import orjson
import pytest

from freehold.core.errors import (
    BlockedByPolicy,
    FreeholdError,
    InternalError,
    InvalidKey,
    InvalidRequest,
    NotFound,
    RequestTooLarge,
    UpstreamBroken,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from freehold.core.events import FinishReason, MessageEnd, Payload, Usage
from freehold.gateway.wire import CODECS
from tests.gateway.asking import asked
from tests.gateway.wire.anthropic_playing import CODEC, TOKEN, ask

COUNT = CODECS["anthropic.count_tokens"]
ASKED = asked({"model": "m", "messages": [{"role": "user", "content": "hi"}]}, "anthropic.count_tokens")

KINDS: list[tuple[FreeholdError, str]] = [
    (InvalidRequest("no"), "invalid_request_error"),
    (InvalidKey("no"), "authentication_error"),
    (BlockedByPolicy("no"), "invalid_request_error"),
    (NotFound("no"), "not_found_error"),
    (RequestTooLarge("no"), "request_too_large"),
    (UpstreamRejected("no", status=429), "rate_limit_error"),
    (UpstreamRejected("no", status=529), "overloaded_error"),
    (UpstreamRejected("no", status=422), "invalid_request_error"),
    (UpstreamTimeout("no"), "timeout_error"),
    (UpstreamUnavailable("no"), "api_error"),
    (UpstreamBroken("no"), "api_error"),
    (InternalError("no"), "api_error"),
]


@pytest.mark.parametrize(("error", "kind"), KINDS, ids=[kind for _, kind in KINDS])
def test_an_error_has_the_type_of_its_status(error: FreeholdError, kind: str) -> None:
    body = orjson.loads(CODEC.encode_error(error))
    assert body == {"type": "error", "error": {"type": kind, "message": "no", "code": error.code}}
    assert CODEC.error_event(error) == (CODEC.encode_error(error), b"error")
    assert CODEC.decode_error(CODEC.encode_error(error)) == ("no", kind)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (b"<html>", (None, None)),
        (b"[]", (None, None)),
        (b"{}", (None, None)),
        (b'{"error":"so"}', ("so", None)),
        (b'{"error":{"message":3,"type":3}}', (None, None)),
        (b'{"error":{"message":"so","type":"%s"}}' % (b"x" * 99), ("so", None)),
    ],
)
def test_an_error_body_of_any_shape_is_read(body: bytes, read: tuple[str | None, str | None]) -> None:
    assert CODEC.decode_error(body) == read


def test_a_provider_gets_its_key_and_a_version() -> None:
    assert CODEC.provider_headers("k") == {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    assert CODEC.provider_headers(None) == {"anthropic-version": "2023-06-01"}
    assert CODEC.target("m", stream=True) == CODEC.target("m", stream=False) == "/messages"
    assert COUNT.target("m", stream=False) == "/messages/count_tokens"
    assert "anthropic-beta" in CODEC.forwarded_headers


def test_a_count_is_passed_on_as_it_came() -> None:
    body = b'{ "input_tokens": 14, "x": "new" }'
    events = COUNT.decode_answer(body, provider="p", verbatim=ASKED)
    assert [event.data for event in events if isinstance(event, Payload)] == [body]
    assert events[-1] == MessageEnd(finish_reason=FinishReason.STOP)
    assert not any(isinstance(event, Payload) for event in COUNT.decode_answer(body, provider="p"))


def test_a_count_of_our_own_is_one_number() -> None:
    usage = Usage(input_tokens=14, output_tokens=0)
    assert COUNT.encode_answer(ASKED, [usage, MessageEnd(finish_reason=FinishReason.STOP)]) == b'{"input_tokens":14}'
    with pytest.raises(UpstreamBroken):
        COUNT.encode_answer(ASKED, [])


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"input_tokens":true}', b'{"input_tokens":"14"}', b'{"input_tokens":-1}'])
def test_an_answer_without_a_count_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamBroken):
        COUNT.decode_answer(body, provider="p")


def test_only_a_provider_that_counts_can_be_asked() -> None:
    assert (ASKED.dialect, ASKED.operation, ASKED.stream) == ("anthropic.count_tokens", "count_tokens", False)
    assert not asked({**ASKED.document, "stream": True}, "anthropic.count_tokens").stream
    with pytest.raises(NotFound, match="counts no tokens"):
        COUNT.read_prompt(ASKED)
    with pytest.raises(NotFound):
        COUNT.write_prompt(CODEC.read_prompt(ask()), model="m")


def test_a_touched_payload_has_nothing_to_scrub() -> None:
    document = {"type": "ping", "text": TOKEN}
    CODEC.scrub(document)
    assert document == {"type": "ping", "text": TOKEN}
