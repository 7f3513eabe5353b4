"""What the engine may take of the machine, said on the command line: goes before the [engine] table of the configuration."""

from collections.abc import Callable, Mapping
from typing import Any

import click

_NAMES = {"threads": "threads", "ctx": "context_tokens"}  # option -> [engine] setting


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options, for a command that takes `**engine` and reads it with `engine_settings`."""
    for option in reversed(
        (
            click.option("--threads", type=click.IntRange(1, 1024), help="Compute threads of the engine."),
            click.option("--ctx", type=click.IntRange(min=1), help="Tokens of the longest prompt and answer together."),
        )
    ):
        command = option(command)
    return command


def engine_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of the options that were given, the [engine] settings."""
    return {_NAMES[name]: value for name, value in given.items() if value is not None}
