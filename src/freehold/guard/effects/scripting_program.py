"""Follows the calls of a program in a language of functions and objects: the part that is the same in all of them.

A function of the program is walked where it is called, with what it is called with, and once with nothing known if nobody calls
it. A call of a library's function is looked up in the language's table; one that is not there passes on the marks of what it was
given, and calls what it was given to call. Reading the syntax is left to the languages: `python_walk`, `javascript_walk`, and
`scripting`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import A_TEMP_FOLDER, HOLE
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.scripting_sinks import Given, Sinks, quoted
from freehold.guard.effects.scripting_table import Call
from freehold.guard.effects.scripting_values import (
    DECODED,
    ENVIRONMENT,
    FILE,
    FOREIGN,
    NETWORK,
    NOTHING,
    SECRET,
    SOCKET,
    Value,
    either,
    marked,
    marks_of,
)
from freehold.guard.syntax import Language

A_TEMP_FILE = f"{A_TEMP_FOLDER}/made.XXXX"
LIMIT_CALLS = 6  # ways of calling one function that are followed; then it is walked once with nothing known
LIMIT_CALL_DEPTH = 8
LIMIT_EACH = 1_024  # elements of a list that a function is worked out for
# Objects whose methods are too many to list.
CLOUDS = frozenset(("<cloud>", "<service>", "<docker>", "<git>", "<fabric>", "<mongo>"))
# Libraries of clouds and clusters: their classes are clients, by whichever of a hundred names.
CLOUD_LIBRARIES = ("@aws-sdk/", "@azure/", "@google-cloud/", "@kubernetes/", "azure.", "google.cloud.", "kubernetes.")
# Mean the same whoever has them.
BLATANT = frozenset(("system", "popen", "rmtree", "deleteMany", "delete_many", "dropDatabase", "drop_database"))
DECODING = ("decrypt", "decode", "decompress", "unhexlify", "deobfuscate", "unpack", "inflate", "b64", "base64")


@lru_cache(maxsize=1024)
def _decodes(method: str) -> bool:
    return any(word in method for word in DECODING)


@dataclass(slots=True, eq=False)
class Routine:
    """A function of the program. `names` are the scopes that it sees, `node` its syntax; `owner` the class it is a method of."""

    node: object
    names: "tuple[dict[str, Value], ...]"
    owner: Value | None = None
    done: dict[object, Value] = field(default_factory=dict)  # what it returned, by what it was given
    is_running: bool = False


@dataclass(slots=True, eq=False)
class Kind:
    """A class of the program, and what its objects hold: one set of attributes for all."""

    parts: dict[str, Value] = field(default_factory=dict)
    bases: list[Value] = field(default_factory=list)


class Program:
    """One program. A language adds how its syntax is walked, and its tables."""

    language: ClassVar[Language]
    table: Mapping[str, Call]
    folds: ClassVar[Mapping[str, Callable[[Given], Value]]]
    special: ClassVar[Mapping[str, Callable[..., Value]]]  # (program, name, given): what needs the walk itself
    showing: ClassVar[frozenset[str]] = frozenset()  # calls that show what they are given to whoever started the program

    def __init__(self, scene: Scene) -> None:
        self.sinks = Sinks(scene, self.language)
        self.names: dict[str, Value] = {}
        self.outer: tuple[dict[str, Value], ...] = ()
        self.routines: list[Routine] = []
        self.results: list[Value] = []
        self.loops = 0  # around the statement
        self.depth = 0  # of calls
        self.nested = scene.depth  # of texts in texts
        self.is_each = False  # a function is worked out for each element of a list
        self.is_spent = False

    def finish(self) -> None:
        """Functions that nobody called, with nothing known of what they are given."""
        at = 0
        while at < len(self.routines):
            routine = self.routines[at]
            at += 1
            if not routine.done:
                self.enter(routine, Given())

    def command(self, text: str) -> None:
        """A line for a shell that stands in the program itself."""
        self.sinks.command("a line for the shell", Value(text), is_shell=True)

    def goes_on(self) -> bool:
        """Whether there is work left for one more statement; says so once where there is none."""
        if self.sinks.scene.budget.spend():
            return True
        if not self.is_spent:
            self.is_spent = True
            self.sinks.add_unknown("more statements than are followed")
        return False

    # What a language adds.

    def body(self, routine: Routine, given: Given) -> None:
        """Binds the parameters and walks the body; what it returns goes to `results`."""
        raise NotImplementedError

    def canonical(self, name: str) -> str:
        """One name of a function that has several."""
        return name

    def attribute(self, owner: Value, name: str) -> Value:
        """What is under a name in an object, where the language has one."""
        raise NotImplementedError

    def method(self, receiver: Value, name: str, given: Given) -> Value | None:
        """Of a text or a list whose value is known; None where there is nothing to work out."""
        return None

    def prepared(self, call: Call, given: Given) -> Given:
        """The arguments as the table counts them."""
        return given

    # Calls.

    def enter(self, routine: Routine, given: Given) -> Value:
        """What it returns. It is walked once for each way of calling it, within bounds."""
        key = _key_of(given)
        if key in routine.done:
            return routine.done[key]
        if len(routine.done) >= LIMIT_CALLS and not self.is_each:
            given, key = Given(receiver=given.receiver), None
            if key in routine.done:
                return marked(marks_of(routine.done.values()))
        if routine.is_running or self.depth >= LIMIT_CALL_DEPTH or not self.sinks.scene.budget.spend(5):
            return marked(given.marks())
        routine.done[key] = marked(given.marks())
        routine.is_running = True
        names, outer, results, loops = self.names, self.outer, self.results, self.loops
        self.names, self.outer, self.results, self.loops = {}, routine.names, [], 0
        self.depth += 1
        self.body(routine, given)
        result = either(self.results) if self.results else NOTHING
        self.depth -= 1
        self.names, self.outer, self.results, self.loops = names, outer, results, loops
        routine.is_running = False
        routine.done[key] = result
        return result

    def each(self, function: Value, items: Sequence[Value]) -> Value:
        """A list of what a function gives for each of a list that is known: letters being put together, say."""
        if len(items) > LIMIT_EACH or not self.sinks.scene.budget.spend(len(items)):
            return marked(marks_of(items))
        before, self.is_each = self.is_each, True
        found = [self.call(function, Given([item]), "") for item in items]
        self.is_each = before
        return Value(items=found)

    def call_method(self, receiver: Value, name: str, given: Given) -> Value:
        """Of each object that the receiver may be."""
        if not receiver.others:
            return self.call_each(self.attribute(receiver, name), given, name)
        alone = [(one, Given(given.values, given.named, one)) for one in receiver.each()]
        return either([self.call_each(self.attribute(one, name), its, name) for one, its in alone])

    def call_each(self, callee: Value, given: Given, attribute: str) -> Value:
        """Of each function that the callee may be."""
        if not callee.others:
            return self.call(callee, given, attribute)
        return either([self.call(one, given, attribute) for one in callee.each()])

    def call(self, callee: Value, given: Given, attribute: str) -> Value:
        """`attribute` is the method's name where it is one."""
        code = callee.code
        if isinstance(code, Routine):
            return self.enter(code, given)
        if isinstance(code, Kind):
            return self._made(code, callee, given)
        name = self.canonical(callee.name)
        if attribute and given.receiver.name[:1] != "<":
            folded = self.method(given.receiver, attribute, given)
            if folded is not None:
                return folded
        special = self.special.get(name) or self.special.get(f"?.{attribute}")
        if special is not None:
            return special(self, name, given)
        fold = self.folds.get(name)
        if fold is not None:
            return fold(given)
        call = self.table.get(name)
        if call is None and attribute:
            call = self._by_method(given.receiver, name, attribute)
        if call is not None:
            return self._listed(call, given, name)
        return self._not_listed(callee, name, given, attribute)

    def _by_method(self, receiver: Value, name: str, attribute: str) -> Call | None:
        """By the method's name alone, where it is not known what kind of object has it."""
        kind = receiver.name
        if kind.startswith("<") and (root := kind[: kind.find(">") + 1]) in CLOUDS:
            return self.table.get(f"{root}.{attribute}") or Call(f"{root}.{attribute}", (), is_alike=True, makes=kind)
        if kind.endswith("()") or not kind or kind[:1] in ("?", "<") or attribute in BLATANT:
            return self.table.get(f"?.{attribute}") or self.table.get(f"?.{kind.rpartition('.')[2]}.{attribute}")
        return None

    def _listed(self, call: Call, given: Given, name: str) -> Value:
        before = len(self.sinks.effects)
        if call.is_alike:
            self.sinks.alike(name, given)
        given = self.prepared(call, given)
        self.sinks.call(call, given)
        for clause in call.clauses:
            if clause.word == "calls":
                self.pass_on(given.get(clause.argument), clause.argument, given)
        marks = call.marks | given.receiver.marks
        result = Value(marks=marks, name=call.makes or f"{name}()")
        match call.makes:
            case "<file>":
                path = given.get(call.clauses[0].argument) if call.clauses else None
                is_temp = path is None and call.clauses and call.clauses[0].place is Place.TEMP
                const = A_TEMP_FILE if is_temp else path.const if path else NOTHING.const
                result = Value(const, self.sinks.marks_of_file(path or NOTHING), "<file>")
            case "<process>":
                line = _line_of(given.get((0, "args")) or NOTHING)
                result = Value(line, marks | self.printed(before), "<process>")
                self.feed(result, given.named.get("input"))
                self._streams(given)
            case "<temp>":
                result = Value(A_TEMP_FILE)
            case "<request>":  # kept with what it is made of, for whoever sends it
                result = Value((given.get((0, "url")) or NOTHING).const, given.marks(), call.makes, dict(given.named))
            case "<cloud>" | "<accepted>":
                result.marks |= marks_of(given.values) & FOREIGN
            case _:
                if any(clause.word in ("shell", "command", "argv") for clause in call.clauses):
                    result.marks |= self.printed(before)
        if call.name == "<socket>.accept":
            return Value(items=[Value(marks=NETWORK | SOCKET, name="<socket>"), NOTHING])
        if call.passes:
            return given.first()
        if call.marks & FILE and call.clauses:
            result.marks |= self.sinks.marks_of_file(given.get(call.clauses[0].argument) or NOTHING)
        return result

    def printed(self, before: int) -> int:
        """Where what a command prints came from, by what it does."""
        marks = 0
        for effect in self.sinks.effects[before:]:
            if effect.kind is EffectKind.DOWNLOAD:
                marks |= NETWORK
            elif effect.kind is EffectKind.READ and effect.place is Place.CREDENTIAL:
                marks |= SECRET
        return marks

    def feed(self, process: Value, text: Value | None) -> None:
        """What is written to a program's standard input: a script, if it is an interpreter."""
        line = process.text()
        if text is not None and line:
            shown = text.text()
            self.sinks.command(
                "standard input", Value(f"{line} <<< {quoted(shown or HOLE)}", text.marks & FOREIGN), is_shell=True
            )

    def _streams(self, given: Given) -> None:
        for name in ("stdin", "stdout", "stderr"):
            stream = given.named.get(name)
            if (stream is not None and stream.marks & SOCKET) or (stream is not None and stream.name.startswith("<socket>")):
                self.sinks.add(EffectKind.REMOTE_SHELL, because="a program's input and output are tied to a connection")
                return

    def pass_on(self, function: Value | None, argument: Sequence[int | str], given: Given) -> None:
        """Calls what a function is given to call: `Thread(target=f, args=(x,))`, `map(f, xs)`."""
        if function is None:
            return
        place = argument[0] if isinstance(argument[0], int) else 1
        arguments = given.named.get("args")
        rest = (
            list(arguments.items)
            if arguments is not None and isinstance(arguments.items, list)
            else list(given.values[place + 1 :])
        )
        if place == 0 and rest and isinstance(rest[0].items, list) and len(rest) == 1:
            rest = [self.element(rest[0])]
        for one in function.each():
            self.call(one, Given(rest), "")

    def _not_listed(self, callee: Value, name: str, given: Given, attribute: str) -> Value:
        marks = given.marks()
        if callee.marks & FOREIGN and callee.code is None and not attribute:
            self.sinks.add(EffectKind.EXECUTE, because="calls a function made of what came from elsewhere")
        if name.startswith("<hidden>") or name.endswith(".?"):
            self.sinks.add_unknown("calls a function that is chosen at run time among those that can do anything")
        if marks & ENVIRONMENT and name in self.showing:
            self.sinks.add(EffectKind.READ, Place.CREDENTIAL, "shows all variables of the environment")
        for value in (*given.values, *given.named.values()):
            self._referred(value)
        if attribute and _decodes(attribute):
            marks |= DECODED
        if given.receiver.name.endswith("()"):
            given.receiver.marks |= marks  # an object that was given something may have kept it
        if attribute == "execute" and given.values:
            self._maybe_statement(given)
        if attribute in ("write", "communicate", "writelines", "send") or name.endswith(".write"):
            self._written(given)
        if name.startswith("?") or not name:
            return marked(marks)
        if name.startswith(CLOUD_LIBRARIES) and (made := name.rpartition(".")[2])[:1].isupper():
            if made.endswith("Command"):  # a request, made to be sent: `client.send(new DeleteBucketCommand({…}))`
                self.sinks.alike(made, given)
            return Value(marks=marks, name="<cloud>")
        return Value(marks=marks, name=f"{name}()")

    def _referred(self, value: Value) -> None:
        """A function given to something that is not known may be called by it."""
        if value.code is None and value.name and value.const.__class__ is not str:
            call = self.table.get(self.canonical(value.name))
            if call is not None and any(clause.word in ("shell", "command", "code") for clause in call.clauses):
                self.sinks.call(call, Given([NOTHING]))

    def _maybe_statement(self, given: Given) -> None:
        for one in given.values[0].each():
            text = one.text()
            if text is not None:
                self.sinks.statement("execute", one)

    def _written(self, given: Given) -> None:
        receiver = given.receiver
        if receiver.name == "<file>":
            self.sinks.writes(receiver, marks_of(given.values))
        elif receiver.name.startswith("<process>") and given.values:
            self.feed(receiver, given.values[0])

    def _made(self, kind: Kind, owner: Value, given: Given) -> Value:
        start = self.part(kind, "__init__")
        if start is not None and isinstance(start.code, Routine):
            self.enter(start.code, given)
        for base in kind.bases:
            if base.code is None and base.name:
                call = self.table.get(base.name)
                if call is not None:
                    self.sinks.call(call, given)
        return Value(name=owner.name, code=kind, marks=owner.marks)

    # Parts of values.

    def part(self, kind: Kind, name: str, depth: int = 4) -> Value | None:
        found = kind.parts.get(name)
        if found is not None:
            return found
        for base in kind.bases:
            if isinstance(base.code, Kind) and depth:
                found = self.part(base.code, name, depth - 1)
            elif base.name:
                call = self.table.get(f"{base.name}.{name}") or self.table.get(f"{base.name}().{name}")
                found = Value(name=call.name) if call is not None else None
            if found is not None:
                return found
        return None

    def element(self, value: Value) -> Value:
        """Any one of what is in it."""
        if value.name == "<paths>":
            return Value(value.const, value.marks)
        if isinstance(value.items, dict):
            return either([Value(key) for key in list(value.items)[:64] if isinstance(key, str | int | bytes)])
        if isinstance(value.items, list):
            return either(value.items[:64]) if value.items else marked(value.marks)
        if value.name.startswith(tuple(CLOUDS)):
            return Value(marks=value.marks, name=value.name)  # one of its objects
        return marked(value.marks)


def _key_of(given: Given) -> object:
    if not given.values and not given.named:
        return None
    return (
        tuple(
            (value.const if isinstance(value.const, str | int | bytes) else id(value), value.marks, value.name)
            for value in given.values
        ),
        tuple((str(name), id(value)) for name, value in given.named.items()),
    )


def _line_of(value: Value) -> object:
    if isinstance(value.items, list):
        return " ".join(quoted(item.shown()) for item in value.items[:64])
    return value.const
