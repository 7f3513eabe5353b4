"""`freehold guard`: what would the guard do? One command a file, imported when it is asked for: an agent waits for its hook."""

import click

from freehold.cli import Table


class _GuardTable(Table):
    table = {  # noqa: RUF012 - read only
        "check": "freehold.cli.guard_check:check",
        "hook": "freehold.cli.hook:hook",
    }


@click.group(cls=_GuardTable)
def guard() -> None:
    """Ask the guard, without side effects."""
