"""Anthropic's Messages, both ways, and their token counts.

Clients' requests are read in `anthropic_request.py`, carried to and from other dialects in `anthropic_prompt.py` and
`anthropic_write.py`; answers to them are written in `anthropic_answer.py`, and providers' answers read in `anthropic_provider.py`
and `anthropic_body.py`. Errors and counts are here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from freehold.core.errors import FreeholdError, NotFound, UpstreamBroken
from freehold.core.events import Event, FinishReason, MessageEnd, MessageStart, ServedBy, Usage
from freehold.core.exchange import Exchange
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire import anthropic_answer as answer
from freehold.gateway.wire import anthropic_body as bodies
from freehold.gateway.wire import anthropic_prompt as prompts
from freehold.gateway.wire import anthropic_provider as provided
from freehold.gateway.wire import anthropic_request as asked
from freehold.gateway.wire import anthropic_write as written
from freehold.gateway.wire.anthropic_words import OBJECTS, VOCABULARY, channel_of
from freehold.gateway.wire.codec import Incoming
from freehold.gateway.wire.decoder import parsed, read_error
from freehold.gateway.wire.prompt import Prompt
from freehold.gateway.wire.refusals import MessagesRefuser
from freehold.gateway.wire.verbatim import PayloadNotes

_VERSION = "2023-06-01"  # the format's only one; changes come as betas
_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicMessages:
    dialect = "anthropic.messages"
    operation = "chat"
    last_word = b""
    forwarded_headers = frozenset({"anthropic-version", "anthropic-beta"})
    leaves = staticmethod(asked.leaves)
    write_prompt = staticmethod(written.write)
    stream_encoder = answer.MessageEncoder
    stream_decoder = provided.MessageDecoder
    encode_answer = staticmethod(answer.encode_message)
    decode_answer = staticmethod(bodies.decode_message)
    refuser = MessagesRefuser

    def decode_request(self, request: Incoming) -> Exchange:
        asked.check_max_tokens(request.document)
        return asked.decode(request, dialect=self.dialect, operation=self.operation)

    def read_prompt(self, exchange: Exchange) -> Prompt:
        return prompts.read(exchange.document, exchange.sampling, strict=True)

    def same_document(self, exchange: Exchange, *, model: str, ask_usage: bool) -> Mapping[str, Any]:
        return asked.same_document(exchange, model=model)

    def target(self, model: str, *, stream: bool) -> str:
        return "/messages"

    def provider_headers(self, key: str | None) -> dict[str, str]:
        return {"anthropic-version": _VERSION, **({"x-api-key": key} if key else {})}

    def scrub(self, document: dict[str, Any]) -> None:
        """Nothing tells a text of this format another way."""

    def encode_error(self, error: FreeholdError) -> bytes:
        kind = _ERROR_TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
        return orjson.dumps({"type": "error", "error": {"type": kind, "message": error.message, "code": error.code}})

    def error_event(self, error: FreeholdError) -> SseEvent:
        return self.encode_error(error), b"error"

    def decode_error(self, body: bytes) -> tuple[str | None, str | None]:
        return read_error(body, "type")


class AnthropicCountTokens(AnthropicMessages):
    """How many tokens a message's prompt has: one number, as `Usage.input_tokens` of an answer without a text."""

    dialect = "anthropic.count_tokens"
    operation = "count_tokens"

    def decode_request(self, request: Incoming) -> Exchange:
        return replace(asked.decode(request, dialect=self.dialect, operation=self.operation), stream=False)

    def read_prompt(self, exchange: Exchange) -> Prompt:
        raise NotFound("the provider of this model counts no tokens in a way this node knows; count them yourself")

    def write_prompt(self, prompt: Prompt, *, model: str) -> dict[str, Any]:
        raise NotFound("a provider that counts tokens answers nothing else; configure it as one of anthropic.messages, too")

    def target(self, model: str, *, stream: bool) -> str:
        return "/messages/count_tokens"

    def encode_answer(self, exchange: Exchange, events: Iterable[Event]) -> bytes:
        counts = [event.input_tokens for event in events if isinstance(event, Usage) and event.input_tokens is not None]
        if not counts:
            raise UpstreamBroken("the upstream counted no tokens; try again")
        return orjson.dumps({"input_tokens": counts[-1]})

    def decode_answer(self, body: bytes, *, provider: str, verbatim: Exchange | None = None) -> list[Event]:
        document = parsed(body)
        count = document.get("input_tokens") if isinstance(document, dict) else None
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise UpstreamBroken("the upstream's answer holds no count of tokens")
        noted: list[Event] = []
        if verbatim is not None:
            try:
                noted = PayloadNotes(VOCABULARY, channel_of, OBJECTS).note(body, b"", document, is_last=True)
            except (TypeError, RecursionError) as exc:
                raise UpstreamBroken("the upstream sent a count that can't be read") from exc
        start = MessageStart(served=ServedBy(provider=provider, model=""))
        usage = Usage(input_tokens=count, output_tokens=0)
        return [start, *noted, usage, MessageEnd(finish_reason=FinishReason.STOP)]


MESSAGES = AnthropicMessages()
COUNT_TOKENS = AnthropicCountTokens()
