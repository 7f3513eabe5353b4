"""`freehold models`: what can be pulled, what is here, what is in a file; models of one's own, as they are or made smaller."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from freehold import config as configuration
from freehold.cli.convert import convert
from freehold.cli.model_paths import bring, files_of, model_path, tell_added
from freehold.cli.terminal import PullProgress, print_table
from freehold.core.errors import ArtefactError, NotFound
from freehold.core.models import Trust
from freehold.engine.inspect import ModelFacts, inspect
from freehold.provenance import catalogue, local
from freehold.provenance.catalogue import Pin
from freehold.provenance.local import added_names
from freehold.provenance.model_folder import model_directory
from freehold.provenance.pull import open_model, pull


@click.group()
def models() -> None:
    """Pull, add, convert, list and inspect models."""


models.add_command(convert)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
def list_models(as_json: bool) -> None:
    """List the models that can be pulled or were added, and which are here."""
    rows = [_row(pin) for pin in catalogue.CATALOGUE] + [_added_row(name) for name in added_names(configuration.home())]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table("model", "here", "size", "licence", "trust", "what it is", box=None, pad_edge=False)
    for row in rows:
        size = "unknown" if row["size_bytes"] is None else f"{row['size_bytes'] / 1e6:.0f} MB"
        table.add_row(row["name"], row["here"], size, row["licence"] or "unknown", _TRUST_WORDS[row["trust"]], row["description"])
    print_table(table)


def _row(pin: Pin) -> dict[str, Any]:
    path = model_directory(configuration.home(), pin.name) / pin.file_name
    here, model_id, trust = "no", None, None
    try:
        model = open_model(configuration.home(), pin.name)
        here, model_id, trust = "yes", model.manifest.model_id, model.trust
    except NotFound:
        pass
    except ArtefactError as exc:
        here = f"not usable: {exc.message}"
    about = {"name": pin.name, "aliases": pin.aliases, "size_bytes": pin.size_bytes, "licence": pin.licence}
    found = {"here": here, "path": str(path), "model_id": model_id, "trust": trust}
    return about | {"description": pin.description, "origin": pin.origin} | found


_TRUST_WORDS = {
    None: "",
    Trust.RELEASE: "pinned by this release",
    Trust.PUBLISHER: "signed by its publisher",
    Trust.FIRST_USE: "trusted on first use",
}


def _added_row(name: str) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "aliases": (), "size_bytes": None, "licence": None, "description": "added here"}
    row |= {"origin": None, "here": "yes", "path": None, "model_id": None, "trust": None}
    try:
        model = open_model(configuration.home(), name)
    except ArtefactError as exc:
        return row | {"here": f"not usable: {exc.message}"}
    manifest = model.manifest
    found: dict[str, Any] = {
        "size_bytes": sum(file.size_bytes for file in manifest.files),
        "licence": manifest.licence,
        "origin": manifest.origin,
    }
    found |= {"description": manifest.origin, "path": str(files_of(model)), "model_id": manifest.model_id, "trust": model.trust}
    return row | found


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


@models.command("add")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="What to call it. Default: the name of its file or folder.")
@click.option("--replace", is_flag=True, help="Take over a name that was added before with other bytes.")
@click.option("--quiet", is_flag=True, help="Say only what went wrong.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def add_model(path: Path, name: str | None, replace: bool, quiet: bool, as_json: bool) -> None:
    """Add a model that is on this machine already, so that it can be served by name.

    PATH is a GGUF file (of a split model, any part) or a folder of safetensors as Hugging Face lays it out. The files stay where
    they are. Their header is looked at, every byte is hashed, and the node signs for what it found: from then on it runs exactly
    these bytes or nothing. Who made them is not checked: nobody signed them before.
    """
    with PullProgress(quiet=quiet or as_json) as progress:
        model = bring(path, name, progress, replace=replace)
    tell_added(model, quiet=quiet, as_json=as_json)


@models.command("forget")
@click.argument("name")
def forget_model(name: str) -> None:
    """Take the added model NAME off the list. Files stay where they were added from; what a conversion made here goes."""
    lay_here = local.forget(configuration.home(), name)
    click.echo(f"{name} is forgotten{', and its files are gone' if lay_here else '; its files are where they were'}")


@models.command("inspect")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="The facts as one JSON object.")
def inspect_model(model: str, as_json: bool) -> None:
    """Tell what is in MODEL, and whether this node runs it: a pulled or added model, a GGUF file, or a folder of safetensors.

    Only the header is read, and nothing in the file is trusted.
    """
    path = model_path(model)
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
        if name not in ("tensors", "unsupported", "must_be_converted"):
            about.add_row(name.replace("_", " "), _words(value))
    runs = "once converted: freehold models convert" if facts.must_be_converted else "yes"
    about.add_row("runs here", runs if facts.supported else "no: " + "; ".join(facts.unsupported))
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
