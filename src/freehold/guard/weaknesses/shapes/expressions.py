"""Names, fields, items, operators, choices, casts; and nodes that stand for one of their parts, or for nothing."""

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import Binary, Cast, Cond, Const, Group, Index, Member, Name, Node, Unary
from freehold.guard.weaknesses.lower import Lowering, Shape, field, rest
from freehold.guard.weaknesses.shapes.literals import joined


def skip(lo: Lowering, node: Tree) -> Node:
    return Group(node.start_byte, node.end_byte, ())


def inner(kind: str) -> Shape:
    """A node that stands for one of its fields, or its first child of a kind."""

    inner_of = field(kind)

    def shape(lo: Lowering, node: Tree) -> Node:
        of = inner_of(node)
        return rest(lo, node) if of is None else lo.low(of)

    return shape


def listing(lo: Lowering, node: Tree) -> Node:
    return Group(node.start_byte, node.end_byte, lo.each(node.named_children), is_list=True)


def name(lo: Lowering, node: Tree) -> Node:
    at, end = node.start_byte, node.end_byte
    called_as = lo.text(node) if lo.plain is None else lo.plain[at:end]
    lo.mentioned.add(called_as)
    return Name(at, end, called_as)


def variable(lo: Lowering, node: Tree) -> Node:
    """A name with a sign before it."""
    return Name(node.start_byte, node.end_byte, lo.text(node).lstrip("$@"))


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
