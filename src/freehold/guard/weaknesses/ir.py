"""A program as the search for weaknesses sees it: one small form for all languages.

`lower.py` makes it of a syntax tree by the tables of `grammar/` and `shapes/`, `flow.py` walks it by those of `reading/`. What
has no meaning for the search (types' bodies, labels, modifiers) is left out; an expression nobody knows keeps its parts, so that
what flows through it is not lost. `at` and `end` are bytes.
"""

from collections.abc import Sequence


class Node:
    __slots__ = ("at", "end")

    def __init__(self, at: int, end: int) -> None:
        self.at, self.end = at, end


class Const(Node):
    """A literal. `value` is str, int, float, bool or None."""

    __slots__ = ("value",)

    def __init__(self, at: int, end: int, value: "str | int | float | bool | None") -> None:
        self.at, self.end, self.value = at, end, value


class Name(Node):
    __slots__ = ("id",)

    def __init__(self, at: int, end: int, id: str) -> None:  # noqa: A002 - the field's word
        self.at, self.end, self.id = at, end, id


class Member(Node):
    __slots__ = ("name", "obj")

    def __init__(self, at: int, end: int, obj: Node, name: str) -> None:
        self.at, self.end, self.obj, self.name = at, end, obj, name


class Index(Node):
    __slots__ = ("key", "obj")

    def __init__(self, at: int, end: int, obj: Node, key: Node) -> None:
        self.at, self.end, self.obj, self.key = at, end, obj, key


class Slice(Node):
    __slots__ = ("bounds", "obj")

    def __init__(self, at: int, end: int, obj: Node, bounds: "Sequence[Node]") -> None:
        self.at, self.end, self.obj, self.bounds = at, end, obj, bounds


class Call(Node):
    """`is_new`: makes an object; `callee` is then the type's name. `named` are arguments by name, fields of a composite too."""

    __slots__ = ("args", "callee", "is_new", "named")

    def __init__(
        self,
        at: int,
        end: int,
        callee: Node,
        args: "Sequence[Node]",
        named: "Sequence[tuple[str, Node]]" = (),
        is_new: bool = False,
    ) -> None:
        self.at, self.end, self.callee, self.args, self.named, self.is_new = at, end, callee, args, named, is_new


class Join(Node):
    """Pieces of text put together: a template, or a sum."""

    __slots__ = ("parts",)

    def __init__(self, at: int, end: int, parts: "Sequence[Node]") -> None:
        self.at, self.end, self.parts = at, end, parts


class Binary(Node):
    __slots__ = ("left", "op", "right")

    def __init__(self, at: int, end: int, op: str, left: Node, right: Node) -> None:
        self.at, self.end, self.op, self.left, self.right = at, end, op, left, right


class Unary(Node):
    __slots__ = ("op", "value")

    def __init__(self, at: int, end: int, op: str, value: Node) -> None:
        self.at, self.end, self.op, self.value = at, end, op, value


class Cond(Node):
    __slots__ = ("other", "test", "then")

    def __init__(self, at: int, end: int, test: Node, then: Node, other: Node) -> None:
        self.at, self.end, self.test, self.then, self.other = at, end, test, then, other


class Group(Node):
    """A list, a tuple, a map (`keys` beside `items`), or an expression of no known kind."""

    __slots__ = ("is_list", "items", "keys")

    def __init__(
        self, at: int, end: int, items: "Sequence[Node]", keys: "Sequence[Node | None]" = (), is_list: bool = False
    ) -> None:
        self.at, self.end, self.items, self.keys, self.is_list = at, end, items, keys, is_list


class Assign(Node):
    """`op` is "=" or that of an augmented one, "+". `type` is the declared one, as it is written."""

    __slots__ = ("op", "target", "type", "value")

    def __init__(self, at: int, end: int, target: Node, value: "Node | None", op: str = "=", type: str = "") -> None:  # noqa: A002
        self.at, self.end, self.target, self.value, self.op, self.type = at, end, target, value, op, type


class Cast(Node):
    __slots__ = ("type", "value")

    def __init__(self, at: int, end: int, type: str, value: Node) -> None:  # noqa: A002
        self.at, self.end, self.type, self.value = at, end, type, value


class Param:
    """`marks` are annotations, as they are written."""

    __slots__ = ("default", "marks", "name", "type")

    def __init__(self, name: str, type: str = "", default: "Node | None" = None, marks: str = "") -> None:  # noqa: A002
        self.name, self.type, self.default, self.marks = name, type, default, marks


class Func(Node):
    """A function, method or lambda. `marks` are its decorators, annotations and modifiers; `owner` the class it is of."""

    __slots__ = ("body", "marks", "name", "owner", "params")

    def __init__(self, at: int, end: int, name: str, params: "Sequence[Param]", body: Node, marks: "Sequence[Node]" = ()) -> None:
        self.at, self.end, self.name, self.params, self.body, self.marks = at, end, name, params, body, marks
        self.owner = ""


class Class(Node):
    __slots__ = ("body", "marks", "name")

    def __init__(self, at: int, end: int, name: str, body: Node, marks: "Sequence[Node]" = ()) -> None:
        self.at, self.end, self.name, self.body, self.marks = at, end, name, body, marks


class Block(Node):
    __slots__ = ("items",)

    def __init__(self, at: int, end: int, items: "Sequence[Node]") -> None:
        self.at, self.end, self.items = at, end, items


class If(Node):
    __slots__ = ("other", "test", "then")

    def __init__(self, at: int, end: int, test: Node, then: Node, other: "Node | None") -> None:
        self.at, self.end, self.test, self.then, self.other = at, end, test, then, other


class Loop(Node):
    """`before` runs once, then `test`, `body`, `after` again and again. `runs_once`: the body comes before the test."""

    __slots__ = ("after", "before", "body", "runs_once", "test")

    def __init__(
        self,
        at: int,
        end: int,
        before: "Node | None",
        test: "Node | None",
        body: Node,
        after: "Node | None",
        runs_once: bool = False,
    ) -> None:
        self.at, self.end, self.before, self.test, self.body, self.after = at, end, before, test, body, after
        self.runs_once = runs_once


class Switch(Node):
    """A case's values are None for the default."""

    __slots__ = ("cases", "subject")

    def __init__(self, at: int, end: int, subject: "Node | None", cases: "Sequence[tuple[Sequence[Node] | None, Node]]") -> None:
        self.at, self.end, self.subject, self.cases = at, end, subject, cases


class Try(Node):
    __slots__ = ("body", "handlers", "last")

    def __init__(self, at: int, end: int, body: Node, handlers: "Sequence[Node]", last: "Node | None") -> None:
        self.at, self.end, self.body, self.handlers, self.last = at, end, body, handlers, last


class Handler(Node):
    """`catches` is what it names, as it is written."""

    __slots__ = ("body", "catches")

    def __init__(self, at: int, end: int, catches: str, body: Node) -> None:
        self.at, self.end, self.catches, self.body = at, end, catches, body


class Leave(Node):
    """`how` is "return", "break", "continue" or "throw"."""

    __slots__ = ("how", "value")

    def __init__(self, at: int, end: int, how: str, value: "Node | None") -> None:
        self.at, self.end, self.how, self.value = at, end, how, value


class Import(Node):
    """(local name, what it stands for), each; ("*", module) brings names nobody sees."""

    __slots__ = ("names",)

    def __init__(self, at: int, end: int, names: "Sequence[tuple[str, str]]") -> None:
        self.at, self.end, self.names = at, end, names
