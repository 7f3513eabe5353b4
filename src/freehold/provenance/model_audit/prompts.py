"""What models are asked when they are compared. Prompts go to a provider as they stand: none may come from a user."""

import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from freehold.core.errors import ConfigError

MOST_PROMPTS = 1000
_TEXT_LIMIT_CHARS = 20_000
_ID_LIMIT_CHARS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPrompt:
    """`system` stands before the text where it is set."""

    id: str
    text: str = field(repr=False)
    system: str | None = field(repr=False, default=None)


def shipped() -> tuple[AuditPrompt, ...]:
    """Our own, in the order in which plans take them."""
    return read_prompts((files("freehold.provenance.model_audit") / "data" / "prompts.toml").read_text("utf-8"), "prompts.toml")


def read_prompts(text: str, name: str) -> tuple[AuditPrompt, ...]:
    """`[[prompts]]` tables of a TOML file called `name`. Raises ConfigError that says which of them cannot be used."""
    try:
        tables = tomllib.loads(text).get("prompts")
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise ConfigError(f"{name} is no TOML: {exc}") from exc
    if not isinstance(tables, list) or not 0 < len(tables) <= MOST_PROMPTS:
        raise ConfigError(f"{name} must hold 1 to {MOST_PROMPTS} [[prompts]] tables, each with an id and a text")
    prompts = tuple(_prompt(table, f"{name}: prompt {number}") for number, table in enumerate(tables, 1))
    ids = [prompt.id for prompt in prompts]
    for one in ids:
        if ids.count(one) > 1:
            raise ConfigError(f"{name}: the id {one!r} stands twice; give each prompt one of its own")
    return prompts


def _prompt(table: Any, place: str) -> AuditPrompt:
    if not isinstance(table, dict):
        raise ConfigError(f"{place} is no table")
    if unknown := sorted(set(table) - {"id", "text", "system"}):
        raise ConfigError(f"{place} has {unknown[0]!r}; a prompt has an id, a text, and maybe a system text")
    for field_, limit in (("id", _ID_LIMIT_CHARS), ("text", _TEXT_LIMIT_CHARS), ("system", _TEXT_LIMIT_CHARS)):
        value = table.get(field_, "x" if field_ == "system" else None)
        if not isinstance(value, str) or not 0 < len(value) <= limit:
            raise ConfigError(f"{place}: {field_} must be a text of 1 to {limit} characters")
    return AuditPrompt(id=table["id"], text=table["text"], system=table.get("system"))
