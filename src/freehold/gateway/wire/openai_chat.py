"""OpenAI's chat completions, both ways, and what all of OpenAI's dialects have in common.

Clients' requests are read in `openai_chat_request.py`, answers to them written in `openai_chat_answer.py`, and providers' answers
read in `openai_chat_provider.py`; errors are here.
"""

from typing import Any

import orjson

from freehold.core.errors import FreeholdError, InvalidRequest
from freehold.gateway.sse import SseEvent, frame
from freehold.gateway.wire import openai_chat_answer as answer
from freehold.gateway.wire import openai_chat_prompt as prompts
from freehold.gateway.wire import openai_chat_provider as provided
from freehold.gateway.wire import openai_chat_request as asked
from freehold.gateway.wire.codec import Refuser
from freehold.gateway.wire.decoder import read_error
from freehold.gateway.wire.refusals import ChatRefuser

_ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class OpenAI:
    """What OpenAI's dialects have in common: keys and errors."""

    last_word = b""
    forwarded_headers = frozenset({"openai-beta"})

    def provider_headers(self, key: str | None) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"} if key else {}

    def encode_error(self, error: FreeholdError) -> bytes:
        kind = _ERROR_TYPES.get(error.status, "server_error" if error.status >= 500 else "invalid_request_error")
        param = error.param if isinstance(error, InvalidRequest) else None
        return orjson.dumps({"error": {"message": error.message, "type": kind, "param": param, "code": error.code}})

    def error_event(self, error: FreeholdError) -> SseEvent:
        return self.encode_error(error), b""

    def decode_error(self, body: bytes) -> tuple[str | None, str | None]:
        return read_error(body, "code")


class OpenAIChat(OpenAI):
    dialect = asked.DIALECT
    operation = asked.OPERATION
    last_word = frame((b"[DONE]", b""))
    decode_request = staticmethod(asked.decode)
    leaves = staticmethod(asked.leaves)
    read_prompt = staticmethod(prompts.read)
    write_prompt = staticmethod(prompts.write)
    same_document = staticmethod(asked.same_document)
    stream_encoder = answer.ChunkEncoder
    stream_decoder = provided.ChunkDecoder
    encode_answer = staticmethod(answer.encode_completion)
    decode_answer = staticmethod(provided.decode_completion)

    def target(self, model: str, *, stream: bool) -> str:
        return "/chat/completions"

    def refuser(self) -> Refuser:
        return ChatRefuser(provided.LEGACY_PART)

    def scrub(self, document: dict[str, Any]) -> None:
        for choice in document.get("choices") or ():
            if isinstance(choice, dict) and "logprobs" in choice:
                choice["logprobs"] = None


CHAT = OpenAIChat()
