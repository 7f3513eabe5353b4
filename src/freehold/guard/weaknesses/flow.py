"""Reads a program in its order and says where a rule holds: what comes from outside, where it goes, what was done to it.

Branches are read apart and joined; one that a constant decides is read alone. A loop is read twice. Names, fields of the object
at hand and items of containers under constant keys are told apart; nothing else is known of memory. The work is bounded.

What a call *is* (a sink, a source, a sanitiser) is data: see `rules.py`, and `matching.py` for whether a rule holds. Calls of the
file's own functions are followed in `functions.py`; what a condition tells is decided in `conditions.py`; what the built-in
operations of the languages do to texts and containers is in `library.py`. Here is what is kept of a program while it is read:
its variables, its functions under way, how control leaves, the work that is left. What a node does to that is in `reading/`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from freehold.guard.weaknesses import library
from freehold.guard.weaknesses.conditions import Conditions
from freehold.guard.weaknesses.functions import THIS, Frame, Functions
from freehold.guard.weaknesses.ir import Cast, Join, Member, Name, Node, Unary
from freehold.guard.weaknesses.lower import Lowering
from freehold.guard.weaknesses.matching import Hit, Matching
from freehold.guard.weaknesses.reading import assignments, calls, definitions, expressions, statements
from freehold.guard.weaknesses.rules import Rules
from freehold.guard.weaknesses.special import Special
from freehold.guard.weaknesses.values import Value, merged

LIMIT_STEPS = 100_000  # expressions read, and what is kept of them at branches; a file of 4 KB takes some 2,000

Readers = Mapping[type[Node], Callable[["Flow", Any], Value]]  # by kind of node; each takes its own


class OutOfSteps(Exception):
    """The program takes more work than it gets."""


class Flow:
    """One program, once."""

    def __init__(self, lowering: Lowering, rules: Rules, source: bytes, special: type[Special] = Special) -> None:
        self.rules, self.source = rules, source
        self.this, self.plus_joins = lowering.grammar.this, lowering.grammar.plus_joins
        self.env: dict[str, Value] = {}
        self.globals: dict[str, Value] = {}
        self.imports: dict[str, str] = {}
        self.frames: list[Frame] = [Frame(None)]
        # Of the function at hand: expressions that a condition told something of, as they are written; by the name of what was
        # parsed or resolved, of what; by the name of what came of a test, of which.
        self.asked: set[str] = set()
        self.origins: dict[str, Node] = {}
        self.tests: dict[str, Node] = {}
        self.left: str | None = None  # how control left the block at hand
        self.steps = self.limit_steps = LIMIT_STEPS
        self.text = source.decode("utf-8", "replace")
        self.matching = Matching(self)
        self.conditions = Conditions(self)
        self.functions = Functions(self, lowering)
        self.special = special(self)

    def run(self, root: Node) -> None:
        """Raises OutOfSteps, and RecursionError."""
        self.value(root)
        self.globals.update(self.env)
        for func in self.functions.unread():
            self.functions.read_alone(func)

    def close(self) -> list[Hit]:
        """What was found. Lets go of what refers back to this, so that a program is not kept until a collector comes."""
        found = list(self.matching.found.values())
        del self.matching, self.conditions, self.functions, self.special
        return found

    def value(self, node: Node) -> Value:
        self.steps -= 1
        if self.steps < 0:
            raise OutOfSteps
        return _READERS[type(node)](self, node)

    def key_of(self, node: Node) -> str | None:
        """By what name a variable or a field of an object is kept."""
        if isinstance(node, Name):
            return node.id if node.id in self.env or THIS + node.id not in self.env else THIS + node.id
        if isinstance(node, Member) and isinstance(node.obj, Name):
            return THIS + node.name if node.obj.id in self.this else f"{node.obj.id}.{node.name}"
        if isinstance(node, Unary | Cast):
            return self.key_of(node.value)
        if isinstance(node, Join) and isinstance(node.parts[0], Name):  # a place in what a pointer points to
            return self.key_of(node.parts[0])
        return None

    def field(self, of: Value, name: str) -> Value:
        """Of an object, by its name."""
        if of.items is not None and name in of.items:
            return of.items[name]
        if name == "__dict__":
            return of
        path = f"{of.path}.{name}"
        found = self.rules.sources.find(name, path)
        if found:
            return Value(max(found), path=path)
        if (known := self.special.named(path)) is not None:
            return known
        if of.path in self.this or name in library.SIZES:
            return Value(path=path)
        return Value(of.level, of.clean, path=path)

    def type_path(self, kind: str) -> str:
        """How rules know what is declared to be of a type."""
        path = self.imports.get(kind, kind)
        types = self.rules.file.types
        return types.get(path.rpartition(".")[2], path) if types else path

    def write(self, target: Node, value: Value) -> None:
        key = self.key_of(target)
        if key is not None and key not in self.this:
            self.env[key] = value
            if self.asked or self.origins or self.tests:
                self._forget(key)
            if key in self.globals and len(self.frames) > 1:
                self.globals[key] = value

    def _forget(self, key: str) -> None:
        """What was told of a variable that has a new value now."""
        for asked in self.asked:
            if key in asked:
                self.env.pop(asked, None)
        for told in (self.origins, self.tests):
            for name in [name for name, node in told.items() if name == key or key in self.written(node)]:
                del told[name]

    def written(self, node: Node) -> str:
        """An expression as it is written, to know it again; a name never looks so."""
        return self.source[node.at : node.end].decode("utf-8", "replace") + " "

    def known(self, node: Node) -> Value | None:
        """What a condition told of an expression that has no name."""
        return self.env.get(self.written(node)) if self.asked else None

    def forked(self, env: dict[str, Value]) -> dict[str, Value]:
        """What is known, for one of several ways to go on. It is work, as the joining is that follows."""
        self.steps -= len(env) >> 3
        return dict(env)

    def taken_left(self) -> str | None:
        """How control left what was just read; from here on it goes on."""
        left, self.left = self.left, None
        return left

    def meet(self, ends: Sequence[dict[str, Value]]) -> None:
        """Several ways to go on come together."""
        self.env = ends[0]
        for env in ends[1:]:
            self.env = self.merged(self.env, env)

    def merged(self, one: dict[str, Value], other: dict[str, Value]) -> dict[str, Value]:
        """Two ways come together: of an expression that only one was asked about nothing is known."""
        made = merged(one, other)
        for asked in self.asked:
            if asked in made and not (asked in one and asked in other):
                del made[asked]
        return made


_READERS: Readers = {**expressions.READERS, **calls.READERS, **assignments.READERS, **statements.READERS, **definitions.READERS}
