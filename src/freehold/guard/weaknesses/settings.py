"""The `[code]` table of the policy file: what is done with weaknesses in generated code, and what settings say of one of them."""

from fnmatch import fnmatchcase
from typing import Annotated, Literal

import msgspec

from freehold.core.findings import Action, Mode
from freehold.guard.config import ModeName
from freehold.guard.patterns import Id, Patterns, close, patterns
from freehold.guard.weaknesses.kinds import kinds
from freehold.guard.weaknesses.weakness import Severity, Weakness

CodeActionName = Literal["allow", "tag", "block"]
SeverityName = Literal["low", "medium", "high", "critical"]


class CodeRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[code.rules]]`. Conditions are what docs/code.md lists; what is left out holds for everything.

    `rules` are names or globs ("sql-injection", "weak-*"), `cwe` numbers. The first enforced rule that holds decides.
    """

    id: Id
    action: CodeActionName
    mode: ModeName = "enforce"
    note: str = ""
    rules: Patterns | None = None
    cwe: int | tuple[int, ...] | None = None
    min_severity: SeverityName = "low"
    min_confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0


class CodeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`action` is what is done with a weakness that no rule is about; below `min_severity` or `min_confidence` nothing is.

    `annotate` writes a note behind a fenced piece of code that has one.
    """

    enabled: bool = True
    action: CodeActionName = "tag"
    mode: ModeName = "enforce"
    min_severity: SeverityName = "low"
    min_confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    annotate: bool = False
    rules: tuple[CodeRule, ...] = ()

    @property
    def may_block(self) -> bool:
        """Whether a piece of code has to wait for its judgement."""
        said = [(self.action, self.mode), *((rule.action, rule.mode) for rule in self.rules)]
        return self.enabled and ("block", "enforce") in said


def ruling(weakness: Weakness, settings: CodeSettings) -> tuple[Action, Mode] | None:
    """What is done with a weakness; None where nothing is. Rules in shadow count where none is enforced."""
    if not settings.enabled:
        return None
    shadow: tuple[Action, Mode] | None = None
    for rule in settings.rules:
        if not _holds(rule, weakness):
            continue
        if rule.mode == "enforce":
            return None if rule.action == "allow" else (Action(rule.action), Mode.ENFORCE)
        shadow = shadow or (Action(rule.action), Mode.SHADOW)
    is_below = (
        weakness.severity.rank < Severity(settings.min_severity).rank
        or weakness.confidence < settings.min_confidence
        or settings.action == "allow"
    )
    return shadow if is_below else (Action(settings.action), Mode(settings.mode))


def _holds(rule: CodeRule, weakness: Weakness) -> bool:
    names = patterns(rule.rules)
    if names is not None and not any(fnmatchcase(weakness.rule, name) for name in names):
        return False
    numbers = (rule.cwe,) if isinstance(rule.cwe, int) else rule.cwe
    if numbers is not None and weakness.cwe not in numbers:
        return False
    return weakness.severity.rank >= Severity(rule.min_severity).rank and weakness.confidence >= rule.min_confidence


def complaint(rule: CodeRule) -> str | None:
    """What is wrong with a rule that can never hold; None where nothing is."""
    for name in patterns(rule.rules) or ():
        if not any(fnmatchcase(known, name) for known in kinds()):
            return f"rules has {name!r}, which is no such name; {close(name, kinds())}"
    numbers = (rule.cwe,) if isinstance(rule.cwe, int) else rule.cwe
    known_numbers = {kind.cwe for kind in kinds().values()}
    strange = [number for number in numbers or () if number not in known_numbers]
    return f"cwe has {strange[0]}, which no rule is about" if strange else None
