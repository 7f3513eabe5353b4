"""What expressions of Python are worth, and which functions they call. Statements are left to `python_walk`."""

import ast
from collections.abc import Callable, Sequence

from freehold.guard.effects.places import HOLE
from freehold.guard.effects.python_fold import FOLDS, binary, elements, indexed, method
from freehold.guard.effects.scripting_program import LIMIT_EACH, Kind, Program, Routine
from freehold.guard.effects.scripting_sinks import Given
from freehold.guard.effects.scripting_table import Call
from freehold.guard.effects.scripting_values import (
    ENVIRONMENT,
    INPUT,
    NETWORK,
    NOTHING,
    Value,
    as_path,
    either,
    join,
    known,
    map_each,
    marked,
    marks_of,
    variable,
)

ALIASES = {
    "np": "numpy",
    "pd": "pandas",
    "plt": "matplotlib.pyplot",
    "sp": "subprocess",
    "tf": "tensorflow",
    "BeautifulSoup": "bs4",
}
CONSTANTS = {
    "os.sep": Value("/"),
    "os.linesep": Value("\n"),
    "os.curdir": as_path("."),
    "os.devnull": Value("/dev/null"),
    "sys.executable": Value("python3"),
    "sys.argv": Value(marks=INPUT),
    "sys.stdin": Value(marks=INPUT),
    "sys.modules": Value(name="sys.modules"),
    "os.environ": Value(marks=ENVIRONMENT, name="os.environ"),
    "os.environb": Value(marks=ENVIRONMENT, name="os.environ"),
    "string.ascii_lowercase": Value("abcdefghijklmnopqrstuvwxyz"),
    "string.ascii_letters": Value("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "string.digits": Value("0123456789"),
    "flask.request": Value(marks=NETWORK, name="flask.request"),
    "bottle.request": Value(marks=NETWORK, name="bottle.request"),
    "__file__": Value("program.py"),
    "__name__": Value("__main__"),
}
# The same function under another name.
SAME = (
    ("builtins.", ""),
    ("__builtins__.", ""),
    ("posix.", "os."),
    ("nt.", "os."),
    ("_winreg.", "winreg."),
    ("posixpath.", "os.path."),
    ("ntpath.", "os.path."),
    ("os.os.", "os."),
    ("six.moves.", ""),
    ("requests.api.", "requests."),
    ("requests.sessions.", "requests."),
    ("urllib.request.urllib.", "urllib."),
)
HIDDEN = ("__subclasses__", "__mro__", "__bases__", "__globals__", "__code__", "__closure__", "gi_frame", "f_globals", "f_back")
LIBRARIES = ("ctypes.windll.", "ctypes.cdll.", "ctypes.oledll.", "ctypes.pythonapi.")
_MAY_BE_SAME = (*(prefix for prefix, _ in SAME), *LIBRARIES)


class Expressions(Program):
    """A program in Python, as far as its expressions go."""

    stars: list[str]  # modules all of whose names were imported

    def bind(self, target: ast.expr, value: Value) -> None:
        """Gives what stands left of "=" a value."""
        raise NotImplementedError

    def statements(self, body: Sequence[ast.stmt]) -> None:
        """Follows them in their order."""
        raise NotImplementedError

    def canonical(self, name: str) -> str:
        return _canonical(name) if name.startswith(_MAY_BE_SAME) else name

    def method(self, receiver: Value, name: str, given: Given) -> Value | None:
        return method(receiver, name, given)

    def prepared(self, call: Call, given: Given) -> Given:
        if call.name.endswith((".urlopen", ".Request")) and len(given.values) > 1 and call.name.startswith("urllib"):
            return Given(given.values[:1], {**given.named, "data": given.values[1]}, given.receiver)
        if call.name.startswith("os.") and call.name[3:8] in ("execl", "spawn", "execv", "posix"):
            return _without_own_name(call.name, given)
        return given

    def value(self, node: ast.expr) -> Value:
        handler = EXPRESSIONS.get(node.__class__)
        return handler(self, node) if handler is not None else NOTHING

    def _constant(self, node: ast.Constant) -> Value:
        return Value(node.value)

    def _name(self, node: ast.Name) -> Value:
        name = node.id
        found = self.names.get(name)
        if found is not None:
            return found
        for scope in self.outer:
            if name in scope:
                return scope[name]
        if name in CONSTANTS:
            return CONSTANTS[name]
        for module in self.stars:
            if f"{module}.{name}" in self.table or f"{module}.{name}" in FOLDS:
                return Value(name=f"{module}.{name}")
        return Value(name=ALIASES.get(name, name))

    def _attribute(self, node: ast.Attribute) -> Value:
        return map_each(self.value(node.value), lambda owner: self.attribute(owner, node.attr))

    def attribute(self, owner: Value, name: str) -> Value:
        if isinstance(owner.code, Kind):
            return self.part(owner.code, name) or Value(marks=owner.marks, name=f"{owner.name}.{name}")
        if owner.name == "<path>":
            return self._part_of_path(owner, name)
        if name in HIDDEN:
            return Value(marks=owner.marks, name="<hidden>")
        if name == "__dict__":
            return owner
        if not owner.name:
            return (
                Value(marks=owner.marks, name=f"?.{name}")
                if owner.const.__class__ is not str
                else Value(owner.const, owner.marks)
            )
        if owner.name == "<file>" and name == "name":
            return Value(owner.const, owner.marks)
        full = f"{owner.name}.{name}"
        found = CONSTANTS.get(full)
        if found is None:
            found = self.names.get(full)
        return Value(marks=owner.marks, name=full) if found is None else found

    def _part_of_path(self, owner: Value, name: str) -> Value:
        text = owner.text() or HOLE
        if name == "parent":
            return as_path(text.rpartition("/")[0] or ("/" if text.startswith("/") else "."), owner.marks)
        if name in ("name", "stem", "suffix"):
            return known(text.rpartition("/")[2], owner.marks)
        return Value(owner.const, owner.marks, f"<path>.{name}")

    def _binary(self, node: ast.BinOp) -> Value:
        """A long sum leans to the left: it is gone through, not down."""
        rest: list[ast.BinOp] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            rest.append(left)
            left = left.left
        value = self.value(left)
        for part in reversed(rest):
            right = self.value(part.right)
            if value is not NOTHING or right is not NOTHING:
                value = _two(part.op.__class__, value, right)
        return value

    def _unary(self, node: ast.UnaryOp) -> Value:
        value = self.value(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(value.const, int):
            return Value(-value.const)
        return NOTHING if isinstance(node.op, ast.Not) else marked(value.marks)

    def _compare(self, node: ast.Compare) -> Value:
        self.value(node.left)
        for other in node.comparators:
            self.value(other)
        return NOTHING

    def _boolean(self, node: ast.BoolOp) -> Value:
        return either([self.value(one) for one in node.values])

    def _conditional(self, node: ast.IfExp) -> Value:
        self.value(node.test)
        return either([self.value(node.body), self.value(node.orelse)])

    def _sequence(self, node: ast.List | ast.Tuple | ast.Set) -> Value:
        items: list[Value] = []
        for element in node.elts:
            if isinstance(element, ast.Starred):
                value = self.value(element.value)
                listed = elements(value)
                items.extend(
                    listed.items if listed is not None and isinstance(listed.items, list) else [Value(HOLE, marks_of([value]))]
                )
            else:
                items.append(self.value(element))
        return Value(items=items)

    def _dict(self, node: ast.Dict) -> Value:
        items: dict[object, Value] = {}
        for at, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
            if key is None:
                more = self.value(value)
                if isinstance(more.items, dict):
                    items.update(more.items)
                else:
                    items["**", at] = more
            else:
                name = self.value(key).const
                items[name if isinstance(name, str | int | bytes) else (at,)] = self.value(value)
        return Value(items=items)

    def _joined(self, node: ast.JoinedStr) -> Value:
        parts = [self.value(part) for part in node.values]
        varied = next((at for at, part in enumerate(parts) if part.others), None)
        if varied is None:
            return join(parts)
        return map_each(parts[varied], lambda one: join([*parts[:varied], one, *parts[varied + 1 :]]))

    def _formatted(self, node: ast.FormattedValue) -> Value:
        return self.value(node.value)

    def _subscript(self, node: ast.Subscript) -> Value:
        owner = self.value(node.value)
        if node.slice.__class__ is ast.Slice:
            return map_each(owner, lambda one: indexed(one, self._slice(node.slice)))  # type: ignore[arg-type]
        key = self.value(node.slice)
        return map_each(owner, lambda one: map_each(key, lambda other: self._item(one, other)))

    def _slice(self, node: ast.Slice) -> object:
        bounds: list[object] = []
        for part in (node.lower, node.upper, node.step):
            bound = None if part is None else self.value(part).const
            if part is not None and not isinstance(bound, int):
                return None
            bounds.append(bound)
        return slice(*bounds)

    def _item(self, owner: Value, key: Value) -> Value:
        if owner.name == "os.environ":
            return variable(key)
        if owner.name in ("sys.modules", "<hidden>", "<globals>"):
            text = key.text()
            if text is None:
                return Value(name="<hidden>")
            return self._name(ast.Name(text)) if owner.name == "<globals>" else Value(name=text)
        if isinstance(owner.items, dict):
            found = owner.items.get(key.const) if isinstance(key.const, str | int | bytes) else None
            return found if found is not None else either(list(owner.items.values())[:16])
        if owner.name and isinstance(key.const, str) and owner.const.__class__ is not str and not owner.name.startswith("?"):
            return self.attribute(owner, key.const)  # vars(os)["system"]
        if owner.name == "<paths>" or (owner.name and key.const.__class__ is not str):
            return self.element(owner) if owner.name == "<paths>" else Value(marks=owner.marks, name=owner.name)
        if isinstance(owner.items, list) and not isinstance(key.const, int):
            return self.element(owner)
        return indexed(owner, key.const)

    def _lambda(self, node: ast.Lambda) -> Value:
        routine = Routine(node, (self.names, *self.outer))
        self.routines.append(routine)
        return Value(code=routine)

    def _named(self, node: ast.NamedExpr) -> Value:
        value = self.value(node.value)
        self.bind(node.target, value)
        return value

    def _awaited(self, node: ast.Await | ast.Yield | ast.YieldFrom) -> Value:
        value = NOTHING if node.value is None else self.value(node.value)
        if not isinstance(node, ast.Await):
            self.results.append(value)
        return value

    def _comprehended(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> Value:
        before = self.names
        self.names = dict(before)
        result = self._each(node.generators, node.elt)
        self.names = before
        return result

    def _each(self, generators: Sequence[ast.comprehension], element: ast.expr) -> Value:
        first = generators[0]
        over = self.value(first.iter)
        listed = elements(over)
        items = listed.items if listed is not None and isinstance(listed.items, list) and not over.name else None
        if items is not None and len(generators) == 1 and not first.ifs and self._is_worth_it(element, len(items)):
            found: list[Value] = []
            for item in items:
                self.bind(first.target, item)
                found.append(self.value(element))
            return Value(marks=over.marks, items=found)
        for generator in generators:
            self.bind(generator.target, self.element(self.value(generator.iter) if generator is not first else over))
            for test in generator.ifs:
                self.value(test)
        value = self.value(element)
        if value.name or value.code is not None:
            return Value(marks=value.marks | over.marks, items=[value])
        if value.others or value.const.__class__ is not str:
            return Value(marks=value.marks | over.marks)
        return Value(value.const, value.marks | over.marks, "<paths>")

    def _is_worth_it(self, element: ast.expr, count: int) -> bool:
        """Whether each element is worked out: few, or letters being put together."""
        return count <= 16 or (count <= LIMIT_EACH and _is_arithmetic(element) and self.sinks.scene.budget.spend(count))

    def _dict_comprehended(self, node: ast.DictComp) -> Value:
        before = self.names
        self.names = dict(before)
        value = self._each(node.generators, ast.Tuple(elts=[node.key, node.value]))
        self.names = before
        return marked(marks_of([value]))

    def _starred(self, node: ast.Starred) -> Value:
        return self.value(node.value)

    def _call(self, node: ast.Call) -> Value:
        function = node.func
        if isinstance(function, ast.Attribute):
            name = function.attr
            receiver = self.value(function.value)
            given = self._given(node, receiver)
            return self.call_method(receiver, name, given)
        callee = self.value(function)
        return self.call_each(callee, self._given(node, NOTHING), "")

    def _given(self, node: ast.Call, receiver: Value) -> Given:
        values: list[Value] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                value = self.value(argument.value)
                values.extend(value.items if isinstance(value.items, list) else [marked(marks_of([value]))])
            else:
                values.append(self.value(argument))
        if not node.keywords:
            return Given(values, {}, receiver)
        named: dict[object, Value] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value)
            if keyword.arg is not None:
                named[keyword.arg] = value
            elif isinstance(value.items, dict):
                named.update(value.items)
            else:
                named["**"] = value
        return Given(values, named, receiver)


def _canonical(name: str) -> str:
    for prefix, instead in SAME:
        if name.startswith(prefix):
            name = instead + name[len(prefix) :]
    if name.startswith(LIBRARIES):
        return "<library>." + name.rpartition(".")[2]
    return name


def _two(kind: type[ast.operator], left: Value, right: Value) -> Value:
    return map_each(left, lambda one: map_each(right, lambda other: binary(kind, one, other)))


def _without_own_name(name: str, given: Given) -> Given:
    """`execl(path, own name, …)`: the program is at the path, whatever it is told to be called."""
    values = list(given.values)
    if "spawn" in name and "posix" not in name:
        if "l" in name[8:]:
            return Given([*values[1:2], *values[3:]])
        values = values[1:]
        listed = values[1].items if len(values) > 1 else None
        return (
            Given([NOTHING, NOTHING, Value(items=[values[0], *listed[1:]])])
            if isinstance(listed, list)
            else Given([NOTHING, *values])
        )
    if name.startswith("os.execl"):
        return Given([*values[:1], *values[2:]])
    listed = values[1].items if len(values) > 1 else None
    if isinstance(listed, list):
        return Given([values[0], Value(items=[values[0], *listed[1:]])])
    return given


def _is_arithmetic(node: ast.expr) -> bool:
    """Whether it is made of operators, names, numbers and the few functions that put letters together."""
    if isinstance(node, ast.Call):
        name = node.func
        if not (isinstance(name, ast.Name) and name.id in ("chr", "ord", "int", "str", "bytes")):
            return False
        return all(_is_arithmetic(argument) for argument in node.args)
    if isinstance(node, ast.BinOp):
        return _is_arithmetic(node.left) and _is_arithmetic(node.right)
    if isinstance(node, ast.Subscript):
        return _is_arithmetic(node.value) and (isinstance(node.slice, ast.Slice) or _is_arithmetic(node.slice))
    return isinstance(node, ast.Name | ast.Constant | ast.UnaryOp)


EXPRESSIONS: dict[type[ast.AST], Callable[..., Value]] = {
    ast.Constant: Expressions._constant,
    ast.Name: Expressions._name,
    ast.Attribute: Expressions._attribute,
    ast.Call: Expressions._call,
    ast.BinOp: Expressions._binary,
    ast.UnaryOp: Expressions._unary,
    ast.Compare: Expressions._compare,
    ast.BoolOp: Expressions._boolean,
    ast.IfExp: Expressions._conditional,
    ast.List: Expressions._sequence,
    ast.Tuple: Expressions._sequence,
    ast.Set: Expressions._sequence,
    ast.Dict: Expressions._dict,
    ast.JoinedStr: Expressions._joined,
    ast.FormattedValue: Expressions._formatted,
    ast.Subscript: Expressions._subscript,
    ast.Lambda: Expressions._lambda,
    ast.NamedExpr: Expressions._named,
    ast.Await: Expressions._awaited,
    ast.Yield: Expressions._awaited,
    ast.YieldFrom: Expressions._awaited,
    ast.ListComp: Expressions._comprehended,
    ast.GeneratorExp: Expressions._comprehended,
    ast.SetComp: Expressions._comprehended,
    ast.DictComp: Expressions._dict_comprehended,
    ast.Starred: Expressions._starred,
}
