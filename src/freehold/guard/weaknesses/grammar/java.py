"""Java."""

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import Assign, Block, Const, Func, Group, Import, Leave, Node, Param
from freehold.guard.weaknesses.lower import Grammar, Lowering, Shape, child_of, named, rest
from freehold.guard.weaknesses.shapes.calls import call, method_call
from freehold.guard.weaknesses.shapes.definitions import function, klass
from freehold.guard.weaknesses.shapes.expressions import binary, cast, cond, index, inner, listing, member, name, skip, unary
from freehold.guard.weaknesses.shapes.literals import literal, number, string
from freehold.guard.weaknesses.shapes.statements import (
    assign,
    attempt,
    block,
    branch,
    declaration,
    each_loop,
    handler,
    leave,
    loop,
    switch,
)


def _params(lo: Lowering, node: Tree | None) -> list[Param]:
    if node is not None and node.type == "identifier":
        return [Param(lo.text(node))]
    found: list[Param] = []
    for child in [] if node is None else named(node):
        called = child.child_by_field_name("name") or child_of(child, "variable_declarator") or child
        found.append(
            Param(lo.text(called), lo.text(child.child_by_field_name("type")), None, lo.text(child_of(child, "modifiers")))
        )
    return found


_call_new, _assign, _function = call("type", "arguments", is_new=True), assign("name", "value"), function("")


def _import(lo: Lowering, node: Tree) -> Node:
    written = named(node)
    path = lo.text(written[0]) if written else ""
    return Import(node.start_byte, node.end_byte, [("", path)])


def _created(lo: Lowering, node: Tree) -> Node:
    """A new object; methods that are written with it come before it."""
    made = _call_new(lo, node)
    body = child_of(node, "class_body")
    return made if body is None else Block(node.start_byte, node.end_byte, [lo.low(body), made])


def _resource(lo: Lowering, node: Tree) -> Node:
    return _assign(lo, node) if node.child_by_field_name("value") is not None else rest(lo, node)


def _lambda(lo: Lowering, node: Tree) -> Node:
    made, body = _function(lo, node), node.child_by_field_name("body")
    if isinstance(made, Func) and body is not None and body.type != "block":
        made.body = Leave(made.body.at, made.body.end, "return", made.body)
    return made


def _reference(lo: Lowering, node: Tree) -> Node:
    return Group(node.start_byte, node.end_byte, ())


def _stepped(lo: Lowering, node: Tree) -> Node:
    from_text = lo.text(node)
    sign = "+" if "++" in from_text else "-"
    return Assign(node.start_byte, node.end_byte, rest(lo, node), Const(node.start_byte, node.end_byte, 1), sign)


SHAPES: dict[str, Shape] = {
    "program": block,
    "block": block,
    "class_body": block,
    "interface_body": block,
    "enum_body": block,
    "constructor_body": block,
    "identifier": name,
    "this": name,
    "super": name,
    "type_identifier": name,
    "scoped_type_identifier": name,
    "generic_type": name,
    "scoped_identifier": member("scope", "name"),
    "string_literal": string(),
    "character_literal": string(),
    "text_block": string(),
    "decimal_integer_literal": number,
    "hex_integer_literal": number,
    "octal_integer_literal": number,
    "decimal_floating_point_literal": number,
    "true": literal(True),
    "false": literal(False),
    "null_literal": literal(None),
    "field_access": member("object", "field"),
    "array_access": index("array", "index"),
    "method_invocation": method_call("object", "name", "arguments"),
    "object_creation_expression": _created,
    "explicit_constructor_invocation": call("constructor", "arguments"),
    "array_initializer": listing,
    "array_creation_expression": inner("value"),
    "binary_expression": binary(),
    "unary_expression": unary(),
    "update_expression": _stepped,
    "ternary_expression": cond("condition", "consequence", "alternative"),
    "cast_expression": cast("type", "value"),
    "assignment_expression": assign(),
    "local_variable_declaration": declaration("type", "variable_declarator"),
    "field_declaration": declaration("type", "variable_declarator"),
    "lambda_expression": _lambda,
    "method_reference": _reference,
    "import_declaration": _import,
    "package_declaration": skip,
    "modifiers": rest,
    "marker_annotation": call("name", "arguments"),
    "annotation": call("name", "arguments"),
    "class_declaration": klass(marks=("modifiers",)),
    "enum_declaration": klass(marks=("modifiers",)),
    "record_declaration": klass(marks=("modifiers",)),
    "interface_declaration": klass(marks=("modifiers",)),
    "method_declaration": function(marks=("modifiers",)),
    "constructor_declaration": function(marks=("modifiers",)),
    "if_statement": branch("condition", "consequence", "alternative"),
    "while_statement": loop("", "condition", "", "body"),
    "do_statement": loop("", "condition", "", "body", runs_once=True),
    "for_statement": loop("init", "condition", "update", "body"),
    "enhanced_for_statement": each_loop("name", "value"),
    "try_statement": attempt("body", ("catch_clause",), "kind:finally_clause"),
    "try_with_resources_statement": attempt("body", ("catch_clause",), "kind:finally_clause", "resources"),
    "resource_specification": block,
    "resource": _resource,
    "catch_clause": handler("kind:catch_formal_parameter", "body"),
    "switch_expression": switch("condition", "body", ("switch_block_statement_group", "switch_rule"), labels=("switch_label",)),
    "switch_statement": switch("condition", "body", ("switch_block_statement_group", "switch_rule"), labels=("switch_label",)),
    "return_statement": leave("return"),
    "throw_statement": leave("throw"),
    "break_statement": leave("break"),
    "continue_statement": leave("continue"),
}
JAVA = Grammar(shapes=SHAPES, params=_params, this=frozenset(("this", "super")))
