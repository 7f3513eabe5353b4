"""Routes that change something and ask nobody who calls (CWE-306): what is missing, so that no rule about a call finds it.

Decided here: a route's handler counts as guarded where its marks, its class, its own text or the file as a whole speak of
identity in any form. Of those that are not, two are told: one whose neighbours in the file are guarded (the author knows of
guards, and this one has none), and one that is sensitive by its name alone, of which we are less sure. Routes that strangers
must reach (sign in, hooks, health) are none. Whether a proxy asks before the program does is not to be seen in its text, hence no
more certainty.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from freehold.guard.syntax import Language
from freehold.guard.weaknesses.ir import Func
from freehold.guard.weaknesses.lower import Lowering
from freehold.guard.weaknesses.matching import Hit

KIND = "missing-auth"
_UNLIKE_NEIGHBOURS, _BY_NAME = 0.65, 0.5

_IDENTITY = re.compile(
    r"(?i)auth|login|logged|current_?user|session|token|jwt|permission|permit|role|principal|credential|password|api_?key|"
    r"secret|signature|hmac|is_?admin|is_?staff|require_|protect|guard|secured|identity|claims|verify"
)
_STORES = re.compile(r"\b(?:AsyncSession|SessionLocal|sessionmaker|sqlmodel|db\.session)\b|:\s*Session\b|(?i:\bsqlalchemy\b)")
_SESSIONS = re.compile(r"(?i)\w*session\w*")  # there: they know nobody
_STORAGE = re.compile(r"(?i)\bDepends\(\s*\w*(?:db|session|conn|engine|repo)\w*\s*\)")
_OF_THE_FILE = re.compile(
    r"before_request|dependencies\s*=\s*\[|permission_classes|IsAuthenticated|SecurityFilterChain|HttpSecurity|RequireAuthorization"
    r"|AuthorizeFilter|(?i:\.(?:use|group)\s*\([^)\n]{0,200}(?:auth|passport|jwt|session|guard|protect|acl))|@UseGuards|middleware\s*\("
)
_STRANGERS = re.compile(
    r"(?i)log.?in|log.?out|sign.?(?:in|up|out)|regist|forgot|webhook|hook\b|callback|health|ping\b|contact|subscribe|search|"
    r"feedback|public|auth|token|captcha|track|metric|echo|calculat|predict|convert|translate|chat|query"
)
_SENSITIVE = re.compile(
    r"(?i)admin|delete|remove|drop|purge|reset|shut.?down|restart|config|setting|\busers?\b|\broles?\b|account|payment|transfer|"
    r"refund|withdraw|deploy|exec\b|backup|restore|grant|revoke|ban\b"
)
# Marks of a handler by what they route: Flask, FastAPI; Spring, JAX-RS; ASP.NET.
_ROUTES: dict[Language, tuple[re.Pattern[str], re.Pattern[str]]] = {
    Language.PYTHON: (
        re.compile(r"^[\w.]*\.(?:route|api_route|post|put|patch|delete)\s*\("),
        re.compile(r"\.(?:post|put|patch|delete)\s*\(|methods\s*=[^)]{0,80}[\"'](?:POST|PUT|PATCH|DELETE)", re.IGNORECASE),
    ),
    Language.JAVA: (
        re.compile(r"@(?:Request|Post|Put|Patch|Delete)Mapping\b|@(?:POST|PUT|PATCH|DELETE)\b"),
        re.compile(r"@(?:Post|Put|Patch|Delete)Mapping\b|RequestMethod\.(?:POST|PUT|PATCH|DELETE)|@(?:POST|PUT|PATCH|DELETE)\b"),
    ),
    Language.CSHARP: (re.compile(r"Http(?:Post|Put|Patch|Delete)\b"), re.compile(r"Http(?:Post|Put|Patch|Delete)\b")),
}
_REST = r"(?P<rest>[^\n]{0,200})"
_EXPRESS = re.compile(
    r"\b(?:app|router|server|api|\w*[rR]outer)\.(?:post|put|patch|delete)\s*\(\s*[\"'`](/[^\"'`]{0,200})[\"'`]\s*,\s*"
    rf"(?P<handler>(?:async\s+)?(?:function\b|\([^()]{{0,200}}\)\s*=>|\w+\s*=>))?{_REST}"
)
# Calls that register a handler, which is written there or named: Express and its like; Gin, Echo, Fiber, chi and net/http;
# minimal APIs of ASP.NET; Laravel and Slim.
_CALLS: dict[Language, re.Pattern[str]] = {
    Language.JAVASCRIPT: _EXPRESS,
    Language.TYPESCRIPT: _EXPRESS,
    Language.TSX: _EXPRESS,
    Language.GO: re.compile(
        r"\b(?:r|e|g|app|api|admin|v\d|mux|http|\w*[rR]outer|\w*[gG]roup)\."
        r"(?:(?:POST|PUT|PATCH|DELETE|Post|Put|Patch|Delete)\(\s*\"|HandleFunc\(\s*\"(?:POST|PUT|PATCH|DELETE) )"
        rf"(/[^\"\n]{{0,200}})\"\s*,\s*(?P<handler>func\s*\()?{_REST}"
    ),
    Language.CSHARP: re.compile(
        rf"\.Map(?:Post|Put|Patch|Delete)\(\s*\"([^\"\n]{{0,200}})\"\s*,\s*(?P<handler>(?:async\s+)?(?:static\s+)?\()?{_REST}"
    ),
    Language.PHP: re.compile(
        r"(?:\bRoute::|\$app->|\$router->)(?:post|put|patch|delete)\(\s*['\"]([^'\"\n]{0,200})['\"]\s*,\s*"
        rf"(?P<handler>(?:static\s+)?(?:function|fn)\b)?{_REST}"
    ),
}
_CHANGES = ("post", "put", "patch", "delete")
_VERBS = frozenset(
    ("HandleFunc", *(form for verb in _CHANGES for form in (verb, verb.title(), verb.upper(), f"Map{verb.title()}")))
)
LANGUAGES = frozenset((*_ROUTES, *_CALLS))
_NEXT_ROUTE = re.compile(
    r"\n\}\);|\n[^\S\n]*[$\w]+(?:\.|->|::)(?:Map)?(?:get|post|put|patch|delete|use|listen|run)\s*\(", re.IGNORECASE
)
_QUOTED = re.compile(r"[\"'][^\"'\n]{0,200}[\"']")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_MARK_REACH = 300  # characters before "class X" in which its marks stand
_BODY_REACH = 1500  # of a handler without a name of its own


@dataclass(frozen=True, slots=True)
class _Route:
    """One handler that changes something: `at` to `end` in characters; `names` are its path and name."""

    at: int
    end: int
    names: str
    is_guarded: bool
    asks_inside: bool


def unguarded(lowering: Lowering, source: bytes, language: Language) -> list[Hit]:
    """Hits in bytes. None for a file that has a guard of its own for all routes."""
    text = source.decode("utf-8", "replace")
    routes: list[_Route] = []
    if language in _ROUTES:
        routes += _marked(lowering, source, language, text)
    if language in _CALLS and not lowering.called.isdisjoint(_VERBS):
        routes += _registered(lowering, source, language, text)
    if not routes or _OF_THE_FILE.search(text):
        return []
    has_guards = any(route.is_guarded for route in routes)
    return [hit for route in routes if (hit := _hit(route, has_guards, source, text)) is not None]


def _hit(route: _Route, has_guards: bool, source: bytes, text: str) -> Hit | None:
    names = _HUMP.sub(" ", route.names).replace("_", " ")
    if route.is_guarded or route.asks_inside or _STRANGERS.search(names):
        return None
    if not has_guards and not _SENSITIVE.search(names):
        return None
    at, end = route.at, route.end
    if len(text) != len(source):
        at, end = (len(text[:place].encode("utf-8", "replace")) for place in (at, end))
    return Hit(kind=KIND, at=at, end=end, confidence=_UNLIKE_NEIGHBOURS if has_guards else _BY_NAME, severity=None)


def _marked(lowering: Lowering, source: bytes, language: Language, text: str) -> Iterator[_Route]:
    is_route, changes = _ROUTES[language]
    if not any(func.marks for func in lowering.functions):
        return
    is_stored = _STORES.search(text) is not None and re.search(r"\bimport\b.*\bsession\b", text) is None

    def strip(written: str) -> str:
        """Without connections and sessions of a database."""
        written = _STORAGE.sub("", written)
        return _SESSIONS.sub("", written) if is_stored else written

    for func in lowering.functions:
        marks = [source[mark.at : mark.end].decode("utf-8", "replace") for mark in func.marks]
        routed = [mark for mark in marks if is_route.search(mark)]
        if not routed or not any(changes.search(mark) for mark in routed):
            continue
        others = " ".join(is_route.sub("", mark) if language is Language.JAVA else mark for mark in marks if mark not in routed)
        if language is not Language.PYTHON:  # several marks may stand in one
            others += _QUOTED.sub("", " ".join(routed))
        elif any("Depends" in mark or "Security" in mark for mark in routed):
            others += " auth"
        head = strip(_head(func, source))
        guarded = _IDENTITY.search(others) or _IDENTITY.search(_class_marks(func, text)) or "Depends(" in head
        body = strip(source[func.body.at : func.body.end].decode("utf-8", "replace")) + head
        first = func.marks[0]
        at = len(source[: first.at].decode("utf-8", "replace"))
        yield _Route(
            at=at,
            end=at + len(source[first.at : first.end].decode("utf-8", "replace")),
            names=" ".join([*_QUOTED.findall(" ".join(routed)), func.owner, func.name]),
            is_guarded=bool(guarded),
            asks_inside=bool(_IDENTITY.search(body)),
        )


def _head(func: Func, source: bytes) -> str:
    """The parameters, with what they are filled with."""
    last = max((mark.end for mark in func.marks if mark.end <= func.body.at), default=func.at)
    return source[last : func.body.at].decode("utf-8", "replace")


def _class_marks(func: Func, text: str) -> str:
    """What stands before the class of a method: its marks, and what it is a kind of."""
    if not func.owner or (found := re.search(rf"\bclass\s+{re.escape(func.owner)}\b[^{{:\n]*", text)) is None:
        return ""
    before = text[max(0, found.start() - _MARK_REACH) : found.start()]
    cut = max(before.rfind(";"), before.rfind("}"), before.rfind("\n\n"))
    return before[cut + 1 :] + found[0]


def _registered(lowering: Lowering, source: bytes, language: Language, text: str) -> Iterator[_Route]:
    for found in _CALLS[language].finditer(text):
        handler = found["handler"]
        body = _NEXT_ROUTE.split(text[found.start("rest") : found.start("rest") + _BODY_REACH], maxsplit=1)[0]
        between = "" if handler else found["rest"]
        asks_inside = bool(_IDENTITY.search(body)) if handler else between.count(",") > 0
        if not handler and language is Language.GO and not asks_inside:  # what is in another file may ask
            named = between.partition(")")[0].rpartition(".")[2]
            bodies = [func.body for func in lowering.functions if func.name == named]
            asks_inside = not bodies or any(_IDENTITY.search(source[at.at : at.end].decode("utf-8", "replace")) for at in bodies)
        yield _Route(
            at=found.start(),
            end=found.start("rest"),
            names=found[1],
            is_guarded=bool(_IDENTITY.search(between)),
            asks_inside=asks_inside,
        )
