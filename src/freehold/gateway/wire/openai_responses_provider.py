"""A Responses answer as providers send it: the stream's events, or one response, to events.

A text is known by its event's kind and its place in the output; where an item or a text is done, `PartEnd` follows, and a text
that goes on after its end is a new part. For a client of the same dialect every payload goes on as it came: deltas of whatever
kind are scanned as one text each, and what repeats them (`done`, `completed`) whole. For others, what counts is messages,
thoughts and function calls: nobody asked for the provider's own tools.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from freehold.core.errors import UpstreamBroken
from freehold.core.events import (
    FIRST_REFUSAL_PART,
    Event,
    FinishReason,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    ServedBy,
    Usage,
)
from freehold.core.exchange import Exchange, Path
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire import openai_responses_fields as read
from freehold.gateway.wire.decoder import NAME_LIMIT_CHARS, Decoder, Run
from freehold.gateway.wire.leaves import strings, value_at
from freehold.gateway.wire.openai_responses_verbatim import ResponseNotes

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
_OURS = (*_OUR_KINDS, read.CALL)
_CLIENTS = (read.CALL, "response.custom_tool_call_input")  # arguments of what the client runs

_Place: TypeAlias = tuple[str, int, Path]  # the event's kind, the item's number, what leads to the text in the item


class _Text:
    """A text under way."""

    __slots__ = ("item", "key", "kind", "part")

    def __init__(self, kind: PartKind, item: int, part: int) -> None:
        self.kind, self.item, self.part = kind, item, part
        self.key = (kind, 0, part)


class EventDecoder(Decoder):
    """The stream of any provider to events."""

    __slots__ = (
        "_calls", "_end", "_ended", "_has_call", "_items", "_notes", "_parts", "_said", "_started", "_texts", "_untold", "_usage"
    )  # fmt: skip

    def __init__(self, *, provider: str, verbatim: Exchange | None = None) -> None:
        super().__init__(provider)
        self._notes = ResponseNotes() if verbatim is not None else None
        self._started = self._has_call = False
        self._parts = 0  # handed out
        self._texts: dict[_Place, _Text] = {}  # open
        self._ended: set[_Place] = set()
        self._items: dict[int, Mapping[str, Any]] = {}  # as they were added
        self._calls: set[int] = set()  # items whose ToolCallStart was given
        self._said: set[int] = set()  # items that were streamed
        self._untold: dict[int, int] = {}  # items that are calls whose arguments come at their end alone -> part
        self._usage: Usage | None = None
        self._end: FinishReason | None = None

    def _read_all(self, payloads: Iterable[SseEvent], run: Run) -> None:
        try:
            for data, name in payloads:
                if self.done:
                    break
                if self._notes is not None and (repeated := self._notes.repeated(data, name)) is not None:
                    slot, text = repeated
                    run.say((slot.kind, 0, slot.part), text)
                else:
                    self._read(data, name, run)
        finally:
            if self._notes is not None:
                run.noted += self._notes.flush()

    def whole(self, body: bytes) -> list[Event]:
        """A response as a stream of one payload."""
        run = Run()
        slots = run.slots = []
        document = read.parse(body)
        if document.get("error"):
            raise read.rejection(document)
        if not isinstance(document.get("output"), list):
            raise UpstreamBroken("the upstream sent a body that is no response")
        self._start(document, run)
        for number, item in enumerate(read.items(document.get("output"))):
            self._read_item(read.mapping(item), number, run, ("output", number))
        self._read_end(document, run)
        if self._notes is not None:
            run.noted = self._notes.note(body, b"", document, slots, is_last=True)
        return [*run.events(), *self.close()]

    def _ends(self) -> list[Event]:
        if self._end is None:
            raise self._ended_early()
        return [*([self._usage] if self._usage else []), MessageEnd(finish_reason=self._end)]

    def _read(self, data: bytes, name: bytes, run: Run) -> None:
        document = read.parse(data)
        kind = document.get("type")
        if not isinstance(kind, str):
            raise UpstreamBroken("the upstream sent an event without a type")
        if kind in _FAILURES:
            raise read.rejection(document)
        slots = run.slots = []
        if kind.endswith(".delta"):
            if not self._started:
                self._start({}, run)
            self._read_delta(kind.removesuffix(".delta"), document, run)
        else:
            self._read_other(kind, document, run)
        if self._notes is not None:
            run.noted += self._notes.note(data, name, document, slots, is_last=self.done)

    def _read_other(self, kind: str, document: Mapping[str, Any], run: Run) -> None:
        response = read.mapping(document.get("response"))
        self._start(response, run)
        number = read.number(document.get("output_index"))
        if kind == "response.output_item.added":
            self._begin_item(read.mapping(document.get("item")), number, run)
        elif kind == "response.output_item.done":
            self._end_item(read.mapping(document.get("item")), number, run, ("item",))
        elif kind in _ENDS:
            for at, item in enumerate(read.items(response.get("output"))):
                if at not in self._items or at in self._untold:  # a provider that tells of an item only at the end
                    self._end_item(read.mapping(item), at, run, ("response", "output", at))
            self._read_end(response, run)
            self.done = True
        elif kind.endswith(".done") and (number in self._said or self._notes is not None):
            if self._notes is not None:
                self._say_whole(document, number, run, ())
            self._end_text((kind.removesuffix(".done"), number, read.indexes(document)), run)

    def _read_delta(self, kind: str, document: Mapping[str, Any], run: Run) -> None:
        """The text of a delta, or the texts in it; of a kind nobody knows, too, where the payload goes on."""
        number = read.number(document.get("output_index"))
        place = read.indexes(document)
        if self._notes is None:
            self._read_ours(kind, document, number, place, run)
            return
        self._said.add(number)
        try:
            texts = list(strings(document.get("delta"), ("delta",)))
        except RecursionError as exc:
            raise UpstreamBroken("the upstream sent an answer that nests too deep to be read") from exc
        for path, text in texts:
            part = self._part((kind, number, (*place, *path[1:])), run)
            likely = read.logprobs(document, text) if kind == "response.output_text" else ()
            run.say(part.key, text, path, likely)

    def _read_ours(self, kind: str, document: Mapping[str, Any], number: int, place: Path, run: Run) -> None:
        """What other dialects have a word for. The parts of one thought are one text: its seal is known at the item's end."""
        text = document.get("delta")
        if not isinstance(text, str) or not text or (kind not in _OUR_KINDS and kind != read.CALL):
            return
        if kind == read.CALL and number not in self._calls:
            raise UpstreamBroken("the upstream sent arguments of a call it never began")
        self._said.add(number)
        if _KINDS[kind] is PartKind.REASONING:
            self._think(kind, number, place, text, run)
            return
        part = self._part((kind, number, place), run)
        run.say(part.key, text, (), read.logprobs(document, text) if kind == "response.output_text" else ())

    def _think(self, kind: str, number: int, place: Path, text: str, run: Run) -> None:
        thought = ("thought", number, ())
        if thought in self._texts and (kind, number, place) not in self._texts:
            run.say(self._texts[thought].key, "\n\n")
        part = self._texts.get(thought)
        if part is None:
            part = self._texts[thought] = self._new_part(PartKind.REASONING, number)
        self._texts[kind, number, place] = part
        run.say(part.key, text)

    def _part(self, place: _Place, run: Run) -> _Text:
        text = self._texts.get(place)
        if text is None:
            if place in self._ended:  # a client would join what a scan of each alone can't
                raise UpstreamBroken("the upstream sent more of a text after its end")
            kind = _KINDS.get(place[0], PartKind.REASONING)
            if place[0] in _CLIENTS and place[1] not in self._calls:
                raise UpstreamBroken("the upstream sent arguments of a call it never began")
            first = FIRST_REFUSAL_PART if place[0] == "response.refusal" else 0
            text = self._texts[place] = self._new_part(kind, place[1], first)
            if kind is PartKind.TOOL_CALL:
                run.add(read.call_start(self._items.get(place[1], {}), text.part))
        return text

    def _new_part(self, kind: PartKind, item: int, first: int = 0) -> _Text:
        self._parts += 1
        return _Text(kind, item, first + self._parts - 1)

    def _begin_item(self, item: Mapping[str, Any], number: int, run: Run) -> None:
        """Some providers give a number twice: the item before is over."""
        for text in self._close_texts(number):
            run.add(PartEnd(kind=text.kind, part=text.part))
        self._ended = {place for place in self._ended if place[1] != number}
        self._said.discard(number)
        self._calls.discard(number)
        self._items[number] = item
        self._begin_call(item, number, run, ("item",))

    def _begin_call(self, item: Mapping[str, Any], number: int, run: Run, at: Path) -> None:
        """A call whose arguments are streamed begins at once; of others it waits for them."""
        kind = item.get("type")
        if not isinstance(kind, str):
            return
        self._has_call = self._has_call or kind in _CALLS
        event = read.STREAMED_CALLS.get(kind)
        if event == read.CALL or (event is not None and self._notes is not None):
            self._calls.add(number)
            part = self._part((event, number, ()), run).part
        elif self._notes is not None and read.is_run_by_client(kind):
            self._has_call = True
            part = self._untold[number] = self._new_part(PartKind.TOOL_CALL, number).part
        else:
            return
        run.place_call(0, part, at)

    def _say_whole(self, said: Mapping[str, Any], number: int, run: Run, at: Path) -> None:
        """Arguments of a call, where no delta told them."""
        for event, field in read.CALL_TEXTS.items():
            text, part = said.get(field), self._texts.get((event, number, ()))
            if number not in self._said and part is not None and isinstance(text, str) and text:
                self._said.add(number)
                run.say(part.key, text, (*at, field))

    def _end_text(self, place: _Place, run: Run) -> None:
        """A thought goes on to its item's end where it goes to another dialect."""
        ended = [key for key in self._texts if key[:2] == place[:2] and key[2][: len(place[2])] == place[2]]
        for key in ended:
            text = self._texts[key]
            if self._notes is not None or text.kind is not PartKind.REASONING:
                del self._texts[key]
                self._ended.add(key)
                run.add(PartEnd(kind=text.kind, part=text.part))

    def _end_item(self, item: Mapping[str, Any], number: int, run: Run, at: Path) -> None:
        if self._notes is not None:
            if number not in self._items:
                self._items[number] = item
                self._begin_call(item, number, run, at)
            self._say_whole(item, number, run, at)
            self._tell(item, number, run)
        seal = read.seal(item)
        if self._notes is None and number not in self._said:
            self._read_item(item, number, run, at)
        elif self._notes is None and seal is not None and ("thought", number, ()) not in self._texts:
            self._texts["thought", number, ()] = self._new_part(PartKind.REASONING, number)
        for text in self._close_texts(number):
            signature = seal if self._notes is None and text.kind is PartKind.REASONING else None
            run.add(PartEnd(kind=text.kind, part=text.part, signature=signature))
        self._items[number] = item

    def _tell(self, item: Mapping[str, Any], number: int, run: Run) -> None:
        """A call of which nothing was streamed is known now."""
        if (part := self._untold.pop(number, None)) is not None:
            run.add(read.whole_call(item, part))
            run.add(PartEnd(kind=PartKind.TOOL_CALL, part=part))

    def _close_texts(self, number: int) -> list[_Text]:
        """The open texts of one item, each once, no longer open."""
        places = [place for place, text in self._texts.items() if text.item == number]
        self._ended.update(places)
        return list({text.part: text for text in [self._texts.pop(place) for place in places]}.values())

    def _read_item(self, item: Mapping[str, Any], number: int, run: Run, at: Path) -> None:
        """An item that comes whole."""
        self._items[number] = item
        if number not in self._calls:
            self._begin_call(item, number, run, at)
        self._tell(item, number, run)
        seal = read.seal(item) if self._notes is None else None
        for kind, place, path, text in read.texts_of(item):
            if self._notes is None and kind not in _OURS:
                continue
            if self._notes is None and _KINDS[kind] is PartKind.REASONING:
                self._think(kind, number, place, text, run)
                continue
            part = self._part((kind, number, place), run)
            logprobs = read.logprobs(value_at(item, path[:-1]), text) if kind == "response.output_text" else ()
            run.say(part.key, text, (*at, *path), logprobs)
        if seal is not None and ("thought", number, ()) not in self._texts:
            self._texts["thought", number, ()] = self._new_part(PartKind.REASONING, number)
        for open_text in self._close_texts(number):
            signature = seal if open_text.kind is PartKind.REASONING else None
            run.add(PartEnd(kind=open_text.kind, part=open_text.part, signature=signature))

    def _read_end(self, response: Mapping[str, Any], run: Run) -> None:
        for number in {text.item for text in self._texts.values()}:
            for text in self._close_texts(number):
                run.add(PartEnd(kind=text.kind, part=text.part))
        if isinstance(response.get("usage"), dict):
            self._usage = read.usage(response["usage"])
        status = response.get("status")
        if status == "incomplete":
            reason = read.mapping(response.get("incomplete_details")).get("reason")
            self._end = FinishReason.CONTENT_FILTER if reason == "content_filter" else FinishReason.LENGTH
        elif status in ("completed", None):
            self._end = FinishReason.TOOL_CALLS if self._has_call else FinishReason.STOP
        else:
            raise read.rejection({"response": response})

    def _start(self, response: Mapping[str, Any], run: Run) -> None:
        if not self._started:
            self._started = True
            model = response.get("model")
            model = model[:NAME_LIMIT_CHARS] if isinstance(model, str) else ""
            name = response.get("id")
            name = name if isinstance(name, str) and len(name) <= NAME_LIMIT_CHARS else None
            run.add(MessageStart(served=ServedBy(provider=self._provider, model=model, response_id=name)))


def decode_response(body: bytes, *, provider: str, verbatim: Exchange | None = None) -> list[Event]:
    return EventDecoder(provider=provider, verbatim=verbatim).whole(body)
