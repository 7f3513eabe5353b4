"""`freehold models`: what can be pulled, what is here, and what is in a file."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from freehold import config as configuration
from freehold.cli.terminal import PullProgress, print_table
from freehold.core.errors import ArtefactError, NotFound
from freehold.engine.inspect import ModelFacts, inspect
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
    print_table(table)


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


@models.command("inspect")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="The facts as one JSON object.")
def inspect_model(model: str, as_json: bool) -> None:
    """Tell what is in MODEL, the name of a pulled model or the path of a GGUF file, and whether this node runs it.

    Only the header is read, and nothing in the file is trusted.
    """
    path = Path(model)
    if not path.exists() and any(model in (pin.name, *pin.aliases) for pin in catalogue.CATALOGUE):
        verified = open_model(configuration.home(), model)
        path = verified.directory / verified.manifest.files[0].name
    facts = inspect(path)
    if as_json:
        click.echo(json.dumps(asdict(facts) | {"path": str(path), "supported": facts.supported}, indent=2))
    else:
        _show(path, facts)


def _show(path: Path, facts: ModelFacts) -> None:
    about = Table("fact", "value", box=None, pad_edge=False, show_header=False)
    about.columns[1].overflow = "fold"  # digests and paths are there to be copied
    about.add_row("file", str(path))
    for name, value in asdict(facts).items():
        if name not in ("tensors", "unsupported"):
            about.add_row(name.replace("_", " "), _words(value))
    about.add_row("runs here", "yes" if facts.supported else "no: " + "; ".join(facts.unsupported))
    types = Table("tensor type", "tensors", "parameters", "bytes", box=None, pad_edge=False)
    for share in facts.tensors:
        types.add_row(share.type, f"{share.tensors:,}", f"{share.parameters:,}", f"{share.size_bytes:,}")
    print_table(about)
    click.echo()
    print_table(types)


def _words(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
