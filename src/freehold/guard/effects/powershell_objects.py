"""What the members of .NET types and COM objects do. The table is `data/windows_dotnet.toml`; which type an object has is told by
`powershell.py`.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from freehold.core.effects import Effect
from freehold.guard.effects.powershell_values import Mark
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.windows_rules import Call, Rule, judged, read_rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    members: Mapping[str, Rule]
    types: Mapping[str, Rule]
    marks: Mapping[str, int]
    same: frozenset[str]  # properties that are their object, or stand for it
    times: frozenset[str]
    loading: frozenset[str]  # variables of the environment that decide which code programs load


@cache
def objects() -> Objects:
    document = tomllib.loads((files("freehold.guard.effects") / "data" / "windows_dotnet.toml").read_text())
    marks = {
        name: mark
        for key, mark in (("network", Mark.NETWORK), ("content", Mark.FILE), ("secret", Mark.SECRET))
        for name in document[key].split()
    }
    sets = {key: frozenset(document[key].split()) for key in ("same", "times", "loading")}
    return Objects(members=_rules(document["members"]), types=_rules(document["types"]), marks=marks, **sets)


def _rules(lines: str) -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for line in lines.splitlines():
        if line.strip():
            names, _, what = line.partition(" => ")
            rule = read_rules(f"=> {what}")[0]
            found.update({name.strip().lower(): rule for name in names.split(",")})
    return found


def plain_type(name: str) -> str:
    """A type's name as the tables have it."""
    name = name.lower().strip("[]").removeprefix("system.")
    return _SHORT.get(name, name)


_SHORT = {
    "wmiclass": "wmi",
    "adsisearcher": "directoryservices.directorysearcher",
    "adsi": "directoryservices.directoryentry",
    "io.compression.filesystem.zipfile": "io.compression.zipfile",
    "marshal": "runtime.interopservices.marshal",
    "assembly": "reflection.assembly",
    "net.http.httpclient": "net.webclient",
    "registry": "microsoft.win32.registry",
}


def member_effects(kind: str, name: str, arguments: Sequence[str], scene: Scene) -> list[Effect]:
    """What calling it does; nothing where no table has it."""
    members = objects().members
    rule = members.get(f"{kind}.{name}") or members.get(f".{name}")
    return [] if rule is None else _judged(rule, name, arguments, scene)


def new_effects(kind: str, arguments: Sequence[str], scene: Scene) -> list[Effect]:
    """What making an object of a type does."""
    rule = objects().types.get(kind)
    return [] if rule is None else _judged(rule, kind, arguments, scene)


def _judged(rule: Rule, name: str, arguments: Sequence[str], scene: Scene) -> list[Effect]:
    return judged(Call(name=name, words=arguments, positionals=arguments), (rule,), scene, "calls a method") or []


def marks_of(name: str) -> int:
    """Where what a member gives comes from."""
    return objects().marks.get(name, Mark.NONE)
