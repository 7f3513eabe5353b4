"""A guard of texts that knows one secret."""

from freehold.core.findings import Action, Channel, Direction, Finding, Mode, Verdict
from tests.fakes.guard import POLICY_DIGEST, SECRET


class OneSecret:
    """Implements `guard.examine.Texts`: masks SECRET, and remembers what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[tuple[Channel, Direction, str]] = []

    def check(
        self, text: str, channel: Channel = Channel.USER, direction: Direction = Direction.REQUEST, tool: str = ""
    ) -> Verdict:
        self.asked.append((channel, direction, tool))
        start = text.find(SECRET)
        if start < 0:
            return Verdict(action=Action.ALLOW, policy_digest=POLICY_DIGEST)
        finding = Finding(
            rule="sesame",
            category="credential",
            direction=direction,
            channel=channel,
            part=0,
            start=start,
            end=start + len(SECRET),
            confidence=1.0,
            action=Action.MASK,
            mode=Mode.ENFORCE,
        )
        return Verdict(action=Action.MASK, policy_digest=POLICY_DIGEST, findings=(finding,))
