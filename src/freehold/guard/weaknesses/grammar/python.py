"""Python. What does not parse as Python 3 (a print statement) is still read around it."""

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import (
    Assign,
    Binary,
    Block,
    Call,
    Class,
    Cond,
    Func,
    Group,
    Handler,
    Import,
    Index,
    Leave,
    Name,
    Node,
    Param,
    Slice,
)
from freehold.guard.weaknesses.lower import Grammar, Lowering, Shape, named, rest
from freehold.guard.weaknesses.shapes.calls import call
from freehold.guard.weaknesses.shapes.definitions import function, klass
from freehold.guard.weaknesses.shapes.expressions import binary, inner, listing, member, name, skip, unary
from freehold.guard.weaknesses.shapes.literals import joined_strings, literal, number, string
from freehold.guard.weaknesses.shapes.statements import assign, attempt, block, branch, each_loop, leave, loop


def _params(lo: Lowering, node: Tree | None) -> list[Param]:
    found: list[Param] = []
    for child in [] if node is None else named(node):
        kind = child.type
        default = lo.maybe(child.child_by_field_name("value"))
        declared = lo.text(child.child_by_field_name("type"))
        called = child.child_by_field_name("name")
        if kind == "identifier":
            called = child
        elif called is None:  # typed_parameter, list_splat_pattern: the name is the first child
            called = child.named_children[0] if child.named_children else None
        if called is not None and kind != "keyword_separator" and not (not found and lo.text(called) in ("self", "cls")):
            found.append(Param(lo.text(called).lstrip("*"), declared, default))
    return found


def _compared(lo: Lowering, node: Tree) -> Node:
    """`a < b`; of `a < b < c` the first two."""
    sides = named(node)
    if len(sides) < 2:
        return rest(lo, node)
    between = lo.source[sides[0].end_byte : sides[1].start_byte].decode("utf-8", "replace")
    return Binary(node.start_byte, node.end_byte, " ".join(between.split()), lo.low(sides[0]), lo.low(sides[1]))


def _subscript(lo: Lowering, node: Tree) -> Node:
    of, by = node.child_by_field_name("value"), node.child_by_field_name("subscript")
    if of is None or by is None:
        return rest(lo, node)
    if by.type == "slice":
        return Slice(node.start_byte, node.end_byte, lo.low(of), lo.each(by.named_children))
    return Index(node.start_byte, node.end_byte, lo.low(of), lo.low(by))


def _dictionary(lo: Lowering, node: Tree) -> Node:
    keys: list[Node | None] = []
    items: list[Node] = []
    for child in named(node):
        key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
        keys.append(lo.maybe(key))
        items.append(lo.low(value or child))
    return Group(node.start_byte, node.end_byte, items, keys, is_list=True)


def _comprehension(lo: Lowering, node: Tree) -> Node:
    """Its clauses first, as they name what the body uses."""
    body = node.child_by_field_name("body")
    clauses = [lo.low(child) for child in named(node) if body is None or child.id != body.id]
    made = Group(node.start_byte, node.end_byte, [] if body is None else [lo.low(body)])
    return Block(node.start_byte, node.end_byte, [*clauses, made])


def _for_in(lo: Lowering, node: Tree) -> Node:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is None or right is None:
        return rest(lo, node)
    at, end = right.start_byte, right.end_byte
    return Assign(left.start_byte, end, lo.low(left), Index(at, end, lo.low(right), Group(at, end, ())))


def _dotted(lo: Lowering, node: Tree) -> tuple[str, str]:
    """(local name, what it stands for) of `a.b` or `a.b as c`."""
    if node.type == "aliased_import":
        return lo.text(node.child_by_field_name("alias")), lo.text(node.child_by_field_name("name"))
    whole = lo.text(node)
    return whole.split(".")[0], whole.split(".")[0]


def _import(lo: Lowering, node: Tree) -> Node:
    names = [_dotted(lo, child) for child in node.children_by_field_name("name")]
    whole = [("", lo.text(child.child_by_field_name("name") or child)) for child in node.children_by_field_name("name")]
    return Import(node.start_byte, node.end_byte, [*names, *whole])


def _import_from(lo: Lowering, node: Tree) -> Node:
    module = lo.text(node.child_by_field_name("module_name")).lstrip(".")
    prefix = f"{module}." if module else ""
    names = [("", module)]
    for child in node.children_by_field_name("name"):
        if child.type == "aliased_import":
            names.append((lo.text(child.child_by_field_name("alias")), prefix + lo.text(child.child_by_field_name("name"))))
        else:
            names.append((lo.text(child), prefix + lo.text(child)))
    if any(child.type == "wildcard_import" for child in node.named_children):
        names.append(("*", module))
    return Import(node.start_byte, node.end_byte, names)


def _decorated(lo: Lowering, node: Tree) -> Node:
    definition = node.child_by_field_name("definition")
    if definition is None:
        return rest(lo, node)
    made = lo.low(definition)
    marks = [lo.low(child) for child in named(node) if child.type == "decorator"]
    if isinstance(made, Func | Class):
        made.marks = marks
    return made


def _with_item(lo: Lowering, node: Tree) -> Node:
    value = node.child_by_field_name("value") or node
    if value.type != "as_pattern" or len(named(value)) < 2:
        return lo.low(value) if value is not node else rest(lo, node)
    of, target = named(value)[0], value.child_by_field_name("alias") or named(value)[1]
    return Assign(node.start_byte, node.end_byte, rest(lo, target), lo.low(of))


def _handler(lo: Lowering, node: Tree) -> Node:
    inside = named(node)
    body = inside[-1] if inside and inside[-1].type == "block" else None
    catches = lo.text(inside[0]) if inside and inside[0] is not body else ""
    return Handler(node.start_byte, node.end_byte, catches, lo.block(body))


def _raised(lo: Lowering, node: Tree) -> Node:
    return Leave(node.start_byte, node.end_byte, "throw", Group(node.start_byte, node.end_byte, lo.each(node.named_children)))


def _lambda(lo: Lowering, node: Tree) -> Node:
    body = lo.block(node.child_by_field_name("body"))
    params = _params(lo, node.child_by_field_name("parameters"))
    return Func(node.start_byte, node.end_byte, "", params, Leave(body.at, body.end, "return", body))


def _ternary(lo: Lowering, node: Tree) -> Node:
    parts = named(node)
    if len(parts) != 3:
        return rest(lo, node)
    then, test, other = (lo.low(part) for part in parts)
    return Cond(node.start_byte, node.end_byte, test, then, other)


def _statement_call(called: str) -> Shape:
    def shape(lo: Lowering, node: Tree) -> Node:
        return Call(node.start_byte, node.end_byte, Name(node.start_byte, node.end_byte, called), lo.each(node.named_children))

    return shape


SHAPES: dict[str, Shape] = {
    "module": block,
    "block": block,
    "identifier": name,
    "string": string(("interpolation",)),
    "concatenated_string": joined_strings,
    "integer": number,
    "float": number,
    "true": literal(True),
    "false": literal(False),
    "none": literal(None),
    "attribute": member("object", "attribute"),
    "subscript": _subscript,
    "call": call("function", "arguments"),
    "binary_operator": binary(),
    "boolean_operator": binary(joins=""),
    "comparison_operator": _compared,
    "not_operator": unary(value="argument"),
    "unary_operator": unary(value="argument"),
    "conditional_expression": _ternary,
    "list": listing,
    "tuple": listing,
    "set": listing,
    "expression_list": listing,
    "pattern_list": listing,
    "tuple_pattern": listing,
    "dictionary": _dictionary,
    "list_comprehension": _comprehension,
    "set_comprehension": _comprehension,
    "generator_expression": _comprehension,
    "dictionary_comprehension": _comprehension,
    "for_in_clause": _for_in,
    "assignment": assign(),
    "augmented_assignment": assign(),
    "named_expression": assign("name", "value"),
    "lambda": _lambda,
    "import_statement": _import,
    "import_from_statement": _import_from,
    "future_import_statement": skip,
    "decorated_definition": _decorated,
    "function_definition": function(),
    "class_definition": klass(),
    "if_statement": branch("condition", "consequence", "alternative"),
    "elif_clause": branch("condition", "consequence", "alternative"),
    "else_clause": inner("body"),
    "while_statement": loop("", "condition", "", "body"),
    "for_statement": each_loop("left", "right"),
    "with_item": _with_item,
    "with_statement": block,
    "with_clause": block,
    "try_statement": attempt("body", ("except_clause", "except_group_clause"), "kind:finally_clause"),
    "except_clause": _handler,
    "return_statement": leave("return"),
    "raise_statement": _raised,
    "break_statement": leave("break"),
    "continue_statement": leave("continue"),
    "assert_statement": _statement_call("assert"),  # no check: `python -O` leaves it out
    "exec_statement": _statement_call("exec"),
    "pass_statement": skip,
    "global_statement": skip,
    "type": skip,
}

PYTHON = Grammar(shapes=SHAPES, params=_params, this=frozenset(("self", "cls")))
