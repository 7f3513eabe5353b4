"""OpenAI's Responses, both ways.

Clients' requests are read in `openai_responses_request.py`, carried to and from other dialects in
`openai_responses_prompt.py` and `openai_responses_write.py`; answers to them are written in
`openai_responses_answer.py`, and providers' answers read in `openai_responses_provider.py`.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from freehold.core.errors import FreeholdError
from freehold.core.exchange import Exchange
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire import openai_responses_answer as answer
from freehold.gateway.wire import openai_responses_prompt as prompts
from freehold.gateway.wire import openai_responses_provider as provided
from freehold.gateway.wire import openai_responses_request as asked
from freehold.gateway.wire import openai_responses_verbatim as verbatims
from freehold.gateway.wire import openai_responses_write as written
from freehold.gateway.wire.openai_chat import OpenAI
from freehold.gateway.wire.refusals import ResponsesRefuser


class OpenAIResponses(OpenAI):
    dialect = prompts.DIALECT
    operation = asked.OPERATION
    decode_request = staticmethod(asked.decode)
    leaves = staticmethod(asked.leaves)
    read_prompt = staticmethod(prompts.read)
    write_prompt = staticmethod(written.write)
    stream_encoder = answer.ItemEncoder
    stream_decoder = provided.EventDecoder
    encode_answer = staticmethod(answer.encode_response)
    decode_answer = staticmethod(provided.decode_response)
    refuser = ResponsesRefuser
    scrub = staticmethod(verbatims.scrub)

    def same_document(self, exchange: Exchange, *, model: str, ask_usage: bool) -> Mapping[str, Any]:
        return asked.same_document(exchange, model=model)

    def target(self, model: str, *, stream: bool) -> str:
        return "/responses"

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


RESPONSES = OpenAIResponses()
