"""What the engine may take of the machine, said on the command line: goes before the [engine] table of the configuration."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from freehold.cli.sizes import size_of

_SETTINGS: Mapping[str, str] = {
    "model": "model",
    "ram": "ram_mb",
    "vram": "vram_mb",
    "threads": "threads",
    "ctx": "context_tokens",
}
_MB = 1 << 20


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options, for a command that takes `**engine` and reads it with `engine_settings`."""
    for option in reversed(
        (
            click.option("--ram", callback=size_of, metavar="SIZE", help="Memory the engine may take, as 20G or 600M."),
            click.option("--vram", callback=size_of, metavar="SIZE", help="What the engine may take of a card's memory."),
            click.option("--threads", type=click.IntRange(1, 1024), help="Compute threads of the engine."),
            click.option("--ctx", type=click.IntRange(min=1), help="Tokens of the longest prompt and answer together."),
        )
    ):
        command = option(command)
    return command


def engine_settings(given: Mapping[str, int | str | None]) -> dict[str, int | str]:
    """Of the options that were given, the [engine] settings."""
    found = {_SETTINGS[name]: value for name, value in given.items() if value is not None}
    for name in ("ram_mb", "vram_mb"):
        if isinstance(size_bytes := found.get(name), int):
            found[name] = max(1, size_bytes // _MB)
    return found
