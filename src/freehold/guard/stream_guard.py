"""The guard itself: policy and matcher, compiled once, and a fresh stage for each exchange and direction."""

from collections.abc import Sequence

from freehold.core.findings import Action, Channel, Direction, Finding, Verdict
from freehold.core.stage import Stage
from freehold.guard.config import GuardConfig
from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.detector import Detector
from freehold.guard.matcher import Matcher
from freehold.guard.policy import policy_from
from freehold.guard.redactor import Redactor

_SEVERITY = {action: number for number, action in enumerate(Action)}


class StreamGuard:
    """Implements `core.ports.Guard`. `database` is what `database()` gave earlier: compiling anew takes about a second.

    One thread at a time may use it and its stages.
    """

    def __init__(self, config: GuardConfig, database: bytes | None = None, detectors: Sequence[Detector] = DETECTORS) -> None:
        self._matcher = Matcher(detectors, config.engine, database)
        self._policy = policy_from(config, detectors, self._matcher.digest)
        self._rulings = {direction: self._policy.rulings(detectors, direction) for direction in Direction}

    @property
    def policy_digest(self) -> str:
        return self._policy.digest

    @property
    def rules_digest(self) -> str:
        """Names the compiled database: the detectors alone decide it."""
        return self._matcher.digest

    @property
    def engine(self) -> str:
        return self._matcher.engine

    def database(self) -> bytes:
        """To be kept and handed in at the next start; empty with RE2."""
        return self._matcher.database()

    def stage(self, direction: Direction) -> Stage:
        return self._redactor(direction)

    def check(self, text: str, channel: Channel = Channel.USER, direction: Direction = Direction.REQUEST) -> Verdict:
        """What the guard would do with `text`. Changes nothing."""
        redactor = self._redactor(direction)
        pieces = redactor.scan(text)
        findings = tuple(redactor.finding(p.hit, channel, 0) for p in pieces if p.hit is not None)
        return Verdict(action=strictest(findings), policy_digest=self.policy_digest, findings=findings)

    def redact(self, text: str, direction: Direction = Direction.REQUEST) -> str:
        """`text` as it would be sent on."""
        return "".join(piece.text for piece in self._redactor(direction).scan(text))

    def _redactor(self, direction: Direction) -> Redactor:
        return Redactor(self._matcher, self._rulings[direction], direction, self.policy_digest)


def strictest(findings: Sequence[Finding]) -> Action:
    """What is done with a text that has `findings`: rules in shadow change nothing."""
    return max((f.enforced for f in findings), key=_SEVERITY.__getitem__, default=Action.ALLOW)
