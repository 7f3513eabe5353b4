"""JavaScript and TypeScript, with JSX."""

from tree_sitter import Node as Tree

from freehold.guard.weaknesses.ir import Assign, Const, Func, Group, Import, Leave, Member, Name, Node, Param
from freehold.guard.weaknesses.lower import Grammar, Lowering, Shape, child_of, named, rest
from freehold.guard.weaknesses.shapes.calls import call
from freehold.guard.weaknesses.shapes.definitions import give_name, klass
from freehold.guard.weaknesses.shapes.expressions import binary, cond, index, listing, member, name, skip, unary
from freehold.guard.weaknesses.shapes.literals import bare, literal, number, string
from freehold.guard.weaknesses.shapes.statements import assign, attempt, block, branch, each_loop, handler, leave, loop, switch


def _params(lo: Lowering, node: Tree | None) -> list[Param]:
    if node is None:
        return []
    if node.type == "identifier":
        return [Param(lo.text(node))]
    found: list[Param] = []
    for child in named(node):
        target = child.child_by_field_name("pattern") or child.child_by_field_name("left") or child
        declared = lo.text(child.child_by_field_name("type")).lstrip(": ")
        marks = lo.text(child_of(child, "decorator"))
        if target.type == "object_pattern":
            names = [lo.text(one) for one in _named_in(target)]
            found += [Param(one, "", None, f"{{{one}}}{marks}") for one in names]
        else:
            default = lo.maybe(child.child_by_field_name("value") or child.child_by_field_name("right"))
            found.append(Param(lo.text(target).lstrip("."), declared, default, marks))
    return found


def _named_in(node: Tree) -> list[Tree]:
    found: list[Tree] = []
    for child in named(node):
        if child.type in ("shorthand_property_identifier_pattern", "identifier"):
            found.append(child)
        else:
            found += _named_in(child.child_by_field_name("value") or child.child_by_field_name("left") or child)[:8]
    return found


def _function(lo: Lowering, node: Tree) -> Node:
    called = lo.text(node.child_by_field_name("name")).strip("#\"'")
    params = _params(lo, node.child_by_field_name("parameters") or node.child_by_field_name("parameter"))
    content = node.child_by_field_name("body")
    body: Node = lo.block(content)
    if content is not None and content.type != "statement_block":
        body = Leave(body.at, body.end, "return", body)
    marks = [lo.low(child) for child in named(node) if child.type == "decorator"]
    made = Func(node.start_byte, node.end_byte, called, params, body, marks)
    if called:
        lo.functions.append(made)
    return made


def _declared(lo: Lowering, node: Tree) -> Node:
    target, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    if target is None:
        return rest(lo, node)
    declared = lo.text(node.child_by_field_name("type")).lstrip(": ")
    made = Assign(node.start_byte, node.end_byte, lo.low(target), lo.maybe(value), "=", declared)
    give_name(lo, made)
    return made


def _pattern(lo: Lowering, node: Tree) -> Node:
    """`{a, b: c}`: what of an object goes where."""
    keys: list[Node | None] = []
    items: list[Node] = []
    for child in named(node):
        key = child.child_by_field_name("key")
        value = child.child_by_field_name("value") or child.child_by_field_name("left") or child
        target = Name(value.start_byte, value.end_byte, lo.text(value).lstrip(".")) if not value.named_children else lo.low(value)
        keys.append(name(lo, key or value))
        items.append(target)
    return Group(node.start_byte, node.end_byte, items, keys, is_list=True)


def _object(lo: Lowering, node: Tree) -> Node:
    keys: list[Node | None] = []
    items: list[Node] = []
    for child in named(node):
        key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
        if child.type == "pair" and key is not None and value is not None:
            computed = key.type == "computed_property_name"
            keys.append(lo.low(key) if computed else Const(key.start_byte, key.end_byte, bare(lo.text(key), "\"'")))
            items.append(lo.low(value))
        elif child.type == "shorthand_property_identifier":
            keys.append(Const(child.start_byte, child.end_byte, lo.text(child)))
            items.append(name(lo, child))
        else:
            keys.append(None)
            items.append(lo.low(child))
    return Group(node.start_byte, node.end_byte, items, keys, is_list=True)


def _import(lo: Lowering, node: Tree) -> Node:
    module = bare(lo.text(node.child_by_field_name("source")), "\"'").removeprefix("node:")
    names = [("", module)]
    clause = child_of(node, "import_clause")
    for child in [] if clause is None else named(clause):
        if child.type == "named_imports":
            for one in named(child):
                of = lo.text(one.child_by_field_name("name"))
                names.append((lo.text(one.child_by_field_name("alias")) or of, f"{module}.{of}"))
        else:
            names.append((lo.text(child).rpartition(" ")[2], module))
    return Import(node.start_byte, node.end_byte, names)


def _attribute(lo: Lowering, node: Tree) -> Node:
    """An attribute of an element: as a key that is set."""
    parts = named(node)
    if not parts:
        return rest(lo, node)
    value = lo.low(parts[1]) if len(parts) > 1 else Const(node.start_byte, node.end_byte, True)
    element = Name(node.start_byte, node.start_byte, "jsx")
    return Assign(node.start_byte, node.end_byte, Member(node.start_byte, node.end_byte, element, lo.text(parts[0])), value)


def _stepped(lo: Lowering, node: Tree) -> Node:
    sign = "+" if "++" in lo.text(node) else "-"
    return Assign(node.start_byte, node.end_byte, rest(lo, node), Const(node.start_byte, node.end_byte, 1), sign)


def _regex(lo: Lowering, node: Tree) -> Node:
    """As what makes one of a text."""
    at, end = node.start_byte, node.end_byte
    return Const(at, end, lo.text(node.child_by_field_name("pattern")))


def _inside(lo: Lowering, node: Tree) -> Node:
    """`x as T`: the compiler is told, and nobody checks."""
    return lo.low(named(node)[0]) if named(node) else rest(lo, node)


SHAPES: dict[str, Shape] = {
    "program": block,
    "statement_block": block,
    "class_body": block,
    "identifier": name,
    "property_identifier": name,
    "this": name,
    "super": name,
    "undefined": literal(None),
    "string": string(),
    "template_string": string(("template_substitution",)),
    "number": number,
    "regex": _regex,
    "true": literal(True),
    "false": literal(False),
    "null": literal(None),
    "member_expression": member("object", "property"),
    "subscript_expression": index("object", "index"),
    "call_expression": call("function", "arguments"),
    "new_expression": call("constructor", "arguments", is_new=True),
    "binary_expression": binary(),
    "unary_expression": unary(value="argument"),
    "update_expression": _stepped,
    "ternary_expression": cond("condition", "consequence", "alternative"),
    "assignment_expression": assign(),
    "augmented_assignment_expression": assign(),
    "as_expression": _inside,
    "satisfies_expression": _inside,
    "non_null_expression": _inside,
    "array": listing,
    "array_pattern": listing,
    "object": _object,
    "object_pattern": _pattern,
    "lexical_declaration": block,
    "variable_declaration": block,
    "variable_declarator": _declared,
    "arrow_function": _function,
    "function_expression": _function,
    "function": _function,
    "generator_function": _function,
    "function_declaration": _function,
    "generator_function_declaration": _function,
    "method_definition": _function,
    "class_declaration": klass(marks=("decorator",)),
    "class": klass(),
    "field_definition": assign("property", "value"),
    "public_field_definition": assign("name", "value"),
    "import_statement": _import,
    "jsx_attribute": _attribute,
    "if_statement": branch("condition", "consequence", "alternative"),
    "while_statement": loop("", "condition", "", "body"),
    "do_statement": loop("", "condition", "", "body", runs_once=True),
    "for_statement": loop("initializer", "condition", "increment", "body"),
    "for_in_statement": each_loop("left", "right"),
    "try_statement": attempt("body", ("catch_clause",), "finalizer"),
    "catch_clause": handler("parameter", "body"),
    "switch_statement": switch("value", "body", ("switch_case", "switch_default"), "value"),
    "return_statement": leave("return"),
    "throw_statement": leave("throw"),
    "break_statement": leave("break"),
    "continue_statement": leave("continue"),
    "type_annotation": skip,
    "interface_declaration": skip,
    "type_alias_declaration": skip,
    "type_arguments": skip,
}
JAVASCRIPT = Grammar(shapes=SHAPES, params=_params, this=frozenset(("this", "super")))
