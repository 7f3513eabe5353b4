"""Programs that print or change a text: what comes out is known where what goes in is.

So a payload that is echoed, decoded, reversed and piped into a shell is read as the shell would. What is known of the input and
can't be followed further keeps its marks: a key that went through `gzip` is still a key.
"""

import base64
import re

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.payloads import DECODERS, from_hex, reversed_lines, translated, unescaped
from freehold.guard.effects.places import A_TEMP_FOLDER, HOLE, normal
from freehold.guard.effects.programs import parted
from freehold.guard.effects.shell_call import Call, Handler
from freehold.guard.effects.shell_names import named, pairs
from freehold.guard.effects.shell_state import DECODED, LIMIT_VALUE, OUTPUT, filtered, marks_of

_TAKES = {name: frozenset(options.split()) for name, options in pairs("filter-takes").items()}
_TAKES_NONE: frozenset[str] = frozenset()
_HELPS = ("--help", "--version")
_LISTS = ("-l", "-L", "--files", "--files-with-matches")
_DEEP = ("-r", "-R", "--recursive")
_PATTERNS = ("-e", "-f", "--regexp")
_OUTPUTS = ("-o", "--output")
_RUNS = ("--compress-program", "--pager", "--pre")
_TELLING = frozenset((*_HELPS, *_LISTS, *_DEEP, *_PATTERNS, *_OUTPUTS, *_RUNS))  # all that `reader` asks for
_FIRST_IS_PATTERN = named("filters-with-pattern")
A_NAME = "a-file"  # stands for the files that a search names: they lie where it looked
_INPUTS = named("inputs")
_KEEPS = named("filters-that-keep")


SECRET_WORDS = re.compile(
    r"passw|secret|credential|id_[rd]sa|\.pem|\.key|token|shadow|\.kdbx|wallet|\.ssh|\.aws|\.netrc|history|\.pgpass|\.ovpn|\.env\b|keychain|api_?key"
    r"|BEGIN.{1,30}PRIVATE|AKIA",
    re.IGNORECASE,
)


def reader(call: Call) -> str:
    """Programs that print what files hold, or some of it."""
    shell, name, stdin = call.shell, call.name, call.stdin
    flags = parted(call.args, _TAKES.get(name, _TAKES_NONE))
    words = flags.words
    tells = not flags.options.isdisjoint(_TELLING)
    if tells and flags.has(*_HELPS):
        return OUTPUT
    lists = False
    if name in _FIRST_IS_PATTERN:
        lists = tells and flags.has(*_LISTS)
        deep = tells and name[1:] != "q" and flags.has(*_DEEP)  # of jq and yq it means raw
        if deep and words and SECRET_WORDS.search(words[0]):
            shell.give(EffectKind.DISCOVER, "looks for keys and passwords in files", place=Place.CREDENTIAL)
        if not (tells and flags.has(*_PATTERNS)):
            words = words[1:]
    flow = "" if words else stdin
    for path in words:
        if path in _INPUTS:
            flow += stdin
            continue
        shell.touch(EffectKind.READ, path, "reads a file")
        flow += shell.content(path)
    if tells and name == "sort" and (path := flags.value(*_OUTPUTS)):
        shell.touch(EffectKind.OVERWRITE, path, "sort writes over a file")
    if tells and (program := flags.value(*_RUNS)):
        shell.nested(program)
    if lists:
        return "".join(f"{root.rstrip('/')}/{A_NAME}\n" for root in words[:8] or ["."])
    if name in _KEEPS and (name == "cat" or not marks_of(flow)):
        return flow[:LIMIT_VALUE]
    return filtered(flow)


def echo(call: Call) -> str:
    args = call.args
    escapes = end = False
    while args and args[0][:1] == "-" and args[0][1:] and not args[0][1:].strip("neE"):
        escapes = escapes or "e" in args[0]
        end = end or "n" in args[0]
        args = args[1:]
    text = " ".join(args)
    if escapes:
        text = unescaped(text)
    return text[:LIMIT_VALUE] + ("" if end else "\n")


def printf(call: Call) -> str:
    args = call.args
    if args[:1] == ["-v"]:
        call.shell.assign(
            args[1] if len(args) > 1 else "_", printf(Call(shell=call.shell, name=call.name, args=args[2:], stdin=""))
        )
        return ""
    if args[:1] == ["--"]:
        args = args[1:]
    if not args:
        return ""
    form, values = unescaped(args[0]), list(args[1:])
    outs: list[str] = []
    for _ in range(min(len(values), 200) + 1):
        outs.append(_formatted(form, values))
        if not values or "%" not in form.replace("%%", ""):
            break
    return "".join(outs)[:LIMIT_VALUE]


def _formatted(form: str, values: list[str]) -> str:
    out: list[str] = []
    at = 0
    while at < len(form):
        char = form[at]
        if char != "%" or at + 1 >= len(form):
            out.append(char)
            at += 1
            continue
        end = at + 1
        while end < len(form) and form[end] in "-+ #0123456789.*'hlLjzt":
            end += 1
        kind = form[end : end + 1]
        if kind == "%":
            out.append("%")
        elif kind in "cb" and kind:
            value = values.pop(0) if values else ""
            out.append(value[:1] if kind == "c" else unescaped(value))
        elif kind in "xXo" and kind and values:
            out.append(_number(values.pop(0), kind))
        elif kind:
            out.append(values.pop(0) if values else "")
        at = end + 1
    return "".join(out)


def _number(value: str, kind: str) -> str:
    try:
        return format(int(value, 0), kind) if len(value) < 20 else HOLE
    except ValueError:
        return str(format(ord(value[1]), kind)) if value[:1] in "'\"" and len(value) > 1 else HOLE


def _input(call: Call, words: list[str]) -> str:
    if not words or words == ["-"]:
        return call.stdin
    for path in words:
        call.shell.touch(EffectKind.READ, path, "reads a file")
    return "".join(call.shell.content(path) for path in words)


def base_n(call: Call) -> str:
    """base64, base32, and the BSD programs of their kind."""
    flags = call.flags(frozenset(("-w", "--wrap", "-i", "-o", "--input", "--output", "-b")))
    words = flags.words + [value for value in (flags.value("-i", "--input"),) if value]
    flow = _input(call, words)
    decodes = flags.has("-d", "-D", "--decode") or "decode" in call.name
    kind = "base32" if "32" in call.name or flags.has("--base32") else "base64"
    out = _decoded(call, flow, kind) if decodes else _encoded(flow, kind)
    return _to_file(call, flags.value("-o", "--output"), out)


def _decoded(call: Call, flow: str, kind: str) -> str:
    marks = marks_of(flow)
    if not flow:
        return ""
    if marks:
        return marks + DECODED
    return _came_out(call, DECODERS[kind](flow))


def _came_out(call: Call, decoded: str | None) -> str:
    """What a decoder made of a text that is known. A shell that runs it runs what was not to be read."""
    if decoded is None:
        return DECODED
    if decoded:
        call.shell.decoded.add(decoded.strip())
    return decoded


def _encoded(flow: str, kind: str) -> str:
    if marks_of(flow) or not flow:
        return filtered(flow)
    raw = flow.encode("utf-8", "replace")
    return (base64.b64encode(raw) if kind == "base64" else base64.b32encode(raw)).decode() + "\n"


def _to_file(call: Call, path: str, out: str) -> str:
    if not path or path in ("-", "/dev/stdout"):
        return out
    call.shell.touch(EffectKind.OVERWRITE, path, "writes its output over a file")
    call.shell.store(path, out)
    return ""


def xxd(call: Call) -> str:
    flags = call.flags(frozenset(("-l", "-c", "-s", "-g", "-o", "-n")))
    flow = _input(call, flags.words[:1])
    out = filtered(flow)
    if flags.has("-r"):
        out = marks_of(flow) + DECODED if marks_of(flow) else _came_out(call, from_hex(flow) or None) if flow else ""
    return _to_file(call, flags.words[1] if len(flags.words) > 1 else "", out)


def unpacked(call: Call) -> str:
    """gunzip, xz, zcat and their like. What is a text already came out of its decoder unpacked."""
    flags = call.flags(frozenset(("-S", "-T", "--suffix", "-o", "-p")))
    out = flags.has("-c", "--stdout", "-p") or call.name.endswith("cat") or not flags.words
    packs = call.name in ("gzip", "bzip2", "xz", "zstd", "lz4", "lzma", "compress", "brotli", "lzop")
    packs = packs and not flags.has("-d", "--decompress", "--uncompress")
    if out:
        flow = _input(call, flags.words)
        if packs:
            return filtered(flow)
        return flow if not marks_of(flow) else marks_of(flow) + DECODED
    for path in flags.words:
        call.shell.touch(EffectKind.WRITE, path, f"{call.name} packs or unpacks a file in place")
        stem = path.rpartition(".")[0] or path
        call.shell.store(stem, marks_of(call.shell.content(path)) + ("" if packs else DECODED))
    return ""


def tr(call: Call) -> str:
    if not call.stdin or marks_of(call.stdin):
        return filtered(call.stdin)
    made = translated(call.stdin, call.args)
    return HOLE if made is None else made


def rev(call: Call) -> str:
    flow = _input(call, call.flags().words)
    return filtered(flow) if marks_of(flow) else reversed_lines(flow)


def rot13(call: Call) -> str:
    if not call.stdin or marks_of(call.stdin):
        return filtered(call.stdin)
    return _came_out(call, DECODERS["rot13"](call.stdin))


def tee(call: Call) -> str:
    flags = call.flags()
    for path in flags.words:
        adds = flags.has("-a", "--append")
        call.shell.touch(EffectKind.WRITE if adds else EffectKind.OVERWRITE, path, "tee writes its input to a file")
        call.shell.store(path, call.stdin, adds=adds)
    return call.stdin


def same(call: Call) -> str:
    """Programs that pass their input on, slower or with a sound."""
    return call.stdin


def path_part(call: Call) -> str:
    """basename, dirname, realpath, readlink."""
    words = [arg for arg in call.args if not arg.startswith("-")]
    if not words:
        return OUTPUT
    path = words[0]
    if call.name == "basename":
        last = path.rstrip("/").rpartition("/")[2]
        return last.removesuffix(words[1]) if len(words) > 1 else last
    if call.name == "dirname":
        return path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")
    return normal(call.shell.resolve(path))


def which(call: Call) -> str:
    words = [arg for arg in call.args if not arg.startswith("-")]
    return f"{words[0]}\n" if words else OUTPUT


def pwd(call: Call) -> str:
    return call.shell.folder or "."


def mktemp(call: Call) -> str:
    words = call.flags(frozenset(("-p", "--tmpdir", "-t", "--suffix"))).words
    return words[0] if words and "/" in words[0] else "/".join((A_TEMP_FOLDER, "made.XXXX"))


def seq(call: Call) -> str:
    """The first, the second and the last of its numbers: those between do what these do."""
    ends = [int(arg) for arg in call.args if arg.isdigit() and len(arg) < 9]
    if not ends:
        return OUTPUT
    first, last = (ends[0], ends[-1]) if len(ends) > 1 else (1, ends[0])
    return "".join(f"{one}\n" for one in dict.fromkeys((first, min(first + 1, last), last)))


def number(call: Call) -> str:
    """expr and their like print what is harmless in a path."""
    return "1"


def date(call: Call) -> str:
    """`date` prints; with a time it sets the clock."""
    flags = call.flags(frozenset(("-s", "--set", "-d", "--date", "-r", "--reference", "-f", "-v", "-I")))
    if flags.has("-s", "--set") or (not flags.has("-j") and any(word[:1].isdigit() for word in flags.words)):
        call.shell.give(EffectKind.SYSTEM, "sets the clock", place=Place.SYSTEM)
    return "1"


def silent(call: Call) -> str:
    """Prints nothing that is followed: true, test, sleep, wait."""
    return ""


FILTERS: dict[str, Handler] = {
    **dict.fromkeys((*_TAKES, *_FIRST_IS_PATTERN, *named("readers")), reader),
    **dict.fromkeys(("base64", "base32", "b64decode", "b64encode", "gbase64", "basenc"), base_n),
    **dict.fromkeys(named("packers"), unpacked),
    **dict.fromkeys(("basename", "dirname", "realpath", "readlink"), path_part),
    **dict.fromkeys(("pv", "buffer", "mbuffer", "lolcat", "ts"), same),
    **dict.fromkeys(("expr", "cal", "ncal", "bc", "dc", "factor", "uuidgen", "nproc", "tput"), number),
    **dict.fromkeys(named("silent"), silent),
    "echo": echo,
    "printf": printf,
    "xxd": xxd,
    "tr": tr,
    "rev": rev,
    "rot13": rot13,
    "tee": tee,
    "sponge": tee,
    "seq": seq,
    "date": date,
    "gdate": date,
    "which": which,
    "type": which,
    "whereis": which,
    "pwd": pwd,
    "mktemp": mktemp,
}  # fmt: skip
