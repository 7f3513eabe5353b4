"""A syntax tree to the one small form of `ir.py`.

A language is a table in `grammar/`: for each kind of node of its grammar a `Shape`, most of them made by the factories in
`shapes/`. What is not in the table becomes a group of its parts. Nesting deeper than `LIMIT_DEPTH` is cut off, and said
(`Lowering.is_cut`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import methodcaller

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import Block, Const, Func, Group, Node, Param

LIMIT_DEPTH = 120  # three calls a level, and Python allows 1,000; code that people read nests some 30

Shape = Callable[["Lowering", Tree], Node]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """One language. `params` gives a function's parameters; `this` are the names of the object that a method is of."""

    shapes: Mapping[str, Shape]
    params: "Callable[[Lowering, Tree | None], list[Param]]"
    this: frozenset[str] = frozenset(("this",))
    plus_joins: bool = True  # "+" puts text together


class Lowering:
    """One pass over one tree. `functions`, `classes` and `called` say what the file has, and calls, by name."""

    __slots__ = (
        "called",
        "classes",
        "depth",
        "functions",
        "grammar",
        "is_cut",
        "macros",
        "mentioned",
        "plain",
        "shapes",
        "source",
    )

    def __init__(self, grammar: Grammar, source: bytes) -> None:
        self.grammar, self.source = grammar, source
        self.plain = source.decode() if source.isascii() else None  # in most code bytes are characters
        self.shapes = grammar.shapes
        self.functions: list[Func] = []
        self.classes: set[str] = set()
        self.called: set[str] = set()
        self.mentioned: set[str] = set()  # names that are used in any way: a function may be passed on, to be called by others
        self.macros: dict[str, str] = {}  # names that stand for others
        self.depth = 0
        self.is_cut = False

    def low(self, node: Tree) -> Node:
        depth = self.depth
        if depth >= LIMIT_DEPTH:
            self.is_cut = True
            return Group(node.start_byte, node.end_byte, ())
        self.depth = depth + 1
        made = self.shapes.get(node.type, rest)(self, node)
        self.depth = depth
        return made

    def maybe(self, node: Tree | None) -> Node | None:
        return None if node is None else self.low(node)

    def each(self, nodes: Iterable[Tree]) -> list[Node]:
        """Of named nodes."""
        low = self.low
        return [low(node) for node in nodes if not node.is_extra or "comment" not in node.type]

    def block(self, node: Tree | None) -> Node:
        return Block(0, 0, ()) if node is None else self.low(node)

    def text(self, node: Tree | None) -> str:
        if node is None:
            return ""
        at, end = node.start_byte, node.end_byte
        return self.source[at:end].decode("utf-8", "replace") if self.plain is None else self.plain[at:end]

    def nothing(self, node: Tree) -> Node:
        return Const(node.start_byte, node.end_byte, None)


def named(node: Tree) -> list[Tree]:
    """Its named children but comments, which are extra in every grammar: most nodes need not be asked their type."""
    return [child for child in node.named_children if not child.is_extra or "comment" not in child.type]


def child_of(node: Tree, *kinds: str) -> Tree | None:
    return next((child for child in node.named_children if child.type in kinds), None)


def field(name: str) -> Callable[[Tree], Tree | None]:
    """What gives a field of a node, "" none; the first child of a kind, for fields that a grammar does not name: "kind:block"."""
    if not name.startswith("kind:"):
        return methodcaller("child_by_field_name", name)
    kinds = name[5:].split(",")
    return lambda node: child_of(node, *kinds)


def rest(lo: Lowering, node: Tree) -> Node:
    children = node.named_children
    if not children:
        return Group(node.start_byte, node.end_byte, ())
    if len(children) == 1:
        return lo.low(children[0])
    return Group(node.start_byte, node.end_byte, lo.each(children))
