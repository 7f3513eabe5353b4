"""A syntax tree to the one small form of `ir.py`.

A language is a table: for each kind of node of its grammar a `Shape`, most of them made by the factories here. What is not in
the table becomes a group of its parts. Nesting deeper than `LIMIT_DEPTH` is cut off, and said (`Lowering.is_cut`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import methodcaller

from tree_sitter import Node as Tree

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
    Index,
    Join,
    Leave,
    Loop,
    Member,
    Name,
    Node,
    Param,
    Switch,
    Try,
    Unary,
)

LIMIT_DEPTH = 120  # three calls a level, and Python allows 1,000; code that people read nests some 30

Shape = Callable[["Lowering", Tree], Node]
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """One language. `params` gives a function's parameters; `this` are the names of the object that a method is of."""

    shapes: Mapping[str, Shape]
    params: "Callable[[Lowering, Tree | None], list[Param]]"
    this: frozenset[str] = frozenset(("this",))
    plus_joins: bool = True  # "+" puts text together


def _in_text(text: str) -> Callable[[int, int], str]:
    return lambda at, end: text[at:end]


def _in_bytes(source: bytes) -> Callable[[int, int], str]:
    return lambda at, end: source[at:end].decode("utf-8", "replace")


class Lowering:
    """One pass over one tree. `functions`, `classes` and `called` say what the file has, and calls, by name."""

    __slots__ = (
        "between",
        "called",
        "classes",
        "depth",
        "functions",
        "grammar",
        "is_cut",
        "macros",
        "mentioned",
        "shapes",
        "source",
    )

    def __init__(self, grammar: Grammar, source: bytes) -> None:
        self.grammar, self.source = grammar, source
        # In most code bytes are characters.
        self.between = _in_text(source.decode()) if source.isascii() else _in_bytes(source)
        self.shapes = grammar.shapes
        self.functions: list[Func] = []
        self.classes: set[str] = set()
        self.called: set[str] = set()
        self.mentioned: set[str] = set()  # names that are used in any way: a function may be passed on, to be called by others
        self.macros: dict[str, str] = {}  # names that stand for others
        self.depth = 0
        self.is_cut = False

    def low(self, node: Tree) -> Node:
        if self.depth >= LIMIT_DEPTH:
            self.is_cut = True
            return Group(node.start_byte, node.end_byte, ())
        self.depth += 1
        shape = self.shapes.get(node.type)
        made = shape(self, node) if shape is not None else rest(self, node)
        self.depth -= 1
        return made

    def maybe(self, node: Tree | None) -> Node | None:
        return None if node is None else self.low(node)

    def each(self, nodes: Iterable[Tree]) -> list[Node]:
        """Of named nodes."""
        return [self.low(node) for node in nodes if "comment" not in node.type]

    def block(self, node: Tree | None) -> Node:
        return Block(0, 0, ()) if node is None else self.low(node)

    def text(self, node: Tree | None) -> str:
        if node is None:
            return ""
        return self.between(node.start_byte, node.end_byte)

    def nothing(self, node: Tree) -> Node:
        return Const(node.start_byte, node.end_byte, None)


def named(node: Tree) -> list[Tree]:
    return [child for child in node.named_children if "comment" not in child.type]


def child_of(node: Tree, *kinds: str) -> Tree | None:
    return next((child for child in node.named_children if child.type in kinds), None)


def field(name: str) -> Callable[[Tree], Tree | None]:
    """What gives a field of a node; the first child of a kind, for fields that a grammar does not name: "kind:block"."""
    if not name.startswith("kind:"):
        return methodcaller("child_by_field_name", name)
    kinds = name[5:].split(",")
    return lambda node: child_of(node, *kinds)


def field_of(node: Tree, name: str) -> Tree | None:
    return field(name)(node) if name.startswith("kind:") else node.child_by_field_name(name)


# Shapes of parts.


def rest(lo: Lowering, node: Tree) -> Node:
    children = node.named_children
    if not children:
        return Group(node.start_byte, node.end_byte, ())
    if len(children) == 1:
        return lo.low(children[0])
    return Group(node.start_byte, node.end_byte, lo.each(children))


def skip(lo: Lowering, node: Tree) -> Node:
    return Group(node.start_byte, node.end_byte, ())


def block(lo: Lowering, node: Tree) -> Node:
    return Block(node.start_byte, node.end_byte, lo.each(node.named_children))


def listing(lo: Lowering, node: Tree) -> Node:
    return Group(node.start_byte, node.end_byte, lo.each(node.named_children), is_list=True)


def name(lo: Lowering, node: Tree) -> Node:
    at, end = node.start_byte, node.end_byte
    called_as = lo.between(at, end)
    lo.mentioned.add(called_as)
    return Name(at, end, called_as)


def variable(lo: Lowering, node: Tree) -> Node:
    """A name with a sign before it."""
    return Name(node.start_byte, node.end_byte, lo.text(node).lstrip("$@"))


def number(lo: Lowering, node: Tree) -> Node:
    written = lo.text(node).replace("_", "").replace("'", "")
    return Const(node.start_byte, node.end_byte, number_of(written))


def number_of(written: str) -> int | float | None:
    low = written.lower()
    is_hex = low.startswith("0x")
    trimmed = low.rstrip("ul" if is_hex else "ulfdmnjir")
    if len(trimmed) > 40:
        return None
    try:
        if len(trimmed) > 1 and trimmed[0] == "0" and trimmed.isdigit():
            return int(trimmed, 8)
        return int(trimmed, 0)
    except ValueError:
        try:
            return float(trimmed)
        except ValueError:
            return None


def literal(value: bool | None) -> Shape:
    def shape(lo: Lowering, node: Tree) -> Node:
        return Const(node.start_byte, node.end_byte, value)

    return shape


def truth(lo: Lowering, node: Tree) -> Node:
    return Const(node.start_byte, node.end_byte, lo.text(node).lower() == "true")


def unescaped(written: str) -> str:
    """What an escape of a source text stands for, as far as it matters here."""
    code = written[1:]
    return _ESCAPES.get(code, code)


def string(holes: Iterable[str] = (), quotes: str = "\"'`") -> Shape:
    """A string. Its children are pieces of text, escapes, and holes: what of `holes`, or is not named so, is an expression."""
    kinds = frozenset(holes)

    def shape(lo: Lowering, node: Tree) -> Node:
        at, end = node.start_byte, node.end_byte
        children = node.named_children
        if not children:
            return Const(at, end, bare(lo.between(at, end), quotes))
        if len(children) == 1 and children[0].type not in kinds and "escape" not in children[0].type:
            return Const(at, end, lo.text(children[0]))
        parts: list[Node] = []
        said = ""
        is_template = False
        for child in children:
            kind = child.type
            if kind in kinds:
                is_template = True
                if said:
                    parts.append(Const(child.start_byte, child.start_byte, said))
                    said = ""
                parts.append(rest(lo, child) if child.named_children and kind not in lo.shapes else lo.low(child))
            elif "escape" in kind:
                said += unescaped(lo.text(child))
            elif kind not in ("string_start", "string_end", "interpolation_start", "interpolation_end"):
                said += lo.text(child)
        if not is_template:
            return Const(at, end, said)
        if said:
            parts.append(Const(end, end, said))
        return Join(at, end, parts)

    return shape


def bare(written: str, quotes: str) -> str:
    """A literal without its prefix and quotes."""
    inner = written.lstrip("rRbBuUfFlL8@$")
    if inner[:1] not in (*quotes, '"', "'"):
        return written
    if inner[:3] in ('"""', "'''"):
        return inner[3:-3] if len(inner) >= 6 else ""
    if inner[:1] and inner[0] in quotes:
        return inner[1:-1] if len(inner) >= 2 else ""
    return inner


def joined_strings(lo: Lowering, node: Tree) -> Node:
    """Strings one after the other that count as one."""
    return joined(node.start_byte, node.end_byte, lo.each(node.named_children))


def joined(at: int, end: int, parts: list[Node]) -> Node:
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if isinstance(part, Join) else [part]
    if all(isinstance(part, Const) and isinstance(part.value, str) for part in flat):
        return Const(at, end, "".join(str(part.value) for part in flat if isinstance(part, Const)))
    return Join(at, end, flat)


def member(obj: str, field_name: str) -> Shape:
    object_of, name_of = field(obj), field(field_name)

    def shape(lo: Lowering, node: Tree) -> Node:
        of = object_of(node)
        named_field = lo.text(name_of(node)).lstrip("#:$")
        if of is None:
            return Name(node.start_byte, node.end_byte, named_field)
        return Member(node.start_byte, node.end_byte, lo.low(of), named_field)

    return shape


def index(obj: str, key: str) -> Shape:
    object_of, key_of = field(obj), field(key)

    def shape(lo: Lowering, node: Tree) -> Node:
        of, by = object_of(node), key_of(node)
        if of is None or by is None:
            return rest(lo, node)
        return Index(node.start_byte, node.end_byte, lo.low(of), lo.low(by))

    return shape


def arguments(lo: Lowering, node: Tree | None) -> tuple[list[Node], list[tuple[str, Node]]]:
    """Those by place, and those by name."""
    args: list[Node] = []
    by_name: list[tuple[str, Node]] = []
    if node is None:
        return args, by_name
    if node.type == "template_string":
        return [lo.low(node)], by_name
    for child in named(node):
        kind = child.type
        if kind in ("keyword_argument", "pair", "assignment_expression", "element_value_pair"):
            key = child.child_by_field_name("name") or child.child_by_field_name("key") or child.child_by_field_name("left")
            value = child.child_by_field_name("value") or child.child_by_field_name("right")
            if key is not None and value is not None:
                by_name.append((bare(lo.text(key), "\"'").strip(":"), lo.low(value)))
                continue
        if kind in ("argument", "attribute_argument"):
            key = child.child_by_field_name("name")
            inner = named(child)
            if key is not None and len(inner) > 1:
                by_name.append((lo.text(key).rstrip(":"), lo.low(inner[-1])))
                continue
        args.append(lo.low(child))
    return args, by_name


def call(callee: str, args: str, *, is_new: bool = False) -> Shape:
    callee_of, arguments_of = field(callee), field(args)

    def shape(lo: Lowering, node: Tree) -> Node:
        function = callee_of(node)
        made = Name(node.start_byte, node.end_byte, "") if function is None else lo.low(function)
        return called(lo, node, made, arguments_of(node), is_new=is_new)

    return shape


def called(lo: Lowering, node: Tree, callee: Node, args: Tree | None, *, is_new: bool = False) -> Call:
    by_place, by_name = arguments(lo, args)
    if isinstance(callee, Name):
        lo.called.add(callee.id)
    elif isinstance(callee, Member):
        lo.called.add(callee.name)
    return Call(node.start_byte, node.end_byte, callee, by_place, by_name, is_new)


def method_call(obj: str, field_name: str, args: str) -> Shape:
    """A call whose callee is in two fields."""
    object_of, name_of, arguments_of = field(obj), field(field_name), field(args)

    def shape(lo: Lowering, node: Tree) -> Node:
        of, method = object_of(node), name_of(node)
        callee: Node
        if of is None:
            callee = Name(node.start_byte, node.end_byte, lo.text(method))
        else:
            callee = Member(of.start_byte, method.end_byte if method is not None else node.end_byte, lo.low(of), lo.text(method))
        return called(lo, node, callee, arguments_of(node))

    return shape


def binary(left: str = "left", operator: str = "operator", right: str = "right", joins: str = "+") -> Shape:
    """Sums are flattened, as they lean to the left and may be long."""

    def shape(lo: Lowering, node: Tree) -> Node:
        sign = lo.text(node.child_by_field_name(operator))
        first, second = node.child_by_field_name(left), node.child_by_field_name(right)
        if first is None or second is None:
            return rest(lo, node)
        if sign != joins:
            return Binary(node.start_byte, node.end_byte, sign, lo.low(first), lo.low(second))
        parts = [second]
        while first.type == node.type and lo.text(first.child_by_field_name(operator)) == joins:
            again, more = first.child_by_field_name(left), first.child_by_field_name(right)
            if again is None or more is None:
                break
            parts.append(more)
            first = again
        lowered = [lo.low(part) for part in (first, *reversed(parts))]
        return joined(node.start_byte, node.end_byte, lowered)

    return shape


def unary(operator: str = "operator", value: str = "operand") -> Shape:
    value_of = field(value)

    def shape(lo: Lowering, node: Tree) -> Node:
        of = value_of(node)
        sign = lo.text(node.child_by_field_name(operator)) or lo.text(node.children[0])
        if of is None:
            return rest(lo, node)
        inner = lo.low(of)
        if sign == "-" and isinstance(inner, Const) and isinstance(inner.value, int | float):
            return Const(node.start_byte, node.end_byte, -inner.value)
        return Unary(node.start_byte, node.end_byte, sign, inner)

    return shape


def cond(test: str, then: str, other: str) -> Shape:
    test_of, then_of, other_of = field(test), field(then), field(other)

    def shape(lo: Lowering, node: Tree) -> Node:
        asked, yes, no = test_of(node), then_of(node), other_of(node)
        if asked is None or no is None:
            return rest(lo, node)
        condition = lo.low(asked)
        return Cond(node.start_byte, node.end_byte, condition, condition if yes is None else lo.low(yes), lo.low(no))

    return shape


def cast(type_field: str, value: str) -> Shape:
    type_of, value_of = field(type_field), field(value)

    def shape(lo: Lowering, node: Tree) -> Node:
        of = value_of(node)
        if of is None:
            return rest(lo, node)
        return Cast(node.start_byte, node.end_byte, lo.text(type_of(node)), lo.low(of))

    return shape


def assign(left: str = "left", right: str = "right", operator: str = "operator", type_field: str = "type") -> Shape:
    left_of, right_of, operator_of, type_of = field(left), field(right), field(operator), field(type_field)

    def shape(lo: Lowering, node: Tree) -> Node:
        target = left_of(node)
        if target is None:
            return rest(lo, node)
        sign = lo.text(operator_of(node)).rstrip("=").rstrip(":") or "="
        value = lo.maybe(right_of(node))
        declared = lo.text(type_of(node)).lstrip(": ")
        made = Assign(node.start_byte, node.end_byte, lo.low(target), value, sign, declared)
        give_name(lo, made)
        return made

    return shape


def give_name(lo: Lowering, made: Assign) -> None:
    """A function without a name that is given to a variable has that one."""
    if isinstance(made.value, Func) and not made.value.name and isinstance(made.target, Name):
        made.value.name = made.target.id
        lo.functions.append(made.value)


def declaration(type_field: str, declarator: str, name_field: str = "name", value: str = "value") -> Shape:
    """A type once, and names with values after it."""

    def shape(lo: Lowering, node: Tree) -> Node:
        declared = lo.text(field_of(node, type_field))
        made: list[Node] = []
        for child in named(node):
            if child.type != declarator:
                continue
            target = child.child_by_field_name(name_field)
            if target is not None:
                given = lo.maybe(child.child_by_field_name(value))
                made.append(Assign(child.start_byte, child.end_byte, lo.low(target), given, "=", declared))
        return made[0] if len(made) == 1 else Block(node.start_byte, node.end_byte, made)

    return shape


# Shapes of statements.


def branch(test: str, then: str, other: str, before: str = "", *, is_not: bool = False) -> Shape:
    """`other` may come several times: the second is what the first's "else" is."""

    def shape(lo: Lowering, node: Tree) -> Node:
        at, end = node.start_byte, node.end_byte
        asked = field_of(node, test)
        condition = lo.nothing(node) if asked is None else lo.low(asked)
        if is_not:
            condition = Unary(at, end, "!", condition)
        then_block = lo.block(field_of(node, then))
        others = [child for child in node.children_by_field_name(other) if "comment" not in child.type]
        otherwise: Node | None = None
        for child in reversed(others):
            made = lo.low(child)
            if isinstance(made, If) and made.other is None and otherwise is not None:
                made.other = otherwise
            otherwise = made
        made_if = If(at, end, condition, then_block, otherwise)
        first = field_of(node, before) if before else None
        return made_if if first is None else Block(at, end, [lo.low(first), made_if])

    return shape


def loop(before: str, test: str, after: str, body: str, *, runs_once: bool = False) -> Shape:
    def shape(lo: Lowering, node: Tree) -> Node:
        start, asked, step = (field_of(node, one) if one else None for one in (before, test, after))
        content = lo.block(field_of(node, body))
        return Loop(node.start_byte, node.end_byte, lo.maybe(start), lo.maybe(asked), content, lo.maybe(step), runs_once)

    return shape


def each_loop(target: str, of: str, body: str, type_field: str = "type") -> Shape:
    """For each of a collection: the target is one of its items."""

    def shape(lo: Lowering, node: Tree) -> Node:
        at, end = node.start_byte, node.end_byte
        one, many = field_of(node, target), field_of(node, of)
        content = lo.block(field_of(node, body))
        if one is None or many is None:
            return Loop(at, end, None, None, content, None)
        item = Index(many.start_byte, many.end_byte, lo.low(many), Group(many.start_byte, many.end_byte, ()))
        taken = Assign(one.start_byte, many.end_byte, lo.low(one), item, "=", lo.text(field_of(node, type_field)))
        return Loop(at, end, None, None, Block(at, end, [taken, content]), None)

    return shape


def attempt(body: str, handlers: Iterable[str], last: str, before: str = "") -> Shape:
    kinds = frozenset(handlers)

    def shape(lo: Lowering, node: Tree) -> Node:
        first = field_of(node, before) if before else None
        content = lo.block(field_of(node, body))
        if first is not None:
            content = Block(node.start_byte, node.end_byte, [lo.low(first), content])
        caught = [lo.low(child) for child in named(node) if child.type in kinds]
        final = field_of(node, last)
        return Try(node.start_byte, node.end_byte, content, caught, lo.maybe(final))

    return shape


def handler(catches: str, body: str) -> Shape:
    def shape(lo: Lowering, node: Tree) -> Node:
        return Handler(node.start_byte, node.end_byte, lo.text(field_of(node, catches)), lo.block(field_of(node, body)))

    return shape


def switch(subject: str, body: str, cases: Iterable[str], value: str = "", labels: Iterable[str] = ()) -> Shape:
    """Cases whose bodies are the named children after their values. A case without statements shares those of the next.

    The values are in the field `value`, or inside nodes of the kinds `labels`; one without is the default.
    """
    kinds, labelled = frozenset(cases), frozenset(labels)

    def shape(lo: Lowering, node: Tree) -> Node:
        asked = field_of(node, subject)
        inside = (field_of(node, body) if body else node) or node
        made: list[tuple[list[Node] | None, Node]] = []
        shared: list[Node] = []
        for child in named(inside):
            if child.type not in kinds:
                continue
            labels = [one for one in named(child) if one.type in labelled]
            given = labels or [one for one in child.children_by_field_name(value) if one.is_named]
            ids = {one.id for one in given}
            statements = lo.each(one for one in child.named_children if one.id not in ids)
            tests = [part for label in labels for part in named(label)] if labels else given
            values = [*shared, *(lo.low(one) for one in tests)]
            shared = []
            if not statements and tests:
                shared = values
                continue
            content = Block(child.start_byte, child.end_byte, statements)
            made.append((values if tests else None, content))
        return Switch(node.start_byte, node.end_byte, lo.maybe(asked), made)

    return shape


def leave(how: str) -> Shape:
    def shape(lo: Lowering, node: Tree) -> Node:
        children = named(node)
        value = None if not children else lo.low(children[0]) if len(children) == 1 else Group(0, 0, lo.each(children))
        if isinstance(value, Group) and len(value.items) == 1 and children[0].type == "expression_list":
            value = value.items[0]
        return Leave(node.start_byte, node.end_byte, how, value)

    return shape


def function(name_field: str = "name", params: str = "parameters", body: str = "body", marks: Iterable[str] = ()) -> Shape:
    kinds = frozenset(marks)
    name_of, params_of, body_of = field(name_field), field(params), field(body)

    def shape(lo: Lowering, node: Tree) -> Node:
        called_as = lo.text(name_of(node)) if name_field else ""
        given = lo.grammar.params(lo, params_of(node))
        marked = [lo.low(child) for child in node.named_children if child.type in kinds] if kinds else []
        content = lo.block(body_of(node))
        made = Func(node.start_byte, node.end_byte, called_as, given, content, marked)
        if called_as:
            lo.functions.append(made)
        return made

    return shape


def klass(name_field: str = "name", body: str = "body", marks: Iterable[str] = ()) -> Shape:
    kinds = frozenset(marks)

    def shape(lo: Lowering, node: Tree) -> Node:
        called_as = lo.text(field_of(node, name_field))
        before = len(lo.functions)
        marked = [lo.low(child) for child in node.named_children if child.type in kinds]
        content = lo.block(field_of(node, body))
        for made in lo.functions[before:]:
            made.owner = made.owner or called_as
        lo.classes.add(called_as)
        return Class(node.start_byte, node.end_byte, called_as, content, marked)

    return shape


def inner(kind: str) -> Shape:
    """A node that stands for one of its fields, or its first child of a kind."""

    inner_of = field(kind)

    def shape(lo: Lowering, node: Tree) -> Node:
        of = inner_of(node)
        return rest(lo, node) if of is None else lo.low(of)

    return shape
