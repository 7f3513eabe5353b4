"""The stage that masks a stream: events in, the same events out with what policy hides hidden.

Every text an event carries is scanned, each in its own channel: (kind, choice, part). Deltas may be joined and cut anew; their text
without findings is theirs, in order. Within a choice, a channel that begins closes those before it, a tool call's start and the end of
the message close all: what was said before a tool call is sent before it. Parallel channels already open stay apart, so a value
spelled in one while another also speaks is still one value. `Usage` and the like hold no text and go straight on.

Log-probabilities go with their text (`logprobs.py`). After `Blocked` nothing is sent. Whatever raises here, raises: the stage then
refuses every further event, and what was held is never sent.
"""

from collections.abc import Callable, Sequence
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
from freehold.guard.channel import Hit, Piece, Ruling, TextChannel
from freehold.guard.logprobs import LogprobQueue
from freehold.guard.matcher import Matcher

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
        self.logprobs = LogprobQueue() if key[0] is TextDelta else None


class Redactor:
    """A `Stage` for one direction of one exchange."""

    def __init__(self, matcher: Matcher, rulings: Sequence[Ruling | None], direction: Direction, policy_digest: str) -> None:
        self._matcher, self._rulings = matcher, rulings
        self._direction, self._policy_digest = direction, policy_digest
        self._open: dict[_Key, _Open] = {}  # in the order they began
        self._has_blocked = False
        self._has_failed = False

    def receive(self, event: Event) -> list[Event]:
        return self._guarded(lambda: self._receive(event))

    def close(self) -> list[Event]:
        out = self._guarded(lambda: self._end(None))
        for channel in self._open.values():
            channel.text.close()
        self._open.clear()
        return out

    def _guarded(self, act: Callable[[], list[Event]]) -> list[Event]:
        if self._has_failed:
            raise InternalError("the guard failed earlier in this stream, which must be closed: nothing more is sent")
        if self._has_blocked:
            return []
        try:
            out = act()
        except BaseException:
            self._has_failed = True
            raise
        for number, event in enumerate(out):
            if isinstance(event, Blocked):
                self._has_blocked = True
                return out[: number + 1]
        return out

    def _receive(self, event: Event) -> list[Event]:
        match event:
            case TextDelta() | ReasoningDelta() | ToolCallDelta():
                return self._delta(event)
            case ToolCallStart():
                return [*self._end(event.choice), *self._whole_call(event)]
            case MessageEnd():
                return [*self._end(event.choice), event]
            case Blocked():
                return [*self._end(None), event]
            case PromptText():
                return self._prompt(event)
            case MessageStart() | Usage() | Worked() | Found() | Alerted():
                return [event]
            case _:
                assert_never(event)

    def _delta(self, event: _Delta) -> list[Event]:
        key: _Key = (type(event), event.choice, event.part)
        channel = self._open.get(key)
        before: list[Event] = []
        if channel is None:
            before = self._end(event.choice, keep=ToolCallDelta if type(event) is ToolCallDelta else None)
            text = TextChannel(self._matcher, self._rulings, is_json=type(event) is ToolCallDelta)
            channel = self._open[key] = _Open(key, text)
        if isinstance(event, TextDelta):
            assert channel.logprobs is not None
            channel.logprobs.add(event.text, event.logprobs)
        pieces = channel.text.feed(event.arguments if isinstance(event, ToolCallDelta) else event.text)
        return before + self._events(channel, pieces) if pieces else before

    def _end(self, choice: int | None, keep: type[_Delta] | None = None) -> list[Event]:
        """Send what the channels of `choice` hold (None: of all), but for those of the kind `keep`."""
        out: list[Event] = []
        for key, channel in self._open.items():
            if key[0] is not keep and choice in (None, key[1]) and (pieces := channel.text.flush()):
                out += self._events(channel, pieces)
        return out

    def _events(self, channel: _Open, pieces: list[Piece]) -> list[Event]:
        kind, choice, part = channel.key
        out, blocked = self._findings(pieces, _CHANNELS[kind], part)
        text = "".join(piece.text for piece in pieces)
        logprobs = channel.logprobs
        released = (
            tuple(e for p in pieces if p.chars for e in logprobs.release(p.chars, p.hidden)) if logprobs is not None else ()
        )
        if text or released:
            if kind is TextDelta:
                out.append(TextDelta(text=text, choice=choice, part=part, logprobs=released))
            elif kind is ReasoningDelta:
                out.append(ReasoningDelta(text=text, choice=choice, part=part))
            else:
                out.append(ToolCallDelta(arguments=text, choice=choice, part=part))
        return [*out, *blocked]

    def _prompt(self, event: PromptText) -> list[Event]:
        pieces = self.scan(event.text, is_json=event.channel is Channel.TOOL_ARGUMENTS)
        found, blocked = self._findings(pieces, event.channel, event.leaf)
        if not found:
            return [event]
        text = "".join(piece.text for piece in pieces)
        return [*found, PromptText(leaf=event.leaf, channel=event.channel, text=text), *blocked]

    def _whole_call(self, event: ToolCallStart) -> list[Event]:
        """A tool's name and its call's id are text, too."""
        out: list[Event] = []
        clean = []
        for text in (event.call_id, event.name):
            pieces = self.scan(text)
            found, blocked = self._findings(pieces, Channel.OTHER, event.part)
            out += [*found, *blocked]
            clean.append("".join(piece.text for piece in pieces))
        call_id, name = clean
        return [*out, ToolCallStart(call_id=call_id, name=name, choice=event.choice, part=event.part) if out else event]

    def scan(self, text: str, *, is_json: bool = False) -> list[Piece]:
        """Scan a text that is known whole."""
        channel = TextChannel(self._matcher, self._rulings, is_json=is_json)
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
