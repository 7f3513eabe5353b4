"""Functions and classes, which the whole file knows once they were met."""

from collections.abc import Iterable

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import Assign, Class, Func, Name, Node
from freehold.guard.weaknesses.lower import Lowering, Shape, field


def function(name_field: str = "name", params: str = "parameters", body: str = "body", marks: Iterable[str] = ()) -> Shape:
    kinds = frozenset(marks)
    name_of, params_of, body_of = field(name_field), field(params), field(body)

    def shape(lo: Lowering, node: Tree) -> Node:
        called_as = lo.text(name_of(node))
        given = lo.grammar.params(lo, params_of(node))
        marked = [lo.low(child) for child in node.named_children if child.type in kinds] if kinds else []
        content = lo.block(body_of(node))
        made = Func(node.start_byte, node.end_byte, called_as, given, content, marked)
        if called_as:
            lo.functions.append(made)
        return made

    return shape


def give_name(lo: Lowering, made: Assign) -> None:
    """A function without a name that is given to a variable has that one."""
    if isinstance(made.value, Func) and not made.value.name and isinstance(made.target, Name):
        made.value.name = made.target.id
        lo.functions.append(made.value)


def klass(marks: Iterable[str] = ()) -> Shape:
    kinds = frozenset(marks)
    name_of, body_of = field("name"), field("body")

    def shape(lo: Lowering, node: Tree) -> Node:
        called_as = lo.text(name_of(node))
        before = len(lo.functions)
        marked = [lo.low(child) for child in node.named_children if child.type in kinds]
        content = lo.block(body_of(node))
        for made in lo.functions[before:]:
            made.owner = made.owner or called_as
        lo.classes.add(called_as)
        return Class(node.start_byte, node.end_byte, called_as, content, marked)

    return shape
