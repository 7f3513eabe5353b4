"""`freehold keys`: who may use the node, and how much of it."""

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import click
from rich.table import Column, Table

from freehold import config as configuration
from freehold.cli.allowance import (
    NONE,
    allowance_options,
    changed,
    document,
    month_start_ns,
    summary,
    time_text,
    used,
    used_lines,
)
from freehold.cli.record import record_at
from freehold.cli.terminal import print_table
from freehold.core.limits import Allowance
from freehold.provenance.keys import key_directory, node_key
from freehold.store.keys import ClientKey, ClientKeys
from freehold.store.usage import RecordedUsage


@click.group()
def keys() -> None:
    """Create, limit, list and revoke client keys."""


@contextmanager
def open_ring(*, changes: bool = False) -> Iterator[ClientKeys]:
    """What `changes` keys is sealed in the log with the node's key; what only reads them makes no record."""
    store, home = configuration.load().store, configuration.home()
    record = home / store.file if changes else record_at(None, store)
    sealer = node_key(key_directory(home)) if changes else None
    with closing(ClientKeys(record, store, sealer=sealer)) as ring:
        yield ring


def recorded_usage() -> RecordedUsage:
    store = configuration.load().store
    return RecordedUsage(configuration.home() / store.file, store)


@keys.command()
@click.argument("name")
@click.option("--team", help="The team that its use is counted for.")
@click.option("--admin", is_flag=True, help="May also read the dashboard, the metrics and every receipt.")
@allowance_options
@click.option("--json", "as_json", is_flag=True, help="Key and secret as one JSON object.")
def create(name: str, team: str | None, admin: bool, as_json: bool, **options: Any) -> None:
    """Make a key for NAME and show its secret: the only time that it can be seen."""
    with open_ring(changes=True) as ring:
        key, secret = ring.create(name, team=team, is_admin=admin, allowance=changed(Allowance(), options))
    if as_json:
        click.echo(json.dumps(_document(key) | {"secret": secret}))
        return
    click.echo(secret)
    click.echo(f"{key.key_id}, for {name}. Keep the secret now: only its digest is stored.", err=True)
    if key.allowance.labels and configuration.load().residency is None:
        click.echo("Labels decide where data may go by the [residency] table, and this node has none yet.", err=True)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
def list_keys(as_json: bool) -> None:
    """List all keys, revoked ones too, without their secrets."""
    with open_ring() as ring:
        found = ring.list()
    if as_json:
        click.echo(json.dumps([_document(key) for key in found], indent=2))
        return
    table = Table(
        Column("id", no_wrap=True, min_width=16),
        "begins",
        "name",
        "team",
        "admin",
        "may use",
        "created",
        "revoked",
        box=None,
        pad_edge=False,
    )
    for key in found:
        admin = "yes" if key.is_admin else ""
        created, revoked = time_text(key.created_at_ns), time_text(key.revoked_at_ns)
        may_use = summary(key.allowance)
        table.add_row(key.key_id, key.shown + "…", key.name, key.team or "", admin, may_use, created or "", revoked or "")
    print_table(table)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for a program.")
def show(key_id: str, as_json: bool) -> None:
    """Show the key ID: what it may use, and what it has used."""
    with open_ring() as ring:
        key = ring.get(key_id)
    now_ns = time.time_ns()
    use = used([row for row in recorded_usage().since(month_start_ns(now_ns)) if row.key_id == key.key_id], now_ns)
    if as_json:
        click.echo(json.dumps(_document(key) | {"used": use}, indent=2))
        return
    state = f"revoked since {time_text(key.revoked_at_ns)}" if key.revoked_at_ns else "in force"
    click.echo(f"{key.key_id} ({key.name}{', team ' + key.team if key.team else ''}) is {state}")
    click.echo(f"may use: {summary(key.allowance) or 'everything'}")
    for line in used_lines(use):
        click.echo(line)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--team", help="Another team; none takes it out of its team.")
@allowance_options
@click.option("--json", "as_json", is_flag=True, help="The key as one JSON object.")
def update(key_id: str, team: str | None, as_json: bool, **options: Any) -> None:
    """Change what the key ID may use, at once. What is not named stays; none takes a limit away."""
    with open_ring(changes=True) as ring:
        before = ring.get(key_id)
        team = before.team if team is None else None if team == NONE else team
        key = ring.update(key_id, team=team, allowance=changed(before.allowance, options))
    words = f"{key.key_id} ({key.name}) may use: {summary(key.allowance) or 'everything'}"
    click.echo(json.dumps(_document(key)) if as_json else words)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="The key as one JSON object.")
def revoke(key_id: str, as_json: bool) -> None:
    """Revoke the key ID. A running node refuses its next request."""
    with open_ring(changes=True) as ring:
        key = ring.revoke(key_id)
    click.echo(
        json.dumps(_document(key)) if as_json else f"{key.key_id} ({key.name}) is revoked since {time_text(key.revoked_at_ns)}"
    )


def _document(key: ClientKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "shown": key.shown,
        "name": key.name,
        "team": key.team,
        "is_admin": key.is_admin,
        **document(key.allowance),
        "created_at": time_text(key.created_at_ns),
        "revoked_at": time_text(key.revoked_at_ns),
    }
