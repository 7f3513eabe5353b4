"""The stage that masks a stream: events in, the same events out with what policy hides hidden.

Every text an event carries is scanned, each in its own channel: (kind, choice, part). Deltas may be joined and cut anew; their
text without findings is theirs, in order. Within a choice, a channel that begins closes those before it, a tool call's start
and the end of the message close all: what was said before a tool call is sent before it. Parallel channels already open stay
apart, so a value spelled in one while another also speaks is still one value. `Usage` and the like hold no text and go straight
on.

Log-probabilities go with their text (`logprobs.py`). After `Blocked` nothing is sent. Whatever raises here, raises: the stage
then refuses every further event, and what was held is never sent.
"""

from collections.abc import Sequence
from typing import assert_never

from freehold.core.errors import InternalError
from freehold.core.events import (
    Alerted,
    Blocked,
    Event,
    Found,
    MessageEnd,
    MessageStart,
    PromptText,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    Worked,
)
from freehold.core.findings import Action, Channel, Direction, Finding, Verdict
from freehold.guard.channel import Piece, TextChannel
from freehold.guard.logprobs import LogprobQueue
from freehold.guard.matcher import Matcher
from freehold.guard.ruling import Hit, Ruling

_Delta = TextDelta | ReasoningDelta | ToolCallDelta
_Key = tuple[type[_Delta], int, int]  # kind, choice, part

_CHANNELS: dict[type[_Delta], Channel] = {
    TextDelta: Channel.TEXT,
    ReasoningDelta: Channel.REASONING,
    ToolCallDelta: Channel.TOOL_ARGUMENTS,
}


class _Open:
    """One open channel of an answer."""

    __slots__ = ("key", "logprobs", "text")

    def __init__(self, key: _Key, text: TextChannel) -> None:
        self.key = key
        self.text = text
        self.logprobs = LogprobQueue() if key[0] is TextDelta else None  # None, too, once it is clear that none come

    def take_logprobs(self, event: TextDelta) -> None:
        assert self.logprobs is not None
        self.logprobs.add(event.text, event.logprobs)
        if not self.logprobs.is_open:
            self.logprobs = None


def _text_of(pieces: list[Piece]) -> str:
    """What may be sent: nothing after what policy blocks."""
    texts = []
    for piece in pieces:
        texts.append(piece.text)
        if piece.hit is not None and piece.hit.ruling.enforced is Action.BLOCK:
            break
    return "".join(texts)


def _event(key: _Key, text: str) -> _Delta:
    kind, choice, part = key
    if kind is TextDelta:
        return TextDelta(text=text, choice=choice, part=part)
    if kind is ReasoningDelta:
        return ReasoningDelta(text=text, choice=choice, part=part)
    return ToolCallDelta(arguments=text, choice=choice, part=part)


class Redactor:
    """A `Stage` for one direction of one exchange."""

    def __init__(self, matcher: Matcher, rulings: Sequence[Ruling | None], direction: Direction, policy_digest: str) -> None:
        self._matcher, self._rulings = matcher, rulings
        self._direction, self._policy_digest = direction, policy_digest
        self._open: dict[_Key, _Open] = {}  # in the order they began
        self._has_blocked = False
        self._has_stopped = False  # blocked, closed, or failed

    def receive(self, event: Event) -> list[Event]:
        if self._has_stopped:
            return self._after_stop()
        try:
            out = self._receive(event)
        except BaseException:
            self._has_stopped = True
            raise
        return self._up_to_blocked(out) if self._has_blocked else out

    def close(self) -> list[Event]:
        if self._has_stopped:
            return self._after_stop()
        try:
            out = self._end(None)
        finally:
            self._has_stopped = True
            for channel in self._open.values():
                channel.text.close()
            self._open.clear()
        return self._up_to_blocked(out) if self._has_blocked else out

    def _after_stop(self) -> list[Event]:
        if self._has_blocked:
            return []
        raise InternalError("the guard closed this stream, or failed in it: nothing more is sent")

    def _up_to_blocked(self, out: list[Event]) -> list[Event]:
        self._has_stopped = True
        last = next(number for number, event in enumerate(out) if isinstance(event, Blocked))
        return out[: last + 1]

    def _receive(self, event: Event) -> list[Event]:
        match event:
            case TextDelta() | ReasoningDelta() | ToolCallDelta():
                return self._delta(event)
            case ToolCallStart():
                return [*self._end(event.choice), *self._whole_call(event)]
            case MessageEnd():
                return [*self._end(event.choice), event]
            case Blocked():
                self._has_blocked = True
                return [*self._end(None), event]
            case PromptText():
                return self._prompt(event)
            case MessageStart() | Usage() | Worked() | Found() | Alerted():
                return [event]
            case _:
                assert_never(event)

    def _delta(self, event: _Delta) -> list[Event]:
        kind = type(event)
        channel = self._open.get((kind, event.choice, event.part))
        before: list[Event] = []
        if channel is None:
            before = self._end(event.choice, keep=ToolCallDelta if kind is ToolCallDelta else None)
            channel = self._begin((kind, event.choice, event.part))
        if isinstance(event, ToolCallDelta):
            pieces = channel.text.feed(event.arguments)
        else:
            if channel.logprobs is not None and isinstance(event, TextDelta):
                channel.take_logprobs(event)
            pieces = channel.text.feed(event.text)
        if not pieces:
            return before
        return before + self._events(channel, pieces) if before else self._events(channel, pieces)

    def _begin(self, key: _Key) -> _Open:
        channel = _Open(key, TextChannel(self._matcher, self._rulings))
        self._open[key] = channel
        return channel

    def _end(self, choice: int | None, keep: type[_Delta] | None = None) -> list[Event]:
        """Send what the channels of `choice` hold (None: of all), but for those of the kind `keep`."""
        out: list[Event] = []
        for key, channel in self._open.items():
            if key[0] is not keep and choice in (None, key[1]) and (pieces := channel.text.flush()):
                out += self._events(channel, pieces)
        return out

    def _events(self, channel: _Open, pieces: list[Piece]) -> list[Event]:
        kind, choice, part = channel.key
        logprobs = channel.logprobs
        if len(pieces) == 1 and logprobs is None and pieces[0].hit is None:  # almost every delta
            return [_event(channel.key, pieces[0].text)]
        out, blocked = self._findings(pieces, _CHANNELS[kind], part)
        text = _text_of(pieces)
        released = (
            tuple(e for p in pieces if p.chars for e in logprobs.release(p.chars, p.hidden)) if logprobs is not None else ()
        )
        if released:
            out.append(TextDelta(text=text, choice=choice, part=part, logprobs=released))
        elif text:
            out.append(_event(channel.key, text))
        return [*out, *blocked]

    def _prompt(self, event: PromptText) -> list[Event]:
        pieces = self.scan(event.text)
        found, blocked = self._findings(pieces, event.channel, event.leaf)
        if not found:
            return [event]
        return [*found, PromptText(leaf=event.leaf, channel=event.channel, text=_text_of(pieces)), *blocked]

    def _whole_call(self, event: ToolCallStart) -> list[Event]:
        """A tool's name and its call's id are text, too."""
        out: list[Event] = []
        clean = []
        for text in (event.call_id, event.name):
            pieces = self.scan(text)
            found, blocked = self._findings(pieces, Channel.OTHER, event.part)
            out += [*found, *blocked]
            clean.append(_text_of(pieces))
        call_id, name = clean
        return [*out, ToolCallStart(call_id=call_id, name=name, choice=event.choice, part=event.part) if out else event]

    def scan(self, text: str) -> list[Piece]:
        """Scan a text that is known whole."""
        channel = TextChannel(self._matcher, self._rulings)
        pieces = channel.feed(text) + channel.flush()
        channel.close()
        return pieces

    def _findings(self, pieces: list[Piece], channel: Channel, part: int) -> tuple[list[Event], list[Event]]:
        """(Found for the record, Blocked if policy says so)."""
        findings = [self.finding(p.hit, channel, part) for p in pieces if p.hit is not None]
        stopping = tuple(f for f in findings if f.enforced is Action.BLOCK)
        blocked: list[Event] = []
        if stopping:
            verdict = Verdict(action=Action.BLOCK, policy_digest=self._policy_digest, findings=stopping)
            blocked = [Blocked(verdict=verdict)]
            self._has_blocked = True
        return [Found(finding=f) for f in findings], blocked

    def finding(self, hit: Hit, channel: Channel, part: int) -> Finding:
        ruling = hit.ruling
        return Finding(
            rule=ruling.rule,
            category=ruling.category,
            direction=self._direction,
            channel=channel,
            part=part,
            start=hit.start,
            end=hit.end,
            confidence=ruling.confidence,
            action=ruling.action,
            mode=ruling.mode,
        )
