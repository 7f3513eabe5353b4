"""What expressions of JavaScript are worth, and which functions they call. Statements are left to `javascript_walk`."""

from collections.abc import Callable, Mapping

from tree_sitter import Node

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.javascript_fold import CONSTANTS, binary, literal, method
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scripting_program import Kind, Program, Routine
from freehold.guard.effects.scripting_sinks import Given
from freehold.guard.effects.scripting_table import Call
from freehold.guard.effects.scripting_values import (
    DECODED,
    ENVIRONMENT,
    INPUT,
    NETWORK,
    NOTHING,
    SECRET,
    SOCKET,
    Value,
    either,
    join,
    map_each,
    marked,
    variable,
)

# Modules that do the same under another name.
SAME = {
    "fs/promises": "fs",
    "fs.promises": "fs",
    "fs-extra": "fs",
    "graceful-fs": "fs",
    "original-fs": "fs",
    "timers/promises": "timers",
    "path/posix": "path",
    "https": "http",
    "follow-redirects": "http",
    "node-fetch": "fetch",
    "cross-fetch": "fetch",
    "isomorphic-fetch": "fetch",
    "window": "",
    "globalThis": "",
    "global": "",
    "self": "",
    "top": "",
    "cross-spawn": "child_process.spawn",
    "tls": "net",
    "assert/strict": "assert",
    "execa": "child_process.execa",
    "mysql2": "mysql",
    "mysql2/promise": "mysql",
    "puppeteer-core": "puppeteer",
}
ANYTHING = frozenset(("child_process", "fs", "process", "vm", "", "module", "Deno", "Bun"))
HANDLERS = frozenset(
    ("get", "post", "put", "delete", "patch", "all", "use", "route")
)  # of a web server: its functions get requests


def module_name(text: str) -> str:
    text = text.removeprefix("node:")
    return SAME.get(text, text) or text


class Expressions(Program):
    """A program in JavaScript, as far as its expressions go."""

    source = b""

    def visit(self, node: Node) -> Value:
        raise NotImplementedError

    def text(self, node: Node) -> str:
        """Cut from the source: a node that was read in pieces takes ten times as long to give its text."""
        return self.source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def key_text(self, node: Node) -> str:
        """Of the name of a member, quoted or not."""
        return self.text(node).strip("'\"`").lstrip("#")

    def routine(self, node: Node, owner: Value | None = None) -> Value:
        """A function, which is walked when it is called, or at the end."""
        this = self.names.get("this") if node.type == "arrow_function" else None
        routine = Routine(node, (self.names, *self.outer), owner or this)
        self.routines.append(routine)
        return Value(code=routine)

    def method(self, receiver: Value, name: str, given: Given) -> Value | None:
        return method(receiver, name, given)

    def canonical(self, name: str) -> str:
        root, dot, rest = name.partition(".")
        if root in SAME:
            root = SAME[root]
            name = f"{root}.{rest}" if root and dot else rest or root
        return name.replace("fs.promises.", "fs.", 1)

    def prepared(self, call: Call, given: Given) -> Given:
        """Options in an object are arguments by name."""
        named = dict(given.named)
        for value in given.values:
            if isinstance(value.items, dict):
                named.update(value.items)
        return Given(given.values, named, given.receiver)

    def bind(self, target: Node, value: Value) -> None:
        """Gives what stands left of "=" a value."""
        match target.type:
            case "identifier" | "shorthand_property_identifier_pattern":
                self._set(self.text(target), value)
            case "member_expression" | "subscript_expression":
                self._set_member(target, value)
            case "object_pattern":
                for part in target.named_children:
                    self._bind_part(part, value)
            case "array_pattern":
                for at, part in enumerate(target.named_children):
                    items = value.items if isinstance(value.items, list) else []
                    self.bind(part, items[at] if at < len(items) else self.element(value))
            case "assignment_pattern":
                left, right = target.child_by_field_name("left"), target.child_by_field_name("right")
                if left is not None and right is not None:
                    self.bind(left, either([value, self.visit(right)]) if value is NOTHING else value)
            case "rest_pattern" | "required_parameter" | "parenthesized_expression":
                if target.named_children:
                    self.bind(target.named_children[0], value)

    def _set(self, name: str, value: Value) -> None:
        for scope in self.outer:
            if name in scope and name not in self.names:
                before = scope[name]
                scope[name] = value if before is NOTHING else either([value, before])
                return
        self.names[name] = value

    def _bind_part(self, part: Node, value: Value) -> None:
        if part.type == "pair_pattern":
            key, target = part.child_by_field_name("key"), part.child_by_field_name("value")
            if key is not None and target is not None:
                self.bind(target, self.attribute(value, self.key_text(key)))
        elif part.type == "shorthand_property_identifier_pattern":
            self._set(self.text(part), self.attribute(value, self.text(part)))
        elif part.type == "object_assignment_pattern" and part.named_children:
            name = self.text(part.named_children[0])
            found = self.attribute(value, name)
            default = part.child_by_field_name("right")
            self._set(name, self.visit(default) if default is not None and not value.name and value.items is None else found)
        else:
            self.bind(part, value)

    def _set_member(self, target: Node, value: Value) -> None:
        owner, name = self._member_of(target)
        if isinstance(owner.code, Kind):
            owner.code.parts[name] = value
        elif isinstance(owner.items, dict):
            owner.items[name] = value
        elif owner.name and name:
            self.names[f"{owner.name}.{name}"] = value
        if name in ("src", "href", "action") and value.marks & SECRET:
            self.sinks.add(EffectKind.SEND, Place.CREDENTIAL, "an address that is fetched has in it what is secret")

    # Names and members.

    def _identifier(self, node: Node) -> Value:
        name = self.text(node)
        found = self.names.get(name)
        if found is not None:
            return found
        for scope in self.outer:
            if name in scope:
                return scope[name]
        return CONSTANTS.get(name) or Value(name=name)

    def _this(self, node: Node) -> Value:
        found = self.names.get("this")
        for scope in self.outer:
            if found is not None:
                break
            found = scope.get("this")
        return found or Value(name="globalThis")

    def _member_of(self, node: Node) -> tuple[Value, str]:
        """The object and the member's name; the name is "" where it is chosen at run time."""
        object_node = node.child_by_field_name("object")
        owner = self.visit(object_node) if object_node is not None else NOTHING
        name = node.child_by_field_name("property")
        if name is not None:
            return owner, self.text(name).lstrip("#")
        index = node.child_by_field_name("index")
        key = self.visit(index) if index is not None else NOTHING
        text = key.text()
        if text is None and isinstance(key.const, int):
            text = str(key.const)
        return owner, text if text is not None and HOLE not in text else ""

    def _member(self, node: Node) -> Value:
        owner, name = self._member_of(node)
        if not name:
            return self._chosen(owner)
        return map_each(owner, lambda one: self.attribute(one, name))

    def _chosen(self, owner: Value) -> Value:
        if owner.items is not None:
            return self.element(owner) if isinstance(owner.items, list) else either(list(owner.items.values())[:16])
        if owner.name == "process.env":
            return marked(INPUT)
        if self.canonical(owner.name) in ANYTHING and owner.name:
            return Value(name=f"{owner.name}.?")
        return marked(owner.marks)

    def attribute(self, owner: Value, name: str) -> Value:
        if isinstance(owner.code, Kind):
            found = self.part(owner.code, "__init__" if name == "constructor" else name)
            return found or Value(marks=owner.marks, name=f"{owner.name}.{name}")
        if isinstance(owner.items, dict) and name in owner.items:
            return owner.items[name]
        if isinstance(owner.items, list) and name.isdigit():
            return owner.items[int(name)] if int(name[:6]) < len(owner.items) else NOTHING
        if owner.const.__class__ is str and not owner.name and name.isdigit():
            text = owner.text() or ""
            return Value(text[int(name[:6])], owner.marks) if int(name[:6]) < len(text) else NOTHING
        if owner.name == "process.env":
            return variable(Value(name))
        full = self.canonical(f"{owner.name or '?'}.{name}")
        found = CONSTANTS.get(full)
        if found is None:
            found = self.names.get(full)
        return Value(marks=owner.marks & ~ENVIRONMENT, name=full) if found is None else found

    # Values.

    def _string(self, node: Node) -> Value:
        return literal(self.text(node))

    def _number(self, node: Node) -> Value:
        text = self.text(node).replace("_", "").rstrip("n")
        try:
            return Value(int(text, 0)) if len(text) < 40 and "." not in text and "e" not in text.lower()[2:] else NOTHING
        except ValueError:
            return NOTHING

    def _template(self, node: Node) -> Value:
        parts: list[Value] = []
        for child in node.children:
            if child.type in ("string_fragment", "escape_sequence"):
                parts.append(literal(f'"{self.text(child)}"') if child.type == "escape_sequence" else Value(self.text(child)))
            elif child.type == "template_substitution":
                parts.append(self.visit(child.named_children[0]) if child.named_children else NOTHING)
        varied = next((at for at, part in enumerate(parts) if part.others), None)
        if varied is None:
            return join(parts)
        return map_each(parts[varied], lambda one: join([*parts[:varied], one, *parts[varied + 1 :]]))

    def _array(self, node: Node) -> Value:
        items: list[Value] = []
        for child in node.named_children:
            value = self.visit(child)
            if child.type == "spread_element":
                items.extend(value.items if isinstance(value.items, list) else [Value(HOLE, value.marks)])
            elif child.type != "comment":
                items.append(value)
        return Value(items=items)

    def _object(self, node: Node) -> Value:
        items: dict[object, Value] = {}
        for child in node.named_children:
            if child.type == "pair":
                key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
                if key is not None and value is not None:
                    name = self.visit(key).text() if key.type == "computed_property_name" else self.key_text(key)
                    items[name if name is not None else (len(items),)] = self.visit(value)
            elif child.type == "shorthand_property_identifier":
                items[self.text(child)] = self._identifier(child)
            elif child.type == "method_definition" and (name_node := child.child_by_field_name("name")) is not None:
                items[self.key_text(name_node)] = self.routine(child)
            elif child.type == "spread_element":
                more = self.visit(child)
                items.update(more.items if isinstance(more.items, dict) else {(len(items),): more})
        return Value(items=items)

    def _inner(self, node: Node) -> Value:
        """Of what adds nothing to what is in it: parentheses, `await`, `...`, a type's assertion."""
        result = NOTHING
        for at, child in enumerate(node.named_children):
            value = self.visit(child)
            result = value if at == 0 else result
        return result

    def _sequence(self, node: Node) -> Value:
        result = NOTHING
        for child in node.named_children:
            result = self.visit(child)
        return result

    def _binary(self, node: Node) -> Value:
        """A long sum leans to the left: it is gone through, not down."""
        parts: list[tuple[str, Node]] = []
        while node.type == "binary_expression":
            left, right, sign = (node.child_by_field_name(name) for name in ("left", "right", "operator"))
            if left is None or right is None or sign is None:
                return NOTHING
            parts.append((sign.type, right))
            node = left
        value = self.visit(node)
        for sign_text, right_node in reversed(parts):
            other = self.visit(right_node)
            value = self._two(sign_text, value, other)
        return value

    def _two(self, sign: str, value: Value, other: Value) -> Value:
        if sign in ("||", "&&", "??"):
            return either([value, other])
        if value is NOTHING and other is NOTHING:
            return NOTHING
        return map_each(value, lambda one: map_each(other, lambda second: binary(sign, one, second)))

    def _unary(self, node: Node) -> Value:
        argument = node.child_by_field_name("argument")
        value = self.visit(argument) if argument is not None else NOTHING
        return Value(-value.const) if self.text(node)[:1] == "-" and isinstance(value.const, int) else marked(value.marks)

    def _conditional(self, node: Node) -> Value:
        parts = [node.child_by_field_name(name) for name in ("condition", "consequence", "alternative")]
        values = [self.visit(part) if part is not None else NOTHING for part in parts]
        return either(values[1:])

    def _assignment(self, node: Node) -> Value:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is None or right is None:
            return NOTHING
        value = self.visit(right)
        if node.type == "augmented_assignment_expression":
            sign = node.child_by_field_name("operator")
            old = self.visit(left)
            new = self._two(self.text(sign).rstrip("=") if sign is not None else "+", old, value)
            if self.loops and isinstance(new.const, str):
                new = Value(old.shown() + HOLE, new.marks | DECODED)
            value = new
        self.bind(left, value)
        return value

    def _function(self, node: Node) -> Value:
        return self.routine(node)

    # Calls.

    def _call(self, node: Node) -> Value:
        function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        if function is None or arguments is None:
            return NOTHING
        if function.type in ("member_expression", "subscript_expression"):
            receiver, name = self._member_of(function)
            given = self._given(arguments, receiver)
            if not name:
                return self.call(self._chosen(receiver), given, "")
            if arguments.type == "template_string":
                name += "`"
            return self.call_method(receiver, name, given)
        callee = self.visit(function)
        if arguments.type == "template_string" and callee.name:
            callee = Value(name=f"{callee.name}`")  # $`ls` is not $("ls")
        return self.call_each(callee, self._given(arguments, NOTHING), "")

    def _given(self, node: Node, receiver: Value) -> Given:
        if node.type == "template_string":
            return Given([self.visit(node)], {}, receiver)
        values: list[Value] = []
        for child in node.named_children:
            value = self.visit(child)
            if child.type == "spread_element":
                values.extend(value.items if isinstance(value.items, list) else [value])
            elif child.type != "comment":
                values.append(value)
        return Given(values, {}, receiver)

    def _new(self, node: Node) -> Value:
        made, arguments = node.child_by_field_name("constructor"), node.child_by_field_name("arguments")
        if made is None:
            return NOTHING
        callee = self.visit(made)
        given = self._given(arguments, NOTHING) if arguments is not None else Given()
        if callee.code is None and callee.name and f"new {self.canonical(callee.name)}" in self.table:
            callee = Value(name=f"new {self.canonical(callee.name)}", marks=callee.marks)
        return self.call(callee, given, "")

    def call(self, callee: Value, given: Given, attribute: str) -> Value:
        if attribute in ("call", "apply", "bind") and _is_function(given.receiver):
            return self._borrowed(given, attribute)
        result = super().call(callee, given, attribute)
        if callee.code is not None:
            return result
        name = self.canonical(callee.name)
        if attribute == "map" and isinstance(given.receiver.items, list) and given.values:
            return self.each(given.values[0], given.receiver.items)
        back = self._call_back(given, result, name, attribute)
        return back if back is not None and attribute in ("then", "map", "flatMap", "reduce", "catch") else result

    def _borrowed(self, given: Given, attribute: str) -> Value:
        """`f.call(this, x)` and `f.apply(this, [x])` call f; `f.bind(this)` is f."""
        function, values = given.receiver, list(given.values[1:])
        if attribute == "bind" and not values:
            return function
        if attribute == "apply" and values and isinstance(values[0].items, list):
            values = values[0].items
        return self.call(function, Given(values), "")

    def _call_back(self, given: Given, result: Value, name: str, attribute: str) -> Value | None:
        """Functions that are handed over get what the call gives: `readFile(path, (error, text) => …)`."""
        found: Value | None = None
        for value in given.values:
            if not isinstance(value.code, Routine):
                continue
            found = self.enter(value.code, Given(self._handed(given, result, name, attribute)))
        return found

    def _handed(self, given: Given, result: Value, name: str, attribute: str) -> list[Value]:
        receiver = given.receiver
        if attribute in ("then", "finally"):
            return [receiver]
        if attribute in ("map", "forEach", "filter", "flatMap", "some", "every", "find", "sort"):
            return [self.element(receiver)]
        if name in ("net.createServer", "new net.Server"):
            return [Value(marks=NETWORK | SOCKET, name="<socket>")]
        if attribute in HANDLERS and receiver.name.endswith("()"):
            return [Value(marks=NETWORK, name="<request>")] * 2
        if name == "http.createServer":
            return [Value(marks=NETWORK, name="<request>")]
        event = given.values[0].text() if given.values else None
        marks = result.marks | receiver.marks | (SECRET if event in ("keydown", "keypress", "keyup", "paste") else 0)
        kind = result.name if result.name.startswith("<") else ""
        return [Value(marks=marks, name=kind)] * 3 if marks or kind else []


def _is_function(value: Value) -> bool:
    return value.code is not None or value.name not in ("", "Reflect")


_INNER = (
    *("parenthesized_expression", "await_expression", "spread_element", "computed_property_name", "non_null_expression"),
    *(
        "as_expression",
        "satisfies_expression",
        "expression_statement",
        "template_substitution",
        "yield_expression",
        "export_statement",
    ),
)
_FUNCTIONS = ("arrow_function", "function_expression", "function", "generator_function", "method_definition")
EXPRESSIONS: Mapping[str, Callable[..., Value]] = {
    **dict.fromkeys(_INNER, Expressions._inner),
    **dict.fromkeys(_FUNCTIONS, Expressions._function),
    **dict.fromkeys(("assignment_expression", "augmented_assignment_expression"), Expressions._assignment),
    **dict.fromkeys(("member_expression", "subscript_expression"), Expressions._member),
    **dict.fromkeys(("identifier", "undefined", "property_identifier", "import", "super"), Expressions._identifier),
    "string": Expressions._string,
    "number": Expressions._number,
    "template_string": Expressions._template,
    "array": Expressions._array,
    "object": Expressions._object,
    "this": Expressions._this,
    "sequence_expression": Expressions._sequence,
    "binary_expression": Expressions._binary,
    "unary_expression": Expressions._unary,
    "ternary_expression": Expressions._conditional,
    "call_expression": Expressions._call,
    "new_expression": Expressions._new,
}
