"""Sentences in fifteen languages for training the injection classifier; the table is data: `injection_languages.toml`."""

import tomllib
from pathlib import Path
from typing import NamedTuple


class Language(NamedTuple):
    calls: tuple[str, ...]
    overrides: tuple[str, ...]
    orders: tuple[str, ...]
    hushes: tuple[str, ...]
    harmless: tuple[str, ...]


def parse(text: str) -> dict[str, Language]:
    """Languages of TOML, by their codes; see the head of the table."""
    return {
        name: Language(**{kind: tuple(lines.splitlines()) for kind, lines in said.items()})
        for name, said in tomllib.loads(text).items()
    }


LANGUAGES = parse(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
