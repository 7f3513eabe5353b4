"""OpenAI's embeddings: texts in, vectors out, for a provider of the same dialect.

Texts come as strings; as arrays of token numbers nobody here could read them, so those are refused. The vectors, numbers or the
base64 of 32-bit floats, hold no text: of an answer's strings they alone are not scanned, and only where they are what they say.
"""

import binascii
from array import array
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from freehold.core.errors import InvalidRequest, UpstreamBroken, UpstreamRejected
from freehold.core.events import Event, FinishReason, MessageEnd, MessageStart, Payload, PayloadLeaf, ServedBy, Usage
from freehold.core.exchange import Exchange, Message, Path
from freehold.core.findings import Channel
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire import fields
from freehold.gateway.wire.codec import Incoming, Leaf, StreamEncoder
from freehold.gateway.wire.decoder import NAME_LIMIT_CHARS, code_of, count, parsed_object
from freehold.gateway.wire.leaves import faithful, walk
from freehold.gateway.wire.openai_chat import OpenAI
from freehold.gateway.wire.prompt import Prompt
from freehold.gateway.wire.refusals import NoCalls

_FLOAT_BYTES = 4
_LARGEST = 65_536.0  # the largest half-precision float; vectors of norm 1 have none above 1, letters in fourth place some 1e20

# Words of the format itself. A string that equals one of them holds nothing to find.
_VOCABULARY_WORDS = (
    "model input encoding_format float base64 dimensions user object list data embedding index usage prompt_tokens total_tokens"
)
_VOCABULARY = frozenset(_VOCABULARY_WORDS.split())


class OpenAIEmbeddings(OpenAI):
    dialect = "openai.embeddings"
    operation = "embeddings"
    refuser = NoCalls

    def decode_request(self, request: Incoming) -> Exchange:
        document = request.document
        model = fields.model_name(document)
        return Exchange(
            id=request.exchange_id,
            received_at_ns=request.received_at_ns,
            principal=request.principal,
            dialect=self.dialect,
            operation=self.operation,
            model=model,
            stream=False,
            body=request.body,
            document=document,
            messages=tuple(Message(role="user", text=text) for text in _texts(document)),
            headers=request.headers,
            unsaid="embeddings",
        )

    def leaves(self, document: Mapping[str, Any]) -> list[Leaf]:
        return walk(document, _asked_channel, _VOCABULARY)

    def read_prompt(self, exchange: Exchange) -> Prompt:
        raise InvalidRequest("only a provider of the same dialect makes embeddings", param="model")

    def write_prompt(self, prompt: Prompt, *, model: str) -> dict[str, Any]:
        raise InvalidRequest("this provider makes embeddings alone; ask another model", param="model")

    def same_document(self, exchange: Exchange, *, model: str, ask_usage: bool) -> Mapping[str, Any]:
        return exchange.document if model == exchange.model else {**exchange.document, "model": model}

    def target(self, model: str, *, stream: bool) -> str:
        return "/embeddings"

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder:
        raise _no_stream()

    def stream_decoder(self, *, provider: str, verbatim: Exchange | None = None) -> "_NoStream":
        return _NoStream()

    def encode_answer(self, exchange: Exchange, events: Iterable[Event]) -> bytes:
        raise UpstreamBroken("vectors can only be passed on as they came")

    def decode_answer(self, body: bytes, *, provider: str, verbatim: Exchange | None = None) -> list[Event]:
        document = _read(body)
        try:
            data = faithful(body, document)
        except TypeError as exc:
            raise UpstreamBroken("the upstream sent an answer that nests too deep to be read") from exc
        found = walk(_without_vectors(document), _answer_channel, _VOCABULARY)
        leaves = tuple(PayloadLeaf(leaf=at, path=leaf.path, text=leaf.text, is_key=leaf.is_key) for at, leaf in enumerate(found))
        model, usage = document.get("model"), document.get("usage")
        counted = count(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
        return [
            Payload(data=data, number=0, leaves=leaves, is_last=True),
            *(leaf.said(at) for at, leaf in enumerate(found)),
            MessageStart(served=ServedBy(provider=provider, model=model[:NAME_LIMIT_CHARS] if isinstance(model, str) else "")),
            Usage(input_tokens=counted, output_tokens=0),  # vectors are no tokens
            MessageEnd(finish_reason=FinishReason.STOP),
        ]

    def scrub(self, document: dict[str, Any]) -> None:
        """Vectors tell nothing of the strings beside them."""


class _NoStream:
    """Reads a stream from a provider that should have sent a body: as broken."""

    done = True

    def decode(self, payloads: Iterable[SseEvent]) -> list[Event]:
        return []

    def close(self) -> NoReturn:
        raise _no_stream()


def _no_stream() -> UpstreamBroken:
    return UpstreamBroken("embeddings come whole, never as a stream")


def _texts(document: Mapping[str, Any]) -> list[str]:
    given = document.get("input")
    texts = [given] if isinstance(given, str) else given
    if not texts or texts == [""]:
        raise fields.missing("input")
    if not isinstance(texts, list):
        raise fields.wrong("input", "a string or a list of strings")
    for at, text in enumerate(texts):
        if isinstance(text, int | list):
            raise InvalidRequest(
                "input: token numbers can't be guarded; send the texts themselves", param="input", code="unsupported_value"
            )
        if not isinstance(text, str):
            raise fields.wrong(f"input[{at}]", "a string")
    return texts


def _read(body: bytes) -> dict[str, Any]:
    document = parsed_object(body, "the upstream sent an answer that is no object")
    if error := document.get("error"):
        message, code = (error.get("message"), code_of(error, "code")) if isinstance(error, dict) else (None, None)
        told = message if isinstance(message, str) and message else "the upstream answered with an error"
        raise UpstreamRejected(told, status=502, code=code)
    if not isinstance(document.get("data"), list):
        raise UpstreamBroken("the upstream sent an answer without data")
    return document


def _without_vectors(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "data": [_without_vector(item) for item in document["data"]]}


def _without_vector(item: Any) -> Any:
    return {**item, "embedding": None} if isinstance(item, dict) and _is_vector(item.get("embedding")) else item


def _is_vector(value: Any) -> bool:
    """Numbers, or the base64 of 32-bit floats as models make them: read as floats, a text soon has one that is too large."""
    if isinstance(value, list):
        return all(type(number) in (float, int) for number in value)
    if not isinstance(value, str):
        return False
    try:
        data = binascii.a2b_base64(value, strict_mode=True)
    except (binascii.Error, ValueError):
        return False
    return len(data) % _FLOAT_BYTES == 0 and all(-_LARGEST < number < _LARGEST for number in array("f", data))


def _asked_channel(path: Path, value: Any, around: Channel) -> Channel:
    return Channel.INPUT if path[:1] == ("input",) else Channel.OTHER


def _answer_channel(path: Path, value: Any, around: Channel) -> Channel:
    return Channel.OTHER


EMBEDDINGS = OpenAIEmbeddings()
