"""A stage that replaces parts of texts, found from left to right: what a dictionary's terms and a client's tokens have in common.

Each text of an answer is a stream of its own, by (kind, choice, part). Of a text only a tail is held that could still become
something to replace. What another stage put in a value's place (`source_chars`) is never looked into; it ends what is before it.
A delta nothing happens to goes on as it came, log-probabilities included; of one that is cut or touched they are left out, and
one that has them is held whole.
"""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from freehold.core.events import (
    Blocked,
    Event,
    MessageEnd,
    PartEnd,
    PartKind,
    PromptText,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)

Delta = TextDelta | ReasoningDelta | ToolCallDelta
Key = tuple[PartKind, int, int]  # kind, choice, part
_KINDS: dict[type[Delta], PartKind] = {
    TextDelta: PartKind.TEXT,
    ReasoningDelta: PartKind.REASONING,
    ToolCallDelta: PartKind.TOOL_CALL,
}


class Swap(NamedTuple):
    """`text` in the place of [start, end); None leaves what is there."""

    start: int
    end: int
    text: str | None
    notes: tuple[Event, ...] = ()  # for the record


class Searched(NamedTuple):
    swaps: Sequence[Swap]  # in order and apart; all end by `stop`
    stop: int  # from here on it is too early to say


class Search(Protocol):
    """Looks at one text. `at` is where in `text` it has not looked yet; before it is a character of context, or nothing."""

    def look(self, text: str, at: int, position: int, *, is_whole: bool) -> Searched:
        """`position` of `text[at]` in the channel. `is_whole`: nothing follows."""


class StreamReplacer:
    """The part of a stage that looks after texts; who derives from it says what is looked for."""

    def __init__(self) -> None:
        self._streams: dict[Key, _Stream] = {}

    def search(self, key: Key) -> Search | None:
        """What is looked for in the text `key`; None where nothing is."""
        raise NotImplementedError

    def on_delta(self, event: Delta) -> list[Event]:
        key = (_KINDS[type(event)], event.choice, event.part)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream(self.search(key))
        return stream.take(event)

    def on_end(self, event: PartEnd | MessageEnd | Blocked | None) -> list[Event]:
        """What is held of the texts that `event` ends; None ends all."""
        match event:
            case PartEnd():
                keys = [key for key in self._streams if key == (event.kind, event.choice, event.part)]
            case MessageEnd():
                keys = [key for key in self._streams if key[1] == event.choice]
            case _:
                keys = list(self._streams)
        return [out for key in keys for out in self._streams.pop(key).end()]

    def close(self) -> list[Event]:
        return self.on_end(None)


class _Stream:
    """One text."""

    __slots__ = ("_before", "_held", "_position", "_search", "_text")

    def __init__(self, search: Search | None) -> None:
        self._search = search
        self._before = ""  # the last character that was sent
        self._text = ""  # what is held
        self._held: list[Delta] = []  # and the deltas it came in; the first may have been sent in part
        self._position = 0  # of what is held, in the channel

    def take(self, event: Delta) -> list[Event]:
        search = self._search
        if search is None:
            return [event]
        if event.source_chars is not None:
            out = self.end()
            self._position += event.source_chars
            self._before = _last_seen(text_of(event)) or self._before
            return [*out, event]
        text = text_of(event)
        if not self._held:  # as almost always
            before = self._before
            swaps, stop = search.look(before + text, len(before), self._position, is_whole=False)
            if not swaps and stop == len(before) + len(text):
                self._position += len(text)
                self._before = _last_seen(text) or before
                return [event]
        self._held.append(event)
        self._text += text
        return self._release(search, is_whole=False)

    def end(self) -> list[Event]:
        return self._release(self._search, is_whole=True) if self._search is not None and self._held else []

    def _release(self, search: Search, *, is_whole: bool) -> list[Event]:
        at = len(self._before)
        swaps, stop = search.look(self._before + self._text, at, self._position, is_whole=is_whole)
        swaps = [swap._replace(start=swap.start - at, end=swap.end - at) for swap in swaps]
        stop = self._whole_deltas(swaps, stop - at)
        out = self._pieces([swap for swap in swaps if swap.start < stop and swap.end <= stop], stop)
        self._before = _last_seen(self._text[:stop]) or self._before
        self._text = self._text[stop:]
        self._position += stop
        return out

    def _whole_deltas(self, swaps: Sequence[Swap], stop: int) -> int:
        """`stop`, or before it where a delta with log-probabilities would be cut in two, or a swap."""
        if not any(isinstance(event, TextDelta) and event.logprobs for event in self._held):
            return stop
        ends, end = [0], len(self._text) - sum(len(text_of(event)) for event in self._held)
        for event in self._held:
            end += len(text_of(event))
            ends.append(end)
        while True:
            stop = max(end for end in ends if end <= stop)
            cut = [swap.start for swap in swaps if swap.start < stop < swap.end]
            if not cut:
                return stop
            stop = cut[0]

    def _pieces(self, swaps: Sequence[Swap], stop: int) -> list[Event]:
        """What [0, stop) of the held text becomes: deltas as they came where nothing happens to them."""
        out: list[Event] = []
        first = self._held[0]
        at = 0
        for swap in swaps:
            out += self._clean(at, swap.start)
            out += swap.notes
            if swap.text is None:
                out += self._clean(swap.start, swap.end)
            else:
                self._drop(swap.end - swap.start)
                out.append(with_text(first, swap.text, swap.end - swap.start))
            at = swap.end
        return [*out, *self._clean(at, stop)]

    def _clean(self, start: int, stop: int) -> list[Event]:
        """The next `stop - start` characters held."""
        out: list[Event] = []
        left = stop - start
        while left or (self._held and not text_of(self._held[0])):
            event = self._held[0]
            text = text_of(event)
            if len(text) <= left:
                out.append(self._held.pop(0))
                left -= len(text)
                continue
            if not left:
                break
            out.append(with_text(event, text[:left], None))
            self._held[0] = with_text(event, text[left:], None)
            left = 0
        return out

    def _drop(self, chars: int) -> None:
        while chars:
            event = self._held[0]
            text = text_of(event)
            if len(text) <= chars:
                self._held.pop(0)
                chars -= len(text)
            else:
                self._held[0] = with_text(event, text[chars:], None)
                chars = 0


def text_of(event: Delta) -> str:
    return event.arguments if isinstance(event, ToolCallDelta) else event.text


def _last_seen(text: str) -> str:
    """The last character that is not one nobody sees: those say nothing of where a word begins."""
    if not text or text[-1].isascii():
        return text[-1:]
    return next((char for char in reversed(text) if unicodedata.category(char) not in ("Cf", "Mn", "Me")), "")


def with_text(event: Delta, text: str, source_chars: int | None) -> Delta:
    if isinstance(event, TextDelta):
        return TextDelta(text=text, choice=event.choice, part=event.part, source_chars=source_chars)
    if isinstance(event, ReasoningDelta):
        return ReasoningDelta(text=text, choice=event.choice, part=event.part, source_chars=source_chars)
    return ToolCallDelta(arguments=text, choice=event.choice, part=event.part, source_chars=source_chars)


def replaced(search: Search, event: PromptText) -> tuple[str, list[Event]]:
    """(the whole text with its swaps made, what is for the record)."""
    text, out, notes, at = event.text, list[str](), list[Event](), 0
    for swap in search.look(text, 0, 0, is_whole=True).swaps:
        out += [text[at : swap.start], text[swap.start : swap.end] if swap.text is None else swap.text]
        notes += swap.notes
        at = swap.end
    return "".join([*out, text[at:]]), notes
