"""Go."""

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import (
    Assign,
    Block,
    Call,
    Cast,
    Class,
    Const,
    Func,
    Group,
    Import,
    Index,
    Loop,
    Name,
    Node,
    Param,
    Slice,
    Switch,
)
from freehold.guard.weaknesses.lower import Grammar, Lowering, Shape, child_of, named, rest
from freehold.guard.weaknesses.shapes.calls import call
from freehold.guard.weaknesses.shapes.definitions import give_name
from freehold.guard.weaknesses.shapes.expressions import binary, cast, index, listing, member, name, skip, unary
from freehold.guard.weaknesses.shapes.literals import literal, number, string
from freehold.guard.weaknesses.shapes.statements import assign, block, branch, leave, switch


def _params(lo: Lowering, node: Tree | None) -> list[Param]:
    found: list[Param] = []
    for child in [] if node is None else named(node):
        declared = lo.text(child.child_by_field_name("type"))
        found += [Param(lo.text(one), declared) for one in child.children_by_field_name("name")] or [Param("_", declared)]
    return found


def _function(lo: Lowering, node: Tree) -> Node:
    receiver = _params(lo, node.child_by_field_name("receiver"))
    params = _params(lo, node.child_by_field_name("parameters"))
    called = lo.text(node.child_by_field_name("name"))
    made = Func(node.start_byte, node.end_byte, called, params, lo.block(node.child_by_field_name("body")))
    if receiver:
        made.owner = receiver[0].type.lstrip("*")
        made.params = [*params, *receiver]  # bound by nobody: it is what it is declared to be
        lo.classes.add(made.owner)
    if called:
        lo.functions.append(made)
    return made


def _imports(lo: Lowering, node: Tree) -> Node:
    path = lo.text(node.child_by_field_name("path")).strip('"`')
    local = lo.text(node.child_by_field_name("name")) or path.split("/")[-1]
    if local.startswith("v") and local[1:].isdigit() and "/" in path:
        local = path.split("/")[-2]
    return Import(node.start_byte, node.end_byte, [(local, path), ("", path)])


def _specified(lo: Lowering, node: Tree) -> Node:
    """`var a, b T = x, y`."""
    at, end = node.start_byte, node.end_byte
    names: list[Node] = [name(lo, child) for child in node.children_by_field_name("name")]
    declared = lo.text(node.child_by_field_name("type"))
    value = lo.maybe(node.child_by_field_name("value"))
    if isinstance(value, Group) and len(value.items) == 1:
        value = value.items[0]
    target = names[0] if len(names) == 1 else Group(at, end, names, is_list=True)
    return Assign(at, end, target, value, "=", declared)


_assign = assign()


def _assigned(lo: Lowering, node: Tree) -> Node:
    made = _assign(lo, node)
    if isinstance(made, Assign):
        if isinstance(made.target, Group) and len(made.target.items) == 1:
            made.target = made.target.items[0]
        if isinstance(made.value, Group) and len(made.value.items) == 1:
            made.value = made.value.items[0]
        give_name(lo, made)
    return made


def _composite(lo: Lowering, node: Tree) -> Node:
    """`T{...}`: an object with fields, a list, or a map."""
    at, end = node.start_byte, node.end_byte
    declared = lo.text(node.child_by_field_name("type"))
    body = node.child_by_field_name("body")
    return _values(lo, node, declared, body) if body is not None else Group(at, end, ())


def _values(lo: Lowering, node: Tree, declared: str, body: Tree) -> Node:
    keys: list[Node | None] = []
    items: list[Node] = []
    for child in named(body):
        key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
        if child.type == "keyed_element":
            parts = named(child)
            key, value = key or parts[0], value or parts[-1]
        keys.append(None if key is None else _element(lo, key))
        items.append(_element(lo, value or child))
    if declared.startswith(("[", "map[")):
        made = Group(node.start_byte, node.end_byte, items, keys if any(keys) else (), is_list=True)
        return Cast(node.start_byte, node.end_byte, declared, made)
    fields = [(key.id, item) for key, item in zip(keys, items, strict=True) if isinstance(key, Name)]
    places = [item for key, item in zip(keys, items, strict=True) if not isinstance(key, Name)]
    of = Name(node.start_byte, node.start_byte, declared.split("[")[0])
    return Call(node.start_byte, node.end_byte, of, places, fields, is_new=True)


def _element(lo: Lowering, node: Tree) -> Node:
    child = node.named_children[0] if node.type == "literal_element" and node.named_children else node
    return _values(lo, child, "", child) if child.type == "literal_value" else lo.low(child)


def _slice(lo: Lowering, node: Tree) -> Node:
    of = node.child_by_field_name("operand")
    if of is None:
        return rest(lo, node)
    nothing = lo.nothing(node)
    bounds = [lo.maybe(node.child_by_field_name(one)) or nothing for one in ("start", "end", "capacity")]
    return Slice(node.start_byte, node.end_byte, lo.low(of), bounds)


def _for(lo: Lowering, node: Tree) -> Node:
    at, end = node.start_byte, node.end_byte
    content = lo.block(node.child_by_field_name("body"))
    clause = child_of(node, "for_clause")
    if clause is not None:
        before, test, after = (lo.maybe(clause.child_by_field_name(one)) for one in ("initializer", "condition", "update"))
        return Loop(at, end, before, test, content, after)
    ranged = child_of(node, "range_clause")
    if ranged is None:
        asked = [child for child in named(node) if child.type != "block"]
        return Loop(at, end, None, lo.low(asked[0]) if asked else None, content, None)
    left, right = ranged.child_by_field_name("left"), ranged.child_by_field_name("right")
    if left is None or right is None:
        return Loop(at, end, lo.maybe(right), None, content, None)
    many = lo.low(right)
    names = [lo.low(child) for child in named(left)]
    item = Index(right.start_byte, right.end_byte, many, Group(right.start_byte, right.end_byte, ()))
    steps: list[Node] = [Assign(left.start_byte, right.end_byte, one, item) for one in names[1:2]]
    if names:
        counted = Call(right.start_byte, right.end_byte, Name(right.start_byte, right.end_byte, "range"), [many])
        steps.insert(0, Assign(left.start_byte, right.end_byte, names[0], counted))
    return Loop(at, end, many, None, Block(at, end, [*steps, content]), None)


_switch = switch("", "", ("communication_case", "default_case"), "communication")


def _select(lo: Lowering, node: Tree) -> Node:
    made = _switch(lo, node)
    if isinstance(made, Switch):
        bodies = [Block(body.at, body.end, [*(values or ()), body]) for values, body in made.cases]
        return Switch(made.at, made.end, None, [([], body) for body in bodies])
    return made


def _stepped(sign: str) -> Shape:
    def shape(lo: Lowering, node: Tree) -> Node:
        one = Const(node.start_byte, node.end_byte, 1)
        return Assign(node.start_byte, node.end_byte, rest(lo, node), one, sign)

    return shape


def _type(lo: Lowering, node: Tree) -> Node:
    """A struct's fields are of interest to rules about what is written out; others are not."""
    called = lo.text(node.child_by_field_name("name"))
    lo.classes.add(called)
    return Class(node.start_byte, node.end_byte, called, Group(0, 0, ()))


def _run(called: str) -> Shape:
    def shape(lo: Lowering, node: Tree) -> Node:
        return Call(node.start_byte, node.end_byte, Name(node.start_byte, node.end_byte, called), lo.each(node.named_children))

    return shape


def _rune(lo: Lowering, node: Tree) -> Node:
    return Const(node.start_byte, node.end_byte, lo.text(node).strip("'"))


SHAPES: dict[str, Shape] = {
    "source_file": block,
    "block": block,
    "statement_list": block,
    "package_clause": skip,
    "import_spec": _imports,
    "function_declaration": _function,
    "method_declaration": _function,
    "func_literal": _function,
    "var_spec": _specified,
    "const_spec": _specified,
    "short_var_declaration": _assigned,
    "assignment_statement": _assigned,
    "inc_statement": _stepped("+"),
    "dec_statement": _stepped("-"),
    "expression_list": listing,
    "identifier": name,
    "field_identifier": name,
    "type_identifier": name,
    "package_identifier": name,
    "qualified_type": name,
    "pointer_type": name,
    "slice_type": name,
    "array_type": name,
    "map_type": name,
    "selector_expression": member("operand", "field"),
    "index_expression": index("operand", "index"),
    "slice_expression": _slice,
    "call_expression": call("function", "arguments"),
    "type_conversion_expression": cast("type", "operand"),
    "type_assertion_expression": cast("type", "operand"),
    "composite_literal": _composite,
    "binary_expression": binary(),
    "unary_expression": unary(),
    "interpreted_string_literal": string(),
    "raw_string_literal": string(),
    "int_literal": number,
    "float_literal": number,
    "rune_literal": _rune,
    "true": literal(True),
    "false": literal(False),
    "nil": literal(None),
    "if_statement": branch("condition", "consequence", "alternative", "initializer"),
    "for_statement": _for,
    "expression_switch_statement": switch("value", "", ("expression_case", "default_case"), "value"),
    "type_switch_statement": switch("value", "", ("type_case", "default_case"), "type"),
    "select_statement": _select,
    "return_statement": leave("return"),
    "break_statement": leave("break"),
    "continue_statement": leave("continue"),
    "go_statement": _run("go"),
    "defer_statement": _run("defer"),
    "type_spec": _type,
}
GO = Grammar(shapes=SHAPES, params=_params, this=frozenset())
