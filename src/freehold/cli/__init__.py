"""The `freehold` command: one file per command, one line each in the tables.

A command's file is imported when the command is asked for: `freehold keys list` does not wait for compilers and servers to load.
"""

import errno
import importlib
import io
import os
import sys
from collections.abc import Mapping
from typing import Any

import click

from freehold import __version__
from freehold.core.errors import ClientError, ConfigError, FreeholdError


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
    """A group whose commands are imported from its table one at a time: by the word, where the click command is."""

    def __init__(self, *, table: "Mapping[str, str | Table]", **about: Any) -> None:
        super().__init__(**about)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._table.get(cmd_name)
        if not isinstance(place, str):
            return place
        module, _, attribute = place.partition(":")
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


_GUARD = Table(
    name="guard",
    help="Ask the guard, without side effects.",
    table={"check": "freehold.cli.guard_check:check", "hook": "freehold.cli.hook:hook"},
)
_LOG = Table(
    name="log",
    help="Check, show, prove and export the tamper-evident log, and have it witnessed.",
    table={
        "checkpoint": "freehold.cli.audit_tree:checkpoint",
        "consistency": "freehold.cli.audit_tree:consistency",
        "export": "freehold.cli.audit:export",
        "keys": "freehold.cli.audit_tree:keys",
        "proof": "freehold.cli.audit_tree:proof",
        "publish": "freehold.cli.audit_tree:publish",
        "show": "freehold.cli.audit:show",
        "verify": "freehold.cli.audit:verify",
        "witness": "freehold.cli.audit_tree:witness",
    },
)
_METER = Table(
    name="meter",
    help="Account for energy, carbon, water and cost: sources, report, events, rebound.",
    table={
        "event": "freehold.cli.meter_event:event",
        "rebound": "freehold.cli.meter_rebound:rebound",
        "report": "freehold.cli.meter_report:report",
        "sources": "freehold.cli.meter_sources:sources",
    },
)
_PLAN = Table(
    name="plan",
    help="Plan capacity: chips, power, training, serving, sites, export rules, and what public claims amount to.",
    table={
        "chips": "freehold.cli.plan_chips:chips",
        "claim": "freehold.cli.plan_claim:claim",
        "dispatch": "freehold.cli.plan_dispatch:dispatch",
        "exaflops": "freehold.cli.plan_exaflops:exaflops",
        "export": "freehold.cli.plan_export:export",
        "own": "freehold.cli.plan_own:own",
        "serve": "freehold.cli.plan_serve:serve",
        "site": "freehold.cli.plan_site:site",
        "train": "freehold.cli.plan_train:train",
        "validate": "freehold.cli.plan_validate:validate",
    },
)
COMMANDS: Mapping[str, str | Table] = {
    "approvals": "freehold.cli.approvals:approvals",
    "audit-model": "freehold.cli.audit_model:audit_model",
    "batches": "freehold.cli.batches:batches",
    "bom": "freehold.cli.bom:bom",
    "chat": "freehold.cli.chat:chat",
    "doctor": "freehold.cli.doctor:doctor",
    "engine": "freehold.cli.engine:engine",
    "evidence": "freehold.cli.evidence:evidence",
    "fit": "freehold.cli.fit:fit",
    "guard": _GUARD,
    "kept": "freehold.cli.kept:kept",
    "keys": "freehold.cli.keys:keys",
    "log": _LOG,
    "mcp": "freehold.cli.mcp:mcp",
    "meter": _METER,
    "models": "freehold.cli.models:models",
    "plan": _PLAN,
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


@click.group(cls=Table, table=COMMANDS)
@click.version_option(__version__, prog_name="freehold")
def main() -> None:
    """AI you own outright: run it, guard it, prove it, account for it."""
    # What whoever started us closed: there is nothing to read, and nobody to tell. They are open as long as the process.
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")  # in a locale of few letters, a ? for each of the others
