"""Names of packages in code, checked against near misses of popular ones: one letter more, less, other or in another place, words
swapped, signs left out, letters that look alike, a scope taken for a part of the name.

A name that is itself known is never one, nor is one that is merely longer. `data/packages/` has the known names, the most used
first; of the two long lists only the first `_IMITATED` are taken for what somebody would imitate.
"""

import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import NamedTuple

from freehold.guard.syntax import Language
from freehold.guard.weaknesses.rules import KINDS
from freehold.guard.weaknesses.weakness import SQUAT, Weakness

LIMIT_CHARS = 128 << 10  # of one text, as syntax.LIMIT_BYTES
LIMIT_NAMES = 2000  # of packages in one text
_IMITATED = 2500
_SHORTEST = 5  # of a name that others imitate: near shorter ones lie too many honest ones
_FAR = 10  # from this length on two letters may differ
_SEPARATORS = re.compile(r"[-_.]+")
_LOOKS = str.maketrans({"0": "o", "1": "l", "5": "s", "3": "e", "4": "a", "7": "t"})
_MOVED = ("@babel/", "@esbuild/", "@vue/", "@angular/", "@rollup/")
_DIGITS = re.compile(r"\d+")
_ECOSYSTEMS = ("pypi", "npm", "crates", "gems", "composer", "nuget", "go")

_NAME = r"@?[A-Za-z0-9][\w.@/\-]*"
_ARGUMENT = rf"(?:--?[\w=:/.\-]+|['\"]?{_NAME}(?:\[[\w,]+\])?(?:[=<>~!^]=?[\w.*]+)?['\"]?)"
_COMMANDS = (  # ecosystem, a word that its commands have, the command
    ("pypi", "install", r"(?:pip3?|pipx|uv pip|python3? -m pip|pipenv|conda)[ \t]+install"),
    ("pypi", " add", r"(?:poetry|uv)[ \t]+add"),
    ("npm", "npm", r"p?npm[ \t]+(?:install|i|add)"),
    ("npm", "add", r"(?:yarn[ \t]+(?:global[ \t]+)?|bun[ \t]+)add"),
    ("npm", "npx", r"npx"),
    ("crates", "cargo", r"cargo[ \t]+(?:add|install)"),
    ("gems", "gem", r"gem[ \t]+install"),
    ("gems", "bundle", r"bundle[ \t]+add"),
    ("composer", "composer", r"composer[ \t]+(?:global[ \t]+)?require"),
    ("nuget", "dotnet", r"dotnet[ \t]+add[ \t]+package"),
    ("nuget", "Install-P", r"Install-Package"),
    ("go", "go ", r"go[ \t]+(?:get|install)"),
)
_INSTALLS: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (ecosystem, word, re.compile(rf"(?m)(?:^|[\s;&|#$>`(]){command}((?:[ \t]+{_ARGUMENT})+)"))
    for ecosystem, word, command in _COMMANDS
)
_WORD = re.compile(rf"(?<!\S)(['\"]?)({_NAME})")
_REQUIREMENT = re.compile(r"(?m)^[ \t]*([A-Za-z][\w.\-]*)(?:\[[\w,]+\])?[ \t]*(?:[=~<>!]=)[ \t]*[\d.*]")
_DEPENDENCIES = re.compile(r"\"(?:dev|peer|optional)?[dD]ependencies\"\s*:\s*\{([^{}]*)\}")
_REQUIRED = re.compile(r"\"require(?:-dev)?\"\s*:\s*\{([^{}]*)\}")
_KEY = re.compile(r"\"([^\"\s]+)\"\s*:")
_CARGO = re.compile(r"(?ms)^\[(?:dev-|build-)?dependencies\]\s*$(.*?)(?=^\[|\Z)")
_CARGO_KEY = re.compile(r"(?m)^([A-Za-z][\w\-]*)\s*=")
_GEM = re.compile(r"(?m)^[ \t]*gem[ \t]+['\"]([\w.\-]+)['\"]")
_GO_MODULE = re.compile(r"(?m)^[ \t]*(?:require[ \t]+)?([a-z0-9.\-]+\.[a-z]+/[\w./\-]+)[ \t]+v\d")
_JS_IMPORT = re.compile(r"(?:\brequire\(|\bfrom[ \t]+|\bimport[ \t]+|\bimport\()['\"]([@\w][\w.@/\-]*)['\"]")
_GO_IMPORT = re.compile(r"(?m)^[ \t]*(?:import[ \t]+)?(?:[\w.]+[ \t]+)?\"([a-z0-9.\-]+\.[a-z]+/[\w./\-]+)\"[ \t]*$")
_PY_IMPORT = re.compile(r"(?m)^[ \t]*(?:import[ \t]+([A-Za-z][\w., \t]*)|from[ \t]+([A-Za-z]\w*+)[\w.]*+[ \t]+import\b)")
_PY_MODULE = re.compile(r"(?:^|,)[ \t]*([A-Za-z]\w*)")  # of `a.b as c, d`
_PY_MODULES_WORDS = (
    "yaml cv2 sklearn skimage bs4 dateutil dotenv jose jwt magic serial usb wx gi google mpl_toolkits pkg_resources attr"
    " win32api win32con pythoncom zmq docx pptx fitz crypto Crypto Cryptodome OpenSSL MySQLdb psycopg2 ldap nacl git github"
    " telegram discord tests test utils utilities config settings models views helpers common core main app server client"
    " database forms schema"
)
_PY_MODULES = frozenset(_PY_MODULES_WORDS.split())


class Named(NamedTuple):
    """A package's name in a text, and how sure it is that it is one."""

    ecosystem: str
    name: str
    start: int
    end: int
    confidence: float


@dataclass(slots=True)
class _Index:
    """The known names of one ecosystem, and ways to the imitated ones."""

    known: frozenset[str]
    rank: Mapping[str, int]
    shapes: dict[str, str] = field(default_factory=dict)  # what is left without signs, look-alikes and order -> a name
    deletes: dict[str, list[str]] = field(default_factory=dict)  # with one letter left out -> names
    thirds: dict[tuple[int, int, str], list[str]] = field(default_factory=dict)  # (length, place, part) -> long names


def squats(name: str, ecosystem: str) -> str | None:
    """The popular package that `name` is a near miss of; None where it is none, is known itself, or is too short to tell."""
    if ecosystem not in _ECOSYSTEMS or not 3 <= len(name) <= 100:
        return None
    index = _index(ecosystem)
    plain = _plain(name, ecosystem)
    if plain in index.known:
        return None
    shaped = next((index.shapes[shape] for shape in _shapes(plain) if shape in index.shapes), None)
    if shaped is not None and not _is_version(plain, shaped) and not _was_scoped(plain, shaped):
        return shaped
    near = [target for target in _near(plain, index) if _is_slip(plain, target)]
    return min(near, key=lambda target: index.rank[target], default=None)


def squatted(text: str, language: Language | None, name: str = "") -> tuple[Weakness, ...]:
    """The near misses among the packages that a text names, each name once. `name` is the text's own."""
    kind = KINDS[SQUAT]
    found: dict[str, Weakness] = {}
    for one in islice(named(text[:LIMIT_CHARS], language, name), LIMIT_NAMES):
        if one.name in found or squats(one.name, one.ecosystem) is None:
            continue
        found[one.name] = Weakness(
            rule=SQUAT,
            cwe=kind.cwe,
            severity=kind.severity,
            confidence=one.confidence,
            start=one.start,
            end=one.end,
            line=text.count("\n", 0, one.start) + 1,
            words=kind.words,
            fix=kind.fix,
        )
    return tuple(found.values())


def named(text: str, language: Language | None, file: str = "") -> Iterator[Named]:
    """Where packages are named: install commands anywhere, lists of requirements, imports."""
    for ecosystem, hint, pattern in _INSTALLS:
        for found in pattern.finditer(text) if hint in text else ():
            for word in _WORD.finditer(found[1]):
                if not _is_path(word[2]):
                    start = found.start(1) + word.start(2)
                    name = _bare(word[2], ecosystem)
                    yield Named(ecosystem, name, start, start + len(name), 0.8)
    tables = (("npm", _DEPENDENCIES, _KEY), ("composer", _REQUIRED, _KEY), ("crates", _CARGO, _CARGO_KEY))
    for ecosystem, outer, key in tables if "ependencies" in text or '"require' in text else ():
        for found in outer.finditer(text):
            for one in key.finditer(found[1]):
                yield Named(ecosystem, one[1], found.start(1) + one.start(1), found.start(1) + one.end(1), 0.8)
    lists: tuple[tuple[str, re.Pattern[str], float], ...] = ()
    if "gem" in text:
        lists = (("gems", _GEM, 0.8),)
    if " v" in text or "\tv" in text:
        lists = (*lists, ("go", _GO_MODULE, 0.8))
    if language is None or file.lower().endswith(".txt"):
        lists = (*lists, ("pypi", _REQUIREMENT, 0.8))
    if language in (Language.JAVASCRIPT, Language.TYPESCRIPT, Language.TSX):
        lists = (*lists, ("npm", _JS_IMPORT, 0.7))
    if language is Language.GO:
        lists = (*lists, ("go", _GO_IMPORT, 0.7))
    for ecosystem, pattern, confidence in lists:
        for found in pattern.finditer(text):
            name = _bare(found[1], ecosystem)
            yield Named(ecosystem, name, found.start(1), found.start(1) + len(name), confidence)
    if language is Language.PYTHON and "import" in text:
        yield from _python_imports(text)


def _python_imports(text: str) -> Iterator[Named]:
    """Modules have other names than packages, and neighbours of their own: only what is no module of anybody's counts."""
    for found in _PY_IMPORT.finditer(text):
        group = 1 if found[1] else 2
        for module in _PY_MODULE.finditer(found[group]):
            name = module[1]
            if name not in sys.stdlib_module_names and name not in _PY_MODULES:
                start = found.start(group) + module.start(1)
                yield Named("pypi", name, start, start + len(name), 0.55)


def _is_path(word: str) -> bool:
    return (
        word.startswith((".", "/", "git+", "git@", "http:", "https:"))
        or word.endswith((".txt", ".whl", ".gz", ".zip", "/"))
        or word in ("install", "add")
    )


def _bare(written: str, ecosystem: str) -> str:
    """Without its version, subpath or extras."""
    if ecosystem == "npm":
        parts = written.split("/")
        scoped = "/".join(parts[:2]) if written.startswith("@") else parts[0]
        at = scoped.find("@", 1)
        return scoped if at < 0 else scoped[:at]
    if ecosystem == "go":
        return "/".join(written.split("@")[0].split("/")[:3])
    return re.split(r"[@=<>~!\[]", written, maxsplit=1)[0].rstrip(".")


def _plain(name: str, ecosystem: str) -> str:
    low = name.lower()
    if ecosystem == "pypi":
        return _SEPARATORS.sub("-", low)
    return low.replace("_", "-") if ecosystem == "crates" else low


def _shapes(name: str) -> Iterator[str]:
    """What a name is without what people mix up."""
    folded = unicodedata.normalize("NFKD", name).translate(_CONFUSED)
    joined = re.sub(r"[-_./@]", "", folded)
    yield f"joined {joined}"
    yield f"looks {joined.translate(_LOOKS).replace('rn', 'm').replace('vv', 'w')}"
    words = [word for word in re.split(r"[-_./@]", folded) if word]
    if len(words) > 1:
        yield f"words {'-'.join(sorted(words))}"


_CONFUSED = str.maketrans("асеорхуіԁһјѕԛԝ", "aceopxyidhjsqw")  # Cyrillic letters that look like Latin ones


@cache
def _index(ecosystem: str) -> _Index:
    text = (files("freehold.guard.weaknesses") / "data" / "packages" / f"{ecosystem}.txt").read_text(encoding="utf-8")
    names = [_plain(word, ecosystem) for line in text.splitlines() if not line.startswith("#") for word in line.split()]
    if ecosystem == "go":
        names = ["/".join(name.split("/")[:3]) for name in names]
    rank: dict[str, int] = {}
    for name in names:
        rank.setdefault(name, len(rank))
    index = _Index(frozenset(names), rank)
    for name in [name for name in rank if len(name) >= _SHORTEST][:_IMITATED]:
        for shape in _shapes(name):
            index.shapes.setdefault(shape, name)
        for place in range(len(name)):
            index.deletes.setdefault(name[:place] + name[place + 1 :], []).append(name)
        if len(name) >= _FAR:
            third = len(name) // 3
            for place in (0, third, 2 * third):
                index.thirds.setdefault((third, place, name[place : place + third]), []).append(name)
    return index


def _near(name: str, index: _Index) -> set[str]:
    """Imitated names one edit away; of long names two."""
    found: set[str] = set()
    shorter = [name[:place] + name[place + 1 :] for place in range(len(name))]
    for form in (name, *shorter):
        for target in index.deletes.get(form, ()):
            if _distance(name, target, 1) <= 1:
                found.add(target)
        if form in index.rank and len(form) >= _SHORTEST and index.rank[form] < 2 * _IMITATED and form in index.shapes.values():
            found.add(form)
    if not found and len(name) >= _FAR - 2:
        for third in range(max(3, (len(name) - 2) // 3), (len(name) + 2) // 3 + 1):
            for place in (0, third, 2 * third):
                for shift in range(-2, 3):
                    part = name[max(0, place + shift) : max(0, place + shift) + third]
                    for target in index.thirds.get((third, place, part), ()):
                        if abs(len(target) - len(name)) <= 2 and _distance(name, target, 2) <= 2:
                            found.add(target)
    return found


def _distance(one: str, other: str, most: int) -> int:
    """Edits between two names, a swap of neighbours being one; more than `most` is `most + 1`."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]


def _is_slip(name: str, target: str) -> bool:
    """Whether it reads like the other name: not another version, a word more or less, or another short word in its place."""
    if _is_version(name, target) or _is_longer(name, target) or name[0] != target[0] or name.startswith("@types/"):
        return False
    words, others = re.split(r"[-_./]", name), re.split(r"[-_./]", target)
    if len(words) != len(others):
        return True
    differing = [(word, other) for word, other in zip(words, others, strict=True) if word != other]
    if len(words) == 1 or len(differing) != 1:
        return len(differing) == 1
    word, other = differing[0]
    return word[:1] == other[:1] and len(other) >= _SHORTEST - 1 and _distance(word, other, 1) <= (2 if len(other) >= _FAR else 1)


def _was_scoped(name: str, target: str) -> bool:
    """Packages of projects that moved into a scope: the names before are theirs, too."""
    return target.startswith(_MOVED) and name == target[1:].replace("/", "-")


def _is_version(name: str, target: str) -> bool:
    """They differ in digits alone: `lodash4`, `python3-x`."""
    return _DIGITS.sub("", name) == _DIGITS.sub("", target)


def _is_longer(name: str, target: str) -> bool:
    """A word more, or one less: `flask-x`, `x-js`."""
    longer, shorter = (name, target) if len(name) > len(target) else (target, name)
    return longer.startswith((f"{shorter}-", f"{shorter}.", f"{shorter}/")) or longer.endswith((f"-{shorter}", f"/{shorter}"))
