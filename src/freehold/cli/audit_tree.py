"""`freehold log`, as others see it: signed tree heads, proofs, static files, and witnesses.

Exit codes: 0 done, 1 a check failed (two heads are not of one log, a witness refused), 2 what was given cannot be used.
"""

import asyncio
import base64
import json
from pathlib import Path

import aiohttp
import click

from freehold import config as configuration
from freehold.cli import Failed, Unusable
from freehold.cli.audit_record import key_option, read_below, record, record_option, tell_failed, trusted_keys
from freehold.cli.evidence import evidence_of, write_out
from freehold.cli.record import record_at
from freehold.core import merkle
from freehold.core.errors import ArtefactError, FreeholdError, VerificationError
from freehold.core.limits import time_text
from freehold.core.merkle import Perfect
from freehold.provenance import checkpoint as checkpoints
from freehold.provenance.checkpoint import Checkpoint
from freehold.provenance.files import named
from freehold.provenance.keys import TrustedKeys, key_directory, node_key
from freehold.provenance.log_config import WitnessConfig
from freehold.provenance.tiles import TileReader
from freehold.store import tree
from freehold.store.evidence import row_of
from freehold.store.tree import Tree
from freehold.tile_log import TileLog
from freehold.witnessing import TIMEOUT, ask

_out_option = click.option("-o", "--out", type=click.Path(path_type=Path), help="Where to write it; default: standard output.")


def this_log(*, made: bool = True) -> TileLog:
    """The log of this machine's node, with its key. Raises InvalidRequest where it should be `made` and is not yet."""
    config, home = configuration.load(), configuration.home()
    record = record_at(None, config.store) if made else home / config.store.file
    return TileLog(record, config.store, node_key(key_directory(home)), config.log.origin)


@click.command()
@record_option
@_out_option
def checkpoint(path: Path | None, out: Path | None) -> None:
    """Sign the head of the log's tree as it is now, and show it: keep it elsewhere, and compare with 'consistency' later.

    Of a copy of a record (--file) the last one that was signed is shown.
    """
    if path is None:
        last = this_log().publish()
    else:
        with record(path) as connection:
            last = tree.last_checkpoint(connection)
    if last is None:
        raise Unusable("the log has no rows yet" if path is None else f"{path} holds no signed tree head")
    write_out(last.note.encode(), out)


@click.command()
@click.argument("row")
@record_option
@_out_option
def proof(row: str, path: Path | None, out: Path | None) -> None:
    """Prove that ROW, a number or an exchange's id, is in the log: JSON that 'freehold evidence verify' checks alone.

    Of an exchange it holds the receipt, and digests for the rest. 'freehold receipt verify --proof' takes it, too.
    """
    if path is None:
        this_log().publish()
    with record(path) as connection:
        connection.execute("BEGIN")
        n = int(row) if row.isascii() and row.isdigit() else row_of(connection, row)
        if n is None:
            raise Unusable(f"the log has no row of the exchange {row[:80]}")
        write_out(evidence_of(connection, n, n, as_digests=True), out)


@click.command()
@click.argument("old", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("new", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@record_option
@click.option(
    "--tiles", type=click.Path(path_type=Path), help="Take the tree from a folder of the log's files, not from a record."
)
@key_option
@click.option("--json", "as_json", is_flag=True, help="The result, and the proof, as one JSON object.")
def consistency(old: Path, new: Path, path: Path | None, tiles: Path | None, key_paths: tuple[Path, ...], as_json: bool) -> None:
    """Check that the log of the checkpoint in file NEW continues that of the one in OLD: nothing was changed or taken out.

    The proof comes from the record or the files; it is checked against the two signed heads, so neither needs to be believed.
    """
    keys = trusted_keys(key_paths)
    try:
        first, second = _signed(old, keys), _signed(new, keys)
        if first.origin != second.origin:
            raise VerificationError(f"{old} is of the log {first.origin}, {new} of {second.origin}")
        if first.size > second.size:
            raise VerificationError(
                f"{new} has {second.size} rows and {old} {first.size}: rows were taken out, or the older file was named second"
            )
        if tiles is not None:
            hashes = _prove(first, second, TileReader(read_below(tiles), second.size).perfect)
        else:
            with record(path) as connection:
                connection.execute("BEGIN")
                hashes = _prove(first, second, Tree(connection).perfect)
        merkle.check_consistency(first.size, first.root, second.size, second.root, hashes)
    except VerificationError as error:
        tell_failed("Not one log", error, as_json=as_json, name="consistent")
    except ArtefactError as error:
        raise Unusable(error.message) from error
    document = {
        "consistent": True,
        "origin": first.origin,
        "old_size": first.size,
        "new_size": second.size,
        "proof": [base64.b64encode(hash_).decode() for hash_ in hashes],
    }
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(f"One log: {second.size} rows continue the {first.size} that were there, {second.size - first.size} came.")


def _signed(path: Path, keys: TrustedKeys) -> Checkpoint:
    try:
        with named(path):
            return checkpoints.verify(path.read_bytes(), keys)
    except VerificationError as error:
        raise VerificationError(f"{path}: {error.message}") from error


def _prove(old: Checkpoint, new: Checkpoint, perfect: Perfect) -> list[bytes]:
    try:
        return merkle.consistency_proof(old.size, new.size, perfect)
    except VerificationError as error:
        raise Unusable(f"there is no tree of {new.size} rows to prove it with: {error.message}") from error


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def publish(folder: Path) -> None:
    """Write the log's static files (C2SP tlog-tiles) to FOLDER, or bring those there up to date."""
    log = this_log()
    last = log.publish()
    if last is None:
        raise Unusable("the log has no rows yet")
    written = log.write_folder(folder)
    click.echo(f"{folder} holds the log's {last.size} rows: {written} files were written.")


@click.command()
@click.option("--url", help="Ask this witness alone, whether it is configured or not. Goes with --witness-key.")
@click.option("--witness-key", help="Its witness key, as 'freehold log keys' shows it there.")
def witness(url: str | None, witness_key: str | None) -> None:
    """Sign the head of the log's tree, and have the witnesses of [[witnesses]] cosign it now."""
    if (url is None) != (witness_key is None):
        raise Unusable("--url and --witness-key go together")
    if url is not None and witness_key is not None:
        try:
            asked: tuple[WitnessConfig, ...] = (WitnessConfig(url=url, key=witness_key),)
        except ValueError as exc:
            raise Unusable(str(exc)) from exc
    else:
        asked = configuration.load().witnesses
    if not asked:
        raise Unusable("no witness is configured: name one in [[witnesses]], or with --url and --witness-key")
    if failed := asyncio.run(_ask_all(asked)):
        raise Failed(f"{failed} of {len(asked)} witnesses did not cosign")


async def _ask_all(asked: tuple[WitnessConfig, ...]) -> int:
    """How many did not cosign."""
    log, failed = this_log(), 0
    last = log.publish()
    if last is None:
        raise Unusable("the log has no rows yet")
    async with aiohttp.ClientSession(timeout=TIMEOUT) as http:
        for one in asked:
            name = one.note_key().name
            try:
                given = await ask(http, one, log, last)
            except FreeholdError as error:
                click.echo(f"{name}: {error.message}", err=True)
                failed += 1
                continue
            click.echo(f"{name} has cosigned {last.size} rows at {time_text(given.at_s * 1_000_000_000)}.")
    return failed


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for a program.")
def keys(as_json: bool) -> None:
    """Show the keys by which others know this node's log, and its cosignatures."""
    log = this_log(made=False)  # nodes that are to witness each other are told so before either starts
    shown = {"origin": log.origin, "log_key": str(log.log_key), "witness_key": str(log.witness_key)}
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    click.echo(f"log key      {shown['log_key']}\n  for the [log] witness_for of nodes that are to witness this one")
    click.echo(f"witness key  {shown['witness_key']}\n  for the [[witnesses]] of nodes that this one is to witness")
