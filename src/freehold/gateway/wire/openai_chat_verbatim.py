"""Chat completion chunks as their provider wrote them, for a client who speaks the same dialect.

Most chunks of a stream differ from the one before in the text of one delta. Such a chunk is known by what stands before and after
that text: nothing else in it needs to be parsed or scanned again.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from freehold.core.errors import UpstreamBroken
from freehold.core.events import Event, Payload, Slot
from freehold.core.exchange import Exchange, Path
from freehold.core.findings import Channel
from freehold.gateway.wire.openai_chat_request import VOCABULARY
from freehold.gateway.wire.verbatim import PayloadNotes

# Words of answers. `logprobs` tell the text in pieces: they go with it, and are taken out where it was touched.
_ANSWER_WORDS = VOCABULARY | {
    "choices",
    "index",
    "delta",
    "message",
    "refusal",
    "finish_reason",
    "created",
    "usage",
    "system_fingerprint",
    "service_tier",
    "chat.completion",
    "chat.completion.chunk",
    "reasoning",
    "reasoning_content",
    "length",
    "content_filter",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
    "cached_tokens",
    "audio_tokens",
    "reasoning_tokens",
    "accepted_prediction_tokens",
    "rejected_prediction_tokens",
    "annotations",
    "default",
    "token",
    "bytes",
    "logprob",
    "obfuscation",
}
_WHOLE = frozenset({"role", "id", "type", "name", "index"})  # strings of a turn that come in one piece


class ChunkNotes:
    """Takes the chunks of one stream apart."""

    __slots__ = ("_exchange", "_head", "_like", "_notes", "_slot", "_tail")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._notes = PayloadNotes(_ANSWER_WORDS, _channel_of)
        self._slot: Slot | None = None  # of the chunk that the next ones are compared with
        self._head = self._tail = b""
        self._like: int | None = None

    def read(self, data: bytes) -> Any:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as exc:
            raise UpstreamBroken("the upstream sent something that is not JSON") from exc

    def note(
        self, data: bytes, name: bytes, document: Any, slots: Sequence[Slot], *, is_usage: bool, has_ended: bool
    ) -> list[Event]:
        """Events that stand for the chunk. A chunk of nothing but the usage that the client did not ask for is left out."""
        if is_usage and self._exchange.stream and not self._exchange.include_usage:
            return []
        events = self._notes.note(data, name, _without_logprobs(document), slots, is_last=has_ended)
        self._compare_with(document, events[0], slots if not has_ended else ())
        return events

    def repeated(self, data: bytes, name: bytes) -> tuple[Payload, str] | None:
        """The chunk and its text, where it differs from an earlier one in that alone."""
        slot, head, tail = self._slot, self._head, self._tail
        if slot is None or not (data.startswith(head) and data.endswith(tail) and len(data) >= len(head) + len(tail)):
            return None
        try:
            text = orjson.loads(b'"' + data[len(head) : len(data) - len(tail)] + b'"')
        except orjson.JSONDecodeError:  # more than one string lies between
            return None
        same = Slot(kind=slot.kind, choice=slot.choice, part=slot.part, path=slot.path, chars=len(text))
        return self._notes.same(data, name, same, self._like), text

    def _compare_with(self, document: Any, payload: Event, slots: Sequence[Slot]) -> None:
        """Learn what stands around the one text of this chunk, if that is plain to see."""
        self._slot = None
        if len(slots) != 1 or not slots[0].chars or not isinstance(payload, Payload):
            return
        data = payload.data
        literal = orjson.dumps(_at(document, slots[0].path))
        if data.count(literal) != 1:
            return
        start = data.index(literal)
        self._head, self._tail = data[: start + 1], data[start + len(literal) - 1 :]
        self._like = payload.number if payload.like is None else payload.like
        self._slot = slots[0]


def extra_texts(document: Any, position: int) -> Iterator[tuple[Path, str]]:
    """Strings of a choice's delta, beside those that come in one piece."""
    delta = document["choices"][position].get("delta")
    if isinstance(delta, Mapping):
        yield from _texts(delta, ("choices", position, "delta"))


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key not in _WHOLE:
                yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, (*path, number))
    elif isinstance(value, str) and value:
        yield path, value


def _without_logprobs(document: Any) -> Any:
    """The chunk without log-probabilities that say what its texts say: those that say anything else are scanned."""
    choices = document.get("choices")
    if not isinstance(choices, list) or not any(isinstance(choice, Mapping) and choice.get("logprobs") for choice in choices):
        return document
    kept = [{**choice, "logprobs": None} if _says_the_same(choice) else choice for choice in choices]
    return {**document, "choices": kept}


def _says_the_same(choice: Any) -> bool:
    try:
        turn = choice.get("delta") or choice.get("message")
        return bool(turn["content"] == "".join(token["token"] for token in choice["logprobs"]["content"]))
    except (AttributeError, KeyError, TypeError):
        return False


def _at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def _channel_of(path: Path, value: Any, around: Channel) -> Channel:
    if not path:
        return Channel.OTHER
    match path[-1]:
        case "content" | "refusal":
            return Channel.TEXT
        case "reasoning" | "reasoning_content":
            return Channel.REASONING
        case "arguments":
            return Channel.TOOL_ARGUMENTS
    return around
