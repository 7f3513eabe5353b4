"""`freehold evidence`: rows of the log in one file that proves itself, without the node.

Exit codes of `verify`: 0 all of it holds, 1 it does not, 2 what was given cannot be used.
"""

import base64
import json
from hashlib import sha256
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import click

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.cli.audit_record import (
    RANGE,
    key_option,
    payload_of,
    record,
    record_option,
    rows_between,
    tell_failed,
    time_given,
    trusted_keys,
)
from freehold.cli.record import record_at
from freehold.core import merkle
from freehold.core.errors import ArtefactError, VerificationError, os_errors
from freehold.core.limits import time_text
from freehold.provenance import evidence as bundles
from freehold.provenance import note as notes
from freehold.provenance import receipt as receipts
from freehold.provenance.evidence import Evidence, EvidenceReport, Exchange, Purge, Row
from freehold.provenance.files import named
from freehold.provenance.keys import PUBLIC_NAME, key_directory, node_key
from freehold.store import tree
from freehold.store.evidence import ShownExchange, ShownRow, last_purge, shown
from freehold.store.tree import Tree
from freehold.tile_log import TileLog


@click.group(invoke_without_command=True)
@click.option("--from", "start", metavar="ROW", help=f"Where to start. {RANGE}")
@click.option("--to", "end", metavar="ROW", help=f"Where to stop. {RANGE}")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Where to write it; default: standard output.")
@record_option
@click.pass_context
def evidence(context: click.Context, start: str | None, end: str | None, out: Path | None, path: Path | None) -> None:
    """Write receipts, rows and their proofs of a span of the log to one file. No content is in it.

    It is checked by 'freehold evidence verify', or by the short docs/verify_evidence.py, with the node's public key alone.
    """
    if context.invoked_subcommand is not None:
        return
    if path is None:
        config, home = configuration.load(), configuration.home()
        TileLog(record_at(path, config.store), config.store, node_key(key_directory(home)), config.log.origin).publish()
    with record(path) as connection:
        connection.execute("BEGIN")  # one moment of a record that goes on growing
        first, last = rows_between(connection, start, end)
        span = (time_given(start, is_end=False), time_given(end, is_end=True))
        write_out(evidence_of(connection, first, last, span), out)


@evidence.command()
@click.argument("file", type=click.Path(path_type=Path))
@key_option
@click.option("--witness", "vkeys", multiple=True, metavar="VKEY", help="A witness that must have cosigned. May be repeated.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def verify(file: Path, key_paths: tuple[Path, ...], vkeys: tuple[str, ...], as_json: bool) -> None:
    """Check the evidence in FILE with nothing but the node's public key.

    Exit code 0: all of it holds; 1: it does not; 2: it cannot be used.
    """
    try:
        witnesses = [notes.parse_vkey(vkey) for vkey in vkeys]
        keys = trusted_keys(key_paths)
        with os_errors(f"cannot read {file}", Unusable):
            raw = file.read_bytes()
        with named(file):
            report = bundles.verify(raw, keys, witnesses)
        there = {one.witness for one in report.cosignatures}
        for key in witnesses:
            if key.name not in there:
                raise VerificationError(f"the witness {key.name} has not cosigned the checkpoint of {report.size} rows")
    except VerificationError as error:
        tell_failed("The evidence does not hold", error, as_json=as_json)
    except ArtefactError as error:
        raise Unusable(error.message) from error
    if as_json:
        click.echo(json.dumps({"holds": True, **_document(report)}, indent=2))
    else:
        _show(report)


def evidence_of(
    connection: Connection,
    first_n: int,
    last_n: int | None,
    span: tuple[int | None, int | None] = (None, None),
    *,
    as_digests: bool = False,
) -> bytes:
    """Rows `first_n` to `last_n` as evidence; the last row that is signed for None. With `span`, a row more at either end.

    `as_digests` shows of an exchange its receipt alone. Raises Unusable for rows that no tree head is signed over.
    """
    from_ns, to_ns = span
    newest = tree.last_checkpoint(connection)
    size = 0 if newest is None else newest.size
    last_n = size if last_n is None else min(last_n, size) if to_ns is not None else last_n
    first_n = first_n - 1 if from_ns is not None and first_n > 1 else first_n
    last_n = last_n + 1 if to_ns is not None and last_n < size else last_n
    rows = [_row(row, as_digests) for row in shown(connection, first_n, last_n)] if 1 <= first_n <= last_n <= size else []
    gone = any(row.facts is None and row.exchange is None for row in rows)
    purge_n = last_purge(connection, size) if gone else None
    head = tree.checkpoint_over(connection, max(last_n, purge_n or 0))
    if head is None or not rows:
        raise Unusable(
            f"the log has {size} signed rows; ask for rows from 1 to {size}" if size else "the log has no signed rows yet"
        )
    perfect = Tree(connection).perfect
    return bundles.encode(
        Evidence(
            format=bundles.FORMAT,
            checkpoint=head.note,
            first=first_n,
            rows=rows,
            proof=_base64(merkle.range_proof(first_n - 1, last_n, head.size, perfect)),
            purge=None if purge_n is None else _purge(connection, purge_n, head.size),
            from_ns=from_ns,
            to_ns=to_ns,
            models=sorted({model for row in rows if (model := _model(row)) is not None}),
            public_key=_public_key(),
        )
    )


def _row(row: ShownRow, as_digests: bool) -> Row:
    exchange = None if row.exchange is None else _exchange(row.exchange, as_digests)
    return Row(entry=row.entry.decode(), facts=row.facts, exchange=exchange)


def _exchange(one: ShownExchange, as_digests: bool) -> Exchange:
    if one.ledger is None or one.findings is None or one.receipt_sha256 is None:
        return Exchange(envelope=one.envelope.decode())
    return Exchange(
        envelope=one.envelope.decode(),
        ledger=None if as_digests else one.ledger.decode(),
        ledger_sha256=sha256(one.ledger).hexdigest() if as_digests else None,
        findings=None if as_digests else one.findings.decode(),
        findings_sha256=sha256(one.findings).hexdigest() if as_digests else None,
        receipt_sha256=one.receipt_sha256.hex(),
    )


def _purge(connection: Connection, n: int, size: int) -> Purge:
    (row,) = shown(connection, n, n)
    return Purge(row=_row(row, as_digests=False), proof=_base64(merkle.range_proof(n - 1, n, size, Tree(connection).perfect)))


def _model(row: Row) -> str | None:
    """What the receipt names, unchecked: the verifier compares."""
    if row.exchange is None:
        return None
    claims, _ = receipts.decode(payload_of(row.exchange.envelope))
    return None if claims.served is None else claims.served.model_id


def _public_key() -> str:
    path = key_directory(configuration.home()) / PUBLIC_NAME
    return path.read_text() if path.exists() else ""


def _base64(hashes: list[bytes]) -> list[str]:
    return [base64.b64encode(hash_).decode() for hash_ in hashes]


def write_out(contents: bytes, out: Path | None) -> None:
    if out is None:
        click.echo(contents, nl=False)
        return
    with os_errors(f"cannot write {out}", Unusable):
        out.write_bytes(contents)


def _document(report: EvidenceReport) -> dict[str, Any]:
    return {
        "log": report.origin,
        "rows": [report.first_n, report.last_n],
        "from": time_text(report.first_at_ns),
        "to": time_text(report.last_at_ns),
        "exchanges": len(report.receipts),
        "decisions": report.decisions,
        "purged": report.purged,
        "unopened": report.unopened,
        "signed_rows": report.size,
        "models": list(report.models),
        "cosigned_by": [{"witness": one.witness, "at": time_text(one.at_s * 1_000_000_000)} for one in report.cosignatures],
    }


def _show(report: EvidenceReport) -> None:
    click.echo("The evidence holds: these rows are in the log as the node signed it, whole and in order.")
    document = _document(report)
    document["rows"] = f"{report.first_n} to {report.last_n} of {report.size}"
    document["models"] = ", ".join(report.models) or "none of ours"
    document["cosigned_by"] = ", ".join(f"{one['witness']} at {one['at']}" for one in document["cosigned_by"]) or None
    document["unopened"] = f"{report.unopened} receipts hold by their signature alone" if report.unopened else None
    del document["signed_rows"]
    for name, value in document.items():
        if value is not None:
            click.echo(f"  {name.replace('_', ' '):<12} {value}")
