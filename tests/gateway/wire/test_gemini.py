"""What the codec itself decides: addresses, headers, errors, the list of models."""

import json

import pytest

from freehold.core.errors import (
    BlockedByPolicy,
    FreeholdError,
    InternalError,
    InvalidKey,
    InvalidRequest,
    LimitReached,
    NotFound,
    RequestTooLarge,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from freehold.gateway.sse import frame
from freehold.gateway.wire import CODECS, PATHS
from freehold.gateway.wire.gemini import Gemini
from freehold.gateway.wire.listing import gemini_model, gemini_models
from tests.gateway.wire.gemini_streams import CODEC


def test_the_table_has_it_under_its_dialect() -> None:
    assert isinstance(CODECS["google.gemini"], Gemini)
    assert (CODEC.dialect, CODEC.operation) == ("google.gemini", "generate_content")
    assert [path for path, dialect in PATHS.items() if dialect == CODEC.dialect] == ["/v1beta/models/", "/v1/models/"]


@pytest.mark.parametrize(
    ("model", "stream", "target"),
    [
        ("gemini-2.5-flash", True, "/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
        ("gemini-2.5-flash", False, "/models/gemini-2.5-flash:generateContent"),
        ("tunedModels/mine", False, "/tunedModels/mine:generateContent"),
        ("models/x", False, "/models/x:generateContent"),
        ("odd?name#1", False, "/models/odd%3Fname%231:generateContent"),
    ],
)
def test_where_a_request_goes(model: str, stream: bool, target: str) -> None:
    assert CODEC.target(model, stream=stream) == target


def test_the_key_goes_into_googles_header() -> None:
    assert CODEC.provider_headers("k") == {"x-goog-api-key": "k"}
    assert CODEC.provider_headers(None) == {}


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (InvalidRequest("m"), 400, "INVALID_ARGUMENT"),
        (InvalidKey("m"), 401, "UNAUTHENTICATED"),
        (BlockedByPolicy("m"), 400, "INVALID_ARGUMENT"),
        (NotFound("m"), 404, "NOT_FOUND"),
        (RequestTooLarge("m"), 413, "INVALID_ARGUMENT"),
        (LimitReached("m"), 429, "RESOURCE_EXHAUSTED"),
        (InternalError("m"), 500, "INTERNAL"),
        (UpstreamBroken("m"), 502, "UNAVAILABLE"),
        (UpstreamUnavailable("m"), 503, "UNAVAILABLE"),
        (UpstreamTimeout("m"), 504, "DEADLINE_EXCEEDED"),
    ],
)
def test_errors_have_googles_shape(error: FreeholdError, status: int, word: str) -> None:
    document = json.loads(CODEC.encode_error(error))
    assert next(iter(document)) == "error"  # clients look at what comes first
    assert {name: document["error"][name] for name in ("code", "message", "status")} == {
        "code": status,
        "message": "m",
        "status": word,
    }
    assert document["error"]["details"][0]["reason"] == error.code.upper()
    assert frame(CODEC.error_event(error)) == CODEC.encode_error(error) + b"\n"  # as Google does it: outside of any event
    assert CODEC.decode_error(CODEC.encode_error(error)) == ("m", word)


def test_the_field_at_fault_is_told() -> None:
    document = json.loads(CODEC.encode_error(InvalidRequest("m", param="contents[0].role")))
    assert document["error"]["details"][1]["fieldViolations"] == [{"field": "contents[0].role", "description": "m"}]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}', ("slow", "RESOURCE_EXHAUSTED")),
        (b'[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]', ("bad", "INVALID_ARGUMENT")),
        (b'{"error":"plain"}', ("plain", None)),
        (b'{"error":{"message":1,"status":""}}', (None, None)),
        (b"[]", (None, None)),
        (b"1", (None, None)),
        (b"<html>", (None, None)),
        (b"", (None, None)),
    ],
)
def test_providers_errors_are_read(body: bytes, said: tuple[str | None, str | None]) -> None:
    assert CODEC.decode_error(body) == said


def test_models_are_listed_as_google_does() -> None:
    assert gemini_models(["a", "b"]) == {"models": [gemini_model("a"), gemini_model("b")]}
    assert gemini_model("a") == {
        "name": "models/a",
        "baseModelId": "a",
        "displayName": "a",
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
    }
