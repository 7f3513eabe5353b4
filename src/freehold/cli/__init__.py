"""The `freehold` command: one file per command, one line each in the table."""

import click

from freehold import __version__


@click.group()
@click.version_option(__version__, prog_name="freehold")
def main() -> None:
    """AI you own outright: run it, guard it, prove it, account for it."""
