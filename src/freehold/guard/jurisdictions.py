"""What is known of jurisdictions: their groups, and from when to when and on which basis the EU finds them adequate.

Data, not code: the package's own table is `data/jurisdictions.csv`, each row with its source. An operator's file of the same
columns may add rows and replace ours. This is no legal advice: it says what was decided where, and the operator says what is
allowed.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from freehold.core.errors import ConfigError

COLUMNS = ("code", "name", "groups", "adequacy_basis", "adequacy_from", "adequacy_until", "cloud_act", "source")
GROUPS = ("EU", "EEA")
ADEQUACY = "adequacy"  # a group whose members depend on the day and the basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Jurisdiction:
    """`adequacy_basis` is what a recipient there must be able to show; None where there is no decision."""

    code: str
    name: str
    groups: frozenset[str]
    adequacy_basis: str | None = None
    adequate_from_ns: int | None = None
    adequate_until_ns: int | None = None  # the end of its last day
    cloud_act: bool = False  # its law reaches what its companies hold anywhere (18 U.S.C. § 2713)

    def is_adequate(self, basis: str | None, at_ns: int) -> bool:
        if self.adequacy_basis is None or basis != self.adequacy_basis:
            return False
        starts = self.adequate_from_ns is None or at_ns >= self.adequate_from_ns
        return starts and (self.adequate_until_ns is None or at_ns < self.adequate_until_ns)


Jurisdictions = Mapping[str, Jurisdiction]


def parse_jurisdictions(text: str, where: str) -> Jurisdictions:
    """Raises ConfigError naming the line."""
    reader = csv.DictReader(io.StringIO(text))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ConfigError(f"{where}: the first line must be {','.join(COLUMNS)}")
    found: dict[str, Jurisdiction] = {}
    for row in reader:
        try:
            one = _jurisdiction(row)
        except (ValueError, TypeError, AttributeError) as exc:
            raise ConfigError(f"{where}, line {reader.line_num}: {exc}") from exc
        if one.code in found:
            raise ConfigError(f"{where}, line {reader.line_num}: {one.code} is there twice")
        found[one.code] = one
    return found


def _jurisdiction(row: dict[str, str]) -> Jurisdiction:
    code = row["code"]
    if not (len(code) == 2 and code.isascii() and code.isupper()):
        raise ValueError(f"the code {code[:20]!r} is not two capital letters (ISO 3166)")
    groups = frozenset(row["groups"].split())
    if not groups <= set(GROUPS):
        raise ValueError(f"groups may be {' and '.join(GROUPS)}, got {row['groups'][:40]!r}")
    if row["cloud_act"] not in ("", "yes"):
        raise ValueError(f"cloud_act is yes or empty, got {row['cloud_act'][:20]!r}")
    return Jurisdiction(
        code=code,
        name=row["name"],
        groups=groups,
        adequacy_basis=row["adequacy_basis"] or None,
        adequate_from_ns=day_ns(row["adequacy_from"]) if row["adequacy_from"] else None,
        adequate_until_ns=day_ns(row["adequacy_until"], end=True) if row["adequacy_until"] else None,
        cloud_act=row["cloud_act"] == "yes",
    )


def day_ns(day: str, *, end: bool = False) -> int:
    """A day's beginning or end in UTC. Raises ValueError."""
    start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    return (int(start.timestamp()) + (86_400 if end else 0)) * 1_000_000_000


# Part of the code as much as a table in it would be: read once, when this is imported.
OURS: Jurisdictions = parse_jurisdictions(
    (files("freehold.guard") / "data" / "jurisdictions.csv").read_text(encoding="utf-8"), "freehold's jurisdictions.csv"
)
