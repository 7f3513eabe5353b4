"""C#."""

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import Assign, Block, Call, Const, Func, Group, Import, Leave, Member, Name, Node, Param
from freehold.guard.weaknesses.lower import Grammar, Lowering, Shape, child_of, named, rest
from freehold.guard.weaknesses.shapes.calls import call, called
from freehold.guard.weaknesses.shapes.definitions import function, klass
from freehold.guard.weaknesses.shapes.expressions import binary, cast, cond, index, listing, member, name, skip, unary
from freehold.guard.weaknesses.shapes.literals import literal, number, string, truth
from freehold.guard.weaknesses.shapes.statements import assign, attempt, block, branch, each_loop, handler, leave, loop, switch


def _params(lo: Lowering, node: Tree | None) -> list[Param]:
    if node is not None and node.type in ("identifier", "implicit_parameter"):
        return [Param(lo.text(node))]
    found: list[Param] = []
    for child in [] if node is None else named(node):
        called_as = child.child_by_field_name("name") or child
        marks = lo.text(child_of(child, "attribute_list"))
        found.append(Param(lo.text(called_as), lo.text(child.child_by_field_name("type")), None, marks))
    return found


def _declared(lo: Lowering, node: Tree) -> Node:
    declared = lo.text(node.child_by_field_name("type"))
    made: list[Node] = []
    for child in named(node):
        if child.type != "variable_declarator":
            continue
        parts = named(child)
        target = child.child_by_field_name("name") or (parts[0] if parts else None)
        if target is None:
            continue
        given = [part for part in parts if part.id != target.id and part.type != "bracketed_argument_list"]
        value = lo.low(given[-1]) if given else None
        made.append(Assign(child.start_byte, child.end_byte, lo.low(target), value, "=", declared))
    return made[0] if len(made) == 1 else Block(node.start_byte, node.end_byte, made)


def _new(lo: Lowering, node: Tree) -> Node:
    kind = lo.text(node.child_by_field_name("type"))
    made = called(lo, node, Name(node.start_byte, node.end_byte, kind), node.child_by_field_name("arguments"), is_new=True)
    setup = node.child_by_field_name("initializer")
    fields: list[tuple[str, Node]] = list(made.named)
    others: list[Node] = list(made.args)
    for child in [] if setup is None else named(setup):
        left, right = child.child_by_field_name("left"), child.child_by_field_name("right")
        if child.type == "assignment_expression" and left is not None and right is not None and left.type == "identifier":
            fields.append((lo.text(left), lo.low(right)))
        else:
            others.append(lo.low(child))
    return Call(made.at, made.end, made.callee, others, fields, is_new=True)


def _hole(lo: Lowering, node: Tree) -> Node:
    parts = [part for part in named(node) if part.type != "interpolation_brace"]
    return lo.low(parts[0]) if parts else Group(node.start_byte, node.end_byte, ())


_function = function(marks=("attribute_list",))


def _method(lo: Lowering, node: Tree) -> Node:
    made = _function(lo, node)
    if isinstance(made, Func) and not isinstance(made.body, Block):
        made.body = Leave(made.body.at, made.body.end, "return", made.body)
    return made


def _lambda(lo: Lowering, node: Tree) -> Node:
    body = node.child_by_field_name("body")
    content = lo.block(body)
    if body is not None and body.type != "block":
        content = Leave(content.at, content.end, "return", content)
    return Func(node.start_byte, node.end_byte, "", _params(lo, node.child_by_field_name("parameters")), content)


_of = member("expression", "name")


def _member(lo: Lowering, node: Tree) -> Node:
    """`a.B<T>` goes by the name of `a.B`."""
    made = _of(lo, node)
    if isinstance(made, Member):
        made.name = made.name.partition("<")[0]
    return made


def _conditional(lo: Lowering, node: Tree) -> Node:
    """`a?.b`."""
    parts = named(node)
    if len(parts) != 2:
        return rest(lo, node)
    of, what = lo.low(parts[0]), lo.low(parts[1])
    if isinstance(what, Name):
        return Member(node.start_byte, node.end_byte, of, what.id)
    if isinstance(what, Call) and isinstance(what.callee, Name):
        callee = Member(node.start_byte, node.end_byte, of, what.callee.id)
        return Call(node.start_byte, node.end_byte, callee, what.args, what.named)
    return Group(node.start_byte, node.end_byte, [of, what])


def _using(lo: Lowering, node: Tree) -> Node:
    written = lo.text(node).removeprefix("using").strip(" ;")
    return Import(node.start_byte, node.end_byte, [("", written.removeprefix("static ").rpartition("=")[2].strip())])


def _stepped(lo: Lowering, node: Tree) -> Node:
    text = lo.text(node)
    if "++" in text or "--" in text:
        sign = "+" if "++" in text else "-"
        return Assign(node.start_byte, node.end_byte, rest(lo, node), Const(node.start_byte, node.end_byte, 1), sign)
    return rest(lo, node)


def _prefixed(lo: Lowering, node: Tree) -> Node:
    parts = named(node)
    if lo.text(node).startswith(("++", "--")) or len(parts) != 1:
        return _stepped(lo, node)
    return unary(value=f"kind:{parts[0].type}")(lo, node)


def _attribute(lo: Lowering, node: Tree) -> Node:
    callee = Name(node.start_byte, node.end_byte, lo.text(node.child_by_field_name("name")))
    return called(lo, node, callee, child_of(node, "attribute_argument_list"))


def _property(lo: Lowering, node: Tree) -> Node:
    """Its accessors are functions of no name; a value that it begins with is set."""
    value = node.child_by_field_name("value")
    target = node.child_by_field_name("name")
    if value is None or target is None or value.type == "arrow_expression_clause":
        return rest(lo, node)
    return Assign(node.start_byte, node.end_byte, lo.low(target), lo.low(value), "=", lo.text(node.child_by_field_name("type")))


def _element(lo: Lowering, node: Tree) -> Node:
    parts = named(node)
    return lo.low(parts[-1]) if parts else Group(node.start_byte, node.end_byte, ())


def _verbatim(lo: Lowering, node: Tree) -> Node:
    return Const(node.start_byte, node.end_byte, lo.text(node).lstrip("@$").strip('"'))


SHAPES: dict[str, Shape] = {
    "compilation_unit": block,
    "block": block,
    "declaration_list": block,
    "identifier": name,
    "this": name,
    "base": name,
    "predefined_type": name,
    "generic_name": lambda lo, node: Name(node.start_byte, node.end_byte, lo.text(named(node)[0] if named(node) else node)),
    "qualified_name": name,
    "string_literal": string(),
    "verbatim_string_literal": _verbatim,
    "raw_string_literal": string(),
    "interpolated_string_expression": string(("interpolation",)),
    "interpolation": _hole,
    "character_literal": string(),
    "integer_literal": number,
    "real_literal": number,
    "boolean_literal": truth,
    "null_literal": literal(None),
    "member_access_expression": _member,
    "member_binding_expression": lambda lo, node: Name(node.start_byte, node.end_byte, lo.text(node.child_by_field_name("name"))),
    "conditional_access_expression": _conditional,
    "element_access_expression": index("expression", "subscript"),
    "bracketed_argument_list": rest,
    "argument": _element,
    "invocation_expression": call("function", "arguments"),
    "object_creation_expression": _new,
    "implicit_object_creation_expression": _new,
    "array_creation_expression": lambda lo, node: lo.low(child_of(node, "initializer_expression") or named(node)[-1]),
    "implicit_array_creation_expression": lambda lo, node: lo.low(child_of(node, "initializer_expression") or named(node)[-1]),
    "initializer_expression": listing,
    "collection_expression": listing,
    "binary_expression": binary(),
    "prefix_unary_expression": _prefixed,
    "postfix_unary_expression": _stepped,
    "conditional_expression": cond("condition", "consequence", "alternative"),
    "cast_expression": cast("type", "value"),
    "as_expression": cast("right", "left"),
    "assignment_expression": assign(),
    "variable_declaration": _declared,
    "property_declaration": _property,
    "lambda_expression": _lambda,
    "anonymous_method_expression": _lambda,
    "using_directive": _using,
    "attribute_list": rest,
    "attribute": _attribute,
    "class_declaration": klass(marks=("attribute_list",)),
    "struct_declaration": klass(),
    "record_declaration": klass(),
    "method_declaration": _method,
    "constructor_declaration": _method,
    "local_function_statement": _method,
    "arrow_expression_clause": rest,
    "if_statement": branch("condition", "consequence", "alternative"),
    "while_statement": loop("", "condition", "", "body"),
    "do_statement": loop("", "condition", "", "body", runs_once=True),
    "for_statement": loop("initializer", "condition", "update", "body"),
    "foreach_statement": each_loop("left", "right"),
    "using_statement": block,
    "try_statement": attempt("body", ("catch_clause",), "kind:finally_clause"),
    "catch_clause": handler("kind:catch_declaration", "body"),
    "switch_statement": switch(
        "value", "body", ("switch_section",), labels=("constant_pattern", "case_switch_label", "declaration_pattern")
    ),
    "return_statement": leave("return"),
    "throw_statement": leave("throw"),
    "throw_expression": rest,
    "break_statement": leave("break"),
    "continue_statement": leave("continue"),
    "type_parameter_list": skip,
    "type_argument_list": skip,
}
CSHARP = Grammar(shapes=SHAPES, params=_params, this=frozenset(("this", "base")))
