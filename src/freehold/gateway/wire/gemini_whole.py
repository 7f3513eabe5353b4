"""Gemini's methods beside generating: token counts and embeddings. One body in, one body out.

Our engine counts for anybody; else a provider of the same dialect answers, and its body goes on as it came, every string in it
scanned. Vectors are numbers: they hold none. Each method is a dialect of its own, as its address and its body are.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from freehold.core.errors import InvalidRequest, NotFound, UpstreamBroken
from freehold.core.events import Event, FinishReason, MessageEnd, MessageStart, ServedBy, Usage
from freehold.core.exchange import Exchange, Path
from freehold.core.findings import Channel
from freehold.gateway.wire import fields
from freehold.gateway.wire import gemini_request as asked
from freehold.gateway.wire.codec import Incoming, Leaf
from freehold.gateway.wire.decoder import count, parsed_object
from freehold.gateway.wire.gemini import Gemini
from freehold.gateway.wire.gemini_words import MODELS, OBJECTS, VOCABULARY, camel, named
from freehold.gateway.wire.leaves import walk
from freehold.gateway.wire.prompt import Prompt, messages_of, tools_of
from freehold.gateway.wire.verbatim import PayloadNotes

_WORDS = VOCABULARY | {"generateContentRequest", "totalTokens", "requests", "content", "embedding", "embeddings", "values"}


class GeminiCountTokens(Gemini):
    """How many tokens a prompt has: `Usage.input_tokens` of an answer without a text."""

    dialect = "google.gemini.count_tokens"
    operation = "count_tokens"

    def decode_request(self, request: Incoming) -> Exchange:
        model, _ = asked.addressed(request, ("countTokens",))
        inner = fields.mapping(named(request.document), "generateContentRequest")
        prompt, unsaid = asked.prompt_of(request.document if inner is None else inner)
        return Exchange(
            id=request.exchange_id,
            received_at_ns=request.received_at_ns,
            principal=request.principal,
            dialect=self.dialect,
            operation=self.operation,
            model=model,
            stream=False,
            body=request.body,
            document=request.document,
            messages=messages_of(prompt),
            tools=tools_of(prompt),
            unsaid=unsaid,
        )

    def leaves(self, document: Mapping[str, Any]) -> list[Leaf]:
        return walk(document, _counted_channel, _WORDS, OBJECTS)

    def read_prompt(self, exchange: Exchange) -> Prompt:
        raise NotFound("the provider of this model counts no tokens in a way this node knows; count them yourself")

    def write_prompt(self, prompt: Prompt, *, model: str) -> dict[str, Any]:
        raise NotFound("a provider that counts tokens answers nothing else; configure it as one of google.gemini, too")

    def same_document(self, exchange: Exchange, *, model: str, ask_usage: bool) -> Mapping[str, Any]:
        return _renamed(exchange.document, model) if model != exchange.model else exchange.document

    def target(self, model: str, *, stream: bool) -> str:
        return super().target(model, stream=False).replace(":generateContent", ":countTokens")

    def encode_answer(self, exchange: Exchange, events: Iterable[Event]) -> bytes:
        counts = [event.input_tokens for event in events if isinstance(event, Usage) and event.input_tokens is not None]
        if not counts:
            raise UpstreamBroken("the upstream counted no tokens; try again")
        return orjson.dumps({"totalTokens": counts[-1]})

    def decode_answer(self, body: bytes, *, provider: str, verbatim: Exchange | None = None) -> list[Event]:
        document = _read(body)
        counted = count(document.get("totalTokens"))
        if counted is None:
            raise UpstreamBroken("the upstream's answer holds no count of tokens")
        return _whole(body, document, provider, counted)


class GeminiEmbeddings(Gemini):
    """Texts in, vectors out, for a provider of the same dialect: one text, or several (`batchEmbedContents`)."""

    operation = "embeddings"

    def __init__(self, dialect: str, method: str) -> None:
        self.dialect = dialect
        self._method = method

    def decode_request(self, request: Incoming) -> Exchange:
        model, _ = asked.addressed(request, (self._method,))
        field = "requests" if self._method.startswith("batch") else "content"
        if not request.document.get(field):
            raise fields.missing(field)
        return Exchange(
            id=request.exchange_id,
            received_at_ns=request.received_at_ns,
            principal=request.principal,
            dialect=self.dialect,
            operation=self.operation,
            model=model,
            stream=False,
            body=request.body,
            document=request.document,
            unsaid="embeddings",
        )

    def leaves(self, document: Mapping[str, Any]) -> list[Leaf]:
        return walk(document, _embedded_channel, _WORDS)

    def read_prompt(self, exchange: Exchange) -> Prompt:
        raise InvalidRequest("only a provider of the same dialect makes embeddings", param="model")

    def write_prompt(self, prompt: Prompt, *, model: str) -> dict[str, Any]:
        raise InvalidRequest("this provider makes embeddings alone; ask another model", param="model")

    def same_document(self, exchange: Exchange, *, model: str, ask_usage: bool) -> Mapping[str, Any]:
        return _renamed(exchange.document, model) if model != exchange.model else exchange.document

    def target(self, model: str, *, stream: bool) -> str:
        return super().target(model, stream=False).replace(":generateContent", f":{self._method}")

    def encode_answer(self, exchange: Exchange, events: Iterable[Event]) -> bytes:
        raise UpstreamBroken("vectors can only be passed on as they came")

    def decode_answer(self, body: bytes, *, provider: str, verbatim: Exchange | None = None) -> list[Event]:
        document = _read(body)
        if not isinstance(document.get("embeddings", document.get("embedding")), list | dict):
            raise UpstreamBroken("the upstream sent an answer without embeddings")
        counts = document.get("usageMetadata")
        return _whole(body, document, provider, count(counts.get("promptTokenCount")) if isinstance(counts, dict) else None)


def _renamed(document: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    """The document with the provider's name of the model where it repeats it: in itself, or in the requests it holds."""
    name = MODELS + model.removeprefix(MODELS)
    changed: dict[str, Any] = {"model": name} if "model" in document else {}
    for key in ("generateContentRequest", "generate_content_request"):
        if isinstance(inner := document.get(key), Mapping) and "model" in inner:
            changed[key] = {**inner, "model": name}
    if isinstance(items := document.get("requests"), list):
        changed["requests"] = [{**item, "model": name} if isinstance(item, Mapping) else item for item in items]
    return {**document, **changed} if changed else document


def _read(body: bytes) -> dict[str, Any]:
    return parsed_object(body, "the upstream sent an answer that is no object")


def _whole(body: bytes, document: dict[str, Any], provider: str, input_tokens: int | None) -> list[Event]:
    try:
        noted = PayloadNotes(_WORDS, _answered_channel).note(body, b"", document, is_last=True)
    except (TypeError, RecursionError) as exc:
        raise UpstreamBroken("the upstream sent an answer that can't be read") from exc
    start = MessageStart(served=ServedBy(provider=provider, model=""))
    usage = Usage(input_tokens=input_tokens, output_tokens=0)  # numbers are no tokens
    return [start, *noted, usage, MessageEnd(finish_reason=FinishReason.STOP)]


def _counted_channel(path: Path, value: Any, around: Channel) -> Channel:
    is_inner = bool(path) and camel(str(path[0])) == "generateContentRequest"
    return asked.channel_of(path[1:] if is_inner else path, value, around)


def _embedded_channel(path: Path, value: Any, around: Channel) -> Channel:
    return Channel.INPUT if path[:1] in (("content",), ("requests",)) else Channel.OTHER


def _answered_channel(path: Path, value: Any, around: Channel) -> Channel:
    return Channel.OTHER


COUNT_TOKENS = GeminiCountTokens()
EMBED_CONTENT = GeminiEmbeddings("google.gemini.embed_content", "embedContent")
EMBED_CONTENTS = GeminiEmbeddings("google.gemini.embed_contents", "batchEmbedContents")
