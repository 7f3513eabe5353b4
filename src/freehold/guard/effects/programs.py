"""The table of programs: what each does with its words. Data in `data/programs_*.toml`, each file with its sources.

An entry is a line of clauses, parted by `;`. The first may name the options that take a value, the rest say what is done:

    cp = "takes -t -S; read(init) overwrite(last)"
    git = "push: publish@host; clone: download(host 1)@host write(last); reset, --hard: overwrite(here); else: write(here)"

- `takes -t --to`: these options take the next word as their value. `single` says that one dash begins long options.
- Before `:` stand conditions, joined by `,`. Words: sub-commands, one alternative of each level: `remote add|set-url`. Flags:
  `-f|--force`; `!-n` where none may be there; `=word` where an argument is that word, `~part` where one contains it. Of the
  clauses with sub-commands the first that holds counts, and `else` where none did; those without count each. `else` is not for
  sub-commands that only look (`LOOKS`). `@name|name` before a clause: it is only of these of the entry's programs.
- An effect is a kind, a selector and a place: `delete(all)`, `process@system`, `send(host 1)`. Selectors: `all`, `1`, `2`,
  `last`, `init` (all but the last), `rest` (all but the first), `-o` (the value of an option), `input`
  (what comes in), `here` (the working folder).
  With `host` before them they are hosts. The place is that of the path or host, unless `@` names it.
- Not effects: `none`, after which nothing counts; `verbs@place`: see `VERBS`; `copies@host`: what the first word names is sent
  to the second, or fetched where only the first is elsewhere; `wrap(2)`: a command begins at that word;
  `code(shell 1)`: code in a language; `runs(1)`: a file that is run; `gives(net)`: what it prints, one of net, decoded, secret,
  local, same, output.

A program that no table has is judged by its arguments, which `shell_unlisted` does.
"""

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.shell_names import named
from freehold.guard.syntax import Language

FILES = (
    "base", "files", "network", "packages", "system", "accounts", "containers", "cloud", "development", "databases", "secrets",
    "offensive", "macos", "desktop",
)  # fmt: skip

# What a verb among the words means, for programs that manage something elsewhere: clouds, clusters, services.
VERBS: tuple[tuple[EffectKind, frozenset[str]], ...] = tuple(
    (kind, named(f"verbs-{kind}")) for kind in (EffectKind.DELETE, EffectKind.ACCOUNT, EffectKind.READ, EffectKind.WRITE)
)
# Sub-commands that only look, whoever has them: `else` is not for them.
LOOKS = named("looks")
_LOOKING = (EffectKind.READ, EffectKind.DISCOVER)
_VERB_KIND = {word: kind for kind, words in reversed(VERBS) for word in words}
_LANGUAGES = {language.value: language for language in Language}
GIVES = frozenset(("net", "decoded", "secret", "local", "same", "output"))
ACTIONS = frozenset(("none", "verbs", "copies", "wrap", "code", "runs", "gives"))

PHRASES: dict[EffectKind, str] = {
    EffectKind.RUN: "runs a program",
    EffectKind.DISCOVER: "looks over the machine, its users or its network",
    EffectKind.READ: "reads",
    EffectKind.WRITE: "writes or changes",
    EffectKind.OVERWRITE: "overwrites",
    EffectKind.DELETE: "deletes",
    EffectKind.DOWNLOAD: "brings something from a network",
    EffectKind.SEND: "sends something to a network",
    EffectKind.INSTALL: "installs packages, which run code of their own",
    EffectKind.PROCESS: "ends, stops or steers processes or services",
    EffectKind.SYSTEM: "changes how the system is set up or powered",
    EffectKind.PERMISSION: "changes modes, owners or access lists",
    EffectKind.ACCOUNT: "changes users, groups, passwords, tokens or roles",
    EffectKind.PUBLISH: "makes something public or applies it elsewhere",
    EffectKind.SPEND: "starts what costs money",
    EffectKind.LISTEN: "waits for others to connect",
    EffectKind.PERSIST: "makes something run again by itself",
    EffectKind.ESCALATE: "gives more rights",
    EffectKind.EVADE: "disables or deceives defences, or hides traces",
    EffectKind.EXECUTE: "runs what somebody else decides",
    EffectKind.REMOTE_SHELL: "gives a shell to somebody elsewhere",
    EffectKind.UNKNOWN: "can't be told what it does",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Does:
    """One thing of a clause: an effect, or one of `ACTIONS`."""

    kind: EffectKind | None
    action: str = ""
    select: str = ""
    of_host: bool = False
    place: Place | None = None
    language: Language | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """The alternatives of one sub-command: names, and globs."""

    names: frozenset[str]
    globs: tuple[str, ...]

    def holds(self, word: str) -> bool:
        return word in self.names or (bool(self.globs) and any(fnmatchcase(word, glob) for glob in self.globs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """`levels`: alternatives of each sub-command. `any_of`: of each group, one flag must be there; `none_of`: none may be."""

    levels: tuple[Level, ...] = ()
    any_of: tuple[tuple[str, ...], ...] = ()
    none_of: tuple[str, ...] = ()
    otherwise: bool = False
    changes: bool = False  # an `else` that is more than looking
    ends: bool = False  # `none`: nothing that stands after it counts
    does: tuple[Does, ...] = ()

    @property
    def wraps(self) -> bool:
        """Whether it runs a command of its words: `--help` may be the command's."""
        return any(one.action == "wrap" for one in self.does)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    name: str
    takes: frozenset[str] = frozenset()
    single: bool = False  # one dash begins long options
    clauses: tuple[Clause, ...] = ()
    because: Mapping[EffectKind, str] = field(default_factory=dict)
    has_verbs: bool = False  # its first word is a sub-command

    def matching(self, words: Sequence[str], flags: "Flags") -> list[tuple[Clause, int]]:
        """The clauses that hold, each with how many words its sub-commands took."""
        found: list[tuple[Clause, int]] = []
        decided = False
        for clause in self.clauses:
            if (clause.levels or clause.otherwise) and (decided or (clause.levels and not _fits(clause.levels, words))):
                continue
            if not flags.meet(clause) or (clause.changes and not LOOKS.isdisjoint(words[:2])):
                continue
            decided = decided or bool(clause.levels)
            if clause.ends:
                return found
            found.append((clause, len(clause.levels)))
        return found


def _fits(levels: tuple[Level, ...], words: Sequence[str]) -> bool:
    return len(words) >= len(levels) and all(map(Level.holds, levels, words))


@dataclass(slots=True)
class Flags:
    """The words of a command, parted: options with what they were given, and the others."""

    words: list[str]
    values: dict[str, list[str]]  # option to its values; "" where it has none
    options: set[str]  # all that are there; of a cluster such as -rf "-r" and "-f" too

    def has(self, *options: str) -> bool:
        """Whether one of them is there."""
        return not self.options.isdisjoint(options)

    def value(self, *options: str) -> str:
        """The last value of any of the options, or ""."""
        for option in options:
            found = self.values.get(option)
            if found:
                return found[-1]
        return ""

    def meet(self, clause: Clause) -> bool:
        for group in clause.any_of:
            if not any(map(self._holds, group)):
                return False
        return not any(map(self._holds, clause.none_of))

    def _holds(self, condition: str) -> bool:
        """One of a clause's: an option, `=word` or `~part`."""
        if condition[0] == "=":
            return condition[1:] in self.words
        if condition[0] == "~":
            given = itertools.chain(self.words, self.values, *self.values.values())
            return any(condition[1:] in one for one in given)
        return condition in self.options


def parted(args: Sequence[str], takes: frozenset[str] = frozenset(), *, single: bool = False) -> Flags:
    """`takes` are the options whose value is the next word, or the rest of theirs."""
    words: list[str] = []
    values: dict[str, list[str]] = {}
    options: set[str] = set()
    rest = iter(args)
    for arg in rest:
        if arg[:1] != "-" or arg == "-":
            words.append(arg)
        elif arg == "--":
            words.extend(rest)
        elif arg in takes:
            values.setdefault(arg, []).append(next(rest, ""))
        elif len(arg) == 2 and arg != "-=":
            values.setdefault(arg, []).append("")
        else:
            name, equals, value = arg.partition("=")
            is_long = arg[1] == "-" or single
            if equals and (is_long or name in takes):
                values.setdefault(name, []).append(value)
            else:
                values.setdefault(arg, []).append("")
                if len(arg) > 2 and not is_long:
                    _cluster(arg, rest, takes, values, options)
    if values:
        options.update(values)
    return Flags(words, values, options)


def _cluster(arg: str, rest: Iterator[str], takes: frozenset[str], values: dict[str, list[str]], options: set[str]) -> None:
    """`-rf` is two flags; in `-ofile` and `-xo file` the value is of the flag that takes one."""
    for at, letter in enumerate(arg[1:], 2):
        flag = f"-{letter}"
        options.add(flag)
        if flag in takes:
            values.setdefault(flag, []).append(arg[at:] or next(rest, ""))
            break


_DOES = re.compile(r"([a-z_-]+)(?:\(([^)]*)\))?(?:@([a-z_]+))?")


def parse_program(name: str, line: str) -> Program:
    """Raises ValueError that says what of the line can't be read."""
    takes: frozenset[str] = frozenset()
    single = False
    clauses: list[Clause] = []
    for part in line.split(";"):
        part = part.strip()
        if part.startswith("@"):
            names, _, part = part[1:].partition(" ")
            if name not in names.split("|"):
                continue
        if part.startswith("takes "):
            takes = frozenset(part.split()[1:])
        elif part == "single":
            single = True
        elif part:
            clauses.append(_clause(part))
    because = {kind: f"{name} {phrase}" for kind, phrase in PHRASES.items()}
    return Program(
        name=name,
        takes=takes,
        single=single,
        clauses=tuple(clauses),
        because=because,
        has_verbs=any(one.levels for one in clauses),
    )


def _clause(part: str) -> Clause:
    head, colon, tail = part.rpartition(": ")
    does = tuple(_does(found) for found in _split(tail if colon else part))
    ends = does[0].action == "none"
    if not colon:
        return Clause(does=does, ends=ends)
    if head == "else":
        changes = any(one.kind not in _LOOKING for one in does if one.kind is not None or one.action == "verbs")
        return Clause(otherwise=True, does=does, ends=ends, changes=changes)
    levels: tuple[Level, ...] = ()
    any_of: list[tuple[str, ...]] = []
    none_of: list[str] = []
    for condition in (one.strip() for one in head.split(",")):
        if condition.startswith("!"):
            none_of.extend(_arguments(condition[1:]))
        elif condition[0] in "-=~+":
            any_of.append(_arguments(condition))
        else:
            levels = tuple(_level(alternatives.split("|")) for alternatives in condition.split())
    return Clause(levels=levels, any_of=tuple(any_of), none_of=tuple(none_of), ends=ends, does=does)


def _arguments(condition: str) -> tuple[str, ...]:
    alternatives = tuple(condition.split("|"))
    if bare := [one for one in alternatives if one[:1] not in "-=~+/"]:
        raise ValueError(f"{condition!r}: {bare[0]!r} never holds there, write ={bare[0]}")
    return alternatives


def _level(alternatives: list[str]) -> Level:
    globs = tuple(one for one in alternatives if "*" in one)
    return Level(frozenset(alternatives) - set(globs), globs)


def _split(text: str) -> list[re.Match[str]]:
    found = list(_DOES.finditer(text))
    if "".join(one.group(0) for one in found).replace(" ", "") != text.replace(" ", ""):
        raise ValueError(f"{text!r} has parts that are no effects")
    return found


def _does(found: re.Match[str]) -> Does:
    word, inner, at = found.group(1), (found.group(2) or "").split(), found.group(3)
    place = Place(at) if at else None
    if word in ACTIONS:
        language = _LANGUAGES[inner.pop(0)] if word == "code" else None
        if word == "gives" and inner[0] not in GIVES:
            raise ValueError(f"{inner[0]!r} is nothing that a program gives")
        return Does(kind=None, action=word, select=inner[0] if inner else "", place=place, language=language)
    kind = EffectKind(word)
    of_host = bool(inner) and inner[0] == "host"
    if of_host:
        inner = inner[1:] or ["all"]
    select = inner[0] if inner else ""
    if select and not (select in ("all", "last", "init", "rest", "here") or select.isdigit() or select[0] == "-"):
        raise ValueError(f"{select!r} selects nothing")
    return Does(kind=kind, select=select, of_host=of_host, place=place)


def chosen(select: str, words: Sequence[str], flags: Flags) -> Sequence[str]:
    """The words that a selector means. `words` are those after the sub-commands."""
    if select == "all":
        return words
    if select == "last":
        return words[-1:]
    if select == "init":
        return words[:-1]
    if select == "rest":
        return words[1:]
    if select == "here":
        return (".",)
    if select.isdigit():
        return words[int(select) - 1 : int(select)]
    return flags.values.get(select, ())


def verb_kind(words: Sequence[str]) -> tuple[EffectKind, str] | None:
    """What the verb among the words means: `delete-bucket`, `instances delete`. None where there is none.

    A word that writes may be a noun as well (`backup list`): one that follows and looks or deletes is the verb then.
    """
    found: tuple[EffectKind, str] | None = None
    for word in words[:4]:
        kind = _kind_of(word)
        if kind is not None and (found is None or kind is not EffectKind.WRITE):
            found = (kind, word)
        if found is not None and found[0] is not EffectKind.WRITE:
            break
    return found


def _kind_of(word: str) -> EffectKind | None:
    kind = _VERB_KIND.get(word)
    if kind is None and ("-" in word or ":" in word):
        parts = re.split(r"[-:]", word)
        kind = _VERB_KIND.get(parts[0]) or _VERB_KIND.get(parts[-1])
    return kind


@cache
def _lines() -> dict[str, str]:
    """Program to its line, of all files."""
    found: dict[str, str] = {}
    for name in FILES:
        document = tomllib.loads((files("freehold.guard.effects") / "data" / f"programs_{name}.toml").read_text(encoding="utf-8"))
        for names, line in document["programs"].items():
            for one in names.split():
                if one in found:
                    raise ValueError(f"programs_{name}.toml: {one} is there twice")
                found[one] = line
    return {**{name.lower(): line for name, line in found.items()}, **found}


@cache
def program(name: str) -> Program | None:
    """The table's entry, or None."""
    line = _lines().get(name)
    return None if line is None else parse_program(name, line)


def names() -> frozenset[str]:
    """All programs of the table."""
    return frozenset(_lines())
