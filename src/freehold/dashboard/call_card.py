"""A waiting call as its page shows it: what it says as text alone, all of it or no button to let it go on."""

from collections.abc import Sequence
from dataclasses import dataclass

from freehold.core.approvals import Question, members, plain, plain_lines
from freehold.core.effects import Reason

SHOWN_LIMIT_CHARS = 64 << 10  # of what a call says; a person reads no more on a page


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonLine:
    action: str
    effect: str
    target: str
    because: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCard:
    id: str
    tool: str
    key: str
    team: str
    exchange_id: str  # empty where a client put it from outside an exchange
    words: str
    reasons: Sequence[ReasonLine]
    members: Sequence[tuple[str, str]]  # name and value; a name may be empty
    is_whole: bool  # whether `members` are all that the call says
    left_s: int

    @property
    def left(self) -> str:
        return f"{self.left_s // 60}:{self.left_s % 60:02}"


def call_card(question: Question, now_ns: int) -> CallCard:
    is_whole = len(question.arguments) <= SHOWN_LIMIT_CHARS
    said = members(question.arguments) if is_whole else [("", question.arguments[:SHOWN_LIMIT_CHARS])]
    return CallCard(
        id=question.id,
        tool=plain(question.tool) or "a tool without a name",
        key=plain(question.principal.name),
        team=plain(question.principal.team or ""),
        exchange_id=question.exchange_id or "",
        words=plain_lines(question.judgement.words),
        reasons=[_line(reason) for reason in question.judgement.reasons],
        members=[(plain(name), plain_lines(value)) for name, value in said],
        is_whole=is_whole,
        left_s=max(0, (question.expires_at_ns - now_ns) // 1_000_000_000),
    )


def _line(reason: Reason) -> ReasonLine:
    effect = reason.effect
    return ReasonLine(
        action=reason.action.value,
        effect=effect.rule.removeprefix("effect-"),
        target=plain(effect.target),
        because=plain(effect.because),
        rule=plain(reason.rule),
    )
