"""C and C++."""

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import Assign, Block, Call, Const, Func, Group, Import, Index, Name, Node, Param
from freehold.guard.weaknesses.lower import Grammar, Lowering, Shape, child_of, named, rest
from freehold.guard.weaknesses.shapes.calls import call
from freehold.guard.weaknesses.shapes.definitions import klass
from freehold.guard.weaknesses.shapes.expressions import binary, cast, cond, inner, listing, member, name, skip, unary
from freehold.guard.weaknesses.shapes.literals import joined_strings, literal, number, number_of, string
from freehold.guard.weaknesses.shapes.statements import assign, attempt, block, branch, each_loop, handler, leave, loop, switch


def _declared(node: Tree | None) -> Tree | None:
    """The name inside pointers, arrays and brackets."""
    while node is not None and node.type not in ("identifier", "field_identifier", "qualified_identifier", "destructor_name"):
        node = node.child_by_field_name("declarator") or (node.named_children[0] if node.named_children else None)
    return node


def _type(lo: Lowering, node: Tree, declarator: Tree | None) -> str:
    """What is declared; of a pointer to a built-in type nothing, as it may be a text."""
    kind = node.child_by_field_name("type")
    is_plain = declarator is None or declarator.type == "identifier"
    is_built_in = kind is not None and kind.type in ("primitive_type", "sized_type_specifier")
    return lo.text(kind) if is_plain or not is_built_in else ""


def _params(lo: Lowering, node: Tree | None) -> list[Param]:
    found: list[Param] = []
    for child in [] if node is None else named(node):
        declarator = child.child_by_field_name("declarator")
        found.append(Param(lo.text(_declared(declarator)), _type(lo, child, declarator)))
    return found


def _function(lo: Lowering, node: Tree) -> Node:
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.type != "function_declarator":
        declarator = declarator.child_by_field_name("declarator")
    called = "" if declarator is None else lo.text(_declared(declarator.child_by_field_name("declarator"))).rpartition("::")[2]
    params = [] if declarator is None else _params(lo, declarator.child_by_field_name("parameters"))
    made = Func(node.start_byte, node.end_byte, called, params, lo.block(node.child_by_field_name("body")))
    if called:
        lo.functions.append(made)
    return made


def _lambda(lo: Lowering, node: Tree) -> Node:
    declarator = node.child_by_field_name("declarator")
    params = [] if declarator is None else _params(lo, declarator.child_by_field_name("parameters"))
    return Func(node.start_byte, node.end_byte, "", params, lo.block(node.child_by_field_name("body")))


def _declaration(lo: Lowering, node: Tree) -> Node:
    made: list[Node] = []
    for child in node.children_by_field_name("declarator"):
        value = child.child_by_field_name("value")
        target = child.child_by_field_name("declarator") if child.type == "init_declarator" else child
        if child.type == "function_declarator":
            value = child.child_by_field_name("parameters")
            if value is None or not _is_call(value):
                continue
        called = _declared(target)
        if called is None:
            continue
        kind = _type(lo, node, target)
        given = None if value is None else _constructed(lo, node, value) or lo.low(value)
        if target is not None and target.type == "array_declarator":
            given = _array(lo, target, given)
        made.append(Assign(child.start_byte, child.end_byte, name(lo, called), given, "=", kind))
    return made[0] if len(made) == 1 else Block(node.start_byte, node.end_byte, made)


def _is_call(params: Tree) -> bool:
    """`T a(b);` inside a function makes an object, though it reads like a declaration."""
    inside = params.parent
    while inside is not None and inside.type != "compound_statement":
        inside = inside.parent
    return (
        inside is not None
        and bool(params.named_children)
        and all(
            child.child_by_field_name("declarator") is None
            and child.child_by_field_name("type") is not None
            and child.named_children[0].type == "type_identifier"
            for child in params.named_children
        )
    )


def _array(lo: Lowering, target: Tree, given: Node | None) -> Node:
    """An array's declaration makes it, as a call would: `array(10, "text")`."""
    size = target.child_by_field_name("size")
    at, end = target.start_byte, target.end_byte
    if size is None:
        return given or Group(at, end, ())
    return Call(at, end, Name(at, end, "array"), [lo.low(size), *([] if given is None else [given])])


def _constructed(lo: Lowering, node: Tree, value: Tree) -> Node | None:
    """`T name(arguments)`."""
    if value.type not in ("argument_list", "parameter_list"):
        return None
    at, end = node.start_byte, node.end_byte
    args: list[Node] = [Name(one.start_byte, one.end_byte, lo.text(one)) for one in named(value)]
    kind = lo.text(node.child_by_field_name("type")).replace("::", ".")
    return Call(at, end, Name(at, end, kind), lo.each(named(value)) if value.type == "argument_list" else args, is_new=True)


_any_cast = cast("type", "value")


def _cast(lo: Lowering, node: Tree) -> Node:
    """To a pointer: it stays what it is."""
    kind, of = node.child_by_field_name("type"), node.child_by_field_name("value")
    if kind is not None and of is not None and child_of(kind, "abstract_pointer_declarator") is not None:
        return lo.low(of)
    return _any_cast(lo, node)


def _qualified(lo: Lowering, node: Tree) -> Node:
    return Name(node.start_byte, node.end_byte, lo.text(node).replace("::", ".").replace(" ", ""))


def _name(lo: Lowering, node: Tree) -> Node:
    made = name(lo, node)
    if lo.macros and isinstance(made, Name):
        made.id = lo.macros.get(made.id, made.id)
    return made


def _include(lo: Lowering, node: Tree) -> Node:
    return Import(node.start_byte, node.end_byte, [("", lo.text(node.child_by_field_name("path")).strip('<>"'))])


def _define(lo: Lowering, node: Tree) -> Node:
    written = lo.text(node.child_by_field_name("value")).strip()
    value: str | int | float | None = None
    if written[:1].isdigit():
        value = number_of(written)
    elif written[:1] == '"' and written[-1:] == '"':
        value = written[1:-1]
    target = name(lo, node.child_by_field_name("name") or node)
    if written.isidentifier():
        lo.macros[lo.text(node.child_by_field_name("name"))] = written
    if value is None:
        return Group(node.start_byte, node.end_byte, ())
    return Assign(node.start_byte, node.end_byte, target, Const(node.start_byte, node.end_byte, value))


def _stepped(lo: Lowering, node: Tree) -> Node:
    of = node.child_by_field_name("argument")
    if of is None:
        return rest(lo, node)
    sign = "+" if "++" in lo.text(node) else "-"
    return Assign(node.start_byte, node.end_byte, lo.low(of), Const(node.start_byte, node.end_byte, 1), sign)


def _sized(lo: Lowering, node: Tree) -> Node:
    """`sizeof x`, as a call."""
    at, end = node.start_byte, node.end_byte
    return Call(at, end, Name(at, end, "sizeof"), lo.each(node.named_children))


def _alternatives(lo: Lowering, node: Tree) -> Node:
    """Both branches of an #if count, one after the other."""
    return Block(node.start_byte, node.end_byte, lo.each(child for child in node.named_children if child.type != "identifier"))


def _deleted(lo: Lowering, node: Tree) -> Node:
    at, end = node.start_byte, node.end_byte
    return Call(at, end, Name(at, end, "delete"), lo.each(node.named_children))


def _subscript(lo: Lowering, node: Tree) -> Node:
    parts = named(node)
    if len(parts) < 2:
        return rest(lo, node)
    return Index(node.start_byte, node.end_byte, lo.low(parts[0]), lo.low(parts[1]))


SHAPES: dict[str, Shape] = {
    "translation_unit": block,
    "compound_statement": block,
    "declaration_list": block,
    "field_declaration_list": block,
    "identifier": _name,
    "this": name,
    "field_identifier": name,
    "type_identifier": name,
    "primitive_type": name,
    "type_descriptor": name,
    "qualified_identifier": _qualified,
    "namespace_identifier": name,
    "template_function": inner("name"),
    "string_literal": string(),
    "raw_string_literal": string(),
    "concatenated_string": joined_strings,
    "char_literal": string(),
    "number_literal": number,
    "true": literal(True),
    "false": literal(False),
    "null": literal(None),
    "field_expression": member("argument", "field"),
    "subscript_expression": _subscript,
    "call_expression": call("function", "arguments"),
    "new_expression": call("type", "arguments", is_new=True),
    "delete_expression": _deleted,
    "binary_expression": binary(),
    "unary_expression": unary(value="argument"),
    "pointer_expression": unary(value="argument"),
    "update_expression": _stepped,
    "conditional_expression": cond("condition", "consequence", "alternative"),
    "cast_expression": _cast,
    "sizeof_expression": _sized,
    "assignment_expression": assign(),
    "initializer_list": listing,
    "declaration": _declaration,
    "field_declaration": _declaration,
    "function_definition": _function,
    "lambda_expression": _lambda,
    "class_specifier": klass(),
    "struct_specifier": klass(),
    "namespace_definition": inner("body"),
    "template_declaration": rest,
    "type_definition": skip,
    "enum_specifier": skip,
    "union_specifier": skip,
    "preproc_include": _include,
    "preproc_def": _define,
    "preproc_ifdef": _alternatives,
    "preproc_if": _alternatives,
    "preproc_else": _alternatives,
    "preproc_elif": _alternatives,
    "preproc_function_def": skip,
    "preproc_call": skip,
    "if_statement": branch("condition", "consequence", "alternative"),
    "else_clause": rest,
    "while_statement": loop("", "condition", "", "body"),
    "do_statement": loop("", "condition", "", "body", runs_once=True),
    "for_statement": loop("initializer", "condition", "update", "body"),
    "for_range_loop": each_loop("declarator", "right"),
    "switch_statement": switch("condition", "body", ("case_statement",), "value"),
    "try_statement": attempt("body", ("catch_clause",), ""),
    "catch_clause": handler("parameters", "body"),
    "return_statement": leave("return"),
    "throw_statement": leave("throw"),
    "break_statement": leave("break"),
    "continue_statement": leave("continue"),
    "goto_statement": skip,
}
C = Grammar(shapes=SHAPES, params=_params)
