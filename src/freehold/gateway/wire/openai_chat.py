"""OpenAI's chat completions, both ways.

Clients' requests are read in `openai_chat_request.py`, answers to them written in `openai_chat_answer.py`, and providers' answers
read in `openai_chat_provider.py`; errors are here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from freehold.core.errors import FreeholdError, InvalidRequest
from freehold.core.events import Event
from freehold.core.exchange import Exchange, ExchangeId, Principal
from freehold.gateway.sse import frame
from freehold.gateway.wire import openai_chat_answer as answer
from freehold.gateway.wire import openai_chat_provider as provided
from freehold.gateway.wire import openai_chat_request as request
from freehold.gateway.wire.codec import Leaf

_ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_CODE_LIMIT_CHARS = 64


class OpenAIChat:
    dialect = request.DIALECT
    operation = request.OPERATION
    path = "/v1/chat/completions"
    last_word = frame(b"[DONE]")

    def decode_request(
        self, document: Mapping[str, Any], *, exchange_id: ExchangeId, received_at_ns: int, principal: Principal, body: bytes
    ) -> Exchange:
        return request.decode(document, exchange_id=exchange_id, received_at_ns=received_at_ns, principal=principal, body=body)

    def leaves(self, document: Mapping[str, Any]) -> list[Leaf]:
        return request.leaves(document)

    def encode_request(self, exchange: Exchange, *, model: str, ask_usage: bool) -> bytes:
        return request.encode(exchange, model=model, ask_usage=ask_usage)

    def stream_encoder(self, exchange: Exchange) -> answer.ChunkEncoder:
        return answer.ChunkEncoder(exchange)

    def stream_decoder(self, *, provider: str) -> provided.ChunkDecoder:
        return provided.ChunkDecoder(provider=provider)

    def encode_answer(self, exchange: Exchange, events: Iterable[Event]) -> bytes:
        return answer.encode_completion(exchange, events)

    def decode_answer(self, body: bytes, *, provider: str) -> list[Event]:
        return provided.decode_completion(body, provider=provider)

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
        if isinstance(error, str):
            return error, None
        return read_error(error) if isinstance(error, dict) else (None, None)


def read_error(error: Mapping[str, Any]) -> tuple[str | None, str | None]:
    message, code = error.get("message"), error.get("code")
    short = isinstance(code, str) and 0 < len(code) <= _CODE_LIMIT_CHARS
    return (message if isinstance(message, str) else None), (code if short else None)
