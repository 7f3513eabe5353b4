"""Follows a JavaScript or TypeScript program from its first statement to its last, without running it.

As `python_walk` does for Python, on tree-sitter's nodes: names have values, branches give a name more than one, functions are
walked where they are called. A function that is handed to another is called back with what that one gives. What calls do is in
`data/javascript_calls.toml`; what expressions are worth, in `javascript_expressions`.
"""

from collections.abc import Callable, Mapping, Sequence

from tree_sitter import Node

from freehold.guard.effects.javascript_expressions import EXPRESSIONS, Expressions, module_name
from freehold.guard.effects.javascript_fold import FOLDS
from freehold.guard.effects.javascript_special import SPECIAL
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.scripting_program import Kind, Routine
from freehold.guard.effects.scripting_sinks import Given
from freehold.guard.effects.scripting_table import calls_of
from freehold.guard.effects.scripting_values import NOTHING, Value, either, known, marked, marks_of
from freehold.guard.syntax import LIMIT_DEPTH, Language

_FUNCTIONS = ("function_declaration", "generator_function_declaration")


class Walk(Expressions):
    """One program."""

    language = Language.JAVASCRIPT
    folds = FOLDS
    special = SPECIAL
    showing = frozenset(("console.log", "console.table", "console.dir", "process.stdout.write"))

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.table = calls_of("javascript_calls")
        self.names |= {name: known(value) for name, value in scene.variables.items()}
        self.level = 0

    def module(self, root: Node, source: bytes) -> None:
        self.source = source
        self.visit_all(root.named_children)
        self.finish()

    def visit(self, node: Node) -> Value:
        handler = _NODES.get(node.type, Walk._anything)
        if self.level > LIMIT_DEPTH:
            self.sinks.add_unknown("nested too deep to be followed")
            return NOTHING
        self.level += 1
        result: Value = handler(self, node)
        self.level -= 1
        return result

    def visit_all(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if node.type in _FUNCTIONS:
                self._function(node)
        for node in nodes:
            if not self.goes_on():
                return
            if node.type != "comment":
                self.visit(node)

    def _anything(self, node: Node) -> Value:
        marks = 0
        for child in node.named_children:
            if child.type != "comment":
                marks |= self.visit(child).marks
        return marked(marks)

    def _block(self, node: Node) -> Value:
        self.visit_all(node.named_children)
        return NOTHING

    # Declarations.

    def _declarator(self, node: Node) -> Value:
        target, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if target is not None:
            self.bind(target, NOTHING if value is None else self.visit(value))
        return NOTHING

    def _function(self, node: Node) -> Value:
        name = node.child_by_field_name("name")
        if name is not None:
            text = self.text(name)
            known_as = self.names.get(text)
            if known_as is None or not isinstance(known_as.code, Routine) or known_as.code.node != node:
                self.names[text] = self.routine(node)
        return NOTHING

    def _class(self, node: Node) -> Value:
        kind = Kind()
        name = node.child_by_field_name("name")
        owner = Value(name=self.text(name) if name is not None else "", code=kind)
        for child in node.named_children:
            if child.type == "class_heritage" and child.named_children:
                kind.bases.append(self.visit(child.named_children[0]))
        body = node.child_by_field_name("body")
        for member in body.named_children if body is not None else ():
            self._class_member(member, kind, owner)
        if name is not None:
            self.names[self.text(name)] = owner
        return owner

    def _class_member(self, member: Node, kind: Kind, owner: Value) -> None:
        if member.type == "method_definition":
            name = member.child_by_field_name("name")
            if name is not None:
                value = self.routine(member, owner)
                kind.parts["__init__" if self.text(name) == "constructor" else self.key_text(name)] = value
        elif member.type in ("field_definition", "public_field_definition"):
            name = member.child_by_field_name("property") or member.child_by_field_name("name")
            value_node = member.child_by_field_name("value")
            if name is not None and value_node is not None:
                kind.parts[self.key_text(name)] = self.visit(value_node)
        else:
            self.visit(member)

    def _import(self, node: Node) -> Value:
        source = node.child_by_field_name("source")
        module = module_name(self.text(source).strip("'\"`")) if source is not None else ""
        for clause in node.named_children:
            if clause.type != "import_clause":
                continue
            for part in clause.named_children:
                if part.type == "identifier":
                    self.names[self.text(part)] = Value(name=module)
                elif part.type == "namespace_import" and part.named_children:
                    self.names[self.text(part.named_children[0])] = Value(name=module)
                elif part.type == "named_imports":
                    self._named_imports(part, module)
        return NOTHING

    def _named_imports(self, node: Node, module: str) -> None:
        for part in node.named_children:
            name, alias = part.child_by_field_name("name"), part.child_by_field_name("alias")
            if name is not None:
                text = self.text(name)
                full = module if text in ("default", "promises") else f"{module}.{text}"
                self.names[self.text(alias or name)] = Value(name=full)

    # Statements.

    def _if(self, node: Node) -> Value:
        condition = node.child_by_field_name("condition")
        if condition is not None:
            self.visit(condition)
        names = self.names  # stays the dict that it is: functions hold on to it
        before = dict(names)
        for part in (node.child_by_field_name("consequence"), node.child_by_field_name("alternative")):
            after = dict(names)
            if part is not None:
                names.clear()
                names.update(before)
                self.visit(part)
            for name, value in after.items():
                other = names.get(name)
                if other is not value:
                    names[name] = value if other is None else either([value, other])
        return NOTHING

    def _for_in(self, node: Node) -> Value:
        left, right, body = (node.child_by_field_name(name) for name in ("left", "right", "body"))
        over = self.visit(right) if right is not None else NOTHING
        if left is not None:
            self.bind(left, self.element(over))
        if body is not None:
            self._loop(body)
        return NOTHING

    def _loop(self, node: Node) -> Value:
        self.loops += 1
        if node.type == "statement_block":
            self.visit_all(node.named_children)
        else:
            for child in node.named_children:
                self.visit(child)
        self.loops -= 1
        return NOTHING

    def _return(self, node: Node) -> Value:
        for child in node.named_children:
            self.results.append(self.visit(child))
        return NOTHING

    # Functions.

    def body(self, routine: Routine, given: Given) -> None:
        node = routine.node
        assert isinstance(node, Node)
        level, self.level = self.level, 0 if self.depth <= 1 else self.level
        if routine.owner is not None:
            self.names["this"] = routine.owner
        single = node.child_by_field_name("parameter")
        parameters = node.child_by_field_name("parameters")
        places = [single] if single is not None else parameters.named_children if parameters is not None else []
        self.names["arguments"] = Value(items=list(given.values))
        for at, place in enumerate(place for place in places if place.type != "comment"):
            self._parameter(place, at, given)
        inner = node.child_by_field_name("body")
        if inner is not None and inner.type == "statement_block":
            self.visit_all(inner.named_children)
        elif inner is not None:
            self.results.append(self.visit(inner))
        self.level = level

    def _parameter(self, place: Node, at: int, given: Given) -> None:
        if place.type in ("required_parameter", "optional_parameter"):  # TypeScript's
            pattern, default = place.child_by_field_name("pattern"), place.child_by_field_name("value")
        elif place.type == "assignment_pattern":
            pattern, default = place.child_by_field_name("left"), place.child_by_field_name("right")
        else:
            pattern, default = place, None
        if pattern is None:
            return
        if pattern.type == "rest_pattern":
            rest = list(given.values[at:])
            self.bind(pattern.named_children[0], Value(items=rest, marks=marks_of(rest)))
        elif at < len(given.values):
            self.bind(pattern, given.values[at])
        else:
            self.bind(pattern, self.visit(default) if default is not None else NOTHING)


def _nothing(walk: Walk, node: Node) -> Value:
    return NOTHING


_LOOPS = ("for_statement", "while_statement", "do_statement")
_IDLE = (
    *("comment", "type_annotation", "interface_declaration", "type_alias_declaration", "import_require_clause"),
    *("type_arguments", "type_parameters", "empty_statement", "debugger_statement", "hash_bang_line", "ambient_declaration"),
)
_NODES: Mapping[str, Callable[..., Value]] = {
    **EXPRESSIONS,
    **dict.fromkeys(_IDLE, _nothing),
    **dict.fromkeys(_LOOPS, Walk._loop),
    **dict.fromkeys(("statement_block", "program"), Walk._block),
    **dict.fromkeys(("class_declaration", "class", "abstract_class_declaration"), Walk._class),
    **dict.fromkeys(_FUNCTIONS, Walk._function),
    "variable_declarator": Walk._declarator,
    "import_statement": Walk._import,
    "if_statement": Walk._if,
    "for_in_statement": Walk._for_in,
    "return_statement": Walk._return,
}
