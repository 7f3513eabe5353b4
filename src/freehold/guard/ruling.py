"""What policy says of a match, and which of several on the same characters counts."""

from dataclasses import dataclass
from typing import NamedTuple

from freehold.core.findings import Action, Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What policy says of one detector in one direction."""

    rule: str
    category: str
    confidence: float
    action: Action
    mode: Mode

    @property
    def mask(self) -> str:
        return f"[REDACTED:{self.rule}]"

    @property
    def enforced(self) -> Action:
        return self.action if self.mode is Mode.ENFORCE else Action.ALLOW

    @property
    def hides(self) -> bool:
        return self.enforced in (Action.MASK, Action.BLOCK)


class Hit(NamedTuple):
    start: int
    end: int
    ruling: Ruling


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


_SEVERITY = {action: number for number, action in enumerate(Action)}


def _strength(hit: Hit) -> tuple[int, float, int]:
    return _SEVERITY[hit.ruling.enforced], hit.ruling.confidence, hit.end - hit.start
