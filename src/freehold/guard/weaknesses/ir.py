"""A program as the search for weaknesses sees it: one small form for all languages.

`lower.py` makes it of a syntax tree by the tables of `grammar/` and `shapes/`, `flow.py` walks it by those of `reading/`. What
has no meaning for the search (types' bodies, labels, modifiers) is left out; an expression nobody knows keeps its parts, so that
what flows through it is not lost. `at` and `end` are bytes.
"""

from collections.abc import Sequence

from msgspec import Struct


class Node(Struct, eq=False):
    """Structs are made in a quarter of the time that a class takes."""

    at: int
    end: int


class Const(Node):
    """A literal."""

    value: str | int | float | bool | None


class Name(Node):
    id: str


class Member(Node):
    obj: Node
    name: str


class Index(Node):
    obj: Node
    key: Node


class Slice(Node):
    obj: Node
    bounds: Sequence[Node]


class Call(Node):
    """`is_new`: makes an object; `callee` is then the type's name. `named` are arguments by name, fields of a composite too."""

    callee: Node
    args: Sequence[Node]
    named: Sequence[tuple[str, Node]] = ()
    is_new: bool = False


class Join(Node):
    """Pieces of text put together: a template, or a sum."""

    parts: Sequence[Node]


class Binary(Node):
    op: str
    left: Node
    right: Node


class Unary(Node):
    op: str
    value: Node


class Cond(Node):
    test: Node
    then: Node
    other: Node


class Group(Node):
    """A list, a tuple, a map (`keys` beside `items`), or an expression of no known kind."""

    items: Sequence[Node]
    keys: Sequence[Node | None] = ()
    is_list: bool = False


class Assign(Node):
    """`op` is "=" or that of an augmented one, "+". `type` is the declared one, as it is written."""

    target: Node
    value: Node | None
    op: str = "="
    type: str = ""


class Cast(Node):
    type: str
    value: Node


class Param(Struct, eq=False):
    """`marks` are annotations, as they are written."""

    name: str
    type: str = ""
    default: Node | None = None
    marks: str = ""


class Func(Node):
    """A function, method or lambda. `marks` are its decorators, annotations and modifiers; `owner` the class it is of."""

    name: str
    params: Sequence[Param]
    body: Node
    marks: Sequence[Node] = ()
    owner: str = ""


class Class(Node):
    name: str
    body: Node
    marks: Sequence[Node] = ()


class Block(Node):
    items: Sequence[Node]


class If(Node):
    test: Node
    then: Node
    other: Node | None


class Loop(Node):
    """`before` runs once, then `test`, `body`, `after` again and again. `runs_once`: the body comes before the test."""

    before: Node | None
    test: Node | None
    body: Node
    after: Node | None
    runs_once: bool = False


class Switch(Node):
    """A case's values are None for the default."""

    subject: Node | None
    cases: Sequence[tuple[Sequence[Node] | None, Node]]


class Try(Node):
    body: Node
    handlers: Sequence[Node]
    last: Node | None


class Handler(Node):
    """`catches` is what it names, as it is written."""

    catches: str
    body: Node


class Leave(Node):
    """`how` is "return", "break", "continue" or "throw"."""

    how: str
    value: Node | None


class Import(Node):
    """(local name, what it stands for), each; ("*", module) brings names nobody sees."""

    names: Sequence[tuple[str, str]]
