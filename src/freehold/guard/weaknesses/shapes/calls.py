"""Calls with their arguments, by place and by name."""

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import Call, Member, Name, Node
from freehold.guard.weaknesses.lower import Lowering, Shape, field, named
from freehold.guard.weaknesses.shapes.literals import bare

_OF_KEY = frozenset(("keyword_argument", "pair", "assignment_expression", "element_value_pair"))
_MAY_HAVE_NAME = frozenset(("argument", "attribute_argument"))


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
        if kind in _OF_KEY:
            key = child.child_by_field_name("name") or child.child_by_field_name("key") or child.child_by_field_name("left")
            value = child.child_by_field_name("value") or child.child_by_field_name("right")
            if key is not None and value is not None:
                by_name.append((bare(lo.text(key), "\"'").strip(":"), lo.low(value)))
                continue
        elif kind in _MAY_HAVE_NAME:
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
