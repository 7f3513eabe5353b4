"""A grammar of what the injection classifier is trained on; lines and slots are data: `injection_grammar.toml`."""

from pathlib import Path

from bench.injection_texts import read

_LISTS, _TABLES = read(Path(__file__).with_suffix(".toml"))
LETTERS = _LISTS["letters"]
OWNERS = _LISTS["owners"]
TOLD = _LISTS["told"]
MANUALS = _LISTS["manuals"]
LEAKS = _LISTS["leaks"]
SECRETS = _LISTS["secrets"]
TURNS = _LISTS["turns"]
ROLES = _LISTS["roles"]
ASKED = _LISTS["asked"]
SLOTS: dict[str, list[str]] = _TABLES["slots"]
TO_PEOPLE: dict[str, str] = _TABLES["to_people"]
