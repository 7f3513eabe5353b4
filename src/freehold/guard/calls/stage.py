"""Holds each tool call of an answer until it is whole, and lets go on what the judge lets: the last stage of an answer.

A call is whole at its `PartEnd`, or, in dialects that mark no ends, at the end of its choice. Then it goes on as it came, delta
by delta; or it waits for a person (`Held`); or a text stands in its place (`Refused`). A call that is not whole when the answer
breaks off is never released. Everything else goes on at once.

Two kinds of call can't be stopped: those of tools that policy lets stream, and those that the provider runs itself. They pass as
they come and are judged all the same: what would have been done is recorded as in shadow, and raises an alert.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from freehold.core.effects import CallJudgement
from freehold.core.errors import UpstreamBroken
from freehold.core.events import (
    Alerted,
    Blocked,
    Event,
    Found,
    Held,
    MessageEnd,
    PartEnd,
    PartKind,
    Refused,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from freehold.core.findings import Action, Alert, Channel, Context, Direction, Finding, Mode
from freehold.guard.calls import words
from freehold.guard.calls.judge import ANYBODY, DATA_FLOW, NOT_RUN, CallJudge, Conversation, Judged
from freehold.guard.calls.replay import NOTED_CONFIDENCE
from freehold.guard.calls.surroundings import Surroundings
from freehold.guard.calls.written import Written
from freehold.guard.effects.scene import unknown
from freehold.guard.patterns import matches

LIMIT_CALL_CHARS = 1 << 20  # of one call's arguments: a file of 20,000 lines
LIMIT_HELD_CHARS = 8 << 20  # of all calls of an answer that are open at once
EVENT_CHARS = 16  # what a delta takes beside its text; a token a delta is the usual
LIMIT_OPEN = 1024  # calls at once, as many as the redactor lets texts be open
LIMIT_FINDINGS = 32  # of one call; a script of a hundred lines has some ten rules
CATEGORY = "effect"

_Key = tuple[int, int]  # choice, part
Inspect = Callable[[Written, int], list[Finding]]  # weaknesses of a program that a call writes; the number is its part


@dataclass(slots=True, kw_only=True)
class _Call:
    """One that is open."""

    start: ToolCallStart
    can_stop: bool
    passes: bool  # goes on as it comes
    events: list[ToolCallStart | ToolCallDelta | PartEnd] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    chars: int = 0
    held_chars: int = 0
    is_too_long: bool = False
    verdict: Judged | None = None  # of one that is too long, known before its end


class CallStage:
    """A `Stage` of one answer."""

    def __init__(
        self,
        judge: CallJudge,
        context: Context = ANYBODY,
        conversation: Conversation | None = None,
        surroundings: Surroundings | None = None,
        inspect: Inspect | None = None,
    ) -> None:
        self._judge, self._context = judge, context
        self._conversation, self._surroundings = conversation, surroundings
        self._inspect = inspect
        self._open: dict[_Key, _Call] = {}  # in the order they began
        self._held_chars = 0

    def receive(self, event: Event) -> list[Event]:
        if type(event) is TextDelta:  # nearly all of them
            return [event]
        match event:
            case ToolCallStart():
                return self._begin(event)
            case ToolCallDelta():
                return self._grow(event)
            case PartEnd(kind=PartKind.TOOL_CALL):
                call = self._open.get((event.choice, event.part))
                return [event] if call is None else self._end(call, event)
            case MessageEnd():
                ended = [call for (choice, _), call in self._open.items() if choice == event.choice]
                return [*(out for call in ended for out in self._end(call, None)), event]
            case Blocked():
                self.close()
        return [event]

    def weighs(self, event: Event | None) -> int:
        """Implements `core.stage.Judge`."""
        if isinstance(event, PartEnd):
            call = self._open.get((event.choice, event.part)) if event.kind is PartKind.TOOL_CALL else None
            return 0 if call is None else call.chars
        if isinstance(event, MessageEnd):
            return sum(call.chars for (choice, _), call in self._open.items() if choice == event.choice)
        return 0

    def close(self) -> list[Event]:
        """What is not whole by now is dropped."""
        self._open.clear()
        self._held_chars = 0
        return []

    def _begin(self, event: ToolCallStart) -> list[Event]:
        key = (event.choice, event.part)
        if key in self._open:
            raise UpstreamBroken(f"the upstream began call {event.part} of choice {event.choice} twice: nothing more is sent")
        if len(self._open) >= LIMIT_OPEN:
            raise UpstreamBroken(f"the upstream's answer has more than {LIMIT_OPEN} calls at once: nothing more is sent")
        passes = event.is_remote or (event.name != "" and matches(self._judge.settings.stream, event.name))
        call = self._open[key] = _Call(start=event, can_stop=not passes, passes=passes)
        return self._add(call, event, event.arguments)

    def _grow(self, event: ToolCallDelta) -> list[Event]:
        call = self._open.get((event.choice, event.part))
        if call is None:
            raise UpstreamBroken(f"the upstream sent arguments of call {event.part}, which is not open: nothing more is sent")
        return self._add(call, event, event.arguments)

    def _add(self, call: _Call, event: ToolCallStart | ToolCallDelta, text: str) -> list[Event]:
        call.chars += len(text)
        if not call.is_too_long:
            taken = len(text) + EVENT_CHARS
            if call.chars > LIMIT_CALL_CHARS or self._held_chars + taken > LIMIT_HELD_CHARS:
                return self._give_up(call, event)
            call.held_chars += taken
            self._held_chars += taken
            call.pieces.append(text)
            if not call.passes:
                call.events.append(event)
        return [event] if call.passes else []

    def _give_up(self, call: _Call, event: ToolCallStart | ToolCallDelta) -> list[Event]:
        """Of a call too long to be held nothing is known: policy says what becomes of that."""
        self._drop(call)
        call.is_too_long = True
        effect = unknown(f"its arguments are longer than {LIMIT_CALL_CHARS} characters, or too much is held")
        judgement = self._judge.judge_effects([effect], self._context, call.start.name, self._conversation)
        call.verdict = Judged(judgement=judgement)
        held: list[Event] = [*call.events, event]
        call.events, call.pieces = [], []
        if call.passes:
            return [event]
        call.passes = judgement.action not in (Action.ASK, Action.BLOCK)
        return held if call.passes else []

    def _drop(self, call: _Call) -> None:
        self._held_chars -= call.held_chars
        call.held_chars = 0

    def _end(self, call: _Call, end: PartEnd | None) -> list[Event]:
        del self._open[call.start.choice, call.start.part]
        self._drop(call)
        text = "".join(call.pieces)
        judged = call.verdict or self._judge.look(call.start.name, text, self._context, self._conversation, self._surroundings)
        code = self._code(call, judged)
        out: list[Event] = [
            Found(finding=finding)
            for finding in (*findings_of(judged, part=call.start.part, chars=call.chars, can_stop=call.can_stop), *code)
        ]
        if call.passes:
            alerts = [] if call.can_stop else self._alerts(judged.judgement)
            return [*out, *alerts, *([] if end is None else [end])]
        is_refused = any(finding.enforced is Action.BLOCK for finding in code)
        if end is not None:
            call.events.append(end)
        return [*out, *self._outcome(call, judged.judgement, text, is_refused=is_refused)]

    def _outcome(self, call: _Call, judgement: CallJudgement, text: str, *, is_refused: bool) -> Sequence[Event]:
        if is_refused:
            return [self._refused(call, words.refusal_of_code(call.start.name))]
        if judgement.action is Action.BLOCK or (judgement.action is Action.ASK and call.is_too_long):
            return [self._refused(call, words.refusal(call.start.name, judgement.reasons, was_asked=False))]
        if judgement.action is not Action.ASK:
            return call.events
        return [
            Held(
                choice=call.start.choice,
                part=call.start.part,
                tool=call.start.name,
                arguments=text,
                judgement=judgement,
                timeout_s=self._judge.settings.ask_timeout_s,
                released=tuple(call.events),
                refused=self._refused(call, words.refusal(call.start.name, judgement.reasons, was_asked=True)),
            )
        ]

    def _refused(self, call: _Call, text: str) -> Refused:
        start = call.start
        return Refused(choice=start.choice, part=start.part, call_id=start.call_id, tool=start.name, text=text)

    def _code(self, call: _Call, judged: Judged) -> list[Finding]:
        if self._inspect is None:
            return []
        found = [finding for written in judged.written for finding in self._inspect(written, call.start.part)]
        return found if call.can_stop else [replace(finding, mode=Mode.SHADOW) for finding in found]

    def _alerts(self, judgement: CallJudgement) -> list[Event]:
        if judgement.action not in (Action.ASK, Action.BLOCK):
            return []
        rules = sorted({reason.effect.rule for reason in judgement.reasons if reason.action is judgement.action})
        message = (
            f"a tool call that could not be held would not have gone on by itself ({judgement.action}: {', '.join(rules[:5])}): "
            "its tool streams by policy, or the provider runs it"
        )
        return [Alerted(alert=Alert(kind="call_not_held", severity="warning", message=message))]


def findings_of(judged: Judged, *, part: int = 0, chars: int = 0, can_stop: bool = True) -> list[Finding]:
    """For the record: one for each rule and what is done, the gravest first. What can't be stopped is recorded as in shadow.

    A finding by the name of `DATA_FLOW` says that it had a say.
    """
    mode = Mode.ENFORCE if can_stop else Mode.SHADOW
    reasons = judged.judgement.reasons
    seen = [(reason.effect.rule, reason.action, mode, reason.rule == NOT_RUN) for reason in reasons]
    seen += [(DATA_FLOW, reason.action, mode, False) for reason in reasons if reason.rule == DATA_FLOW]
    seen += [(reason.effect.rule, reason.action, Mode.SHADOW, False) for reason in judged.shadows]
    return [
        Finding(
            rule=rule,
            category=CATEGORY,
            direction=Direction.RESPONSE,
            channel=Channel.TOOL_ARGUMENTS,
            part=part,
            start=0,
            end=chars,
            confidence=NOTED_CONFIDENCE if is_noted else 1.0,
            action=action,
            mode=mode,
        )
        for rule, action, mode, is_noted in list(dict.fromkeys(seen))[:LIMIT_FINDINGS]
    ]
