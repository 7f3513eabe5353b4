"""Which shell a command line is written for, told from its text alone.

Decided here: signs that only one shell has, each with a weight; what is certain enough to leave the others out. A text that
could be for several shells is analysed for each of them, and what any of them would do counts. Most commands are POSIX's, and a
line with no sign at all is taken for one.
"""

import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from freehold.guard.effects.windows_cmdlets import cmdlets
from freehold.guard.effects.windows_programs import name_of, programs
from freehold.guard.syntax import Language

LIMIT_CHARS = 8 << 10  # what the beginning does not show, the rest of a script hardly does
_CERTAIN = 3


_TYPES = (
    r"string|u?int\d*|char|byte|scriptblock|void|array|adsi|adsisearcher|wmiclass|xml|ref|regex|datetime|convert|psobject|bool"
    r"|[a-z]+\.[a-z][\w.]+"
)
_NAMES = (  # of variables that every Windows has
    r"temp|tmp|appdata|localappdata|userprofile|username|userdomain|userdnsdomain|systemroot|windir|systemdrive|programfiles(?:\(x86\))?|programdata"
    r"|public|comspec|computername|homepath|homedrive|allusersprofile|path|cd|os|errorlevel|random|date|time|logonserver|pathext|processor_\w+"
)
_PS: tuple[tuple[int, re.Pattern[str]], ...] = (
    (3, re.compile(r"\$env:|\$\{env:", re.IGNORECASE)),
    (
        3,
        re.compile(
            r"\[(?:system\.)?[a-z][\w.]*(?:\[\])?\]::|(?:^|[\s(=,;])\[(?:" + _TYPES + r")(?:\[\])?\]\s*[$'\"@(]", re.IGNORECASE
        ),
    ),
    (3, re.compile(r"(?:^|[;|\n=])\s*&\s*[\"'$(]")),
    (
        3,
        re.compile(
            r"\$(?:true|false|null|_)\b(?!\w)[^/]|@\{|\$psitem|\$pshome|\$psversion|\$profile\b|\$executioncontext", re.IGNORECASE
        ),
    ),
    (2, re.compile(r"^\s*\$\w+\s*[-+]?=\s?[^=~]|;\s*\$\w+\s*=", re.MULTILINE)),
    (2, re.compile(r"\|\s*(?:%|\?|foreach|where|select|sort|measure|out-\w+|format-\w+|ft|fl|iex)\s*[\s{(]", re.IGNORECASE)),
    (2, re.compile(r"\s-(?:eq|ne|like|notlike|match|notmatch|replace|contains|is|as|f)\s+['\"$(]", re.IGNORECASE)),
    (
        2,
        re.compile(
            r"\s-(?:erroraction|recurse|force|itemtype|literalpath|filepath|argumentlist|usebasicparsing|outfile|scriptblock|computername|namespace|classname|passthru)\b",
            re.IGNORECASE,
        ),
    ),
    (2, re.compile(r"new-object|\.downloadstring|\.downloadfile|frombase64string|\.invoke\(|write-host", re.IGNORECASE)),
    (1, re.compile(r"`\s*\n|`[a-z\"$]", re.IGNORECASE)),
    (2, re.compile(r"\b(?:foreach|if|while|switch)\s*\(.*\)\s*\{", re.IGNORECASE | re.DOTALL)),
    (2, re.compile(r"hk(?:lm|cu|cr|u):", re.IGNORECASE)),
)
_BATCH: tuple[tuple[int, re.Pattern[str]], ...] = (
    (3, re.compile(rf"%(?:{_NAMES})(?::[^%\s]{{1,40}})?%|(?<![\w%])%~[a-z]*\d", re.IGNORECASE)),
    (1, re.compile(r"(?<![\w%])%[a-z_][\w]{2,30}%|(?<![\w%])![a-z_]\w{1,30}!", re.IGNORECASE)),
    (3, re.compile(r"^\s*@?echo\s+(?:off|on)\b|^\s*@?(?:setlocal|endlocal|rem\s)|^\s*::", re.IGNORECASE | re.MULTILINE)),
    (3, re.compile(r"\bfor\s+(?:/[flrd]\s+)?[^\n]{0,80}?%{1,2}~?[a-z]\s+in\s*\(", re.IGNORECASE)),
    (3, re.compile(r"\bif\s+(?:/i\s+)?(?:not\s+)?(?:exist|defined|errorlevel)\s", re.IGNORECASE)),
    (3, re.compile(r"[12]?>\s?nul\b", re.IGNORECASE)),
    (1, re.compile(r"\^[&|<>^%\"\w]")),
    (2, re.compile(r"\b(?:goto|call)\s+:\w", re.IGNORECASE)),
)
_WINDOWS: tuple[tuple[int, re.Pattern[str]], ...] = (  # either of the two
    (2, re.compile(r"(?:^|[\s\"'=(,])[a-z]:\\", re.IGNORECASE)),
    (2, re.compile(r"(?:^|[\s\"'])\\\\[\w.$-]+\\", re.IGNORECASE)),
    (2, re.compile(r"[\w-]\.(?:exe|bat|cmd|vbs|msi|dll|msc|inf|scr)\b", re.IGNORECASE)),
    (2, re.compile(r"\\[\w. -]+\.(?:exe|bat|cmd|vbs|dll|js|hta|ps1|html?)\b", re.IGNORECASE)),
    (1, re.compile(r"(?:^|[\s\"'])\.?\.?\\?[\w.~-]+\\[\w.~\\*-]+")),
    (2, re.compile(r"^\s*\"[^\"\n\\]*\\[^\"\n\\]+\\[^\"\n]+\"", re.MULTILINE)),
    (2, re.compile(r"\bhk(?:lm|cu|cr|ey_[a-z_]+)\\", re.IGNORECASE)),
)
_SHELL: tuple[tuple[int, re.Pattern[str]], ...] = (
    (3, re.compile(r"\A#!\s*/")),
    (
        2,
        re.compile(
            r"(?:^|[\s'\"=:(])(?:/(?:usr|etc|var|tmp|bin|sbin|opt|home|root|dev|proc|sys|lib|mnt|srv|Library|Users|Applications)(?:/|\b)|~/)"
        ),
    ),
    (2, re.compile(r"\$\{\w+[}:#%/-]|\$\(\(|\$\(\s*[a-z]|\$[A-Z_]{2,}\b(?!:)|\$[@*#0-9]\b")),
    (2, re.compile(r"\b(?:then|fi|done|esac)\b|\[\[|\bdo\s*$|\bexport\s+\w+=|^\s*\w+=(?:\S|$)", re.MULTILINE)),
    (2, re.compile(r"[12]?>\s?/dev/null|2>&1\s*(?:\||$)|&>|<<-?\s*['\"]?\w+|<\(")),
    (1, re.compile(r"\\\s*\n|(?<!\S)\./\w|\|\s*(?:grep|awk|sed|xargs|head|tail|wc|sort|tee|bash|sh)\b")),
    (1, re.compile(r"(?<!\S)-[a-zA-Z]{1,3}(?=\s|$)|(?<!\S)--[a-z][\w-]+")),
)
_COMMAND = re.compile(r"(?:^|\|(?!\w)|[;&(){}\n]|\bdo\s|\bcmd(?:\.exe)?\s+/[ckCK]\s+)\s*@?&?\s*[\"']?([\w.:\\/%$-]+)")
_CMDLET = re.compile(r"(^|[|;&(){}=\n]\s*|\s)([a-z]+-[a-z][a-z0-9]{2,})\b(?!\.)", re.IGNORECASE)
_SLASHED = re.compile(r"\s/(?:\?|[a-z]{1,2})(?:[:\s]|$)", re.IGNORECASE)


@cache
def _words() -> Mapping[str, frozenset[str]]:
    document = tomllib.loads((files("freehold.guard.effects") / "data" / "windows_dialect.toml").read_text())
    return {key: frozenset(names.split()) for key, names in document.items()}


def _weight(signs: tuple[tuple[int, re.Pattern[str]], ...], text: str) -> int:
    return sum(weight for weight, form in signs if form.search(text))


def shell_dialect(text: str) -> tuple[Language, ...]:
    """SHELL, POWERSHELL, BATCH: those that the text may be written for. Never empty."""
    text = text[:LIMIT_CHARS]
    powershell, batch, shell = _weight(_PS, text), _weight(_BATCH, text), _weight(_SHELL, text)
    windows = _weight(_WINDOWS, text)
    if any(_is_cmdlet(found[2], begins=not found[1].isspace()) for found in _CMDLET.finditer(text)):
        powershell += 3
    slashed = 2 if _SLASHED.search(text) else 1 if "\\" in text else 0
    words = _words()
    for found in _COMMAND.finditer(text):
        word = found[1]
        name = name_of(word)
        if name in words["aliases"]:
            powershell += 2
        elif name in words["batch"]:
            batch += 2 if slashed else 1
        elif name in words["shared"]:
            windows += slashed
        elif name in words["shells"] or name in programs():
            windows += 2 if name in words["rare"] else 3
        if word in words["posix"]:
            shell += 1
    return _chosen(powershell, batch, windows, shell)


def _chosen(powershell: int, batch: int, windows: int, shell: int) -> tuple[Language, ...]:
    """A line of Windows' with no sign of PowerShell is cmd.exe's; PowerShell's own reading is left out only then."""
    windows += powershell + batch
    found: list[Language] = []
    if windows >= 2:
        if powershell >= 2:
            found.append(Language.POWERSHELL)
        if powershell < _CERTAIN or batch >= _CERTAIN:
            found.append(Language.BATCH)
    if windows < _CERTAIN or (shell >= 2 and shell * 2 >= windows):
        found.append(Language.SHELL)
    return tuple(found)


def _is_cmdlet(word: str, *, begins: bool) -> bool:
    """A verb and a noun. In lower case only where a command begins and a table has it: `set-timezone` is a word elsewhere."""
    name = word.lower()
    table = cmdlets()
    if name == word and not begins:
        return False
    if name in table.named:
        return True
    if name.partition("-")[0] not in table.verbs:
        return False
    return word[0].isupper() or any(fnmatchcase(name, glob) for family in table.families for glob in family.globs)
