"""OpenAI's chat completions, both ways.

Clients' requests are read in `openai_chat_request.py`, answers to them written in `openai_chat_answer.py`, and providers' answers
read in `openai_chat_provider.py`; errors are here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from freehold.core.errors import FreeholdError, InvalidRequest
from freehold.core.events import Event
from freehold.core.exchange import Exchange
from freehold.gateway.sse import SseEvent, frame
from freehold.gateway.wire import openai_chat_answer as answer
from freehold.gateway.wire import openai_chat_prompt as prompts
from freehold.gateway.wire import openai_chat_provider as provided
from freehold.gateway.wire import openai_chat_request as asked
from freehold.gateway.wire.codec import Incoming, Leaf, Refuser, told_error
from freehold.gateway.wire.prompt import Prompt
from freehold.gateway.wire.refusals import ChatRefuser

_ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_CODE_LIMIT_CHARS = 64


class OpenAIChat:
    dialect = asked.DIALECT
    operation = asked.OPERATION
    paths = ("/v1/chat/completions",)
    last_word = frame((b"[DONE]", b""))
    forwarded_headers = frozenset({"openai-beta"})

    def decode_request(self, request: Incoming) -> Exchange:
        return asked.decode(request)

    def leaves(self, document: Mapping[str, Any]) -> list[Leaf]:
        return asked.leaves(document)

    def read_prompt(self, exchange: Exchange) -> Prompt:
        return prompts.read(exchange)

    def write_prompt(self, prompt: Prompt, *, model: str) -> dict[str, Any]:
        return prompts.write(prompt, model=model)

    def same_document(self, exchange: Exchange, *, model: str, ask_usage: bool) -> Mapping[str, Any]:
        return asked.same_document(exchange, model=model, ask_usage=ask_usage)

    def target(self, model: str, *, stream: bool) -> str:
        return "/chat/completions"

    def provider_headers(self, key: str | None) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"} if key else {}

    def stream_encoder(self, exchange: Exchange) -> answer.ChunkEncoder:
        return answer.ChunkEncoder(exchange)

    def stream_decoder(self, *, provider: str, verbatim: Exchange | None = None) -> provided.ChunkDecoder:
        return provided.ChunkDecoder(provider=provider, verbatim=verbatim)

    def encode_answer(self, exchange: Exchange, events: Iterable[Event]) -> bytes:
        return answer.encode_completion(exchange, events)

    def decode_answer(self, body: bytes, *, provider: str, verbatim: Exchange | None = None) -> list[Event]:
        return provided.decode_completion(body, provider=provider, verbatim=verbatim)

    def refuser(self) -> Refuser:
        return ChatRefuser(provided.LEGACY_PART)

    def scrub(self, document: dict[str, Any]) -> None:
        for choice in document.get("choices") or ():
            if isinstance(choice, dict) and "logprobs" in choice:
                choice["logprobs"] = None

    def error_event(self, error: FreeholdError) -> SseEvent:
        return self.encode_error(error), b""

    def encode_error(self, error: FreeholdError) -> bytes:
        kind = _ERROR_TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
        param = error.param if isinstance(error, InvalidRequest) else None
        return orjson.dumps({"error": {"message": error.message, "type": kind, "param": param, "code": error.code}})

    def decode_error(self, body: bytes) -> tuple[str | None, str | None]:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None, None
        error = document.get("error") if isinstance(document, dict) else None
        return told_error(document), (read_error(error)[1] if isinstance(error, dict) else None)


def read_error(error: Mapping[str, Any]) -> tuple[str | None, str | None]:
    message, code = error.get("message"), error.get("code")
    short = isinstance(code, str) and 0 < len(code) <= _CODE_LIMIT_CHARS
    return (message if isinstance(message, str) else None), (code if short else None)
