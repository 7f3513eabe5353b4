"""`freehold trust`: which keys may sign which models."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.cli.signing_options import given
from freehold.cli.terminal import print_table
from freehold.core.errors import InvalidRequest, os_errors
from freehold.provenance.certificates import FILE_LIMIT_BYTES
from freehold.provenance.trust import Entry, TrustStore, make_entry
from freehold.trust_log import change_trust, find_trust


@click.group()
def trust() -> None:
    """Say which keys may sign which models."""


def _day(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        day = datetime.fromisoformat(value)
        return day.replace(tzinfo=day.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise click.BadParameter(f"{value!r} is no day such as 2027-01-31") from exc


_NAMES = click.option(
    "--name", "names", multiple=True, required=True, metavar="GLOB", help="Models it may sign: 'acme-*'. Repeatable."
)
_NOTE = click.option("--note", help="Whose it is, in your words.")


@trust.command()
@click.argument("file", type=click.Path(path_type=Path))
@_NAMES
@click.option("--until", callback=_day, metavar="DAY", help="From this day on it is not trusted any more: 2027-01-31.")
@_NOTE
def add(file: Path, names: tuple[str, ...], until: datetime | None, note: str | None) -> None:
    """Trust the public key in FILE for models of these names. A certificate is trusted as an authority for those it issued."""
    if until is not None and until <= datetime.now(UTC):
        raise InvalidRequest(f"--until {until:%Y-%m-%d} is over: the key would not be trusted for a moment")
    entry = given(lambda file: make_entry(_read(file), names, note=note, expires_at=until), file)
    _change(lambda store: store.added(entry), "added", entry)
    click.echo(f"{entry.kind} {entry.id} may sign {', '.join(entry.names)}")


@trust.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
def list_keys(as_json: bool) -> None:
    """List the keys that are trusted, and those that were."""
    store = _store()
    node = {"id": store.node.key_id, "kind": store.node.kind, "names": ["*"], "state": "trusted", "note": "this node's own key"}
    rows = [node, *(_row(entry, datetime.now(UTC)) for entry in store.entries)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table("key", "kind", "models", "state", "note", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["id"], row["kind"], ", ".join(row["names"]), row["state"], row["note"] or "")
    print_table(table)


@trust.command()
@click.argument("key")
def remove(key: str) -> None:
    """Take KEY off the list: it is then as unknown as any other. KEY is an id, or its beginning."""
    entry = _store().find(key)
    _change(lambda store: store.removed(entry), "removed", entry)
    click.echo(f"{entry.id} is not trusted any more")


@trust.command()
@click.argument("key")
@click.option("--because", required=True, help="Why: it was stolen, its owner left.")
@click.option("--on", "on", callback=_day, metavar="DAY", help="The day it came about, for the record. Default: today.")
def revoke(key: str, because: str, on: datetime | None) -> None:
    """Refuse all that KEY signed and will sign, whenever that was: nothing proves when a signature was made."""
    entry = _store().find(key)
    at = on or datetime.now(UTC).replace(microsecond=0)
    _change(lambda store: store.revoked(entry, at, because), "revoked", entry, because=because, on=at.isoformat())
    click.echo(f"{entry.id} is revoked: models that it signed are refused from now on")


@trust.command()
@click.argument("key")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--until", callback=_day, required=True, metavar="DAY", help="From this day on the old key is not trusted any more."
)
@_NOTE
def rotate(key: str, file: Path, until: datetime, note: str | None) -> None:
    """Let the public key in FILE follow KEY, for the same models. Both are trusted until the day."""
    old = _store().find(key)
    entry = given(lambda file: make_entry(_read(file), old.names, note=note or old.note), file)
    _change(lambda store: store.rotated(old, entry, until), "rotated", entry, replaces=old.id, until=until.isoformat())
    click.echo(f"{entry.kind} {entry.id} may sign {', '.join(entry.names)}; {old.id} until {until:%Y-%m-%d}")


def _store() -> TrustStore:
    return find_trust(configuration.home(), configuration.load().store)


def _change(change: Callable[[TrustStore], TrustStore], what: str, entry: Entry, **more: str) -> None:
    facts: dict[str, object] = {"change": what, "key": entry.id, "kind": entry.kind, "names": list(entry.names), **more}
    if entry.expires_at is not None:
        facts["expires_at"] = entry.expires_at.isoformat()
    change_trust(configuration.home(), configuration.load().store, change, facts)


def _row(entry: Entry, now: datetime) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": entry.id,
        "kind": entry.kind,
        "names": list(entry.names),
        "state": _state(entry, now),
        "note": entry.note,
    }
    times = {"added_at": entry.added_at, "expires_at": entry.expires_at, "revoked_at": entry.revoked_at}
    row |= {name: None if time is None else time.isoformat() for name, time in times.items()}
    return row | {"revoked_because": entry.revoked_because, "replaced_by": entry.replaced_by}


def _state(entry: Entry, now: datetime) -> str:
    if entry.revoked_at is not None:
        return f"revoked on {entry.revoked_at:%Y-%m-%d}: {entry.revoked_because}"
    if entry.expires_at is None:
        return "trusted"
    follows = f", {entry.replaced_by} follows" if entry.replaced_by else ""
    return f"{'expired on' if now >= entry.expires_at else 'trusted until'} {entry.expires_at:%Y-%m-%d}{follows}"


def _read(path: Path) -> bytes:
    with os_errors(f"cannot read {path}", Unusable), path.open("rb") as file:
        return file.read(FILE_LIMIT_BYTES)
