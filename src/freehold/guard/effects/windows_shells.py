"""The Windows programs whose arguments are themselves commands: `cmd /c`, `powershell -Command`, `wsl`.

Decided here: which of the arguments are the command, and what an encoded one says (Microsoft Learn, "about_PowerShell_exe",
"cmd", "Basic commands for WSL"). Parameters of PowerShell may be cut short to any beginning that is their own.
"""

import base64
import binascii
import re
from collections.abc import Sequence

from freehold.core.effects import Effect, EffectKind, Place
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.scene import Scene, unknown
from freehold.guard.effects.windows_rules import at
from freehold.guard.syntax import Language

_ALONE = ("noprofile", "nologo", "noexit", "noninteractive", "mta", "sta", "login", "interactive")
_WITH_VALUE_WORDS = (
    "executionpolicy windowstyle version inputformat outputformat configurationname configurationfile psconsolefile"
    " workingdirectory custompipename settingsfile encodedarguments"
)
_WITH_VALUE = tuple(_WITH_VALUE_WORDS.split())
_SHORT = {
    "ep": "executionpolicy",
    "ex": "executionpolicy",
    "exec": "executionpolicy",
    "w": "windowstyle",
    "nop": "noprofile",
    "noni": "noninteractive",
    "ec": "encodedcommand",
    "e": "encodedcommand",
    "c": "command",
    "f": "file",
    "wd": "workingdirectory",
    "ea": "encodedarguments",
}
_SIGNS = "-/\u2013\u2014\u2015"


def nested(name: str, words: Sequence[str], scene: Scene) -> list[Effect] | None:
    """What the command inside does; None where the program is none of these."""
    if name == "cmd":
        return _cmd(words, scene)
    if name in ("powershell", "pwsh"):
        return _powershell(words, scene)
    return _wsl(words, scene) if name == "wsl" else None


def _cmd(words: Sequence[str], scene: Scene) -> list[Effect]:
    for index, word in enumerate(words[1:], 1):
        found = re.match(r"/[ckr](.*)", word, re.IGNORECASE | re.DOTALL)
        if found:
            rest = " ".join([found[1], *words[index + 1 :]]).strip()
            return scene.inside(Language.BATCH, rest) if rest else []
        if not word.startswith("/"):
            break
    return [Effect(kind=EffectKind.RUN, target="cmd", because="opens a command line")]


def _whole(given: str) -> str:
    """The whole name of a parameter that may be cut short."""
    if given in _SHORT:
        return _SHORT[given]
    names = ("encodedcommand", "command", "file", *_WITH_VALUE, *_ALONE)
    return next((name for name in names if name.startswith(given)), given)


def _powershell(words: Sequence[str], scene: Scene) -> list[Effect]:
    found: list[Effect] = []
    at = 1
    while at < len(words):
        word = words[at]
        if not word or word[0] not in _SIGNS or len(word) == 1:
            return found + ([unknown("runs what comes through a pipe")] if word == "-" else _script(words[at:], scene))
        name, _, value = word[1:].lower().partition(":")
        name = _whole(name)
        rest = [value, *words[at + 1 :]] if value else list(words[at + 1 :])
        if name == "encodedcommand":
            return found + _encoded(rest[0] if rest else "", scene)
        if name == "command":
            return found + _script(rest, scene)
        if name == "file":
            return found + _file(rest, scene)
        if name == "windowstyle" and rest and rest[0].lower().startswith(("h", "1")):
            found.append(Effect(kind=EffectKind.EVADE, because="runs in a window that nobody sees"))
        if name == "version" and rest and rest[0].startswith(("1", "2")):
            found.append(Effect(kind=EffectKind.EVADE, because="starts an old PowerShell, which records less"))
        at += 1 if name in _ALONE or value else 2
    return [*found, Effect(kind=EffectKind.RUN, target="powershell", because="opens a command line")]


def _script(words: Sequence[str], scene: Scene) -> list[Effect]:
    text = " ".join(words).strip()
    if text in ("", "-"):
        return [unknown("runs what comes through a pipe")] if text else []
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    if HOLE in text and not text.replace(HOLE, "").strip():
        return [unknown("runs text as code that is only known when it runs")]
    return scene.inside(Language.POWERSHELL, text.replace(HOLE, "$__unknown"))


def _encoded(text: str, scene: Scene) -> list[Effect]:
    """Base64 of UTF-16."""
    try:
        script = base64.b64decode(text.strip("\"'") + "=" * (-len(text) % 4)).decode("utf-16-le", "replace")
    except (binascii.Error, ValueError):
        script = ""
    found = [Effect(kind=EffectKind.EXECUTE, because="runs what it has decoded as code")]
    return [
        *found,
        *(scene.inside(Language.POWERSHELL, script) if script else [unknown("runs an encoded command that can't be read")]),
    ]


def _file(rest: Sequence[str], scene: Scene) -> list[Effect]:
    if not rest or rest[0] == "-":
        return [unknown("runs what comes through a pipe")]
    return at(EffectKind.RUN, rest[0], "runs a PowerShell script", scene)


_WSL_VALUES = frozenset(("-d", "--distribution", "-u", "--user", "--cd", "--shell-type"))


def _wsl(words: Sequence[str], scene: Scene) -> list[Effect]:
    at = 1
    while at < len(words):
        word = words[at].lower()
        if word in ("-e", "--exec", "--"):
            at += 1
            break
        if word in _WSL_VALUES:
            at += 2
        elif word.startswith("-"):
            return _wsl_itself(word, words)
        else:
            break
    rest = " ".join(words[at:])
    return scene.inside(Language.SHELL, rest) if rest else [Effect(kind=EffectKind.RUN, target="wsl", because="opens a shell")]


def _wsl_itself(word: str, words: Sequence[str]) -> list[Effect]:
    if word in ("--unregister", "--uninstall"):
        return [Effect(kind=EffectKind.DELETE, place=Place.SYSTEM, because="removes a Linux system with all that is in it")]
    if word in ("--install", "--update", "--import", "--set-version", "--set-default-version", "--mount", "--unmount"):
        return [
            Effect(
                kind=EffectKind.INSTALL if word in ("--install", "--update") else EffectKind.SYSTEM,
                because="changes the Linux systems of this machine",
            )
        ]
    if word in ("--shutdown", "-t", "--terminate"):
        return [Effect(kind=EffectKind.PROCESS, because="stops Linux systems")]
    return [Effect(kind=EffectKind.RUN, target="wsl", because="asks about the Linux systems of this machine")]
