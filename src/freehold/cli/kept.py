"""`freehold kept`: what policy keeps of exchanges, so that they can be replayed."""

import json
from typing import Any

import click
from rich.table import Table

from freehold.cli import Unusable
from freehold.cli.record import record_at
from freehold.cli.terminal import print_table
from freehold.core.exchange import ExchangeId
from freehold.core.limits import time_text
from freehold.place import Place, find_place
from freehold.provenance.content import content_key
from freehold.provenance.keys import key_directory, node_key
from freehold.store.content import ContentStore, KeptRow


@click.group()
def kept() -> None:
    """List, show and delete the exchanges that policy keeps."""


@kept.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
def list_kept(limit: int, as_json: bool) -> None:
    """List what is kept, newest first, without opening it."""
    rows = _store(find_place()).list(limit)
    if as_json:
        click.echo(json.dumps([_document(row) for row in rows], indent=2))
        return
    table = Table("exchange", "of", "until", "key", "team", "model", "bytes", box=None, pad_edge=False)
    for row in rows:
        times = (time_text(row.received_at_ns), time_text(row.until_ns))
        table.add_row(row.exchange_id, *times, row.key_id, row.team or "", row.model, str(row.stored_bytes))
    print_table(table)


@kept.command()
@click.argument("exchange_id", metavar="ID")
def show(exchange_id: str) -> None:
    """Print what is kept of exchange ID, as JSON. This is content: the log says that it was shown."""
    place = find_place()
    store, wanted = _store(place), ExchangeId(exchange_id)
    encrypted = store.read(wanted)
    if encrypted is None:
        raise Unusable(f"nothing is kept of {exchange_id}")
    content = content_key(key_directory(place.home)).decrypt(encrypted, wanted)
    store.note_shown(wanted)
    click.echo(json.dumps(json.loads(content), indent=2, ensure_ascii=False))


@kept.command()
@click.argument("exchange_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that is kept.")
def delete(exchange_ids: tuple[str, ...], everything: bool) -> None:
    """Delete what is kept of exchanges ID now. Their receipts stay, with its digest, and the log says that it was deleted."""
    if everything == bool(exchange_ids):
        raise Unusable("name the exchanges to delete, or --all")
    place = find_place()
    deleted = _store(place).delete(None if everything else exchange_ids)
    for missing in dict.fromkeys(one for one in exchange_ids if one not in deleted):
        click.echo(f"nothing was kept of {missing}", err=True)
    click.echo(f"deleted what was kept of {len(deleted)} exchange{'s' if len(deleted) != 1 else ''}")
    if not everything and len(deleted) < len(set(exchange_ids)):
        raise SystemExit(Unusable.exit_code)


def _store(place: Place) -> ContentStore:
    record = record_at(place.record, place.config.store)
    return ContentStore(record, place.config.store, node_key(key_directory(place.home)))


def _document(row: KeptRow) -> dict[str, Any]:
    names = ("exchange_id", "key_id", "team", "model", "stored_bytes")
    times = {"received_at": time_text(row.received_at_ns), "until": time_text(row.until_ns)}
    return {name: getattr(row, name) for name in names} | times
