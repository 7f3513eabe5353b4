"""A Responses answer as providers send it: the stream's events, or one response, to events.

A text is known by its event's kind and its place in the output; where an item or a text is done, `PartEnd` follows, and a text
that goes on after its end is a new part. For a client of the same dialect every payload goes on as it came: deltas of whatever
kind are scanned as one text each, and what repeats them (`done`, `completed`) whole. For others, what counts is messages,
thoughts and function calls: nobody asked for the provider's own tools.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import orjson

from freehold.core.errors import UpstreamBroken, UpstreamError, UpstreamRejected
from freehold.core.events import (
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    ReasoningDelta,
    ServedBy,
    Slot,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.core.exchange import Exchange, Path
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.openai_responses_prompt import OWN_SEAL
from freehold.gateway.wire.openai_responses_verbatim import ResponseNotes

_NAME_LIMIT_CHARS = 256
_MESSAGE_LIMIT_CHARS = 2000
_ENDS = ("response.completed", "response.incomplete")
_FAILURES = ("response.failed", "response.cancelled", "error")
_KINDS = {
    "response.output_text": PartKind.TEXT,
    "response.refusal": PartKind.TEXT,
    "response.audio.transcript": PartKind.TEXT,
    "response.reasoning_text": PartKind.REASONING,
    "response.reasoning_summary_text": PartKind.REASONING,
    "response.function_call_arguments": PartKind.TOOL_CALL,
    "response.custom_tool_call_input": PartKind.TOOL_CALL,
    "response.mcp_call_arguments": PartKind.TOOL_CALL,
    "response.code_interpreter_call_code": PartKind.TOOL_CALL,
    "response.shell_call_command": PartKind.TOOL_CALL,
}
_OUR_KINDS = ("response.output_text", "response.refusal", "response.reasoning_text", "response.reasoning_summary_text")
_CALLS = ("function_call", "custom_tool_call", "local_shell_call")  # those the client must answer
_CALL = "response.function_call_arguments"
_INDEXES = ("content_index", "summary_index", "command_index")
_STATUSES = {"rate_limit_exceeded": 429, "insufficient_quota": 429, "invalid_prompt": 400, "server_error": 502}

_Delta: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta
_Place: TypeAlias = tuple[str, int, Path]  # the event's kind, the item's number, what leads to the text in the item


class _Text:
    """A text under way."""

    __slots__ = ("item", "kind", "part")

    def __init__(self, kind: PartKind, item: int, part: int) -> None:
        self.kind, self.item, self.part = kind, item, part


class EventDecoder:
    """The stream of any provider to events. A payload that can't be read ends the answer, and `close` raises."""

    __slots__ = (
        "_calls", "_end", "_ended", "_failure", "_has_call", "_items", "_notes", "_parts", "_provider", "_said", "_started",
        "_texts", "_usage", "done",
    )  # fmt: skip

    def __init__(self, *, provider: str, verbatim: Exchange | None = None) -> None:
        self._provider = provider
        self._notes = ResponseNotes() if verbatim is not None else None
        self._started = self._has_call = False
        self._parts = 0  # handed out
        self._texts: dict[_Place, _Text] = {}  # open
        self._ended: set[_Place] = set()
        self._items: dict[int, Mapping[str, Any]] = {}  # as they were added
        self._calls: set[int] = set()  # items whose ToolCallStart was given
        self._said: set[int] = set()  # items that were streamed
        self._usage: Usage | None = None
        self._end: FinishReason | None = None
        self._failure: UpstreamError | None = None
        self.done = False

    def decode(self, payloads: Iterable[SseEvent]) -> list[Event]:
        """Payloads stand before all deltas of one read, whose texts may be joined."""
        noted: list[Event] = []
        run = _Run()
        try:
            for data, name in payloads:
                if self.done:
                    break
                if self._notes is not None and (repeated := self._notes.repeated(data, name)) is not None:
                    slot, text = repeated
                    run.say(slot.kind, slot.part, text)
                else:
                    self._read(data, name, noted, run)
        except UpstreamError as exc:
            self._failure, self.done = exc, True
        if self._notes is not None:
            noted += self._notes.flush()
        return [*noted, *run.events()]

    def decode_whole(self, body: bytes) -> list[Event]:
        """A response as a stream of one payload."""
        noted: list[Event] = []
        run = _Run()
        document = _parse(body)
        slots: list[Slot] = []
        if document.get("error"):
            raise _rejected(document)
        if not isinstance(document.get("output"), list):
            raise UpstreamBroken("the upstream sent a body that is no response")
        self._start(document, run)
        for number, item in enumerate(_list(document.get("output"))):
            self._read_item(_mapping(item), number, run, slots, ("output", number))
        self._read_end(document, run)
        if self._notes is not None:
            noted = self._notes.note(body, b"", document, slots, is_last=True)
        return [*noted, *run.events(), *self.close()]

    def close(self) -> list[Event]:
        if self._failure is not None:
            raise self._failure
        if self._end is None:
            raise UpstreamBroken(f"upstream {self._provider} ended its stream before the answer's end")
        return [*([self._usage] if self._usage else []), MessageEnd(finish_reason=self._end)]

    def _read(self, data: bytes, name: bytes, noted: list[Event], run: "_Run") -> None:
        document = _parse(data)
        kind = document.get("type")
        if not isinstance(kind, str):
            raise UpstreamBroken("the upstream sent an event without a type")
        if kind in _FAILURES:
            raise _rejected(document)
        slots: list[Slot] = []
        if kind.endswith(".delta"):
            self._start({}, run)
            self._read_delta(kind.removesuffix(".delta"), document, run, slots)
        else:
            self._read_other(kind, document, run)
        if self._notes is not None:
            noted += self._notes.note(data, name, document, slots, is_last=self.done)

    def _read_other(self, kind: str, document: Mapping[str, Any], run: "_Run") -> None:
        response = _mapping(document.get("response"))
        self._start(response, run)
        number = _number(document.get("output_index"))
        if kind == "response.output_item.added":
            self._begin_item(_mapping(document.get("item")), number, run)
        elif kind == "response.output_item.done":
            self._end_item(_mapping(document.get("item")), number, run)
        elif kind in _ENDS:
            for at, item in enumerate(_list(response.get("output"))):
                if at not in self._items:  # a provider that tells of an item only at the end
                    self._end_item(_mapping(item), at, run)
            self._read_end(response, run)
            self.done = True
        elif kind.endswith(".done") and (number in self._said or self._notes is not None):
            self._end_text((kind.removesuffix(".done"), number, _indexes(document)), run)

    def _read_delta(self, kind: str, document: Mapping[str, Any], run: "_Run", slots: list[Slot]) -> None:
        """The text of a delta, or the texts in it; of a kind nobody knows, too, where the payload goes on."""
        number = _number(document.get("output_index"))
        place = _indexes(document)
        if self._notes is None:
            self._read_ours(kind, document, number, place, run)
            return
        self._said.add(number)
        for path, text in _strings(document.get("delta"), ("delta",)):
            part = self._part((kind, number, (*place, *path[1:])), run)
            run.say(part.kind, part.part, text, _logprobs(document, text) if kind == "response.output_text" else ())
            slots.append(Slot(kind=part.kind, choice=0, part=part.part, path=path, chars=len(text)))

    def _read_ours(self, kind: str, document: Mapping[str, Any], number: int, place: Path, run: "_Run") -> None:
        """What other dialects have a word for. The parts of one thought are one text: its seal is known at the item's end."""
        text = document.get("delta")
        if not isinstance(text, str) or not text or (kind not in _OUR_KINDS and kind != _CALL):
            return
        if kind == _CALL and number not in self._calls:
            raise UpstreamBroken("the upstream sent arguments of a call it never began")
        self._said.add(number)
        if _KINDS[kind] is PartKind.REASONING:
            self._think(kind, number, place, text, run)
            return
        part = self._part((kind, number, place), run)
        run.say(part.kind, part.part, text, _logprobs(document, text) if kind == "response.output_text" else ())

    def _think(self, kind: str, number: int, place: Path, text: str, run: "_Run") -> None:
        thought = ("thought", number, ())
        if thought in self._texts and (kind, number, place) not in self._texts:
            run.say(PartKind.REASONING, self._texts[thought].part, "\n\n")
        part = self._texts.get(thought)
        if part is None:
            part = self._texts[thought] = self._new_part(PartKind.REASONING, number)
        self._texts[kind, number, place] = part
        run.say(PartKind.REASONING, part.part, text)

    def _part(self, place: _Place, run: "_Run") -> _Text:
        text = self._texts.get(place)
        if text is None:
            if place in self._ended:  # a client would join what a scan of each alone can't
                raise UpstreamBroken("the upstream sent more of a text after its end")
            kind = _KINDS.get(place[0], PartKind.REASONING)
            text = self._texts[place] = self._new_part(kind, place[1])
            if kind is PartKind.TOOL_CALL:
                run.add(_call_start(self._items.get(place[1], {}), text.part))
        return text

    def _new_part(self, kind: PartKind, item: int) -> _Text:
        self._parts += 1
        return _Text(kind, item, self._parts - 1)

    def _begin_item(self, item: Mapping[str, Any], number: int, run: "_Run") -> None:
        """Some providers give a number twice: the item before is over."""
        for text in self._close_texts(number):
            run.add(PartEnd(kind=text.kind, part=text.part))
        self._ended = {place for place in self._ended if place[1] != number}
        self._said.discard(number)
        self._calls.discard(number)
        self._items[number] = item
        self._begin_call(item, number, run)

    def _begin_call(self, item: Mapping[str, Any], number: int, run: "_Run") -> None:
        self._has_call = self._has_call or item.get("type") in _CALLS
        if item.get("type") == "function_call":
            self._calls.add(number)
            self._part((_CALL, number, ()), run)

    def _end_text(self, place: _Place, run: "_Run") -> None:
        """A thought goes on to its item's end where it goes to another dialect."""
        ended = [key for key in self._texts if key[:2] == place[:2] and key[2][: len(place[2])] == place[2]]
        for key in ended:
            text = self._texts[key]
            if self._notes is not None or text.kind is not PartKind.REASONING:
                del self._texts[key]
                self._ended.add(key)
                run.add(PartEnd(kind=text.kind, part=text.part))

    def _end_item(self, item: Mapping[str, Any], number: int, run: "_Run") -> None:
        seal = _seal(item)
        if self._notes is None and number not in self._said:
            self._read_item(item, number, run)
        elif self._notes is None and seal is not None and ("thought", number, ()) not in self._texts:
            self._texts["thought", number, ()] = self._new_part(PartKind.REASONING, number)
        for text in self._close_texts(number):
            signature = seal if self._notes is None and text.kind is PartKind.REASONING else None
            run.add(PartEnd(kind=text.kind, part=text.part, signature=signature))
        self._items[number] = item

    def _close_texts(self, number: int) -> list[_Text]:
        """The open texts of one item, each once, no longer open."""
        places = [place for place, text in self._texts.items() if text.item == number]
        self._ended.update(places)
        return list({text.part: text for text in [self._texts.pop(place) for place in places]}.values())

    def _read_item(
        self, item: Mapping[str, Any], number: int, run: "_Run", slots: list[Slot] | None = None, at: Path = ()
    ) -> None:
        """An item that comes whole."""
        self._items[number] = item
        if number not in self._calls:
            self._begin_call(item, number, run)
        seal = _seal(item) if self._notes is None else None
        for kind, place, path, text in _texts_of(item):
            if self._notes is None and _KINDS[kind] is PartKind.REASONING:
                self._think(kind, number, place, text, run)
                continue
            part = self._part((kind, number, place), run)
            logprobs = _logprobs(_at(item, path[:-1]), text) if kind == "response.output_text" else ()
            run.say(part.kind, part.part, text, logprobs)
            if slots is not None:
                slots.append(Slot(kind=part.kind, choice=0, part=part.part, path=(*at, *path), chars=len(text)))
        if seal is not None and ("thought", number, ()) not in self._texts:
            self._texts["thought", number, ()] = self._new_part(PartKind.REASONING, number)
        for open_text in self._close_texts(number):
            signature = seal if open_text.kind is PartKind.REASONING else None
            run.add(PartEnd(kind=open_text.kind, part=open_text.part, signature=signature))

    def _read_end(self, response: Mapping[str, Any], run: "_Run") -> None:
        for number in {text.item for text in self._texts.values()}:
            for text in self._close_texts(number):
                run.add(PartEnd(kind=text.kind, part=text.part))
        if isinstance(response.get("usage"), dict):
            self._usage = _usage(response["usage"])
        status = response.get("status")
        if status == "incomplete":
            reason = _mapping(response.get("incomplete_details")).get("reason")
            self._end = FinishReason.CONTENT_FILTER if reason == "content_filter" else FinishReason.LENGTH
        elif status in ("completed", None):
            self._end = FinishReason.TOOL_CALLS if self._has_call else FinishReason.STOP
        else:
            raise _rejected({"response": response})

    def _start(self, response: Mapping[str, Any], run: "_Run") -> None:
        if not self._started:
            self._started = True
            model = response.get("model")
            model = model[:_NAME_LIMIT_CHARS] if isinstance(model, str) else ""
            name = response.get("id")
            name = name if isinstance(name, str) and len(name) <= _NAME_LIMIT_CHARS else None
            run.add(MessageStart(served=ServedBy(provider=self._provider, model=model, response_id=name)))


def decode_response(body: bytes, *, provider: str, verbatim: Exchange | None = None) -> list[Event]:
    return EventDecoder(provider=provider, verbatim=verbatim).decode_whole(body)


class _Run:
    """Events in their order, deltas of one text that follow each other joined: every stage and the client get fewer of them."""

    __slots__ = ("_events", "_key", "_logprobs", "_texts")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._key: tuple[PartKind, int] | None = None
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []

    def say(self, kind: PartKind, part: int, text: str, logprobs: Iterable[TokenLogprob] = ()) -> None:
        if (kind, part) != self._key:
            self._settle()
            self._key = (kind, part)
        self._texts.append(text)
        self._logprobs += logprobs

    def add(self, event: Event) -> None:
        self._settle()
        self._events.append(event)

    def events(self) -> list[Event]:
        self._settle()
        return self._events

    def _settle(self) -> None:
        if self._key is None:
            return
        (kind, part), text = self._key, "".join(self._texts)
        if kind is PartKind.TEXT:
            self._events.append(TextDelta(text=text, part=part, logprobs=tuple(self._logprobs)))
        elif kind is PartKind.REASONING:
            self._events.append(ReasoningDelta(text=text, part=part))
        else:
            self._events.append(ToolCallDelta(arguments=text, part=part))
        self._key, self._texts, self._logprobs = None, [], []


def _parse(data: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise UpstreamBroken("the upstream sent something that is not JSON") from exc
    if not isinstance(document, dict):
        raise UpstreamBroken("the upstream sent an event that is no object")
    return document


def _texts_of(item: Mapping[str, Any]) -> Iterator[tuple[str, Path, Path, str]]:
    """(event kind, place in the item, path in the item, text) of what an item says."""
    for at, part in enumerate(_list(item.get("summary"))):
        if isinstance(text := _mapping(part).get("text"), str) and text:
            yield "response.reasoning_summary_text", (at,), ("summary", at, "text"), text
    for at, part in enumerate(_list(item.get("content"))):
        for key, kind in (("text", "output_text"), ("refusal", "refusal")):
            if isinstance(text := _mapping(part).get(key), str) and text:
                yield (
                    "response." + ("reasoning_text" if item.get("type") == "reasoning" else kind),
                    (at,),
                    ("content", at, key),
                    text,
                )
    if item.get("type") == "function_call" and isinstance(text := item.get("arguments"), str) and text:
        yield _CALL, (), ("arguments",), text


def _strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        if value:
            yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strings(item, (*path, number))


def _call_start(item: Mapping[str, Any], part: int) -> ToolCallStart:
    """The provider's own calls have no call_id, and some no name."""
    call_id, name = item.get("call_id") or item.get("id"), item.get("name") or item.get("type")
    return ToolCallStart(
        call_id=call_id[:_NAME_LIMIT_CHARS] if isinstance(call_id, str) else f"call_{part}",
        name=name[:_NAME_LIMIT_CHARS] if isinstance(name, str) else "",
        part=part,
    )


def _seal(item: Mapping[str, Any]) -> str | None:
    seal = item.get("encrypted_content") if item.get("type") == "reasoning" else None
    return OWN_SEAL + seal if isinstance(seal, str) and seal else None


def _indexes(document: Mapping[str, Any]) -> Path:
    return tuple(_number(document[name]) for name in _INDEXES if name in document)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def _usage(usage: Mapping[str, Any]) -> Usage:
    read, made = _mapping(usage.get("input_tokens_details")), _mapping(usage.get("output_tokens_details"))
    return Usage(
        input_tokens=_count(usage.get("input_tokens")),
        output_tokens=_count(usage.get("output_tokens")),
        cached_input_tokens=_count(read.get("cached_tokens")),
        cache_write_tokens=_count(read.get("cache_write_tokens")),
        reasoning_tokens=_count(made.get("reasoning_tokens")),
    )


def _count(value: Any) -> int | None:
    """A count that makes no sense is unknown: it is no reason to lose the answer."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else None


def _logprobs(said: Mapping[str, Any], text: str) -> tuple[TokenLogprob, ...]:
    """Of the tokens that make up the text; none where they do not."""
    try:
        tokens = tuple(
            TokenLogprob(
                token=token["token"],
                token_bytes=_bytes(token),
                logprob=float(token["logprob"]),
                top=tuple(
                    (likely["token"], _bytes(likely), float(likely["logprob"])) for likely in token.get("top_logprobs") or ()
                ),
            )
            for token in said.get("logprobs") or ()
        )
        return tokens if b"".join(token.token_bytes for token in tokens).decode() == text else ()
    except (AttributeError, KeyError, TypeError, ValueError):
        return ()


def _bytes(token: Mapping[str, Any]) -> bytes:
    given = token.get("bytes")
    return bytes(given) if given is not None else token["token"].encode()


def _rejected(document: Mapping[str, Any]) -> UpstreamRejected:
    """An error in the place of an answer. Its words are the provider's: the gateway lets the guard see them."""
    error = _mapping(document.get("error")) or _mapping(_mapping(document.get("response")).get("error")) or document
    message, code = error.get("message"), error.get("code")
    return UpstreamRejected(
        message[:_MESSAGE_LIMIT_CHARS] if isinstance(message, str) and message else "the upstream broke off with an error",
        status=_STATUSES.get(code, 502) if isinstance(code, str) else 502,
    )
