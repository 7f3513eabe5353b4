"""Follows programs of Ruby and PHP on tree-sitter's nodes: what their walks share.

A coarser walk than those of Python and JavaScript: names have values, texts are put together, functions of the program are walked
where they are called; classes are not told apart from their objects. How a language writes these is in `scripting_ruby` and
`scripting_php`.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from tree_sitter import Node

from freehold.guard.effects.places import HOLE
from freehold.guard.effects.python_fold import binary
from freehold.guard.effects.scene import Scene, unknown
from freehold.guard.effects.scripting_program import Program, Routine
from freehold.guard.effects.scripting_sinks import Given
from freehold.guard.effects.scripting_values import DECODED, NOTHING, Value, either, join, known, map_each, marked, marks_of
from freehold.guard.syntax import LIMIT_DEPTH, parse

_IDLE = frozenset(("comment", "php_tag", "text", "text_interpolation", "heredoc_beginning", "?>"))


class Tree(Program):
    """One program, in a language that a subclass reads."""

    nodes: ClassVar[Mapping[str, Callable[..., Value]]]
    functions: ClassVar[tuple[str, ...]] = ()
    joining: ClassVar[frozenset[str]] = frozenset(("+", "."))  # operators that join texts

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.source = b""
        self.level = 0

    def program(self, text: str) -> None:
        self.source = text.encode("utf-8", "replace")
        tree = parse(self.language, self.source)
        if tree is None:
            self.sinks.effects.append(unknown("a program too long, or made to take long to read"))
            return
        try:
            self.visit_all(tree.root_node.named_children)
            self.finish()
        except RecursionError:
            self.sinks.add_unknown("nested too deep to be followed")

    def text(self, node: Node | None) -> str:
        """Cut from the source; "" where there is no node."""
        return "" if node is None else self.source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def visit(self, node: Node) -> Value:
        if self.level > LIMIT_DEPTH:
            self.sinks.add_unknown("nested too deep to be followed")
            return NOTHING
        handler = self.nodes.get(node.type, Tree.anything)
        self.level += 1
        result: Value = handler(self, node)
        self.level -= 1
        return result

    def field(self, node: Node, name: str) -> Value:
        part = node.child_by_field_name(name)
        return NOTHING if part is None else self.visit(part)

    def visit_all(self, nodes: Sequence[Node]) -> Value:
        """The value of the last, as Ruby's blocks have it."""
        for node in nodes:
            if node.type in self.functions:
                self.visit(node)
        result = NOTHING
        for node in nodes:
            if not self.goes_on():
                break
            if node.type not in _IDLE and node.type not in self.functions:
                result = self.visit(node)
        return result

    def anything(self, node: Node) -> Value:
        return self.visit_all(node.named_children)

    def bind(self, name: str, value: Value) -> None:
        self.names[name] = value

    def find(self, name: str) -> Value | None:
        found = self.names.get(name)
        if found is not None:
            return found
        return next((scope[name] for scope in self.outer if name in scope), None)

    # What both write alike.

    def joined(self, node: Node) -> Value:
        """A text with values in it."""
        parts = [self.visit(child) if child.type not in _PARTS else self.piece(child) for child in node.named_children]
        varied = next((at for at, one in enumerate(parts) if one.others), None)
        if varied is None:
            return join(parts)
        return map_each(parts[varied], lambda one: join([*parts[:varied], one, *parts[varied + 1 :]]))

    def piece(self, node: Node) -> Value:
        text = self.text(node)
        if node.type != "escape_sequence":
            return known(text)
        return known(ESCAPES.get(text, _hexadecimal(text)))

    def binary(self, node: Node) -> Value:
        """A long sum leans to the left: it is gone through, not down."""
        rest: list[tuple[str, Node]] = []
        kind = node.type
        while node.type == kind:
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            if left is None or right is None:
                return NOTHING
            rest.append((self.text(node.child_by_field_name("operator")), right))
            node = left
        value = self.visit(node)
        for sign, right in reversed(rest):
            value = self.two(sign, value, self.visit(right))
        return value

    def two(self, sign: str, left: Value, right: Value) -> Value:
        if sign in ("||", "&&", "??", "or", "and"):
            return either([left, right])
        if sign in self.joining:
            return map_each(left, lambda one: map_each(right, lambda other: self.sum(one, other)))
        operator = OPERATORS.get(sign)
        if operator is None:
            return NOTHING
        return map_each(left, lambda one: map_each(right, lambda other: binary(operator, one, other)))

    def sum(self, left: Value, right: Value) -> Value:
        if left.const.__class__ is int and right.const.__class__ is int and "." not in self.joining:
            return binary(OPERATORS["+"], left, right)
        return join([left, right]) if left is not NOTHING or right is not NOTHING else NOTHING

    def grown(self, old: Value, new: Value) -> Value:
        """What `x += y` gives: in a loop only its beginning is known."""
        if self.loops and isinstance(new.const, str):
            return Value(old.shown() + HOLE, new.marks | DECODED)
        return new

    def branches(self, node: Node) -> Value:
        """A condition, and what is done by it: each from what was known before."""
        names = self.names
        before = dict(names)
        results = []
        for child in node.named_children:
            after = dict(names)
            names.clear()
            names.update(before)
            results.append(self.visit(child))
            for name, value in after.items():
                other = names.get(name)
                if other is not value:
                    names[name] = value if other is None else either([value, other])
        return either(results) if results else NOTHING

    def loop(self, node: Node) -> Value:
        self.loops += 1
        self.visit_all(node.named_children)
        self.loops -= 1
        return NOTHING

    def returned(self, node: Node) -> Value:
        for child in node.named_children:
            self.results.append(self.visit(child))
        return NOTHING

    def listed(self, node: Node) -> Value:
        return Value(items=[self.visit(child) for child in node.named_children])

    def integer(self, node: Node) -> Value:
        text = self.text(node).replace("_", "")
        return Value(int(text)) if text.isascii() and text.isdigit() and len(text) < 20 else NOTHING

    def first(self, node: Node) -> Value:
        values = [self.visit(child) for child in node.named_children]
        return values[0] if values else NOTHING

    def nothing(self, node: Node) -> Value:
        return NOTHING

    def function(self, node: Node) -> Value:
        """A function of the program, walked when it is called, or at the end."""
        name = self.text(node.child_by_field_name("name"))
        known_as = self.names.get(name)
        if known_as is not None and isinstance(known_as.code, Routine) and known_as.code.node == node:
            return known_as
        routine = Routine(node, (self.names, *self.outer))
        self.routines.append(routine)
        value = Value(code=routine)
        if name:
            self.names[name] = value
        return value

    def body(self, routine: Routine, given: Given) -> None:
        node = routine.node
        assert isinstance(node, Node)
        parameters = node.child_by_field_name("parameters")
        places = [] if parameters is None else parameters.named_children
        for at, place in enumerate(places):
            default = place.child_by_field_name("value") or place.child_by_field_name("default_value")
            name = self.text(place.child_by_field_name("name") or place).lstrip("$*&")
            if at < len(given.values):
                self.bind(name, given.values[at])
            else:
                self.bind(name, NOTHING if default is None else self.visit(default))
        inner = node.child_by_field_name("body")
        if inner is not None:
            self.results.append(self.visit(inner))

    def marks(self, values: Sequence[Value]) -> Value:
        return marked(marks_of(values))


_PARTS = frozenset(("string_content", "escape_sequence", "heredoc_content", "nowdoc_string"))
OPERATORS: Mapping[str, type[ast.operator]] = {"+": ast.Add, "*": ast.Mult, "^": ast.BitXor, "%": ast.Mod}
ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r", '\\"': '"', "\\'": "'", "\\\\": "\\", "\\$": "$", "\\e": "\x1b", "\\0": "\0"}


def _hexadecimal(text: str) -> str:
    """ "\\x41"; anything else stands for its last letter."""
    digits = text[2:].strip("{}")
    if text[1:2] in ("x", "u") and digits and all(one in "0123456789abcdefABCDEF" for one in digits):
        return chr(int(digits, 16)) if int(digits, 16) < 0x110000 else HOLE
    if text[1:].isdigit() and text.isascii():
        return chr(int(text[1:4], 8)) if all(one in "01234567" for one in text[1:4]) else HOLE
    return text[-1:]
