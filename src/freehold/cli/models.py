"""`freehold models`: what can be pulled, what is here, and what is in a file."""

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from freehold import config as configuration
from freehold.cli.terminal import PullProgress
from freehold.core.errors import ArtefactError, NotFound
from freehold.provenance import catalogue
from freehold.provenance.catalogue import Pin
from freehold.provenance.pull import model_directory, open_model, pull


@click.group()
def models() -> None:
    """Pull, list and inspect models."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
def list_models(as_json: bool) -> None:
    """List the models that can be pulled, and which are here."""
    rows = [_row(pin) for pin in catalogue.CATALOGUE]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table("model", "here", "size", "licence", "what it is", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["name"], row["here"], f"{row['size_bytes'] / 1e6:.0f} MB", row["licence"], row["description"])
    Console(soft_wrap=True, markup=False, highlight=False).print(table)


def _row(pin: Pin) -> dict[str, Any]:
    path = model_directory(configuration.home(), pin.name) / pin.file_name
    here, model_id = "no", None
    try:
        here, model_id = "yes", open_model(configuration.home(), pin.name).manifest.model_id
    except NotFound:
        pass
    except ArtefactError as exc:
        here = f"damaged: {exc.message}"
    about = {"name": pin.name, "aliases": pin.aliases, "size_bytes": pin.size_bytes, "licence": pin.licence}
    return about | {"description": pin.description, "origin": pin.origin, "here": here, "path": str(path), "model_id": model_id}


@models.command("pull")
@click.argument("name")
@click.option("--quiet", is_flag=True, help="Say only what went wrong.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def pull_model(name: str, quiet: bool, as_json: bool) -> None:
    """Fetch the model NAME by its digest, verify it, and sign for it.

    A pull that was interrupted goes on where it stopped. A model that is here already costs nothing.
    """
    home = configuration.home()
    with PullProgress(quiet=quiet or as_json) as progress:
        path = pull(name, home, progress)
    model = open_model(home, name)
    if as_json:
        click.echo(json.dumps({"name": model.manifest.name, "path": str(path), "model_id": model.manifest.model_id}))
    elif not quiet:
        click.echo(str(path))
