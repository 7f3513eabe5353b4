"""Chat completion chunks as their provider wrote them, for a client who speaks the same dialect.

Most chunks of a stream differ from the one before in the text of one delta. Such a chunk is known by what stands before and after
that text: nothing else in it needs to be parsed or scanned again.
"""

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import orjson

from freehold.core.events import FIRST_REFUSAL_PART, Event, Payload, Slot
from freehold.core.exchange import Exchange, Path
from freehold.core.findings import Channel
from freehold.gateway.sse import SseEvent, data_of, name_of
from freehold.gateway.wire.leaves import value_at
from freehold.gateway.wire.openai_chat_request import VOCABULARY
from freehold.gateway.wire.verbatim import PayloadNotes, only_tokens

# Words of answers. `logprobs` tell the text in pieces: they go with it, and are taken out where it was touched.
_ANSWER_WORDS_WORDS = (
    "choices index delta message refusal finish_reason created usage system_fingerprint service_tier chat.completion"
    " chat.completion.chunk reasoning reasoning_content length content_filter prompt_tokens completion_tokens total_tokens"
    " prompt_tokens_details completion_tokens_details cached_tokens audio_tokens reasoning_tokens accepted_prediction_tokens"
    " rejected_prediction_tokens annotations default token bytes logprob obfuscation"
)
_ANSWER_WORDS = VOCABULARY | frozenset(_ANSWER_WORDS_WORDS.split())
EXTRA_PARTS = 1000  # part numbers of texts in fields we do not know; a choice's own thoughts stay far below
_FEW = 3  # so many chunks are told one by one as fast as all together
_MANY = 256  # are looked at together: a stream whose chunks are never alike costs each so many looks, and not as many as came
_Text: TypeAlias = tuple[str, tuple[int, ...]]  # what a row of chunks says, and how many characters of it each of them
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

    def note(
        self, data: bytes, name: bytes, document: Any, slots: Sequence[Slot], *, is_usage: bool, has_ended: bool
    ) -> list[Event]:
        """Events that stand for the chunk. A chunk of nothing but the usage that the client did not ask for is left out."""
        if is_usage and self._exchange.stream and not self._exchange.include_usage:
            return []
        # A field we do not know may hold pieces of a text, or a whole one each time: it is scanned as both.
        unknown = {slot.path for slot in slots if EXTRA_PARTS <= slot.part < FIRST_REFUSAL_PART}
        events = self._notes.note(data, name, _without_logprobs(document), slots, whole=unknown, is_last=has_ended)
        self._compare_with(document, events[0], slots if not has_ended else ())
        return events

    def row(self, payloads: Sequence[SseEvent], first: int) -> tuple[Payload, str] | None:
        """The chunks from number `first` on that differ from an earlier one in a text alone, and that text, joined."""
        slot = self._slot
        if slot is None or not payloads[first][0].startswith(self._head):
            return None
        some = payloads[first : first + _MANY]
        datas = list(map(data_of, some))
        found = (len(some) > _FEW and not any(map(name_of, some)) and self._plain_text(datas)) or self._text(some)
        if found is None:
            return None
        text, chars = found
        same = Slot(kind=slot.kind, choice=slot.choice, part=slot.part, path=slot.path, chars=chars[0])
        return self._notes.same(datas[0], b"", same, self._like, tuple(datas[1 : len(chars)]), chars[1:]), text

    def _plain_text(self, datas: Sequence[bytes]) -> _Text | None:
        """Where each piece stands in its quotes as it is, told in a few steps for all; None where that is not so simple."""
        head, tail = self._head, self._tail
        last = len(datas) - 1
        while last > 0 and not (datas[last].startswith(head) and datas[last].endswith(tail)):
            last -= 1
        like = datas[: last + 1]
        literals = list(map(itemgetter(slice(len(head), -len(tail))), like))
        if b"\n".join(like) != head + (tail + b"\n" + head).join(literals) + tail:
            return None
        text = _plain(b"".join(literals))
        return None if text is None else (text, tuple(map(len, literals)))

    def _text(self, payloads: Sequence[SseEvent]) -> _Text | None:
        head, tail = self._head, self._tail
        around, head_bytes, tail_bytes = len(head) + len(tail), len(head), len(tail)
        texts: list[str] = []
        text: str | None
        for data, name in payloads:
            if name or not (data.startswith(head) and data.endswith(tail) and len(data) >= around):
                break
            literal = data[head_bytes : len(data) - tail_bytes]
            if (text := _plain(literal)) is None:
                try:
                    text = orjson.loads(b'"%s"' % literal)
                except ValueError:  # more than one string lies between, or what is no text at all
                    break
            texts.append(text)
        return ("".join(texts), tuple(map(len, texts))) if texts else None

    def _compare_with(self, document: Any, payload: Event, slots: Sequence[Slot]) -> None:
        """Learn what stands around the one text of this chunk, if that is plain to see."""
        self._slot = None
        if (
            len(slots) != 1
            or not slots[0].chars
            or EXTRA_PARTS <= slots[0].part < FIRST_REFUSAL_PART
            or not isinstance(payload, Payload)
            or payload.name
        ):
            return
        data = payload.data
        literal = orjson.dumps(value_at(document, slots[0].path))
        if data.count(literal) != 1:
            return
        start = data.index(literal)
        self._head, self._tail = data[: start + 1], data[start + len(literal) - 1 :]
        self._like = payload.number if payload.like is None else payload.like
        self._slot = slots[0]


def _plain(literal: bytes) -> str | None:
    """What stands in quotes as it is: no quote, no escape, no control character. None for anything else."""
    if b'"' in literal or b"\\" in literal or not literal.isascii():
        return None
    text = literal.decode()
    return text if text.isprintable() else None


def extra_texts(document: Any, position: int) -> Iterator[tuple[Path, str]]:
    """Strings of a choice's delta, beside those that come in one piece."""
    delta = document["choices"][position].get("delta")
    if isinstance(delta, dict):
        yield from _strings(delta, ("choices", position, "delta"))


def _strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in _WHOLE:
                yield from _strings(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strings(item, (*path, number))
    elif isinstance(value, str) and value:
        yield path, value


def _without_logprobs(document: Any) -> Any:
    """The chunk without log-probabilities that say what its texts say: those that say anything else are scanned."""
    choices = document.get("choices")
    if not isinstance(choices, list) or not any(isinstance(choice, dict) and choice.get("logprobs") for choice in choices):
        return document
    kept = [{**choice, "logprobs": None} if _says_the_same(choice) else choice for choice in choices]
    return {**document, "choices": kept}


def _says_the_same(choice: Any) -> bool:
    try:
        turn = choice.get("delta") or choice.get("message")
        logprobs = choice["logprobs"]
        return turn["content"] == "".join(token["token"] for token in logprobs["content"]) and only_tokens(logprobs)
    except (AttributeError, KeyError, TypeError):
        return False


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
