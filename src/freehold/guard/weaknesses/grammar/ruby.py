"""Ruby."""

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import (
    Assign,
    Block,
    Call,
    Cond,
    Const,
    Func,
    Group,
    If,
    Index,
    Member,
    Name,
    Node,
    Param,
    Try,
    Unary,
)
from freehold.guard.weaknesses.lower import Grammar, Lowering, Shape, child_of, named, rest
from freehold.guard.weaknesses.shapes.calls import arguments
from freehold.guard.weaknesses.shapes.definitions import klass
from freehold.guard.weaknesses.shapes.expressions import binary, cond, listing, member, name, skip, unary
from freehold.guard.weaknesses.shapes.literals import literal, number, string
from freehold.guard.weaknesses.shapes.statements import assign, block, branch, handler, leave, loop, switch


def _params(lo: Lowering, node: Tree | None) -> list[Param]:
    found: list[Param] = []
    for child in [] if node is None else named(node):
        called = child.child_by_field_name("name") or child
        found.append(Param(lo.text(called).strip("*&:"), "", lo.maybe(child.child_by_field_name("value"))))
    return found


def _method(lo: Lowering, node: Tree) -> Node:
    called = lo.text(node.child_by_field_name("name"))
    params = _params(lo, node.child_by_field_name("parameters"))
    made = Func(node.start_byte, node.end_byte, called, params, lo.block(node.child_by_field_name("body")))
    lo.functions.append(made)
    return made


def _call(lo: Lowering, node: Tree) -> Node:
    receiver, method = node.child_by_field_name("receiver"), lo.text(node.child_by_field_name("method"))
    callee: Node = Name(node.start_byte, node.end_byte, method)
    if receiver is not None:
        callee = Member(node.start_byte, node.end_byte, lo.low(receiver), method)
    lo.called.add(method)
    given = node.child_by_field_name("arguments")
    by_place, by_name = arguments(lo, given)
    inside = node.child_by_field_name("block")
    if inside is not None:
        by_place = [*by_place, lo.low(inside)]
    return Call(node.start_byte, node.end_byte, callee, by_place, by_name)


def _block(lo: Lowering, node: Tree) -> Node:
    body = lo.block(node.child_by_field_name("body"))
    return Func(node.start_byte, node.end_byte, "", _params(lo, node.child_by_field_name("parameters")), body)


def _field(lo: Lowering, node: Tree) -> Node:
    this = Name(node.start_byte, node.start_byte, "self")
    return Member(node.start_byte, node.end_byte, this, lo.text(node).lstrip("@"))


def _symbol(lo: Lowering, node: Tree) -> Node:
    return Const(node.start_byte, node.end_byte, lo.text(node).strip(":\"'"))


def _hash(lo: Lowering, node: Tree) -> Node:
    keys: list[Node | None] = []
    items: list[Node] = []
    for child in named(node):
        key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
        keys.append(None if key is None else _symbol(lo, key) if "symbol" in key.type else lo.low(key))
        items.append(lo.low(value or key or child))
    return Group(node.start_byte, node.end_byte, items, keys, is_list=True)


_command, _assign, _rescue = string(("interpolation",), "`"), assign(), handler("exceptions", "body")


def _shell(lo: Lowering, node: Tree) -> Node:
    return Call(node.start_byte, node.end_byte, Name(node.start_byte, node.end_byte, "`"), [_command(lo, node)])


def _modified(kind: str) -> Shape:
    """`body if condition`."""

    def shape(lo: Lowering, node: Tree) -> Node:
        body, test = node.child_by_field_name("body"), node.child_by_field_name("condition")
        if body is None or test is None:
            return rest(lo, node)
        asked = lo.low(test)
        if kind == "unless":
            asked = Unary(asked.at, asked.end, "!", asked)
        return If(node.start_byte, node.end_byte, asked, lo.low(body), None)

    return shape


def _guarded(lo: Lowering, node: Tree) -> Node:
    """A body with its rescues."""
    rescues = [child for child in named(node) if child.type == "rescue"]
    if not rescues:
        return block(lo, node)
    from_body = [lo.low(child) for child in named(node) if child.type not in ("rescue", "else", "ensure")]
    handlers = [_rescue(lo, child) for child in rescues]
    return Try(
        node.start_byte,
        node.end_byte,
        Block(node.start_byte, node.end_byte, from_body),
        handlers,
        lo.maybe(child_of(node, "ensure")),
    )


def _rescued(lo: Lowering, node: Tree) -> Node:
    """`body rescue handler`."""
    body, handler = node.child_by_field_name("body"), node.child_by_field_name("handler")
    at, end = node.start_byte, node.end_byte
    if body is None or handler is None:
        return rest(lo, node)
    return Cond(at, end, Name(at, at, "raised"), lo.low(body), lo.low(handler))


def _index(lo: Lowering, node: Tree) -> Node:
    parts = named(node)
    if len(parts) < 2:
        return rest(lo, node)
    key = parts[1]
    return Index(node.start_byte, node.end_byte, lo.low(parts[0]), _symbol(lo, key) if "symbol" in key.type else lo.low(key))


def _assigned(lo: Lowering, node: Tree) -> Node:
    """`a.b = c`: the target is written as a call."""
    made = _assign(lo, node)
    if isinstance(made, Assign) and isinstance(made.target, Call) and isinstance(made.target.callee, Member):
        made.target = made.target.callee
    return made


SHAPES: dict[str, Shape] = {
    "program": block,
    "then": block,
    "else": block,
    "do": block,
    "ensure": block,
    "body_statement": _guarded,
    "begin": _guarded,
    "block_body": block,
    "identifier": name,
    "constant": name,
    "self": name,
    "instance_variable": _field,
    "class_variable": _field,
    "global_variable": name,
    "scope_resolution": member("scope", "name"),
    "string": string(("interpolation",)),
    "chained_string": rest,
    "heredoc_body": string(("interpolation",)),
    "subshell": _shell,
    "simple_symbol": _symbol,
    "hash_key_symbol": _symbol,
    "regex": string(("interpolation",), "/"),
    "integer": number,
    "float": number,
    "true": literal(True),
    "false": literal(False),
    "nil": literal(None),
    "array": listing,
    "string_array": listing,
    "bare_string": string(),
    "hash": _hash,
    "element_reference": _index,
    "call": _call,
    "block": _block,
    "do_block": _block,
    "lambda": _block,
    "binary": binary(),
    "unary": unary(),
    "conditional": cond("condition", "consequence", "alternative"),
    "assignment": _assigned,
    "operator_assignment": assign(),
    "left_assignment_list": listing,
    "right_assignment_list": listing,
    "if": branch("condition", "consequence", "alternative"),
    "elsif": branch("condition", "consequence", "alternative"),
    "unless": branch("condition", "consequence", "alternative", is_not=True),
    "if_modifier": _modified("if"),
    "unless_modifier": _modified("unless"),
    "rescue_modifier": _rescued,
    "while": loop("", "condition", "", "body"),
    "until": loop("", "", "", "body"),
    "case": switch("value", "", ("when", "else"), "pattern"),
    "method": _method,
    "singleton_method": _method,
    "class": klass(),
    "module": klass(),
    "return": leave("return"),
    "break": leave("break"),
    "next": leave("continue"),
    "superclass": skip,
}
RUBY = Grammar(shapes=SHAPES, params=_params, this=frozenset(("self",)))
