"""Java, Go, C, C++ and C# given as code to run: which functions they call.

Coarse: nothing is followed but names that hold a literal text. A call is looked up by the end of its name in
`data/scripting_compiled.toml`; an argument that is put together has a hole where it is not known.
"""

import re
from collections.abc import Iterator, Mapping

from tree_sitter import Node

from freehold.core.effects import Effect
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scene import Scene, unknown
from freehold.guard.effects.scripting_sinks import Given, Sinks
from freehold.guard.effects.scripting_table import Call, calls_of
from freehold.guard.effects.scripting_values import NOTHING, Value, known
from freehold.guard.syntax import Language, parse

_CALLS = frozenset(("method_invocation", "call_expression", "invocation_expression", "object_creation_expression"))
_NAMED = frozenset(
    ("variable_declarator", "init_declarator", "short_var_declaration", "var_spec", "const_spec", "assignment_expression")
)
_TEXTS = frozenset(("string_literal", "interpreted_string_literal", "raw_string_literal", "verbatim_string_literal"))
_LISTS = frozenset(("argument_list", "arguments", "array_initializer", "initializer_list", "literal_value", "expression_list"))
_INSIDE = frozenset(("composite_literal", "array_creation_expression", "argument", "literal_element", "parenthesized_expression"))
_ESCAPE = re.compile(r"\\(.)")
LIMIT_NODES = 60_000


def effects_of_compiled(text: str, language: Language, scene: Scene) -> list[Effect]:
    """Of a source file or a part of one."""
    source = text.encode("utf-8", "replace")
    tree = parse(language, source)
    if tree is None:
        return [unknown("a program too long, or made to take long to read")]
    walk = _Calls(source, language, scene)
    for node in _all(tree.root_node):
        if node.type in _NAMED:
            walk.note(node)
        elif node.type in _CALLS:
            if not scene.budget.spend():
                walk.sinks.add_unknown("more calls than are looked at")
                break
            walk.call(node)
    return walk.sinks.effects


def _all(root: Node) -> Iterator[Node]:
    rest = [root]
    count = 0
    while rest and count < LIMIT_NODES:
        node = rest.pop()
        count += 1
        yield node
        rest.extend(reversed(node.named_children))


class _Calls:
    def __init__(self, source: bytes, language: Language, scene: Scene) -> None:
        self.source = source
        self.sinks = Sinks(scene, language)
        self.table: Mapping[str, Call] = calls_of("scripting_compiled")
        self.names: dict[str, Value] = {}

    def text(self, node: Node | None) -> str:
        return "" if node is None else self.source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def note(self, node: Node) -> None:
        """A name that is given a literal text."""
        target = node.child_by_field_name("name") or node.child_by_field_name("left") or node.child_by_field_name("declarator")
        value = node.child_by_field_name("value") or node.child_by_field_name("right")
        if value is None and node.type == "variable_declarator" and len(node.named_children) > 1:
            value = node.named_children[-1]  # C#'s has no field
        if target is not None and value is not None:
            found = self.value(value)
            if found is not NOTHING:
                self.names[self.text(target).strip("*[] ")] = found

    def call(self, node: Node) -> None:
        name = self._name(node)
        call = self._listed(name)
        if call is None:
            return
        arguments = node.child_by_field_name("arguments")
        values = [self.value(child) for child in arguments.named_children] if arguments is not None else []
        self.sinks.call(call, Given(values))

    def _name(self, node: Node) -> str:
        if node.type == "object_creation_expression":
            return f"new {self.text(node.child_by_field_name('type'))}"
        function = node.child_by_field_name("function")
        if function is not None:
            return self.text(function)
        owner = self.text(node.child_by_field_name("object"))
        return f"{owner}.{self.text(node.child_by_field_name('name'))}" if owner else self.text(node.child_by_field_name("name"))

    def _listed(self, name: str) -> Call | None:
        """By its whole name, its last two parts, its last."""
        name = name.replace("::", ".").replace("->", ".")
        parts = name.split(".")
        for candidate in (name, ".".join(parts[-2:]), f"?.{parts[-1]}" if len(parts) > 1 else name):
            call = self.table.get(candidate)
            if call is not None:
                return call
        return None

    def value(self, node: Node, depth: int = 8) -> Value:
        if node.type in _TEXTS:
            text = self.text(node).lstrip("@$L")
            return known(text[1:-1] if text[:1] == "`" else _ESCAPE.sub(r"\1", text[1:-1]))
        if node.type == "identifier":
            return self.names.get(self.text(node), NOTHING)
        if depth and node.type == "binary_expression":
            parts = [self.value(child, depth - 1) for child in node.named_children]
            return known("".join(part.shown() for part in parts)) if any(part is not NOTHING for part in parts) else NOTHING
        if depth and node.type in _INSIDE:
            children = node.named_children
            return self.value(children[-1], depth - 1) if children else NOTHING
        if depth and node.type in _LISTS:
            return Value(items=[self.value(child, depth - 1) for child in node.named_children])
        return Value(HOLE) if node.type in ("interpolated_string_expression",) else NOTHING
