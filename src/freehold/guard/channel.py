"""Holds back, scans and masks the text of one channel.

Text comes in as it was cut on its way, and goes out in whole units (`boundary.py`), each scanned with the text before it as
context. What a unit is and what is found in it depend on the text alone, so where the stream was cut never changes what is
sent; and as the unit that is still open is never sent, no part of a value goes out before the value is judged.

A unit that will not end is cut, so that memory is bounded and nothing waits for ever:

    after JOINED_CHARS  where groups are joined (a page of numbers): at its last delimiter before half of that
    after RUN_CAP_CHARS in a run without any delimiter (an image in base64): KEPT_CHARS before its end

A match across such a cut moves it behind the match. A match that reaches the end of what is known is masked, and so is all that
follows it up to the next delimiter: what could not be scanned as a whole is not sent. PEM blocks are masked from their header
on while lines of base64 follow, without waiting for their end.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from freehold.guard import escapes
from freehold.guard.boundary import DELIMITER, last_boundary, last_delimiter, next_boundary
from freehold.guard.columns import CELL_CHARS, HEAD_CHARS, LEAST_CHARS, Columns, may_head
from freehold.guard.decodings import LOOK_BACK_CHARS, OBSCURE_CONFIDENCE, RUN_CHARS, decodings, first_from, may_be_encoded, span
from freehold.guard.escapes import hidden_stretches
from freehold.guard.fold import fold
from freehold.guard.matcher import ARMED, CELL, DECODE, ESCAPE, HEAD, RUN, Filter, Flag, Match, Matcher
from freehold.guard.pem import body_end
from freehold.guard.pieces import Output, Piece, as_pieces
from freehold.guard.ruling import Hit, Ruling, settle
from freehold.guard.seal import UNSEALED, Digest, Seal

CONTEXT_CHARS = 256  # longer than any detector's `before`
BEHIND_CHARS = HEAD_CHARS  # text already sent, kept for boundaries, context, and the heads of tables
JOINED_CHARS = 1024  # twice the longest joined value: a token of 100 characters, spaced
RUN_CAP_CHARS = 8192
ACROSS_CHARS = 64  # of a value that goes on beyond a cut; after a longer one all is looked for
KEPT_CHARS = 2048  # the longest head a detector needs before it matches; a multiple of 4, as base64 is
NEAR_CHARS = 2048  # how far back the end of the last complete unit is looked for
SLICE_CHARS = 64 << 10  # longer deltas are taken in slices, to bound what is held at once
STEP_CHARS = 2 << 10  # of a whole text, before others may go on: 0.06 ms of code, 40 ms of the dearest that we know

_AROUND_CELLS = b" \t\r\n|,;\"'`*()"
_TRAILING_RUN = re.compile(rb"[A-Za-z0-9+/_=-]{%d}" % RUN_CHARS)


class _Swallow(NamedTuple):
    """A value whose end is not known yet: what follows belongs to it."""

    start: int
    ruling: Ruling
    block: bool
    digest: Digest  # of as much of it as has come


class TextChannel:
    """One text. `rulings` has one entry a detector; None switches the detector off."""

    __slots__ = (
        "_armed_until",
        "_at",
        "_carry",
        "_columns",
        "_data",
        "_escape_count",
        "_escaped_until",
        "_escapes",
        "_filter",
        "_flags",
        "_looked_until",
        "_matcher",
        "_new_flags",
        "_open_flags",
        "_origin",
        "_read",
        "_rulings",
        "_seal",
        "_searched",
        "_swallow",
        "_text",
    )

    def __init__(
        self, matcher: Matcher, rulings: Sequence[Ruling | None], reader: Filter | None = None, seal: Seal = UNSEALED
    ) -> None:
        self._matcher, self._rulings, self._seal = matcher, rulings, seal
        self._filter = reader or matcher.open(rulings)
        self._read, self._new_flags = self._filter.feed, self._filter.flags
        self._flags: deque[Flag] = deque()  # not reached yet
        self._escapes: list[Flag] = []  # not looked into before a unit ends: a run of nothing else would be read again and again
        self._escape_count = 0
        self._escaped_until = -1  # what they are the context of
        self._looked_until = 0  # for what they hide
        self._columns: Columns | None = None  # none where no table is near
        self._open_flags: dict[int, int] = {}  # kind -> where its stretch ends
        self._armed_until = -1
        self._origin = 0  # position of _data[0]
        self._data = b""  # folded: text already dealt with, then what is held
        self._at = 0  # index in _data of the first character held
        self._searched = 0  # no unit ends after _at up to here
        self._text = ""  # what is held, as it came
        self._carry = ""  # half an escape
        self._swallow: _Swallow | None = None

    def feed(self, text: str) -> str | list[Piece]:
        """Take `text`, give what may be sent: text alone, as almost always, or pieces."""
        if len(text) > SLICE_CHARS:
            return [p for at in range(0, len(text), SLICE_CHARS) for p in as_pieces(self.feed(text[at : at + SLICE_CHARS]))]
        if self._carry or "\\" in text or not text.isascii():
            text = self._whole_escapes(text)
            data = fold(text)
        else:
            data = text.encode()
        self._read(data)
        self._data += data
        self._text += text
        if self._new_flags:
            self._sort_flags()
        if self._columns is not None:
            self._read_columns(self._columns)
        at, end = self._at, len(self._data)
        position = self._origin + at
        is_busy = self._flags or self._open_flags or self._escaped_until > position or self._swallow is not None
        if is_busy or end - at > JOINED_CHARS:
            return self._drained(final=False)
        # from here on what `_drain` comes to where nothing is flagged and little is held
        boundary = last_boundary(self._data, self._searched, end, end, self._armed_until > position)
        if boundary == self._searched:
            if end > boundary:
                self._searched = end - 1
            return ""
        text = self._text[: boundary - at]
        self._text = self._text[boundary - at :]
        self._at = self._searched = boundary
        if boundary > 2 * BEHIND_CHARS:
            self._forget_behind()
        return text

    def flush(self) -> list[Piece]:
        """Give what is held: the text ends here."""
        if self._carry:  # a lone backslash is the last character
            self._read(b"\\")
            self._data += b"\\"
            self._text += "\\"
            self._sort_flags()
        if not self._text and self._swallow is None:
            return []
        if _ends_in_a_run(self._data):
            end = self._origin + len(self._data)
            self._flags.append(Flag(end - 1, end, DECODE))
        return self._drained(final=True)

    def close(self) -> None:
        self._filter.close()

    def _drained(self, final: bool) -> list[Piece]:
        held_from = self._at
        pieces: list[Piece] = []
        self._drain(pieces, held_from, final)
        self._text = self._text[self._at - held_from :]
        if self._at > 2 * BEHIND_CHARS:
            self._forget_behind()
        return pieces

    def _whole_escapes(self, text: str) -> str:
        text = self._carry + text
        is_open = (len(text) - len(text.rstrip("\\"))) % 2 == 1
        self._carry = "\\" if is_open else ""
        return text[:-1] if is_open else text

    def _sort_flags(self) -> None:
        flags = self._flags
        for flag in self._new_flags:
            if flag.kind == ARMED:
                self._armed_until = max(self._armed_until, flag.high)
            elif flag.kind == ESCAPE:
                self._escapes.append(flag)
                self._escape_count += 1
                self._escaped_until = max(self._escaped_until, flag.high)
            elif flag.kind == HEAD:
                if _kept(self._matcher, flag, self._data, self._origin) is not None:
                    self._columns = self._columns or Columns()
                    self._columns.hint(flag.low, flag.high)
            elif (kept := _kept(self._matcher, flag, self._data, self._origin)) is not None:
                flags.append(kept)
        if self._new_flags:  # what was narrowed begins later
            self._flags = deque(sorted(flags))
        self._new_flags.clear()

    def _read_columns(self, columns: Columns) -> None:
        if cells := columns.read(self._data, self._origin, self._origin + self._at):
            ends = (cell.start + CELL_CHARS if cell.end is None else cell.end for cell in cells)
            self._flags = deque(
                sorted([*self._flags, *(Flag(cell.start, end, CELL) for cell, end in zip(cells, ends, strict=True))])
            )
        elif not columns.is_open:
            self._columns = None

    def _look_into_escapes(self) -> None:
        """Where there are many, all at once, and again with what comes after the last of them."""
        if self._escape_count < escapes.MANY:
            found = [flag._replace(kind=DECODE) for flag in self._escapes]
            self._escapes = []
        else:
            held_from = max(0, self._at - LOOK_BACK_CHARS)
            found = hidden_stretches(self._matcher, self._rulings, self._data[held_from:], self._origin + held_from)
            if 1 < len(self._escapes) <= len(found):  # where most hide something, it takes less to decode the next few at once
                self._escape_count = 0
            self._escapes = [max(self._escapes)]
        self._looked_until = self._origin + len(self._data)
        self._flags = deque(sorted([*self._flags, *found]))

    def _forget_behind(self) -> None:
        cut = self._at - BEHIND_CHARS
        self._data = self._data[cut:]
        self._origin += cut
        self._at -= cut
        self._searched -= cut

    def _drain(self, pieces: list[Piece], held_from: int, final: bool) -> None:
        """Deal with every unit that is complete."""
        end = len(self._data)
        out = Output(pieces, self._text, held_from, self._origin, self._seal)
        while self._at < end:
            if self._swallow is not None:
                if not self._swallow_on(out, final):
                    break
                continue
            if self._looked_until < self._origin + end and self._escaped_until > self._origin + self._at:
                if self._unit_end(self._at, final) is None:
                    break
                self._look_into_escapes()
            flagged = self._first_flagged(end)
            if flagged is None and final:
                self._pass(out, end)
                break
            self._pass_clean_units(out, end if flagged is None else flagged)
            if self._swallow is not None or self._at == end:
                continue
            if (unit := self._unit_end(end if flagged is None else flagged, final)) is None:
                break
            self._judge(out, *unit)
        if final and self._swallow is not None:
            self._end_swallow(out)

    def _pass_clean_units(self, out: Output, target: int) -> None:
        """Send the units that end at or before `target`; no flag is before it."""
        end = len(self._data)
        while self._at < target and self._swallow is None:
            low = max(self._at, self._searched)
            near = max(low, target - NEAR_CHARS)
            boundary = last_boundary(self._data, near, target, end, self._is_armed)
            if boundary > near:
                self._pass(out, boundary)
            elif near > low and (unit := self._unit_end(low, False)) is not None:  # a long row of joined groups: unit by unit
                self._judge(out, *unit)
                continue
            self._searched = max(self._searched, min(target, end - 1))
            return

    def _unit_end(self, beyond: int, final: bool) -> tuple[int, int] | None:
        """(how far to scan, where to cut) the first unit held, which has no end up to `beyond`; None where that is not known."""
        data, at, end = self._data, self._at, len(self._data)
        near = min(end, at + JOINED_CHARS)
        if (stop := self._next_end(beyond, near)) is not None:
            return stop, stop
        if end - at > JOINED_CHARS:
            joint = last_delimiter(data, at, at + JOINED_CHARS // 2)
            if joint > at:
                return near, joint
            far = min(end, at + RUN_CAP_CHARS)
            if (stop := self._next_end(max(beyond, near - 1), far)) is not None:
                return stop, stop
            if end - at > RUN_CAP_CHARS:
                return far, far - KEPT_CHARS
        return (end, end) if final else None

    def _next_end(self, beyond: int, limit: int) -> int | None:
        """The first end of a unit in (beyond, limit]. Where there is none is not looked at again when more text has come."""
        low, end = max(beyond, self._searched), len(self._data)
        if low >= limit:
            return None
        stop = next_boundary(self._data, low, limit, end, self._is_armed)
        if stop is None:
            self._searched = max(low, min(limit, end - 1))
        return stop

    @property
    def _is_armed(self) -> bool:
        """Whether an arming trigger may be near somewhere in what is held."""
        return self._armed_until > self._origin + self._at

    def _pass(self, out: Output, stop: int) -> None:
        out.clean(self._at, stop)
        self._at = self._searched = stop

    def _first_flagged(self, limit: int) -> int | None:
        """Index of the first held character that may be part of a match, below `limit`."""
        if self._open_flags:
            position = self._origin + self._at
            self._open_flags = {kind: high for kind, high in self._open_flags.items() if high > position}
            if self._open_flags and self._at < limit:
                return self._at
        while self._flags:
            flag = self._flags[0]
            if flag.high - self._origin > self._at:
                index = max(self._at, flag.low - self._origin)
                return index if index < limit else None
            self._flags.popleft()
        return None

    def _kinds(self, start: int, stop: int) -> set[int]:
        """The flags on [start, stop)."""
        low, high = self._origin + start, self._origin + stop
        while self._flags and self._flags[0].low < high:
            flag = self._flags.popleft()
            self._open_flags[flag.kind] = max(flag.high, self._open_flags.get(flag.kind, 0))
        return {kind for kind, until in self._open_flags.items() if until > low}

    def _judge(self, out: Output, scanned: int, cut: int) -> None:
        """Scan the unit that is first held up to `scanned`, and send what policy leaves of it up to `cut`.

        What starts after `cut` is scanned again with what follows it.
        """
        start = self._at
        kinds = self._kinds(start, scanned)
        is_encoded = DECODE in kinds or scanned - start == RUN_CAP_CHARS  # of a run that goes on no trigger has seen the end
        kinds.discard(DECODE)
        near = min(scanned, cut + ACROSS_CHARS)
        hits = self._hits(start, scanned, kinds, is_encoded, near)
        if scanned == cut:
            self._send(out, cut, hits)
            return
        if any(hit.start < cut and hit.end > near for hit in hits):  # what begins later may go with it
            hits = self._hits(start, scanned, kinds, is_encoded, scanned)
        hits = [hit for hit in hits if hit.start < cut]
        cut = max([cut, *(hit.end for hit in hits)])
        searched = self._searched
        self._send(out, cut, hits, reaches_on=bool(hits) and hits[-1].end == scanned)
        self._searched = max(self._searched, searched)  # nothing up to where it was scanned is a unit's end

    def _hits(self, start: int, stop: int, kinds: Iterable[int], is_encoded: bool, near: int) -> list[Hit]:
        """What policy has a say about in [start, stop), in order and apart; of plain text only what begins before `near`."""
        low = max(0, start - CONTEXT_CHARS)
        detectors = [kind for kind in kinds if kind >= 0]
        found = [
            Match(low + m.start, low + m.end, m.detector)
            for m in self._matcher.find(self._data[low:stop], start - low, detectors, near - low)
        ]
        if is_encoded:
            found += self._decoded(start, stop)
        if CELL in kinds:
            found += self._in_column(start, stop, near)
        ruled = ((m, self._rulings[m.detector]) for m in found)
        return settle([Hit(m.start, m.end, ruling) for m, ruling in ruled if ruling is not None])

    def _in_column(self, start: int, stop: int, near: int) -> list[Match]:
        """Matches in [start, stop) by what the head of its column says it is."""
        cell = None if self._columns is None else self._columns.cell_at(self._origin + start)
        if cell is None or len(self._data[start:stop].strip(_AROUND_CELLS)) < LEAST_CHARS:
            return []
        value = self._data[cell.start - self._origin : stop].lstrip(_AROUND_CELLS)
        before, said = cell.column.place(value)
        window = before + said
        shift = len(before) + len(value) - stop
        detectors = {n for n in self._matcher.flagged(window, self._rulings) if self._matcher.detectors[n].before}
        found = self._matcher.find(window, start + shift, detectors, near + shift)
        cell.column.has_values |= bool(found)
        return [Match(m.start - shift, m.end - shift, m.detector) for m in found]

    def _decoded(self, start: int, stop: int) -> list[Match]:
        """Matches in what [start, stop) says once decoded, as spans of what it says now."""
        low = max(0, start - LOOK_BACK_CHARS)
        found: list[Match] = []
        for view in decodings(self._data[low:stop], start - low):
            detectors = self._matcher.flagged(view.data, self._rulings)
            if view.obscure:
                detectors = {n for n in detectors if self._matcher.detectors[n].confidence >= OBSCURE_CONFIDENCE}
            for match in self._matcher.find(view.data, first_from(view, start - low), detectors):
                first, last = span(view, match.start, match.end)
                if low + first >= start:
                    found.append(Match(low + first, low + last, match.detector))
        return found

    def _send(self, out: Output, stop: int, hits: Sequence[Hit], *, reaches_on: bool = False) -> None:
        for number, hit in enumerate(hits, 1):
            self._pass(out, hit.start)
            self._at = self._searched = hit.end
            block = self._is_block(hit.ruling)
            if block or (reaches_on and number == len(hits)):
                digest = out.open(hit)
                self._swallow = _Swallow(self._origin + hit.start, hit.ruling, block, digest)
                return
            out.hit(hit)
        self._pass(out, stop)

    def _is_block(self, ruling: Ruling) -> bool:
        return ruling.rule in self._matcher.blocks

    def _swallow_on(self, out: Output, final: bool) -> bool:
        """Take what belongs to the open value. False where its end is not known yet."""
        swallow, end = self._swallow, len(self._data)
        assert swallow is not None
        stop, ended = (body_end if swallow.block else _run_end)(self._data, self._at, end, final)
        out.swallowed(self._at, stop, swallow.ruling, swallow.digest)
        self._at = self._searched = stop
        if ended:
            self._end_swallow(out)
        return ended

    def _end_swallow(self, out: Output) -> None:
        swallow = self._swallow
        assert swallow is not None
        self._swallow = None
        out.found(Hit(swallow.start, self._origin + self._at, swallow.ruling, swallow.digest.hexdigest()))


class _HasRead:
    """A filter that has read all of a text already."""

    __slots__ = ("flags",)

    def __init__(self, flags: list[Flag]) -> None:
        self.flags = flags

    def feed(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass


def scan(matcher: Matcher, rulings: Sequence[Ruling | None], text: str, seal: Seal = UNSEALED) -> list[Piece]:
    """What may be sent of a text that is known whole."""
    data = fold(text)
    reader = matcher.open(rulings)
    reader.feed(data)
    reader.close()
    flags = [kept for flag in reader.flags if (kept := _kept(matcher, flag, data, 0, is_whole=True)) is not None]
    if sum(flag.kind == ESCAPE for flag in flags) < escapes.MANY:
        flags = [flag._replace(kind=DECODE) if flag.kind == ESCAPE else flag for flag in flags]
    else:
        flags = [flag for flag in flags if flag.kind != ESCAPE] + hidden_stretches(matcher, rulings, data, 0)
    if (not flags or all(flag.kind == ARMED for flag in flags)) and not _ends_in_a_run(data):
        return [Piece(text, len(text))]  # as almost always
    channel = TextChannel(matcher, rulings, _HasRead(flags), seal)
    pieces = as_pieces(channel.feed(text)) + channel.flush()
    channel.close()
    return pieces


def scan_slices(matcher: Matcher, rulings: Sequence[Ruling | None], text: str, seal: Seal = UNSEALED) -> Iterator[list[Piece]]:
    """As `scan`, a slice at a time, with the same result: whoever has an event loop lets others go on in between."""
    channel = TextChannel(matcher, rulings, seal=seal)
    try:
        for at in range(0, len(text), STEP_CHARS):
            yield as_pieces(channel.feed(text[at : at + STEP_CHARS]))
        yield channel.flush()
    finally:
        channel.close()


def _kept(matcher: Matcher, flag: Flag, data: bytes, origin: int, *, is_whole: bool = False) -> Flag | None:
    """What is left of `flag`, seen with the text it stands in; None where nothing can be there."""
    if flag.kind == HEAD:
        return flag if may_head(data, flag.high - 1 - origin) else None
    if flag.kind == RUN:
        return Flag(flag.low, flag.high, DECODE) if may_be_encoded(data, flag.low - origin) else None
    return flag if flag.kind < 0 else matcher.narrowed(flag, data, origin, is_whole=is_whole)


def _ends_in_a_run(data: bytes) -> bool:
    """Whether the end of the text ends a run that may be encoded: elsewhere a trigger sees the delimiter after it."""
    return _TRAILING_RUN.fullmatch(data, max(0, len(data) - RUN_CHARS)) is not None


def _run_end(data: bytes, at: int, end: int, final: bool) -> tuple[int, bool]:
    """(where the run from `at` ends, whether that is known)."""
    delimiter = DELIMITER.search(data, at, end)
    return (end, final) if delimiter is None else (delimiter.start(), True)
