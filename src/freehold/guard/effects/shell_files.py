"""Programs on files that have rules of their own: what they delete, copy and change, and the commands that some options run.

Sources: POSIX.1-2024 chapter 3, GNU coreutils, findutils, tar manuals, gtfobins.github.io for the options that run commands.
"""

import itertools
import re

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import HOLE, normal
from freehold.guard.effects.programs import Flags, parted
from freehold.guard.effects.shell_call import Call, Handler
from freehold.guard.effects.shell_filters import SECRET_WORDS
from freehold.guard.effects.shell_interpreters import SHELLS
from freehold.guard.effects.shell_names import named
from freehold.guard.effects.shell_state import DECODED, LOCAL, NET, OUTPUT, filtered, marks_of

_HERE = named("here")
_INPUTS = named("inputs")


def rm(call: Call) -> str:
    flags = call.flags()
    if flags.has("--help", "--version"):
        return OUTPUT
    deep = flags.has("-r", "-R", "--recursive")
    for path in flags.words:
        _remove(call, path, deep=deep)
    if flags.has("--no-preserve-root"):
        call.shell.give(EffectKind.DELETE, "rm is told that it may delete the root", place=Place.WHOLE_TREE)
    return ""


def _remove(call: Call, path: str, *, deep: bool) -> None:
    shell = call.shell
    because = "rm deletes folders with all that is in them" if deep else "rm deletes files"
    if deep and path in _HERE:
        shell.give(EffectKind.DELETE, "deletes everything in the working folder or above it", place=Place.WHOLE_TREE, target=path)
        return
    if deep and path.startswith(HOLE) and path.strip(HOLE + "/*.") == "" and "/" in path:
        shell.give(
            EffectKind.DELETE, "deletes below a variable: everything, where it is empty", place=Place.WHOLE_TREE, target=path
        )
        return
    shell.touch(EffectKind.DELETE, path, because)


_FIND_RUNS = ("-exec", "-execdir", "-ok", "-okdir")
_FIND_NAMES = frozenset(["-name", "-iname", "-path", "-ipath", "-wholename", "-regex", "-iregex"])
_DELETES_FOUND = frozenset(["rm", "unlink", "shred", "srm", "wipe"])
_FIND_WRITES = frozenset(("-fprint", "-fprintf", "-fls", "-fprint0"))


def find(call: Call) -> str:
    args, shell = call.args, call.shell
    at = 0
    roots: list[str] = []
    while at < len(args) and (not args[at].startswith(("-", "(", "!")) or args[at] in ("-L", "-H", "-P", "-E")):
        if not args[at].startswith("-"):
            roots.append(args[at])
        at += 1
    roots = roots or ["."]
    names = [args[k + 1] for k in range(at, len(args) - 1) if args[k] in _FIND_NAMES]
    found = _find_items(roots, names)
    _looked_for(call, roots, names, args[at:])
    while at < len(args):
        arg = args[at]
        if arg in _FIND_RUNS:
            end = next((k for k in range(at + 1, len(args)) if args[k] in (";", "+", "\\;")), len(args))
            if args[at + 1 : end] and args[at + 1].rpartition("/")[2] in SHELLS and end - at < 4:
                shell.give(EffectKind.ESCALATE, "opens a shell from within another program")
            if args[at + 1 : at + 2] == ["{}"]:
                shell.give(EffectKind.EXECUTE, "runs the files that it finds", place=shell.place(roots[0]), target=roots[0])
            deletes = args[at + 1 : at + 2] and args[at + 1].rpartition("/")[2] in _DELETES_FOUND
            for item in found[:6]:
                if deletes and item in _HERE:  # all that is below it, one after the other
                    _remove(call, item, deep=True)
                shell.execute(shell, [word.replace("{}", item) for word in args[at + 1 : end]] or ["true"], "")
            at = end
        elif arg == "-delete":
            for item in found:
                _remove(call, item, deep=True)
        elif arg in _FIND_WRITES and at + 1 < len(args):
            shell.touch(EffectKind.OVERWRITE, args[at + 1], "find writes a list to a file")
        at += 1
    if not names and len(found) == 1:
        return found[0] + "\n" if not found[0].startswith(HOLE) else LOCAL
    return "\n".join(found) + "\n"


def _find_items(roots: list[str], names: list[str]) -> list[str]:
    """Paths that stand for what is found."""
    lasts = [name.rpartition("/")[2] if not name.startswith("*/") else name[2:] for name in names] or [""]
    return [f"{root.rstrip('/') or '/'}/{last}".replace("//", "/") if last else root for root in roots[:8] for last in lasts[:8]]


def _looked_for(call: Call, roots: list[str], names: list[str], tests: list[str]) -> None:
    shell = call.shell
    for name in names:
        for probe in (name, name.strip("*"), f"x/{name.strip('*/')}"):
            if shell.place(probe.replace("*", "")) is Place.CREDENTIAL or SECRET_WORDS.search(name):
                shell.give(EffectKind.DISCOVER, "looks for files that hold keys", place=Place.CREDENTIAL, target=name)
                break
    wide = [root for root in roots if shell.place(root) in (Place.WHOLE_TREE, Place.SYSTEM, Place.OTHER_USER)]
    for test, value in itertools.pairwise(tests):
        if test in ("-perm", "-user", "-uid", "-group") and (
            wide or "4000" in value or "6000" in value or "2000" in value or ("s" in value and test == "-perm")
        ):
            shell.give(EffectKind.DISCOVER, "looks for files whose rights may be used", place=Place.SYSTEM, target=value)
            return
    for root in roots:
        if shell.place(root) is Place.CREDENTIAL:
            shell.touch(EffectKind.READ, root, "find lists what a store of keys holds")
    if wide:
        shell.give(EffectKind.DISCOVER, "goes through the machine's files", place=Place.SYSTEM, target=wide[0])


_TAR_TAKES = named("tar-takes")
_TAR_RUNS = ("-I", "--use-compress-program", "--to-command", "-F", "--info-script", "--new-volume-script", "--rsh-command")


def tar(call: Call) -> str:
    args, shell = call.args, call.shell
    if args and not args[0].startswith("-"):
        args = ["-" + args[0], *args[1:]]
    flags = parted(args, _TAR_TAKES)
    if flags.has("--help", "--version"):
        return OUTPUT
    for option in _TAR_RUNS:
        for text in flags.values.get(option, ()):
            shell.nested(text)
    for text in flags.values.get("--checkpoint-action", ()):
        if text.startswith("exec="):
            shell.nested(text[5:])
    archive = flags.value("-f", "--file")
    folder = flags.value("-C", "--directory") or "."
    words = [word for word in flags.words if word != archive]
    if flags.has("-x", "--extract", "--get"):
        return _unpack(call, archive, folder, to_stdout=flags.has("-O", "--to-stdout"))
    if flags.has("-t", "--list"):
        if archive and archive != "-":
            shell.touch(EffectKind.READ, archive, "tar lists an archive")
        return OUTPUT
    return _pack(call, flags, archive, folder, words)


def _unpack(call: Call, archive: str, folder: str, *, to_stdout: bool) -> str:
    shell = call.shell
    content = call.stdin if archive in ("", "-") else shell.content(archive)
    if archive not in ("", "-"):
        shell.touch(EffectKind.READ, archive, "unpacks an archive")
    if to_stdout:
        return filtered(content)
    shell.touch(EffectKind.WRITE, folder, "unpacks files there")
    if NET in content or DECODED in content:
        shell.fill(folder)
    return ""


def _pack(call: Call, flags: Flags, archive: str, folder: str, words: list[str]) -> str:
    shell = call.shell
    flow = ""
    for path in [*words, *flags.values.get("-T", [])]:
        whole = path if folder == "." or path.startswith(("/", "~")) else f"{folder}/{path}"
        shell.touch(EffectKind.READ, whole, "packs files into an archive")
        flow += shell.content(whole)
        if flags.has("--remove-files"):
            shell.touch(EffectKind.DELETE, whole, "deletes what it has packed")
    if archive and archive != "-" and ":" not in archive:
        shell.touch(EffectKind.OVERWRITE, archive, "writes an archive")
        shell.store(archive, filtered(flow) or LOCAL)
        return ""
    return filtered(flow) or LOCAL


def dd(call: Call) -> str:
    given = dict(arg.partition("=")[::2] for arg in call.args if "=" in arg)
    shell = call.shell
    source, target = given.get("if", ""), given.get("of", "")
    flow = shell.content(source) if source else call.stdin
    if source:
        shell.touch(EffectKind.READ, source, "dd reads it as it is")
    if not target:
        return filtered(flow)
    shell.touch(EffectKind.OVERWRITE, target, "dd writes over it as it is")
    shell.store(target, flow)
    return ""


_SETS_ID = re.compile(r"^(?:[2467][0-7]{3}|0[2467][0-7]{3}|[ugoa]*[+=][rwxXt]*s[rwxXst]*|.*,[ug]+[+=]\w*s\w*)$")
_OPENS = re.compile(r"^(?:0?[0-7]?777|a\+rwx|[ao]*\+rwx|[ao]+\+w|a=rwx)$")


def chmod(call: Call) -> str:
    args, shell = call.args, call.shell
    words = [
        arg
        for arg in args
        if not (arg.startswith("-") and arg[1:2].isalpha() and arg[1:2] not in "rwxst") and not arg.startswith("--")
    ]
    if any(arg.startswith("--reference") for arg in args):
        words = ["", *words]
    if len(words) < 2:
        return ""
    mode, paths = words[0], words[1:]
    deep = any((arg.startswith("-") and "R" in arg) or arg == "--recursive" for arg in args)
    for path in paths:
        if _SETS_ID.match(mode):
            shell.give(EffectKind.ESCALATE, "lets all who run it have its owner's rights", place=shell.place(path), target=path)
        shell.touch(EffectKind.PERMISSION, path, "chmod changes who may use it")
        if deep and path in _HERE and _OPENS.match(mode):
            shell.give(EffectKind.PERMISSION, "opens all below to everybody", place=Place.ELSEWHERE, target=path)
    return ""


_CP_TAKES = named("cp-takes")


def copy(call: Call) -> str:
    """cp, mv, ln, install and ditto: from the first to the last, or to what -t names."""
    flags = call.flags(_CP_TAKES)
    if flags.has("--help", "--version"):
        return OUTPUT
    shell, name = call.shell, call.name
    target = flags.value("-t", "--target-directory")
    sources = flags.words if target else flags.words[:-1]
    if not target and flags.words:
        target = flags.words[-1]
    if name == "install" and flags.has("-d"):
        for path in flags.words:
            shell.touch(EffectKind.WRITE, path, "makes folders")
        return ""
    mode = flags.value("-m", "--mode")
    if mode and _SETS_ID.match(mode):
        shell.give(EffectKind.ESCALATE, "lets all who run it have its owner's rights", place=shell.place(target), target=target)
    for path in sources:
        if name == "mv":
            shell.touch(EffectKind.DELETE, path, "mv takes it away from there")
        elif name in ("ln", "link"):
            if shell.place(path) is Place.CREDENTIAL:
                shell.touch(EffectKind.READ, path, "links to a file that holds keys")
        else:
            shell.touch(EffectKind.READ, path, f"{name} copies it")
    if not sources:
        return ""
    whole = f"{target.rstrip('/')}/{sources[0].rpartition('/')[2]}" if target.endswith("/") or len(sources) > 1 else target
    over = EffectKind.OVERWRITE if name == "mv" or flags.has("-f", "--force") else EffectKind.WRITE
    shell.touch(over, whole, f"{name} puts something there")
    if name == "ln" and flags.has("-s", "--symbolic"):
        for path in sources:
            _linked(call, path, target, into=len(sources) > 1 or target.endswith("/"))
    else:
        _copied(call, sources, whole)
    return ""


def _linked(call: Call, path: str, target: str, *, into: bool) -> None:
    """What is done through a link that leads out of where it stands is done there."""
    shell = call.shell
    leads = shell.place(path)
    name = path.rstrip("/").rpartition("/")[2]
    if path.startswith(("/", "~", "..")) and leads not in (Place.WORKSPACE, Place.NOTHING) and len(shell.links) < 100:
        shell.links[normal(shell.resolve(f"{target}/{name}" if into or target in (".", "") else target))] = path


def _copied(call: Call, sources: list[str], target: str) -> None:
    shell = call.shell
    if len(sources) > 1:
        for path in sources[:20]:
            shell.store(f"{target.rpartition('/')[0]}/{path.rpartition('/')[2]}", shell.content(path))
    else:
        shell.store(target, call.stdin if sources[0] in _INPUTS else shell.content(sources[0]))


def touch(call: Call) -> str:
    flags = call.flags(frozenset(("-d", "-t", "-r", "-A", "--date", "--reference", "--time")))
    for path in flags.words:
        call.shell.touch(EffectKind.WRITE, path, "touch makes a file or changes its times")
        sets = flags.has("-t", "-d", "--date", "-r", "--reference", "-A")
        if sets and call.shell.place(path) is not Place.WORKSPACE:
            call.shell.give(
                EffectKind.EVADE, "gives a file other times than its own", place=_mild(call.shell.place(path)), target=path
            )
    return ""


def _mild(place: Place) -> Place:
    """Of an act that is only suspicious, the places at which policy has no worse word for it."""
    return Place.NOTHING if place in (Place.TEMP, Place.WORKSPACE, Place.HOME, Place.ELSEWHERE) else place


def truncate(call: Call) -> str:
    flags = call.flags(frozenset(("-s", "--size", "-r", "--reference")))
    adds = flags.value("-s", "--size").startswith("+")
    for path in flags.words:
        call.shell.touch(EffectKind.WRITE if adds else EffectKind.OVERWRITE, path, "truncate cuts or lengthens files")
    return ""


def unzip(call: Call) -> str:
    """unzip, 7z and their like write what an archive holds."""
    flags = call.flags(frozenset(("-d", "-x", "-P")))
    if flags.has("-l", "-t", "-Z", "-v"):
        return OUTPUT
    shell = call.shell
    archive = flags.words[0] if flags.words else ""
    if archive:
        shell.touch(EffectKind.READ, archive, "unpacks an archive")
    if flags.has("-p", "-c"):
        return DECODED if marks_of(shell.content(archive)) != LOCAL else LOCAL
    shell.touch(EffectKind.WRITE, flags.value("-d") or ".", "unpacks files there")
    if archive and NET in shell.content(archive):
        shell.fill(flags.value("-d") or ".")
    return OUTPUT


FILE_PROGRAMS: dict[str, Handler] = {
    **dict.fromkeys(("rm", "unlink", "grm", "srm"), rm),
    **dict.fromkeys(("find", "gfind"), find),
    **dict.fromkeys(("tar", "bsdtar", "gtar"), tar),
    **dict.fromkeys(("cp", "mv", "ln", "install", "ditto", "link", "gcp", "gmv"), copy),
    "dd": dd,
    "gdd": dd,
    "dcfldd": dd,
    "chmod": chmod,
    "touch": touch,
    "truncate": truncate,
    "unzip": unzip,
}
