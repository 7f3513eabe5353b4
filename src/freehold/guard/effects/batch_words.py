"""How cmd.exe reads a line: carets, quotes, variables, redirections, words.

Decided here, as cmd.exe's parser does it (Microsoft Learn, "cmd"; the phases are those its users have worked out): variables
are replaced before anything else is looked at, a caret takes the meaning from the next character outside quotes, redirections
may stand anywhere. Where cmd.exe would look at the machine, the text keeps the variable's name: "%TEMP%". What is done is
`batch.py`'s.
"""

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field

from freehold.guard.effects.places import HOLE

LIMIT_EXPANDED = 8 << 10  # of cmd.exe itself it is 8,191 characters a line

_VARIABLE = re.compile(
    r"%(?P<argument>~[a-z$:]*\d|[*\d])"
    r"|(?P<sign>[%!])(?P<name>[^%!:=\r\n]{1,64})(?::(?P<change>~-?\d+(?:,-?\d+)?|\*?[^%!=\r\n]{1,64}=[^%!\r\n]{0,64}))?(?P=sign)",
    re.IGNORECASE,
)
# What these are on every machine, for those who spell commands out of their letters.
USUAL = {
    "comspec": r"C:\WINDOWS\system32\cmd.exe",
    "systemroot": r"C:\WINDOWS",
    "windir": r"C:\WINDOWS",
    "os": "Windows_NT",
    "programfiles": r"C:\Program Files",
    "commonprogramfiles": r"C:\Program Files\Common Files",
    "programdata": r"C:\ProgramData",
    "allusersprofile": r"C:\ProgramData",
    "public": r"C:\Users\Public",
    "pathext": ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC",
    "psmodulepath": r"C:\Program Files\WindowsPowerShell\Modules;C:\WINDOWS\system32\WindowsPowerShell\v1.0\Modules",
    "processor_architecture": "AMD64",
    "systemdrive": "C:",
    "homedrive": "C:",
}


@dataclass(slots=True)
class Line:
    """One simple command. `words` are without quotes and carets; `rest` is what follows the first word, as it was written."""

    words: list[str] = field(default_factory=list)
    rest: str = ""
    redirections: list[tuple[str, str]] = field(default_factory=list)  # ">", ">>", "<", and the file


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """With the variables replaced that are known. `%~dp0` is the script's own folder, `%1` is not known."""

    def value(found: re.Match[str]) -> str:
        if found["argument"]:
            return ".\\" if "p" in found["argument"].lower() and found["argument"].endswith("0") else HOLE
        name, change = found["name"].lower(), found["change"]
        if change:
            known = variables.get(name, USUAL.get(name))
            return HOLE if known is None else _changed(known, change)
        return variables.get(name, found[0] if found["sign"] == "%" else f"%{found['name']}%")

    if "%" not in text and "!" not in text:
        return text
    return _VARIABLE.sub(value, text)[:LIMIT_EXPANDED]


def _changed(value: str, change: str) -> str:
    if change.startswith("~"):
        start, _, length = change[1:].partition(",")
        begin = int(start) if abs(int(start)) < LIMIT_EXPANDED else LIMIT_EXPANDED
        begin = max(len(value) + begin, 0) if begin < 0 else begin
        end = len(value) if not length else begin + int(length) if not length.startswith("-") else len(value) + int(length)
        return value[begin : max(end, begin)]
    old, _, new = change.partition("=")
    if old.startswith("*") and len(old) > 1:
        at = value.lower().find(old[1:].lower())
        return value if at < 0 else new + value[at + len(old) - 1 :]
    return re.sub(re.escape(old), lambda _: new, value, flags=re.IGNORECASE)[:LIMIT_EXPANDED]


_PLAIN = re.compile(r"[^\s^\"<>,;=]+")
_QUOTED = re.compile(r"\"[^\"]*(?:\"|$)")


def read_line(text: str) -> Line:
    """A simple command, with no operators but redirections."""
    line = Line()
    word: list[str] = []
    in_word, at, rest_from = False, 0, -1
    while at < len(text):
        sign = text[at]
        if sign == '"':
            found = _QUOTED.match(text, at)
            assert found is not None  # a quote begins it
            word.append(found[0].strip('"'))
            in_word, at = True, found.end()
        elif sign == "^":
            word.append(text[at + 1 : at + 2].strip("\n"))
            in_word, at = True, at + 2
        elif sign in "<>":
            if in_word and len(word) == 1 and word[0] in "012" and text[at - 1] == word[0]:
                word, in_word = [], False
            elif in_word:
                rest_from = _end_word(line, word, at, rest_from)
                word, in_word = [], False
            at = _redirection(text, at, line)
        elif sign.isspace() or (sign in ",;=" and (not line.words or not in_word)):
            if in_word:
                rest_from = _end_word(line, word, at, rest_from)
                word, in_word = [], False
            at += 1
        else:
            found = _PLAIN.match(text, at)
            piece = found[0] if found else sign
            word.append(piece)
            in_word, at = True, at + len(piece)
    if in_word:
        rest_from = _end_word(line, word, at, rest_from)
    line.rest = text[rest_from:].strip() if rest_from >= 0 else ""
    return line


def _end_word(line: Line, word: list[str], at: int, rest_from: int) -> int:
    line.words.append("".join(word))
    return at if rest_from < 0 else rest_from


_FILE = re.compile(r"\s*(&\d|\"[^\"]*\"?|[^\s<>&|]+)")


def _redirection(text: str, at: int, line: Line) -> int:
    sign = ">>" if text[at : at + 2] == ">>" else text[at]
    found = _FILE.match(text, at + len(sign))
    if found is None:
        return at + len(sign)
    if not found[1].startswith("&"):
        line.redirections.append((sign, found[1].strip('"')))
    return found.end()


_SET = re.compile(r"\s*+\"?\s*+([^=\"]{1,64}?)\s*=")


def assign(rest: str, variables: MutableMapping[str, str]) -> None:
    """What `set` makes of the rest of its line."""
    switch = rest[:2].lower()
    written = rest[2:] if switch in ("/p", "/a") else rest
    found = _SET.match(written)
    if found is None:
        return
    name = found[1].lower()
    variables.pop(name, None)
    if switch not in ("/p", "/a"):
        value = written[found.end() :].rstrip().removesuffix('"')
        variables[name] = value[:LIMIT_EXPANDED].replace("^", "")
    else:
        variables[name] = HOLE
