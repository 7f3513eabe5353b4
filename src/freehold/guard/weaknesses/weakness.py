"""The nouns of the search for weaknesses in code."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SQUAT: Final = "typo-squat"  # the rule of names of packages


class Severity(StrEnum):
    """How bad it is if it is true. Mildest first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {severity: number for number, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakness:
    """One weakness of a piece of code. `start` and `end` count its characters, `line` from 1. No word of it is the code's own."""

    rule: str  # "sql-injection"
    cwe: int
    severity: Severity
    confidence: float  # in (0, 1]
    start: int
    end: int
    line: int
    words: str  # what is wrong, one sentence
    fix: str  # what to do instead, one sentence
