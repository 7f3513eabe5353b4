"""What is done with a finding.

The policy file's rules are asked in their order. The first that holds and is enforced decides. A rule in shadow decides nothing:
what it would have done is recorded, and the next is asked, so that trying a rule never switches another off. What no rule of the
file decides is done as `[guard.rules]` and `[guard.categories]` of the configuration say, else as the defaults say: credentials
are masked both ways; personal data starts in shadow, until an operator has seen what the rules would do to real traffic; people's
names are not looked for; images, sound and films pass and are recorded, files that nobody can read do not pass; a category nobody
wrote anything about is masked, as silence allows nothing.

Conditions on the exchange are settled once a session, those on channel and tool once a text; the answers are kept, as they are
few. A condition never holds for what is unknown, whatever its pattern.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Protocol

import msgspec

from freehold.core.errors import ConfigError
from freehold.core.findings import Action, Channel, Context, Direction, Mode
from freehold.guard.calls.judge import CallJudge
from freehold.guard.calls.presets import PRESETS
from freehold.guard.config import DirectionConfig, GuardConfig, RuleConfig
from freehold.guard.detectors.detector import PERSONAL_DATA
from freehold.guard.patterns import close, is_one, matches, patterns
from freehold.guard.policy_file import PolicyFile, PolicyRule, PolicySource
from freehold.guard.ruling import Ruling, Rulings, TokenShape

CONDITIONS = ("detectors", "categories", "direction", "dialect", "channel", "tool", "team", "key", "model", "label")
TOOL_CHANNELS = (Channel.TOOL_DESCRIPTION, Channel.TOOL_ARGUMENTS, Channel.TOOL_RESULT)
_KEPT_CONTEXTS = 1024  # a key, model and dialect in use make one; forgotten all at once when there are more
_KEPT_TABLES = 256  # sets of rules that hold together


class Subject(Protocol):
    """What a rule can be about: a detector, a dictionary, a kind of file that can't be read."""

    @property
    def id(self) -> str: ...

    @property
    def category(self) -> str: ...

    @property
    def confidence(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    action: Action
    mode: Mode


_PLAIN: TokenShape = "token"
FILE = "file"  # the category of files that can't be read
DEFAULT = Decision(action=Action.MASK, mode=Mode.ENFORCE)
CATEGORY_DEFAULTS = {
    PERSONAL_DATA: Decision(action=Action.MASK, mode=Mode.SHADOW),
    "person_name": Decision(action=Action.ALLOW, mode=Mode.ENFORCE),  # a word with a capital is weak evidence
}
DEFAULTS = {  # "If the guard can't read it, it does not pass" would leave no picture to a model that sees.
    "unscanned-media": Decision(action=Action.TAG, mode=Mode.ENFORCE),
    "unscanned-document": Decision(action=Action.TAG, mode=Mode.ENFORCE),
    "unscanned-file": Decision(action=Action.BLOCK, mode=Mode.ENFORCE),
}


class Policy:
    """Everything that is decided, spelled out. Immutable but for what it remembers having decided."""

    def __init__(self, config: GuardConfig, file: PolicyFile, subjects: Sequence[Subject], patterns_digest: str) -> None:
        """Raises ConfigError for rules and categories of `config` that do not exist."""
        _check_names("rules", config.rules, [s.id for s in subjects])
        _check_names("categories", config.categories, {s.category for s in subjects})
        self.file = file
        self.subjects = tuple(subjects)
        self.decisions: Mapping[tuple[str, Direction], Decision] = {
            (s.id, direction): _decide(config, s, direction) for s in subjects for direction in Direction
        }  # where no rule of the file decides
        self.rules = tuple(Rule(rule, subjects) for rule in file.rules)
        self.calls = CallJudge(file.calls)
        self._patterns_digest = patterns_digest
        self._contexts: dict[tuple[Context, Direction], Table] = {}
        self._tables: dict[tuple[Direction, tuple[int, ...]], tuple[Ruling | None, ...]] = {}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what is decided, and the rules and patterns it is for, hex."""
        decided = [[rule, direction, d.action, d.mode] for (rule, direction), d in sorted(self.decisions.items())]
        subjects = sorted([s.id, s.category, s.confidence] for s in self.subjects)
        calls = [[kind, place, action] for (kind, place), action in PRESETS[self.file.calls.preset].items()]
        document = {"decisions": decided, "rules": subjects, "patterns": self._patterns_digest, "calls": calls}
        if self.file != PolicyFile():
            document["file"] = msgspec.to_builtins(msgspec.structs.replace(self.file, detectors=(), dictionaries=()))
        return hashlib.sha256(json.dumps(document, separators=(",", ":"), sort_keys=True).encode()).hexdigest()

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Where in a table of rulings each subject stands."""
        return {subject.id: number for number, subject in enumerate(self.subjects)}

    def check(self, source: PolicySource) -> None:
        """Raises ConfigError for a rule whose names do not exist: nobody would learn that it never holds."""
        names, categories = {s.id for s in self.subjects}, {s.category for s in self.subjects}
        for number, rule in enumerate(self.file.rules):
            for setting, written, known in (
                ("detectors", rule.detectors, names),
                ("categories", rule.categories, categories),
                ("direction", rule.direction, set(Direction)),
                ("channel", rule.channel, set(Channel)),
            ):
                for pattern in patterns(written) or ():
                    if not any(fnmatchcase(name, pattern) for name in known):
                        raise source.refusal(
                            f"rule {rule.id!r}: {setting} has {pattern!r}, which is no such name; {close(pattern, known)}",
                            "rules",
                            number,
                        )
            empty = [name for name in CONDITIONS if patterns(getattr(rule, name)) == ()]
            if empty:
                raise source.refusal(
                    f"rule {rule.id!r}: {empty[0]} names nothing; leave it out where it should not matter", "rules", number
                )

    def table(self, context: Context, direction: Direction) -> "Table":
        known = context, direction
        if (table := self._contexts.get(known)) is None:
            if len(self._contexts) >= _KEPT_CONTEXTS:
                self._contexts.clear()
            active = tuple(n for n, rule in enumerate(self.rules) if rule.holds_for(context, direction))
            table = self._contexts[known] = Table(self, direction, active)
        return table

    def rulings(self, direction: Direction, holding: tuple[int, ...]) -> tuple[Ruling | None, ...]:
        """One entry a subject, where the rules numbered `holding` hold."""
        known = direction, holding
        if (made := self._tables.get(known)) is None:
            if len(self._tables) >= _KEPT_TABLES:
                self._tables.clear()
            made = self._tables[known] = tuple(
                self._ruling(number, subject, direction, [self.rules[n] for n in holding])
                for number, subject in enumerate(self.subjects)
            )
        return made

    def _ruling(self, number: int, subject: Subject, direction: Direction, rules: Sequence["Rule"]) -> Ruling | None:
        base = self.decisions[subject.id, direction]
        shadow: Action | None = None
        decided, shape = base, _PLAIN
        for rule in rules:
            if number not in rule.subjects:
                continue
            if rule.mode is Mode.ENFORCE:
                decided, shape = Decision(action=rule.action, mode=Mode.ENFORCE), rule.written.format
                break
            shadow = rule.action if shadow is None else shadow
        if decided.mode is Mode.SHADOW and shadow is not None:
            decided = Decision(action=shadow, mode=Mode.SHADOW)
        if shadow is decided.action:
            shadow = None
        if decided == Decision(action=Action.ALLOW, mode=Mode.ENFORCE) and shadow is None:
            return None
        return Ruling(
            rule=subject.id,
            category=subject.category,
            confidence=subject.confidence,
            action=_possible(decided.action, subject, direction),
            mode=decided.mode,
            shadow=shadow,
            shape=shape,
        )


class Table:
    """The rulings of one direction of an exchange: implements `ruling.RulingTable`."""

    __slots__ = ("_active", "_direction", "_everywhere", "_policy", "needs_tools")

    def __init__(self, policy: Policy, direction: Direction, active: tuple[int, ...]) -> None:
        self._policy, self._direction, self._active = policy, direction, active
        rules = [policy.rules[n] for n in active]
        self.needs_tools = any(rule.tool is not None for rule in rules)
        is_everywhere = not self.needs_tools and all(rule.channel is None for rule in rules)
        self._everywhere = policy.rulings(direction, active) if is_everywhere else None

    def of(self, channel: Channel, tool: str = "") -> Rulings:
        if self._everywhere is not None:
            return self._everywhere
        rules = self._policy.rules
        return self._policy.rulings(self._direction, tuple(n for n in self._active if rules[n].holds_in(channel, tool)))


class Rule:
    """One rule of the file, its conditions taken apart."""

    def __init__(self, written: PolicyRule, subjects: Sequence[Subject]) -> None:
        self.written = written
        self.action, self.mode = Action(written.action), Mode(written.mode)
        self.channel, self.tool = patterns(written.channel), patterns(written.tool)
        self.subjects = frozenset(n for n, subject in enumerate(subjects) if is_about(written, subject))

    def holds_for(self, context: Context, direction: Direction) -> bool:
        written = self.written
        return (
            is_one(written.direction, direction)
            and is_one(written.dialect, context.dialect)
            and is_one(written.team, context.team)
            and is_one(written.key, context.key_id, context.key_name)
            and is_one(written.model, context.model)
            and is_one(written.label, *context.labels)
        )

    def holds_in(self, channel: Channel, tool: str) -> bool:
        return (self.channel is None or matches(self.channel, channel)) and (
            self.tool is None or (tool != "" and matches(self.tool, tool))
        )


def is_about(rule: PolicyRule, subject: Subject) -> bool:
    if subject.confidence < rule.min_confidence:
        return False
    detectors, categories = patterns(rule.detectors), patterns(rule.categories)
    if detectors is None and categories is None:
        return subject.category != FILE  # pictures are not what is meant by "everything found"
    return matches(detectors or (), subject.id) or matches(categories or (), subject.category)


def _possible(action: Action, subject: Subject, direction: Direction) -> Action:
    """Nobody would turn a token of an answer back: the value is masked. Of a file that can't be read no part can be."""
    if subject.category == FILE:
        return Action.BLOCK if action in (Action.TOKENISE, Action.MASK) else action
    return Action.MASK if action is Action.TOKENISE and direction is Direction.RESPONSE else action


def _decide(config: GuardConfig, subject: Subject, direction: Direction) -> Decision:
    default = DEFAULTS.get(subject.id) or CATEGORY_DEFAULTS.get(subject.category, DEFAULT)
    action, mode = default.action, default.mode
    for entry in (config.categories.get(subject.category), config.rules.get(subject.id)):
        for layer in _layers(entry, direction):
            action = Action(layer.action) if layer.action is not None else action
            mode = Mode(layer.mode) if layer.mode is not None else mode
    return Decision(action=action, mode=mode)


def _layers(entry: RuleConfig | None, direction: Direction) -> Iterable[RuleConfig | DirectionConfig]:
    if entry is None:
        return ()
    narrower = entry.request if direction is Direction.REQUEST else entry.response
    return (entry,) if narrower is None else (entry, narrower)


def _check_names(table: str, written: Iterable[str], known: Iterable[str]) -> None:
    names = set(known)
    for name in written:
        if name not in names:
            raise ConfigError(f"guard.{table}.{name}: no such name; {close(name, names)}")
