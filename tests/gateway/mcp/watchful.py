"""A guard for tests of the proxy. It knows a secret, a forbidden word, an instruction, and commands to refuse or to ask about."""

from freehold.core.effects import CallJudgement
from freehold.core.events import Event, Found, Held, PartEnd, PromptText, Refused, ToolCallDelta, ToolCallStart
from freehold.core.findings import Action, Channel, Context, Direction
from freehold.core.ports import GuardSession, UpstreamStatus
from freehold.core.stage import Judge, Stage
from tests.fakes import ledger
from tests.fakes.guard import POLICY_DIGEST, WordGuard

INSTRUCTION = "ignore-all-rules"
DANGEROUS = "rm -rf"
DOUBTFUL = "deploy"
MISTRUSTED = "quietly"  # passes, unless the session has seen an instruction
WORDS = "The call was stopped: it deletes a whole tree. Delete single files instead."
_MARKED = {Channel.TOOL_RESULT, Channel.TOOL_DESCRIPTION}


class WatchfulGuard:
    """Implements `Guard`."""

    def __init__(self) -> None:
        self.words = WordGuard()
        self.contexts: list[Context] = []
        self.digest = POLICY_DIGEST

    def open(self, context: Context) -> GuardSession:
        self.contexts.append(context)
        return _Session(self.words.open(context), self.digest)

    def status(self) -> UpstreamStatus:
        return self.words.status()


class _Session:
    def __init__(self, words: GuardSession, digest: str) -> None:
        self._words = words
        self.policy_digest = digest
        self.is_wary = False

    def stage(self, direction: Direction) -> Stage:
        return _Marking(self._words.stage(direction), self)

    def judge(self, *, history_is_known: bool = True) -> Judge:
        return _Judging(self)

    def restorer(self, *, in_json: bool = False) -> Stage | None:
        return None


class _Marking:
    def __init__(self, inner: Stage, session: _Session) -> None:
        self._inner, self._session = inner, session

    def receive(self, event: Event) -> list[Event]:
        if isinstance(event, PromptText) and event.channel in _MARKED and INSTRUCTION in event.text:
            self._session.is_wary = True
            finding = ledger.finding(
                rule="injection-instruction",
                category="injection",
                channel=event.channel,
                part=event.leaf,
                start=0,
                end=1,
                confidence=0.9,
                action=Action.TAG,
            )
            marked = PromptText(leaf=event.leaf, channel=event.channel, text=f"<untrusted>{event.text}</untrusted>")
            return [Found(finding=finding), *self._inner.receive(marked)]
        return self._inner.receive(event)

    def close(self) -> list[Event]:
        return self._inner.close()


class _Judging:
    """Holds a call until it is whole."""

    def __init__(self, session: _Session) -> None:
        self._session = session
        self._start: ToolCallStart | None = None
        self._arguments = ""

    def receive(self, event: Event) -> list[Event]:
        match event:
            case ToolCallStart():
                self._start = event
                return []
            case ToolCallDelta():
                self._arguments += event.arguments
                return []
            case PartEnd() if self._start is not None:
                return self._verdict(self._start, event)
        return [event]

    def close(self) -> list[Event]:
        return []

    def weighs(self, event: Event | None) -> int:
        return 0

    def _verdict(self, start: ToolCallStart, end: PartEnd) -> list[Event]:
        whole: tuple[ToolCallStart | ToolCallDelta | PartEnd, ...] = (start, ToolCallDelta(arguments=self._arguments), end)
        refused = Refused(choice=0, part=0, call_id=start.call_id, tool=start.name, text=WORDS)
        if DANGEROUS in self._arguments or (MISTRUSTED in self._arguments and self._session.is_wary):
            return [refused, end]
        if DOUBTFUL in self._arguments:
            held = Held(
                choice=0,
                part=0,
                tool=start.name,
                arguments=self._arguments,
                judgement=CallJudgement(action=Action.ASK),
                timeout_s=5,
                released=whole,
                refused=refused,
            )
            return [held]
        return list(whole)
