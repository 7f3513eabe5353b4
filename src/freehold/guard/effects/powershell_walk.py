"""A PowerShell script followed statement by statement, with the values that its text tells.

Decided here: how values flow through variables, pipelines, branches, loops, functions and script blocks. A script's branches
are all taken: it is judged by what it could do. Text that becomes code is followed in place where it is known, and is unknown
otherwise. What commands do is `powershell_commands`', what methods do `powershell_methods`'; both are given to the walk by
`powershell`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects import powershell_tree as tree
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.powershell_objects import objects
from freehold.guard.effects.powershell_syntax import read
from freehold.guard.effects.powershell_tree import Block, Node
from freehold.guard.effects.powershell_values import (
    EMPTY,
    UNKNOWN,
    Mark,
    Value,
    added,
    arithmetic,
    array,
    cast,
    either,
    formatted,
    indexed,
    items_of,
    joined,
    number,
    of,
    replaced,
    split,
    spread,
    texts,
    usual,
)
from freehold.guard.effects.scene import LIMIT_DEPTH, Scene, unknown
from freehold.guard.syntax import LIMIT_DEPTH as LIMIT_NESTING
from freehold.guard.syntax import Language

LIMIT_TURNS = 16  # of a loop that runs commands
LIMIT_LETTERS = 2048  # of a loop that only computes: a command spelled in character codes
LIMIT_CALLS = 8  # of functions within functions

# Microsoft Learn, "about_Automatic_Variables". "%NAME%" is what `windows_places` takes for a variable of the machine.
_AUTOMATIC = {
    "true": "True", "false": "False", "null": "", "home": "%USERPROFILE%", "profile": "%PSPROFILE%", "pshome": "%PSHOME%",
    "pwd": ".",
    "psscriptroot": ".", "pscommandpath": ".\\script.ps1", "shellid": "%SHELLID%", "ofs": " ",
    "verbosepreference": "%VERBOSEPREFERENCE%",
    "executioncontext": HOLE, "host": HOLE,
}  # fmt: skip


class Spent(Exception):
    """More work than one analysis may take."""


@dataclass(slots=True)
class Trail:
    """What the script has made: files by name in lower case, with what was written in them; and what it has brought."""

    written: dict[str, Value] = field(default_factory=dict)
    brought: set[str] = field(default_factory=set)
    opens_connection: bool = False


class Walk:
    """One script. `found` is what it does."""

    def __init__(
        self,
        scene: Scene,
        command: "Callable[[Walk, tree.Command, Value | None], Value]",
        method: "Callable[[Walk, Value, str, bool, Sequence[Value], Sequence[Node]], Value]",
    ) -> None:
        self.scene = scene
        self.command = command
        self.method = method
        self.found: list[Effect] = []
        self.variables: dict[str, Value] = {name.lower(): of(value) for name, value in scene.variables.items()}
        self.functions: dict[str, Block] = {}
        self.aliases: dict[str, str] = {}
        self.trail = Trail()
        self.depth = 0
        self.calls = 0

    # ---- statements ------------------------------------------------------------------------------

    def run(self, body: Sequence[Node]) -> Value:
        """Its output: one value, or an array of them."""
        given = [value for node in body if (value := self.value(node)) is not EMPTY]
        return EMPTY if not given else given[0] if len(given) == 1 else array(given)

    def value(self, node: Node) -> Value:
        if not self.scene.budget.spend():
            raise Spent
        self.depth += 1
        if self.depth > LIMIT_NESTING:
            raise RecursionError
        value = _EVALUATE[type(node)](self, node)
        self.depth -= 1
        return value

    def does(self, kind: EffectKind, place: Place, because: str, target: str = "") -> None:
        self.found.append(Effect(kind=kind, place=place, target=target, because=because))

    def code(self, value: Value, language: Language = Language.POWERSHELL) -> Value:
        """What happens where a value is run as code."""
        if value.block is not None:
            return self.call(value.block, ())
        if value.marks & Mark.NETWORK:
            kind = EffectKind.REMOTE_SHELL if self.trail.opens_connection else EffectKind.EXECUTE
            self.does(kind, Place.HOST, "runs what comes from another machine as code")
            return Value(marks=Mark.NETWORK)
        if value.marks & Mark.DECODED:
            self.does(EffectKind.EXECUTE, Place.NOTHING, "runs what it has decoded as code")
        out = EMPTY
        for text in texts(value)[:LIMIT_TURNS]:
            if HOLE in text or (text[:1] == "%" and text[-1:] == "%"):
                self.found.append(unknown("runs text as code that is only known when it runs"))
            if text.strip(HOLE + " \n"):
                out = self.inline(text.replace(HOLE, "$__unknown"), language)
        return out

    def inline(self, text: str, language: Language) -> Value:
        if language is not Language.POWERSHELL:
            self.found += self.scene.inside(language, text)
            return UNKNOWN
        if self.scene.depth + 1 > LIMIT_DEPTH:
            self.found.append(unknown("code in code in code: deeper than is looked into"))
            return UNKNOWN
        before = self.scene
        self.scene = replace(before, depth=before.depth + 1)
        out = self.run(read(text))
        self.scene = before
        return out

    def call(
        self, block: Block, arguments: Sequence[Value], named: Mapping[str, Value] | None = None, piped: Value | None = None
    ) -> Value:
        """A script block or a function, with its parameters in place."""
        if self.calls >= LIMIT_CALLS:
            return UNKNOWN
        before = dict(self.variables)
        rest = list(arguments)
        for parameter in block.parameters:
            given = (named or {}).get(parameter)
            if given is None and rest:
                given = rest.pop(0)
            if given is not None:
                self.variables[parameter] = given
            else:
                self.variables.pop(parameter, None)
        self.variables["args"] = array(rest)
        if piped is not None:
            self.variables["_"] = self.variables["input"] = self.variables["psitem"] = piped
        self.calls += 1
        out = self.run(block.body)
        self.calls -= 1
        for name in (*block.parameters, "args", "_", "input", "psitem"):
            if name in before:
                self.variables[name] = before[name]
            else:
                self.variables.pop(name, None)
        return out

    def each(self, block: Block, piped: Value) -> Value:
        """A block for each item that comes through a pipe."""
        items = items_of(piped)
        limit = LIMIT_TURNS if _has_command(block.body) else LIMIT_LETTERS
        if len(items) > limit or piped is EMPTY:
            items = [Value(marks=piped.marks)]
        if len(items) == 1 and HOLE in items[0].text:
            self.forget(block.body)
        return (
            array([self.call(block, (), piped=item) for item in items])
            if len(items) > 1
            else self.call(block, (), piped=items[0])
        )

    def forget(self, body: Sequence[Node]) -> None:
        """Variables that a loop changes are not what they were before it."""
        for name in _assigned(body):
            if name in self.variables:
                self.variables[name] = Value(marks=self.variables[name].marks, kind=self.variables[name].kind)

    # ---- one method a kind of node ---------------------------------------------------------------

    def _pipeline(self, node: tree.Pipeline) -> Value:
        piped: Value | None = None
        for stage in node.stages:
            if isinstance(stage, tree.Command):
                piped = self.command(self, stage, piped)
            elif isinstance(stage, tree.Block) and piped is not None:
                piped = self.each(stage, piped)
            else:
                piped = self.value(stage)
        return piped if piped is not None else EMPTY

    def _command(self, node: tree.Command) -> Value:
        return self.command(self, node, None)

    def _assign(self, node: tree.Assign) -> Value:
        value = self.value(node.value)
        self.assign(node.target, node.op, value)
        return EMPTY

    def assign(self, target: Node, op: str, value: Value) -> None:
        if isinstance(target, tree.Cast):
            return self.assign(target.of, op, cast(target.type, value))
        if isinstance(target, tree.Array):
            given = items_of(value)
            for index, one in enumerate(target.items):
                self.assign(one, op, given[index] if index < len(given) else Value(marks=value.marks))
            return None
        if isinstance(target, tree.Var):
            self.set(target.name, op, value)
        elif isinstance(target, tree.Member):
            self.assign_member(target, value)
        elif isinstance(target, tree.Index):
            self.assign_index(target, value)
        return None

    def set(self, name: str, op: str, value: Value) -> None:
        scope, _, rest = name.partition(":")
        name = rest if rest and scope in ("global", "script", "local", "private", "variable", "using") else name
        if scope == "env" and rest in objects().loading:
            self.does(EffectKind.EXECUTE, Place.NOTHING, "sets a variable that decides which code programs load")
        if scope == "function":
            if value.block is not None:
                self.functions[rest] = value.block
            return
        if scope == "alias":
            self.aliases[rest] = value.text
            return
        if op == "=":
            self.variables[name] = value
            return
        before = self.variables.get(name, EMPTY if op == "+=" else UNKNOWN)
        if op == "+=":
            self.variables[name] = added(before, value) if name in self.variables else value
        elif op == "??=":
            self.variables.setdefault(name, value)
        else:
            self.variables[name] = arithmetic(op[:1], before, value)

    def assign_member(self, target: tree.Member, value: Value) -> None:
        owner = self.value(target.of)
        name = target.name.value if isinstance(target.name, tree.Const) else self.value(target.name).text
        name = str(name).lower()
        if name in objects().times:
            self.does(EffectKind.EVADE, Place.NOTHING, "changes when a file seems to have been written")
        elif name == "attributes" or (name == "isreadonly" and value.text == "False"):
            self.does(
                EffectKind.EVADE if name == "attributes" else EffectKind.PERMISSION,
                Place.NOTHING,
                "changes the attributes of files",
            )
        elif name in ("servercertificatevalidationcallback", "servercertificatecustomvalidationcallback"):
            self.does(EffectKind.EVADE, Place.NOTHING, "switches off the checking of certificates")
        if isinstance(target.of, tree.Var):
            self.variables[target.of.name] = replace(
                owner, pairs={**(owner.pairs or {}), name: value}, marks=owner.marks | value.marks
            )

    def assign_index(self, target: tree.Index, value: Value) -> None:
        if isinstance(target.of, tree.Var):
            owner = self.variables.get(target.of.name, UNKNOWN)
            key = self.value(target.at).text.lower()
            pairs = {**(owner.pairs or {}), key: value}
            self.variables[target.of.name] = replace(owner, pairs=pairs, marks=owner.marks | value.marks)

    def _branches(self, node: tree.Branches) -> Value:
        self.run(node.before)
        start = dict(self.variables)
        after = start
        outputs: list[Value] = []
        for body in node.bodies:
            self.variables = dict(start)
            outputs.append(self.run(body))
            after = self.merged(after, self.variables)
        self.variables = after
        given = [value for value in outputs if value is not EMPTY]
        out = given[0] if given else EMPTY
        for value in given[1:]:
            out = either(out, value)
        return out

    @staticmethod
    def merged(one: dict[str, Value], other: dict[str, Value]) -> dict[str, Value]:
        found = dict(one)
        for name, value in other.items():
            before = one.get(name)
            found[name] = value if before is None or before is value else either(before, value)
        return found

    def _loop(self, node: tree.Loop) -> Value:
        source = self.run(node.source)
        if not node.variable:
            self.forget([*node.body, *node.source])
            return self.run(node.body)
        items = items_of(source) if source is not EMPTY else [UNKNOWN]
        limit = LIMIT_TURNS if _has_command(node.body) else LIMIT_LETTERS
        if len(items) > limit or any(HOLE in item.text for item in items) or source.marks & Mark.CHOICE:
            self.forget(node.body)
            items = items[:1] if len(items) == 1 else [replace(array(items[:8]), marks=source.marks | Mark.CHOICE)]
        outputs = []
        for item in items:
            self.variables[node.variable] = item
            outputs.append(self.run(node.body))
        given = [value for value in outputs if value is not EMPTY]
        return EMPTY if not given else given[0] if len(given) == 1 else array(given)

    def _function(self, node: tree.Function) -> Value:
        self.functions[node.name] = node.block
        return EMPTY

    def _statements(self, node: tree.Sequence) -> Value:
        return self.run(node.body)

    def _bad(self, node: tree.Bad) -> Value:
        if any(sign.isalpha() for sign in node.text):
            self.found.append(unknown("a part of the script that can't be read"))
        return EMPTY

    def _group(self, node: tree.Group) -> Value:
        return self.run(node.body)

    def _const(self, node: tree.Const) -> Value:
        if isinstance(node.value, str):
            return of(node.value)
        return EMPTY if node.value is None else number(node.value)

    def _template(self, node: tree.Template) -> Value:
        marks = Mark.NONE
        out: list[str] = []
        for part in node.parts:
            value = self.value(part)
            marks |= value.marks & ~Mark.CHOICE
            if value.marks & Mark.CHOICE and value.items:
                value = value.items[0]
            out.append(value.text)
        return of("".join(out), marks)

    def _var(self, node: tree.Var) -> Value:
        name = node.name
        scope, _, rest = name.partition(":")
        if rest and scope in ("global", "script", "local", "private", "using", "variable"):
            name = rest
        if name in self.variables:
            return self.variables[name]
        if scope == "env" and rest:
            return of(f"%{rest}%")
        if scope == "function" and rest in self.functions:
            return Value(block=self.functions[rest])
        return of(_AUTOMATIC[name]) if name in _AUTOMATIC else UNKNOWN

    def _array(self, node: tree.Array) -> Value:
        values = [self.value(item) for item in node.items]
        if len(values) == 1 and isinstance(node.items[0], tree.Group):  # @( )
            return values[0] if values[0].items is not None else array(values) if values[0] is not EMPTY else array(())
        return array(values)

    def _hash(self, node: tree.Hash) -> Value:
        pairs = {self.value(key).text.lower(): self.value(value) for key, value in node.pairs}
        marks = Mark.NONE
        for value in pairs.values():
            marks |= value.marks & ~Mark.CHOICE
        return Value(pairs=pairs, marks=marks)

    def _type(self, node: tree.Type) -> Value:
        return Value(text=node.name, kind="type")

    def _member(self, node: tree.Member) -> Value:
        owner = self.value(node.of)
        name = str(node.name.value) if isinstance(node.name, tree.Const) else self.value(node.name).text.lower()
        if owner.kind == "type":
            return self.static_member(owner.text, name)
        if owner.pairs is not None and name in owner.pairs:
            return owner.pairs[name]
        if name in ("length", "count"):
            known = usual(owner)
            return number(len(owner.items)) if owner.items is not None else number(len(known.text)) if known.is_known else UNKNOWN
        if name in objects().same or owner.kind == "reflection":
            return owner
        return Value(marks=owner.marks, kind=owner.kind)

    def static_member(self, kind: str, name: str) -> Value:
        kind = kind.lower().removeprefix("system.")
        if kind == "text.encoding":
            return Value(kind=f"encoding:{name}")
        if kind == "environment":
            return of(
                {
                    "newline": "\n",
                    "username": "%USERNAME%",
                    "machinename": "%COMPUTERNAME%",
                    "systemdirectory": "%SystemRoot%\\System32",
                }.get(name, HOLE)
            )
        if kind in ("io.path", "char"):
            return of("\\") if "separator" in name else UNKNOWN
        if kind == "string":
            return of("")
        if kind in ("microsoft.win32.registry", "win32.registry"):
            return of({"localmachine": "HKLM:", "currentuser": "HKCU:"}.get(name, HOLE))
        if kind == "ref" or name == "assembly":
            return Value(kind="reflection")
        return of(name)

    def _index(self, node: tree.Index) -> Value:
        return indexed(self.value(node.of), self.value(node.at))

    def _binary(self, node: tree.Binary) -> Value:
        left, right, op = self.value(node.left), self.value(node.right), node.op
        if op == "+":
            return added(left, right)
        if op == "f":
            return formatted(left, right)
        if op == "join":
            return joined(left, right.text)
        if op == "replace":
            return replaced(left, right, literal=False)
        if op == "split":
            return split(left, items_of(right)[0].text if items_of(right) else "", literal=False)
        if op == "..":
            return spread(left, right)
        if op == "as":
            return cast(right.text, left)
        if op in ("-", "*", "/", "%", "bxor", "band", "bor", "shl", "shr"):
            return arithmetic(op, left, right)
        return Value(marks=(left.marks | right.marks) & ~Mark.CHOICE) if op in ("match", "like") else of(HOLE)

    def _unary(self, node: tree.Unary) -> Value:
        value = self.value(node.of)
        if node.op == "join":
            return joined(value, "")
        if node.op == "split":
            return array([of(part, value.marks) for part in value.text.split()])
        return arithmetic("-", number(0), value) if node.op == "-" else UNKNOWN

    def _cast(self, node: tree.Cast) -> Value:
        value = self.value(node.of)
        if node.type == "scriptblock" and value.block is None:
            return replace(value, kind="scriptblock")
        if node.type in ("adsi", "adsisearcher", "wmiclass", "wmi", "xml", "type", "wmisearcher"):
            return self.method(self, Value(text=node.type, kind="type"), "new", True, (value,), ())
        return cast(node.type, value)

    def _block(self, node: Block) -> Value:
        return Value(text=HOLE, block=node)

    def _parameter(self, node: tree.Parameter) -> Value:
        return of(node.text)

    def _invoke(self, node: tree.Invoke) -> Value:
        owner = self.value(node.of)
        name = str(node.name.value) if isinstance(node.name, tree.Const) else self.value(node.name).text
        arguments = [self.value(argument) for argument in node.arguments]
        return self.method(self, owner, name.lower().strip(), node.static, arguments, (node.of, *node.arguments))


_EVALUATE: Mapping[type, Callable[[Walk, Any], Value]] = {  # each takes its own kind of node
    tree.Pipeline: Walk._pipeline,
    tree.Command: Walk._command,
    tree.Assign: Walk._assign,
    tree.Branches: Walk._branches,
    tree.Loop: Walk._loop,
    tree.Function: Walk._function,
    tree.Sequence: Walk._statements,
    tree.Bad: Walk._bad,
    tree.Group: Walk._group,
    tree.Const: Walk._const,
    tree.Template: Walk._template,
    tree.Var: Walk._var,
    tree.Array: Walk._array,
    tree.Hash: Walk._hash,
    tree.Type: Walk._type,
    tree.Member: Walk._member,
    tree.Index: Walk._index,
    tree.Binary: Walk._binary,
    tree.Unary: Walk._unary,
    tree.Cast: Walk._cast,
    tree.Block: Walk._block,
    tree.Parameter: Walk._parameter,
    tree.Invoke: Walk._invoke,
}


def parts_of(node: object) -> list[object]:
    """What a node is made of."""
    if isinstance(node, (list, tuple)):
        return list(node)
    names = getattr(type(node), "__slots__", ())
    return [getattr(node, name) for name in names]


def _nodes(body: object) -> "list[object]":
    found: list[object] = []
    todo = [body]
    while todo and len(found) < 2_000:
        node = todo.pop()
        if isinstance(node, (str, int, float, bool, type(None))):
            continue
        found.append(node)
        todo += parts_of(node)
    return found


def _has_command(body: Sequence[Node]) -> bool:
    return any(isinstance(node, (tree.Command, tree.Invoke)) for node in _nodes(body))


def _assigned(body: Sequence[Node]) -> list[str]:
    return [node.target.name for node in _nodes(body) if isinstance(node, tree.Assign) and isinstance(node.target, tree.Var)]


def literals(body: object) -> list[str]:
    """The strings that stand in a piece of script."""
    return [node.value for node in _nodes(body) if isinstance(node, tree.Const) and isinstance(node.value, str)]
