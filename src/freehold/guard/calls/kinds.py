"""What kind of tool a call is for: by its name, by what the request says of it, by its arguments' names.

An operator's own word (`[[calls.tools]]`) comes before all of these. The names of tools that many agents have, and those of their
arguments, are in `data/tools.toml`. A name that nobody knows is read by its verb. What a tool of a kind does is decided in
`deeds.py`.
"""

import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from importlib.resources import files
from typing import Any

from freehold.core.effects import EffectKind, Place
from freehold.guard.syntax import Language


class ToolKind(StrEnum):
    """What a tool takes its arguments for."""

    SHELL = "shell"
    POWERSHELL = "powershell"
    BATCH = "batch"
    PYTHON = "python"
    JAVASCRIPT = "javascript"
    TYPESCRIPT = "typescript"
    SQL = "sql"
    PERL = "perl"
    RUBY = "ruby"
    PHP = "php"
    YAML = "yaml"
    DOCKERFILE = "dockerfile"
    CODE = "code"  # in a language that the arguments name, or that shows
    FILE_READ = "file_read"
    FILE_WRITE = "file_write"
    FILE_DELETE = "file_delete"
    FILE_MOVE = "file_move"
    PATCH = "patch"
    HTTP = "http"
    SEARCH = "search"  # of the web: the question goes to a search engine
    SEND = "send"
    DATA = "data"  # is kept, and never run


LANGUAGES: Mapping[ToolKind, Language] = {
    kind: Language(kind.value) for kind in ToolKind if kind.value in Language._value2member_map_
}
Deed = tuple[EffectKind, Place, str]  # and why, in our own words


def _deeds(rows: list[dict[str, str]]) -> dict[str, Deed]:
    return {name: (EffectKind(row["kind"]), Place(row["place"]), row["because"]) for row in rows for name in row["names"].split()}


_DATA: dict[str, Any] = tomllib.loads(files(__package__).joinpath("data", "tools.toml").read_text(encoding="utf-8"))
KINDS: Mapping[str, ToolKind] = {name: ToolKind(kind) for kind, names in _DATA["names"].items() for name in names.split()}
MEMBERS: Mapping[str, tuple[str, ...]] = {what: tuple(names.split()) for what, names in _DATA["members"].items()}
FIXED: Mapping[str, Deed] = _deeds(_DATA["fixed"])
VERBS: Mapping[str, Deed] = _deeds(_DATA["verbs"])
_SENT, _SPENT, _RIGHTS = (frozenset(_DATA["nouns"][name].split()) for name in ("sent", "spent", "rights"))
_SENDS: Deed = (EffectKind.SEND, Place.HOST, "makes something that others read")
_GRANTS: Deed = (EffectKind.ACCOUNT, Place.HOST, "changes who may do what")
_SPENDS: Deed = (EffectKind.SPEND, Place.HOST, "moves money")
_CHANGES = (EffectKind.WRITE, EffectKind.DELETE)

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BREAKS = re.compile(r"[^a-z0-9]+")
_FRAMES = re.compile(r"^(?:mcp__[^_]+(?:_[^_]+)*__|functions?[.:/]|default_api[.:]|tools?[.:/])", re.IGNORECASE)

# What a request says of a tool, for names and arguments that say nothing.
_TOLD: tuple[tuple[re.Pattern[str], ToolKind], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"\b(?:execut|run|launch)\w{0,4}\b[^.\n]{0,60}\bpowershell\b", ToolKind.POWERSHELL),
        (r"\b(?:execut|run|launch)\w{0,4}\b[^.\n]{0,60}\b(?:bash|shell|terminal|command[- ]line|commands?)\b", ToolKind.SHELL),
        (r"\b(?:execut|run|evaluat)\w{0,4}\b[^.\n]{0,60}\bpython\b", ToolKind.PYTHON),
        (r"\b(?:execut|run|evaluat)\w{0,4}\b[^.\n]{0,60}\b(?:javascript|node\.?js)\b", ToolKind.JAVASCRIPT),
        (r"\b(?:execut|run)\w{0,4}\b[^.\n]{0,60}\b(?:sql|quer(?:y|ies)) ", ToolKind.SQL),
        (r"\b(?:execut|run|evaluat)\w{0,4}\b[^.\n]{0,60}\b(?:code|scripts?)\b", ToolKind.CODE),
        (r"\bsend(?:s|ing)?\b[^.\n]{0,60}\b(?:e-?mails?|messages?|sms|notifications?)\b", ToolKind.SEND),
        (r"\bdelet\w{0,4}\b[^.\n]{0,40}\b(?:files?|folders?|director)", ToolKind.FILE_DELETE),
        (r"\b(?:writ|creat|edit|modif|overwrit|sav)\w{0,4}\b[^.\n]{0,40}\bfiles?\b", ToolKind.FILE_WRITE),
        (r"\b(?:read|list|view)\w{0,4}\b[^.\n]{0,40}\b(?:files?|folders?|director)", ToolKind.FILE_READ),
        (r"\bfetch\w{0,4}\b[^.\n]{0,40}\b(?:urls?|web)\b|\bhttp requests?\b", ToolKind.HTTP),
    )
)
_LIMIT_NAME_CHARS = 256


def plain_tool_name(tool: str) -> str:
    """ "mcp__fs__writeFile" is "write_file"."""
    bare = _FRAMES.sub("", tool[:_LIMIT_NAME_CHARS])
    return _BREAKS.sub("_", _CAMEL.sub("_", bare).lower()).strip("_")


def names_of(tool: str) -> list[str]:
    """What to look for in a table of names: the whole, then without what servers put in front ("filesystem.read_file")."""
    bare = plain_tool_name(tool)
    last = plain_tool_name(re.split(r"__|[./:]", tool[:_LIMIT_NAME_CHARS])[-1])
    return [bare] if last in ("", bare) else [bare, last]


def kind_by_name(tool: str) -> ToolKind | None:
    return next((KINDS[name] for name in names_of(tool) if name in KINDS), None)


def deed_by_name(tool: str) -> Deed | None:
    """What the name alone says is done: None where it says nothing."""
    names = names_of(tool)
    if (fixed := next((FIXED[name] for name in names if name in FIXED), None)) is not None:
        return fixed
    words = names[-1].split("_")
    deed = next((VERBS[word] for word in words if word in VERBS), None)
    if deed is None or deed[0] not in _CHANGES:
        return deed
    if not _RIGHTS.isdisjoint(words):
        return _GRANTS
    if not _SPENT.isdisjoint(words):
        return _SPENDS
    return _SENDS if deed[0] is EffectKind.WRITE and not _SENT.isdisjoint(words) else deed


def kind_by_description(description: str) -> ToolKind | None:
    return next((kind for pattern, kind in _TOLD if pattern.search(description)), None)
