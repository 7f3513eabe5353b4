"""A Messages answer as providers send it, a stream or one body, to events.

Blocks become parts, numbered as they begin. A delta of text, thought or arguments is one piece of its block's text; strings of
deltas and events that are not known here are texts in pieces, too, each with a part of its own: what a provider adds one day may
be cut anywhere. For a client of the same dialect each payload goes on as it came (`verbatim.py`); for another, the provider's own
tools, citations and the like are left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from freehold.core.errors import UpstreamBroken
from freehold.core.events import Event, MessageStart, PartEnd, PartKind, Slot
from freehold.core.exchange import Exchange, Path
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.anthropic_events import (
    STARTS,
    Counts,
    call_start,
    end_of,
    index_of,
    mapping,
    parsed_event,
    rejection,
    seal_of,
    served_by,
    string,
)
from freehold.gateway.wire.anthropic_prompt import DIALECT
from freehold.gateway.wire.anthropic_words import CALLS, OBJECTS, VOCABULARY, channel_of
from freehold.gateway.wire.codec import TextKey
from freehold.gateway.wire.decoder import Decoder, Run
from freehold.gateway.wire.leaves import faithful, strings
from freehold.gateway.wire.prompt import sealed
from freehold.gateway.wire.verbatim import PayloadNotes

_FIRST_EXTRA_PART = 1 << 20  # of texts in fields not known here; a message's blocks stay far below
_TEXTS: Final[dict[object, tuple[PartKind, str]]] = {
    "text_delta": (PartKind.TEXT, "text"),
    "thinking_delta": (PartKind.REASONING, "thinking"),
    "input_json_delta": (PartKind.TOOL_CALL, "partial_json"),
}
_WHOLE: Final = frozenset({"citations_delta"})  # each says something for itself, all at once
_QUIET: Final = "ping"
_TYPE: Final = frozenset({"type"})
_KNOWN_WORDS = "message_start message_delta message_stop content_block_start content_block_delta content_block_stop error"
_KNOWN: Final = frozenset(_KNOWN_WORDS.split())


class _Block:
    """One content block under way."""

    __slots__ = ("given", "is_call", "kinds", "part", "signature")

    def __init__(self, part: int, block: Mapping[str, Any], *, is_call: bool) -> None:
        self.part = part
        self.is_call = is_call
        self.kinds: set[PartKind] = {PartKind.TOOL_CALL} if is_call else set()
        self.given = block.get("input") if is_call else None  # arguments that came with the start, in place of deltas
        self.signature = seal_of(block)


class MessageDecoder(Decoder):
    """Events of any provider's stream."""

    __slots__ = (
        "_blocks",
        "_extras",
        "_has_ended",
        "_head",
        "_key",
        "_next_extra",
        "_next_part",
        "_notes",
        "_path",
        "_reason",
        "_row",
        "_started",
        "_usage",
    )

    def __init__(self, *, provider: str, verbatim: Exchange | None = None) -> None:
        super().__init__(provider)
        self._notes = PayloadNotes(VOCABULARY, channel_of, OBJECTS) if verbatim is not None else None
        self._started = self._has_ended = False
        self._blocks: dict[int, _Block] = {}  # open, by index
        self._next_part = 0
        self._extras: dict[tuple[int | None, str, Path], int] = {}  # (block, event, place) -> part
        self._next_extra = _FIRST_EXTRA_PART
        self._head = b""  # of a payload that differs from the last one in its text alone
        self._key: TextKey = (PartKind.TEXT, 0, 0)  # of that text,
        self._path: Path = ()  # and its place
        self._row: list[tuple[bytes, int]] = []  # such payloads that came together, and how long their texts are
        self._usage = Counts()
        self._reason: str | None = None

    def _read_all(self, payloads: Iterable[SseEvent], run: Run) -> None:
        try:
            for data, name in payloads:
                if self.done:
                    break
                if not (self._head and self._read_again(data, name, run)):
                    self._end_row(run)
                    self._read(data, name, run)
        except (ValueError, TypeError, RecursionError) as exc:  # nested too deep to be looked at
            raise UpstreamBroken("the upstream sent an event that can't be read") from exc
        finally:
            self._end_row(run)

    def _ends(self) -> list[Event]:
        if not self.done:
            raise self._ended_early()
        return [*self._usage.event(), end_of(self._reason)]

    def _read_again(self, data: bytes, name: bytes, run: Run) -> bool:
        """Most payloads differ from the one before in one text: what stands around it needs no second look."""
        head = self._head
        if name != b"content_block_delta" or not data.startswith(head):
            return False
        start = len(head)
        literal = data[start:].rstrip(b"} ")  # providers pad the end
        if data.count(b"}", start + len(literal)) != 2:
            return False
        try:
            text = orjson.loads(literal)
        except orjson.JSONDecodeError:
            return False
        if not isinstance(text, str):
            return False
        if self._notes is not None:
            self._row.append((data, len(text)))
        run.say(self._key, text)
        return True

    def _end_row(self, run: Run) -> None:
        """One payload stands for all that followed it in its read and differ in that text alone."""
        if not self._row or self._notes is None:
            return
        (data, chars), *rest = self._row
        kind, choice, part = self._key
        slot = Slot(kind=kind, choice=choice, part=part, path=self._path, chars=chars)
        row, row_chars = tuple(other for other, _ in rest), tuple(length for _, length in rest)
        run.noted.append(self._notes.same(data, b"content_block_delta", slot, None, row, row_chars))
        self._row = []

    def _read(self, data: bytes, name: bytes, run: Run) -> None:
        self._head = b""
        document = parsed_event(data)
        slots = run.slots = []
        kind = document.get("type")
        if kind in _KNOWN:
            self._end_extras(None, run)
            self._read_known(kind, document, data, run)
        elif kind != _QUIET:
            self._read_extras(None, str(kind), document, (), run)
        if self._notes is not None:
            run.noted += self._notes.note(data, name, document, slots, is_last=self._has_ended)

    def _read_known(self, kind: str, document: Mapping[str, Any], data: bytes, run: Run) -> None:
        if kind == "error":
            raise rejection(document.get("error"))
        if not self._started and kind != "message_start":
            raise UpstreamBroken("the upstream's answer has no beginning")
        match kind:
            case "content_block_delta":
                self._read_delta(document, data, run)
            case "content_block_start":
                self._begin_block(document, run)
            case "content_block_stop":
                self._end_block(index_of(document), run)
            case "message_start":
                self._start(mapping(document, "message"), run)
            case "message_delta":
                self._read_end(document)
            case _:
                self._has_ended = self.done = True

    def _start(self, message: Mapping[str, Any], run: Run) -> None:
        if not self._started:
            self._started = True
            run.add(MessageStart(served=served_by(message, self._provider)))
        self._usage.take(message.get("usage"), is_final=False)

    def _read_end(self, document: Mapping[str, Any]) -> None:
        reason = mapping(document, "delta").get("stop_reason")
        if isinstance(reason, str):
            self._reason, self._has_ended = reason, True
        self._usage.take(document.get("usage"), is_final=True)

    def _begin_block(self, document: Mapping[str, Any], run: Run) -> None:
        index, block = index_of(document), mapping(document, "content_block")
        kind = block.get("type")
        if index in self._blocks:
            raise UpstreamBroken(f"the upstream began block {index} of its answer twice")
        is_call = kind == "tool_use" or (kind in CALLS and self._notes is not None)
        made = self._blocks[index] = _Block(self._next_part, block, is_call=is_call)
        self._next_part += 1
        if is_call:
            start = call_start(block, made.part)
            run.begin_call(start if self._notes is not None else replace(start, arguments=""), ("content_block",))
        elif kind == "redacted_thinking" and self._notes is None:
            made.kinds.add(PartKind.REASONING)
        elif kind in STARTS:
            part_kind, key = STARTS[kind]
            self._say(made, part_kind, string(block, key), ("content_block", key), run)

    def _read_delta(self, document: Mapping[str, Any], data: bytes, run: Run) -> None:
        index, delta = index_of(document), mapping(document, "delta")
        block, kind = self._blocks.get(index), delta.get("type")
        if block is None:
            raise UpstreamBroken(f"the upstream sent more of block {index} of its answer, which is not open")
        part_kind, key = _TEXTS.get(kind, (None, ""))
        if part_kind is not None and (part_kind is not PartKind.TOOL_CALL or block.is_call):
            self._say(block, part_kind, string(delta, key), ("delta", key), run)
            if run.slots:
                self._learn(data, document, key)
                self._key, self._path = (part_kind, 0, block.part), ("delta", key)
            return
        if kind == "signature_delta":
            block.signature += string(delta, "signature")
        if kind not in _WHOLE:
            self._read_extras(index, str(kind), delta, ("delta",), run)

    def _say(self, block: _Block, kind: PartKind, text: str, path: Path, run: Run) -> None:
        block.kinds.add(kind)
        if text:
            block.given = None
            run.say((kind, 0, block.part), text, path)

    def _learn(self, data: bytes, document: Mapping[str, Any], key: str) -> None:
        """Remember what stands in front of this text, if it is the last and only thing that may differ."""
        at = data.find(b'"%s":' % key.encode()) + len(key) + 3
        head = data[: at + 1] if data[at : at + 1] == b" " else data[:at]
        bare = {**document, "delta": {**document["delta"], key: ""}}
        if set(document) != {"type", "index", "delta"} or len(bare["delta"]) != 2:
            return
        plain = head + b'""}}'
        try:
            if orjson.loads(plain) == bare and faithful(plain, bare) is plain:
                self._head = head
        except orjson.JSONDecodeError:
            return

    def _end_block(self, index: int, run: Run) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            raise UpstreamBroken(f"the upstream ended block {index} of its answer, which is not open")
        self._end_extras(index, run)
        if self._notes is None and block.given:
            run.say((PartKind.TOOL_CALL, 0, block.part), orjson.dumps(block.given).decode())
        if block.signature:
            block.kinds.add(PartKind.REASONING)
        for kind in sorted(block.kinds):
            signature = sealed(DIALECT, block.signature) if kind is PartKind.REASONING and block.signature else None
            run.add(PartEnd(kind=kind, part=block.part, signature=signature))

    def _read_extras(self, index: int | None, event: str, value: Any, path: Path, run: Run) -> None:
        """Strings of what is not known here are read as texts in pieces, for a client who may know it."""
        if self._notes is None:
            return
        for place, text in strings(value, path, _TYPE):
            key = (index, event, place)
            if key not in self._extras:
                self._extras[key] = self._next_extra
                self._next_extra += 1
            run.say((PartKind.TEXT, 0, self._extras[key]), text, place)

    def _end_extras(self, index: int | None, run: Run) -> None:
        for key in [key for key in self._extras if key[0] == index]:
            run.add(PartEnd(kind=PartKind.TEXT, part=self._extras.pop(key)))
