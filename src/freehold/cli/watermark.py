"""`freehold watermark`: secrets by which answers of our engine can be told, and telling them.

Exit codes of `detect`: 0 the watermark is there, 1 it is not, as far as the text tells, 2 what was given cannot be used.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.cli.model_paths import model_path
from freehold.core.errors import FreeholdError, MalformedArtefact, os_errors
from freehold.engine.green_list import Detection, detect
from freehold.engine.header import read_path
from freehold.engine.tokenizer import read_tokenizer
from freehold.provenance.watermark import make_watermark, read_watermark, watermark_names

TEXT_LIMIT_BYTES = 16 << 20


@click.group()
def watermark() -> None:
    """Make secrets for watermarks, and find them in texts."""


@watermark.command()
@click.argument("name")
@click.option("--gamma", default=0.25, show_default=True, help="The green part of the vocabulary, between 0 and 1.")
@click.option("--delta", default=2.0, show_default=True, help="What is added to the logits of green tokens.")
@click.option("--context", default=2, show_default=True, help="Tokens before a place that choose its green list, 1 to 8.")
def create(name: str, gamma: float, delta: float, context: int) -> None:
    """Make the secret NAME, one a team. An entry [[engine.watermarks]] of the configuration says whose answers carry it."""
    made = make_watermark(configuration.home(), name, gamma=gamma, delta=delta, context_tokens=context)
    click.echo(f"made the watermark {name}; receipts name it by {made.digest}")


@watermark.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
def list_watermarks(as_json: bool) -> None:
    """List the watermarks of this home, without their secrets."""
    home = configuration.home()
    found = {name: read_watermark(home, name) for name in watermark_names(home)}
    documents = [
        {"name": name, "gamma": one.gamma, "delta": one.delta, "context": one.context_tokens, "digest": one.digest}
        for name, one in found.items()
    ]
    if as_json:
        click.echo(json.dumps(documents, indent=2))
        return
    for document in documents:
        click.echo("  ".join(f"{name} {value}" for name, value in document.items()))


@watermark.command("detect")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--team", "name", required=True, metavar="NAME", help="The secret to look for.")
@click.option("--model", help="The model whose tokens the text is cut into: a name or a path. Default: the configured one.")
@click.option("--alpha", default=1e-5, show_default=True, type=click.FloatRange(0, 1), help="The p-value that is small enough.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def detect_watermark(file: Path, name: str, model: str | None, alpha: float, as_json: bool) -> None:
    """Tell whether the text in FILE carries the watermark NAME; - reads standard input.

    The p-value is the chance of so many green tokens in a text that was made without the secret: exact, each n-gram counted
    once. Exit code 0: it is at most --alpha, the watermark is there; 1: it is not, or the text is too short or too predictable to
    tell; 2: it cannot be looked for.
    """
    try:
        secret = read_watermark(configuration.home(), name)
        path = model_path(model or configuration.load().engine.model)
        tokenizer = read_tokenizer(read_path(path).metadata, path.name)
        found = detect(tokenizer.encode(_text(file)), secret, tokenizer.vocabulary)
    except FreeholdError as error:
        raise Unusable(error.message) from error
    is_there = found.p_value <= alpha
    if as_json:
        click.echo(json.dumps({"found": is_there, "alpha": alpha, "watermark": name, "digest": secret.digest} | asdict(found)))
    else:
        _tell(name, found, is_there=is_there)
    sys.exit(0 if is_there else 1)


def _text(file: Path) -> str:
    with os_errors(f"cannot read {file}"), click.open_file(str(file), "rb") as opened:
        raw = opened.read(TEXT_LIMIT_BYTES + 1)
    if len(raw) > TEXT_LIMIT_BYTES:
        raise Unusable(f"{file} is larger than {TEXT_LIMIT_BYTES >> 20} MiB; cut out the part in question")
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError as exc:
        raise MalformedArtefact(f"{file} is no UTF-8 text (byte {exc.start})") from exc


def _tell(name: str, found: Detection, *, is_there: bool) -> None:
    click.echo(f"The watermark {name} is {'there' if is_there else 'not there, as far as this text tells'}.")
    click.echo(f"  {found.tokens} tokens, {found.scored} distinct places scored, {found.green} green")
    click.echo(f"  {found.scored * found.gamma:.1f} would be green by chance: z = {found.z_score:.2f}, p = {found.p_value:.3g}")
