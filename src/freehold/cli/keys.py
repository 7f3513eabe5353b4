"""`freehold keys`: who may use the node."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
from rich.table import Column, Table

from freehold import config as configuration
from freehold.cli.terminal import print_table
from freehold.store.keys import ClientKey, ClientKeys


@click.group()
def keys() -> None:
    """Create, list and revoke client keys."""


@contextmanager
def _ring() -> Iterator[ClientKeys]:
    store = configuration.load().store
    with closing(ClientKeys(configuration.home() / store.file, store)) as ring:
        yield ring


@keys.command()
@click.argument("name")
@click.option("--team", help="The team that its use is counted for.")
@click.option("--admin", is_flag=True, help="May also read the dashboard, the metrics and every receipt.")
@click.option("--json", "as_json", is_flag=True, help="Key and secret as one JSON object.")
def create(name: str, team: str | None, admin: bool, as_json: bool) -> None:
    """Make a key for NAME and show its secret: the only time that it can be seen."""
    with _ring() as ring:
        key, secret = ring.create(name, team=team, is_admin=admin)
    if as_json:
        click.echo(json.dumps(_document(key) | {"secret": secret}))
        return
    click.echo(secret)
    click.echo(f"{key.key_id}, for {name}. Keep the secret now: only its digest is stored.", err=True)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
def list_keys(as_json: bool) -> None:
    """List all keys, revoked ones too, without their secrets."""
    with _ring() as ring:
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
        "created",
        "revoked",
        box=None,
        pad_edge=False,
    )
    for key in found:
        admin = "yes" if key.is_admin else ""
        created, revoked = _time(key.created_at_ns), _time(key.revoked_at_ns)
        table.add_row(key.key_id, key.shown + "…", key.name, key.team or "", admin, created or "", revoked or "")
    print_table(table)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="The key as one JSON object.")
def revoke(key_id: str, as_json: bool) -> None:
    """Revoke the key ID. A running node refuses it within a second."""
    with _ring() as ring:
        key = ring.revoke(key_id)
    click.echo(
        json.dumps(_document(key)) if as_json else f"{key.key_id} ({key.name}) is revoked since {_time(key.revoked_at_ns)}"
    )


def _document(key: ClientKey) -> dict[str, Any]:
    times = {"created_at": _time(key.created_at_ns), "revoked_at": _time(key.revoked_at_ns)}
    return {name: value for name, value in asdict(key).items() if not name.endswith("_ns")} | times


def _time(unix_ns: int | None) -> str | None:
    return None if unix_ns is None else datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
