"""Blocks, assignments, branches, loops, cases, handlers, and ways to leave."""

from collections.abc import Iterable

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import Assign, Block, Group, Handler, If, Index, Leave, Loop, Node, Switch, Try, Unary
from freehold.guard.weaknesses.lower import Lowering, Shape, field, named, rest
from freehold.guard.weaknesses.shapes.definitions import give_name


def block(lo: Lowering, node: Tree) -> Node:
    return Block(node.start_byte, node.end_byte, lo.each(node.named_children))


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


def declaration(type_field: str, declarator: str, name_field: str = "name", value: str = "value") -> Shape:
    """A type once, and names with values after it."""
    type_of = field(type_field)

    def shape(lo: Lowering, node: Tree) -> Node:
        declared = lo.text(type_of(node))
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


def branch(test: str, then: str, other: str, before: str = "", *, is_not: bool = False) -> Shape:
    """`other` may come several times: the second is what the first's "else" is."""
    test_of, then_of, before_of = field(test), field(then), field(before)

    def shape(lo: Lowering, node: Tree) -> Node:
        at, end = node.start_byte, node.end_byte
        asked = test_of(node)
        condition = lo.nothing(node) if asked is None else lo.low(asked)
        if is_not:
            condition = Unary(at, end, "!", condition)
        then_block = lo.block(then_of(node))
        others = [child for child in node.children_by_field_name(other) if "comment" not in child.type]
        otherwise: Node | None = None
        for child in reversed(others):
            made = lo.low(child)
            if isinstance(made, If) and made.other is None and otherwise is not None:
                made.other = otherwise
            otherwise = made
        made_if = If(at, end, condition, then_block, otherwise)
        first = before_of(node)
        return made_if if first is None else Block(at, end, [lo.low(first), made_if])

    return shape


def loop(before: str, test: str, after: str, body: str, *, runs_once: bool = False) -> Shape:
    before_of, test_of, after_of, body_of = field(before), field(test), field(after), field(body)

    def shape(lo: Lowering, node: Tree) -> Node:
        content = lo.block(body_of(node))
        start, asked, step = lo.maybe(before_of(node)), lo.maybe(test_of(node)), lo.maybe(after_of(node))
        return Loop(node.start_byte, node.end_byte, start, asked, content, step, runs_once)

    return shape


def each_loop(target: str, of: str) -> Shape:
    """For each of a collection: the target is one of its items."""
    target_of, many_of, body_of, type_of = field(target), field(of), field("body"), field("type")

    def shape(lo: Lowering, node: Tree) -> Node:
        at, end = node.start_byte, node.end_byte
        one, many = target_of(node), many_of(node)
        content = lo.block(body_of(node))
        if one is None or many is None:
            return Loop(at, end, None, None, content, None)
        item = Index(many.start_byte, many.end_byte, lo.low(many), Group(many.start_byte, many.end_byte, ()))
        taken = Assign(one.start_byte, many.end_byte, lo.low(one), item, "=", lo.text(type_of(node)))
        return Loop(at, end, None, None, Block(at, end, [taken, content]), None)

    return shape


def attempt(body: str, handlers: Iterable[str], last: str, before: str = "") -> Shape:
    kinds = frozenset(handlers)
    body_of, last_of, before_of = field(body), field(last), field(before)

    def shape(lo: Lowering, node: Tree) -> Node:
        first = before_of(node)
        content = lo.block(body_of(node))
        if first is not None:
            content = Block(node.start_byte, node.end_byte, [lo.low(first), content])
        caught = [lo.low(child) for child in named(node) if child.type in kinds]
        return Try(node.start_byte, node.end_byte, content, caught, lo.maybe(last_of(node)))

    return shape


def handler(catches: str, body: str) -> Shape:
    catches_of, body_of = field(catches), field(body)

    def shape(lo: Lowering, node: Tree) -> Node:
        return Handler(node.start_byte, node.end_byte, lo.text(catches_of(node)), lo.block(body_of(node)))

    return shape


def switch(subject: str, body: str, cases: Iterable[str], value: str = "", labels: Iterable[str] = ()) -> Shape:
    """Cases whose bodies are the named children after their values. A case without statements shares those of the next.

    The values are in the field `value`, or inside nodes of the kinds `labels`; one without is the default.
    """
    kinds, labelled = frozenset(cases), frozenset(labels)
    subject_of, body_of = field(subject), field(body)

    def shape(lo: Lowering, node: Tree) -> Node:
        asked = subject_of(node)
        inside = body_of(node) or node
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
