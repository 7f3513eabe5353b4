"""What a call of a Windows program does: by the table, by the POSIX table for what runs on both, or by what can be seen of it.

The table is `data/windows_programs.toml`. Decided here: which program a word names, what belongs to a switch, and what is said
of a program that no table has: that it runs, with the place it lies in.
"""

import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scene import Scene, unknown
from freehold.guard.effects.windows_names import telling
from freehold.guard.effects.windows_rules import URL, Call, Rule, at, judged, read_rules, streams
from freehold.guard.effects.windows_shells import nested
from freehold.guard.syntax import Language

LIMIT_WORDS = 512
LIMIT_STREAMS = 20  # words that are looked at for streams
_ARCHITECTURE = re.compile(r"[._-]?(?:x64|x86|amd64|win64|win32|arm64)$")
_ENDINGS = (".exe", ".com", ".cmd", ".bat", ".msc", ".cpl", ".scr")
_ENDING_CHARS = 4  # of each
_SWITCH = re.compile(r"^(?:/{1,2}-?|--?|\u2013)(?=[A-Za-z?@+*^])([^:=]*)(?:[:=](.*))?$", re.DOTALL)
_PLAIN = re.compile(r"[-/]{0,2}[A-Za-z_]{3,40}(?:\.exe)?")
_SCRIPTS = {
    ".bat": "a batch file",
    ".cmd": "a batch file",
    ".ps1": "a PowerShell script",
    ".vbs": "a script",
    ".js": "a script",
    ".hta": "a script",
}

INTERPRETERS: Mapping[str, Language] = {
    "cmd": Language.BATCH,
    "powershell": Language.POWERSHELL,
    "pwsh": Language.POWERSHELL,
    "bash": Language.SHELL,
    "sh": Language.SHELL,
    "wsl": Language.SHELL,
    "python": Language.PYTHON,
    "python3": Language.PYTHON,
    "py": Language.PYTHON,
    "node": Language.JAVASCRIPT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    does: str
    rules: tuple[Rule, ...]
    values: frozenset[str]  # switches whose value is the next word


@cache
def programs() -> Mapping[str, Program]:
    """By name in lower case, without its ending."""
    document = tomllib.loads((files("freehold.guard.effects") / "data" / "windows_programs.toml").read_text())
    found: dict[str, Program] = {}
    for names, row in document.items():
        program = Program(
            does=row.get("does", ""), rules=read_rules(row["rules"]), values=frozenset(row.get("values", "").lower().split())
        )
        for name in names.split():
            found[name] = program
    return found


def name_of(word: str) -> str:
    """The program that a word names: without its folder, its quotes and its ending, in lower case."""
    name = word.strip().strip("\"'").strip().replace("\\", "/").rpartition("/")[2].lower()
    if name.endswith(_ENDINGS) and len(name) > _ENDING_CHARS:
        name = name[:-_ENDING_CHARS]
    return "cmd" if name == "%comspec%" else _ARCHITECTURE.sub("", name) or name


def call_of(words: Sequence[str], values: frozenset[str]) -> Call:
    """Switches apart from the rest. "/x:v", "/x=v" and "-x v", where x is among `values`, give it a value."""
    positionals: list[str] = []
    switches: dict[str, list[str]] = {}
    takes: str | None = None
    for word in words[1:]:
        found = _SWITCH.match(word)
        if takes is not None and not (found and word[0] == "/" and "/" not in word[1:] and found[1].lower() in switches):
            switches[takes].append(word)
            takes = None
            continue
        takes = None
        if found is None or ("/" in found[1] and word[0] == "/"):
            positionals.append(word)
            continue
        name = found[1].lower()
        given = switches.setdefault(name, [])
        if found[2]:
            given.append(found[2])
        elif name in values:
            takes = name
    return Call(name=name_of(words[0]), words=words[1:], positionals=positionals, switches=switches)


def program_effects(words: Sequence[str], scene: Scene) -> list[Effect]:
    """`words` begin with the program, as it was written."""
    if not words or not words[0]:
        return []
    if len(words) > LIMIT_WORDS:
        return [unknown("more arguments than are looked at")]
    name = name_of(words[0])
    if HOLE in words[0] and (HOLE in name or not name):
        return [unknown("runs a program whose name is only known when it runs")]
    if name == "start" and words[0].lower() == name:
        return _start(words, scene)
    inner = nested(name, words, scene)
    if inner is not None:
        return inner
    return [*_judged(words, name, scene), *streams(words[:LIMIT_STREAMS])]


def _judged(words: Sequence[str], name: str, scene: Scene) -> list[Effect]:
    program = programs().get(name)
    if program is not None:
        found = judged(call_of(words, program.values), program.rules, scene, program.does)
        if found is not None:
            return [*found, *_from_where(words[0], scene)]
    return [*_by_name(words, scene), *_elsewhere(words, name, scene), *_from_where(words[0], scene)]


def _by_name(words: Sequence[str], scene: Scene) -> list[Effect]:
    """What its own name and its first arguments, which are often a command, say of a program that no table has."""
    name = re.split(r"[\\/]", words[0].strip("\"'"))[-1]
    for text in (name, *(word.lstrip("-/") for word in words[1:4] if _PLAIN.fullmatch(word))):
        rule = telling(text)
        if rule is not None:
            return judged(Call(name=name, words=words[1:]), (rule,), scene, "runs a program") or []
    return []


def _start(words: Sequence[str], scene: Scene) -> list[Effect]:
    """`start "title" /switches program arguments`: the title is what was in quotes, which are gone."""
    rest = list(words[1:])
    while rest and (rest[0].startswith("/") or rest[0] == "" or (" " in rest[0] and len(rest) > 1 and "\\" not in rest[0])):
        takes_value = rest[0].lower() in ("/d", "/node", "/affinity")
        rest = rest[2 if takes_value else 1 :]
    if not rest:
        return [Effect(kind=EffectKind.RUN, because="opens a command line")]
    if URL.match(rest[0]):
        return [Effect(kind=EffectKind.RUN, place=Place.HOST, target=rest[0], because="opens an address")]
    return program_effects(rest, scene)


def _from_where(word: str, scene: Scene) -> list[Effect]:
    """A program given by its path: what is said of programs is said of the name, which any file may have."""
    if not any(sign in word for sign in "\\/"):
        return []
    return at(EffectKind.RUN, word, "runs a file by its path", scene)


def _elsewhere(words: Sequence[str], name: str, scene: Scene) -> list[Effect]:
    ending = "." + name.rpartition(".")[2] if "." in name else ""
    if ending in _SCRIPTS:
        return at(EffectKind.RUN, words[0], f"runs {_SCRIPTS[ending]}", scene)
    shell = scene.analysers.get(Language.SHELL)
    if shell is not None:
        return shell(shlex.join([name, *(word.replace(HOLE, "$_unknown") for word in words[1:])]), scene)
    return [Effect(kind=EffectKind.RUN, place=Place.NOTHING, target=name, because="runs a program that no table has")]
