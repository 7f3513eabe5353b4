"""The rules: TOML tables in, indexed by the names they are about.

`data/kinds.toml` has the kinds of weakness; one file a language has what that language's libraries do. A rule names calls and
settings by *paths*, the way a program comes by them:

    "eval"                 the function itself, of no object
    "os.system"            the end of a path: also of "self.os.system", not of "macos.system"
    "*.execute"            of any object
    "requests.*"           anything of it
    "Statement.execute"    of an object that was made as one, or declared to be one

Which tables there are and what they may say is in docs/code.md, and in `CallRule` and `SetRule`.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
import re2

from freehold.core.errors import ConfigError
from freehold.guard.syntax import Language
from freehold.guard.weaknesses import library
from freehold.guard.weaknesses.kinds import Kind, kinds
from freehold.guard.weaknesses.values import LOCAL, PARAMETER, REMOTE, UNKNOWN
from freehold.guard.weaknesses.weakness import Severity

_LEVELS = {"unknown": UNKNOWN, "parameter": PARAMETER, "local": LOCAL, "remote": REMOTE, "never": 9}
_FILES: dict[Language, str] = {
    Language.PYTHON: "python",
    Language.GO: "go",
    Language.JAVASCRIPT: "javascript",
    Language.TYPESCRIPT: "javascript",
    Language.TSX: "javascript",
    Language.JAVA: "java",
    Language.RUBY: "ruby",
    Language.PHP: "php",
    Language.C: "c",
    Language.CPP: "c",
    Language.CSHARP: "csharp",
}


class Test(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A condition on an argument, by place, by name, or either. All that it says must hold; what is not known holds nothing.

    `like` and `unlike` are RE2, asked of a text, or of the name that stands there ("yaml.SafeLoader").
    """

    arg: int | str | tuple[int | str, ...] = 0
    is_: Any = msgspec.field(name="is", default=msgspec.UNSET)
    one_of: tuple[Any, ...] | None = None
    like: str | None = None
    unlike: str | None = None
    missing: bool = False
    given: bool = False
    below: float | None = None
    above: float | None = None
    constant: bool = False
    secret: bool = False  # a constant that looks like one, see secrets.py
    level: str | None = None


class CallRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[calls]]`: a call that is one in itself, or under `when`; with `args`, one that must not get what comes from outside.

    `args` are places, names, "*" for all, "this" for the object, "0.1" for the second item of the first,
    "1.shell" for an option in the second. `near` is RE2 over the function around it, `without` over the whole file: it must not
    be found. `with_` must be found there.
    """

    kind: str
    at: tuple[str, ...]
    args: tuple[int | str, ...] = ()
    when: tuple[Test, ...] = ()
    near: str | None = None
    without: str | None = None
    with_: str | None = msgspec.field(name="with", default=None)
    like: str | None = None  # what of the text must be there, around the holes
    unlike: str | None = None  # what makes the text a harmless one, holes and all
    whole: str | None = None
    built: str | None = None
    severity: Severity | None = None
    confidence: float | None = None


class SetRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[sets]]`: a variable, field, key or named argument that gets such a value."""

    kind: str
    at: tuple[str, ...]
    when: tuple[Test, ...] = ()
    args: tuple[str, ...] = ()  # ("value",), or "0.0" for the first item of a list: it must not get what comes from outside
    near: str | None = None
    without: str | None = None
    with_: str | None = msgspec.field(name="with", default=None)
    whole: str | None = None
    built: str | None = None
    severity: Severity | None = None
    confidence: float | None = None


class ImportRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[imports]]`: modules, by their whole names."""

    kind: str
    at: tuple[str, ...]


class CleanRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[cleans]]`: a call that makes safe for `kinds` under conditions."""

    kinds: str
    at: tuple[str, ...]
    when: tuple[Test, ...]


class Sources(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Paths whose values come from outside.

    `handlers` mark functions whose parameters do, `registers` are calls that are given such functions, `parameters` those
    themselves; `provided` those that a framework fills with the program's own objects, by type or default.
    """

    remote: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()  # as little is known of as of a parameter
    handlers: tuple[str, ...] = ()
    registers: tuple[str, ...] = ()
    parameters: str | None = None
    provided: str | None = None
    numbers: str | None = None  # declared types that can't carry text
    fills: tuple[str, ...] = ()  # calls that write what comes from outside into all their arguments


class RuleFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sources: Sources = Sources()
    types: dict[str, str] = {}  # declared types, and the name under which rules know what has one
    clean: tuple[str, ...] = ()  # calls whose result carries nothing of what they were given
    sanitisers: dict[str, tuple[str, ...]] = {}  # kind, or kinds with blanks between -> calls
    cleans: tuple[CleanRule, ...] = ()
    ignored_errors: float = 0.4  # how sure it is that an error caught and forgotten is a mistake
    checks: tuple[str, ...] = ()  # calls that tell good from bad when they are asked in a condition
    copies: tuple[str, ...] = ()  # calls that write what they are given into their first argument, or into their object
    exits: tuple[str, ...] = ()  # calls that do not come back
    renews: tuple[str, ...] = ()  # calls that fill what they are given with random bytes, or with what was read
    stored: tuple[str, ...] = ()  # calls that give what is kept under what they are given: a file's content, a record
    calls: tuple[CallRule, ...] = ()
    sets: tuple[SetRule, ...] = ()
    functions: tuple[SetRule, ...] = ()  # definitions, by what they always return: None, if they do nothing
    imports: tuple[ImportRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Path:
    """A pattern of paths."""

    written: str
    name: str  # the last part: "*" for anything
    of: str  # what must stand before it, "" for nothing at all, "*" for anything

    @classmethod
    def read(cls, written: str) -> "Path":
        of, dot, name = written.rpartition(".")
        return cls(written, name, of if dot else "")

    def holds(self, path: str) -> bool:
        """`path` has this name last, if this has one."""
        if not self.of:
            return path == self.name
        before = path.rpartition(".")[0]
        of = self.of
        if of == "*":
            return "." in path  # of what has no name of its own, too: ".html_safe"
        if of.startswith("*"):
            return before.lower().endswith(of[1:].lower())
        return before == of or (before.endswith(of) and before[-len(of) - 1] in "./\\:")


_KEPT_PATHS = 4096
_KEPT_CHARS = 200  # of a path: whoever writes the code chooses how long they are


@dataclass(slots=True)
class PathIndex:
    """Rules by the names of their paths."""

    by_name: dict[str, list[tuple[Path, Any]]] = field(default_factory=dict)
    of_any: list[tuple[Path, Any]] = field(default_factory=list)
    _known: dict[tuple[str, str], list[Any]] = field(default_factory=dict)  # a program calls the same things again and again

    def add(self, written: str, rule: Any) -> None:
        path = Path.read(written)
        place = self.of_any if path.name == "*" else self.by_name.setdefault(path.name, [])
        place.append((path, rule))

    def find(self, name: str, path: str) -> list[Any]:
        if (found := self._known.get((name, path))) is None:
            rules = (*self.by_name.get(name, ()), *self.of_any)
            found = [rule for pattern, rule in rules if pattern.holds(path)]
            if len(path) <= _KEPT_CHARS:
                if len(self._known) >= _KEPT_PATHS:
                    self._known.clear()
                self._known[name, path] = found
        return found

    def has(self, name: str, path: str) -> bool:
        entries = self.by_name.get(name)
        if entries is not None and any(pattern.holds(path) for pattern, _ in entries):
            return True
        return bool(self.of_any) and any(pattern.holds(path) for pattern, _ in self.of_any)


class CallFacts(msgspec.Struct, eq=False, kw_only=True):
    """All that rules, and names that mean the same everywhere, say of calls of one name and path."""

    name: str
    path: str
    calls: list[Any]
    sources: list[Any]
    sanitisers: list[Any]
    cleans: list[Any]
    fills: bool
    exits: bool
    renews: bool
    copies: bool
    stored: bool
    registers: bool
    does: bool = False  # something beside giving a value: a rule may hold, control may leave
    gives: bool = False  # what it gives may be known before the file's own function of that name is asked
    escapes: bool = False  # by its name

    def __post_init__(self) -> None:
        named_as = library.CALLERS | library.KEEPERS
        self.does = bool(self.calls) or self.fills or self.exits or self.renews or self.name in named_as
        is_ruled = bool(self.sources or self.sanitisers or self.cleans)
        self.gives = is_ruled or self.path in library.MODULES | library.FIELDS or self.name in library.WRAPS | library.REPLACES
        self.escapes = library.CLEANS.search(self.name) is not None


@dataclass(slots=True, kw_only=True)
class Rules:
    """One language's, ready to be asked."""

    file: RuleFile
    calls: PathIndex = field(default_factory=PathIndex)
    sets: PathIndex = field(default_factory=PathIndex)
    functions: PathIndex = field(default_factory=PathIndex)
    sources: PathIndex = field(default_factory=PathIndex)
    sanitisers: PathIndex = field(default_factory=PathIndex)
    cleans: PathIndex = field(default_factory=PathIndex)
    checks: PathIndex = field(default_factory=PathIndex)
    copies: PathIndex = field(default_factory=PathIndex)
    fills: PathIndex = field(default_factory=PathIndex)
    exits: PathIndex = field(default_factory=PathIndex)
    renews: PathIndex = field(default_factory=PathIndex)
    stored: PathIndex = field(default_factory=PathIndex)
    handlers: PathIndex = field(default_factory=PathIndex)
    registers: PathIndex = field(default_factory=PathIndex)
    imports: dict[str, str] = field(default_factory=dict)  # module -> kind
    _known: dict[tuple[str, str], CallFacts] = field(default_factory=dict)
    _numbers: dict[str, bool] = field(default_factory=dict)

    def is_number(self, declared: str) -> bool:
        """Whether what has this type can carry no text. Kept, as a program has few types."""
        if (known := self._numbers.get(declared)) is None:
            known = self.file.sources.numbers is not None and pattern(self.file.sources.numbers).fullmatch(declared) is not None
            if len(declared) <= _KEPT_CHARS:
                if len(self._numbers) >= _KEPT_PATHS:
                    self._numbers.clear()
                self._numbers[declared] = known
        return known

    def of_call(self, name: str, path: str) -> CallFacts:
        """Kept, as a program calls the same things again and again."""
        if (known := self._known.get((name, path))) is None:
            known = CallFacts(
                name=name,
                path=path,
                calls=self.calls.find(name, path),
                sources=self.sources.find(name, path),
                sanitisers=self.sanitisers.find(name, path),
                cleans=self.cleans.find(name, path),
                fills=self.fills.has(name, path),
                exits=self.exits.has(name, path),
                renews=self.renews.has(name, path),
                copies=self.copies.has(name, path),
                stored=self.stored.has(name, path),
                registers=self.registers.has(name, path),
            )
            if len(path) <= _KEPT_CHARS:
                if len(self._known) >= _KEPT_PATHS:
                    self._known.clear()
                self._known[name, path] = known
        return known


def _read(name: str) -> Mapping[str, Any]:
    return tomllib.loads((files("freehold.guard.weaknesses") / "data" / f"{name}.toml").read_text(encoding="utf-8"))


KINDS: Mapping[str, Kind] = kinds()


def level_of(word: str) -> int:
    return _LEVELS[word]


@cache
def pattern(written: str) -> Any:
    return re2.compile(written)


@cache
def rules_of(language: Language) -> Rules:
    """Raises ConfigError for a rule of a kind that there is not."""
    return indexed(msgspec.convert(_read(_FILES[language]), RuleFile, strict=False))


def indexed(file: RuleFile) -> Rules:
    made = Rules(file=file)
    every: list[CallRule | SetRule | ImportRule] = [*file.calls, *file.sets, *file.functions, *file.imports]
    for rule in every:
        if rule.kind not in KINDS:
            raise ConfigError(f"a rule on {rule.at[0]} is of the kind {rule.kind!r}, which kinds.toml has not")
    _fill(made.calls, ((path, rule) for rule in file.calls for path in rule.at))
    _fill(made.sets, ((path, rule) for rule in file.sets for path in rule.at))
    _fill(made.functions, ((path, rule) for rule in file.functions for path in rule.at))
    for level, paths in ((PARAMETER, file.sources.passed), (LOCAL, file.sources.local), (REMOTE, file.sources.remote)):
        _fill(made.sources, ((path, level) for path in paths))
    _fill(made.sanitisers, ((path, frozenset(("*",))) for path in file.clean))
    for names, paths in file.sanitisers.items():
        _fill(made.sanitisers, ((path, frozenset(names.split())) for path in paths))
    _fill(made.cleans, ((path, rule) for rule in file.cleans for path in rule.at))
    for index, paths in (
        (made.checks, file.checks),
        (made.copies, file.copies),
        (made.exits, file.exits),
        (made.renews, file.renews),
        (made.stored, file.stored),
        (made.fills, file.sources.fills),
        (made.handlers, file.sources.handlers),
        (made.registers, file.sources.registers),
    ):
        _fill(index, ((path, True) for path in paths))
    made.imports = {module: rule.kind for rule in file.imports for module in rule.at}
    return made


def _fill(index: PathIndex, entries: Iterable[tuple[str, Any]]) -> None:
    for path, rule in entries:
        index.add(path, rule)
