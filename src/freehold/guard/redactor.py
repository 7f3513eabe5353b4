"""The stage that masks a stream: events in, the same events out with what policy hides hidden.

Every text an event carries is scanned, each in its own channel: (kind, choice, part). Deltas may be joined and cut anew; their
text without findings is theirs, in order, and what is complete is sent at once. The run a channel has not ended stays held
whatever other channels say meanwhile, until it ends in its own channel, its choice ends, or the stream does: a value interrupted
by a thought or by a tool call is still one value. So the last word before a tool call may come after the call; in its own
channel nothing is out of order. `Usage` and the like hold no text and go straight on.

Log-probabilities go with their text (`logprobs.py`). After `Blocked` nothing is sent. Whatever raises here, raises: the stage
then refuses every further event, and what was held is never sent.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from freehold.core.errors import InternalError, UpstreamBroken
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
from freehold.core.findings import Action, Channel, Direction, Verdict
from freehold.guard.channel import STEP_CHARS, TextChannel, scan, scan_slices
from freehold.guard.clean import Clean
from freehold.guard.logprobs import LogprobQueue
from freehold.guard.matcher import Matcher
from freehold.guard.pieces import Piece, inner
from freehold.guard.ruling import Rulings, RulingTable, findings_of
from freehold.guard.seal import UNSEALED, Seal

_Delta = TextDelta | ReasoningDelta | ToolCallDelta
_Key = tuple[type[_Delta], int, int]  # kind, choice, part

_CHANNELS: dict[type[_Delta], Channel] = {
    TextDelta: Channel.TEXT,
    ReasoningDelta: Channel.REASONING,
    ToolCallDelta: Channel.TOOL_ARGUMENTS,
}
_KINDS: dict[PartKind, type[_Delta]] = {
    PartKind.TEXT: TextDelta,
    PartKind.REASONING: ReasoningDelta,
    PartKind.TOOL_CALL: ToolCallDelta,
}


NAMED_CHARS = 512  # a longer text is a text, and not the value of what its name says
OPEN_CHANNELS = 1024  # each holds a few KiB; 128 choices, the most OpenAI gives, with text, reasoning and six calls each


class _Open:
    """One open channel of an answer."""

    __slots__ = ("key", "logprobs", "text")

    def __init__(self, key: _Key, text: TextChannel) -> None:
        self.key = key
        self.text = text
        self.logprobs = LogprobQueue() if key[0] is TextDelta else None  # None, too, once it is clear that none come

    def take_logprobs(self, queue: LogprobQueue, event: TextDelta) -> None:
        queue.add(event.text, event.logprobs)
        if not queue.is_open:
            self.logprobs = None


def _sent(pieces: list[Piece]) -> Iterator[Piece]:
    """What may be sent: nothing after what policy blocks."""
    for piece in pieces:
        yield piece
        if piece.hit is not None and piece.hit.ruling.enforced is Action.BLOCK:
            break


def _text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in _sent(pieces))


def _strength(pieces: list[Piece]) -> tuple[int, int]:
    return sum(piece.chars for piece in pieces if piece.hidden), len(pieces)


def _event(key: _Key, text: str, source_chars: int | None = None) -> _Delta:
    kind, choice, part = key
    if kind is TextDelta:
        return TextDelta(text=text, choice=choice, part=part, source_chars=source_chars)
    if kind is ReasoningDelta:
        return ReasoningDelta(text=text, choice=choice, part=part, source_chars=source_chars)
    return ToolCallDelta(arguments=text, choice=choice, part=part, source_chars=source_chars)


class Redactor:
    """A `Stage` for one direction of one exchange."""

    def __init__(
        self,
        matcher: Matcher,
        table: RulingTable,
        direction: Direction,
        policy_digest: str,
        seal: Seal = UNSEALED,
        clean: Clean | None = None,
        key_id: str = "",
    ) -> None:
        """`clean` remembers whole texts of the key `key_id` in which nothing was found."""
        self._matcher, self._table = matcher, table
        self._direction, self._policy_digest = direction, policy_digest
        self._seal, self._json_seal = seal, seal.for_json()
        self._clean, self._key_id = clean, key_id
        self._tools: dict[tuple[int, int], str] = {}  # (choice, part) -> the tool that is called
        self._open: dict[_Key, _Open] = {}  # in the order they began
        self._ended: set[int] = set()  # choices
        self._ended_parts: set[_Key] = set()
        self._has_blocked = False
        self._has_stopped = False  # blocked, closed, or failed

    def receive(self, event: Event) -> list[Event]:
        if self._has_stopped:
            return self._after_stop()
        try:
            out = self._receive(event)
        except BaseException:
            self._stop()
            raise
        return self._up_to_blocked(out) if self._has_blocked else out

    def steps(self, event: Event) -> Iterator[list[Event]]:
        """Implements `core.stage.Stepwise`: a long text goes slice by slice."""
        if self._has_stopped or not isinstance(event, PromptText) or len(event.text) <= STEP_CHARS:
            yield self.receive(event)
            return
        pieces: list[Piece] = []
        try:
            rulings, seal = self._terms_of(event.text, event.channel, event.tool)
            digest = self._digest(event, rulings)
            if self._is_clean(digest):
                yield [event]
                return
            for taken in scan_slices(self._matcher, rulings, event.text, seal):
                pieces += taken
                yield []
            out = self._prompt(event, pieces, digest)
        except BaseException:
            self._stop()
            raise
        yield self._up_to_blocked(out) if self._has_blocked else out

    def close(self) -> list[Event]:
        if self._has_stopped:
            return self._after_stop()
        try:
            out = self._end()
        finally:
            self._stop()
        return self._up_to_blocked(out) if self._has_blocked else out

    def _stop(self) -> None:
        self._has_stopped = True
        for channel in self._open.values():
            channel.text.close()
        self._open.clear()

    def _after_stop(self) -> list[Event]:
        if self._has_blocked:
            return []
        raise InternalError("the guard closed this stream, or failed in it: nothing more is sent")

    def _up_to_blocked(self, out: list[Event]) -> list[Event]:
        self._stop()
        last = next(number for number, event in enumerate(out) if isinstance(event, Blocked))
        return out[: last + 1]

    def _receive(self, event: Event) -> list[Event]:
        key: _Key
        match event:
            case TextDelta():
                key = (TextDelta, event.choice, event.part)
                channel = self._open.get(key) or self._begin(key)
                if channel.logprobs is not None:
                    channel.take_logprobs(channel.logprobs, event)
                return self._said(channel, channel.text.feed(event.text))
            case Payload():  # early, as half of all are
                return [event]
            case ReasoningDelta():
                key = (ReasoningDelta, event.choice, event.part)
                channel = self._open.get(key) or self._begin(key)
                return self._said(channel, channel.text.feed(event.text))
            case ToolCallDelta():
                key = (ToolCallDelta, event.choice, event.part)
                channel = self._open.get(key) or self._begin(key)
                return self._said(channel, channel.text.feed(event.arguments))
            case ToolCallStart():
                return self._whole_call(event)
            case MessageEnd():
                self._ended.add(event.choice)
                return [*self._end(event.choice), event]
            case PartEnd():
                return [*self._end_part(event), *self._sealed(event)]
            case Blocked():
                self._has_blocked = True
                return [*self._end(), event]
            case PromptText():
                return self._whole_text(event)
            case MessageStart() | Usage() | Aside():
                return [event]
            case _:
                assert_never(event)

    def _begin(self, key: _Key) -> _Open:
        if key[1] in self._ended or key in self._ended_parts:  # a run that its end cut would go on here
            raise UpstreamBroken(f"the upstream sent more of choice {key[1]}, part {key[2]} after its end: nothing more is sent")
        if len(self._open) == OPEN_CHANNELS:
            raise UpstreamBroken(f"the upstream's answer has more than {OPEN_CHANNELS} texts at once: nothing more is sent")
        is_call = key[0] is ToolCallDelta
        rulings = self._table.of(_CHANNELS[key[0]], self._tools.get(key[1:], "") if is_call else "")
        seal = self._json_seal if is_call else self._seal
        channel = self._open[key] = _Open(key, TextChannel(self._matcher, rulings, None, seal))
        return channel

    def _end(self, choice: int | None = None) -> list[Event]:
        """Send what the channels of `choice` hold, and close them; None: of all."""
        out: list[Event] = []
        for key in [key for key in self._open if choice is None or key[1] == choice]:
            out += self._end_channel(key)
        return out

    def _end_part(self, event: PartEnd) -> list[Event]:
        key: _Key = (_KINDS[event.kind], event.choice, event.part)
        self._ended_parts.add(key)
        return self._end_channel(key) if key in self._open else []

    def _end_channel(self, key: _Key) -> list[Event]:
        channel = self._open[key]
        out = self._said(channel, channel.text.flush())
        channel.text.close()
        del self._open[key]
        return out

    def _said(self, channel: _Open, pieces: str | list[Piece]) -> list[Event]:
        """What of a channel may be sent: almost always text alone."""
        if not pieces:
            return []
        if isinstance(pieces, str):
            if channel.logprobs is None:
                return [_event(channel.key, pieces)]
            pieces = [Piece(pieces, len(pieces))]
        return self._events(channel, pieces)

    def _events(self, channel: _Open, pieces: list[Piece]) -> list[Event]:
        kind, choice, part = channel.key
        logprobs = channel.logprobs
        out, blocked = self._findings(pieces, _CHANNELS[kind], part)
        for piece in _sent(pieces):
            released = logprobs.release(piece.chars, piece.hidden) if logprobs is not None and piece.chars else ()
            source_chars = piece.chars if piece.hidden else None
            if released:
                out.append(
                    TextDelta(text=piece.text, choice=choice, part=part, logprobs=tuple(released), source_chars=source_chars)
                )
            elif piece.chars or piece.text:
                out.append(_event(channel.key, piece.text, source_chars))
        return [*out, *blocked]

    def _whole_text(self, event: PromptText) -> list[Event]:
        digest = self._digest(event, self._table.of(event.channel, event.tool))
        return [event] if self._is_clean(digest) else self._prompt(event, self._scan_in_place(event), digest)

    def _digest(self, event: PromptText, rulings: Rulings) -> bytes | None:
        return None if self._clean is None else self._clean.digest(event.text, event.before, rulings, self._key_id)

    def _is_clean(self, digest: bytes | None) -> bool:
        return self._clean is not None and digest is not None and self._clean.has(digest)

    def _prompt(self, event: PromptText, pieces: list[Piece], digest: bytes | None) -> list[Event]:
        found, blocked = self._findings(pieces, event.channel, event.leaf)
        if not found:
            if self._clean is not None and digest is not None:
                self._clean.add(digest)
            return [event]
        text = replace(event, text=_text_of(pieces))
        return [*found, text, *blocked]

    def _sealed(self, event: PartEnd) -> list[Event]:
        """A thought's seal is text, too. One that would be changed is left out: changed, it is worth nothing."""
        if event.signature is None:
            return [event]
        pieces = self.scan(event.signature, Channel.OTHER)
        found, blocked = self._findings(pieces, Channel.OTHER, event.part)
        kept = event if _text_of(pieces) == event.signature else replace(event, signature=None)
        return [*found, kept, *blocked]

    def _whole_call(self, event: ToolCallStart) -> list[Event]:
        """A tool's name and its call's id are text, too."""
        out: list[Event] = []
        clean = []
        self._tools[event.choice, event.part] = event.name
        for text in (event.call_id, event.name):
            pieces = self.scan(text, Channel.OTHER)
            found, blocked = self._findings(pieces, Channel.OTHER, event.part)
            out += [*found, *blocked]
            clean.append(_text_of(pieces))
        call_id, name = clean
        if event.arguments:  # leaves of their payload, where they are found; here they are hidden from whoever judges
            arguments = _text_of(self.scan(event.arguments, Channel.TOOL_ARGUMENTS, event.name))
            event = replace(event, arguments=arguments)
        return [*out, replace(event, call_id=call_id, name=name) if out else event]

    def scan(self, text: str, channel: Channel, tool: str = "") -> list[Piece]:
        """Scan a text that is known whole."""
        rulings, seal = self._terms_of(text, channel, tool)
        return scan(self._matcher, rulings, text, seal)

    def _scan_in_place(self, event: PromptText) -> list[Piece]:
        """Of a member of an object, what hides more of it: the text alone, or behind its name. A number alone says nothing."""
        if not event.before or len(event.text) > NAMED_CHARS:
            return self.scan(event.text, event.channel, event.tool)
        rulings, seal = self._terms_of(event.text, event.channel, event.tool)
        is_number = not event.before.endswith('"')
        placed = f"{event.before}{event.text}" if is_number else f'{event.before}{event.text}"'
        named = inner(scan(self._matcher, rulings, placed, seal), len(event.before), len(event.text))
        return named if is_number else max(named, scan(self._matcher, rulings, event.text, seal), key=_strength)

    def _terms_of(self, text: str, channel: Channel, tool: str) -> tuple[Rulings, Seal]:
        is_json = channel is Channel.TOOL_ARGUMENTS and text.lstrip()[:1] == "{"  # else its strings come one by one, unescaped
        return self._table.of(channel, tool), self._json_seal if is_json else self._seal

    def _findings(self, pieces: list[Piece], channel: Channel, part: int) -> tuple[list[Event], list[Event]]:
        """(Found for the record, Blocked if policy says so)."""
        if len(pieces) == 1 and pieces[0].hit is None:  # as almost always
            return [], []
        findings = [
            finding for p in pieces if p.hit is not None for finding in findings_of(p.hit, self._direction, channel, part)
        ]
        stopping = tuple(f for f in findings if f.enforced is Action.BLOCK)
        blocked: list[Event] = []
        if stopping:
            verdict = Verdict(action=Action.BLOCK, policy_digest=self._policy_digest, findings=stopping)
            blocked = [Blocked(verdict=verdict)]
            self._has_blocked = True
        return [Found(finding=f) for f in findings], blocked
