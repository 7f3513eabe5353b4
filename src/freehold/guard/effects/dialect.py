"""Which shell a command line is written for, told from its text alone.

Decided here: signs that only one shell has, each with a weight; what is certain enough to leave the others out. A text that
could be for several shells is analysed for each of them, and what any of them would do counts. Most commands are POSIX's, and a
line with no sign at all is taken for one.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from freehold.guard.effects.windows_cmdlets import cmdlets
from freehold.guard.effects.windows_programs import name_of, programs
from freehold.guard.syntax import Language

LIMIT_CHARS = 4 << 10  # what the beginning does not show, the rest of a script hardly does
_CERTAIN = 3


class Sign(NamedTuple):
    """`needles`: one of them, in lower case, must be in the text for the form to be worth a try, and to be compiled."""

    weight: int
    needles: tuple[str, ...]
    form: str
    flags: int


@cache
def _compiled(form: str, flags: int) -> re.Pattern[str]:
    """Of the signs in this file, and no others."""
    return re.compile(form, flags)


def _sign(weight: int, needles: str, form: str, flags: int = re.IGNORECASE) -> Sign:
    return Sign(weight, tuple(needles.split()), form, flags | re.MULTILINE)


_TYPES = (
    r"string|u?int\d*|char|byte|scriptblock|void|array|adsi|adsisearcher|wmiclass|xml|ref|regex|datetime|convert|psobject|bool"
    r"|[a-z]+\.[a-z][\w.]+"
)
_NAMES = (  # of variables that every Windows has
    r"temp|tmp|appdata|localappdata|userprofile|username|userdomain|userdnsdomain|systemroot|windir|systemdrive|programdata"
    r"|programfiles(?:\(x86\))?|public|comspec|computername|homepath|homedrive|allusersprofile|path|cd|os|errorlevel|random|date"
    r"|time|logonserver|pathext|processor_\w+"
)
_POWERSHELL = (
    _sign(3, "$env: ${env:", r"\$\{?env:"),
    _sign(3, "[", r"\[(?:system\.)?[a-z][\w.]*(?:\[\])?\]::|(?:^|[\s(=,;])\[(?:" + _TYPES + r")(?:\[\])?\] ?[$'\"@(]"),
    _sign(3, "&", r"(?:^|[;|=]) ?& ?[\"'$(]"),
    _sign(3, "$true $false $null $_", r"\$(?:true|false|null|_)\b(?!\w)[^/]"),
    _sign(3, "@{ $psitem $pshome $psversion $profile $executioncontext $psscriptroot", r"@\{|\$(?:ps\w{4}|profile\b|executionc)"),
    _sign(2, "$", r"^\$\w+ ?[-+]?= ?[^=~]|; ?\$\w+ ?="),
    _sign(3, "$", r"^\$\w+\\\w"),
    _sign(2, "|", r"\| ?(?:[%?] ?\{|(?:foreach|where|select|measure|out-\w+|format-\w+|ft|fl|iex)(?=[\s{(]|$))"),
    _sign(2, "-", r" -(?:like|notlike|match|notmatch|replace|contains|is|as) ['\"$([]|['\")] -f ['\"$(]"),
    _sign(
        2,
        "-",
        r" -(?:erroraction|recurse|force|itemtype|literalpath|filepath|argumentlist|usebasicparsing|outfile|scriptblock"
        r"|computername|namespace|classname|passthru)\b",
    ),
    _sign(
        2,
        "new-object .downloadstring .downloadfile frombase64string .invoke( write-host",
        r"new-object|\.download(?:string|file)|frombase64string|\.invoke\(|write-host",
    ),
    _sign(1, "`", r"`$|`[a-z\"$]"),
    _sign(3, "){ ) {", r"\b(?:foreach|if|while|switch) ?\([^\n]{0,200}?\) ?\{"),
    _sign(2, "hklm: hkcu: hkcr: hku:", r"hk(?:lm|cu|cr|u):"),
)
_BATCH = (
    _sign(3, "%", rf"%(?:{_NAMES})(?::[^%\s]{{1,40}})?%|(?<![\w%])%~[a-z]{{0,9}}\d"),
    _sign(1, "% !", r"(?<![\w%])%[a-z_]\w{2,30}%|(?<![\w%])![a-z_]\w{1,30}!"),
    _sign(3, "echo setlocal endlocal rem ::", r"^@?echo (?:off|on) ?(?:$|[&|])|^@?(?:setlocal|endlocal|rem )|^::"),
    _sign(3, "%", r"\bfor (?:/[flrd] )?[^\n]{0,80}?%{1,2}~?[a-z]\w{0,30} in ?\("),
    _sign(
        3, "if", r"\bif (?:/i )?(?:not )?(?:(?:exist|defined|errorlevel) |[%\"]{0,2}\w{1,40}[%\"]{0,2}(?: ?== ?\S{1,80})? ?\()"
    ),
    _sign(3, "set", r"(?:^|[|&;(] ?)set \"?\w{1,40}="),
    _sign(3, "nul", r"[12]?> ?nul\b"),
    _sign(3, "/", r"\b(?:rmdir|rd|del|erase|copy|move|dir|mkdir|md|ren|type|start)\b[^|&;\n]{0,80} /[a-z?]{1,2}(?=[\s:]|$)"),
    _sign(3, "^", r"\b\w{1,3}\^\w{1,3}\^\w"),
    _sign(1, "^", r"\^[&|<>^%\"\w]"),
    _sign(2, "goto call", r"\b(?:goto|call) :\w"),
)
_WINDOWS = (  # either of the two
    _sign(2, ":\\", r"(?:^|[\s\"'=(,])[a-z]:\\"),
    _sign(2, "\\\\", r"(?:^|[\s\"'])\\\\[\w.$-]{1,80}\\"),
    _sign(2, ".exe .bat .cmd .vbs .msi .dll .msc .inf .scr", r"[\w-]\.(?:exe|bat|cmd|vbs|msi|dll|msc|inf|scr)\b"),
    _sign(2, "\\", r"\\[\w. -]{1,80}\.(?:exe|bat|cmd|vbs|dll|js|hta|ps1|html?)\b"),
    _sign(1, "\\", r"(?:^|[\s\"'])\.?\.?\\?[\w.~-]{1,80}\\[\w.~\\*-]"),
    _sign(2, "\\", r"^\"[^\"\n\\]{0,80}\\[^\"\n\\]{1,80}\\[^\"\n]{1,80}\""),
    _sign(3, "whoami", r"\bwhoami(?:\.exe)? /(?:all|priv|groups|user|upn|fo|logonid|claims)\b"),
    _sign(3, "query", r"(?:^|[|&;]) ?query(?:\.exe)? (?:user|session|process|termserver)\b"),
    _sign(2, "hklm hkcu hkcr hkey_", r"\bhk(?:lm|cu|cr|ey_[a-z_]{1,20})\\"),
)
_POSIX = (
    _sign(3, "#!", r"\A#! ?/"),
    _sign(
        2,
        "/",
        r"(?:^|[\s'\"=:(])(?:/(?:usr|etc|var|tmp|bin|sbin|opt|home|root|dev|proc|sys|lib|mnt|srv|Library|Users|Applications)(?:/|\b)|~/)",
        0,
    ),
    _sign(2, "$", r"\$\{\w{1,40}[}:#%/-]|\$\(\(|\$\( ?[a-z]|\$[A-Z_]{2,}\b(?!:)|\$[@*#0-9]\b", 0),
    _sign(
        2, "then fi done esac [[ do export =", r"\b(?:then|fi|done|esac)\b|\[\[|\bdo ?$|\bexport \w{1,40}=|^\w{1,40}=(?:\S|$)", 0
    ),
    _sign(2, "> <", r"[12]?> ?/dev/null|2>&1 ?(?:\||$)|&>|<<-? ?['\"]?\w+|<\("),
    _sign(1, "\\ ./ |", r"\\$|(?<!\S)\./\w|\| ?(?:grep|awk|sed|xargs|head|tail|wc|sort|tee|bash|sh)\b"),
    _sign(1, "-", r"(?<!\S)-[a-zA-Z]{1,3}(?=\s|$)|(?<!\S)--[a-z][\w-]+"),
)
_COMMAND = re.compile(r"(?:^|\|(?!\w)|[;&(){}]|\bdo |\bcmd(?:\.exe)? /[ckCK] ) ?@?&? ?[\"']?([\w.:\\/%$-]+)", re.MULTILINE)
_CMDLET = re.compile(r"(?<![\w/-])[A-Z][A-Za-z]{1,20}-[A-Za-z][A-Za-z0-9]{2,}\b(?!\.)")
_COMMENT = re.compile(r"(?:^|(?<=\s))#(?!\S*\").*", re.MULTILINE)
# What another shell would make something else of: who writes for bash and strews in signs of Windows is read by both.
_NOT_BATCH = re.compile(r"\$[({'A-Za-z_]|`|<\(|\beval\b")
_ONLY_POSIX = re.compile(r"\$'|<\(|<<|\beval\b|\$\{\w+[:#%/^,]")
_SLASHED = re.compile(r" /(?:\?|[a-z]{1,2})(?:[:\s]|$)", re.IGNORECASE)


@cache
def _words() -> Mapping[str, frozenset[str]]:
    document = tomllib.loads((files("freehold.guard.effects") / "data" / "windows_dialect.toml").read_text())
    return {key: frozenset(names.split()) for key, names in document.items()}


def _weight(signs: tuple[Sign, ...], text: str, lower: str) -> int:
    whole = 0
    for weight, needles, form, flags in signs:
        for needle in needles:
            if needle in lower:
                if _compiled(form, flags).search(text) is not None:
                    whole += weight
                break
    return whole


def shell_dialect(text: str) -> tuple[Language, ...]:
    """SHELL, POWERSHELL, BATCH: those that the text may be written for. Never empty."""
    text = "\n".join([" ".join(line.split()) for line in text[:LIMIT_CHARS].splitlines()])
    if "#" in text:
        text = _COMMENT.sub("", text)  # in none of them may a comment decide
    lower = text.lower()
    powershell = _weight(_POWERSHELL, text, lower)
    batch, windows = _weight(_BATCH, text, lower), _weight(_WINDOWS, text, lower)
    if "-" in text and any(_is_cmdlet(found[0]) for found in _CMDLET.finditer(text)):
        powershell += 3
    slashed = 2 if "/" in text and _SLASHED.search(text) else 1 if "\\" in text else 0
    words, posix = _words(), 0
    for word in dict.fromkeys(_COMMAND.findall(text)):
        if word in words["posix"]:
            posix += 1
        else:
            name = name_of(word)
            if name in words["aliases"] or ("-" in name and name == word.lower() and _is_cmdlet(name)):
                powershell += 2 if name in words["aliases"] else 3
            elif name in words["batch"]:
                batch += 2 if slashed else 1
            elif name in words["shared"]:
                windows += slashed
            elif name in words["shells"] or name in programs():
                windows += 2 if name in words["rare"] else 3
    if powershell + batch + windows == 0:
        return (Language.SHELL,)
    found = _chosen(powershell, batch, windows, posix + _weight(_POSIX, text, lower))
    if Language.SHELL not in found and (_ONLY_POSIX if Language.POWERSHELL in found else _NOT_BATCH).search(text):
        return (*found, Language.SHELL)
    return found


def _chosen(powershell: int, batch: int, windows: int, posix: int) -> tuple[Language, ...]:
    """What has no sign of PowerShell is cmd.exe's. Weak signs of Windows are none beside strong ones of a POSIX shell."""
    every = powershell + batch + windows
    if every < _CERTAIN and posix > _CERTAIN:
        return (Language.SHELL,)
    found: list[Language] = []
    if powershell >= 2:
        found.append(Language.POWERSHELL)
    if batch >= _CERTAIN or (powershell < _CERTAIN and batch + windows >= 2):
        found.append(Language.BATCH)
    if every < _CERTAIN or posix >= every or not found:
        found.append(Language.SHELL)
    return tuple(found)


def _is_cmdlet(word: str) -> bool:
    """A verb and a noun. In lower case only if a table has it: `update-alternatives` is none."""
    name = word.lower()
    table = cmdlets()
    if name in table.named:
        return True
    if name.partition("-")[0] not in table.verbs:
        return False
    return word[0].isupper() or table.families.rule_of(name) is not None
