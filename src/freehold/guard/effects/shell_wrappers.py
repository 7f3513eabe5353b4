"""Programs that run another command: as somebody else, later, elsewhere, or often.

Those that only take options before the command are in the table of programs (`wrap`); here are those with rules of their own.
Sources: sudo(8), su(1), env(1), xargs(1), parallel(1), ssh(1), crontab(1), at(1), gtfobins.github.io for the
classes of abuse.
"""

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.shell_call import Call, Handler
from freehold.guard.effects.shell_interpreters import SHELLS
from freehold.guard.effects.shell_names import named
from freehold.guard.effects.shell_state import OUTPUT, Shell, filtered, marks_of
from freehold.guard.syntax import Language

_SUDO_TAKES = named("sudo-takes")
_SUDO_ASKS = named("sudo-asks")


def after_options(args: list[str], takes: frozenset[str]) -> list[str]:
    """The words from the first that is no option."""
    at = 0
    while at < len(args):
        arg = args[at]
        if arg == "--":
            return args[at + 1 :]
        if not arg.startswith("-") or len(arg) < 2:
            break
        at += 2 if arg in takes or (len(arg) > 2 and arg[1] != "-" and "-" + arg[-1] in takes and arg[1:].isalpha()) else 1
    return args[at:]


def sudo(call: Call) -> str:
    """Another's rights. What is done with them says how grave it is; a shell or an unknown program gains by itself."""
    shell, args = call.shell, call.args
    rest = after_options(args, _SUDO_TAKES)
    while rest and "=" in rest[0].split("/")[0]:
        call.run(["export", rest[0]], "")
        rest = rest[1:]
    options = args[: len(args) - len(rest)]
    if not rest:
        if any(option in ("-i", "-s", "--login", "--shell") for option in options) or not options:
            shell.give(EffectKind.ESCALATE, "opens a shell with another's rights", place=Place.SYSTEM)
        elif "-l" in options or "--list" in options:
            shell.give(EffectKind.DISCOVER, "looks what rights may be had", place=Place.SYSTEM)
        elif any(option in ("-e", "--edit") for option in options):
            shell.give(EffectKind.ESCALATE, "edits a file with another's rights", place=Place.SYSTEM)
        elif not all(option in _SUDO_ASKS for option in options):
            shell.give(EffectKind.ESCALATE, "takes another's rights", place=Place.SYSTEM)
        return OUTPUT
    if any(option in ("-e", "--edit") for option in options):
        for path in rest:
            shell.touch(EffectKind.WRITE, path, "edits a file with another's rights")
        return OUTPUT
    start = len(shell.effects)
    out = call.run(rest)
    if any(
        effect.kind in (EffectKind.RUN, EffectKind.UNKNOWN, EffectKind.EXECUTE) for effect in shell.effects[start:]
    ) and _is_open(shell, rest[0]):
        shell.give(EffectKind.ESCALATE, "runs what is not known, or a shell, with another's rights", place=Place.SYSTEM)
    return out


def _is_open(shell: Shell, name: str) -> bool:
    """Whether a command with more rights may be anything: a shell, an interpreter, a file by its path."""
    return name.rpartition("/")[2] in SHELLS or name.startswith(("/", "./", "~", "../")) or bool(marks_of(name)) or "/" in name


def su(call: Call) -> str:
    flags = call.flags(frozenset(("-c", "--command", "-s", "--shell", "-g", "-G", "-w")))
    text = flags.value("-c", "--command")
    if text:
        call.shell.give(EffectKind.ESCALATE, "runs a command as another user", place=Place.OTHER_USER)
        return call.shell.nested(text, call.stdin)
    call.shell.give(EffectKind.ESCALATE, "opens a shell as another user", place=Place.OTHER_USER)
    return OUTPUT


def runuser(call: Call) -> str:
    rest = after_options(call.args, frozenset(("-u", "-g", "-G", "-c", "-s", "--user", "--uid", "--gid")))
    if rest and "-u" in call.args:
        return call.run(rest)
    return su(call)


def env(call: Call) -> str:
    rest = call.args
    while rest:
        arg = rest[0]
        if arg in ("-u", "--unset", "-C", "--chdir"):
            rest = rest[2:]
        elif arg in ("-S", "--split-string") or arg.startswith("-S"):
            text = arg[2:] if len(arg) > 2 and arg[1] == "S" else rest[1] if len(rest) > 1 else ""
            return call.shell.nested(text.replace("\\_", " "), call.stdin)  # env(1): `\_` is a blank
        elif arg.startswith("-"):
            rest = rest[1:]
        elif "=" in arg:
            call.run(["export", arg], "")
            rest = rest[1:]
        else:
            return call.run(rest)
    if not call.args:
        call.shell.give(EffectKind.DISCOVER, "lists the environment, in which keys may stand", place=Place.SYSTEM)
    return OUTPUT


_XARGS_TAKES = named("xargs-takes")


def xargs(call: Call) -> str:
    rest = after_options(call.args, _XARGS_TAKES)
    flags = call.flags(_XARGS_TAKES)
    if not rest:
        return call.filtered() or OUTPUT
    sign = flags.value("-I", "--replace", "-J") or "{}"
    known = call.stdin if not marks_of(call.stdin) and len(call.stdin) < 4000 else ""
    items = known.replace("\x00", " ").split()[:40] if known else [_items(call)]
    if any(sign in word for word in rest):
        outs = [call.run([word.replace(sign, item) for word in rest], "") for item in items[:16]]
        return "".join(outs)
    return call.run([*rest, *items], "")


def _items(call: Call) -> str:
    return filtered(call.stdin) or HOLE


def parallel(call: Call) -> str:
    rest = after_options(call.args, named("parallel-takes"))
    given: list[str] = []
    for sign in (":::", "::::", ":::+"):
        if sign in rest:
            at = rest.index(sign)
            rest, given = rest[:at], rest[at + 1 :]
    items = given[:10] or [_items(call)]
    out = ""
    if not rest and given:
        for line in given[:10]:
            out = call.shell.nested(line)
    for item in items if rest else ():
        text = " ".join(rest)
        text = text.replace("{}", item) if "{}" in text else f"{text} {item}"
        out = call.shell.nested(text)
    if not rest and not given and call.stdin:
        return call.code(Language.SHELL, call.stdin)
    return out or OUTPUT


def watch(call: Call) -> str:
    rest = after_options(call.args, frozenset(("-n", "--interval", "-q")))
    return call.shell.nested(" ".join(rest)) if rest else OUTPUT


def script(call: Call) -> str:
    flags = call.flags(frozenset(("-c", "--command", "-I", "-O", "-B", "-T", "-o", "-m")))
    text = flags.value("-c", "--command")
    if flags.words:
        call.shell.touch(EffectKind.WRITE, flags.words[0], "writes what a terminal shows to a file")
    if text:
        return call.shell.nested(text)
    return call.run(flags.words[1:]) if len(flags.words) > 1 else OUTPUT


def flock(call: Call) -> str:
    flags = call.flags(frozenset(("-w", "--timeout", "-E", "-c", "--command")))
    if flags.value("-c", "--command"):
        return call.shell.nested(flags.value("-c", "--command"))
    rest = after_options(call.args, frozenset(("-w", "--timeout", "-E")))
    if len(rest) > 2 and rest[1] == "-c":
        return call.shell.nested(rest[2])
    return call.run(rest[1:]) if len(rest) > 1 else OUTPUT


def at(call: Call) -> str:
    """at and batch: what comes in runs later."""
    flags = call.flags(frozenset(("-f", "-q", "-t")))
    shell = call.shell
    if flags.has("-l", "-c", "-V") or call.name == "atq":
        shell.give(EffectKind.DISCOVER, "lists what will run", place=Place.SYSTEM)
        return OUTPUT
    if flags.has("-d", "-r") or call.name == "atrm":
        shell.give(EffectKind.DELETE, "takes away what would run later", place=Place.SYSTEM)
        return OUTPUT
    shell.give(EffectKind.PERSIST, "runs something later", place=Place.SYSTEM)
    if call.stdin:
        call.code(Language.SHELL, call.stdin)
    return OUTPUT


def crontab(call: Call) -> str:
    flags = call.flags(frozenset(("-u",)))
    shell = call.shell
    if flags.has("-l"):
        shell.give(EffectKind.DISCOVER, "lists what runs by itself", place=Place.SYSTEM)
        return OUTPUT
    if flags.has("-r"):
        shell.give(EffectKind.DELETE, "crontab -r deletes all that runs by itself", place=Place.SYSTEM)
        return OUTPUT
    shell.give(EffectKind.PERSIST, "changes what runs by itself", place=Place.SYSTEM)
    for line in call.stdin.split("\n")[:50] if not marks_of(call.stdin) else ():
        fields = line.split(None, 1 if line.startswith("@") else 5)
        if len(fields) > 1 and not line.startswith("#"):
            shell.nested(fields[-1])
    return OUTPUT


def busybox(call: Call) -> str:
    if len(call.args) == 1 and call.args[0] in SHELLS:
        call.shell.give(EffectKind.ESCALATE, "opens a shell from within another program")
    return call.run(call.args) if call.args and not call.args[0].startswith("-") else OUTPUT


_BINDS = named("bwrap-takes-two")


def bwrap(call: Call) -> str:
    """Some of its options take two words."""
    args, at = call.args, 0
    while at < len(args) and args[at].startswith("-"):
        if args[at] == "--":
            return call.run(args[at + 1 :])
        at += 3 if args[at] in _BINDS else 1 if args[at].startswith(("--unshare", "--share", "--die", "--new", "--as")) else 2
    return call.run(args[at:])


def loader(call: Call) -> str:
    """ld.so runs the program it is given."""
    return call.run(after_options(call.args, frozenset(("--library-path", "--preload", "--argv0"))))


WRAPPERS: dict[str, Handler] = {
    **dict.fromkeys(("sudo", "doas", "dzdo", "pkexec", "run0", "gosu", "su-exec", "gksudo", "kdesu"), sudo),
    **dict.fromkeys(("xargs", "gxargs"), xargs),
    **dict.fromkeys(("parallel", "sem"), parallel),
    **dict.fromkeys(("at", "batch", "atq", "atrm"), at),
    **dict.fromkeys(("busybox", "toybox"), busybox),
    **dict.fromkeys(("ld.so", "ld-linux.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"), loader),
    "bwrap": bwrap,
    "su": su,
    "runuser": runuser,
    "env": env,
    "watch": watch,
    "script": script,
    "flock": flock,
    "crontab": crontab,
}
