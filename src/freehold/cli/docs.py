"""`python -m freehold.cli.docs`: writes the parts of the documents that the program knows best.

`docs/cli.md` is every command's help, `docs/detectors.md` the guard's table, and README has the commands at a glance
between two markers. The tests compare the same text, so that a document that fell behind is a failed test.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from freehold.cli import main
from freehold.core.errors import ConfigError
from freehold.guard.detectors import DETECTORS
from freehold.guard.detectors.detector import Detector

BEGIN, END = "<!-- commands: written by `make docs` -->", "<!-- end of commands -->"
WIDTH = 100


def commands(group: click.Group, name: str = "freehold") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something and is not hidden, by its full name."""
    context = click.Context(group, info_name=name)
    for word in sorted(group.list_commands(context)):
        command = group.get_command(context, word)
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield f"{name} {word}", command
            yield from commands(command, f"{name} {word}")
        elif command is not None and not command.hidden:
            yield f"{name} {word}", command


def command_table(group: click.Group) -> str:
    """A line for each word that may follow `freehold`, with those that may follow it."""
    lines = ["| command | of it | what it does |", "|---|---|---|"]
    context = _context("freehold", group)
    for word in sorted(group.list_commands(context)):
        command = group.get_command(context, word)
        if command is not None and not command.hidden:
            inner = sorted(command.list_commands(context)) if isinstance(command, click.Group) else ()
            summary = command.get_short_help_str(limit=200).rstrip(".")
            lines.append(f"| `freehold {word}` | {' · '.join(inner)} | {_cell(summary)} |")
    return "\n".join(lines)


def cli_reference(group: click.Group) -> str:
    parts = ["# Commands\n\nWritten by `make docs` from the program itself. `freehold COMMAND --help` prints the same.\n"]
    parts += [f"## {name}\n\n```text\n{command.get_help(_context(name, command))}\n```\n" for name, command in commands(group)]
    return "\n".join(parts)


def detector_table() -> str:
    lines = [
        "# Detectors",
        "",
        "Written by `make docs` from the guard's own table. The name is what a policy and a finding say.",
        "",
        "| detector | category |",
        "|---|---|",
    ]
    lines += [f"| `{detector.id}` | {detector.category.replace('_', ' ')} |" for detector in detectors()]
    return "\n".join(lines) + "\n"


def detectors() -> list[Detector]:
    return sorted(DETECTORS, key=lambda detector: (detector.category, detector.id))


def with_commands(readme: str, group: click.Group) -> str:
    """README with the table between the markers written anew."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ConfigError(f"README.md must hold the markers {BEGIN} and {END}, in this order")
    return f"{before}{begin}\n{command_table(group)}\n{end}{after}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _context(name: str, command: click.Command) -> click.Context:
    return click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)


def write(root: Path) -> list[Path]:
    """Writes what changed; gives the paths of all it looks after."""
    readme = root / "README.md"
    texts = {
        readme: with_commands(readme.read_text(encoding="utf-8"), main),
        root / "docs" / "cli.md": cli_reference(main),
        root / "docs" / "detectors.md": detector_table(),
    }
    for path, text in texts.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return list(texts)


if __name__ == "__main__":
    checkout = Path.cwd()
    if not (checkout / "pyproject.toml").exists():
        sys.exit(f"{checkout} is not the checkout: run this where pyproject.toml lies")
    for path in write(checkout):
        click.echo(path.relative_to(checkout))
