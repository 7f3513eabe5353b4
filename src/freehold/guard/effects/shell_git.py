"""git: settings and options by which it runs other programs, where it goes, and the folders that it fills.

The rest of it is in the table. Sources: git(1), git-config(1), git-remote-ext(1), githooks(5), gtfobins.github.io.
"""

import itertools
import re

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import host_of, normal
from freehold.guard.effects.programs import parted
from freehold.guard.effects.shell_call import Call
from freehold.guard.effects.shell_state import OUTPUT
from freehold.guard.effects.shell_table import tabled

_GIT_RUNS = re.compile(
    r"^(?:core\.(?:pager|editor|sshcommand|fsmonitor|hookspath|gitproxy|askpass)|sequence\.editor|diff\.external"
    r"|credential(?:\..*)?\.helper|alias\..*|pager\..*|filter\..*|merge\..*\.driver"
    r"|.*\.(?:cmd|command|program|textconv|clean|smudge|helper|tool|uploadpack|receivepack|path))$",
    re.IGNORECASE,
)
_GIT_TAKES = frozenset(("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path", "--config-env"))


def git(call: Call) -> str:
    """Settings that run commands, `-C`, and hooks; the rest is in the table."""
    args, shell = list(call.args), call.shell
    at = 0
    while at < len(args) and args[at].startswith("-"):
        arg = args[at]
        if arg == "-c" and at + 1 < len(args):
            _git_setting(call, *args[at + 1].partition("=")[::2])
        if arg.startswith("--exec-path=") and shell.place(arg[12:]) is not Place.SYSTEM:
            shell.give(EffectKind.EXECUTE, "git takes its programs from there", place=shell.place(arg[12:]), target=arg[12:])
        at += 2 if arg in _GIT_TAKES else 1
    rest = args[at:]
    folder = shell.folder
    for option, value in itertools.pairwise([*(part for arg in args[:at] for part in arg.split("=", 1)), ""]):
        if option in ("-C", "--work-tree"):
            shell.folder = normal(shell.resolve(value))
    out = _git_command(call, rest)
    shell.folder = folder
    return out


def _git_command(call: Call, rest: list[str]) -> str:
    shell = call.shell
    if rest[:1] == ["config"]:
        words = [word for word in rest[1:] if not word.startswith("-")]
        if len(words) > 1:
            _git_setting(call, words[0], words[1])
            _git_elsewhere(call, words[0].lower(), words[1])
    if rest[:1] == ["clone"]:
        _cloned(call, parted(rest[1:], _GIT_CLONE_TAKES).words)
    for position, word in enumerate(rest):
        if (
            word in ("--upload-pack", "--receive-pack", "-u")
            and rest[0] in ("clone", "fetch", "pull", "push", "ls-remote")
            and position + 1 < len(rest)
            and word != "-u"
        ):
            shell.nested(rest[position + 1])
        if word.startswith(("--upload-pack=", "--receive-pack=", "--exec=", "--open-files-in-pager=", "-O")) and "=" in word:
            shell.nested(word.partition("=")[2])
        if word.startswith("ext::"):
            shell.nested(word[5:].replace("% ", "\\ "))  # git-remote-ext(1)
        if word in ("-c", "--config") and rest[0] == "clone" and position + 1 < len(rest):
            _git_setting(call, *rest[position + 1].partition("=")[::2])
        if word in ("--exec", "-x", "--extcmd") and rest[0] in ("rebase", "difftool") and position + 1 < len(rest):
            shell.nested(rest[position + 1])
        if word == "run" and rest[0] == "bisect":
            call.run(rest[position + 1 :])
            return OUTPUT
        if word in ("--tree-filter", "--index-filter", "--msg-filter", "--env-filter", "--commit-filter") and position + 1 < len(
            rest
        ):
            shell.nested(rest[position + 1])
    if rest[:2] == ["submodule", "foreach"]:
        shell.nested(" ".join(word for word in rest[2:] if word != "--recursive"))
    return tabled(Call(shell=shell, name="git", args=rest, stdin=call.stdin))


_GIT_CLONE_TAKES = frozenset(
    ("-b", "--branch", "--depth", "-o", "--origin", "-c", "--config", "-j", "--jobs", "--reference", "--template", "-u")
)


def _cloned(call: Call, words: list[str]) -> None:
    if len(words) > 1:
        call.shell.touch(EffectKind.WRITE, words[1], "git clone writes there what somebody else decides")
    if words:
        call.shell.fill(words[1] if len(words) > 1 else words[0].rstrip("/").rpartition("/")[2].removesuffix(".git") or ".")


def _git_elsewhere(call: Call, name: str, value: str) -> None:
    """Settings by which git talks to another host than it seems, or no longer asks who that is."""
    if name.startswith("url.") and name.endswith("insteadof"):
        new, old = host_of(name[4:].rpartition(".")[0]), host_of(value)
        if new is not None and old is not None and new != old:
            call.shell.give(EffectKind.EVADE, "git goes to another host than it is told", target=new)
    elif name.endswith("sslverify") and value.lower() in ("false", "0", "no", "off"):
        call.shell.give(EffectKind.EVADE, "git no longer asks for certificates")


def _git_setting(call: Call, name: str, value: str) -> None:
    if _GIT_RUNS.match(name) and value and (value.startswith("!") or (not value.isalnum() and (" " in value or "/" in value))):
        call.shell.nested(value.removeprefix("!"))
        if value.startswith("/") or "/" in value.split()[0]:
            call.shell.give(EffectKind.PERSIST, "git runs what this setting names", place=call.shell.place(value.split()[0]))
