"""What is done with a finding: by rule, else by its category, else it is masked.

Credentials are masked both ways from the start. Personal data starts in shadow: recorded, and left as it is, until an operator
has seen what the rules would do to real traffic. A category nobody wrote anything about is masked: silence allows nothing.
"""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from freehold.core.errors import ConfigError
from freehold.core.findings import Action, Direction, Mode
from freehold.guard.config import DirectionConfig, GuardConfig, RuleConfig
from freehold.guard.detectors.detector import PERSONAL_DATA, Detector
from freehold.guard.ruling import Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    action: Action
    mode: Mode


DEFAULT = Decision(action=Action.MASK, mode=Mode.ENFORCE)
CATEGORY_DEFAULTS = {PERSONAL_DATA: Decision(action=Action.MASK, mode=Mode.SHADOW)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One decision a rule and direction, all of them spelled out."""

    decisions: Mapping[tuple[str, Direction], Decision]
    digest: str  # SHA-256 over the decisions, and the rules and patterns they are for, hex

    def rulings(self, detectors: Sequence[Detector], direction: Direction) -> tuple[Ruling | None, ...]:
        """One entry a detector; None where it has no say."""
        return tuple(_ruling(d, self.decisions[d.id, direction]) for d in detectors)


def policy_from(config: GuardConfig, detectors: Sequence[Detector], patterns_digest: str) -> Policy:
    """Raises ConfigError for rules and categories that do not exist."""
    _check_names("rules", config.rules, [d.id for d in detectors])
    _check_names("categories", config.categories, {d.category for d in detectors})
    decisions = {(d.id, direction): _decide(config, d, direction) for d in detectors for direction in Direction}
    canonical = [[rule, direction, d.action, d.mode] for (rule, direction), d in sorted(decisions.items())]
    rules = [[d.id, d.category, d.confidence] for d in sorted(detectors, key=lambda d: d.id)]
    text = json.dumps({"decisions": canonical, "rules": rules, "patterns": patterns_digest}, separators=(",", ":"))
    return Policy(decisions=decisions, digest=hashlib.sha256(text.encode()).hexdigest())


def _decide(config: GuardConfig, detector: Detector, direction: Direction) -> Decision:
    default = CATEGORY_DEFAULTS.get(detector.category, DEFAULT)
    action, mode = default.action, default.mode
    for entry in (config.categories.get(detector.category), config.rules.get(detector.id)):
        for layer in _layers(entry, direction):
            action = Action(layer.action) if layer.action is not None else action
            mode = Mode(layer.mode) if layer.mode is not None else mode
    return Decision(action=action, mode=mode)


def _layers(entry: RuleConfig | None, direction: Direction) -> Iterable[RuleConfig | DirectionConfig]:
    if entry is None:
        return ()
    narrower = entry.request if direction is Direction.REQUEST else entry.response
    return (entry,) if narrower is None else (entry, narrower)


def _ruling(detector: Detector, decision: Decision) -> Ruling | None:
    if decision.action is Action.ALLOW and decision.mode is Mode.ENFORCE:
        return None
    return Ruling(
        rule=detector.id,
        category=detector.category,
        confidence=detector.confidence,
        action=decision.action,
        mode=decision.mode,
    )


def _check_names(table: str, written: Iterable[str], known: Iterable[str]) -> None:
    names = sorted(known)
    for name in written:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
            hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"known are {', '.join(names)}"
            raise ConfigError(f"guard.{table}.{name}: no such name; {hint}")
