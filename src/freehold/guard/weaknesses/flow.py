"""Reads a program in its order and says where a rule holds: what comes from outside, where it goes, what was done to it.

Branches are read apart and joined; one that a constant decides is read alone. A loop is read twice. Names, fields of the object
at hand and items of containers under constant keys are told apart; nothing else is known of memory. The work is bounded.

What a call *is* (a sink, a source, a sanitiser) is data: see `rules.py`, and `matching.py` for whether a rule holds. Calls of the
file's own functions are followed in `functions.py`; what a condition tells is decided in `conditions.py`; what the built-in
operations of the languages do to texts and containers is in `library.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from freehold.guard.weaknesses import library
from freehold.guard.weaknesses.conditions import Conditions
from freehold.guard.weaknesses.functions import THIS, Frame, Functions
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
from freehold.guard.weaknesses.matching import NUMERIC, Matching
from freehold.guard.weaknesses.rules import KINDS, Rules
from freehold.guard.weaknesses.special import Special
from freehold.guard.weaknesses.values import (
    CLEAN,
    CLEAN_VALUE,
    LOCAL,
    UNKNOWN,
    UNSET,
    Constant,
    Value,
    either,
    element,
    joined,
    merged,
    mixed,
)

LIMIT_STEPS = 100_000  # expressions read, and what is kept of them at branches; a file of 4 KB takes some 2,000
_NUMBER = frozenset(("number",))  # the calls that make one of a text
_FALSY: tuple[object, ...] = (False, None, 0, "")
_LOGIC = library.AND | library.OR
_EITHER = library.OR | library.ELSE
_CHOICES = _LOGIC | library.ELSE
_COMPARISONS = library.EQUAL | library.UNEQUAL


class OutOfSteps(Exception):
    """The program takes more work than it gets."""


class Flow:
    """One program, once."""

    def __init__(self, lowering: Lowering, rules: Rules, source: bytes, special: type[Special] = Special) -> None:
        self.rules, self.source = rules, source
        self.this, self.plus_joins = lowering.grammar.this, lowering.grammar.plus_joins
        self.env: dict[str, Value] = {}
        self.globals: dict[str, Value] = {}
        self.imports: dict[str, str] = {}
        self.frames: list[Frame] = [Frame(None)]
        self.left: str | None = None  # how control left the block at hand
        self.steps = self.limit_steps = LIMIT_STEPS
        self.text = source.decode("utf-8", "replace")
        self.matching = Matching(self)
        self.conditions = Conditions(self)
        self.functions = Functions(self, lowering)
        self.special = special(self)

    def run(self, root: Node) -> None:
        """Raises OutOfSteps, and RecursionError."""
        self.value(root)
        self.globals.update(self.env)
        for func in self.functions.unread():
            self.functions.read_alone(func)

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
            known = self.env.get(THIS + node.id) or self.globals.get(node.id)
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
        is_variable = node.id[:1].islower() and node.id not in self.functions.by_name and node.id not in library.PACKAGES
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
            return node.id if node.id in self.env or THIS + node.id not in self.env else THIS + node.id
        if isinstance(node, Member) and isinstance(node.obj, Name):
            return THIS + node.name if node.obj.id in self.this else f"{node.obj.id}.{node.name}"
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
        if op in _LOGIC and left.is_known and (left.const in _FALSY) == (op in library.AND):
            return left
        right = self.value(node.right)
        if op in _CHOICES:
            return either(left, right) if op in _EITHER else right
        if op == "." or (op == "+" and self.plus_joins):
            return joined([left, right])
        if op in _COMPARISONS:
            self.matching.compare_secret(node, left, right)
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
        self.env = self._fork(before)
        self.conditions.assume(node.test, True)
        then = self.value(node.then)
        self.env = self._fork(before)
        self.conditions.assume(node.test, False)
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
                self.matching.set(by.const, by.const, value, item)
        return Value(items=items)

    def cast(self, node: Cast) -> Value:
        of = self.value(node.value)
        kind = library.plain_type(node.type)
        if self.rules.is_number(kind):
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
            given = self.functions.follow(callee, [self.value(arg) for arg in node.args], {})
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
            self.matching.set(key, f"{path}.{key}", value, item[1])
        facts = self.rules.of_call(name, path)
        for rule in facts.calls:
            self.matching.check_call(rule, node, of, args, named)
        if facts.fills:
            self.fill(node, args)
        if facts.exits:
            self.left = "exit"
        if facts.renews:
            self.renew([*args, *named.values(), *(self.value(arg.obj) for arg in node.args if isinstance(arg, Slice))])
        known = self.special.called(node, name, path, of, args)
        return self.result(node, name, path, of, args, named) if known is None else known

    def result(self, node: Call, name: str, path: str, of: Value | None, args: list[Value], named: dict[str, Value]) -> Value:
        facts = self.rules.of_call(name, path)
        if facts.sources:
            default = args[-1].const if name in library.SETTINGS and len(args) > 1 else UNSET
            return Value(max(facts.sources), path=default if isinstance(default, str) else f"{path}()")
        if path in library.MODULES and args and isinstance(args[0].const, str):
            return Value(path=args[0].const.removeprefix("node:"))
        if facts.sanitisers:
            everything = mixed([*args, *named.values(), *([of] if of is not None else [])], f"{path}()")
            kinds = frozenset[str]().union(*facts.sanitisers)
            return everything.made_clean(NUMERIC if kinds == _NUMBER else kinds)
        for rule in facts.cleans:
            if all(self.matching.test(test, args, named, of) for test in rule.when):
                return mixed(args, f"{path}()").made_clean(frozenset(rule.kinds.split()))
        if name in library.REPLACES and library.keeps_words_only(args):
            return mixed([*args, *([of] if of is not None else [])], f"{path}()").made_clean(frozenset(("*",)))
        if name == "settype" and len(node.args) == 2 and args[1].const in library.NUMBER_NAMES:
            self.write(node.args[0], args[0].made_clean(NUMERIC))
        func = self.functions.local_function(node, name, of)
        if func is not None:
            given = self.functions.follow(func, args, named)
            if given is not None:
                return given if given.path else given.named(f"{path}()")
        if node.is_new:
            self.functions.construct(name, args, named)
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
        if facts.copies and (of is None or of.items is None):
            self.copy(node, of, args)
        return known

    def derived(self, name: str, path: str, of: Value | None, args: list[Value], named: dict[str, Value]) -> Value:
        """Of a function that nobody knows: all that went in may come out."""
        parts = [*args, *named.values()]
        if of is not None:
            parts.append(of)
        made = mixed(parts, f"{path}()")
        self.renew([arg for arg in args if arg.path == "make()"])
        if made.level and name not in self.functions.by_name and library.CLEANS.search(name):
            return made.made_clean(frozenset(("*",)))
        return made

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

    # Settings.

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
        if self.rules.is_number(kind):
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
            self.matching.set(target.id, target.id, value, node)
            self.write(target, value)
        elif isinstance(target, Member):
            of = self.value(target.obj)
            self.matching.set(target.name, f"{of.path}.{target.name}", value, node)
            if of.items is not None:
                of.items[target.name] = value
            self.write(target, value)
        elif isinstance(target, Index):
            of, key = self.value(target.obj), self.value(target.key)
            self.special.indexed(target, of, key)
            if isinstance(key.const, str):
                self.matching.set(key.const, f"{of.path}.{key.const}", value, node)
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
        self.env = self._fork(before)
        self.conditions.assume(node.test, True)
        self.value(node.then)
        then_env, then_left = self.env, self._taken_left()
        self.env = self._fork(before)
        self.conditions.assume(node.test, False)
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

    def _fork(self, env: dict[str, Value]) -> dict[str, Value]:
        """What is known, for one of several ways to go on. It is work, as the joining is that follows."""
        self.steps -= len(env) >> 3
        return dict(env)

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
        self.env = self._fork(self.env)
        if node.test is not None:
            self.conditions.assume(node.test, True)
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
            self.env, self.left = self._fork(before), None
            if values is not None and len(values) == 1:
                self.conditions.assume(values[0] if node.subject is None else Binary(0, 0, "==", node.subject, values[0]), True)
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
        before = self._fork(self.env)
        self.value(node.body)
        ends = [] if self.left is not None else [self.env]
        left = self.left
        start = merged(before, self.env)
        for one in node.handlers:
            self.env, self.left = self._fork(start), None
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
            self.matching.report("ignored-error", node, self.rules.file.ignored_errors)
        return self.value(node.body)

    def leave(self, node: Leave) -> Value:
        value = CLEAN_VALUE if node.value is None else self.value(node.value)
        frame = self.frames[-1]
        if node.how == "return":
            frame.returns.append(value)
            if frame.func is not None and frame.func.marks:
                self.matching.set("return", "return", value, node)
        elif node.how in ("break", "continue") and frame.loops:
            frame.loops[-1].append(dict(self.env))
        self.left = node.how
        return value

    def function(self, node: Func) -> Value:
        if len(self.frames) > 1 or not node.name:
            self.functions.closures[id(node)] = self.env
        for mark in node.marks:
            self.value(mark)
        returned = UNSET if node.name else self._read_lambda(node)
        return Value(path=node.name, const=returned)

    def _read_lambda(self, node: Func) -> Constant:
        """Where it is written: who calls it, and with what, is not known. Gives what it always returns."""
        before, left = self.env, self.left
        self.env = self._fork(before)
        for param in node.params:
            self.env[param.name] = self.functions.parameter(param.name, param.type, param.marks, is_handler=False)
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
        self.env = self._fork(before)
        for mark in node.marks:
            self.value(mark)
        self.value(node.body)
        for name, value in self.env.items():
            if before.get(name) is not value:
                self.functions.fields[name if name.startswith(THIS) else THIS + name] = value
        self.env = before
        return CLEAN_VALUE

    def imported(self, node: Import) -> Value:
        for local, path in node.names:
            if (kind := self.rules.imports.get(path)) is not None:
                self.matching.report(kind, node, KINDS[kind].confidence)
            if local not in ("", "*"):
                self.imports[local] = path
        return CLEAN_VALUE

    # What a condition tells.


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
