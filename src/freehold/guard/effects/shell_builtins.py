"""The shell's own commands, and what setting some variables does.

Sources: POSIX.1-2024 chapter 2.15, bash(1) "SHELL BUILTIN COMMANDS" and "Shell Variables", ld.so(8) for LD_PRELOAD and its like.
"""

import re

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import HOLE, LIMIT_CHARS, normal
from freehold.guard.effects.shell_call import Call, Handler
from freehold.guard.effects.shell_names import named
from freehold.guard.effects.shell_state import LOCAL, OUTPUT, Shell, filtered, marks_of
from freehold.guard.syntax import Language

_TRACES = frozenset(("HISTFILE", "HISTSIZE", "HISTFILESIZE", "HISTCONTROL", "HISTIGNORE", "SAVEHIST"))
_LOADERS = frozenset(
    ("LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH")
)
_RUN_LATER = named("run-later")  # fmt: skip
_OPTIONS_LOAD = named("loading-options")
_PATH = re.compile(r"(?:^|(?<=[\s:=]))[~/][^\s:=,]+")
_SHELL_CODE = frozenset(
    ("PROMPT_COMMAND", "PS0", "GIT_SSH_COMMAND", "GIT_PAGER", "PAGER", "MANPAGER", "LESSOPEN", "GIT_EXTERNAL_DIFF")
)

_TELLING = frozenset((*_TRACES, *_LOADERS, *_SHELL_CODE, *_OPTIONS_LOAD, *_RUN_LATER, "PATH"))


def export(call: Call) -> str:
    for arg in call.args:
        name, equals, value = arg.partition("=")
        if equals:
            assigned(call.shell, name, value)
    return ""


def assigned(shell: Shell, name: str, value: str) -> None:
    """Sets a variable, and does what that does."""
    shell.assign(name, value)
    if name in _TELLING or name.startswith("GIT_CONFIG_VALUE_"):
        _named(shell, name, value)


def _named(shell: Shell, name: str, value: str) -> None:
    """What setting a variable of this name does."""
    if name in _TRACES:
        hides = value in ("0", "", "/dev/null") or "ignore" in value or value in ("*", "-1") or name == "HISTIGNORE"
        if hides:
            shell.give(EffectKind.EVADE, "keeps the shell from writing its history", target=name)
    elif name in _LOADERS and value:
        shell.give(EffectKind.EXECUTE, "makes programs load code that is not theirs", place=shell.place(value), target=value)
    elif name in _SHELL_CODE and " " in value:
        shell.nested(value)
    elif name in _OPTIONS_LOAD:
        for path in _PATH.findall(value):
            if shell.place(path) in (Place.TEMP, Place.ELSEWHERE, Place.OTHER_USER):
                shell.give(EffectKind.EXECUTE, "has programs load code from there", place=shell.place(path), target=path)
    elif name.startswith("GIT_CONFIG_VALUE_") and " " in value:
        shell.nested(value.removeprefix("!"))
    elif name in _RUN_LATER and "/" in value and shell.place(value) in (Place.TEMP, Place.ELSEWHERE):
        shell.give(EffectKind.PERSIST, "programs run what this variable names", place=shell.place(value), target=value)
    elif name == "PATH" and (value.startswith(".:") or shell.place(value.split(":")[0]) is Place.TEMP):
        shell.give(
            EffectKind.EVADE, "programs are first looked for where anybody may put them", place=shell.place(value.split(":")[0])
        )


def unset(call: Call) -> str:
    for name in call.args:
        if name in _TRACES:
            call.shell.give(EffectKind.EVADE, "keeps the shell from writing its history", target=name)
        call.shell.known.pop(name, None)
    return ""


def cd(call: Call) -> str:
    words = [arg for arg in call.args if not arg.startswith("-") or arg == "-"]
    shell = call.shell
    target = words[0] if words else "~"
    if target == "-":
        target = ""
    elif marks_of(target) and not target.strip("".join(marks_of(target))):
        target = HOLE
    else:
        target = shell.followed(shell.resolve(target))
    target = normal(target)
    shell.folder = "" if target == "." else target if len(target) < LIMIT_CHARS else HOLE
    return ""


def eval_(call: Call) -> str:
    text = " ".join(call.args)
    if not text.strip():
        return ""
    marks = marks_of(text)
    if marks and not text.strip("".join(marks) + " \n;"):
        return call.code(Language.SHELL, text)
    shell = call.shell
    depth = shell.scene.depth
    if depth >= 4:
        shell.unknown("code in code in code: deeper than is looked into")
        return HOLE
    shell.runs_hidden(text)
    return shell.nested(text, call.stdin)


def alias(call: Call) -> str:
    for arg in call.args:
        name, equals, value = arg.partition("=")
        if equals and name:
            call.shell.aliases[name] = value
            call.shell.called.discard(name)
    return ""


def trap(call: Call) -> str:
    words = [arg for arg in call.args if arg != "--"]
    if words and words[0] and not words[0].startswith("-") and len(words) > 1:
        if "DEBUG" in words[1:]:
            call.shell.give(EffectKind.READ, "watches every command that is typed", place=Place.CREDENTIAL)
        return call.shell.nested(words[0])
    return ""


def set_(call: Call) -> str:
    shell = call.shell
    args = call.args
    if "+o" in args and "history" in args:
        shell.give(EffectKind.EVADE, "keeps the shell from writing its history")
    if "--" in args:
        shell.arguments, shell.has_arguments = args[args.index("--") + 1 :], True
    elif args and not args[0].startswith(("-", "+")):
        shell.arguments, shell.has_arguments = list(args), True
    return ""


def shift(call: Call) -> str:
    shell = call.shell
    if shell.arguments:
        shell.arguments = shell.arguments[1:]
    return ""


def shopt(call: Call) -> str:
    if ("-u" in call.args and "cmdhist" in call.args) or ("-ou" in call.args and "history" in call.args):
        call.shell.give(EffectKind.EVADE, "keeps the shell from writing its history")
    return ""


def history(call: Call) -> str:
    flags = call.flags(frozenset(("-d",)))
    if flags.has("-c", "-d"):
        call.shell.give(EffectKind.EVADE, "clears the shell's history", place=Place.HOME)
    return LOCAL


def read(call: Call) -> str:
    flags = call.flags(frozenset(("-p", "-t", "-n", "-N", "-d", "-u", "-i", "-a")))
    fd = flags.value("-u")
    value = call.shell.files.get(f"&{fd}", "") if fd else call.stdin
    text = value if not marks_of(value) and "\n" not in value.strip("\n") else ""
    fields = text.split()
    names = flags.words or [name for name in (flags.value("-a"),) if name] or ["REPLY"]
    for at, name in enumerate(names):
        known = " ".join(fields[at:]) if at == len(names) - 1 else fields[at] if at < len(fields) else ""
        for one in _lines(value) if not text and len(names) == 1 else [known if text else filtered(value) or HOLE]:
            call.shell.assign(name, one)
    return ""


def _lines(value: str) -> list[str]:
    """A loop that reads lines takes each; what is not known stays a mark."""
    if marks_of(value):
        return [marks_of(value)]
    return [line for line in value.split("\n") if line][:10] or [HOLE]


def command(call: Call) -> str:
    """`command`, `builtin` and `exec` run their words; `command -v` only looks."""
    args = call.args
    while args and args[0].startswith("-"):
        if args[0] in ("-v", "-V"):
            return f"{args[1]}\n" if len(args) > 1 else ""
        args = args[2:] if args[0] == "-a" and call.name == "exec" else args[1:]
    return call.run(args)


def umask(call: Call) -> str:
    return OUTPUT


def kill(call: Call) -> str:
    """Ending one's own processes and jobs is daily work; a number that is known nothing of is not."""
    args = call.args
    if "-l" in args or "-L" in args or not args:
        return OUTPUT
    targets = [arg for arg in args if not arg.startswith("-")]
    if "-1" in args[1:] or "-1" in targets or args[-1] in ("-1", "1"):
        call.shell.give(EffectKind.PROCESS, "ends every process that it may, or the first", place=Place.WHOLE_TREE)
    elif args[0] != "-0" and not all(target.startswith("%") for target in targets) and args[:2] != ["-s", "0"]:
        call.shell.give(EffectKind.PROCESS, "ends or signals a process", target=" ".join(targets[:1]))
    return ""


def nothing(call: Call) -> str:
    return ""


BUILTINS: dict[str, Handler] = {
    **dict.fromkeys(("export", "declare", "typeset", "local", "readonly", "setenv"), export),
    **dict.fromkeys(("cd", "pushd", "chdir"), cd),
    **dict.fromkeys(("command", "builtin", "exec", "noglob", "nocorrect"), command),
    **dict.fromkeys(named("builtins-that-do-nothing"), nothing),
    "unset": unset,
    "unsetenv": unset,
    "eval": eval_,
    "alias": alias,
    "abbr": alias,
    "trap": trap,
    "set": set_,
    "shift": shift,
    "shopt": shopt,
    "history": history,
    "fc": nothing,
    "read": read,
    "umask": umask,
    "kill": kill,
}
