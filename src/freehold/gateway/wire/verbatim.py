"""A provider's own payloads for a client of the same dialect: byte for byte, but for the texts that a stage touched.

`PayloadNotes` takes payloads apart for a decoder: the decoder names the streamed texts (slots), every other string becomes a leaf
and is scanned whole. `VerbatimEncoder` puts them together again: it keeps payloads in their order until all their texts have come
out of the stages. Nothing of a payload is sent before all of it was seen.
"""

from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, TypeAlias

import orjson

from freehold.core.errors import InternalError
from freehold.core.events import (
    Event,
    MessageEnd,
    PartKind,
    Payload,
    PayloadLeaf,
    PromptText,
    ReasoningDelta,
    Slot,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from freehold.core.exchange import Path
from freehold.core.findings import Channel
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.codec import Leaf
from freehold.gateway.wire.leaves import ChannelOf, faithful, rewrite, walk

_ANY = Channel.OTHER  # `rewrite` asks for places alone
_REMEMBERED = 64  # sets of strings: ids and names come again in every payload of a stream, and need one look
_TextKey: TypeAlias = tuple[PartKind, int, int]  # kind, choice, part


class PayloadNotes:
    """Takes the payloads of one stream apart. `vocabulary` are the dialect's own words, which hold nothing to find."""

    __slots__ = ("_channel_of", "_known", "_leaf", "_number", "_vocabulary")

    def __init__(self, vocabulary: Container[str], channel_of: ChannelOf) -> None:
        self._vocabulary = vocabulary
        self._channel_of = channel_of
        self._known: dict[tuple[tuple[Path, str, bool], ...], int] = {}
        self._number = 0
        self._leaf = 0

    def note(self, data: bytes, name: bytes, document: Any, slots: Sequence[Slot] = (), *, is_last: bool = False) -> list[Event]:
        """`Payload`, and a `PromptText` for each string that is in no slot. The slots' deltas must follow."""
        data = faithful(data, document)
        streamed = {slot.path for slot in slots}
        found = [leaf for leaf in walk(document, self._channel_of, self._vocabulary) if leaf.is_key or leaf.path not in streamed]
        known = tuple((leaf.path, leaf.text, leaf.is_key) for leaf in found)
        number, like = self._number, self._known.get(known) if known else None
        self._number += 1
        if like is not None:
            return [Payload(data=data, number=number, name=name, slots=tuple(slots), like=like, is_last=is_last)]
        if known and len(self._known) < _REMEMBERED:
            self._known[known] = number
        leaves = tuple(
            PayloadLeaf(leaf=at, path=leaf.path, text=leaf.text, is_key=leaf.is_key) for at, leaf in enumerate(found, self._leaf)
        )
        texts = [PromptText(leaf=at, channel=leaf.channel, text=leaf.text) for at, leaf in enumerate(found, self._leaf)]
        self._leaf += len(found)
        return [Payload(data=data, number=number, name=name, slots=tuple(slots), leaves=leaves, is_last=is_last), *texts]

    def same(self, data: bytes, name: bytes, slot: Slot, like: int | None) -> Payload:
        """A payload that differs from an earlier one in the text of one slot alone."""
        self._number += 1
        return Payload(data=data, number=self._number - 1, name=name, slots=(slot,), like=like)


class VerbatimEncoder:
    """A `StreamEncoder` for payloads. `scrub` is the codec's, for payloads that were touched."""

    def __init__(self, scrub: Callable[[dict[str, Any]], None]) -> None:
        self._scrub = scrub
        self._queue: deque[_Pending] = deque()
        self._texts: dict[_TextKey, deque[_Piece]] = {}
        self._leaves: dict[int, tuple[_Pending, PayloadLeaf]] = {}
        self._changes: dict[int, list[tuple[PayloadLeaf, str]]] = {}  # payload number -> its leaves that a stage changed
        self._is_ending = False

    def encode(self, event: Event) -> list[SseEvent]:
        match event:
            case Payload():
                self._enqueue(event)
            case PromptText():
                self._take_leaf(event)
            case TextDelta():
                self._take((PartKind.TEXT, event.choice, event.part), event.text, event.source_chars)
            case ReasoningDelta():
                self._take((PartKind.REASONING, event.choice, event.part), event.text, event.source_chars)
            case ToolCallDelta():
                self._take((PartKind.TOOL_CALL, event.choice, event.part), event.arguments, event.source_chars)
            case _:
                return []
        return self._ready()

    def finish(self, ends: Iterable[MessageEnd], usage: Usage | None) -> list[SseEvent]:
        """What ends the answer, as it came. Raises InternalError if a text of it never came out of the stages."""
        if any(pending.waits_for for pending in self._queue):
            raise InternalError("a part of the answer was not let through: its end is not sent")
        last = [self._sent(pending) for pending in self._queue]
        self._queue.clear()
        return last

    def _enqueue(self, payload: Payload) -> None:
        pending = _Pending(payload)
        self._queue.append(pending)
        for leaf in payload.leaves:
            self._leaves[leaf.leaf] = (pending, leaf)
        for slot in payload.slots:
            if slot.chars:
                piece = _Piece(pending, slot)
                pending.pieces.append(piece)
                self._texts.setdefault((slot.kind, slot.choice, slot.part), deque()).append(piece)
        pending.waits_for = len(payload.leaves) + len(pending.pieces)

    def _take_leaf(self, event: PromptText) -> None:
        pending, leaf = self._leaves.pop(event.leaf)
        if event.text != leaf.text:
            self._changes.setdefault(pending.payload.number, []).append((leaf, event.text))
        pending.waits_for -= 1

    def _take(self, key: _TextKey, text: str, source_chars: int | None) -> None:
        """Give the characters of a text to the payloads they came in; what replaces some goes to the first of those."""
        pieces = self._texts.get(key)
        left = len(text) if source_chars is None else source_chars
        at = 0
        while left:
            if not pieces:
                raise InternalError("more of a text came out of the stages than the provider sent")
            piece = pieces[0]
            chars = min(left, piece.left)
            if source_chars is None:
                piece.texts.append(text[at : at + chars])
                at += chars
            else:
                piece.texts.append(text)
                piece.is_touched = True
                text = ""
            piece.left -= chars
            left -= chars
            if not piece.left:
                pieces.popleft()
                piece.pending.waits_for -= 1

    def _ready(self) -> list[SseEvent]:
        sent: list[SseEvent] = []
        queue = self._queue
        while queue and not queue[0].waits_for and not self._is_ending:
            if queue[0].payload.is_last:
                self._is_ending = True
            else:
                sent.append(self._sent(queue.popleft()))
        return sent

    def _sent(self, pending: "_Pending") -> SseEvent:
        payload = pending.payload
        changes = self._changes.get(payload.number if payload.like is None else payload.like, [])
        touched = [piece for piece in pending.pieces if piece.is_touched]
        if not changes and not touched:
            return payload.data, payload.name
        replaced = [(Leaf(path=leaf.path, channel=_ANY, text=leaf.text, is_key=leaf.is_key), text) for leaf, text in changes]
        replaced += [(Leaf(path=piece.slot.path, channel=_ANY, text=""), "".join(piece.texts)) for piece in touched]
        document = rewrite(orjson.loads(payload.data), replaced)
        if touched:
            self._scrub(document)
        return orjson.dumps(document), payload.name


class _Pending:
    __slots__ = ("payload", "pieces", "waits_for")

    def __init__(self, payload: Payload) -> None:
        self.payload = payload
        self.pieces: list[_Piece] = []
        self.waits_for = 0


class _Piece:
    """A slot's text on its way: `left` of its characters have not come out of the stages yet."""

    __slots__ = ("is_touched", "left", "pending", "slot", "texts")

    def __init__(self, pending: _Pending, slot: Slot) -> None:
        self.pending = pending
        self.slot = slot
        self.left = slot.chars
        self.texts: list[str] = []
        self.is_touched = False
