"""Finds what detectors describe: which may match as the text streams by, then exactly where.

A filter reads every character once and flags stretches in which a trigger may match: Hyperscan in streaming mode, which keeps its
state across deltas, or RE2 over overlapping slices. A flag is a hint and may be wrong; exact spans come from RE2
alone, over the same window whichever filter flagged it, so both filters give the same findings. RE2 and Hyperscan take linear
time; `re` is used on bounded windows only.
"""

import hashlib
import importlib
import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
import re2

from freehold.core.errors import ConfigError
from freehold.guard.boundary import ARMING_TRIGGERS
from freehold.guard.columns import HEAD_TRIGGERS
from freehold.guard.decodings import ESCAPE_TRIGGERS, LOOK_BACK_CHARS, RUN_TRIGGERS, SPACED_TRIGGER
from freehold.guard.detectors.detector import Detector
from freehold.guard.digits import bytes_within, chars_to_digit, width_chars

hyperscan: Any = importlib.import_module("hyperscan") if importlib.util.find_spec("hyperscan") else None  # not on every machine

Engine = Literal["hyperscan", "re2", "auto"]
Groups = Sequence[dict[int, bytes]]  # triggers by number, a database each
Compiler = Callable[[Groups], Sequence[bytes]]

SLICE_CHARS = 4096  # the RE2 filter takes the text in such slices
OVERLAP_CHARS = 512  # longer than any trigger
PLACES_A_SLICE = 64  # a trigger found more often than that in one slice counts as found everywhere after


class Flag(NamedTuple):
    """Something may end in (low, high]: positions count characters since the stream's start."""

    low: int
    high: int
    kind: int  # a detector's number, or one of the following


ARMED = -1  # runs may be joined by what is before them
DECODE = -2  # something here may be encoded
RUN = -3  # a run ends at `low` that may be encoded, if it is more than a name
ESCAPE = -4  # an escape, and what it may be the context of
HEAD = -5  # a known name, which may head a column
CELL = -6  # in a column with such a head


class Match(NamedTuple):
    start: int
    end: int
    detector: int


Wanted = Sequence[object | None]  # one a detector: what is found by one with None nobody wants to know


def compiled(groups: Groups) -> Sequence[bytes]:
    """The databases, as Hyperscan writes them. Raises its error for a trigger that it does not take."""
    return tuple(hyperscan.dumpb(_compiled(triggers)) for triggers in groups)


class _Exact(NamedTuple):
    """A detector's patterns. `value` is what it looks for without what stands around it; None where nothing stands before it."""

    whole: Any
    value: Any | None
    before_chars: int  # the most
    left_chars: int
    has_digit: bool  # every value has one
    foreign: bytes  # a table that makes 1 of what cannot stand in `before`, and 0 of what can

    def earliest(self, window: bytes, first: int) -> int:
        """Where a match may begin whose value is at `first` or later."""
        least = max(0, first - self.before_chars)
        before = least + window[least:first].translate(self.foreign).rfind(1) + 1
        return max(0, before - self.left_chars)


def _table(within: frozenset[int]) -> bytes:
    return bytes(byte not in within for byte in range(256))


class Filter(Protocol):
    """Reads one channel's text and flags what may be in it."""

    flags: list[Flag]  # in any order; the reader removes what it has dealt with

    def feed(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class HyperscanFilter:
    """Its state is a Hyperscan stream a database: 0.2 us a delta each, 0.4 KiB in all."""

    __slots__ = ("_kept", "_streams", "feed", "flags")

    def __init__(self, databases: Sequence[Any], kinds: Sequence[tuple[int, int]], wanted: Wanted | None) -> None:
        self.flags: list[Flag] = []
        append = self.flags.append

        def on_match(number: int, _start: int, end: int, _flags: int, _context: object) -> None:
            kind, reach_chars = kinds[number]
            if kind < 0 or wanted is None or wanted[kind] is not None:
                append(Flag(end - 1, end + reach_chars, kind))

        # Hyperscan calls back into freed memory, and crashes, unless callback and database live as long as the stream.
        self._kept = on_match, databases
        every, runs = databases
        first, second = self._streams = (every.stream(match_event_handler=on_match), runs.stream(match_event_handler=on_match))
        first.__enter__()
        second.__enter__()
        scan_every, scan_runs = first.scan, second.scan

        def feed(data: bytes) -> None:
            scan_every(data)
            scan_runs(data)

        self.feed: Callable[[bytes], None] = feed

    def close(self) -> None:
        for stream in self._streams:
            stream.close()


class Re2Filter:
    """Reads slice by slice, each with enough of the one before it that no trigger is lost between two."""

    __slots__ = ("_at", "_tail", "_triggers", "_wanted", "flags")

    def __init__(self, triggers: "_Re2Triggers", wanted: Wanted | None) -> None:
        self.flags: list[Flag] = []
        self._wanted = wanted
        self._triggers = triggers
        self._tail = b""
        self._at = 0

    def feed(self, data: bytes) -> None:
        for start in range(0, len(data), SLICE_CHARS):
            piece = data[start : start + SLICE_CHARS]
            window = self._tail + piece
            found = self._triggers.find(window, len(self._tail), self._wanted)
            base = self._at - len(self._tail)
            self.flags += [Flag(base + flag.low, base + flag.high, flag.kind) for flag in found]
            self._at += len(piece)
            self._tail = window[-OVERLAP_CHARS:]

    def close(self) -> None:
        self._tail = b""


class _Re2Triggers:
    """First which triggers are in a slice, by the literals they need: RE2's `FilteredRE2`. Then where.

    One automaton of all triggers would be smaller work a byte, but has so many states that text it has not seen before builds
    them at 0.2 MB/s.
    """

    def __init__(self, triggers: Sequence[bytes], kinds: Sequence[tuple[int, int]]) -> None:
        self._kinds = kinds
        options = _options()
        self._filter = re2.Filter()
        for trigger in triggers:
            self._filter.Add(trigger, options)
        self._filter.Compile()
        self._triggers = triggers
        self._places: dict[int, Any] = {}

    def find(self, window: bytes, low: int, wanted: Wanted | None) -> list[Flag]:
        """Flags for what ends in `window` after `low`, in order."""
        found: list[Flag] = []
        for number in self._filter.Match(window) or ():
            kind = self._kinds[number][0]
            if kind < 0 or wanted is None or wanted[kind] is not None:
                found += self._where(number, window, low)
        found.sort()
        return found

    def _where(self, number: int, window: bytes, low: int) -> Iterator[Flag]:
        """Every beginning of a match, with the longest that begins there: all its shorter ones lie inside it."""
        regexp = self._places.get(number)
        if regexp is None:
            options = _options()
            options.longest_match = True
            regexp = self._places[number] = re2.compile(self._triggers[number], options)
        kind, reach_chars = self._kinds[number]
        at = 0
        for _ in range(PLACES_A_SLICE):
            match = regexp.search(window, at)
            if match is None:
                return
            start, end = match.span()
            if end > low:
                yield Flag(max(start, low), end + reach_chars, kind)
            at = start + 1
        yield Flag(max(at, low), len(window) + reach_chars, kind)


class Matcher:
    """All detectors, compiled. Not for use by two threads at once: Hyperscan's scratch space is one a matcher."""

    def __init__(
        self, detectors: Sequence[Detector], engine: Engine = "auto", database: bytes | None = None, compiler: Compiler = compiled
    ) -> None:
        if engine == "hyperscan" and hyperscan is None:
            raise ConfigError('guard.engine is "hyperscan", which is not installed on this machine: set it to "auto" or "re2"')
        self.detectors = tuple(detectors)
        self.engine: Engine = "re2" if engine == "re2" or hyperscan is None else "hyperscan"
        shapes = [
            *((d.trigger, n, d.hint_reach_chars + 1 if d.hint else 0) for n, d in enumerate(self.detectors)),
            *((trigger, ARMED, reach_chars) for trigger, reach_chars in ARMING_TRIGGERS),
            *((trigger, ESCAPE, LOOK_BACK_CHARS) for trigger in ESCAPE_TRIGGERS),
            (SPACED_TRIGGER, DECODE, LOOK_BACK_CHARS),
            *((trigger, HEAD, 0) for trigger in HEAD_TRIGGERS),
            *((trigger, RUN, 0) for trigger in RUN_TRIGGERS),
        ]
        self._triggers = [trigger for trigger, _, _ in shapes]
        self._kinds = [(kind, reach_chars) for _, kind, reach_chars in shapes]
        self.blocks = frozenset(d.id for d in self.detectors if d.block)
        self._lead_chars = [chars_to_digit(d.pattern) if d.hint and d.hint_reach_chars else None for d in self.detectors]
        self._exact: list[_Exact | None] = [None] * len(self.detectors)
        loaded = self._loaded(database) if self.engine == "hyperscan" and database else None
        self._is_compiled_here = self.engine == "hyperscan" and loaded is None
        self._databases = loaded or (self._compiled(compiler) if self._is_compiled_here else None)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that is matched, hex: the name under which a compiled database may be kept."""
        return hashlib.sha256(b"\0".join([*self._triggers, *(d.exact for d in self.detectors)])).hexdigest()

    def open(self, wanted: Wanted | None = None) -> Filter:
        """A filter for one text; None wants the flags of every detector."""
        if self._databases is not None:
            return HyperscanFilter(self._databases, self._kinds, wanted)
        return Re2Filter(self._re2_triggers, wanted)

    def narrowed(self, flag: Flag, data: bytes, origin: int, *, is_whole: bool) -> Flag | None:
        """The part of `flag` where a value may begin, as far as `data` says, which starts at `origin`; None where there is none.

        Most labels stand before values with digits, and most of what looks like a label has no number after it.
        """
        lead_chars = self._lead_chars[flag.kind]
        if lead_chars is None:
            return flag
        low, high = flag.low - origin, flag.high + lead_chars - origin
        digit = _DIGIT.search(data, low, high)
        if digit is None and (is_whole or high <= len(data)):
            return None
        first = digit.start() if digit is not None else len(data)
        return Flag(max(flag.low, origin + first - lead_chars), flag.high, flag.kind)

    def database(self) -> bytes:
        """What was compiled here, after the digest it belongs to, to be handed in the next time; empty where nothing was."""
        if self._databases is None or not self._is_compiled_here:
            return b""
        return bytes.fromhex(self.digest) + msgspec.msgpack.encode([hyperscan.dumpb(database) for database in self._databases])

    def find(self, window: bytes, low: int, detectors: Iterable[int] | None = None, high: int | None = None) -> list[Match]:
        """Exact matches whose value starts in [`low`, `high`); what stands before is context. None looks for every detector."""
        found: list[Match] = []
        high = len(window) if high is None else high
        has_digit = _DIGIT.search(window, low) is not None
        for number in sorted(self.flagged(window) if detectors is None else set(detectors)):
            exact = self._exact[number] or self._compile(number)
            if has_digit or not exact.has_digit:
                self._find_one(number, exact, window, low, high, found)
        return found

    def flagged(self, window: bytes, wanted: Wanted | None = None) -> set[int]:
        """Detectors whose trigger is in `window`. By the filter, too, which reads them all at once."""
        reader = self.open(wanted)
        try:
            reader.feed(window)
            return {flag.kind for flag in reader.flags if flag.kind >= 0}
        finally:
            reader.close()

    def _find_one(self, number: int, exact: _Exact, window: bytes, low: int, high: int, found: list[Match]) -> None:
        detector = self.detectors[number]
        first = low
        if exact.value is not None:  # in most of what a label's reach covers nothing can be what it stands before
            candidate = exact.value.search(window, low)
            if candidate is None:
                return
            first = candidate.start()
        at = exact.earliest(window, first)
        last = len(window) - 2  # a value and what is before it, or about it, are two characters at least
        while at <= last and (match := exact.whole.search(window, at)) is not None:
            start, end = match.span(1)
            if start >= high:
                return
            if start < low:
                at = max(start, at + 1)  # what is skipped may stand before a value
            elif (
                detector.context(_named(window, match.start(), start))
                and detector.validator(window[start:end])
                and (detector.before or detector.block or not _is_part_of_blob(window, start, end))
            ):
                found.append(Match(start, end, number))
                at = end
            else:
                at = start + 1 if detector.retry else end

    def _compile(self, number: int) -> _Exact:
        detector = self.detectors[number]
        exact = self._exact[number] = _Exact(
            whole=re2.compile(detector.exact, _options()),
            value=re2.compile(detector.pattern.encode(), _options()) if detector.before else None,
            before_chars=width_chars(detector.before),
            left_chars=width_chars(detector.left),
            has_digit=chars_to_digit(detector.pattern) is not None,
            foreign=_table(bytes_within(detector.before)),
        )
        return exact

    def _does_not_compile(self) -> str:
        return next((f"detector {d.id}" for d in self.detectors if not _compiles(d.trigger)), "a set of detectors")

    @cached_property
    def _re2_triggers(self) -> _Re2Triggers:
        return _Re2Triggers(self._triggers, self._kinds)

    def _loaded(self, kept: bytes) -> list[Any] | None:
        """From what `database()` gave, if that was for these detectors on this kind of machine."""
        if kept[:32].hex() != self.digest:
            return None
        try:
            return [_loaded(dump) for dump in msgspec.msgpack.decode(memoryview(kept)[32:], type=tuple[bytes, bytes])]
        except (hyperscan.error, msgspec.MsgspecError):  # another version or processor wrote it
            return None

    def _compiled(self, compiler: Compiler) -> list[Any]:
        try:
            return [_loaded(dump) for dump in compiler(self._groups())]
        except hyperscan.error as exc:
            raise ConfigError(f"guard: {self._does_not_compile()} does not compile with Hyperscan: {exc}") from exc

    def _groups(self) -> tuple[dict[int, bytes], dict[int, bytes]]:
        """Triggers by number, a database each: those that every word may begin or go on, and all others.

        Hyperscan keeps one automaton of all that begins with no word of its own, and it gets slower out of proportion: over code,
        all in one database took a quarter longer than these two.
        """
        every = dict(enumerate(self._triggers))
        runs = {number: trigger for number, trigger in every.items() if trigger in (SPACED_TRIGGER, *RUN_TRIGGERS)}
        return {number: trigger for number, trigger in every.items() if number not in runs}, runs


def _compiled(triggers: dict[int, bytes]) -> Any:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_STREAM)
    count = len(triggers)
    database.compile(expressions=list(triggers.values()), ids=list(triggers), elements=count, flags=[0] * count)
    return database


def _loaded(dump: bytes) -> Any:
    database = hyperscan.loadb(dump, hyperscan.HS_MODE_STREAM)
    database.scratch = hyperscan.Scratch(database)
    return database


_DIGIT = re.compile(rb"[0-9]")
_FIRST_WORD = re.compile(rb"[A-Za-z0-9_.-]*\Z")
_FIRST_WORD_CHARS = 24


def _compiles(trigger: bytes) -> bool:
    try:
        _compiled({0: trigger})
    except hyperscan.error:
        return False
    return True


def _named(window: bytes, start: int, stop: int) -> bytes:
    """What stands before a value, from the beginning of its first word: of `PUBLIC_KEY=` a pattern may have matched `KEY=`."""
    if start == stop:
        return b""
    head = _FIRST_WORD.search(window, max(0, start - _FIRST_WORD_CHARS), start)
    return window[head.start() if head else start : stop]


BLOB_CHARS = 64  # of base64 on one side of a value make it a part of something longer; a line of MIME is 76, of PEM 64
_BLOB_VALUE = re.compile(rb"[A-Za-z0-9+/]+")
_BLOB_BEFORE = re.compile(rb"[A-Za-z0-9+/]{64}\Z|[A-Za-z0-9+/]{60}\r?\n[A-Za-z0-9+/]{0,96}\Z")
_BLOB_AFTER = re.compile(rb"[A-Za-z0-9+/]{64}")
_BLOB_KINDS = re.compile(rb"[+/]"), re.compile(rb"[0-9]"), re.compile(rb"[A-Z]"), re.compile(rb"[a-z]")


def _is_part_of_blob(window: bytes, start: int, end: int) -> bool:
    """Whether a value is a part of an image or the like in base64: in a few MB of that, chance makes any short mark."""
    if _BLOB_VALUE.fullmatch(window, start, end) is None:
        return False
    before = _BLOB_BEFORE.search(window, max(0, start - 2 * BLOB_CHARS), start)
    around = before or _BLOB_AFTER.match(window, end)
    return around is not None and all(kind.search(around[0]) for kind in _BLOB_KINDS)


def _options() -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # a byte a character: folded text is ASCII
    options.log_errors = False
    return options
