"""What a candidate policy would have done otherwise: with what the record keeps of past exchanges, or with texts given anew.

The record has findings, no texts. So what a candidate finds that was not looked for then is not in it; conditions on labels and
tools, which it does not have either, do not hold. Of a tool call it has what it did and where, but no path and no host. What was
found in code or taken for an injection is not judged anew.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from freehold.core.findings import Action, Channel, Context, Direction, Finding, Mode
from freehold.core.ledger import LedgerEntry
from freehold.guard.calls.judge import DATA_FLOW
from freehold.guard.calls.replay import action_of_finding
from freehold.guard.calls.stage import CATEGORY as EFFECT
from freehold.guard.patterns import patterns
from freehold.guard.policy import Policy
from freehold.guard.ruling import Ruling

EXAMPLES = 3  # of each change: enough to look one up
NOTHING = "nothing"  # not looked for, or allowed
_NOT_OF_DETECTORS = frozenset((EFFECT, "weakness", "injection"))


@dataclass(slots=True, kw_only=True)
class Change:
    """Findings of one detector with which the candidate would do `would` in place of `was`."""

    rule: str
    direction: Direction
    was: str
    would: str
    findings: int = 0
    examples: list[str] = field(default_factory=list)  # ids


class Simulation:
    """Counts what is the same and what is not."""

    def __init__(self) -> None:
        self.sources = 0
        self.same = 0
        self._changes: dict[tuple[str, Direction, str, str], Change] = {}

    @property
    def changes(self) -> list[Change]:
        """The commonest first."""
        return sorted(self._changes.values(), key=lambda c: (-c.findings, c.rule, c.direction))

    def compare(self, source: str, before: Iterable[Finding], after: Iterable[Finding]) -> None:
        """What was done, or would have been, with the text or exchange `source`."""
        self.sources += 1
        was, would = _done(before), _done(after)
        for place in dict.fromkeys((*was, *would)):
            self._count(source, place[0], place[1], was.get(place, NOTHING), would.get(place, NOTHING))

    def replay(self, entry: LedgerEntry, candidate: Policy) -> None:
        """What the candidate would have done with what was found then."""
        self.sources += 1
        context = Context(dialect=entry.dialect, model=entry.model, key_id=entry.key_id, team=entry.team or "")
        self._replay_calls(entry, context, candidate)
        for place, was in _done(f for f in entry.findings if f.category not in _NOT_OF_DETECTORS).items():
            rule, direction, channel = place[:3]
            ruling = _ruling(candidate, rule, candidate.table(context, direction).of(channel))
            self._count(entry.exchange_id, rule, direction, was, NOTHING if ruling is None else _ruled(ruling))

    def _replay_calls(self, entry: LedgerEntry, context: Context, candidate: Policy) -> None:
        found = [f for f in entry.findings if f.category == EFFECT]
        flowed = candidate.file.calls.data_flow and any(f.rule == DATA_FLOW for f in found)
        for finding in found:
            if finding.rule == DATA_FLOW or finding.mode is Mode.SHADOW:
                continue
            would = action_of_finding(finding, candidate.calls, context, flowed=flowed)
            was, said = str(finding.action), NOTHING if would is Action.ALLOW else str(would)
            self._count(entry.exchange_id, finding.rule, finding.direction, was, said)

    def _count(self, source: str, rule: str, direction: Direction, was: str, would: str) -> None:
        if was == would:
            self.same += 1
            return
        known = rule, direction, was, would
        change = self._changes.setdefault(known, Change(rule=rule, direction=direction, was=was, would=would))
        change.findings += 1
        if source not in change.examples and len(change.examples) < EXAMPLES:
            change.examples.append(source)


def unjudged(candidate: Policy) -> list[str]:
    """Rules with conditions that the record can't answer."""
    unknown = [r.id for r in candidate.file.rules if any(patterns(getattr(r, name)) for name in ("tool", "label"))]
    calls = [
        r.id
        for r in candidate.file.calls.rules
        if any(patterns(getattr(r, name)) for name in ("tool", "label", "paths", "hosts"))
    ]
    return [*unknown, *calls]


def _ruling(candidate: Policy, rule: str, rulings: Sequence[Ruling | None]) -> Ruling | None:
    number = candidate.numbers.get(rule)
    return None if number is None else rulings[number]


_Place = tuple[str, Direction, Channel, int, int, int]


def _done(findings: Iterable[Finding]) -> dict[_Place, str]:
    """What was done at each place, and what rules in shadow would have done."""
    done: dict[_Place, str] = {}
    for f in findings:
        place = f.rule, f.direction, f.channel, f.part, f.start, f.end
        said = _said(f.action, f.mode)
        done[place] = f"{done[place]}, {said}" if place in done else said
    return done


def _said(action: Action, mode: Mode) -> str:
    return str(action) if mode is Mode.ENFORCE else f"{action} in shadow"


def _ruled(ruling: Ruling) -> str:
    said = _said(ruling.action, ruling.mode)
    return said if ruling.shadow is None else f"{said}, {_said(ruling.shadow, Mode.SHADOW)}"
