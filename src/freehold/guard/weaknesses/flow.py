"""Reads a program in its order and says where a rule holds: what comes from outside, where it goes, what was done to it.

Branches are read apart and joined; one that a constant decides is read alone. A loop is read twice. A call of a function of the
file is followed, with what it is given, `LIMIT_CALLS` deep; functions that nobody in the file calls are read for themselves,
their parameters being `PARAMETER`, or `REMOTE` where their marks say that a framework fills them. Names, fields of the object at
hand and items of containers under constant keys are told apart; nothing else is known of memory. `LIMIT_STEPS` bounds the work.

What a call *is* (a sink, a source, a sanitiser) is data: see `rules.py`. What the built-in operations of the languages do to
texts and containers is in `library.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from freehold.guard.weaknesses import library, secrets
from freehold.guard.weaknesses.ir import (
    Assign,
    Binary,
    Block,
    Call,
    Cast,
    Class,
    Cond,
    Const,
    Func,
    Group,
    Handler,
    If,
    Import,
    Index,
    Join,
    Leave,
    Loop,
    Member,
    Name,
    Node,
    Slice,
    Switch,
    Try,
    Unary,
)
from freehold.guard.weaknesses.lower import Lowering
from freehold.guard.weaknesses.rules import KINDS, CallRule, Rules, SetRule, Test, level_of, pattern
from freehold.guard.weaknesses.special import Special
from freehold.guard.weaknesses.values import (
    CLEAN,
    CLEAN_VALUE,
    HOLE,
    LOCAL,
    PARAMETER,
    REMOTE,
    UNKNOWN,
    UNSET,
    Constant,
    Value,
    either,
    element,
    joined,
    merged,
    mixed,
    whole,
)
from freehold.guard.weaknesses.weakness import Severity

LIMIT_CALLS = 5  # deep; test suites pass a value through five functions, people through two or three
LIMIT_STEPS = 60_000  # expressions read; a file of 4 KB takes some 2,000
NUMERIC = frozenset(KINDS) - {"out-of-bounds", "buffer-overflow", "resource-exhaustion"}  # what no number does
CONFIDENCE = {UNKNOWN: 0.5, PARAMETER: 0.65, LOCAL: 0.8, REMOTE: 0.9}
_THIS = "this."
_NUMBER = frozenset(("number",))  # the calls that make one of a text
_FALSY: tuple[object, ...] = (False, None, 0, "")


class OutOfSteps(Exception):
    """The program takes more work than it gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A rule that holds at a node: bytes `at` to `end`."""

    kind: str
    at: int
    end: int
    confidence: float
    severity: Severity | None


@dataclass(slots=True)
class Frame:
    """One function that is being read."""

    func: Func | None
    returns: list[Value] = field(default_factory=list)
    loops: list[list[dict[str, Value]]] = field(default_factory=list)  # what was known where each was left


class Flow:
    """One program, once."""

    def __init__(self, lowering: Lowering, rules: Rules, source: bytes, special: type[Special] = Special) -> None:
        self.rules, self.source = rules, source
        self.this, self.plus_joins = lowering.grammar.this, lowering.grammar.plus_joins
        self.functions: dict[str, list[Func]] = {}
        for func in lowering.functions:
            self.functions.setdefault(func.name, []).append(func)
        self.all_functions = lowering.functions
        self.called, self.mentioned, self.classes = lowering.called, lowering.mentioned, lowering.classes
        self.env: dict[str, Value] = {}
        self.globals: dict[str, Value] = {}
        self.fields: dict[str, Value] = {}  # "this.x", as the class or what was read before leaves it
        self.imports: dict[str, str] = {}
        self.frames: list[Frame] = [Frame(None)]
        self.left: str | None = None  # how control left the block at hand
        self.read: set[int] = set()  # functions, by id
        self.returned: dict[tuple[object, ...], Value] = {}
        self.closures: dict[int, dict[str, Value]] = {}
        self.found: dict[tuple[str, int], Hit] = {}
        self.steps = LIMIT_STEPS
        self.text = source.decode("utf-8", "replace")
        self.within: dict[tuple[str, int], bool] = {}
        self.special = special(self)

    def run(self, root: Node) -> None:
        """Raises OutOfSteps, and RecursionError."""
        self.value(root)
        self.globals.update(self.env)
        for func in sorted(self.all_functions, key=self._is_reached):
            if id(func) not in self.read:
                self.read_alone(func)

    def _is_reached(self, func: Func) -> int:
        """How likely it is that others in the file call it: they are read first, and tell what it is given."""
        return 2 if func.name in self.called else func.name in self.mentioned

    # What is found.

    def report(self, kind: str, node: Node, confidence: float, severity: Severity | None = None) -> None:
        known = self.found.get((kind, node.at))
        if known is None or known.confidence < confidence:
            self.found[kind, node.at] = Hit(kind=kind, at=node.at, end=node.end, confidence=confidence, severity=severity)

    def holds_around(self, rule: CallRule | SetRule) -> bool:
        """What a rule says of the function and the file around a node."""
        if rule.near is not None and not self._has(rule.near, self.frames[-1].func):
            return False
        if rule.without is not None and self._has(rule.without, None):
            return False
        return rule.with_ is None or self._has(rule.with_, None)

    def _has(self, written: str, func: Func | None) -> bool:
        key = written, id(func)
        if key not in self.within:
            text = self.text if func is None else self.source[func.at : func.end].decode("utf-8", "replace")
            self.within[key] = pattern(written).search(text) is not None
        return self.within[key]

    # Functions.

    def read_alone(self, func: Func) -> None:
        """A function that nobody in the file is known to call."""
        is_handler = any(self._is_handler(mark) for mark in func.marks)
        self.env = dict(self.closures.get(id(func), ()))
        self.env.update(self.fields)
        for param in func.params:
            self.env[param.name] = self.parameter(param.name, param.type, param.marks, is_handler)
            if isinstance(param.default, Const):
                self.check_secret(param.name, Value(const=param.default.value), param.default)
        self.frames.append(Frame(func))
        self.read.add(id(func))
        self.left = None
        self.value(func.body)
        self.frames.pop()
        self.left = None
        for name, value in self.env.items():
            if name.startswith(_THIS):
                known = self.fields.get(name)
                self.fields[name] = value if known is None else either(known, value)

    def _is_handler(self, mark: Node) -> bool:
        callee = mark.callee if isinstance(mark, Call) else mark
        path = self.value(callee).path
        return self.rules.handlers.has(path.rpartition(".")[2], path)

    def parameter(self, name: str, declared: str, marks: str, is_handler: bool) -> Value:
        sources = self.rules.file.sources
        kind = library.plain_type(declared)
        if kind and sources.numbers is not None and pattern(sources.numbers).fullmatch(kind):
            return Value(CLEAN, path=kind, bounds=library.bounds_of(kind))
        level = REMOTE if is_handler else PARAMETER
        if marks and sources.parameters is not None and pattern(sources.parameters).search(marks):
            level = REMOTE
        if kind and self.rules.sources.by_name and (found := self.rules.sources.find(kind.rpartition(".")[2], kind)):
            level = max(found)
        return Value(level, path=self.imports.get(kind, kind) or name)

    def follow(self, func: Func, args: Sequence[Value], named: dict[str, Value]) -> Value | None:
        """What a function of the file gives for these arguments; None where it is not followed."""
        if len(self.frames) > LIMIT_CALLS or any(frame.func is func for frame in self.frames):
            return None
        key = (id(func), *((v.level, v.clean, _simple(v), v.path) for v in args), *sorted(named), self._state())
        if key in self.returned:
            return self.returned[key]
        self.read.add(id(func))
        env_before = self.env
        self.env = {name: value for name, value in env_before.items() if name.startswith(_THIS)}
        if id(func) in self.closures:
            self.env.update(self.closures[id(func)])
        for place, param in enumerate(func.params):
            self.env[param.name] = self._bound(param, place, args, named)
        frame = Frame(func)
        self.frames.append(frame)
        left_before, self.left = self.left, None
        self.value(func.body)
        self.frames.pop()
        self.left = left_before
        for name, value in self.env.items():
            if name.startswith(_THIS):
                env_before[name] = value
        self.env = env_before
        result = frame.returns[0] if frame.returns else CLEAN_VALUE
        for other in frame.returns[1:]:
            result = either(result, other)
        self.returned[key] = result
        return result

    def _state(self) -> object:
        return tuple(sorted((name, v.level) for name, v in self.env.items() if v.level and name.startswith(_THIS)))

    def _bound(self, param: Any, place: int, args: Sequence[Value], named: dict[str, Value]) -> Value:
        if param.name in named:
            return named[param.name]
        if place < len(args):
            given = args[place]
            kind = library.plain_type(param.type)
            numbers = self.rules.file.sources.numbers
            if kind and numbers is not None and pattern(numbers).fullmatch(kind):
                return Value(given.level, given.clean | NUMERIC, given.const, kind, None, given.bounds or library.bounds_of(kind))
            return given if given.path or not kind else given.named(kind)
        if param.default is not None:
            return self.value(param.default)
        return Value(path=library.plain_type(param.type) or param.name)

    # Reading.

    def value(self, node: Node) -> Value:
        self.steps -= 1
        if self.steps < 0:
            raise OutOfSteps
        read: Callable[[Flow, Any], Value] = _READERS[type(node)]
        return read(self, node)

    def const(self, node: Const) -> Value:
        return Value(const=node.value)

    def name(self, node: Name) -> Value:
        known = self.env.get(node.id)
        if known is None:
            known = self.env.get(_THIS + node.id) or self.globals.get(node.id)
        if known is not None:
            return known
        if node.id in self.this:
            return Value(path=node.id)
        path = self.imports.get(node.id)
        if path is not None:
            found = self.rules.sources.find(path.rpartition(".")[2], path)
            return Value(max(found), path=path) if found else Value(path=path)
        found = self.rules.sources.find(node.id, node.id)
        if found:
            return Value(max(found), path=node.id)
        is_variable = node.id[:1].islower() and node.id not in self.functions and node.id not in library.PACKAGES
        return Value(UNKNOWN if is_variable else CLEAN, path=node.id)

    def member(self, node: Member) -> Value:
        key = self.key_of(node)
        if key is not None and (known := self.env.get(key)) is not None:
            return known
        of = self.value(node.obj)
        self.special.used(node.obj, of)
        if of.items is not None and node.name in of.items:
            return of.items[node.name]
        path = f"{of.path}.{node.name}"
        found = self.rules.sources.find(node.name, path)
        if found:
            return Value(max(found), path=path)
        if (known := self.special.named(path)) is not None:
            return known
        if of.path in self.this or node.name in library.SIZES:
            return Value(path=path)
        return Value(of.level, of.clean, path=path)

    def key_of(self, node: Node) -> str | None:
        """By what name a variable or a field of an object is kept."""
        if isinstance(node, Name):
            return node.id if node.id in self.env or _THIS + node.id not in self.env else _THIS + node.id
        if isinstance(node, Member) and isinstance(node.obj, Name):
            return _THIS + node.name if node.obj.id in self.this else f"{node.obj.id}.{node.name}"
        if isinstance(node, Unary | Cast):
            return self.key_of(node.value)
        if isinstance(node, Join) and isinstance(node.parts[0], Name):  # a place in what a pointer points to
            return self.key_of(node.parts[0])
        return None

    def index(self, node: Index) -> Value:
        of, key = self.value(node.obj), self.value(node.key)
        name = str(key.const) if key.is_known else "*"
        found = self.rules.sources.find("[]", f"{of.path}.[]") if of.path else []
        if found:
            return Value(max(found), path=f"{of.path}[]")
        self.special.indexed(node, of, key)
        return element(of, key.const if key.is_known else UNSET) if name else of

    def slice(self, node: Slice) -> Value:
        bounds = [self.value(bound) for bound in node.bounds]
        of = self.value(node.obj)
        known = self.special.sliced(node, of, bounds)
        if known is not None:
            return known
        return Value(of.level, of.clean, path=of.path, items=of.items)

    def join(self, node: Join) -> Value:
        return joined([self.value(part) for part in node.parts])

    def binary(self, node: Binary) -> Value:
        left = self.value(node.left)
        op = node.op
        if op in library.AND | library.OR and left.is_known and (left.const in _FALSY) == (op in library.AND):
            return left
        right = self.value(node.right)
        if op in library.AND | library.OR | library.ELSE:
            return either(left, right) if op in library.OR | library.ELSE else right
        if op == "." or (op == "+" and self.plus_joins):
            return joined([left, right])
        if op in library.EQUAL | library.UNEQUAL:
            self._compare_secret(node, left, right)
        if op == "<<" and left.items is not None:
            left.items[len(left.items)] = right
            return left
        if op == ">>" and left.path in library.STREAMS:
            self.write(node.right, Value(LOCAL, path=right.path, bounds=right.bounds))
            return left
        if op == "%" and isinstance(left.const, str):
            args = list(right.items.values()) if right.items else [right]
            return library.formatted(left, args)
        return self.reckoned(op, left, right)

    def reckoned(self, op: str, left: Value, right: Value) -> Value:
        """What an operator on numbers gives: a number."""
        made = library.computed(op, left, right)
        return made.made_clean(NUMERIC) if made.level and op in library.ARITHMETIC else made

    def _compare_secret(self, node: Binary, left: Value, right: Value) -> None:
        for side, other in ((node.left, right), (node.right, left)):
            name = side.id if isinstance(side, Name) else side.name if isinstance(side, Member) else ""
            if name:
                self.check_secret(name, other, node)
            elif isinstance(side, Index) and isinstance(side.key, Const) and isinstance(side.key.value, str):
                self.check_secret(side.key.value, other, node)

    def unary(self, node: Unary) -> Value:
        of = self.value(node.value)
        if node.op in ("!", "not"):
            return Value(const=of.const in _FALSY) if of.is_known else CLEAN_VALUE
        if node.op == "&" and of.const is None:  # where it lies, not what is there
            return Value(of.level, of.clean, path=of.path)
        if node.op == "*":
            self.special.used(node.value, of)
        if node.op == "-" and of.bounds is not None:
            return Value(of.level, of.clean, path=of.path, bounds=library.held(of.path, (-of.bounds[1], -of.bounds[0])))
        return of

    def cond(self, node: Cond) -> Value:
        test = self.value(node.test)
        if test.is_known:
            return self.value(node.other if test.const in _FALSY else node.then)
        before = self.env
        self.env = dict(before)
        self.assume(node.test, True)
        then = self.value(node.then)
        self.env = dict(before)
        self.assume(node.test, False)
        other = self.value(node.other)
        self.env = before
        return either(then, other)

    def group(self, node: Group) -> Value:
        values = [self.value(item) for item in node.items]
        if not node.is_list:
            return mixed(values) if len(values) != 1 else values[0]
        if not node.keys:
            return Value(items=dict(enumerate(values)))
        items: dict[object, Value] = {}
        for key, item, value in zip(node.keys, node.items, values, strict=True):
            if key is None:
                items.update(value.items or {UNSET: value})
                continue
            by = self.value(key) if not isinstance(key, Name) or key.id in self.env else Value(const=key.id)
            items[by.const if by.is_known else UNSET] = value
            if isinstance(by.const, str):
                self.set(by.const, by.const, value, item)
        return Value(items=items)

    def cast(self, node: Cast) -> Value:
        of = self.value(node.value)
        kind = library.plain_type(node.type)
        numbers = self.rules.file.sources.numbers
        if numbers is not None and pattern(numbers).fullmatch(kind):
            const = of.const if isinstance(of.const, int | float) else UNSET
            return Value(of.level, of.clean | NUMERIC, const, kind, None, of.bounds)
        return Value(
            of.level, of.clean, of.const, of.path if kind in ("String", "string", "Object") else kind, of.items, of.bounds
        )

    # Calls.

    def call(self, node: Call) -> Value:
        callee = node.callee
        of: Value | None = None
        if isinstance(callee, Func):
            given = self.follow(callee, [self.value(arg) for arg in node.args], {})
            return CLEAN_VALUE if given is None else given
        if isinstance(callee, Member):
            of = self.value(callee.obj)
            self.special.used(callee.obj, of)
            name, path = callee.name, f"{of.path}.{callee.name}"
        elif isinstance(callee, Name):
            name = callee.id
            known = self.env.get(name)
            path = known.path if known is not None and known.path else self.imports.get(name, name)
            name = path.rpartition(".")[2]
        else:
            path = self.value(callee).path
            name = path.rpartition(".")[2]
        if node.is_new:
            path = library.plain_type(path)
            name = path.rpartition(".")[2]
        args = [self.value(arg) for arg in node.args]
        named = {key: self.value(value) for key, value in node.named}
        for (key, value), item in zip(named.items(), node.named, strict=False):
            self.set(key, f"{path}.{key}", value, item[1])
        for rule in self.rules.calls.find(name, path):
            self.check_call(rule, node, of, args, named)
        if self.rules.fills.has(name, path):
            self.fill(node, args)
        if self.rules.exits.has(name, path):
            self.left = "exit"
        if self.rules.renews.has(name, path):
            self.renew([*args, *named.values(), *(self.value(arg.obj) for arg in node.args if isinstance(arg, Slice))])
        known = self.special.called(node, name, path, of, args)
        return self.result(node, name, path, of, args, named) if known is None else known

    def result(self, node: Call, name: str, path: str, of: Value | None, args: list[Value], named: dict[str, Value]) -> Value:
        sources = self.rules.sources.find(name, path)
        if sources:
            default = args[-1].const if name in library.SETTINGS and len(args) > 1 else UNSET
            return Value(max(sources), path=default if isinstance(default, str) else f"{path}()")
        if path in library.MODULES and args and isinstance(args[0].const, str):
            return Value(path=args[0].const.removeprefix("node:"))
        sanitised = self.rules.sanitisers.find(name, path)
        if sanitised:
            everything = mixed([*args, *named.values(), *([of] if of is not None else [])], f"{path}()")
            kinds = frozenset[str]().union(*sanitised)
            return everything.made_clean(NUMERIC if kinds == _NUMBER else kinds)
        for rule in self.rules.cleans.find(name, path):
            if all(self.test(test, args, named, of) for test in rule.when):
                return mixed(args, f"{path}()").made_clean(frozenset(rule.kinds.split()))
        if name in library.REPLACES and library.keeps_words_only(args):
            return mixed([*args, *([of] if of is not None else [])], f"{path}()").made_clean(frozenset(("*",)))
        if name == "settype" and len(node.args) == 2 and args[1].const in library.NUMBER_NAMES:
            self.write(node.args[0], args[0].made_clean(NUMERIC))
        func = self.local_function(node, name, of)
        if func is not None:
            given = self.follow(func, args, named)
            if given is not None:
                return given if given.path else given.named(f"{path}()")
        if node.is_new:
            self.construct(name, args, named)
            made = mixed([*args, *named.values()], path)
            if name in library.CONTAINERS:
                made.items = dict(args[0].items) if len(args) == 1 and args[0].items else {}
            elif named:
                made.items = dict(named.items())
                made.level = CLEAN
            return made
        known = library.operation(name, path, of, args)
        if known is None:
            known = self.derived(name, path, of, args, named)
        if (of is None or of.items is None) and self.rules.copies.has(name, path):
            self.copy(node, of, args)
        return known

    def construct(self, name: str, args: list[Value], named: dict[str, Value]) -> None:
        """Of a class of the file: what its constructor leaves in its fields."""
        if name not in self.classes:
            return
        for called in (name, *library.CONSTRUCTORS):
            for func in self.functions.get(called, ()):
                if func.owner == name:
                    self.follow(func, args, named)
                    return

    def derived(self, name: str, path: str, of: Value | None, args: list[Value], named: dict[str, Value]) -> Value:
        """Of a function that nobody knows: all that went in may come out."""
        parts = [*args, *named.values()]
        if of is not None:
            parts.append(of)
        made = mixed(parts, f"{path}()")
        self.renew([arg for arg in args if arg.path == "make()"])
        if made.level and name not in self.functions and library.CLEANS.search(name):
            return made.made_clean(frozenset(("*",)))
        return made

    def local_function(self, node: Call, name: str, of: Value | None) -> Func | None:
        candidates = self.functions.get(name)
        if not candidates:
            return None
        if of is not None:
            path = of.path.rstrip("()")
            if path not in self.this and path.rpartition(".")[2] not in self.classes:
                return None
            owned = [func for func in candidates if func.owner == path.rpartition(".")[2]]
            candidates = owned or candidates
        if len(candidates) > 1:
            frame = self.frames[-1].func
            same = [func for func in candidates if frame is not None and func.owner == frame.owner]
            candidates = same or candidates
            fitting = [func for func in candidates if len(func.params) == len(node.args) + len(node.named)]
            candidates = fitting or candidates
        return candidates[0]

    def copy(self, node: Call, of: Value | None, args: list[Value]) -> None:
        """The call writes what it is given into its object, or its first argument."""
        if of is not None and isinstance(node.callee, Member):
            self.write(node.callee.obj, joined([of, *args]).named(of.path))
        elif args:
            self.write(node.args[0], self._copied(args).named(args[0].path))

    def _copied(self, args: list[Value]) -> Value:
        """What a copy writes: a format with its holes filled, or all that it is given."""
        if len(args) == 2:
            return args[1]
        for place, arg in enumerate(args[1:3], 1):
            if isinstance(arg.const, str) and "%" in arg.const:
                return library.formatted(arg, args[place + 1 :])
        return mixed(args[1:])

    def fill(self, node: Call, args: list[Value]) -> None:
        """The call writes what comes from outside into what it is given."""
        for arg, value in zip(node.args, args, strict=True):
            if not isinstance(arg, Const):
                self.write(arg, Value(max(LOCAL, value.level), path=value.path))

    def renew(self, values: Sequence[Value]) -> None:
        """The call fills what it is given with what nobody can foresee: all who hold it see that."""
        for value in values:
            if value is not CLEAN_VALUE and (value.const is not UNSET or value.items is not None or value.path == "make()"):
                value.const, value.items, value.path = UNSET, None, "renewed()"

    def write(self, target: Node, value: Value) -> None:
        key = self.key_of(target)
        if key is not None and key not in self.this:
            self.env[key] = value
            if key in self.globals and len(self.frames) > 1:
                self.globals[key] = value

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
        """From where a value comes that must not get here; 0 where it may."""
        value = whole(value)
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

    # Settings.

    def set(self, name: str, path: str, value: Value, node: Node) -> None:
        """`name` gets `value`: a variable, a field, a key, an argument."""
        self.check_secret(name, value, node)
        rules = self.rules.sets.by_name.get(name)
        for found, rule in rules or ():
            if not (found.holds(path) or not found.of):
                continue
            if any(not holds(test, value) for test in rule.when):
                continue
            kind = KINDS[rule.kind]
            if rule.args:
                level = self.exposed(value, rule)
                if level and self.holds_around(rule):
                    self.report(rule.kind, node, rule.confidence or CONFIDENCE[level], rule.severity)
            elif self.holds_around(rule):
                self.report(rule.kind, node, rule.confidence or kind.confidence, rule.severity)

    def check_secret(self, name: str, value: Value, node: Node) -> None:
        """Whether a constant with the name of a secret is one."""
        text = value.const
        if not isinstance(text, str) or HOLE in text or len(text) < secrets.SHORTEST or not secrets.is_secret_name(name):
            return
        if secrets.looks_secret(text):
            self.report("hard-coded-secret", node, 0.8 if secrets.is_likely(text) else 0.55)

    def assign(self, node: Assign) -> Value:
        value = CLEAN_VALUE if node.value is None else self.value(node.value)
        declared = library.plain_type(node.type)
        if declared:
            value = self.declared(declared, value, is_given=node.value is not None)
        if node.op not in ("=", "?", "??", "||", ""):
            before = self.value(node.target)
            is_joined = node.op in (".", "<<") or (node.op == "+" and self.plus_joins)
            value = joined([before, value]) if is_joined else self.reckoned(node.op, before, value)
            value.path = value.path or before.path
        self.special.assigned(node, value)
        self.into(node.target, value, node)
        return value

    def declared(self, kind: str, value: Value, *, is_given: bool) -> Value:
        numbers = self.rules.file.sources.numbers
        if numbers is not None and pattern(numbers).fullmatch(kind):
            return Value(
                value.level, value.clean | NUMERIC, value.const, value.path or kind, None, value.bounds or library.bounds_of(kind)
            )
        if not is_given and kind.rpartition(".")[2] in library.CONTAINERS:
            return Value(path=kind, items={})
        if value.path and (value.items is not None or kind in library.VAGUE or value.path.rpartition(".")[2][:1].isupper()):
            return value
        return value.named(self.imports.get(kind, kind))

    def into(self, target: Node, value: Value, node: Node) -> None:
        if isinstance(target, Name):
            self.set(target.id, target.id, value, node)
            self.write(target, value)
        elif isinstance(target, Member):
            of = self.value(target.obj)
            self.set(target.name, f"{of.path}.{target.name}", value, node)
            if of.items is not None:
                of.items[target.name] = value
            self.write(target, value)
        elif isinstance(target, Index):
            of, key = self.value(target.obj), self.value(target.key)
            self.special.indexed(target, of, key)
            if isinstance(key.const, str):
                self.set(key.const, f"{of.path}.{key.const}", value, node)
            if of.items is not None:
                is_end = isinstance(target.key, Group) and not target.key.items  # PHP's `$list[] = …`
                of.items[len(of.items) if is_end else key.const if key.is_known else UNSET] = value
            elif value.level > of.level:
                self.write(target.obj, Value(value.level, value.clean, path=of.path))
        elif isinstance(target, Group):
            self.spread(target, value, node)
        elif isinstance(target, Unary):
            self.special.used(target.value, self.value(target.value))
            self.into(target.value, value, node)
        elif isinstance(target, Assign):  # a default inside a pattern
            self.into(target.target, value, node)

    def spread(self, target: Group, value: Value, node: Node) -> None:
        """Several at once: by place, or by the keys of a pattern. Of a call all get the call's, the first its path."""
        for place, one in enumerate(target.items):
            key = target.keys[place] if target.keys else None
            if isinstance(key, Name | Const):
                by = key.id if isinstance(key, Name) else key.value
                path = f"{value.path}.{by}" if value.path else ""
                found = self.rules.sources.find(str(by), path) if path else []
                part = Value(max(found), path=path) if found else element(value, by).named(path)
            elif value.items is not None:
                part = element(value, place)
            else:
                path, bounds = (value.path, value.bounds) if place == 0 else ("", None)
                part = Value(value.level, value.clean, path=path, bounds=bounds)
            self.into(one, part, node)

    # Statements.

    def block(self, node: Block) -> Value:
        value = CLEAN_VALUE
        for item in node.items:
            value = self.value(item)
            if self.left is not None:
                break
        return value

    def branch(self, node: If) -> Value:
        test = self.value(node.test)
        if test.is_known:
            chosen = node.other if test.const in _FALSY else node.then
            return CLEAN_VALUE if chosen is None else self.value(chosen)
        before = self.env
        self.env = dict(before)
        self.assume(node.test, True)
        self.value(node.then)
        then_env, then_left = self.env, self._taken_left()
        self.env = dict(before)
        self.assume(node.test, False)
        if node.other is not None:
            self.value(node.other)
        other_left = self._taken_left()
        if then_left is not None and other_left is not None:
            self.left = other_left
        elif other_left is not None:
            self.env = then_env
        elif then_left is None:
            self.env = merged(then_env, self.env)
        return CLEAN_VALUE

    def _taken_left(self) -> str | None:
        """How control left what was just read; from here on it goes on."""
        left, self.left = self.left, None
        return left

    def loop(self, node: Loop) -> Value:
        if node.before is not None:
            self.value(node.before)
        before = self.env
        frame = self.frames[-1]
        self.special.looped(node)
        frame.loops.append([])
        test = CLEAN_VALUE if node.test is None else self.value(node.test)
        is_entered = (
            node.runs_once or (test.is_known and test.const not in _FALSY) or (node.test is None and node.after is not None)
        )
        if not is_entered and test.is_known:
            frame.loops.pop()
            return CLEAN_VALUE
        self._pass(node)
        if len(frame.loops) < 3 and self.left is None:
            self.env = merged(before, self.env)
            self._pass(node)
        left, self.left = self.left, None
        ends = frame.loops.pop()
        is_endless = isinstance(node.test, Const) and node.test.value not in _FALSY
        after = [*ends] if (is_endless or left is not None) and ends else [*ends, self.env]
        if not is_entered:
            after.append(before)
        if left in ("return", "throw", "exit") and is_entered and not ends:
            self.left = left
        self.env = after[0] if len(after) == 1 else dict(after[0])
        for env in after[1:]:
            self.env = merged(self.env, env)
        return CLEAN_VALUE

    def _pass(self, node: Loop) -> None:
        self.env = dict(self.env)
        if node.test is not None:
            self.assume(node.test, True)
            self._count(node)
        self.value(node.body)
        if self.left == "continue":
            self.left = None
        if self.left is None:
            if node.after is not None:
                self.value(node.after)
            if node.test is not None:
                self.value(node.test)

    def _count(self, node: Loop) -> None:
        """`for (i = 0; i < n; i++)`: i goes from what it is to n."""
        test, after = node.test, node.after
        if not (isinstance(test, Binary) and test.op in ("<", "<=") and isinstance(after, Assign) and after.op == "+"):
            return
        key, known = self.key_of(test.left), self.env.get(self.key_of(test.left) or "")
        end = self.value(test.right).const
        if key is None or known is None or key != self.key_of(after.target) or not isinstance(end, int):
            return
        start = known.const if isinstance(known.const, int) else known.bounds[0] if known.bounds else 0
        last = end - (test.op == "<")
        if start <= last:
            self.env[key] = Value(path=library.COUNTED, bounds=(float(start), float(last)))

    def switch(self, node: Switch) -> Value:
        subject = None if node.subject is None else self.value(node.subject)
        before = self.env
        ends: list[dict[str, Value]] = []
        self.frames[-1].loops.append(ends)
        has_default = False
        chosen = node.cases
        if subject is not None and subject.is_known:
            chosen = self._case_of(node, subject)
            has_default = bool(chosen)
        for values, body in chosen:
            has_default = has_default or values is None
            self.env, self.left = dict(before), None
            if values is not None and len(values) == 1:
                self.assume(values[0] if node.subject is None else Binary(0, 0, "==", node.subject, values[0]), True)
            self.value(body)
            if self.left is None:
                ends.append(self.env)
        self.frames[-1].loops.pop()
        self.left = None
        if not has_default:
            ends.append(before)
        if not ends:
            self.left = "return"
            return CLEAN_VALUE
        self.env = ends[0]
        for env in ends[1:]:
            self.env = merged(self.env, env)
        return CLEAN_VALUE

    def _case_of(self, node: Switch, subject: Value) -> list[tuple[Sequence[Node] | None, Node]]:
        default: list[tuple[Sequence[Node] | None, Node]] = []
        for values, body in node.cases:
            if values is None:
                default = [(values, body)]
                continue
            known = [self.value(value) for value in values]
            if any(not value.is_known for value in known):
                return list(node.cases)
            if any(value.const == subject.const for value in known):
                return [(values, body)]
        return default

    def attempt(self, node: Try) -> Value:
        before = dict(self.env)
        self.value(node.body)
        ends = [] if self.left is not None else [self.env]
        left = self.left
        start = merged(before, self.env)
        for one in node.handlers:
            self.env, self.left = dict(start), None
            self.value(one)
            if self.left is None:
                ends.append(self.env)
        self.left = None if ends else left
        self.env = ends[0] if ends else start
        for env in ends[1:]:
            self.env = merged(self.env, env)
        if node.last is not None:
            left, self.left = self.left, None
            self.value(node.last)
            self.left = self.left or left
        return CLEAN_VALUE

    def handler(self, node: Handler) -> Value:
        if isinstance(node.body, Block) and not any(_does_something(item) for item in node.body.items):
            self.report("ignored-error", node, self.rules.file.ignored_errors)
        return self.value(node.body)

    def leave(self, node: Leave) -> Value:
        value = CLEAN_VALUE if node.value is None else self.value(node.value)
        frame = self.frames[-1]
        if node.how == "return":
            frame.returns.append(value)
            if frame.func is not None and frame.func.marks:
                self.set("return", "return", value, node)
        elif node.how in ("break", "continue") and frame.loops:
            frame.loops[-1].append(dict(self.env))
        self.left = node.how
        return value

    def function(self, node: Func) -> Value:
        if len(self.frames) > 1 or not node.name:
            self.closures[id(node)] = self.env
        for mark in node.marks:
            self.value(mark)
        returned = UNSET if node.name else self._read_lambda(node)
        return Value(path=node.name, const=returned)

    def _read_lambda(self, node: Func) -> Constant:
        """Where it is written: who calls it, and with what, is not known. Gives what it always returns."""
        before, left = self.env, self.left
        self.env = dict(before)
        for param in node.params:
            self.env[param.name] = self.parameter(param.name, param.type, param.marks, is_handler=False)
        frame = Frame(node)
        self.frames.append(frame)
        self.left = None
        self.value(node.body)
        self.frames.pop()
        inside = self.env
        self.env, self.left = before, left
        for name, value in inside.items():
            known = before.get(name)
            if known is not None and known is not value and not any(param.name == name for param in node.params):
                before[name] = either(known, value)
        return frame.returns[0].const if len(frame.returns) == 1 and frame.returns[0].is_known else UNSET

    def klass(self, node: Class) -> Value:
        before = self.env
        self.env = dict(before)
        for mark in node.marks:
            self.value(mark)
        self.value(node.body)
        for name, value in self.env.items():
            if before.get(name) is not value:
                self.fields[name if name.startswith(_THIS) else _THIS + name] = value
        self.env = before
        return CLEAN_VALUE

    def imported(self, node: Import) -> Value:
        for local, path in node.names:
            if (kind := self.rules.imports.get(path)) is not None:
                self.report(kind, node, KINDS[kind].confidence)
            if local not in ("", "*"):
                self.imports[local] = path
        return CLEAN_VALUE

    # What a condition tells.

    def assume(self, test: Node, truth: bool) -> None:
        """In a branch where `test` came out as `truth`."""
        if isinstance(test, Unary) and test.op in ("!", "not"):
            self.assume(test.value, not truth)
        elif isinstance(test, Binary):
            self._assume_binary(test, truth)
        elif isinstance(test, Call):
            self._assume_call(test, truth)
        elif isinstance(test, Group) and len(test.items) == 1:
            self.assume(test.items[0], truth)
        elif isinstance(test, Assign) and test.value is not None:
            self.assume(test.value, truth)

    def _assume_binary(self, test: Binary, truth: bool) -> None:
        op = test.op
        if op in library.AND | library.OR:
            if truth == (op in library.AND):
                self.assume(test.left, truth)
                self.assume(test.right, truth)
            return
        left, right = self.value(test.left), self.value(test.right)
        if isinstance(test.left, Call) and right.is_known:
            is_no = right.const in (*_FALSY, -1)
            if op in library.EQUAL | library.UNEQUAL:
                self._assume_call(test.left, truth == ((op in library.EQUAL) != is_no))
            elif op in (">", ">=", "<") and right.const in (0, -1, 1):
                self._assume_call(test.left, truth == (op != "<"))
        if op in ("in", "not in"):
            if truth == (op == "in"):
                if whole(right).level == CLEAN:
                    self._clean(test.left, ("*",))
            elif left.const in library.UPWARDS:
                self._clean(test.right, ("path-traversal",))
            return
        for node, value, other, sign in ((test.left, left, right, op), (test.right, right, left, library.MIRRORED.get(op, op))):
            if value.is_known:
                continue
            key = self.key_of(node)
            if key is None:
                self.narrow(node, sign if truth else library.OPPOSITE.get(sign, ""), other)
                continue
            is_same = truth == (sign in library.EQUAL) and sign in library.EQUAL | library.UNEQUAL
            if is_same and other.is_known and other.const not in _FALSY:
                self.env[key] = Value(const=other.const, path=value.path, bounds=value.bounds)
            self.narrow(node, sign if truth else library.OPPOSITE.get(sign, ""), other)

    def narrow(self, node: Node, sign: str, other: Value) -> None:
        """What a comparison that holds says of the numbers in `node`: of `x + 10 < 30` that x is below 20."""
        if isinstance(node, Group) and len(node.items) == 1:
            self.narrow(node.items[0], sign, other)
            return
        parts = node.parts if isinstance(node, Join) else (node.left, node.right) if isinstance(node, Binary) else ()
        if len(parts) == 2:
            first, second = (self.value(part) for part in parts)
            inverse = library.inverted("+" if isinstance(node, Join) else getattr(node, "op", ""), first, second, other)
            if inverse is not None:
                self.narrow(parts[1 if first.is_known else 0], sign, inverse)
            return
        key = self.key_of(node)
        if key is None:
            return
        value = self.value(node)
        bounds = library.narrowed(sign, value, other)
        if bounds is not None:
            self.env[key] = Value(value.level, value.clean, value.const, value.path, value.items, bounds)

    def _assume_call(self, test: Call, truth: bool) -> None:
        callee = test.callee
        of = self.value(callee.obj) if isinstance(callee, Member) else None
        name = callee.name if isinstance(callee, Member) else callee.id if isinstance(callee, Name) else ""
        path = f"{of.path}.{name}" if of is not None else self.imports.get(name, name)
        args = [self.value(arg) for arg in test.args]
        subjects = [*test.args, *([callee.obj] if isinstance(callee, Member) else [])]
        constants = [value.const for value in (*args, *([of] if of is not None else [])) if value.is_known]
        if not truth:
            if name in library.FINDS and any(const in library.UPWARDS for const in constants):
                self._clean_all(subjects, ("path-traversal",))
            return
        if name in library.STARTS and not any(const in ("/", "http", "http://", "https://") for const in constants):
            self._clean_all(
                subjects[-1:] if isinstance(callee, Member) and of is not None and of.level else subjects, library.PLACES
            )
        elif name in library.MEMBERSHIP and (of is None or whole(of).level == CLEAN):
            self._clean_all(test.args, ("*",))
        elif (self.rules.checks.has(name, path) and not _is_loose(constants)) or library.CHECKS.search(name):
            self._clean_all(subjects, ("*",))

    def _clean_all(self, nodes: Sequence[Node], kinds: Sequence[str]) -> None:
        for node in nodes:
            self._clean(node, kinds)

    def _clean(self, node: Node, kinds: Sequence[str]) -> None:
        key = self.key_of(node)
        if key is not None:
            value = self.env.get(key)
            if value is not None and value.level:
                self.env[key] = value.made_clean(frozenset(kinds))
        elif isinstance(node, Call):
            for inner in (*node.args, *((node.callee.obj,) if isinstance(node.callee, Member) else ())):
                self._clean(inner, kinds)


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


def _said(value: Value) -> list[str]:
    """What a value says; of a container what is in it."""
    return [item.said for item in value.items.values()] if value.items else [value.said]


def _is_loose(constants: Sequence[object]) -> bool:
    """A pattern that lets anything through is no check: one that is not tied to both ends, or has a dot that repeats."""
    patterns = [const for const in constants if isinstance(const, str) and library.PATTERN_SIGNS.search(const)]
    return any(".*" in const or ".+" in const for const in patterns)


def _simple(value: Value) -> object:
    if value.items is not None:
        return tuple((str(key), item.level) for key, item in value.items.items())
    return value.const if not isinstance(value.const, str) or len(value.const) < 200 else id(value)


def _does_something(node: Node) -> bool:
    if isinstance(node, Leave):
        return node.how != "continue"
    return not (isinstance(node, Const) or (isinstance(node, Group) and not node.items))


_READERS: dict[type[Node], Any] = {
    Const: Flow.const,
    Name: Flow.name,
    Member: Flow.member,
    Index: Flow.index,
    Slice: Flow.slice,
    Call: Flow.call,
    Join: Flow.join,
    Binary: Flow.binary,
    Unary: Flow.unary,
    Cond: Flow.cond,
    Group: Flow.group,
    Assign: Flow.assign,
    Cast: Flow.cast,
    Func: Flow.function,
    Class: Flow.klass,
    Block: Flow.block,
    If: Flow.branch,
    Loop: Flow.loop,
    Switch: Flow.switch,
    Try: Flow.attempt,
    Handler: Flow.handler,
    Leave: Flow.leave,
    Import: Flow.imported,
}
