"""PHP, with the HTML around it."""

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import (
    Assign,
    Block,
    Call,
    Const,
    Func,
    Group,
    Import,
    Index,
    Leave,
    Loop,
    Member,
    Name,
    Node,
    Param,
)
from freehold.guard.weaknesses.lower import Grammar, Lowering, Shape, child_of, named, rest
from freehold.guard.weaknesses.shapes.calls import called, method_call
from freehold.guard.weaknesses.shapes.definitions import function, klass
from freehold.guard.weaknesses.shapes.expressions import binary, cast, cond, member, name, skip, unary, variable
from freehold.guard.weaknesses.shapes.literals import literal, number, string
from freehold.guard.weaknesses.shapes.statements import assign, attempt, block, branch, handler, leave, loop, switch


def _params(lo: Lowering, node: Tree | None) -> list[Param]:
    found: list[Param] = []
    for child in [] if node is None else named(node):
        target = child.child_by_field_name("name")
        default = lo.maybe(child.child_by_field_name("default_value"))
        found.append(Param(lo.text(target).lstrip("$"), lo.text(child.child_by_field_name("type")), default))
    return found


def _new(lo: Lowering, node: Tree) -> Node:
    kind = child_of(node, "name", "qualified_name", "variable_name")
    callee = Name(node.start_byte, node.end_byte, lo.text(kind).lstrip("\\$").replace("\\", "."))
    return called(lo, node, callee, child_of(node, "arguments"), is_new=True)


def _function_call(lo: Lowering, node: Tree) -> Node:
    function_node = node.child_by_field_name("function")
    if function_node is None:
        return rest(lo, node)
    if function_node.type in ("name", "qualified_name"):
        written = lo.text(function_node).lstrip("\\").replace("\\", ".")
        callee: Node = Name(function_node.start_byte, function_node.end_byte, written.lower() if "." not in written else written)
        lo.called.add(written)
    else:
        callee = lo.low(function_node)
    return called(lo, node, callee, node.child_by_field_name("arguments"))


def _say(called_as: str) -> Shape:
    """A statement that is a call of what it is given."""

    def shape(lo: Lowering, node: Tree) -> Node:
        callee = Name(node.start_byte, node.end_byte, called_as)
        return Call(node.start_byte, node.end_byte, callee, lo.each(node.named_children))

    return shape


_command = string(("variable_name", "member_access_expression", "subscript_expression", "dynamic_variable_name"))


def _shell(lo: Lowering, node: Tree) -> Node:
    return Call(node.start_byte, node.end_byte, Name(node.start_byte, node.end_byte, "shell_exec"), [_command(lo, node)])


def _subscript(lo: Lowering, node: Tree) -> Node:
    parts = named(node)
    if not parts:
        return rest(lo, node)
    key = lo.low(parts[1]) if len(parts) > 1 else Group(node.end_byte, node.end_byte, ())
    if isinstance(key, Name) and parts[1].type == "name":  # "$a[key]" inside a text
        key = Const(key.at, key.end, key.id)
    return Index(node.start_byte, node.end_byte, lo.low(parts[0]), key)


def _array(lo: Lowering, node: Tree) -> Node:
    keys: list[Node | None] = []
    items: list[Node] = []
    for child in named(node):
        parts = named(child) if child.type == "array_element_initializer" else [child]
        keys.append(lo.low(parts[0]) if len(parts) > 1 else Const(child.start_byte, child.end_byte, len(items)))
        items.append(lo.low(parts[-1]) if parts else lo.nothing(child))
    return Group(node.start_byte, node.end_byte, items, keys, is_list=True)


def _foreach(lo: Lowering, node: Tree) -> Node:
    at, end = node.start_byte, node.end_byte
    body = node.child_by_field_name("body")
    parts = [child for child in named(node) if body is None or child.id != body.id]
    content = lo.block(body)
    if len(parts) < 2:
        return Loop(at, end, None, None, content, None)
    many = lo.low(parts[0])
    targets = named(parts[1]) if parts[1].type == "pair" else [parts[1]]
    item = Index(many.at, many.end, many, Group(many.at, many.end, ()))
    steps: list[Node] = [Assign(target.start_byte, many.end, lo.low(target), item) for target in targets]
    return Loop(at, end, None, None, Block(at, end, [*steps, content]), None)


def _html(lo: Lowering, node: Tree) -> Node:
    return Group(node.start_byte, node.end_byte, ())


def _program(lo: Lowering, node: Tree) -> Node:
    """`<?= x ?>` says x."""
    made: list[Node] = []
    says = False
    for child in named(node):
        lowered = lo.low(child)
        if says and child.type == "expression_statement":
            callee = Name(child.start_byte, child.end_byte, "echo")
            lowered = Call(child.start_byte, child.end_byte, callee, [lowered])
        made.append(lowered)
        says = child.type == "php_tag" and lo.text(child) == "<?="
        if child.type == "text_interpolation":
            says = any(one.type == "php_tag" and lo.text(one) == "<?=" for one in child.named_children)
    return Block(node.start_byte, node.end_byte, made)


def _use(lo: Lowering, node: Tree) -> Node:
    names: list[tuple[str, str]] = []
    for child in named(node):
        path = lo.text(child).replace("\\", ".").split(" as ")
        names.append((path[-1].rpartition(".")[2], path[0]))
    return Import(node.start_byte, node.end_byte, names)


def _arrow(lo: Lowering, node: Tree) -> Node:
    body = lo.block(node.child_by_field_name("body"))
    params = _params(lo, node.child_by_field_name("parameters"))
    return Func(node.start_byte, node.end_byte, "", params, Leave(body.at, body.end, "return", body))


def _exit(lo: Lowering, node: Tree) -> Node:
    said = lo.each(node.named_children)
    echo = Call(node.start_byte, node.end_byte, Name(node.start_byte, node.end_byte, "echo"), said)
    return Leave(node.start_byte, node.end_byte, "exit", echo if said else None)


def _static(lo: Lowering, node: Tree) -> Node:
    of, called_as = node.child_by_field_name("scope"), node.child_by_field_name("name")
    if of is None:
        return rest(lo, node)
    written = lo.text(of).lstrip("\\").replace("\\", ".")
    callee = Member(node.start_byte, node.end_byte, Name(of.start_byte, of.end_byte, written), lo.text(called_as))
    return called(lo, node, callee, node.child_by_field_name("arguments"))


_HOLES = (
    "variable_name",
    "member_access_expression",
    "subscript_expression",
    "dynamic_variable_name",
    "function_call_expression",
    "member_call_expression",
    "nullsafe_member_access_expression",
)
SHAPES: dict[str, Shape] = {
    "program": _program,
    "compound_statement": _program,
    "text_interpolation": skip,
    "colon_block": block,
    "declaration_list": block,
    "php_tag": skip,
    "text": _html,
    "name": name,
    "qualified_name": name,
    "variable_name": variable,
    "string": string(),
    "encapsed_string": string(_HOLES),
    "heredoc": rest,
    "heredoc_body": string(_HOLES),
    "nowdoc": rest,
    "nowdoc_body": string(),
    "shell_command_expression": _shell,
    "integer": number,
    "float": number,
    "boolean": lambda lo, node: Const(node.start_byte, node.end_byte, lo.text(node).lower() == "true"),
    "null": literal(None),
    "member_access_expression": member("object", "name"),
    "nullsafe_member_access_expression": member("object", "name"),
    "scoped_property_access_expression": member("scope", "name"),
    "class_constant_access_expression": lambda lo, node: Name(node.start_byte, node.end_byte, lo.text(node).replace("::", ".")),
    "subscript_expression": _subscript,
    "function_call_expression": _function_call,
    "member_call_expression": method_call("object", "name", "arguments"),
    "nullsafe_member_call_expression": method_call("object", "name", "arguments"),
    "scoped_call_expression": _static,
    "object_creation_expression": _new,
    "binary_expression": binary(joins="."),
    "unary_op_expression": unary(value="argument"),
    "cast_expression": cast("type", "value"),
    "conditional_expression": cond("condition", "body", "alternative"),
    "assignment_expression": assign(),
    "reference_assignment_expression": assign(),
    "augmented_assignment_expression": assign(),
    "property_declaration": block,
    "property_element": assign("name", "default_value"),
    "const_declaration": block,
    "const_element": lambda lo, node: Assign(node.start_byte, node.end_byte, lo.low(named(node)[0]), lo.low(named(node)[-1])),
    "array_creation_expression": _array,
    "list_literal": rest,
    "echo_statement": _say("echo"),
    "print_intrinsic": _say("print"),
    "include_expression": _say("include"),
    "include_once_expression": _say("include"),
    "require_expression": _say("include"),
    "require_once_expression": _say("include"),
    "exit_statement": _exit,
    "namespace_use_declaration": _use,
    "namespace_definition": block,
    "function_definition": function(),
    "method_declaration": function(marks=("attribute_list",)),
    "anonymous_function": function(""),
    "anonymous_function_creation_expression": function(""),
    "arrow_function": _arrow,
    "class_declaration": klass(),
    "trait_declaration": klass(),
    "if_statement": branch("condition", "body", "alternative"),
    "else_if_clause": branch("condition", "body", "alternative"),
    "else_clause": block,
    "while_statement": loop("", "condition", "", "body"),
    "do_statement": loop("", "condition", "", "body", runs_once=True),
    "for_statement": loop("initialize", "condition", "update", "body"),
    "foreach_statement": _foreach,
    "try_statement": attempt("body", ("catch_clause",), "kind:finally_clause"),
    "catch_clause": handler("type", "body"),
    "switch_statement": switch("condition", "body", ("case_statement", "default_statement"), "value"),
    "return_statement": leave("return"),
    "throw_expression": leave("throw"),
    "break_statement": leave("break"),
    "continue_statement": leave("continue"),
    "attribute_list": rest,
}
PHP = Grammar(shapes=SHAPES, params=_params, this=frozenset(("this", "self", "static", "parent")), plus_joins=False)
