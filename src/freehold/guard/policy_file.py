"""The policy file: TOML in, one frozen `PolicyFile` out. Where something is wrong, the error names file, line and reason.

What the rules mean is decided in `policy.py`. Reading files is left to the caller: `PolicySource` is what was read.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, TypeVar, get_args

import msgspec

from freehold.core.errors import ConfigError
from freehold.guard.calls import settings as calls
from freehold.guard.calls.settings import CallSettings
from freehold.guard.config import ActionName, ModeName
from freehold.guard.injection.settings import InjectionSettings
from freehold.guard.patterns import Id, Patterns, close
from freehold.guard.ruling import TokenShape
from freehold.guard.weaknesses import settings as code
from freehold.guard.weaknesses.settings import CodeRule, CodeSettings

Category = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$")]
Confidence = Annotated[float, msgspec.Meta(gt=0, le=1)]


class PolicyRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[rules]]`. Conditions are names or globs, one or a list; what is left out holds for everything.

    A finding is the rule's own where its detector is named by `detectors` or its category by `categories`.
    """

    id: Id
    action: ActionName
    mode: ModeName = "enforce"
    note: str = ""
    format: TokenShape = "token"
    detectors: Patterns | None = None
    categories: Patterns | None = None
    min_confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    direction: Patterns | None = None
    dialect: Patterns | None = None
    channel: Patterns | None = None
    tool: Patterns | None = None
    team: Patterns | None = None
    key: Patterns | None = None
    model: Patterns | None = None
    label: Patterns | None = None


class CustomDetector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[detectors]]`. `pattern` is the value, in RE2's syntax; `before` must stand before it and is left as it is."""

    id: Id
    pattern: str
    must_match: tuple[str, ...]
    must_not_match: tuple[str, ...] = ()
    before: str = ""
    category: Category = "custom"
    confidence: Confidence = 0.9
    ignore_case: bool = False
    validator: str | None = None


class Dictionary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[dictionaries]]`: terms, here or in a file of its own, one a line."""

    id: Id
    terms: tuple[str, ...] = ()
    file: str | None = None
    category: Category = "custom"
    confidence: Confidence = 0.9
    ignore_case: bool = True
    whole_words: bool = True


class Tokens(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`trusted_tools` get the values back in their arguments: tools of which none sends what it is given to somebody else."""

    trusted_tools: tuple[str, ...] = ()
    ttl_s: Annotated[float, msgspec.Meta(gt=0)] = 3600.0
    max_values: Annotated[int, msgspec.Meta(ge=1)] = 10_000  # a client key


class PolicyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rules: tuple[PolicyRule, ...] = ()
    detectors: tuple[CustomDetector, ...] = ()
    dictionaries: tuple[Dictionary, ...] = ()
    tokens: Tokens = Tokens()
    calls: CallSettings = CallSettings()
    code: CodeSettings = CodeSettings()
    injection: InjectionSettings = InjectionSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySource:
    """A policy as it was read: the file's name for messages, its text, and those of the term files it names."""

    name: str
    text: str = field(repr=False)
    term_files: Mapping[str, str] = field(repr=False, default_factory=dict)

    def refusal(self, reason: str, table: str = "", number: int | None = None) -> ConfigError:
        """An error that says where: of the `number`th `[[table]]`, from 0, the line it begins in."""
        line = self.line(table, number)
        return ConfigError(f"{self.name}{f':{line}' if line else ''}: {reason}")

    def line(self, table: str, number: int | None) -> int | None:
        """The line, from 1, in which the table's header stands; None where it is written inline."""
        if not table:
            return None
        header = re.compile(rf"\s*\[{{1,2}}\s*{re.escape(table)}\s*\]{{1,2}}")
        lines = [at for at, line in enumerate(self.text.splitlines(), 1) if header.match(line)]
        at = number or 0
        return lines[at] if at < len(lines) else None


_LISTS: dict[str, type[msgspec.Struct]] = {"rules": PolicyRule, "detectors": CustomDetector, "dictionaries": Dictionary}
_TABLES: dict[str, type[msgspec.Struct]] = {
    "tokens": Tokens,
    "calls": CallSettings,
    "code": CodeSettings,
    "injection": InjectionSettings,
}
_INNER_LISTS: dict[str, dict[str, type[msgspec.Struct]]] = {"calls": calls.TABLES, "code": {"rules": CodeRule}}  # [[calls.rules]]
_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def parse(source: PolicySource) -> PolicyFile:
    """Raises ConfigError."""
    try:
        document = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as exc:
        found = re.search(r"\(at line (\d+), column \d+\)", str(exc))
        where = f":{found[1]}" if found else ""
        raise ConfigError(f"{source.name}{where}: not TOML: {exc}") from exc
    known = [*_LISTS, *_TABLES]
    unknown = sorted(document.keys() - set(known))
    if unknown:
        raise source.refusal(f"there is no table {unknown[0]!r}; {close(unknown[0], known)}", unknown[0])
    lists = {table: tuple(_items(source, document, table, kind)) for table, kind in _LISTS.items()}
    tables = {table: _table(source, document, table, kind) for table, kind in _TABLES.items()}
    file = msgspec.structs.replace(PolicyFile(), **lists, **tables)
    for table, number, complaint in calls.complaints(file.calls):
        raise source.refusal(f"calls: {complaint}", f"calls.{table}".rstrip("."), number)
    for number, rule in enumerate(file.code.rules):
        if (complained := code.complaint(rule)) is not None:
            raise source.refusal(f"code: rule {rule.id!r}: {complained}", "code.rules", number)
    return file


def _table(source: PolicySource, document: Mapping[str, Any], table: str, kind: type[_Struct]) -> _Struct:
    """A single table, and the lists of tables in it."""
    written = document.get(table, {})
    if not isinstance(written, Mapping):
        raise source.refusal(f"{table} is one table: write [{table}]", table)
    inner = {name: kind for name, kind in _INNER_LISTS.get(table, {}).items() if name in written}
    made = _converted(source, {name: value for name, value in written.items() if name not in inner}, kind, table, None)
    lists = {name: tuple(_items(source, written, name, kind, f"{table}.{name}")) for name, kind in inner.items()}
    return msgspec.structs.replace(made, **lists)


def _items(
    source: PolicySource, document: Mapping[str, Any], name: str, kind: type[_Struct], table: str | None = None
) -> Iterator[_Struct]:
    """`table` is what the list is called from the top, where that is more than its name."""
    table = table or name
    items = document.get(name, [])
    if not isinstance(items, list):
        raise source.refusal(f"{table} is a list of tables: write [[{table}]]", table)
    seen: set[str] = set()
    key = "id" if "id" in kind.__struct_fields__ else "name"
    for number, item in enumerate(items):
        made = _converted(source, item, kind, table, number)
        if item[key] in seen:
            raise source.refusal(f"{table}: the {key} {item[key]!r} is used twice", table, number)
        seen.add(item[key])
        yield made


def _converted(source: PolicySource, item: Any, kind: type[_Struct], table: str, number: int | None) -> _Struct:
    if isinstance(item, Mapping):
        known = [field.encode_name for field in msgspec.structs.fields(kind)]
        unknown = sorted(item.keys() - set(known))
        if unknown:
            raise source.refusal(f"{table}: there is no setting {unknown[0]!r}; {close(unknown[0], known)}", table, number)
    try:
        return msgspec.convert(item, kind)
    except msgspec.ValidationError as exc:
        raise source.refusal(f"{table}: {_explained(str(exc), kind)}", table, number) from exc


def _explained(complaint: str, kind: type[msgspec.Struct]) -> str:
    """What msgspec says; where a word is none of those that there are, these too."""
    found = re.fullmatch(r"Invalid enum value '(.*)' - at `\$\.(\w+)`", complaint, re.DOTALL)
    if found is None:
        return complaint
    words = next(_words(field.type) for field in msgspec.structs.fields(kind) if field.encode_name == found[2])
    return f"{found[2]} is {found[1]!r}, which there is not; it is one of {', '.join(map(repr, words))}"


def _words(kind: Any) -> list[str]:
    """The words that a setting of this type may be."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return [member.value for member in kind]
    return [word for part in get_args(kind) for word in ([part] if isinstance(part, str) else _words(part))]
