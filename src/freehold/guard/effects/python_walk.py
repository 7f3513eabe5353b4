"""Follows a Python program from its first statement to its last, without running it.

Names have values (`scripting_values`), as far as they can be known; a branch gives a name more than one. A loop's body is walked
once, its variable being any of what it goes over. What calls do is in `data/python_calls.toml`; what expressions are worth, in
`python_expressions`.
"""

import ast
from collections.abc import Callable, Sequence

from freehold.core.effects import EffectKind
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.python_expressions import CONSTANTS, Expressions
from freehold.guard.effects.python_fold import FOLDS, binary
from freehold.guard.effects.python_special import SPECIAL
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.scripting_program import Kind, Routine
from freehold.guard.effects.scripting_sinks import Given
from freehold.guard.effects.scripting_table import calls_of
from freehold.guard.effects.scripting_values import DECODED, NOTHING, Value, either, known, map_each
from freehold.guard.syntax import Language


class Walk(Expressions):
    """One program."""

    language = Language.PYTHON
    folds = FOLDS
    special = SPECIAL
    showing = frozenset(("print", "json.dump", "pprint.pprint", "logging.info", "logging.debug", "sys.stdout.write"))

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.table = calls_of("python_calls")
        self.names |= {name: known(value) for name, value in scene.variables.items()}
        self.stars: list[str] = []
        self.shared: frozenset[str] = frozenset()  # names that functions declare to be the module's

    def module(self, body: Sequence[ast.stmt]) -> None:
        self.statements(body)
        self.finish()

    def body(self, routine: Routine, given: Given) -> None:
        node = routine.node
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        self._parameters(routine, node.args, given)
        if isinstance(node, ast.Lambda):
            self.results.append(self.value(node.body))
        else:
            self.statements(node.body)

    def _parameters(self, routine: Routine, arguments: ast.arguments, given: Given) -> None:
        places = [*arguments.posonlyargs, *arguments.args]
        values = list(given.values)
        if routine.owner is not None and places:
            self.names[places[0].arg] = routine.owner
            places = places[1:]
        first_default = len(places) - len(arguments.defaults)
        for at, place in enumerate(places):
            value = values[at] if at < len(values) else given.named.get(place.arg)
            if value is None and at >= first_default:
                value = self.value(arguments.defaults[at - first_default])
            self.names[place.arg] = NOTHING if value is None else value
        for place, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            value = given.named.get(place.arg)
            self.names[place.arg] = value or (self.value(default) if default is not None else NOTHING)
        if arguments.vararg is not None:
            self.names[arguments.vararg.arg] = Value(items=values[len(places) :])
        if arguments.kwarg is not None:
            self.names[arguments.kwarg.arg] = Value(items=dict(given.named))

    # Statements.

    def statements(self, body: Sequence[ast.stmt]) -> None:
        for node in body:
            if not self.goes_on():
                return
            handler = STATEMENTS.get(node.__class__)
            if handler is not None:
                handler(self, node)

    def _expression_statement(self, node: ast.Expr) -> None:
        if node.value.__class__ is not ast.Constant:
            self.value(node.value)

    def _assign(self, node: ast.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            self.bind(target, value)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.bind(node.target, self.value(node.value))

    def _augmented(self, node: ast.AugAssign) -> None:
        old, more = self.value(node.target), self.value(node.value)
        new = map_each(old, lambda one: map_each(more, lambda other: binary(node.op.__class__, one, other)))
        if self.loops and isinstance(new.const, str | bytes):
            # A text that grows in a loop is known by its beginning, and may have been put together so as to hide it.
            new = Value(old.shown() + HOLE, new.marks | DECODED)
        self.bind(node.target, new)

    def bind(self, target: ast.expr, value: Value) -> None:
        kind = target.__class__
        if kind is ast.Name:
            name: str = target.id  # type: ignore[attr-defined]
            self.names[name] = value
            if name in self.shared and self.outer:
                self.outer[-1][name] = value
        elif kind is ast.Tuple or kind is ast.List:
            parts: Sequence[ast.expr] = target.elts  # type: ignore[attr-defined]
            items = value.items if isinstance(value.items, list) and not value.others else None
            for at, part in enumerate(parts):
                if items is not None and len(items) == len(parts):
                    self.bind(part, items[at])
                else:
                    self.bind(
                        part, self.element(value) if not value.name.startswith("<") else Value(marks=value.marks, name=value.name)
                    )
        elif kind is ast.Attribute:
            self._set_attribute(target, value)  # type: ignore[arg-type]
        elif kind is ast.Subscript:
            self._set_item(target, value)  # type: ignore[arg-type]
        elif kind is ast.Starred:
            self.bind(target.value, value)  # type: ignore[attr-defined]

    def _set_attribute(self, target: ast.Attribute, value: Value) -> None:
        owner = self.value(target.value)
        if isinstance(owner.code, Kind):
            before = owner.code.parts.get(target.attr)
            owner.code.parts[target.attr] = value if before is None or before is NOTHING else either([value, before])
        elif owner.name == "sys" and target.attr in ("stdout", "stderr", "excepthook"):
            return
        elif owner.name and owner.items is None:
            self.names[f"{owner.name}.{target.attr}"] = value

    def _set_item(self, target: ast.Subscript, value: Value) -> None:
        owner, key = self.value(target.value), self.value(target.slice)
        if isinstance(owner.items, dict) and isinstance(key.const, str | int):
            owner.items[key.const] = value
        elif owner.name == "os.environ" and key.text() in ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "PYTHONSTARTUP"):
            self.sinks.add(EffectKind.EVADE, because="sets a variable that loads code into other programs")

    def _delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.names.pop(target.id, None)

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.asname:
                self.names[alias.asname] = Value(name=alias.name)
            else:
                root = alias.name.partition(".")[0]
                self.names[root] = Value(name=root)

    def _import_from(self, node: ast.ImportFrom) -> None:
        module = ("." * node.level) + (node.module or "")
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(module)
            else:
                full = f"{module}.{alias.name}" if node.module else alias.name
                self.names[alias.asname or alias.name] = CONSTANTS.get(full) or Value(name=full)

    def _if(self, node: ast.If) -> None:
        self.value(node.test)
        names = self.names  # stays the dict that it is: functions hold on to it
        before = dict(names)
        self.statements(node.body)
        after = dict(names)
        names.clear()
        names.update(before)
        self.statements(node.orelse)
        for name, value in after.items():
            other = names.get(name)
            if other is not value:
                names[name] = value if other is None else either([value, other])

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        over = self.value(node.iter)
        self.bind(node.target, self.element(over))
        self._looped(node.body)
        self.statements(node.orelse)

    def _while(self, node: ast.While) -> None:
        self.value(node.test)
        self._looped(node.body)
        self.statements(node.orelse)

    def _looped(self, body: Sequence[ast.stmt]) -> None:
        self.loops += 1
        self.statements(body)
        self.loops -= 1

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            value = self.value(item.context_expr)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, value)
        self.statements(node.body)

    def _try(self, node: ast.Try) -> None:
        self.statements(node.body)
        for handler in node.handlers:
            if handler.name:
                self.names[handler.name] = NOTHING
            self.statements(handler.body)
        self.statements(node.orelse)
        self.statements(node.finalbody)

    def _match(self, node: ast.Match) -> None:
        self.value(node.subject)
        for case in node.cases:
            self.statements(case.body)

    def _return(self, node: ast.Return) -> None:
        if node.value is not None:
            self.results.append(self.value(node.value))

    def _raise(self, node: ast.Raise) -> None:
        if node.exc is not None:
            self.value(node.exc)

    def _assert(self, node: ast.Assert) -> None:
        self.value(node.test)

    def _global(self, node: ast.Global | ast.Nonlocal) -> None:
        self.shared = self.shared.union(node.names)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        routine = Routine(node, (self.names, *self.outer))
        self.routines.append(routine)
        for decorator in node.decorator_list:
            self.value(decorator)
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None and default.__class__ is not ast.Constant:
                self.value(default)
        self.names[node.name] = Value(name=node.name, code=routine)

    def _class(self, node: ast.ClassDef) -> None:
        kind = Kind(bases=[self.value(base) for base in node.bases])
        owner = Value(name=node.name, code=kind)
        before, outer = self.names, self.outer
        self.outer = (before, *outer)
        self.names = kind.parts
        first = len(self.routines)
        self.statements(node.body)
        self.names, self.outer = before, outer
        for routine in self.routines[first:]:
            if routine.owner is None and routine.names[0] is kind.parts:
                routine.owner = owner
                routine.names = (before, *outer)
        self.names[node.name] = owner


STATEMENTS: dict[type[ast.AST], Callable[..., None]] = {
    ast.Expr: Walk._expression_statement,
    ast.Assign: Walk._assign,
    ast.AnnAssign: Walk._annotated,
    ast.AugAssign: Walk._augmented,
    ast.Delete: Walk._delete,
    ast.Import: Walk._import,
    ast.ImportFrom: Walk._import_from,
    ast.If: Walk._if,
    ast.For: Walk._for,
    ast.AsyncFor: Walk._for,
    ast.While: Walk._while,
    ast.With: Walk._with,
    ast.AsyncWith: Walk._with,
    ast.Try: Walk._try,
    ast.TryStar: Walk._try,
    ast.Match: Walk._match,
    ast.Return: Walk._return,
    ast.Raise: Walk._raise,
    ast.Assert: Walk._assert,
    ast.FunctionDef: Walk._function,
    ast.AsyncFunctionDef: Walk._function,
    ast.ClassDef: Walk._class,
    ast.Global: Walk._global,
    ast.Nonlocal: Walk._global,
}
