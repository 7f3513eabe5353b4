"""Editors and the languages of lines, sed and awk: the files they change, and the commands that their scripts run.

Sources: POSIX.1-2024 (`ed`, `ex`, `sed`, `awk`), GNU sed and gawk manuals, vim(1), gtfobins.github.io for ways out to a shell.
"""

import re
from collections.abc import Iterator

from freehold.core.effects import EffectKind, Place
from freehold.guard.effects.places import HOLE
from freehold.guard.effects.shell_call import Call, Handler
from freehold.guard.effects.shell_interpreters import foreign
from freehold.guard.effects.shell_names import named
from freehold.guard.effects.shell_state import OUTPUT, filtered, marks_of
from freehold.guard.syntax import Language

_IN_PLACE = re.compile(r"-[nErsuz]*i[nErsuz]*")


def sed_commands(text: str) -> Iterator[tuple[str, str]]:
    """What of a sed script runs or writes: ("e", command), ("w", file), ("?", ""). Reads addresses and delimiters as sed does."""
    at, end = 0, len(text)
    while at < end:
        at = _after_address(text, at)
        if at >= end:
            return
        command = text[at]
        at += 1
        if command in "sy" and at < end:
            at, _ = _fields(text, at)
            flags = re.match(r"[a-zA-Z0-9]*", text[at : at + 20])
            letters = flags.group(0) if flags else ""
            if command == "s" and "e" in letters:
                yield "?", ""
            at += len(letters)
            if letters.endswith("w"):
                line, at = _line(text, at)
                yield "w", line
        elif command in "aicrRwWe":
            line, at = _line(text, at)
            if command in "wWe":
                yield command.lower(), line


def _after_address(text: str, at: int) -> int:
    """Where the command begins: after blanks, `;`, braces, and addresses such as `1,/x/!`."""
    while at < len(text):
        char = text[at]
        if char in "/\\":
            at += char == "\\"
            at, _ = _fields(text, at, count=1)
        elif char in " \t\n;{},!~+$" or char.isdigit():
            at += 1
        else:
            break
    return at


def _fields(text: str, at: int, count: int = 2) -> tuple[int, list[str]]:
    """The texts between the delimiters of `s/a/b/`, and where what follows begins."""
    if at >= len(text):
        return at, []
    fields: list[str] = []
    mark, start = text[at], at + 1
    at += 1
    while at < len(text) and len(fields) < count:
        if text[at] == "\\":
            at += 1
        elif text[at] == mark:
            fields.append(text[start:at])
            start = at + 1
        at += 1
    return min(at, len(text)), fields


def _line(text: str, at: int) -> tuple[str, int]:
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    return text[at:end].strip(), end + 1


def sed(call: Call) -> str:
    flags = call.flags(frozenset(("-e", "-f", "--expression", "--file", "-l")))
    shell = call.shell
    scripts = flags.values.get("-e", []) + flags.values.get("--expression", [])
    words = flags.words
    if not scripts and not flags.has("-f") and words:
        scripts, words = words[:1], words[1:]
    in_place = any(arg.startswith(("-i", "--in-place")) or _IN_PLACE.fullmatch(arg) for arg in call.args)
    for text in scripts:
        for kind, value in sed_commands(text):
            if kind == "?":
                shell.unknown("sed runs what it made of a line")
            elif kind == "w":
                shell.touch(EffectKind.OVERWRITE, value, "sed writes to a file")
            elif value:
                shell.nested(value)
            else:
                shell.give(EffectKind.RUN, "sed runs what a file holds")
    for path in words:
        if path or not in_place:
            shell.touch(
                EffectKind.WRITE if in_place else EffectKind.READ,
                path,
                "sed -i changes a file" if in_place else "sed reads a file",
            )
    flow = "".join(map(shell.content, words)) if words else call.stdin
    return "" if in_place else filtered(flow)


_AWK_INET = re.compile(r"/inet[46]?/(?:tcp|udp)/")
_AWK_PIPES = re.compile(r"\|&?\s*\"((?:\\.|[^\"\\])*)\"|\"((?:\\.|[^\"\\])*)\"\s*\|&?\s*getline")
_AWK_PIPE_UNKNOWN = re.compile(r"\|&?\s*(?:getline\b|[a-z_$(]\w*)")
_AWK_MAKES = re.compile(r"print[^\"}]{0,200}\"[^\"]{0,200}[a-z]{2}")  # prints words of its own
_AWK_FILES = re.compile(r">>?\s*\"((?:\\.|[^\"\\])+)\"")


def awk(call: Call) -> str:
    flags = call.flags(named("awk-takes"))
    shell = call.shell
    text = flags.value("-e", "--source")
    words = flags.words
    if not text and not flags.has("-f") and words:
        text, words = words[0], words[1:]
    if _AWK_INET.search(text):
        kind = EffectKind.REMOTE_SHELL if "getline" in text and "|" in text else EffectKind.SEND
        shell.give(kind, "an awk program that opens a network socket", place=Place.HOST)
    for found in _AWK_PIPES.finditer(text):
        shell.nested((found.group(1) or found.group(2) or "").replace('\\"', '"'))
    for found in _AWK_FILES.finditer(text):
        shell.touch(EffectKind.OVERWRITE, found.group(1), "an awk program writes a file")
    if "system" in text:
        foreign(call, text)
    elif _AWK_PIPE_UNKNOWN.search(re.sub(r"\|\|", "", text)) and not _AWK_PIPES.search(text):
        shell.unknown("an awk program that runs a command which is not known")
    for path in words:
        if "=" not in path:
            shell.touch(EffectKind.READ, path, "awk reads a file")
    made = HOLE if _AWK_MAKES.search(text) else ""
    return (filtered("".join(map(shell.content, words)) if words else call.stdin) or OUTPUT) + made


_EX_RUNS = re.compile(
    r"(?:^|[|:\n])[^\S\n]*+:?(?:%|\d+|silent!?\s*+)?(?:!|r\s*!|r(?:ead)?\s+!|w\s*!|shell\b|sh\b|term(?:inal)?\b)\s*(.*)"
)
_EX_CODE = re.compile(
    r"(?:py(?:thon)?[3x]?|lua|perl|ruby)\s+(.*)|system\(\s*[\"'](.*?)[\"']|os\.(?:execute|system)\(\s*[\"'](.*?)[\"']", re.DOTALL
)


_EX_RANGE = re.compile(r"^[:%,$.\d]+")
_EX_FILES = ("e", "r", "E", "edit", "read", "w", "W", "write", "wq", "x", "sav", "saveas", "up", "update")
_EDITOR_TAKES = frozenset(("-c", "--cmd", "-S", "-u", "-w", "-T"))


def editor(call: Call) -> str:
    """vi, ed and their like: they change the files they are given, and their commands may run others."""
    is_silent = call.name in ("ex", "ed", "red") or any(arg[:2] in ("-e", "-E") for arg in call.args)
    flags = call.flags(_EDITOR_TAKES if is_silent else _EDITOR_TAKES | {"-s"})
    shell = call.shell
    commands = [value for option in ("-c", "--cmd") for value in flags.values.get(option, ())]
    commands += [word[1:] for word in flags.words if word.startswith("+") and len(word) > 1]
    if not marks_of(call.stdin):
        commands += call.stdin.split("\n") if call.stdin else []
    for text in commands[:20]:
        text = text[:2000]
        found = _EX_RUNS.search(text)
        if found:
            shell.nested(found.group(1).strip()) if found.group(1).strip() else shell.give(
                EffectKind.ESCALATE, "opens a shell from within another program"
            )
        for code in _EX_CODE.finditer(text):
            inner = code.group(2) or code.group(3)
            if text[code.start() :].startswith("py") and code.group(1):
                call.code(Language.PYTHON, code.group(1))
            elif inner:
                shell.nested(inner)
            else:
                foreign(call, text)
    for text in commands[:20] if call.name in ("ed", "red", "ex", "vi", "vim") else ():
        verb, _, path = _EX_RANGE.sub("", text.strip()).partition(" ")
        verb, path = verb.rstrip("!"), path.strip().removeprefix(">>")
        if verb in _EX_FILES and path and not path.startswith("!"):
            shell.touch(
                EffectKind.READ if verb[0] in "eErR" else EffectKind.OVERWRITE, path.strip(), "a command that an editor is given"
            )
    for path in flags.words:
        if not path.startswith("+"):
            shell.touch(EffectKind.WRITE, path, "an editor may change it")
    return OUTPUT


EDITORS: dict[str, Handler] = {
    **dict.fromkeys(["vi", "vim", "nvim", "ex", "ed", "view", "rvim", "vimdiff", "gvim", "red", "elvis"], editor),
    **dict.fromkeys(("sed", "gsed", "ssed"), sed),
    **dict.fromkeys(["awk", "gawk", "mawk", "nawk", "original-awk", "goawk"], awk),
}
