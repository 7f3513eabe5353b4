"""What language a piece of code is in, where nobody says: by its file's name, its first line, or what its lines look like.

A guess needs signs that prose, logs and data do not have; a text without them is in no language.
"""

import re
from functools import cache
from typing import Any

import re2

from freehold.guard.languages import language_named
from freehold.guard.syntax import Language

_SHEBANGS = (
    ("python", Language.PYTHON),
    ("node", Language.JAVASCRIPT),
    ("ruby", Language.RUBY),
    ("php", Language.PHP),
    ("sh", Language.SHELL),
)
_LOOK_CHARS = 8192  # of the beginning; a file says early what it is
_MANY = 32  # signs of one language: enough
_ODD = "\x0b\x1c\x1d\x1e\x1f"  # blanks to Python, and not to RE2


def _signs(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.MULTILINE)


_SIGNS: tuple[tuple[Language, re.Pattern[str]], ...] = (
    (Language.PHP, _signs(r"<\?php|<\?=", r"^[^\S\n]*\$\w+\s*=[^=].*;\s*$", r'\becho\s+"[^"]*\$\w')),
    (
        Language.GO,
        _signs(r"^package \w+\s*$", r"^func (?:\([^)]*\) )?\w+\([^)]*\).*\{\s*$", r"^[^\S\n]*\w+(?:, \w+)* := ", r"\bfmt\.Print"),
    ),
    (
        Language.CSHARP,
        _signs(
            r"^using (?:System|Microsoft)[\w.]*;",
            r"^[^\S\n]*namespace [\w.]+[^\S\n]*(?:[{;]\s*)?$",
            r"\bConsole\.(?:Write|Read)",
            r"\bstatic (?:async )?\w+ Main\(",
            r"\[Http(?:Get|Post)|\bIActionResult\b|\bstring\.Format\(",
        ),
    ),
    (
        Language.JAVA,
        _signs(
            r"^import (?:static )?(?:java|javax|org|com)\.[\w.*]+;",
            r"^[^\S\n]*public (?:final |abstract )?class \w+",
            r"\bSystem\.(?:out|err)\.print",
            r"\bpublic static void main\(String|\bpublic void \w+\(|\bString\[\] ",
        ),
    ),
    (
        Language.CPP,
        _signs(
            r"^[^\S\n]*#include\s*[<\"]",
            r"\bstd::|\bint main\s*\(|\bcout\s*<<",
            r"^[^\S\n]*(?:unsigned |const )?(?:char|int|void|size_t)\s+\*?\w+\s*\([^;)]*\)\s*\{",
        ),
    ),
    (
        Language.PYTHON,
        _signs(
            r"^[^\S\n]*(?:from [\w.]+ import \w|import [\w.]+(?: as \w+)?\s*$|import [\w., ]+;[^\S\n]*\w)",
            r"^[^\S\n]*(?:async )?def \w+\(.*\).*:\s*$|^[^\S\n]*class \w+(?:\(.*\))?:\s*$",
            r"^[^\S\n]*(?:elif .*|except\b.*|(?:if|for|while|with) .*[^{]):\s*$",
            r"^[^\S\n]*print\(",
        ),
    ),
    (
        Language.RUBY,
        _signs(
            r"^[^\S\n]*require ['\"][\w/]+['\"]",
            r"^[^\S\n]*def \w+[?!]?(?:\(.*\))?\s*$",
            r"^[^\S\n]*(?:puts\b|end\s*$|class \w+ < \w|\w+\.each do \|)",
        ),
    ),
    (
        Language.JAVASCRIPT,
        _signs(
            r"\b(?:const|let|var) (?:\w+|\{[^}\n]*\}|\[[^\]\n]*\])\s*=",
            r"\bfunction\s*\w*\s*\([^)\n]*\)\s*\{|=>\s*[\{\(\w]",
            r"\bconsole\.log\(|\brequire\(['\"]|^import .* from ['\"]|\bdocument\.|\bmodule\.exports",
        ),
    ),
    (Language.SHELL, _signs(r"^[^\S\n]*(?:sudo |apt-get |pip3? install|npm (?:i|install) |curl |cd |echo |export \w+=|\$ \w)")),
)


def guess(text: str, name: str = "") -> Language | None:
    if name:
        base = name.replace("\\", "/").rpartition("/")[2].lower()
        if base.startswith("dockerfile"):
            return Language.DOCKERFILE
        by_name = language_named(base.rpartition(".")[2]) if "." in base else None
        if by_name is not None:
            return by_name
    head = text[:_LOOK_CHARS]
    if head.startswith("#!"):
        first = head.split("\n", 1)[0]
        return next((language for word, language in _SHEBANGS if word in first), None)
    candidates = _of_use(head)
    if len(candidates) == 1:  # nothing to weigh it against
        return candidates[0][0]
    best: Language | None = None
    most = 0
    for language, signs in candidates:
        count = len({found.group().strip() for found, _ in zip(signs.finditer(head), range(_MANY), strict=False)})
        if count > most:
            best, most = language, count
    return best


def _of_use(head: str) -> list[tuple[Language, re.Pattern[str]]]:
    """The languages of which there is any sign: a text has those of two or three."""
    if not head.isascii() or any(odd in head for odd in _ODD):
        return list(_SIGNS)
    return [_SIGNS[number] for number in sorted(_any_signs().Match(head) or ())]


@cache
def _any_signs() -> Any:
    """The signs of all languages at once, each language's under its number."""
    signs = re2.Set.SearchSet()
    for _, pattern in _SIGNS:
        signs.Add(f"(?m){pattern.pattern}")
    signs.Compile()
    return signs
