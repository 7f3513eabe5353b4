"""The functions of a program: which is called, what it is given, what it gives.

A call of a function of the file is followed with what it is given, `LIMIT_CALLS` deep, and what came of it is remembered for
the next call with the same. Functions that nobody in the file calls are read for themselves: their parameters are `PARAMETER`, or
`REMOTE` where their marks say that a framework fills them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from freehold.guard.weaknesses import library
from freehold.guard.weaknesses.ir import Call, Const, Func, Node, Param
from freehold.guard.weaknesses.lower import Lowering
from freehold.guard.weaknesses.matching import NUMERIC
from freehold.guard.weaknesses.rules import pattern
from freehold.guard.weaknesses.values import CLEAN, CLEAN_VALUE, PARAMETER, REMOTE, Value, either

if TYPE_CHECKING:
    from freehold.guard.weaknesses.flow import Flow

LIMIT_CALLS = 5  # deep; test suites pass a value through five functions, people through two or three
THIS = "this."  # before the names of the fields of the object at hand


@dataclass(slots=True)
class Frame:
    """One function that is being read."""

    func: Func | None
    returns: list[Value] = field(default_factory=list)
    loops: list[list[dict[str, Value]]] = field(default_factory=list)  # what was known where each was left


class Functions:
    """Those of one program."""

    def __init__(self, flow: "Flow", lowering: Lowering) -> None:
        self.flow = flow
        self.by_name: dict[str, list[Func]] = {}
        for func in lowering.functions:
            self.by_name.setdefault(func.name, []).append(func)
        self.all = lowering.functions
        self.classes = lowering.classes
        self._called, self._mentioned = lowering.called, lowering.mentioned
        self.fields: dict[str, Value] = {}  # "this.x", as the class or what was read before leaves it
        self.closures: dict[int, dict[str, Value]] = {}  # by function: what was known where it was written
        self.registered: set[int | str] = set()  # handlers: by what they are, or by name
        self._read: set[int] = set()
        self._returned: dict[tuple[object, ...], Value] = {}

    def unread(self) -> Iterable[Func]:
        """Those that nobody called so far; first those that nobody seems to, as they tell what the others are given."""
        for func in sorted(self.all, key=self._is_reached):
            if id(func) not in self._read:
                yield func

    def _is_reached(self, func: Func) -> int:
        return 2 if func.name in self._called else func.name in self._mentioned

    def read_alone(self, func: Func) -> None:
        """A function that nobody in the file is known to call."""
        is_handler = func.name in self.registered or any(self._is_handler(mark) for mark in func.marks)
        self.flow.env = dict(self.closures.get(id(func), ()))
        self.flow.env.update(self.fields)
        for param in func.params:
            self.flow.env[param.name] = self.parameter(param, is_handler)
            if isinstance(param.default, Const):
                self.flow.matching.check_secret(param.name, Value(const=param.default.value), param.default)
        self.flow.asked, self.flow.origins, self.flow.tests = set(), {}, {}
        self.flow.frames.append(Frame(func))
        self._read.add(id(func))
        self.flow.left = None
        self.flow.value(func.body)
        self.flow.frames.pop()
        self.flow.left = None
        for name, value in self.flow.env.items():
            if name.startswith(THIS):
                known = self.fields.get(name)
                self.fields[name] = value if known is None else either(known, value)

    def _is_handler(self, mark: Node) -> bool:
        callee = mark.callee if isinstance(mark, Call) else mark
        path = self.flow.value(callee).path
        return self.flow.rules.handlers.has(path.rpartition(".")[2], path)

    def parameter(self, param: Param, is_handler: bool) -> Value:
        """Of a function that nobody in the file calls."""
        sources = self.flow.rules.file.sources
        kind = library.plain_type(param.type)
        if kind and self.flow.rules.is_number(kind):
            return Value(CLEAN, path=kind, bounds=library.bounds_of(kind))
        level = REMOTE if is_handler else PARAMETER
        if param.marks and sources.parameters is not None and pattern(sources.parameters).search(param.marks):
            level = REMOTE
        path = self.flow.type_path(kind)
        if kind and self.flow.rules.sources.by_name and (found := self.flow.rules.sources.find(kind.rpartition(".")[2], kind)):
            level = max(found)
        elif level == REMOTE and sources.provided is not None:
            default = f"{library.name_of(param.default)}(" if isinstance(param.default, Call) else ""
            if pattern(sources.provided).search(f"{param.type} {default}"):
                level = CLEAN
        return Value(level, path=path or param.name)

    def follow(self, func: Func, args: Sequence[Value], named: dict[str, Value]) -> Value | None:
        """What a function of the file gives for these arguments; None where it is not followed."""
        is_too_deep = len(self.flow.frames) > LIMIT_CALLS or any(frame.func is func for frame in self.flow.frames)
        if is_too_deep or self.flow.steps < self.flow.limit_steps // 2:  # the other half is for reading each function once
            return None
        key = (id(func), *((v.level, v.clean, _simple(v), v.path) for v in args), *sorted(named), self._state())
        if key in self._returned:
            return self._returned[key]
        self._read.add(id(func))
        env_before = self.flow.env
        told_before = self.flow.asked, self.flow.origins, self.flow.tests
        self.flow.asked, self.flow.origins, self.flow.tests = set(), {}, {}
        self.flow.env = {name: value for name, value in env_before.items() if name.startswith(THIS)}
        if id(func) in self.closures:
            self.flow.env.update(self.closures[id(func)])
        for place, param in enumerate(func.params):
            self.flow.env[param.name] = self._bound(param, place, args, named)
        frame = Frame(func)
        self.flow.frames.append(frame)
        left_before, self.flow.left = self.flow.left, None
        self.flow.value(func.body)
        self.flow.frames.pop()
        self.flow.left = left_before
        for name, value in self.flow.env.items():
            if name.startswith(THIS):
                env_before[name] = value
        self.flow.env = env_before
        self.flow.asked, self.flow.origins, self.flow.tests = told_before
        result = frame.returns[0] if frame.returns else CLEAN_VALUE
        for other in frame.returns[1:]:
            result = either(result, other)
        self._returned[key] = result
        return result

    def _state(self) -> object:
        return tuple(sorted((name, v.level) for name, v in self.flow.env.items() if v.level and name.startswith(THIS)))

    def _bound(self, param: Param, place: int, args: Sequence[Value], named: dict[str, Value]) -> Value:
        if param.name in named:
            return named[param.name]
        if place < len(args):
            given = args[place]
            kind = library.plain_type(param.type)
            if kind and self.flow.rules.is_number(kind):
                return Value(given.level, given.clean | NUMERIC, given.const, kind, None, given.bounds or library.bounds_of(kind))
            return given if given.path or not kind else given.named(self.flow.type_path(kind))
        if param.default is not None:
            return self.flow.value(param.default)
        return Value(path=self.flow.type_path(library.plain_type(param.type)) or param.name)

    def construct(self, name: str, args: list[Value], named: dict[str, Value]) -> None:
        """Of a class of the file: what its constructor leaves in its fields."""
        if name not in self.classes:
            return
        for called in (name, *library.CONSTRUCTORS):
            for func in self.by_name.get(called, ()):
                if func.owner == name:
                    self.follow(func, args, named)
                    return

    def local_function(self, node: Call, name: str, of: Value | None) -> Func | None:
        candidates = self.by_name.get(name)
        if not candidates:
            return None
        if of is not None:
            path = of.path.rstrip("()")
            if path not in self.flow.this and path.rpartition(".")[2] not in self.classes:
                return None
            owned = [func for func in candidates if func.owner == path.rpartition(".")[2]]
            candidates = owned or candidates
        if len(candidates) > 1:
            frame = self.flow.frames[-1].func
            same = [func for func in candidates if frame is not None and func.owner == frame.owner]
            candidates = same or candidates
            fitting = [func for func in candidates if len(func.params) == len(node.args) + len(node.named)]
            candidates = fitting or candidates
        return candidates[0]


def _simple(value: Value) -> object:
    if value.items is not None:
        return tuple((str(key), item.level) for key, item in value.items.items())
    return value.const if not isinstance(value.const, str) or len(value.const) < 200 else id(value)
