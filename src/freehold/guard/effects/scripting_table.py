"""The tables of calls: what a function of a language's library does, written in a line, read from data.

    "shutil.rmtree" = "delete tree 0/path"
    "socket.socket" = "makes <socket>"
    "<socket>.recv" = "gives network socket"

A line is clauses divided by ";". A clause is a word, and where it has one, the argument that it is about: positions and names
divided by "/", "self" for the object whose method it is, "*" for all.

    KIND [PLACE]             an effect, at a place that is always the same
    KIND path|tree ARG       at the path the argument names; tree: with all below it
    KIND host|of ARG         at the machine it names; or with it as the target alone
    shell|argv|command ARG   a line for a shell; a program and its arguments; either
    code LANGUAGE ARG        a text that is run as a program
    sql ARG                  a statement for a database
    open ARG MODE            a file that is opened
    http METHOD ARG          a request to the URL the argument names; METHOD may be an argument as well
    fetch ARG                read, from a path or from a URL
    loads ARG                undone in such a way that it may run code: pickle
    gives MARK...            where what it returns came from
    makes NAME               what kind of object it returns
    passes                   what it returns is what it was given
    calls ARG                calls the function it is given
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects import scripting_values as marks

MARKS = {
    "network": marks.NETWORK,
    "socket": marks.SOCKET,
    "decoded": marks.DECODED,
    "secret": marks.SECRET,
    "environment": marks.ENVIRONMENT,
    "file": marks.FILE,
    "input": marks.INPUT,
    "output": marks.OUTPUT,
}
Argument = tuple[int | str, ...]
_KINDS = {kind.value: kind for kind in EffectKind}
_PLACES = {place.value: place for place in Place}
_ABOUT = ("path", "tree", "host", "of")
_RUNS = ("shell", "argv", "command", "sql", "loads", "calls", "fetch")


@dataclass(frozen=True, slots=True)
class Clause:
    word: str  # "effect" or one of the words above
    kind: EffectKind = EffectKind.RUN
    place: Place = Place.NOTHING
    about: str = ""  # path, tree, host, of; of `code`: the language; of `http`: the method
    argument: Argument = ()
    second: Argument = ()  # the mode, or where the method stands


@dataclass(frozen=True, slots=True)
class Call:
    """One line. `marks` and `makes` are what its clauses say of the value it returns."""

    name: str
    clauses: tuple[Clause, ...]
    marks: int = 0
    makes: str = ""
    passes: bool = False
    is_alike: bool = False


def parse_call(name: str, line: str) -> Call:
    """Raises ValueError naming the clause that is none."""
    clauses: list[Clause] = []
    given, makes, passes = 0, "", False
    for part in line.split(";"):
        word, *rest = part.split()
        if word == "gives":
            for mark in rest:
                given |= MARKS[mark]
        elif word == "makes":
            makes = " ".join(rest)
        elif word == "passes":
            passes = True
        else:
            clauses.append(_clause(word, rest, part))
    return Call(name, tuple(clauses), given, makes, passes)


def _clause(word: str, rest: list[str], part: str) -> Clause:
    match rest:
        case []:
            return Clause("effect", _kind(word, part))
        case [place] if word in _KINDS and place in _PLACES:
            return Clause("effect", _KINDS[word], _PLACES[place])
        case [about, argument] if word in _KINDS and about in _ABOUT:
            return Clause("effect", _KINDS[word], about=about, argument=_argument(argument))
        case [argument] if word in _RUNS:
            return Clause(word, argument=_argument(argument))
        case [argument, mode] if word == "open":
            return Clause(word, argument=_argument(argument), second=_argument(mode))
        case [language, argument] if word == "code":
            return Clause(word, about=language, argument=_argument(argument))
        case [method, argument] if word == "http":
            is_argument = "/" in method or method.isdigit()
            second = _argument(method) if is_argument else ()
            return Clause(word, about="" if is_argument else method, argument=_argument(argument), second=second)
    raise ValueError(f"{part.strip()!r} is no clause")


def _kind(word: str, part: str) -> EffectKind:
    if word not in _KINDS:
        raise ValueError(f"{part.strip()!r} is no clause")
    return _KINDS[word]


def _argument(text: str) -> Argument:
    return tuple(int(one) if one.lstrip("-").isdigit() else one for one in text.split("/"))


@cache
def calls_of(file: str) -> Mapping[str, Call]:
    """The table in `data/<file>.toml`: its `[calls]`, and below `[calls."os.path"]` what is in that module; "" is itself."""
    data = tomllib.loads(files(__package__).joinpath("data", f"{file}.toml").read_text("utf-8"))
    found: dict[str, Call] = {}
    for name, line in data["calls"].items():
        if isinstance(line, str):
            found[name] = parse_call(name, line)
        else:
            for part, text in line.items():
                full = f"{name}.{part}" if part else name
                found[full] = parse_call(full, text)
    return found
