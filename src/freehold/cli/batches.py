"""`freehold batches`: the batches of this node's clients, and what waiting for better power spared.

It reads the record, with or without a running node. A node that runs sees within seconds what is cancelled here. No content is
shown: that belongs to the key whose batch it is.
"""

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from rich.table import Table

from freehold import config as configuration
from freehold.batching import open_batches
from freehold.cli.record import record_at
from freehold.cli.terminal import print_table
from freehold.core.batches import Batch
from freehold.core.deferral import NOTHING_SAVED, Saving
from freehold.core.measurement import J_PER_KWH
from freehold.gateway.batches.desk import cancelling
from freehold.gateway.batches.documents import batch_document, saving_document
from freehold.provenance.keys import key_directory, node_key
from freehold.store.batches import Batches
from freehold.store.deferred import Deferred, deferred

_LISTED = 1000
_REQUESTS = "requests"
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")


@click.group()
def batches() -> None:
    """List, show and cancel batches; report what waiting spared."""


@contextmanager
def opened() -> Iterator[Batches]:
    config, home = configuration.load(), configuration.home()
    record = record_at(None, config.store)
    with closing(open_batches(record, home, config, node_key(key_directory(home)))) as store:
        yield store


@batches.command("list")
@click.option("--key", "key_id", metavar="ID", help="Of one key alone.")
@_json_option
def list_batches(key_id: str | None, as_json: bool) -> None:
    """List batches, the newest first."""
    with opened() as store:
        found, more = store.batches(None, after=None, limit=_LISTED)
    chosen = [batch for batch in found if key_id in (None, batch.key_id)]
    if as_json:
        click.echo(json.dumps([_document(batch) for batch in chosen], indent=2))
        return
    table = Table("id", "key", "status", "done", "failed", "of", "created", "until", "model", box=None, pad_edge=False)
    for batch in chosen:
        counts = (str(batch.completed), str(batch.failed), str(batch.total))
        times = (_time(batch.created_at_s), _time(batch.deadline_s))
        table.add_row(batch.id, batch.key_id, batch.status.value, *counts, *times, batch.model or "")
    print_table(table)
    if more:
        click.echo(f"these are the last {_LISTED}", err=True)


@batches.command()
@click.argument("batch_id", metavar="ID")
@_json_option
def show(batch_id: str, as_json: bool) -> None:
    """Show one batch: how far it is, and what waiting spared."""
    with opened() as store:
        batch = store.batch(batch_id)
        saving = batch.saving if batch.is_over else store.saving(batch.id)
    if as_json:
        click.echo(json.dumps(_document(batch), indent=2))
        return
    click.echo(f"{batch.id}: {batch.status.value}, {batch.completed} done and {batch.failed} failed of {batch.total}")
    click.echo(f"key {batch.key_id}, {batch.endpoint}, model {batch.model or 'of each line'}")
    click.echo(f"created {_time(batch.created_at_s)}, done by {_time(batch.deadline_s)}, ran for {batch.run_s:.0f} s")
    for name, at_s in sorted(batch.moments.items(), key=lambda moment: moment[1]):
        click.echo(f"  {name} {_time(at_s)}")
    for error in batch.errors:
        click.echo(f"  line {error.line or '-'}: {error.code}: {error.message}")
    for words in _saving_words(saving):
        click.echo(words)


@batches.command()
@click.argument("batch_id", metavar="ID")
def cancel(batch_id: str) -> None:
    """Cancel a batch: lines that run are stopped, those that have not run are told so."""
    with opened() as store:
        batch = store.change(batch_id, lambda batch: cancelling(batch, int(time.time())))
    click.echo(f"{batch.id} is {batch.status.value}; a running node ends it within seconds, others when they start")


@batches.command()
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="From this day on, UTC. Default: all that is recorded.")
@click.option("--by", type=click.Choice(["batch", "day", "key", "model"]), default="batch", show_default=True)
@_json_option
def report(since: datetime | None, by: str, as_json: bool) -> None:
    """What waiting for cleaner, cheaper or left-over power spared, out of the ledger, against running at once.

    An exchange of which energy, carbon or price is unknown is in no sum of that; the counts say how many are.
    """
    config, home = configuration.load(), configuration.home()
    since_ns = int(since.replace(tzinfo=UTC).timestamp()) * 1_000_000_000 if since else 0
    sums: dict[str, Saving] = {}
    waits_s: dict[str, float] = {}
    record = home / config.store.file
    for one in deferred(record, since_ns, config.store) if record.exists() else ():
        name = _group(one, by)
        sums[name] = sums.get(name, NOTHING_SAVED).plus(one.turn, one.energy_j)
        waits_s[name] = waits_s.get(name, 0.0) + one.turn.ran_s - one.turn.at_once_s
    if as_json:
        rows = [{by: name, **saving_document(saving)} for name, saving in sums.items()]
        click.echo(json.dumps({"currency": config.signal.currency, "rows": rows}, indent=2))
        return
    if not sums:
        click.echo("nothing that could wait has run yet: batches can, and requests with x-freehold-priority: deferrable")
        return
    currency = config.signal.currency
    amounts = ("g at once", "g spared", "", f"{currency} at once", "spared", "")
    table = Table(by, "exchanges", "late", "waited", "kWh", *amounts, box=None, pad_edge=False)
    for name, saving in sums.items():
        table.add_row(name, *_cells(saving, waits_s[name] / saving.exchanges))
    print_table(table)


def _group(one: Deferred, by: str) -> str:
    if by == "day":
        return datetime.fromtimestamp(one.turn.ran_s, UTC).date().isoformat()
    return {"batch": one.turn.batch or _REQUESTS, "key": one.key_id, "model": one.model}[by]


def _cells(saving: Saving, wait_s: float) -> list[str]:
    energy = f"{saving.energy_j / J_PER_KWH:.6f}" if saving.energy_known else "unknown"
    carbon = _amounts(saving.carbon_known, saving.carbon_at_once_g, saving.carbon_spared_g)
    price = _amounts(saving.price_known, saving.price_at_once, saving.price_spared)
    return [str(saving.exchanges), str(saving.late), f"{wait_s / 3600:.2f} h", energy, *carbon, *price]


def _amounts(known: int, at_once: float, spared: float) -> list[str]:
    if not known:
        return ["unknown", "", ""]
    return [f"{at_once:.6g}", f"{spared:.6g}", f"{spared / at_once:.0%}" if at_once > 0 else ""]


def _saving_words(saving: Saving) -> Iterator[str]:
    currency, of = configuration.load().signal.currency, f"of {saving.exchanges} exchanges"
    if saving.carbon_known:
        spared = f"{saving.carbon_spared_g:.6g} g of {saving.carbon_at_once_g:.6g} g CO2e"
        yield f"spared {spared}, known of {saving.carbon_known} {of}"
    if saving.price_known:
        spared = f"{saving.price_spared:.6g} of {saving.price_at_once:.6g} {currency}"
        yield f"spared {spared}, known of {saving.price_known} {of}"


def _document(batch: Batch) -> dict[str, Any]:
    return {**batch_document(batch), "key_id": batch.key_id}


def _time(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
