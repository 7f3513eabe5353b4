"""What a program is handed that runs: a shell by its path, code in an option, a file that this script wrote.

Whatever a program is for, many have some option, variable or language of their own that starts a command. So not the option is
looked for but what it is given: a shell in a form that starts one; a command within a call that starts commands; a script that
was made for it. Words that only name a shell (`chsh -s /bin/zsh`, `ls /bin/sh`, `make SHELL=/bin/bash`) start nothing.
"""

import re

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import normal
from freehold.guard.effects.shell_call import Call
from freehold.guard.effects.shell_interpreters import STARTS, run_script_file

_PATH = r"(?:/usr(?:/local)?)?/bin/(?:ba|da|z|k|a|tc|c|fi)?sh(?![\w./-])"
_A_SHELL = re.compile(_PATH)
_RUN_WORDS = r"(?:exec|cmd|command|invoke|hook|program|pager|editor|wrapper|script|run|-bin|on-)"
_RUN_OPTION = rf"--?(?=[\w-]*{_RUN_WORDS})[\w-]*+"  # by its name
# After what runs commands, or with the options or redirections of a shell that somebody types into.
_STARTS_SHELL = re.compile(
    r"(?:![ \t]*|%\(|\b(?:exec\w*|system\w*|popen\w*|spawn\w*|shell_exec|callCommand|ProcessBuilder|write18|become|reload)\b"
    rf"[\s({{\[\"',:]{{1,12}}|^{_RUN_OPTION}[:=]+|::[\w-]*=[\"']?){_PATH}|{_PATH}(?:\s+-[ipsl]+\b|\s*\d?[<>]&|,-[ips]\b)"
)
_RUNS = re.compile(_RUN_OPTION)
_CODE_OPTIONS = frozenset(("-e", "-E", "-c", "-x", "-b", "--eval", "--execute", "--command", "--batch", "eval"))
_BECAUSE = "is given a shell to start"


def handed(call: Call, *, runs: bool) -> None:
    """`runs`: what the program is given may be run: nobody knows it, or running things is what it is for."""
    shell, before = call.shell, ""
    for arg in call.args[:40]:
        if "sh" in arg and "/" in arg and _A_SHELL.search(arg):
            whole = _A_SHELL.fullmatch(arg) is not None
            is_named = before[:1] == "-" and "shell" in before  # which shell somebody shall have
            if ((runs and not is_named) or _RUNS.fullmatch(before)) if whole else _STARTS_SHELL.search(arg):
                shell.give(EffectKind.ESCALATE, f"{call.name} {_BECAUSE}", target=arg)
        if "/dev/tcp/" in arg or "/dev/udp/" in arg:
            shell.give(EffectKind.SEND, f"{call.name} is given a shell's way to a network", place=Place.HOST)
        if before in _CODE_OPTIONS and "(" in arg:
            for start in STARTS.finditer(arg[:4000]):
                shell.nested(start.group(2).replace('\\"', '"').replace("\\'", "'"))
        if shell.files:
            _written(call, arg, runs=runs or _RUNS.fullmatch(before) is not None)
        before = arg


def starts_shell(text: str) -> bool:
    """Whether a file of any kind holds something that starts a shell."""
    return _STARTS_SHELL.search(text) is not None


def _written(call: Call, arg: str, *, runs: bool) -> None:
    """A script that the command at hand wrote, among the words of a program: it was made for it to be run."""
    shell = call.shell
    option, _, value = arg.partition("=")
    named = value and _RUNS.fullmatch(option) is not None
    path = value if named else arg
    content = shell.files.get(normal(shell.resolve(path))) if runs or named else None
    if not content or not content.isascii():
        return
    name = f"file {path}\n{content}"
    if name in shell.called:
        return
    shell.called.add(name)
    if content.startswith("#!"):
        run_script_file(Call(shell=shell, name=path, args=[], stdin=""), path)
    elif starts_shell(content):
        shell.give(EffectKind.ESCALATE, f"{call.name} is given a file that starts a shell", target=path)
