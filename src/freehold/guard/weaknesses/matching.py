"""Whether a rule holds: for a call with what it is given, for a name with what it gets, for what stands around."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from freehold.guard.weaknesses import library, secrets
from freehold.guard.weaknesses.ir import Binary, Call, Const, Func, Index, Member, Name, Node
from freehold.guard.weaknesses.rules import KINDS, CallRule, Path, SetRule, Test, level_of, pattern
from freehold.guard.weaknesses.values import CLEAN, HOLE, LOCAL, PARAMETER, REMOTE, UNKNOWN, Value, whole
from freehold.guard.weaknesses.weakness import Severity

if TYPE_CHECKING:
    from freehold.guard.weaknesses.flow import Flow

NUMERIC = frozenset(KINDS) - {"out-of-bounds", "buffer-overflow", "resource-exhaustion"}  # what no number does
CONFIDENCE = {UNKNOWN: 0.5, PARAMETER: 0.65, LOCAL: 0.8, REMOTE: 0.9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A rule that holds at a node: bytes `at` to `end`."""

    kind: str
    at: int
    end: int
    confidence: float
    severity: Severity | None


class Matching:
    """What was found in one program, and the rules that find it."""

    def __init__(self, flow: "Flow") -> None:
        self.flow = flow
        self.found: dict[tuple[str, int], Hit] = {}
        self._within: dict[tuple[str, int], bool] = {}

    def report(self, kind: str, node: Node, confidence: float, severity: Severity | None = None) -> None:
        known = self.found.get((kind, node.at))
        if known is None or known.confidence < confidence:
            self.found[kind, node.at] = Hit(kind=kind, at=node.at, end=node.end, confidence=confidence, severity=severity)

    def holds_around(self, rule: CallRule | SetRule) -> bool:
        """What a rule says of the function and the file around a node."""
        if rule.near is not None and not self._has(rule.near, self.flow.frames[-1].func):
            return False
        if rule.without is not None and self._has(rule.without, None):
            return False
        return rule.with_ is None or self._has(rule.with_, None)

    def _has(self, written: str, func: Func | None) -> bool:
        key = written, id(func)
        if key not in self._within:
            at = 0 if func is None else min([func.at, *(mark.at for mark in func.marks)])
            text = self.flow.text if func is None else self.flow.source[at : func.end].decode("utf-8", "replace")
            self._within[key] = pattern(written).search(text) is not None
        return self._within[key]

    def check_call(self, rule: CallRule, node: Call, of: Value | None, args: list[Value], named: dict[str, Value]) -> None:
        if any(not self.test(test, args, named, of) for test in rule.when):
            return
        kind = KINDS[rule.kind]
        if not rule.args:
            if self.holds_around(rule):
                self.report(rule.kind, node, rule.confidence or kind.confidence, rule.severity)
            return
        for value in self.chosen(rule.args, args, named, of):
            level = self.exposed(value, rule)
            if level and self.holds_around(rule):
                self.report(rule.kind, node, rule.confidence or CONFIDENCE[level], rule.severity)

    def exposed(self, value: Value, rule: CallRule | SetRule) -> int:
        """From where a value comes that must not get here; 0 where it may. Of a container also each text in it."""
        level = self._exposed(whole(value), rule)
        for item in () if level or not value.items else value.items.values():
            if isinstance(item.const, str):
                level = max(level, self._exposed(item, rule))
        return level

    def _exposed(self, value: Value, rule: CallRule | SetRule) -> int:
        level = value.exposure(rule.kind)
        if not level:
            return CLEAN
        kind = KINDS[rule.kind]
        text = value.text
        is_built = bool(text.strip(HOLE))
        if isinstance(rule, CallRule) and is_built:
            if rule.unlike is not None and pattern(rule.unlike).search(text):
                return CLEAN
            if rule.like is not None and not pattern(rule.like).search(text):
                is_built = False
        needed = (rule.built or kind.built) if is_built else (rule.whole or kind.whole)
        return level if level >= level_of(needed) else CLEAN

    def chosen(self, wanted: Sequence[int | str], args: list[Value], named: dict[str, Value], of: Value | None) -> list[Value]:
        found: list[Value] = []
        for which in wanted:
            if which == "*":
                found += [*args, *named.values()]
            elif which == "this":
                found += [of] if of is not None else []
            elif isinstance(which, int):
                found += args[which : which + 1] if which >= 0 else args[which:][:1]
            elif which.endswith("+"):
                found += args[int(which[:-1]) :]
            elif "." in which:
                outer, _, inner = which.partition(".")
                place = int(inner) if inner.isdigit() else inner
                found += _within(args[int(outer)], place) if int(outer) < len(args) else []
            elif which in named:
                found.append(named[which])
        return found

    def test(self, test: Test, args: list[Value], named: dict[str, Value], of: Value | None) -> bool:
        wanted = test.arg if isinstance(test.arg, tuple) else (test.arg,)
        values = self.chosen(wanted, args, named, of)
        if test.missing:
            return not values
        if test.given:
            return bool(values)
        return any(holds(test, value) for value in values)

    def set(self, name: str, path: str, value: Value, node: Node) -> None:
        """`name` gets `value`: a variable, a field, a key, an argument."""
        self.check_secret(name, value, node)
        if rules := self.flow.rules.sets.by_name.get(name):
            self._apply(rules, path, value, node)

    def defined(self, func: Func, value: Value) -> None:
        """A function that always gives `value`, if that is known."""
        if value.is_known:
            index = self.flow.rules.functions
            self._apply((*index.by_name.get(func.name, ()), *index.of_any), func.name, value, func)

    def _apply(self, rules: Sequence[tuple[Path, SetRule]], path: str, value: Value, node: Node) -> None:
        for found, rule in rules:
            if not (found.holds(path) or not found.of):
                continue
            if any(not holds(test, value) for test in rule.when):
                continue
            kind = KINDS[rule.kind]
            if rule.args:
                given = self.chosen(rule.args, [value], {"value": value}, None)
                level = max((self.exposed(one, rule) for one in given), default=CLEAN)
                if level and self.holds_around(rule):
                    self.report(rule.kind, node, rule.confidence or CONFIDENCE[level], rule.severity)
            elif self.holds_around(rule):
                self.report(rule.kind, node, rule.confidence or kind.confidence, rule.severity)

    def check_secret(self, name: str, value: Value, node: Node) -> None:
        """Whether a constant with the name of a secret is one."""
        text = value.const
        if not isinstance(text, str) or HOLE in text or len(text) < secrets.SHORTEST:
            return
        if not secrets.is_secret_name(name):
            if "=" in text and secrets.has_password(text):
                self.report("hard-coded-secret", node, 0.8)
            return
        if secrets.looks_secret(text) and not secrets.is_its_name(text, name):
            self.report("hard-coded-secret", node, 0.8 if secrets.is_likely(text) else 0.55)

    def compare_secret(self, node: Binary, left: Value, right: Value) -> None:
        for side, other in ((node.left, right), (node.right, left)):
            name = side.id if isinstance(side, Name) else side.name if isinstance(side, Member) else ""
            if name:
                self.check_secret(name, other, node)
            elif isinstance(side, Index) and isinstance(side.key, Const) and isinstance(side.key.value, str):
                self.check_secret(side.key.value, other, node)


def _within(value: Value, place: int | str) -> list[Value]:
    """What stands at `place` of a list or a map; the first of what is neither is itself."""
    if value.items is None:
        return [value] if place == 0 else []
    item = value.items.get(place)
    return [] if item is None else _within(item, 0)


def holds(test: Test, value: Value) -> bool:
    """What a test says of one value, all of it."""
    const = value.const
    if test.is_ is not msgspec.UNSET and not (value.is_known and type(const) is type(test.is_) and const == test.is_):
        return False
    if test.one_of is not None and not (value.is_known and const in test.one_of):
        return False
    if test.like is not None and not any(pattern(test.like).search(said) for said in _said(value)):
        return False
    if test.unlike is not None and (not value.said or pattern(test.unlike).search(value.said)):
        return False
    number = const if isinstance(const, int | float) and not isinstance(const, bool) else None
    if test.below is not None and (number is None or number >= test.below):
        return False
    if test.above is not None and (number is None or number <= test.above):
        return False
    if test.constant and not (library.is_constant(value)):
        return False
    if test.secret and not (isinstance(const, str) and secrets.looks_secret(const)):
        return False
    return test.level is None or whole(value).level >= level_of(test.level)


def _said(value: Value, depth: int = 3) -> list[str]:
    """What a value says; of a container what is in it."""
    if not value.items or not depth:
        return [value.said]
    return [said for item in value.items.values() for said in _said(item, depth - 1)]
