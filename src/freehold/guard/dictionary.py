"""Dictionaries: terms of an operator's own, thousands of them, of any words and in any script, as a stage after the detectors'.

Terms are compared as people read them: without accents, width, and characters nobody sees, any blanks as one; `ignore_case` goes
without case, too. A term that policy hides is hidden from the first of its characters to the last; of terms that begin at the
same place the strictest ruling counts, then the longest. One that is only recorded hides no other. A text with backslashes is
read twice, as it stands and with the escapes of JSON and most languages resolved, however deep one string lies in another.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import assert_never

from freehold.core.events import (
    Aside,
    Blocked,
    Event,
    Found,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    Payload,
    PromptText,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from freehold.core.findings import Action, Channel, Direction, Finding, Verdict
from freehold.guard.replacing import Key, Search, Searched, StreamReplacer, Swap, replaced
from freehold.guard.ruling import Hit, Ruling, Rulings, RulingTable, findings_of, strictest
from freehold.guard.seal import Seal
from freehold.guard.terms import TermIndex

_BLANKS = re.compile(r"\s+")
_SLASHES = r"\\{1,16}"  # of a string in a string, four deep
_ESCAPE = re.compile(rf"{_SLASHES}(?:u([0-9a-fA-F]{{4}})|([\"/'])|[bfnrt])|{_SLASHES}")
_OPEN_ESCAPE = re.compile(rf"(?:{_SLASHES}u[dD][89abAB][0-9a-fA-F]{{2}})?{_SLASHES}(?:u[0-9a-fA-F]{{0,4}}|[\"/'bfnrt])?$")
_OPEN_CHARS = 48  # that such a tail has at most
_CHANNELS = {PartKind.TEXT: Channel.TEXT, PartKind.REASONING: Channel.REASONING, PartKind.TOOL_CALL: Channel.TOOL_ARGUMENTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class TermSet:
    """One dictionary, ready: implements `policy.Subject`."""

    id: str
    category: str
    confidence: float
    ignore_case: bool
    index: TermIndex = field(repr=False)
    digest: str  # SHA-256 of terms and settings, hex


def term_set(
    name: str, terms: Sequence[str], *, category: str, confidence: float, ignore_case: bool, whole_words: bool
) -> TermSet:
    """`terms` have two characters or more each once they are read as people do (`read`)."""
    said = sorted({read(term, ignore_case).text.strip() for term in terms})
    settings = [name, str(ignore_case), str(whole_words), *said]
    return TermSet(
        id=name,
        category=category,
        confidence=confidence,
        ignore_case=ignore_case,
        index=TermIndex(said, whole_words=whole_words),
        digest=hashlib.sha256("\0".join(settings).encode("utf-8", "surrogatepass")).hexdigest(),
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as it is compared. `places` has where each of its characters stands in the original; None: where it stands here.

    `ends`, where each ends there; None: one further on. A text with escapes resolved has them.
    """

    text: str = field(repr=False)
    places: Sequence[int] | None
    ends: Sequence[int] | None = None

    def place(self, at: int, end: int) -> int:
        """Where the character `at` stands; `end` of the original behind the last."""
        if self.places is None:
            return at
        return self.places[at] if at < len(self.places) else end

    def end(self, last: int) -> int:
        """Where the character `last` ends."""
        return self.ends[last] if self.ends is not None else (last if self.places is None else self.places[last]) + 1


def read(text: str, ignore_case: bool) -> Reading:
    if not text.isascii():
        return _read_any(text, ignore_case)
    said = text if text.isprintable() and "  " not in text else _BLANKS.sub(" ", text)
    if ignore_case:
        said = said.lower()
    if len(said) == len(text):
        return Reading(said, None)
    places: list[int] = []
    at = 0
    for blanks in _BLANKS.finditer(text):
        places += range(at, blanks.start() + 1)
        at = blanks.end()
    return Reading(said, [*places, *range(at, len(text))])


def _read_any(text: str, ignore_case: bool) -> Reading:
    said: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        for plain in _plain(char, ignore_case):
            if plain == " " and said and said[-1] == " ":
                continue
            said.append(plain)
            places.append(place)
    return Reading("".join(said), places)


def resolved(text: str) -> str:
    """What a text with escapes says."""
    said = _ESCAPE.sub(_resolved, text)
    return said if said.isascii() else said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_escaped(text: str, ignore_case: bool) -> Reading:
    """As `read`, of what the text says once its escapes are resolved."""
    said: list[str] = []
    places: list[int] = []
    ends: list[int] = []
    at = 0
    for escape in _ESCAPE.finditer(text):
        start, end = escape.span()
        said += text[at:start]
        places += range(at, start)
        ends += range(at + 1, start + 1)
        char = _resolved(escape)
        if said and "\udc00" <= char <= "\udfff" and "\ud800" <= said[-1] <= "\udbff" and ends[-1] == start:
            said[-1], ends[-1] = (said[-1] + char).encode("utf-16", "surrogatepass").decode("utf-16"), end
        else:
            said.append(char)
            places.append(start)
            ends.append(end)
        at = end
    said += text[at:]
    places += range(at, len(text))
    ends += range(at + 1, len(text) + 1)
    reading = read("".join(said), ignore_case)
    inner = range(len(reading.text)) if reading.places is None else reading.places
    return Reading(reading.text, [places[place] for place in inner], [ends[place] for place in inner])


def _resolved(escape: re.Match[str]) -> str:
    number, char = escape.groups()
    if number is not None:
        return chr(int(number, 16))
    return char or (" " if escape[0][-1] != "\\" else "\\")


def _settled(text: str) -> int:
    """How much of a text is before an escape at its end, which may go on, or say where a word begins."""
    tail = _OPEN_ESCAPE.search(text, max(0, len(text) - _OPEN_CHARS))
    return len(text) if tail is None else tail.start()


@lru_cache(maxsize=8192)
def _plain(char: str, ignore_case: bool) -> str:
    if char.isspace():
        return " "
    said = "".join(c for c in unicodedata.normalize("NFKD", char) if unicodedata.category(c) not in ("Cf", "Mn", "Me"))
    return said.casefold() if ignore_case else said


class DictionaryStage(StreamReplacer):
    """A `Stage`. `sets` have their rulings in `table` from number `first` on."""

    def __init__(
        self, sets: Sequence[TermSet], first: int, table: RulingTable, direction: Direction, policy_digest: str, seal: Seal
    ) -> None:
        super().__init__()
        self._sets, self._first, self._table = sets, first, table
        self._direction, self._policy_digest = direction, policy_digest
        self._seal, self._json_seal = seal, seal.for_json()
        self._tools: dict[tuple[int, int], str] = {}
        self._has_blocked = False

    def receive(self, event: Event) -> list[Event]:
        return self._until_blocked(self._receive(event))

    def close(self) -> list[Event]:
        return self._until_blocked(super().close())

    def search(self, key: Key) -> Search | None:
        kind, choice, part = key
        tool = self._tools.get((choice, part), "") if kind is PartKind.TOOL_CALL else ""
        return self._terms(_CHANNELS[kind], part, tool, self._json_seal if kind is PartKind.TOOL_CALL else self._seal)

    def _receive(self, event: Event) -> list[Event]:
        match event:
            case TextDelta() | ReasoningDelta() | ToolCallDelta():
                return self.on_delta(event)
            case PromptText():
                text, notes = self._whole(event)
                if not notes:
                    return [event]
                return [*notes, replace(event, text=text)]
            case ToolCallStart():
                return self._call(event)
            case PartEnd() | MessageEnd() | Blocked():
                return [*self.on_end(event), event]
            case MessageStart() | Payload() | Usage() | Aside():
                return [event]
            case _:
                assert_never(event)

    def _whole(self, event: PromptText) -> tuple[str, list[Event]]:
        is_json = event.channel is Channel.TOOL_ARGUMENTS and event.text.lstrip()[:1] == "{"
        search = self._terms(event.channel, event.leaf, event.tool, self._json_seal if is_json else self._seal)
        return (event.text, []) if search is None else replaced(search, event)

    def _call(self, event: ToolCallStart) -> list[Event]:
        """A tool's name and its call's id are text, too."""
        self._tools[event.choice, event.part] = event.name
        (call_id, first), (name, second) = (
            self._whole(PromptText(leaf=event.part, channel=Channel.OTHER, text=text)) for text in (event.call_id, event.name)
        )
        notes = [*first, *second]
        return [*notes, ToolCallStart(call_id=call_id, name=name, choice=event.choice, part=event.part)] if notes else [event]

    def _terms(self, channel: Channel, part: int, tool: str, seal: Seal) -> "_Terms | None":
        rulings: Rulings = self._table.of(channel, tool)
        ruled = [(ruling, terms) for number, terms in enumerate(self._sets, self._first) if (ruling := rulings[number])]
        return _Terms(ruled, self._direction, channel, part, seal) if ruled else None

    def _until_blocked(self, events: list[Event]) -> list[Event]:
        if self._has_blocked:
            return []
        for number, event in enumerate(events):
            if isinstance(event, Found) and event.finding.enforced is Action.BLOCK:
                self._has_blocked = True
                return [*events[: number + 1], self._blocked([event.finding])]
        return events

    def _blocked(self, findings: list[Finding]) -> Blocked:
        verdict = Verdict(action=Action.BLOCK, policy_digest=self._policy_digest, findings=tuple(findings))
        return Blocked(verdict=verdict)


class _Terms:
    """Finds the terms of some dictionaries in one text: implements `replacing.Search`."""

    def __init__(
        self, ruled: list[tuple[Ruling, TermSet]], direction: Direction, channel: Channel, part: int, seal: Seal
    ) -> None:
        self._ruled, self._cases = ruled, {terms.ignore_case for _, terms in ruled}
        self._direction, self._channel, self._part, self._seal = direction, channel, part, seal

    def look(self, text: str, at: int, position: int, *, is_whole: bool) -> Searched:
        readings = [{ignore: read(text, ignore) for ignore in self._cases}]
        stop = len(text)
        if "\\" in text:
            stop = max(at, len(text) if is_whole else _settled(text))
            said = resolved(text[:stop])
            if self._may_be_in({ignore: read(said, ignore) for ignore in self._cases}):
                readings.append({ignore: read_escaped(text[:stop], ignore) for ignore in self._cases})
        if len(readings) == 1 and not self._may_be_in(readings[0]):
            return Searched((), stop)  # as almost always
        walks = [_Walk(ruling, terms, reading[terms.ignore_case], stop) for reading in readings for ruling, terms in self._ruled]
        swaps: list[Swap] = []
        offset = position - at
        while waiting := [walk for walk in walks if walk.seek(at)]:
            start = min(walk.start for walk in waiting)
            here = [walk for walk in waiting if walk.start == start]
            if not is_whole and any(walk.may_go_on() for walk in here):
                return Searched(swaps, max(at, _settled(text[:start])))  # what an escape before it says is looked at again
            found: list[tuple[Ruling, int]] = []
            for walk in here:
                if (end := walk.end()) is not None and (walk.ruling, end) not in found:
                    found.append((walk.ruling, end))
            if any(end > stop for _, end in found):
                return Searched(swaps, max(at, _settled(text[:start])))
            at = self._decide(text, start, found, swaps, offset)
        return Searched(swaps, stop)

    def _decide(self, text: str, start: int, found: list[tuple[Ruling, int]], swaps: list[Swap], offset: int) -> int:
        """Where to go on looking."""
        hiding = [(ruling, end) for ruling, end in found if ruling.hides]
        for ruling, end in found if not hiding else ():
            swaps.append(Swap(start, start, None, self._notes(text, start, end, ruling, offset)))
        if not hiding:
            return start + 1
        strict = strictest([ruling.enforced for ruling, _ in hiding])
        ruling, end = max(((r, e) for r, e in hiding if r.enforced is strict), key=lambda pair: pair[1])
        value = self._value(text, start, end)
        if self._seal.is_own_token(value):
            return end
        swaps.append(Swap(start, end, self._seal.stand_in(ruling, value), self._notes(text, start, end, ruling, offset)))
        return end

    def _notes(self, text: str, start: int, end: int, ruling: Ruling, offset: int) -> tuple[Event, ...]:
        hit = Hit(start + offset, end + offset, ruling, self._seal.digest(self._value(text, start, end)))
        return tuple(Found(finding=finding) for finding in findings_of(hit, self._direction, self._channel, self._part))

    def _may_be_in(self, readings: Mapping[bool, Reading]) -> bool:
        return any(terms.index.may_be_in(readings[terms.ignore_case].text) for _, terms in self._ruled)

    def _value(self, text: str, start: int, end: int) -> str:
        """A term as it is, whose escapes the text around it needs."""
        value = text[start:end]
        is_escaped = "\\" in value and not any(read(value, terms.ignore_case).text in terms.index for _, terms in self._ruled)
        return resolved(value) if is_escaped else value


class _Walk:
    """One dictionary's way through one text. `start` is where, in the original, a term may begin."""

    __slots__ = ("_at", "_end", "_index", "_reading", "ruling", "start")

    def __init__(self, ruling: Ruling, terms: TermSet, reading: Reading, end: int) -> None:
        self.ruling = ruling
        self._index, self._reading, self._end = terms.index, reading, end
        self._at = self.start = -1

    def seek(self, at: int) -> bool:
        """Go to the first start at `at` or later; False where there is none."""
        while self.start < at:
            found = self._index.next_start(self._reading.text, self._at + 1)
            if found is None:
                self._at, self.start = len(self._reading.text), self._end
                return False
            self._at, self.start = found, self._reading.place(found, self._end)
        return self.start < self._end

    def may_go_on(self) -> bool:
        return self._index.may_go_on(self._reading.text, self._at)

    def end(self) -> int | None:
        """Where the term at `start` ends in the original; None where there is none."""
        end = self._index.match(self._reading.text, self._at)
        return None if end is None else self._reading.end(end - 1)
