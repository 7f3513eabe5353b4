"""The `freehold` command: one file per command, one line each in the table.

A command's file is imported when the command is asked for: `freehold keys list` does not wait for compilers and servers to load.
"""

import errno
import importlib
import os
import sys
from collections.abc import Mapping

import click

from freehold import __version__
from freehold.core.errors import ClientError, ConfigError, FreeholdError

COMMANDS: dict[str, str] = {  # the word, and where its click command is
    "approvals": "freehold.cli.approvals:approvals",
    "audit-model": "freehold.cli.audit_model:audit_model",
    "batches": "freehold.cli.batches:batches",
    "bom": "freehold.cli.bom:bom",
    "chat": "freehold.cli.chat:chat",
    "doctor": "freehold.cli.doctor:doctor",
    "engine": "freehold.cli.engine:engine",
    "evidence": "freehold.cli.evidence:evidence",
    "fit": "freehold.cli.fit:fit",
    "guard": "freehold.cli.guard:guard",
    "kept": "freehold.cli.kept:kept",
    "keys": "freehold.cli.keys:keys",
    "log": "freehold.cli.audit:log",
    "mcp": "freehold.cli.mcp:mcp",
    "meter": "freehold.cli.meter:meter",
    "models": "freehold.cli.models:models",
    "plan": "freehold.cli.plan:plan",
    "policy": "freehold.cli.policy:policy",
    "receipt": "freehold.cli.receipt:receipt",
    "replay": "freehold.cli.replay:replay",
    "residency": "freehold.cli.residency:residency",
    "scan": "freehold.cli.scan:scan",
    "serve": "freehold.cli.serve:serve",
    "sign": "freehold.cli.sign:sign",
    "teams": "freehold.cli.teams:teams",
    "trust": "freehold.cli.trust:trust",
    "verify": "freehold.cli.verify:verify",
    "watermark": "freehold.cli.watermark:watermark",
}


def printable(text: str) -> str:
    """What is told may quote a file's own words, which must not steer a terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)


class Failed(click.ClickException):
    """What went wrong, told in a sentence and not in a traceback."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class Unusable(Failed):
    """What the caller can mend: the exit code is click's own for bad options."""

    exit_code = 2


class Table(click.Group):
    """A group whose commands are imported from its table one at a time."""

    table: Mapping[str, str] = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except FreeholdError as error:
            kind = Unusable if isinstance(error, ClientError | ConfigError) else Failed
            raise kind(error.message) from error
        except OSError as exc:  # most often of standard output: other files have errors of their own
            if exc.errno in (None, errno.EPIPE):  # whoever read has seen enough: click ends quietly
                raise
            raise Failed(": ".join(filter(None, (exc.filename and str(exc.filename), exc.strerror)))) from exc
        except UnicodeEncodeError as exc:
            if exc.reason != "surrogates not allowed":
                raise
            raise Unusable("an argument is no UTF-8 text, and is no path either: write it in UTF-8") from exc


@click.group(cls=Table)
@click.version_option(__version__, prog_name="freehold")
def main() -> None:
    """AI you own outright: run it, guard it, prove it, account for it."""
    if sys.stdin is None:  # closed by whoever started us: there is nothing to read
        sys.stdin = open(os.devnull)  # noqa: SIM115 - as long as the process
