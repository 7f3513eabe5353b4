"""A provider's own payloads for a client of the same dialect: byte for byte, but for the texts that a stage touched.

`PayloadNotes` takes payloads apart for a decoder: the decoder names the streamed texts (slots), every other string becomes a leaf
and is scanned whole. `VerbatimEncoder` puts them together again: it keeps payloads in their order until all their texts have come
out of the stages. Nothing of a payload is sent before all of it was seen.
"""

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from itertools import accumulate, repeat
from typing import Any

import orjson

from freehold.core.errors import InternalError, UpstreamBroken
from freehold.core.events import (
    Event,
    MessageEnd,
    PartKind,
    Payload,
    PayloadLeaf,
    PromptText,
    ReasoningDelta,
    Refused,
    Slot,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    is_plain_token,
)
from freehold.core.exchange import Path
from freehold.core.findings import Channel
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.codec import CallKey, Leaf, Refuser, TextKey
from freehold.gateway.wire.leaves import ChannelOf, faithful, rewrite, value_at, walk
from freehold.gateway.wire.refusals import NoCalls

_ANY = Channel.OTHER  # `rewrite` asks for places alone
_EVENT_NAME = re.compile(rb"[a-z]{1,20}(?:[._][a-z]{1,20}){0,8}")
_HIDDEN = "[REDACTED]"
_REMEMBERED = 64  # sets of strings: ids and names come again in every payload of a stream, and need one look
_LOGPROBS = frozenset({"content", "refusal", "token", "logprob", "bytes", "top_logprobs"}) | frozenset(  # and Gemini's
    {"chosenCandidates", "topCandidates", "candidates", "tokenId", "logProbability", "logProbabilitySum"}
)


class PayloadNotes:
    """Takes the payloads of one stream apart. `vocabulary` are the dialect's own words, which hold nothing to find."""

    __slots__ = ("_channel_of", "_known", "_leaf", "_number", "_objects", "_vocabulary")

    def __init__(self, vocabulary: Container[str], channel_of: ChannelOf, objects: Container[str] = frozenset()) -> None:
        self._vocabulary = vocabulary
        self._channel_of = channel_of
        self._objects = objects
        self._known: dict[tuple[tuple[Path, str, bool], ...], int] = {}
        self._number = 0
        self._leaf = 0

    def note(
        self,
        data: bytes,
        name: bytes,
        document: Any,
        slots: Sequence[Slot] = (),
        *,
        whole: Container[Path] = (),
        is_last: bool = False,
    ) -> list[Event]:
        """`Payload`, and a `PromptText` for each string that is in no slot, or in one of `whole`. The slots' deltas must follow.

        Raises UpstreamBroken for a document that nests too deep to be written.
        """
        name = _known_name(name)
        try:
            data = faithful(data, document)
        except TypeError as exc:
            raise UpstreamBroken("the upstream sent an answer that nests too deep to be read") from exc
        streamed = {slot.path for slot in slots if slot.path not in whole}
        leaves = walk(document, self._channel_of, self._vocabulary, self._objects)
        found = [leaf for leaf in leaves if leaf.is_key or leaf.path not in streamed]
        known = tuple((leaf.path, leaf.text, leaf.is_key) for leaf in found)
        number, like = self._number, self._known.get(known) if known else None
        self._number += 1
        if like is not None:
            return [Payload(data=data, number=number, name=name, slots=tuple(slots), like=like, is_last=is_last)]
        if known and len(self._known) < _REMEMBERED:
            self._known[known] = number
        noted = tuple(
            PayloadLeaf(leaf=at, path=leaf.path, text=leaf.text, is_key=leaf.is_key) for at, leaf in enumerate(found, self._leaf)
        )
        texts = [leaf.said(at) for at, leaf in enumerate(found, self._leaf)]
        self._leaf += len(found)
        return [Payload(data=data, number=number, name=name, slots=tuple(slots), leaves=noted, is_last=is_last), *texts]

    def same(
        self, data: bytes, name: bytes, slot: Slot, like: int | None, row: tuple[bytes, ...] = (), row_chars: tuple[int, ...] = ()
    ) -> Payload:
        """A payload that differs from an earlier one in the text of one slot alone; and a row of others that do."""
        self._number += 1
        name = _known_name(name)
        return Payload(data=data, number=self._number - 1, name=name, slots=(slot,), like=like, row=row, row_chars=row_chars)

    def padded(self, data: bytes, name: bytes, slot: Slot, like: int | None, pad: Leaf) -> list[Event]:
        """As `same`, of a payload that has a string of its own besides, new in each."""
        self._number += 1
        self._leaf += 1
        leaf = PayloadLeaf(leaf=self._leaf - 1, path=pad.path, text=pad.text)
        name = _known_name(name)
        payload = Payload(data=data, number=self._number - 1, name=name, slots=(slot,), leaves=(leaf,), like=like)
        return [payload, PromptText(leaf=leaf.leaf, channel=pad.channel, text=pad.text)]


def _known_name(name: bytes) -> bytes:
    """An event's name, if it is of words, as those of all formats are: any other is left out, unscanned."""
    return name if _EVENT_NAME.fullmatch(name) else b""


class VerbatimEncoder:
    """A `StreamEncoder` for payloads. `scrub` is the codec's, for payloads that were touched; `refuser`, for refused calls.

    The payload in which a tool call begins waits until the call comes out of the stages, or its refusal.
    """

    def __init__(self, scrub: Callable[[dict[str, Any]], None], refuser: Callable[[], Refuser] = NoCalls) -> None:
        self._scrub = scrub
        self._make_refuser = refuser
        self._refuser: Refuser | None = None  # from the first refused call on
        self._refused: set[CallKey] = set()
        self._has_calls = False
        self._beginning: dict[CallKey, _Pending] = {}  # whose call has not come out yet
        self._queue: deque[_Pending] = deque()
        self._texts: dict[TextKey, deque[_Piece]] = {}
        self._leaves: dict[int, tuple[_Pending, PayloadLeaf]] = {}
        self._changes: dict[int, list[tuple[PayloadLeaf, str]]] = {}  # payload number -> its leaves that a stage changed
        self._is_touched = False  # whether a stage changed any text yet
        self._is_ending = False

    def encode(self, event: Event) -> list[SseEvent]:
        match event:
            case Payload():
                if self._enqueue(event):
                    return []  # its texts are still to come
            case PromptText():
                self._take_leaf(event)
            case TextDelta():
                self._take((PartKind.TEXT, event.choice, event.part), event.text, event.source_chars)
            case ReasoningDelta():
                self._take((PartKind.REASONING, event.choice, event.part), event.text, event.source_chars)
            case ToolCallDelta():
                self._take((PartKind.TOOL_CALL, event.choice, event.part), event.arguments, event.source_chars)
            case ToolCallStart():
                self._has_calls = True
                self._settle((event.choice, event.part))
            case Refused():
                self._refuse(event)
            case _:
                return []
        return self._ready()

    def finish(self, ends: Iterable[MessageEnd], usage: Usage | None) -> list[SseEvent]:
        """What ends the answer, as it came. Raises InternalError if a text of it never came out of the stages."""
        self._is_ending = False
        last: list[SseEvent] = []
        for pending in self._queue:
            if (ready := pending.ready()) < len(pending.datas):
                raise InternalError("a part of the answer was not let through: its end is not sent")
            last += self._sent(pending, ready)
        self._queue.clear()
        return last

    def _enqueue(self, payload: Payload) -> bool:
        """Whether it waits for anything."""
        pending = _Pending(payload)
        self._queue.append(pending)
        for leaf in payload.leaves:
            self._leaves[leaf.leaf] = (pending, leaf)
        for piece in pending.pieces:
            slot = piece.slot
            if slot.kind is PartKind.TOOL_CALL and (slot.choice, slot.part) in self._refused:
                piece.at = piece.chars
            else:
                self._texts.setdefault((slot.kind, slot.choice, slot.part), deque()).append(piece)
        for call in pending.calls:
            self._beginning[call] = pending
        return bool(pending.pieces or pending.open_leaves or pending.calls)

    def _settle(self, call: CallKey) -> None:
        """The call has been judged."""
        if (pending := self._beginning.pop(call, None)) is not None:
            pending.open_calls -= 1

    def _refuse(self, refused: Refused) -> None:
        call = refused.choice, refused.part
        if self._refuser is None:
            self._refuser = self._make_refuser()
        self._refuser.refuse(call, refused.text)
        self._refused.add(call)
        self._settle(call)
        for piece in self._texts.pop((PartKind.TOOL_CALL, *call), ()):
            piece.at = piece.chars

    def _take_leaf(self, event: PromptText) -> None:
        pending, leaf = self._leaves.pop(event.leaf)
        if event.text != leaf.text:
            self._is_touched = True
            self._changes.setdefault(pending.payload.number, []).append((leaf, event.text))
        pending.open_leaves -= 1

    def _take(self, key: TextKey, text: str, source_chars: int | None) -> None:
        """Give the characters of a text to the payloads they came in; what replaces some goes to the first of those."""
        left = len(text) if source_chars is None else source_chars
        pieces = self._texts.get(key)
        while left:
            if not pieces:
                raise InternalError("more of a text came out of the stages than the provider sent")
            piece = pieces[0]
            chars = min(left, piece.chars - piece.at)
            if source_chars is not None:
                self._is_touched = True
                piece.touches.append((piece.at, piece.at + chars, text))
                text = ""
            piece.at += chars
            left -= chars
            if piece.at == piece.chars:
                pieces.popleft()

    def _ready(self) -> list[SseEvent]:
        sent: list[SseEvent] = []
        queue = self._queue
        while queue and not self._is_ending:
            pending = queue[0]
            if pending.payload.is_last:
                self._is_ending = True
                break
            if (ready := pending.ready()) > pending.sent:
                sent += self._sent(pending, ready)
            if pending.sent < len(pending.datas):
                break
            queue.popleft()
        return sent

    def _sent(self, pending: "_Pending", ready: int) -> list[SseEvent]:
        """What of a row may go now: up to `ready`."""
        sent = self._written(pending, ready)
        if self._refuser is None:
            return sent
        slots = pending.payload.slots
        return [
            out
            for data, name in sent
            for out in self._refuser.rewrite(orjson.loads(data), name, slots, has_calls=self._has_calls)
        ]

    def _written(self, pending: "_Pending", ready: int) -> list[SseEvent]:
        """With every text as the stages let it through."""
        first, pending.sent = pending.sent, ready
        payload, name = pending.payload, pending.payload.name
        if not self._is_touched:  # as almost always
            return list(zip(pending.datas[first:ready], repeat(name), strict=False))
        changes = self._changes.get(payload.number)
        if payload.like is not None and (earlier := self._changes.get(payload.like)):
            own = {(leaf.path, leaf.is_key) for leaf in payload.leaves}
            changes = [*(changes or ()), *(change for change in earlier if (change[0].path, change[0].is_key) not in own)]
        if not changes and not any(piece.touches for piece in pending.pieces):
            return [(data, name) for data in pending.datas[first:ready]]
        return [(self._rewritten(pending, place, changes or []), name) for place in range(first, ready)]

    def _rewritten(self, pending: "_Pending", place: int, changes: list[tuple[PayloadLeaf, str]]) -> bytes:
        data = pending.datas[place]
        touched = [piece for piece in pending.pieces if piece.is_touched(place)]
        if not changes and not touched:
            return data
        document = orjson.loads(data)
        replaced: list[tuple[Leaf, str]] = []
        whole = {leaf.path: (leaf.text, text) for leaf, text in changes if not leaf.is_key}
        for piece in touched:
            path, original = piece.slot.path, value_at(document, piece.slot.path)
            if not isinstance(original, str):  # an object's JSON text can be a slot, too: `scrub` makes an object of it again
                original = orjson.dumps(original).decode()
            text = piece.text(place, original)
            if path in whole and whole[path][0] == original:  # a string that is both: nothing that either hides
                text = piece.text_of_both(place, original, whole.pop(path)[1])
            replaced.append((Leaf(path=path, channel=_ANY, text=""), text))
        for leaf, text in changes:
            if not leaf.is_key and leaf.path not in whole:
                continue
            replaced.append((Leaf(path=leaf.path, channel=_ANY, text=leaf.text, is_key=leaf.is_key), text))
        document = rewrite(document, replaced)
        if touched or changes:  # a leaf's log-probabilities stand beside it, too
            self._scrub(document)
        return orjson.dumps(document)


class _Pending:
    """A row of payloads on their way, `sent` of them gone."""

    __slots__ = ("calls", "datas", "open_calls", "open_leaves", "payload", "pieces", "sent")

    def __init__(self, payload: Payload) -> None:
        self.payload = payload
        self.datas = (payload.data, *payload.row)
        self.pieces: list[_Piece] = []
        self.calls: list[CallKey] = []
        for slot in payload.slots:
            if slot.chars or any(payload.row_chars):  # without a character it takes nothing, nor what replaces some
                self.pieces.append(_Piece(slot, payload.row_chars))
            if slot.begins:
                self.calls.append((slot.choice, slot.part))
        self.open_calls = len(self.calls)
        self.open_leaves = len(payload.leaves)
        self.sent = 0

    def ready(self) -> int:
        """How many of the row have had all their texts out of the stages."""
        if self.open_leaves or self.open_calls:
            return 0
        ready = len(self.datas)
        for piece in self.pieces:
            if piece.at < piece.chars:
                ready = min(ready, bisect_right(piece.ends, piece.at))
        return ready


class _Piece:
    """A slot's text on its way, in a row of payloads: `at` of its characters have come out of the stages."""

    __slots__ = ("at", "chars", "ends", "slot", "touches")

    def __init__(self, slot: Slot, row_chars: tuple[int, ...]) -> None:
        self.slot = slot
        self.ends = (
            list(accumulate((slot.chars, *row_chars))) if row_chars else [slot.chars]
        )  # of each payload's part of the text
        self.chars = self.ends[-1]
        self.at = 0
        self.touches: list[tuple[int, int, str]] = []  # (start, end, what stands there now)

    def is_touched(self, place: int) -> bool:
        start, end = self._bounds(place)
        return any(first < end and last > start for first, last, _ in self.touches)

    def text(self, place: int, original: str) -> str:
        """The part of the text in the row's payload number `place`, with what replaces it."""
        return self._cut(*self._bounds(place), original)

    def text_of_both(self, place: int, original: str, other: str) -> str:
        """As `text`, of a string that somebody else made `other` of: what both left stays, around all that is not alike."""
        start, end = self._bounds(place)
        front = _alike(original, other)
        back = _alike(original[front:][::-1], other[front:][::-1])
        middle, ours = (
            other[front : len(other) - back],
            self._cut(start + front, end - back, original[front : len(original) - back]),
        )
        return "".join(
            (
                self._cut(start, start + front, original[:front]),
                middle if middle == ours else _HIDDEN,
                self._cut(end - back, end, original[len(original) - back :]),
            )
        )

    def _cut(self, start: int, end: int, original: str) -> str:
        """What is left of the characters from `start` to `end`, which were `original`."""
        out, at = [], start
        for first, last, instead in self.touches:
            if first < end and last > start:
                out.append(original[at - start : max(first, start) - start])
                out.append(instead if first >= start else "")
                at = min(last, end)
        return "".join([*out, original[at - start :]])

    def _bounds(self, place: int) -> tuple[int, int]:
        return (self.ends[place - 1] if place else 0), self.ends[place]


def only_tokens(logprobs: Any) -> bool:
    """Whether log-probabilities say nothing but plain tokens."""
    if isinstance(logprobs, str):
        return is_plain_token(logprobs)
    if isinstance(logprobs, dict):
        return _LOGPROBS.issuperset(logprobs) and all(map(only_tokens, logprobs.values()))
    return all(map(only_tokens, logprobs)) if isinstance(logprobs, list) else True


def _alike(one: str, other: str) -> int:
    """How many characters in front are the same."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
