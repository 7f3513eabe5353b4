"""PHP programs to effects: a script, or a one-liner of `php -r`."""

import re
from collections.abc import Callable, Mapping
from typing import ClassVar

from tree_sitter import Node

from freehold.core.effects import EffectKind
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.scripting_decode import Fold, decoders
from freehold.guard.effects.scripting_sinks import Given
from freehold.guard.effects.scripting_table import calls_of
from freehold.guard.effects.scripting_tree import Tree
from freehold.guard.effects.scripting_values import (
    DECODED,
    ENVIRONMENT,
    FOREIGN,
    INPUT,
    NETWORK,
    NOTHING,
    SOCKET,
    Value,
    as_path,
    either,
    joined_path,
    known,
    marked,
    marks_of,
    variable,
)
from freehold.guard.syntax import Language

_REQUEST = frozenset(("_GET", "_POST", "_REQUEST", "_COOKIE", "_FILES", "HTTP_RAW_POST_DATA"))
_ESCAPED = re.compile(r"\\(['\\])")


def _changed(change: Callable[[str], str]) -> Fold:
    def fold(given: Given) -> Value:
        text = given.first().text()
        return marked(given.marks()) if text is None else known(change(text), given.marks())

    return fold


def _implode(given: Given) -> Value:
    parts = next((value.items for value in given.values if isinstance(value.items, list)), None)
    between = next((value.text() for value in given.values if value.items is None), "") or ""
    return marked(given.marks()) if parts is None else known(between.join(part.shown() for part in parts), given.marks())


def _replaced(given: Given) -> Value:
    old, new, text = [value.text() for value in (*given.values[:3], NOTHING, NOTHING, NOTHING)][:3]
    if old and new is not None and text is not None and len(new) * len(text) < 1 << 20:
        return known(text.replace(old, new), given.marks())
    return marked(given.marks())


def _chr(given: Given) -> Value:
    code = given.first().const
    return known(chr(code % 256), given.marks() | DECODED) if isinstance(code, int) else Value(HOLE, given.marks() | DECODED)


_DECODERS = {
    "base64": "base64_decode",
    "hex": "hex2bin",
    "zlib": "gzinflate gzuncompress gzdecode",
    "rot13": "str_rot13",
    "percent": "urldecode rawurldecode",
    "uu": "convert_uudecode",
}
_FOLDS: Mapping[str, Fold] = {
    **decoders(_DECODERS),
    "openssl_decrypt": lambda given: marked(given.marks() | DECODED),
    "strrev": _changed(lambda text: text[::-1]),
    "strtolower": _changed(str.lower),
    "strtoupper": _changed(str.upper),
    "trim": _changed(str.strip),
    "escapeshellarg": lambda given: Value(HOLE, given.marks() & ~FOREIGN),
    **dict.fromkeys(("escapeshellcmd", "realpath", "basename"), Given.first),
    "implode": _implode,
    "join": _implode,
    "str_replace": _replaced,
    "chr": _chr,
    "getenv": lambda given: variable(given.first()) if given.values else Value(marks=ENVIRONMENT, name="$_ENV"),
    "sys_get_temp_dir": lambda given: as_path("/tmp"),  # noqa: S108 - a text that is judged
    "getcwd": lambda given: as_path("."),
    "glob": lambda given: Value(given.first().text() or HOLE, given.marks(), "<paths>"),
    "scandir": lambda given: Value(HOLE, given.marks(), "<paths>"),
    "dirname": lambda given: joined_path([given.first()]),
}


class Php(Tree):
    """One program."""

    language = Language.PHP
    functions = ("function_definition",)
    folds = _FOLDS
    special: ClassVar[Mapping[str, Callable[..., Value]]] = {}
    joining = frozenset((".",))
    showing = frozenset(("print_r", "var_dump", "echo", "print"))

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.table = calls_of("scripting_php")

    def canonical(self, name: str) -> str:
        return name.lstrip("\\").lower() if "." not in name else name

    def _variable(self, node: Node) -> Value:
        name = self.text(node).lstrip("$")
        if name in _REQUEST:
            return Value(marks=NETWORK, name=f"${name}")
        if name in ("argv", "_SERVER"):
            return marked(INPUT)
        if name == "_ENV":
            return Value(marks=ENVIRONMENT, name="$_ENV")
        return self.find(name) or NOTHING

    def _string(self, node: Node) -> Value:
        return known(_ESCAPED.sub(r"\1", self.text(node)[1:-1]))

    def _name(self, node: Node) -> Value:
        text = self.text(node)
        return as_path(".") if text in ("__DIR__",) else Value(name=text)

    def _assigned(self, node: Node) -> Value:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None:
            return NOTHING
        value = self.visit(right)
        if node.type == "augmented_assignment_expression":
            old = self.visit(left)
            value = self.grown(old, self.two(self.text(node.child_by_field_name("operator")).rstrip("="), old, value))
        name = self.text(left).lstrip("$")
        if left.type == "variable_name":
            self.bind(name, value)
        elif left.type in ("member_access_expression", "subscript_expression", "list_literal"):
            self.bind(name, value)
            for child in left.named_children:
                if child.type == "variable_name":
                    before = self.find(self.text(child).lstrip("$")) or NOTHING
                    self.bind(
                        self.text(child).lstrip("$"), Value(before.const, before.marks | value.marks, before.name, before.items)
                    )
        return value

    def _member(self, node: Node) -> Value:
        found = self.find(self.text(node).lstrip("$"))
        return found if found is not None else self.marks([self.visit(child) for child in node.named_children])

    def _indexed(self, node: Node) -> Value:
        found = self.find(self.text(node).lstrip("$"))
        if found is not None:
            return found
        parts = [self.visit(child) for child in node.named_children]
        owner = parts[0] if parts else NOTHING
        key = parts[1].const if len(parts) > 1 else None
        if owner.name == "$_ENV":
            return variable(parts[1]) if len(parts) > 1 else owner
        if isinstance(owner.items, list):
            return owner.items[key] if isinstance(key, int) and key < len(owner.items) else self.element(owner)
        if isinstance(owner.const, str) and isinstance(key, int) and key < len(owner.const):
            return known(owner.const[key], owner.marks)
        return self.marks(parts[:1])

    def _array(self, node: Node) -> Value:
        items: list[Value] = []
        for child in node.named_children:
            values = [self.visit(one) for one in child.named_children]
            items.extend(values[-1:])
        return Value(items=items)

    def _given(self, node: Node | None, receiver: Value = NOTHING) -> Given:
        values = [] if node is None else [self.visit(child) for child in node.named_children if child.type != "comment"]
        return Given(values, {}, receiver)

    def _argument(self, node: Node) -> Value:
        children = node.named_children
        return self.visit(children[-1]) if children else NOTHING

    def _called(self, node: Node) -> Value:
        function = node.child_by_field_name("function")
        given = self._given(node.child_by_field_name("arguments"))
        if function is None:
            return NOTHING
        if function.type in ("name", "qualified_name"):
            name = self.text(function).lstrip("\\")
            own = self.find(name)
            return self._by_name(name.lower(), given) if own is None or own.code is None else self.call(own, given, "")
        callee = self.visit(function)
        if callee.code is not None:
            return self.call(callee, given, "")
        names = [one.text() for one in callee.each()]
        if any(name is None or HOLE in name for name in names):
            because = "calls a function that is chosen at run time"
            if callee.marks & FOREIGN:
                self.sinks.add(EffectKind.EXECUTE, because=because + " by somebody else")
            else:
                self.sinks.add_unknown(because)
            return marked(given.marks())
        return either([self._by_name((name or "").lower(), given) for name in names])

    def _by_name(self, name: str, given: Given) -> Value:
        first = given.first()
        if name in ("eval", "assert", "create_function"):
            self._evaluate(name, given.values[-1] if given.values else NOTHING)
            return NOTHING
        if name in ("call_user_func", "call_user_func_array", "array_map", "array_filter", "usort", "register_shutdown_function"):
            return self._handed(name, given)
        if name == "preg_replace" and _evaluates(first.text() or ""):
            self._evaluate(name, given.values[1] if len(given.values) > 1 else NOTHING)
        if name in ("file_put_contents", "fwrite", "fputs") and len(given.values) > 1:
            self.sinks.writes(first, given.values[1].marks)
        if name == "proc_open" and marks_of(given.values[1:]) & SOCKET:
            self.sinks.add(EffectKind.REMOTE_SHELL, because="a program's input and output are tied to a connection")
        return self.call(Value(name=name), given, "")

    def _handed(self, name: str, given: Given) -> Value:
        """Functions that call one they are given by name."""
        function, rest = (given.values[0], given.values[1:]) if given.values else (NOTHING, [])
        if name == "usort" and rest:
            function, rest = rest[0], [given.values[0]]
        if name in ("array_map", "array_filter", "call_user_func_array"):
            rest = [item for value in rest for item in (value.items if isinstance(value.items, list) else [value])]
        if function.code is not None:
            return self.call(function, Given(rest), "")
        text = function.text()
        if text is None and function.marks & FOREIGN:
            self.sinks.add(EffectKind.EXECUTE, because=f"{name} calls a function that somebody else names")
        elif text is None and function.items is None and name.startswith("call_user"):
            self.sinks.add_unknown(f"{name} calls a function that is chosen at run time")
        return self._by_name(text.lower(), Given(rest)) if text and HOLE not in text else marked(given.marks())

    def _evaluate(self, name: str, value: Value) -> None:
        for one in value.each():
            text = one.text()
            if name == "assert" and text is None and not one.marks & FOREIGN:
                continue  # a condition
            self.sinks.code(name, one if text is None else Value(f"<?php {text}", one.marks), Language.PHP)

    def _method(self, node: Node) -> Value:
        receiver = self.field(node, "object") if node.child_by_field_name("object") is not None else self.field(node, "scope")
        name = self.text(node.child_by_field_name("name"))
        given = self._given(node.child_by_field_name("arguments"), receiver)
        own = self.find(name)
        if own is not None and own.code is not None:
            return self.call(own, given, "")
        return self.call(Value(name=f"{receiver.name or '?'}.{name}", marks=receiver.marks), given, name)

    def _new(self, node: Node) -> Value:
        children = node.named_children
        arguments = next((child for child in children if child.type == "arguments"), None)
        name = self.text(children[0]).lstrip("\\") if children else ""
        return self.call(Value(name=f"new {name.lower()}"), self._given(arguments), "")

    def _included(self, node: Node) -> Value:
        for child in node.named_children:
            value = self.visit(child)
            if value.marks & FOREIGN or (value.text() or "").startswith(("http:", "https:", "ftp:", "data:", "php:")):
                self.sinks.add(EffectKind.EXECUTE, because="includes code that somebody else names")
            else:
                self.sinks.path(EffectKind.RUN, value, "includes a file as code")
        return NOTHING

    def _backticks(self, node: Node) -> Value:
        self.sinks.command("a command in backticks", self.joined(node), is_shell=True)
        return NOTHING

    def _foreach(self, node: Node) -> Value:
        children = node.named_children
        if len(children) > 1:
            over = self.visit(children[0])
            for name in _names_of(children[1]):
                self.bind(self.text(name).lstrip("$"), self.element(over))
        self.loops += 1
        self.field(node, "body")
        self.loops -= 1
        return NOTHING

    def _class(self, node: Node) -> Value:
        body = node.child_by_field_name("body")
        for member in body.named_children if body is not None else ():
            if member.type == "method_declaration":
                self.function(member)
            else:
                self.visit(member)
        return NOTHING


def _evaluates(pattern: str) -> bool:
    """Whether a pattern has the old flag "e": what it puts in is run as code."""
    flags = pattern.rpartition(pattern[:1])[2] if pattern else ""
    return "e" in flags and flags.isalpha()


def _names_of(node: Node) -> list[Node]:
    return [node] if node.type == "variable_name" else [one for child in node.named_children for one in _names_of(child)]


_LOOPS = ("for_statement", "while_statement", "do_statement")
_BRANCHES = ("if_statement", "switch_block", "match_block", "conditional_expression")
_INNER = (
    "parenthesized_expression",
    "error_suppression_expression",
    "expression_statement",
    "cast_expression",
    "unary_op_expression",
)
_METHODS = ("member_call_expression", "nullsafe_member_call_expression", "scoped_call_expression")
_nodes: Mapping[str, Callable[..., Value]] = {
    **dict.fromkeys(_LOOPS, Tree.loop),
    **dict.fromkeys(_BRANCHES, Tree.branches),
    **dict.fromkeys(_INNER, Php._argument),
    **dict.fromkeys(_METHODS, Php._method),
    **dict.fromkeys(("encapsed_string", "heredoc_body", "heredoc"), Tree.joined),
    **dict.fromkeys(("assignment_expression", "augmented_assignment_expression"), Php._assigned),
    **dict.fromkeys(
        ("include_expression", "include_once_expression", "require_expression", "require_once_expression"), Php._included
    ),
    **dict.fromkeys(
        ("function_definition", "anonymous_function", "anonymous_function_creation_expression", "arrow_function"), Tree.function
    ),
    **dict.fromkeys(("class_declaration", "trait_declaration"), Php._class),
    "variable_name": Php._variable,
    "dynamic_variable_name": Tree.nothing,
    "string": Php._string,
    "integer": Tree.integer,
    "name": Php._name,
    "binary_expression": Tree.binary,
    "subscript_expression": Php._indexed,
    "member_access_expression": Php._member,
    "array_creation_expression": Php._array,
    "argument": Php._argument,
    "function_call_expression": Php._called,
    "object_creation_expression": Php._new,
    "shell_command_expression": Php._backticks,
    "foreach_statement": Php._foreach,
    "return_statement": Tree.returned,
    "namespace_use_declaration": Tree.nothing,
}
Php.nodes = _nodes
