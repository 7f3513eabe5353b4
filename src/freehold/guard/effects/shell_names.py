"""Names that the walk of a shell command needs beside the table of programs: `data/shell_names.toml`."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads((files("freehold.guard.effects") / "data" / "shell_names.toml").read_text(encoding="utf-8"))


def named(key: str) -> frozenset[str]:
    """The names of a group. Raises KeyError where there is none."""
    return frozenset(_document()["names"][key].split())


def pairs(key: str) -> dict[str, str]:
    """A group in which each name has something of its own."""
    return dict(_document()["pairs"][key])
