"""Gemini's generateContent and streamGenerateContent, both ways.

Clients' requests are read in `gemini_request.py`, translated in `gemini_prompt.py` and `gemini_document.py`; answers are written
in `gemini_answer.py` and read in `gemini_provider.py`; errors and the list of models are here.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from freehold.core.errors import FreeholdError, InvalidRequest
from freehold.core.exchange import Exchange
from freehold.gateway.sse import BARE, SseEvent
from freehold.gateway.wire import gemini_answer as answer
from freehold.gateway.wire import gemini_document as documents
from freehold.gateway.wire import gemini_prompt as prompts
from freehold.gateway.wire import gemini_provider as provided
from freehold.gateway.wire import gemini_request as asked
from freehold.gateway.wire import gemini_verbatim as verbatims
from freehold.gateway.wire.decoder import read_error
from freehold.gateway.wire.gemini_words import DIALECT, MODELS
from freehold.gateway.wire.prompt import Prompt
from freehold.gateway.wire.refusals import GeminiRefuser

# https://cloud.google.com/apis/design/errors: each canonical code and the HTTP status it travels under.
_STATUSES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    451: "PERMISSION_DENIED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Gemini:
    dialect: str = DIALECT
    operation: str = asked.OPERATION
    last_word = b""
    forwarded_headers: frozenset[str] = frozenset()
    decode_request = staticmethod(asked.decode)
    leaves = staticmethod(asked.leaves)
    read_prompt = staticmethod(prompts.read_exchange)
    stream_encoder = answer.PayloadEncoder
    stream_decoder = provided.GeminiDecoder
    encode_answer = staticmethod(answer.encode_answer)
    decode_answer = staticmethod(provided.decode_answer)
    refuser = GeminiRefuser
    scrub = staticmethod(verbatims.scrub)

    def write_prompt(self, prompt: Prompt, *, model: str) -> dict[str, Any]:
        return documents.write(prompt)

    def same_document(self, exchange: Exchange, *, model: str, ask_usage: bool) -> Mapping[str, Any]:
        return asked.same_document(exchange, model=model)

    def target(self, model: str, *, stream: bool) -> str:
        resource = model if "/" in model else MODELS + model  # tunedModels/… is one, too
        return f"/{quote(resource)}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")

    def provider_headers(self, key: str | None) -> dict[str, str]:
        return {"x-goog-api-key": key} if key else {}

    def encode_error(self, error: FreeholdError) -> bytes:
        """Google's own shape: `reason` is our word for a program to test, `field` what is at fault in the body."""
        status = _STATUSES.get(error.status, "INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT")
        details: list[dict[str, Any]] = [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": error.code.upper(), "domain": "freehold"}
        ]
        if isinstance(error, InvalidRequest) and error.param:
            violation = {"field": error.param, "description": error.message}
            details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
        return orjson.dumps({"error": {"code": error.status, "message": error.message, "status": status, "details": details}})

    def error_event(self, error: FreeholdError) -> SseEvent:
        """No event: Google writes an error under way as it is, and its JavaScript client passes over one in an event."""
        return self.encode_error(error), BARE

    def decode_error(self, body: bytes) -> tuple[str | None, str | None]:
        return read_error(body, "status")


GEMINI = Gemini()
