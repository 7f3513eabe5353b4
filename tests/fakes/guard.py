"""A guard that knows one secret and one forbidden word, however a stream cuts them."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from freehold.core.events import Blocked, Event, Found, MessageEnd, PartEnd, PromptText, ReasoningDelta, TextDelta, ToolCallDelta
from freehold.core.findings import Action, Channel, Context, Direction, Finding, Verdict
from freehold.core.ports import GuardSession, UpstreamStatus
from freehold.core.stage import Judge, Stage
from tests.fakes import ledger

SECRET = "sesame-4711"
FORBIDDEN = "anathema"
MASK = "[REDACTED:sesame]"
POLICY_DIGEST = "ab" * 32

Text: TypeAlias = PromptText | TextDelta | ReasoningDelta | ToolCallDelta


class WordGuard:
    """Implements `Guard`: masks SECRET, blocks at FORBIDDEN. `broken` makes every stage raise."""

    def __init__(self) -> None:
        self.broken = False
        self.make_judge: Callable[[], Judge] = Through
        self.ready = UpstreamStatus(ready=True, detail="in force")
        self.contexts: list[Context] = []

    def open(self, context: Context) -> GuardSession:
        self.contexts.append(context)
        return _WordSession(self)

    def status(self) -> UpstreamStatus:
        return self.ready

    def stage(self, direction: Direction) -> Stage:
        return self.open(Context()).stage(direction)


class _WordSession:
    def __init__(self, guard: WordGuard) -> None:
        self._guard = guard
        self.policy_digest = POLICY_DIGEST

    def stage(self, direction: Direction) -> Stage:
        return _WordStage(direction, broken=self._guard.broken)

    def judge(self, *, history_is_known: bool = True) -> Judge:
        return self._guard.make_judge()

    def restorer(self, *, in_json: bool = False) -> Stage | None:
        return None


class Through:
    """A judge that changes nothing."""

    def receive(self, event: Event) -> list[Event]:
        return [event]

    def close(self) -> list[Event]:
        return []

    def weighs(self, event: Event | None) -> int:
        return 0


class _WordStage:
    """Holds back, in each text apart, what could be the start of a word it looks for."""

    def __init__(self, direction: Direction, *, broken: bool) -> None:
        self._direction = direction
        self._broken = broken
        self._held: dict[tuple[str, int, int], Text] = {}

    def receive(self, event: Event) -> list[Event]:
        if self._broken:
            raise RuntimeError(f"a broken stage that saw {event}")
        match event:
            case TextDelta() | ReasoningDelta() | ToolCallDelta():
                return self._scan(event, (type(event).__name__, event.choice, event.part))
            case PromptText():
                return self._scan(event, ("prompt", event.leaf, 0))
            case MessageEnd() | PartEnd():
                return [*self.close(), event]
        return [event]

    def close(self) -> list[Event]:
        held, self._held = list(self._held.values()), {}
        return [*held]

    def _scan(self, event: Text, place: tuple[str, int, int]) -> list[Event]:
        before = self._held.pop(place, None)
        text = _text(before) + _text(event) if before else _text(event)
        if FORBIDDEN in text:
            finding = self._finding("anathema", Action.BLOCK)
            verdict = Verdict(action=Action.BLOCK, policy_digest=POLICY_DIGEST, findings=(finding,))
            return [Found(finding=finding), Blocked(verdict=verdict)]
        out: list[Event] = [Found(finding=self._finding("sesame", Action.MASK)) for _ in range(text.count(SECRET))]
        if isinstance(event, PromptText):
            text = text.replace(SECRET, MASK)
        else:
            *masked, text = text.split(SECRET)
            for clean in masked:
                out += [_with(event, clean)] if clean else []
                out.append(_masked(event))
        cut = len(text) - max(
            (n for word in (SECRET, FORBIDDEN) for n in range(1, len(word)) if text.endswith(word[:n])), default=0
        )
        if cut < len(text):
            self._held[place] = _with(event, text[cut:])
        if cut:
            out.append(_with(event, text[:cut]))
        return out

    def _finding(self, rule: str, action: Action) -> Finding:
        return ledger.finding(
            rule=rule, direction=self._direction, channel=Channel.TEXT, start=0, end=1, confidence=1.0, action=action
        )


def _text(event: Text) -> str:
    return event.arguments if isinstance(event, ToolCallDelta) else event.text


def _masked(event: TextDelta | ReasoningDelta | ToolCallDelta) -> Event:
    if isinstance(event, ToolCallDelta):
        return replace(event, arguments=MASK, source_chars=len(SECRET))
    return replace(event, text=MASK, source_chars=len(SECRET))


def _with(event: Text, text: str) -> Text:
    return replace(event, arguments=text) if isinstance(event, ToolCallDelta) else replace(event, text=text)
