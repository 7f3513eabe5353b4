"""The stage of a request that judges what tools and files bring in, and tells the conversation who wrote what.

It sees the strings of a request whole, after what is confidential has been masked. What is suspect is recorded and, by settings,
marked as data, masked, or the request is blocked. A user's own prompt is tagged at most: it is theirs to write. A file is never
marked: changing one breaks it. Conversations are fed whatever the settings: data-flow does not depend on detection.
"""

from collections.abc import Iterator
from dataclasses import replace

from freehold.core.events import Blocked, Event, Found, PromptText
from freehold.core.findings import Action, Channel, Direction, Finding, Mode, Verdict
from freehold.guard.injection.conversation import Conversation
from freehold.guard.injection.marking import mark, mask
from freehold.guard.injection.settings import ASKED, UNTRUSTED, InjectionSettings
from freehold.guard.injection.verdict import CATEGORY, CLEAN, INSTRUCTION, InjectionVerdict, Signal
from freehold.guard.injection.verdicts import Verdicts

FINDINGS_LIMIT = 12  # of one text: what comes after says nothing new

_JUDGED = UNTRUSTED | ASKED | {Channel.TOOL_DESCRIPTION}


class InjectionStage:
    """A `Stage` for one request. `key` is the node's own, for the marks."""

    def __init__(
        self, settings: InjectionSettings, conversation: Conversation, verdicts: Verdicts, policy_digest: str, key: bytes
    ) -> None:
        self._settings, self._conversation, self._verdicts = settings, conversation, verdicts
        self._policy_digest, self._key = policy_digest, key
        self._has_blocked = False

    def receive(self, event: Event) -> list[Event]:
        return [out for some in self.steps(event) for out in some or ()]

    def steps(self, event: Event) -> Iterator[list[Event] | None]:
        """Implements `core.stage.Stepwise`: a long text goes slice by slice."""
        if self._has_blocked:
            return
        if not isinstance(event, PromptText):
            yield [event]
            return
        verdict = CLEAN
        if self._is_judged(event):
            for known in self._verdicts.steps(event.text, event.channel):
                if known is None:
                    yield None
                else:
                    verdict = known
        yield self._decided(event, verdict)

    def close(self) -> list[Event]:
        return []

    def _is_judged(self, event: PromptText) -> bool:
        if self._settings.mode == "off" or event.channel not in _JUDGED:
            return False
        return not (event.channel in UNTRUSTED and self._conversation.trusts(event))

    def _decided(self, event: PromptText, verdict: InjectionVerdict) -> list[Event]:
        is_suspect = verdict.score >= self._settings.threshold(event.channel)
        self._conversation.observe(event, is_suspect=is_suspect)
        findings = self._findings(event, verdict) if is_suspect else []
        found: list[Event] = [Found(finding=finding) for finding in findings]
        if any(finding.enforced is Action.BLOCK for finding in findings):
            self._has_blocked = True
            blocked = Verdict(action=Action.BLOCK, policy_digest=self._policy_digest, findings=tuple(findings))
            return [*found, event, Blocked(verdict=blocked)]
        text = self._changed(event, verdict, is_suspect)
        if text != event.text:
            event = replace(event, text=text)
        return [*found, event]

    def _changed(self, event: PromptText, verdict: InjectionVerdict, is_suspect: bool) -> str:
        settings = self._settings
        if settings.mode != "enforce" or event.channel not in UNTRUSTED or self._conversation.trusts(event):
            return event.text
        if is_suspect and settings.action == "mask":
            return mask(event.text, verdict.spans, INSTRUCTION)
        if event.channel is not Channel.TOOL_RESULT or settings.spotlight == "off":
            return event.text
        if settings.spotlight == "all":
            return mark(event.text, None, self._key)
        return mark(event.text, verdict.spans, self._key) if is_suspect else event.text

    def _findings(self, event: PromptText, verdict: InjectionVerdict) -> list[Finding]:
        signals = verdict.signals or (Signal(rule=INSTRUCTION, weight=verdict.score, start=0, end=len(event.text), words=""),)
        named = {(signal.rule, signal.start, signal.end): signal for signal in signals}
        return [self._finding(event, signal, verdict.score) for signal in list(named.values())[:FINDINGS_LIMIT]]

    def _finding(self, event: PromptText, signal: Signal, score: float) -> Finding:
        return Finding(
            rule=signal.rule,
            category=CATEGORY,
            direction=Direction.REQUEST,
            channel=event.channel,
            part=event.leaf,
            start=signal.start,
            end=signal.end,
            confidence=round(max(score, 0.01), 2),
            action=Action(self._settings.action) if event.channel in UNTRUSTED else Action.TAG,
            mode=Mode.SHADOW if self._settings.mode == "shadow" else Mode.ENFORCE,
        )
