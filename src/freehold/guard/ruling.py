"""What policy says of a match, and which of several on the same characters counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol

from freehold.core.findings import Action, Channel, Direction, Finding, Mode

TokenShape = Literal["token", "preserving"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What policy says of one detector in one direction. `shadow` is what a rule in shadow would have done instead."""

    rule: str
    category: str
    confidence: float
    action: Action
    mode: Mode
    shadow: Action | None = None
    shape: TokenShape = "token"

    @property
    def mask(self) -> str:
        return f"[REDACTED:{self.rule}]"

    @property
    def enforced(self) -> Action:
        return self.action if self.mode is Mode.ENFORCE else Action.ALLOW

    @property
    def hides(self) -> bool:
        return self.enforced in (Action.TOKENISE, Action.MASK, Action.BLOCK)


Rulings = Sequence[Ruling | None]  # one a subject, in the guard's order; None where policy has no say


class RulingTable(Protocol):
    """The policy for one direction of one exchange."""

    def of(self, channel: Channel, tool: str = "") -> Rulings:
        """`tool` is the one whose description, arguments or result the text is; empty where there is none, or it is not known."""


class Hit(NamedTuple):
    start: int
    end: int
    ruling: Ruling
    digest: str | None = None  # of the value


def settle(hits: list[Hit]) -> list[Hit]:
    """One hit for each stretch: the strictest names it, then the surest, then the longest. What is to be hidden stays hidden."""
    settled: list[Hit] = []
    for hit in sorted(hits, key=lambda h: (h.start, h.end)):
        if not settled or hit.start >= settled[-1].end:
            settled.append(hit)
            continue
        other = settled[-1]
        winner = max(other, hit, key=_strength)
        if other.ruling.hides and hit.ruling.hides:
            winner = Hit(other.start, max(other.end, hit.end), winner.ruling)
        settled[-1] = winner
    return settled


def findings_of(hit: Hit, direction: Direction, channel: Channel, part: int) -> list[Finding]:
    """What is done, and what a rule in shadow would have done."""
    ruling = hit.ruling
    finding = Finding(
        rule=ruling.rule,
        category=ruling.category,
        direction=direction,
        channel=channel,
        part=part,
        start=hit.start,
        end=hit.end,
        confidence=ruling.confidence,
        action=ruling.action,
        mode=ruling.mode,
        value_digest=hit.digest,
    )
    return [finding] if ruling.shadow is None else [finding, replace(finding, action=ruling.shadow, mode=Mode.SHADOW)]


_SEVERITY = {action: number for number, action in enumerate(Action)}


def _strength(hit: Hit) -> tuple[int, float, int]:
    return _SEVERITY[hit.ruling.enforced], hit.ruling.confidence, hit.end - hit.start


def strictest(actions: Sequence[Action]) -> Action:
    return max(actions, key=_SEVERITY.__getitem__, default=Action.ALLOW)
