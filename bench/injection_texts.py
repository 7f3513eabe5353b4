"""Sentences of our own that the injection classifier is trained on; the lists are data: `injection_texts.toml`."""

import tomllib
from pathlib import Path
from typing import Any


def read(path: Path) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """The lists of a file, by their names, and its tables; see the head of each."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    lists = {name: said.splitlines() for name, said in found.items() if isinstance(said, str)}
    return lists, {name: table for name, table in found.items() if name not in lists}


_LISTS, _TABLES = read(Path(__file__).with_suffix(".toml"))
OVERRIDES = _LISTS["overrides"]
GOALS = _LISTS["goals"]
TASKS = _LISTS["tasks"]
OTHER_LANGUAGES = _LISTS["other_languages"]
WRAPPERS = _LISTS["wrappers"]
JAILBREAKS = _LISTS["jailbreaks"]
PERSONAS = JAILBREAKS[:41]  # those that make a persona without rules: a jailbreak is often pages of them
PROSE = _LISTS["prose"]
ABOUT = _LISTS["about"]
PROMPTS = _LISTS["prompts"]
SLOTS: dict[str, list[str]] = _TABLES["slots"]
