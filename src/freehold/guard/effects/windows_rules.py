"""The rules that say what a Windows program or a cmdlet does, and how a call is held against them.

A table is TOML; each name has lines of `WHEN => WHAT | BECAUSE`. The first line whose WHEN holds counts; a line that begins
with "&" counts beside others. WHEN is words, all of which must hold of the arguments:

    add         is among them                         /s, -Force   this switch is given ("/s:x", "-s", and for cmdlets "-Fo", too)
    ^add        is the first that is no switch        ~text        one of them contains it
    a,b         either                                !a           does not hold
    -Verb=runas the switch has this value             /s=*.dll     or one of this form
    @1=host     the first lies there                  ?            one is not known as a whole

WHAT is effects, "kind" or "kind:where". Where is a place by its name; or what names the place: @1, @2, @-1 (arguments that are
no switches, counted from 1 or from the end), @* (all of them), @1+ (from that one on), @/out (the value of a switch), @url (an
argument that is one), @host. `write` to what starts programs, or to settings of defences, has those effects, too. Kinds
"batch", "powershell", "shell" and "run" are no effects: what is named is itself a command and is analysed. "name" says which
value of a key is written.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.places import HOLE, file_effects, host_of, host_place, place_of
from freehold.guard.effects.scene import Scene
from freehold.guard.effects.windows_places import change_of, is_key, normal, windows_place_of
from freehold.guard.syntax import Language

LANGUAGES = {"batch": Language.BATCH, "powershell": Language.POWERSHELL, "shell": Language.SHELL}
URL = re.compile(
    r"^[\"'(@]*(?:https?|ftps?|file|webdavs?|tftp|smb|ldaps?|script|hxxps?)://|^[\"']*script:|^[\"']*\\\\[\w.$-]+\\",
    re.IGNORECASE,
)
_CHANGES = frozenset((EffectKind.WRITE, EffectKind.OVERWRITE, EffectKind.DELETE, EffectKind.PERMISSION))
_FILES = _CHANGES | {EffectKind.READ, EffectKind.RUN, EffectKind.EXECUTE, EffectKind.PERSIST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A program or cmdlet and what it is given. `switches` are in lower case without their sign; a switch may have no value."""

    name: str
    words: Sequence[str] = ()
    positionals: Sequence[str] = ()
    switches: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    kind: str
    where: str  # a place, a selector, or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    when: tuple[tuple[bool, tuple[str, ...]], ...]  # whether it must hold, and the alternatives
    what: tuple[What, ...]
    because: str
    beside: bool

    def holds(self, call: Call, lower: Sequence[str]) -> bool:
        return all(must is any(_holds(form, call, lower) for form in forms) for must, forms in self.when)


def read_rules(lines: str) -> tuple[Rule, ...]:
    """Raises ValueError for a line that is none."""
    return tuple(_rule(line.strip()) for line in lines.splitlines() if line.strip())


def _rule(line: str) -> Rule:
    left, arrow, right = line.partition("=>")
    if not arrow:
        raise ValueError("no => in a rule")
    effects, _, because = right.partition(" | ")
    beside = left.startswith("&")
    when = tuple(
        (not word.startswith("!"), tuple(word.removeprefix("!").split(","))) for word in left.removeprefix("&").lower().split()
    )
    what = tuple(What(kind=kind, where=where) for kind, _, where in (one.strip().partition(":") for one in effects.split(",")))
    if not all(all(forms) for _, forms in when):
        raise ValueError("an empty condition in a rule")
    for one in what:
        if one.kind not in LANGUAGES and one.kind not in ("start", "name"):
            EffectKind(one.kind)
        if one.where and one.where[0] != "@":
            Place(one.where)
    return Rule(when=when, what=what, because=because.strip(), beside=beside)


def _holds(form: str, call: Call, lower: Sequence[str]) -> bool:
    sign = form[0]
    if form == "?":
        return any(HOLE in word for word in call.words)
    if sign == "@":
        selector, _, place = form.partition("=")
        return any(where(path, "") == place for path in selected(selector, call))
    if sign == "~":
        return any(form[1:] in word for word in lower)
    if sign == "^":
        return bool(call.positionals) and fnmatchcase(call.positionals[0].lower(), form[1:])
    if sign in "/-" and len(form) > 1:
        name, has_value, value = form.lstrip("/-").partition("=")
        if name not in call.switches:
            return False
        return not has_value or any(fnmatchcase(given.lower().strip("\"'"), value) for given in call.switches[name])
    return form in lower or ("*" in form and any(fnmatchcase(word, form) for word in lower))


def judged(call: Call, rules: Iterable[Rule], scene: Scene, does: str) -> list[Effect] | None:
    """What the call does by these rules; None where none of them holds."""
    lower = [word.lower().strip("\"'") for word in call.words]
    found: list[Effect] = []
    any_holds, decided = False, False
    for rule in rules:
        if (decided and not rule.beside) or not rule.holds(call, lower):
            continue
        any_holds = True
        decided = decided or not rule.beside
        for what in rule.what:
            found += _effects(what, rule, call, scene, does)
    return [*found, *_masks(found)] if any_holds else None


_PROGRAM = re.compile(r"\.(?:exe|dll|scr|com|sys)$", re.IGNORECASE)


def _masks(found: Sequence[Effect]) -> list[Effect]:
    """A program of the system that is copied to where it does not belong can pass for another."""
    for effect in found:
        is_program = effect.place is Place.SYSTEM and _PROGRAM.search(effect.target.strip("\"'")) is not None
        if effect.kind is EffectKind.READ and is_program and any(other.kind is EffectKind.WRITE for other in found):
            return [Effect(kind=EffectKind.EVADE, because="copies a program of the system to another place")]
    return []


def _effects(what: What, rule: Rule, call: Call, scene: Scene, does: str) -> list[Effect]:
    targets = selected(what.where, call) if what.where.startswith("@") else []
    if what.kind in LANGUAGES:
        return scene.inside(LANGUAGES[what.kind], " ".join(targets)) if targets else []
    if what.kind == "start":
        return scene.inside(Language.BATCH, " ".join(targets)) if targets else []
    if what.kind == "name":
        return []
    kind = EffectKind(what.kind)
    because = rule.because or does
    if not what.where.startswith("@"):
        return [Effect(kind=kind, place=Place(what.where or "nothing"), because=because)]
    if not targets:
        return [Effect(kind=kind, because=because)] if kind not in _FILES else []
    if what.where in ("@url", "@host") or kind in (EffectKind.SEND, EffectKind.DOWNLOAD):
        return [_on_host(kind, target, because) for target in targets]
    name = next((given for one in rule.what if one.kind == "name" for given in selected(one.where, call)), "")
    return [effect for target in targets for effect in at(kind, target, because, scene, name)]


def _on_host(kind: EffectKind, target: str, because: str) -> Effect:
    host = host_of(target)
    place = host_place(host) if host else Place.HOST
    return Effect(kind=kind, place=Place.HOST if place is Place.NOTHING else place, target=target, because=because)


def where(path: str, folder: str) -> Place:
    """The place of a path as Windows' shells write them, or as any other does."""
    place = windows_place_of(path)
    if place is None:
        return place_of(path, folder)
    if folder and place in (Place.ELSEWHERE, Place.HOME) and f"{normal(path)}\\".startswith(f"{normal(folder)}\\"):
        return Place.WORKSPACE
    return place


_NO_FILES = re.compile(r"(?:env|variable|function|alias|cert|wsman):", re.IGNORECASE)  # PowerShell's drives that hold no files


def at(kind: EffectKind, path: str, because: str, scene: Scene, name: str = "") -> list[Effect]:
    """What doing this at a path or a key amounts to. `name` is the value of a key that is written."""
    path = path.strip().strip("\"'")
    if not path or path.lower() in ("nul", "con", "$null", "-") or _NO_FILES.match(path):
        return []
    if windows_place_of(path) is None:
        found = list(file_effects(kind, path, because, folder=scene.folder))
    else:
        found = [Effect(kind=kind, place=where(path, scene.folder), target=path, because=because)]
    found += _besides(kind, path, found[0].place if found else Place.NOTHING)
    change = change_of(path, name) if kind in _CHANGES else None
    if change is not None:
        found.append(Effect(kind=change[0], place=change[1], target=path, because=change[2]))
    return found


_ADMIN_SHARE = re.compile(r"[\"']*\\\\[^\\]+\\(?:[a-z]|admin|ipc)\$", re.IGNORECASE)


_FROM = {  # what is run out of these was brought there
    Place.TEMP: "runs a file out of a folder for temporary ones",
    Place.HOST: "runs a file from another machine",
}
_STREAM = re.compile(r"(?:^|[\\/:])[^\\/:*?\"<>|]+\.\w{1,8}:[A-Za-z_$][\w.$-]{1,80}$")


def streams(words: Iterable[str]) -> list[Effect]:
    """What is told by a word that names a stream of a file, which no list of files shows: "notes.txt:tool.exe"."""
    for word in words:
        if "." in word and ":" in word and "//" not in word and _STREAM.search(word.strip("\"'")):
            return [Effect(kind=EffectKind.EVADE, target=word, because="uses a stream of a file, which no list of files shows")]
    return []


def _besides(kind: EffectKind, path: str, place: Place) -> list[Effect]:
    if _ADMIN_SHARE.match(path):
        return [Effect(kind=EffectKind.DISCOVER, place=Place.HOST, target=path, because="reaches into a machine's own shares")]
    if told := streams([path]):
        return told
    if kind is EffectKind.RUN and place in _FROM:
        return [Effect(kind=EffectKind.EXECUTE, place=place, target=path, because=_FROM[place])]
    if kind is EffectKind.READ and place is Place.SYSTEM and is_key(path):
        return [
            Effect(kind=EffectKind.DISCOVER, place=Place.SYSTEM, target=path, because="reads the system's part of the registry")
        ]
    return []


def selected(selector: str, call: Call) -> list[str]:
    """The arguments that a selector names, in their order."""
    what = selector[1:]
    if what in ("url", "host"):
        return [word for word in call.words if URL.match(word) or (what == "host" and host_of(word) is not None)]
    if what.startswith("/"):
        return [value for name in what[1:].split("/") for value in call.switches.get(name.lower(), ()) if value]
    if what == "*":
        return list(call.positionals)
    if what.endswith("+"):
        return list(call.positionals[int(what[:-1]) - 1 :])
    number = int(what)
    index = number - 1 if number > 0 else len(call.positionals) + number
    return [call.positionals[index]] if 0 <= index < len(call.positionals) else []
