"""OpenAI's Responses, both ways.

Clients' requests are read in `openai_responses_request.py`, carried to and from other dialects in
`openai_responses_prompt.py` and `openai_responses_write.py`; answers to them are written in
`openai_responses_answer.py`, and providers' answers read in `openai_responses_provider.py`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from freehold.core.errors import FreeholdError
from freehold.core.events import Event
from freehold.core.exchange import Exchange
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire import openai_responses_answer as answer
from freehold.gateway.wire import openai_responses_prompt as prompts
from freehold.gateway.wire import openai_responses_provider as provided
from freehold.gateway.wire import openai_responses_request as asked
from freehold.gateway.wire import openai_responses_verbatim as verbatims
from freehold.gateway.wire import openai_responses_write as written
from freehold.gateway.wire.codec import Incoming, Leaf, Refuser
from freehold.gateway.wire.openai_chat import OpenAIChat
from freehold.gateway.wire.prompt import Prompt
from freehold.gateway.wire.refusals import ResponsesRefuser


class OpenAIResponses:
    dialect = prompts.DIALECT
    operation = asked.OPERATION
    paths = ("/v1/responses",)
    last_word = b""
    forwarded_headers = frozenset({"openai-beta"})

    def __init__(self) -> None:
        self._openai = OpenAIChat()  # whose key and errors are the same

    def decode_request(self, request: Incoming) -> Exchange:
        return asked.decode(request)

    def leaves(self, document: Mapping[str, Any]) -> list[Leaf]:
        return asked.leaves(document)

    def read_prompt(self, exchange: Exchange) -> Prompt:
        return prompts.read(exchange)

    def write_prompt(self, prompt: Prompt, *, model: str) -> dict[str, Any]:
        return written.write(prompt, model=model)

    def same_document(self, exchange: Exchange, *, model: str, ask_usage: bool) -> Mapping[str, Any]:
        return asked.same_document(exchange, model=model)

    def target(self, model: str, *, stream: bool) -> str:
        return "/responses"

    def provider_headers(self, key: str | None) -> dict[str, str]:
        return self._openai.provider_headers(key)

    def stream_encoder(self, exchange: Exchange) -> answer.ItemEncoder:
        return answer.ItemEncoder(exchange)

    def stream_decoder(self, *, provider: str, verbatim: Exchange | None = None) -> provided.EventDecoder:
        return provided.EventDecoder(provider=provider, verbatim=verbatim)

    def encode_answer(self, exchange: Exchange, events: Iterable[Event]) -> bytes:
        return answer.encode_response(exchange, events)

    def decode_answer(self, body: bytes, *, provider: str, verbatim: Exchange | None = None) -> list[Event]:
        return provided.decode_response(body, provider=provider, verbatim=verbatim)

    def refuser(self) -> Refuser:
        return ResponsesRefuser()

    def scrub(self, document: dict[str, Any]) -> None:
        verbatims.scrub(document)

    def encode_error(self, error: FreeholdError) -> bytes:
        return self._openai.encode_error(error)

    def error_event(self, error: FreeholdError) -> SseEvent:
        """A failed response, as Codex passes over `error` events, and beside it an `error`: OpenAI's own client stops at that.

        Of the documented codes, Codex takes `invalid_prompt` for final, and asks again after the others.
        """
        word = "rate_limit_exceeded" if error.status == 429 else "server_error" if error.status >= 500 else "invalid_prompt"
        response = {"id": "", "object": "response", "created_at": 0, "status": "failed", "model": "", "output": []}
        failed = {**response, "error": {"code": word, "message": error.message}}
        told = orjson.loads(self.encode_error(error))["error"]
        event = {"type": "response.failed", "sequence_number": 0, "response": failed, "error": told}
        return orjson.dumps(event), b"response.failed"

    def decode_error(self, body: bytes) -> tuple[str | None, str | None]:
        return self._openai.decode_error(body)
