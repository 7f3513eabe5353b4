"""The kinds of weaknesses: what each is called, how grave it is, and what mends it. They are data: `data/kinds.toml`."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

from freehold.guard.weaknesses.weakness import Severity


class Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`whole` is the level from which a value that comes as it is counts, `built` one with text of ours around it."""

    cwe: int
    severity: Severity
    words: str
    fix: str
    whole: str = "local"
    built: str = "parameter"
    confidence: float = 0.8


@cache
def kinds() -> Mapping[str, Kind]:
    """By name. Read when first asked for: who judges one call asks for none."""
    text = (files("freehold.guard.weaknesses") / "data" / "kinds.toml").read_text(encoding="utf-8")
    return {name: msgspec.convert(table, Kind, strict=False) for name, table in tomllib.loads(text).items()}
