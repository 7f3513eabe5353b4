"""docs/code.md says which weaknesses are found in which language: the table in it is the one that the rules make."""

from pathlib import Path

import msgspec
import pytest

from freehold.core.errors import ConfigError
from freehold.guard.syntax import Language
from freehold.guard.weaknesses import access
from freehold.guard.weaknesses.find import SPECIALS
from freehold.guard.weaknesses.grammar import GRAMMARS
from freehold.guard.weaknesses.rules import KINDS, CallRule, RuleFile, SetRule, Sources, indexed, rules_of
from freehold.guard.weaknesses.settings import CodeRule, CodeSettings
from freehold.guard.weaknesses.special import Special

DOCUMENT = Path(__file__).parents[3] / "docs" / "code.md"
COLUMNS = {
    "Python": Language.PYTHON,
    "JS/TS": Language.JAVASCRIPT,
    "Java": Language.JAVA,
    "Go": Language.GO,
    "Ruby": Language.RUBY,
    "PHP": Language.PHP,
    "C/C++": Language.C,
    "C#": Language.CSHARP,
}
EVERYWHERE = frozenset(("hard-coded-secret", "hidden-text", "ignored-error", "typo-squat", "code-unread"))


def kinds_of(language: Language) -> set[str]:
    file = rules_of(language).file
    written = {rule.kind for rule in file.calls} | {rule.kind for rule in file.sets} | {rule.kind for rule in file.imports}
    routed = {access.KIND} if language in access.LANGUAGES else set()
    return written | set(SPECIALS.get(language, Special).kinds) | routed | EVERYWHERE


def table() -> str:
    found = {name: kinds_of(language) for name, language in COLUMNS.items()}
    lines = ["| rule | CWE | severity | found in |", "|---|---|---|---|"]
    for rule, kind in sorted(KINDS.items()):
        where = [name for name, kinds in found.items() if rule in kinds]
        places = "everywhere" if len(where) == len(found) else ", ".join(where)
        lines.append(f"| `{rule}` | {kind.cwe or ''} | {kind.severity} | {places} |")
    return "\n".join(lines)


def test_the_table_in_the_document_is_what_the_rules_make() -> None:
    assert table() in DOCUMENT.read_text(encoding="utf-8")


def test_every_kind_is_found_somewhere() -> None:
    assert set().union(*(kinds_of(language) for language in GRAMMARS)) == set(KINDS)


def test_every_setting_and_what_rules_may_say_is_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    kinds = (CodeSettings, CodeRule, CallRule, SetRule, RuleFile, Sources)
    names = {field.encode_name for kind in kinds for field in msgspec.structs.fields(kind)}
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_a_rule_of_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="'sql-inspection', which"):
        indexed(RuleFile(calls=(CallRule(kind="sql-inspection", at=("*.execute",)),)))
