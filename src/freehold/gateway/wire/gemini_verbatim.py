"""Gemini's payloads as their provider wrote them, for a client who speaks the same dialect.

Most payloads of a stream differ from the one before in the text of one part and in counts. Such a payload is known by what stands
before and after that text, counts aside: its strings need no second look. Arguments of a call are an object: their JSON text is
scanned as one text, and put back as an object where it was touched (`scrub`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from freehold.core.events import Event, PartKind, Payload, Slot
from freehold.core.exchange import Path
from freehold.core.findings import Channel
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.decoder import parsed
from freehold.gateway.wire.gemini_document import arguments_of
from freehold.gateway.wire.gemini_words import VOCABULARY
from freehold.gateway.wire.leaves import faithful, strings, value_at
from freehold.gateway.wire.verbatim import PayloadNotes, only_tokens

_COUNT = re.compile(rb'okenCount"\s*:\s*[0-9]+')  # the quote, which no string holds unescaped, makes it a key
EXTRA_PARTS = 1 << 16  # numbers of texts in fields we do not know: above those of any answer's parts. They are leaves, too
_BACKSLASH = 0x5C
_TAIL_LIMIT_BYTES = 8 << 10  # what stands behind a text: counts and names
_NEVER_ALIKE = (b'"logprobsResult"', b'"thoughtSignature"')  # the one tells the text again, the other ends a thought
_APART = frozenset({"text", "thoughtSignature", "inlineData", "fileData"})  # of a part: these have their own slots, or come whole
_WHOLE = frozenset({"name", "id", "mimeType", "language", "outcome", "displayName", "fileUri"})  # inside a field of a part


class GeminiNotes:
    """Takes the payloads of one stream apart."""

    __slots__ = ("_head", "_like", "_notes", "_outline", "_slot", "_tail")

    def __init__(self) -> None:
        self._notes = PayloadNotes(VOCABULARY, _channel_of)
        self._slot: Slot | None = None  # of the payload that the next ones are compared with
        self._head = self._tail = b""
        self._outline: list[bytes] = []
        self._like: int | None = None

    def note(
        self, data: bytes, name: bytes, document: Any, slots: Sequence[Slot], *, has_ended: bool, has_extras: bool
    ) -> list[Event]:
        """Events that stand for the payload."""
        data = faithful(data, document)
        looked_at = _without_arguments(_without_logprobs(document), slots)
        apart = [slot for slot in slots if slot.part < EXTRA_PARTS]
        first, *texts = self._notes.note(data, name, looked_at, apart, is_last=has_ended)
        assert isinstance(first, Payload)
        events = [replace(first, slots=tuple(slots)), *texts]
        self._compare_with(document, events[0], () if has_ended or has_extras else slots)
        return events

    def row(self, payloads: Sequence[SseEvent], first: int) -> tuple[Payload, str] | None:
        """The payloads from number `first` on that differ from an earlier one in a text and counts alone; the text, joined."""
        slot = self._slot
        if slot is None:
            return None
        texts: list[str] = []
        for at in range(first, len(payloads)):
            text = self._text(*payloads[at])
            if text is None:
                break
            texts.append(text)
        if not texts:
            return None
        same = Slot(kind=slot.kind, choice=slot.choice, part=slot.part, path=slot.path, chars=len(texts[0]))
        rest = tuple(data for data, _ in payloads[first + 1 : first + len(texts)])
        row = self._notes.same(payloads[first][0], b"", same, self._like, rest, tuple(map(len, texts[1:])))
        return row, "".join(texts)

    def _text(self, data: bytes, name: bytes) -> str | None:
        """The text of a payload that is like the one learned; None of any other."""
        start = len(self._head)
        if name or not data.startswith(self._head):
            return None
        end = _string_end(data, start)
        if not self._ends_alike(data[end:]):
            return None
        try:
            text: str = orjson.loads(data[start - 1 : end + 1])
        except orjson.JSONDecodeError:
            return None
        return text

    def _ends_alike(self, tail: bytes) -> bool:
        if tail == self._tail:
            return True
        return len(tail) <= _TAIL_LIMIT_BYTES and _outline(tail) == self._outline

    def _compare_with(self, document: Any, payload: Event, slots: Sequence[Slot]) -> None:
        """Learn what stands around the one text of this payload, if that is plain to see."""
        self._slot = None
        if len(slots) != 1 or slots[0].kind is PartKind.TOOL_CALL or not isinstance(payload, Payload) or payload.name:
            return
        data, text = payload.data, value_at(document, slots[0].path)
        start = _only_place(data, text)
        if start is None:
            return
        end = _string_end(data, start)
        tail = data[end:]
        if _BACKSLASH in tail or len(tail) > _TAIL_LIMIT_BYTES or any(word in data for word in _NEVER_ALIKE):
            return
        self._head, self._tail = data[:start], tail
        self._outline = _outline(tail)
        self._like = payload.number if payload.like is None else payload.like
        self._slot = slots[0]


def as_rewritten(arguments: str) -> str:
    """A call's arguments in the form that `VerbatimEncoder` counts in: written anew."""
    return orjson.dumps(parsed(arguments)).decode()


def extra_texts(document: Any, position: int) -> Iterator[tuple[Path, str]]:
    """Strings of a candidate's parts, beside those that come in one piece."""
    content = document["candidates"][position].get("content")
    parts = content.get("parts") if isinstance(content, Mapping) else None
    for number, part in enumerate(parts or ()):
        path: Path = ("candidates", position, "content", "parts", number)
        for key, value in part.items():
            if key == "functionCall" and value:
                value = {name: item for name, item in value.items() if name != "args"}
            if key not in _APART:
                yield from strings(value, (*path, key), _WHOLE)


def scrub(document: dict[str, Any]) -> None:
    """Arguments that were touched are an object again; log-probabilities tell the text that was: they go."""
    for candidate in document.get("candidates") or ():
        candidate.pop("logprobsResult", None)
        for part in (candidate.get("content") or {}).get("parts") or ():
            call = part.get("functionCall")
            if call and isinstance(call.get("args"), str):
                call["args"] = arguments_of(call["args"])


def _string_end(data: bytes, start: int) -> int:
    """Where the string ends whose first character is at `start`: at its closing quote, or the data's end."""
    at = start
    while (quote := data.find(b'"', at)) >= 0:
        escapes = quote
        while escapes > start and data[escapes - 1] == _BACKSLASH:
            escapes -= 1
        if (quote - escapes) % 2 == 0:
            return quote
        at = quote + 1
    return len(data)


def _only_place(data: bytes, text: str) -> int | None:
    """Where the one string that is `text` begins, behind its quote; None where that is not plain."""
    literal = orjson.dumps(text)
    place = data.find(literal)
    if place < 0 or data.find(literal, place + 1) >= 0:
        return None
    return place + 1


def _outline(tail: bytes) -> list[bytes]:
    """What stands behind a text, counts aside."""
    return _COUNT.split(tail)


def _without_logprobs(document: Any) -> Any:
    """The payload without log-probabilities that say what its texts say: those that say anything else are scanned."""
    candidates = document.get("candidates") or []
    if not any(candidate.get("logprobsResult") for candidate in candidates):
        return document
    kept = [{**candidate, "logprobsResult": None} if _says_the_same(candidate) else candidate for candidate in candidates]
    return {**document, "candidates": kept}


def _says_the_same(candidate: Mapping[str, Any]) -> bool:
    try:
        texts = [part["text"] for part in candidate["content"]["parts"] if part.get("text") and not part.get("thought")]
        logprobs = candidate["logprobsResult"]
        return texts == ["".join(likely["token"] for likely in logprobs["chosenCandidates"])] and only_tokens(logprobs)
    except (AttributeError, KeyError, TypeError):
        return False


def _without_arguments(document: Any, slots: Sequence[Slot]) -> Any:
    """A copy without the arguments that have slots of their own."""
    paths = [slot.path for slot in slots if slot.kind is PartKind.TOOL_CALL and not slot.begins]
    if not paths:
        return document
    copy = orjson.loads(orjson.dumps(document))
    for path in paths:
        value_at(copy, path[:-1])[path[-1]] = None
    return copy


def _channel_of(path: Path, value: Any, around: Channel) -> Channel:
    if not path or path[0] != "candidates":
        return Channel.OTHER
    match path[-1]:
        case "text" if "content" in path:
            return Channel.TEXT
        case "data" if "inlineData" in path:
            return Channel.FILE
        case "executableCode":
            return Channel.TOOL_ARGUMENTS
        case "codeExecutionResult":
            return Channel.TOOL_RESULT
    return around
