"""A guard of texts that knows one secret."""

from freehold.core.findings import Action, Channel, Direction, Verdict
from tests.fakes import ledger
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
        end = start + len(SECRET)
        finding = ledger.finding(rule="sesame", direction=direction, channel=channel, start=start, end=end, confidence=1.0)
        return Verdict(action=Action.MASK, policy_digest=POLICY_DIGEST, findings=(finding,))
