"""Programs that run code: shells, Python and its like, and files that are run.

Code that is given as a text goes to its language's analyser. A file that this script wrote runs with what was written; one that
was downloaded or decoded is `execute`; another is `run`, at its place. Languages without an analyser are searched for what starts
commands, and their commands are analysed.
"""

import re
from dataclasses import dataclass

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import HOLE, host_of, host_place, normal
from freehold.guard.effects.programs import parted, program
from freehold.guard.effects.shell_call import Call, Handler
from freehold.guard.effects.shell_names import named, pairs
from freehold.guard.effects.shell_state import DECODED, LOCAL, NET, OUTPUT, marks_of
from freehold.guard.syntax import Language

SHELLS = named("shells")

_SHELL_TAKES = frozenset(("-o", "-O", "+o", "+O", "--rcfile", "--init-file", "--startup-file"))
# Named forms in which languages start a command, with the command as a literal.
STARTS = re.compile(
    r"(?:\bos\.execute|\bio\.popen|\bsystem2?|\bexec[lv]?p?e?|\bpopen|\bspawn\w*|\bshell_exec|\bpassthru|\bqx"
    r"|\bdo (?:shell )?script"
    r"|\bProcess\.\w+|\brun|\bopen|\bSystem\.cmd|\bos:cmd|\bsh|\bterm|\bshell-command|\bstart-process|\bcall-process)"
    r"[\s(\[{]*+([\"'`])((?:\\.|(?!\1)[^\\]){1,4000}?)\1",
    re.DOTALL,
)
_WORDS = re.compile(r"\s*,\s*\[([^\]]{0,2000})\]")  # System.cmd("rm", ["-rf", "x"])
_WORD = re.compile(r"([\"'])((?:\\.|(?!\1)[^\\])*)\1")
_BARE = re.compile(r"(?:^|[\[;{\n])[^\S\n]*+(?:exec|spawn)\s+([^\]\n;}]+)")  # Tcl
_STARTS_SOMETHING = re.compile(
    r"os\.execute|io\.popen|\bsystem\s*\(|\bpopen|shell_exec|do shell script|os:cmd|System\.cmd|Runtime|ProcessBuilder"
)
_SHEBANG = re.compile(r"#\\?!\s*(?:/usr/bin/env\s+(?:-S\s*)?)?(?:\S*/)?([a-z]+)")
_EXTENSIONS = {
    "py": Language.PYTHON, "pl": Language.PERL, "rb": Language.RUBY, "js": Language.JAVASCRIPT, "mjs": Language.JAVASCRIPT,
    "php": Language.PHP, "ts": Language.TYPESCRIPT, "ps1": Language.POWERSHELL, "sql": Language.SQL,
}  # fmt: skip
_INPUTS = named("inputs")
_SERVING_MODULES = named("serving-modules")
_PROGRAM_MODULES = named("program-modules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """`code`: options whose value is code. `takes`: others that take a value. No language: no analyser."""

    language: Language | None
    code: tuple[str, ...] = ("-e",)
    takes: frozenset[str] = frozenset()
    clusters: bool = False  # -ne and -lane end in code as -e does
    skips: frozenset[str] = frozenset()  # sub-commands before the file: deno run x.ts


_KINDS: dict[str, Interpreter] = {
    "python": Interpreter(language=Language.PYTHON, code=("-c",), takes=frozenset(("-W", "-X", "-Q")), clusters=True),
    "perl": Interpreter(language=Language.PERL, code=("-e", "-E"), takes=frozenset(("-I",)), clusters=True),
    "ruby": Interpreter(language=Language.RUBY, takes=frozenset(("-I", "-r", "-C", "-E")), clusters=True),
    "node": Interpreter(
        language=Language.JAVASCRIPT,
        code=("-e", "-p", "--eval", "--print", "-pe"),
        takes=frozenset(("-r", "--require", "--import")),
    ),
    "bun": Interpreter(language=Language.JAVASCRIPT, code=("-e", "--eval", "-p"), skips=frozenset(("run",))),
    "deno": Interpreter(language=Language.TYPESCRIPT, code=("-e", "--eval"), skips=frozenset(("run", "eval"))),
    "php": Interpreter(language=Language.PHP, code=("-r", "-B", "-R", "-E"), takes=frozenset(("-d", "-c", "-S", "-t"))),
    "lua": Interpreter(language=None, takes=frozenset(("-l",))),
    "julia": Interpreter(language=None, code=("-e", "-E", "--eval"), takes=frozenset(("-p", "-t", "-L"))),
    "rscript": Interpreter(language=None),
    "tclsh": Interpreter(language=None, code=()),
    "expect": Interpreter(language=None, code=("-c",)),
    "guile": Interpreter(language=None, code=("-c",)),
    "elixir": Interpreter(language=None),
    "erl": Interpreter(language=None, code=("-eval",)),
    "groovy": Interpreter(language=None),
    "scala": Interpreter(language=None),
    "jrunscript": Interpreter(language=Language.JAVASCRIPT),
    "jjs": Interpreter(language=Language.JAVASCRIPT),
    "irb": Interpreter(language=Language.RUBY),
    "emacs": Interpreter(language=None, code=("--eval", "-eval", "--execute"), takes=frozenset(("-l", "--load"))),
    "octave": Interpreter(language=None, code=("--eval",)),
    "swift": Interpreter(language=None),
    "nu": Interpreter(language=None, code=("-c",)),
}
_ALSO = pairs("also-called")


def shell_program(call: Call) -> str:
    """sh, bash and the others: -c text, a file, or what comes in."""
    shell = call.shell
    args, at = call.args, 0
    from_stdin = False
    while at < len(args):
        arg = args[at]
        if arg in _SHELL_TAKES:
            at += 2
            continue
        if arg == "--" or arg == "-":
            at += 1
            break
        if not arg.startswith(("-", "+")) or len(arg) < 2:
            break
        if not arg.startswith("--"):
            if "c" in arg:
                return _with_text(call, args[at + 1 :])
            from_stdin = from_stdin or "s" in arg
            if arg[0] == "-" and "p" in arg:
                shell.give(EffectKind.ESCALATE, "a shell that keeps the rights that its file gives")
        at += 1
    rest = args[at:]
    if rest and not from_stdin:
        if rest[0] in _INPUTS:
            return call.code(Language.SHELL, call.stdin, arguments=rest[1:])
        return run_script_file(Call(shell=shell, name=rest[0], args=rest[1:], stdin=call.stdin), rest[0], Language.SHELL)
    if call.stdin:
        return call.code(Language.SHELL, call.stdin, arguments=rest)
    if shell.scene.depth:
        shell.give(EffectKind.ESCALATE, "opens a shell from within another program")
    else:
        shell.give(EffectKind.RUN, "opens a shell")
    return OUTPUT


def _with_text(call: Call, rest: list[str]) -> str:
    while rest and rest[0].startswith(("-", "+")) and len(rest[0]) > 1:
        rest = rest[1:]
    if not rest:
        return ""
    return call.code(Language.SHELL, rest[0], call.stdin, rest[2:])


def run_script_file(call: Call, path: str, language: Language | None = None) -> str:
    """Runs the file at `path`."""
    shell = call.shell
    if "://" in path and (host := host_of(path)) is not None:
        shell.give(EffectKind.EXECUTE, "runs a program from a network", place=host_place(host), target=host)
        return OUTPUT
    whole = normal(shell.resolve(path))
    content = shell.files.get(whole)
    if content is None and whole.endswith(".pyc"):
        content = shell.files.get(whole.removesuffix("c"))  # compiled from it
    place = shell.place(path)
    if content is None and shell.foreign and place is not Place.SYSTEM and shell.is_foreign(path):
        shell.give(EffectKind.EXECUTE, "runs a file of what it downloaded", place=place, target=path)
    if content is None:
        shell.give(EffectKind.RUN, "runs a file", place=place, target=path)
        _looked_at(call)
        name = path.rpartition("/")[2].lower()
        if language is not None and "." in name and program(name) is not None:
            return shell.execute(shell, [name, *call.args], call.stdin)  # a script that is known by its name
        return OUTPUT
    marks = marks_of(content)
    if NET in marks or DECODED in marks:
        shell.give(EffectKind.EXECUTE, "runs a file that it downloaded or decoded", place=place, target=path)
        return OUTPUT
    if marks and not content.strip("".join(marks) + " \n"):
        made = place in (Place.TEMP, Place.HOME, Place.ELSEWHERE, Place.SYSTEM) and not path.startswith("/dev/fd/")
        shell.give(EffectKind.EXECUTE if made else EffectKind.RUN, "runs a file that it made itself", place=place, target=path)
        return OUTPUT
    shell.give(EffectKind.RUN, "runs a file that it wrote", place=place, target=path)
    return _run_content(call, path, content, language)


def _looked_at(call: Call) -> None:
    """What a file that is run is given: keys and devices among its words count."""
    for arg in call.args[:20]:
        if call.shell.place(arg) in (Place.CREDENTIAL, Place.DEVICE):
            call.shell.touch(EffectKind.READ, arg, "is given a file that holds keys, or a device")


def _run_content(call: Call, path: str, content: str, language: Language | None) -> str:
    shebang = _SHEBANG.match(content)
    name = shebang.group(1) if shebang else ""
    if name and name not in SHELLS:
        kind = _KINDS.get(_ALSO.get(name, name))
        if kind is not None:
            return _code(call, kind.language, content)
    if language is None:
        language = _EXTENSIONS.get(path.rpartition(".")[2], Language.SHELL)
    return call.code(language, content, call.stdin, call.args)


def _code(call: Call, language: Language | None, text: str) -> str:
    return foreign(call, text) if language is None else call.code(language, text)


def foreign(call: Call, text: str) -> str:
    """Code in a language that has no analyser: the commands it starts."""
    found = False
    for start in STARTS.finditer(text[: 64 << 10]):
        found = True
        more = _WORDS.match(text, start.end())
        words = [found[2] for found in _WORD.finditer(more[1])] if more else []
        call.shell.nested(" ".join([start.group(2).replace('\\"', '"').replace("\\'", "'"), *words]))
    for start in _BARE.finditer(text[: 64 << 10]) if call.name in ("tclsh", "wish", "expect") else ():
        found = True
        call.shell.nested(start[1])
    if not found and _STARTS_SOMETHING.search(text):
        call.shell.unknown("code that starts a command which is not known")
    elif not found:
        call.shell.give(EffectKind.RUN, "runs code in a language that is only searched for commands")
    return OUTPUT


_BUN_AS = [[verb] for verb in ("x", "add", "install", "i", "remove", "update", "publish", "create", "link")]


def interpreter(call: Call) -> str:
    """python, perl, node and the others: code in an option, a file, or what comes in."""
    name = _ALSO.get(call.name, call.name)
    kind = _KINDS[name]
    args, at, ran = call.args, 0, False
    if name == "bun" and args[:1] in _BUN_AS:
        return call.run(["npx" if args[0] == "x" else "npm", *args])
    while at < len(args):
        arg = args[at]
        option, equals, value = arg.partition("=")
        if kind.code and (arg in kind.code or (equals and option in kind.code and option.startswith("--"))):
            text = value if equals and option in kind.code else args[at + 1] if at + 1 < len(args) else ""
            _code(call, kind.language, text)
            ran = True
            at += 1 if equals else 2
            if name == "python":
                return OUTPUT + HOLE  # a text that a program made: a shell that is given it runs what is not known
            continue
        if kind.clusters and _ends_in_code(arg, kind):
            _code(call, kind.language, args[at + 1] if at + 1 < len(args) else "")
            ran = True
            at += 2
            continue
        if arg == "-m" and name == "python":
            return _module(call, args[at + 1 :])
        if arg in kind.takes:
            at += 2
            if arg in ("-S",) and name == "php":
                call.shell.give(EffectKind.LISTEN, "php -S serves files")
                return OUTPUT
            continue
        if arg in kind.skips:
            at += 1
            if arg == "eval":
                return _code(call, kind.language, args[at] if at < len(args) else "")
            continue
        if not arg.startswith("-") or arg == "-":
            break
        at += 1
    return _file_or_input(call, kind, args[at:], ran=ran)


def _ends_in_code(arg: str, kind: Interpreter) -> bool:
    return len(arg) > 2 and arg[0] == "-" and arg[1] != "-" and "-" + arg[-1] in kind.code and arg[1:].isalnum() and len(arg) < 8


def _file_or_input(call: Call, kind: Interpreter, rest: list[str], *, ran: bool) -> str:
    shell = call.shell
    if rest and rest[0] not in _INPUTS and not ran:
        return run_script_file(Call(shell=shell, name=rest[0], args=rest[1:], stdin=call.stdin), rest[0], kind.language)
    if ran:
        _in_place(call, rest)
        return (call.filtered() or OUTPUT) + HOLE
    if call.stdin and not any(arg in ("--version", "-V", "-v", "--help", "-h") for arg in call.args):
        return _code(call, kind.language, call.stdin)
    if not call.args:
        shell.give(EffectKind.RUN, "opens an interpreter")
    return OUTPUT


def _in_place(call: Call, rest: list[str]) -> None:
    """`perl -pi -e CODE FILES` rewrites the files, `perl -ne CODE FILES` reads them."""
    writes = any(
        arg[0] == "-" and arg[1:2] != "-" and "i" in arg[1:].split("e")[0]
        for arg in call.args
        if len(arg) > 1 and not arg.startswith("-I")
    )
    for path in rest:
        call.shell.touch(EffectKind.WRITE if writes else EffectKind.READ, path, "a script that goes through a file")


def _module(call: Call, rest: list[str]) -> str:
    if not rest:
        return OUTPUT
    name = rest[0]
    if name in _SERVING_MODULES:
        given = parted(rest[1:], frozenset(("-d", "--directory", "-b", "--bind"))).value("-d", "--directory")
        place = call.shell.place(given or ".")
        call.shell.give(
            EffectKind.LISTEN, "a module that serves", place=Place.NOTHING if place is Place.WORKSPACE else place, target=name
        )
    elif name in _PROGRAM_MODULES:
        return call.run(rest)
    elif name == "timeit" or (name == "pdb" and "-c" in rest):
        for text in [arg for arg in rest[1:] if not arg.startswith("-")]:
            call.code(Language.PYTHON, text.removeprefix("!"))
    elif name in ("zipfile", "tarfile") and len(rest) > 2 and rest[1].startswith(("-e", "--extract")):
        call.shell.touch(EffectKind.WRITE, rest[3] if len(rest) > 3 else ".", "unpacks files there")
    else:
        call.shell.give(EffectKind.RUN, "runs a module", target=name)
    return OUTPUT


_DEBUGGER_RUNS = re.compile(r"^\s*(?:shell|!|platform shell|pipe|make|python|script|pi)\s*(.*)", re.DOTALL)


def debugger(call: Call) -> str:
    """gdb and lldb: their commands run others, here and in the process that they take hold of."""
    flags = call.flags(_DEBUGGER_TAKES, single=True)
    shell = call.shell
    if flags.value("-p", "--pid", "-pid", "--attach-pid", *(("-n", "--attach-name") if call.name == "lldb" else ())):
        shell.give(EffectKind.READ, "takes hold of a process, with all that it holds", place=Place.CREDENTIAL)
    for text in [value for option in _DEBUGGER_CODE for value in flags.values.get(option, ())]:
        found = _DEBUGGER_RUNS.match(text)
        if found and text.lstrip().startswith(("py", "pi ", "script")):
            call.code(Language.PYTHON, found[1])
        elif found:
            shell.nested(found[1])
        else:
            foreign(call, text)
    words = call.args[call.args.index("--args") + 1 :] if "--args" in call.args else flags.words[:1]
    return call.run(words, "") if words else OUTPUT


_DEBUGGER_CODE = ("-ex", "-iex", "--eval-command", "-eval-command", "-o", "-O", "--one-line", "-k")
_DEBUGGER_TAKES = frozenset((*_DEBUGGER_CODE, "-p", "--pid", "-pid", "--attach-pid", "-x", "-s", "-n", "--attach-name"))
_SCRIPT_HARMLESS = re.compile(
    r"\s*(?:display (?:notification|alert)|say|beep|set volume|get|return|id of app|output (?:volume|muted)|name of|version"
    r"|path to)\b"
)
_SCRIPT_SECRETS = re.compile(
    r"hidden answer|password|passphrase|keychain|cookie|login data|history|notestore|chat\.db|clipboard|\.ssh|wallet",
    re.IGNORECASE,
)
_SCRIPT_FILE = re.compile(r"POSIX file \"([^\"]+)\"")


def osascript(call: Call) -> str:
    """AppleScript has no analyser: what is plainly harmless is let pass, files and commands are named, the rest is not known."""
    flags = call.flags(frozenset(("-e", "-l", "-s")))
    shell, text = call.shell, "\n".join(flags.values.get("-e", [])) or (call.stdin if not marks_of(call.stdin) else "")
    if not text:
        return (
            run_script_file(call, flags.words[0])
            if flags.words
            else call.code(Language.SHELL, call.stdin)
            if call.stdin
            else OUTPUT
        )
    if _SCRIPT_SECRETS.search(text):
        shell.give(EffectKind.READ, "asks for a password, or takes what an application keeps", place=Place.CREDENTIAL)
    for found in _SCRIPT_FILE.finditer(text):
        shell.touch(
            EffectKind.DELETE if "delete" in text else EffectKind.READ,
            found.group(1),
            "a script that has an application work on files",
        )
    if "login item" in text:
        shell.give(EffectKind.PERSIST, "adds something that starts at login", place=Place.HOME)
    if "do shell script" in text or "do script" in text:
        foreign(call, text)
    elif not _SCRIPT_HARMLESS.match(text):
        shell.unknown("a script that steers applications")
    return OUTPUT


def source(call: Call) -> str:
    """`. file` and `source file`."""
    if not call.args:
        return ""
    path, shell = call.args[0], call.shell
    if path in _INPUTS:
        return call.code(Language.SHELL, call.stdin)
    content = shell.files.get(normal(shell.resolve(path)))
    if content is not None and not marks_of(content):
        return shell.nested(content)
    if content is not None and content.strip(LOCAL + OUTPUT + HOLE) == "" and path.startswith("/dev/fd/"):
        return call.code(Language.SHELL, content)
    return run_script_file(call, path, Language.SHELL)


INTERPRETERS: dict[str, Handler] = {
    **dict.fromkeys(SHELLS, shell_program),
    **dict.fromkeys((*_KINDS, *_ALSO), interpreter),
    **dict.fromkeys(("gdb", "gdb-multiarch", "lldb"), debugger),
    "osascript": osascript,
    ".": source,
    "source": source,
}
