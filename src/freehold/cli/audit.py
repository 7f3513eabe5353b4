"""`freehold log`: the tamper-evident log of exchanges and decisions; checked, shown, exported, offline or beside a running node.

Exit codes of `verify`: 0 all of it holds, 1 a row is not as it was written, 2 what was given cannot be used.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from sqlite3 import Connection, Row
from typing import Any

import click
from rich.table import Table as Rows

from freehold.cli import Unusable
from freehold.cli.audit_record import (
    RANGE,
    NodeProofs,
    key_option,
    read_below,
    record,
    record_option,
    rows_between,
    tell_failed,
    trusted_keys,
)
from freehold.cli.terminal import print_table
from freehold.core.errors import DeviceError, FreeholdError, MalformedArtefact, VerificationError
from freehold.core.limits import time_text
from freehold.provenance.evidence import Chain
from freehold.provenance.keys import TrustedKeys
from freehold.provenance.tiles import CHECKPOINT, verify_tiles
from freehold.store.audit import Head
from freehold.store.verify import LogReport, verify_log

_EXPORTED = """
    SELECT audit.n, audit.at_ns, audit.kind, audit.exchange_id, audit.facts, audit.link, ledger.* FROM audit
    LEFT JOIN ledger ON ledger.seq = audit.ledger_seq WHERE audit.n BETWEEN ? AND ? AND (? IS NULL OR audit.kind = ?)
    ORDER BY audit.n
"""
_FINDINGS = "SELECT * FROM finding WHERE ledger_seq = ? ORDER BY n"
_NO_END = (1 << 63) - 1


@click.command()
@click.option("--from", "start", metavar="ROW", help=f"Where to start. {RANGE}")
@click.option("--to", "end", metavar="ROW", help=f"Where to stop: at the next seal. {RANGE}")
@key_option
@record_option
@click.option("--tiles", type=click.Path(path_type=Path), help="Check a folder of the log's files instead of a record.")
@click.option("--head", metavar="N:LINK", help="A head that an earlier check showed: the log must still hold it.")
@click.option("--signatures", is_flag=True, help="Check each signature by itself, not only the last seal over them all. Slow.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def verify(
    start: str | None,
    end: str | None,
    key_paths: tuple[Path, ...],
    path: Path | None,
    tiles: Path | None,
    head: str | None,
    signatures: bool,
    as_json: bool,
) -> None:
    """Check that no row of the record was changed, taken out, added or swapped, and that keys and teams are as the log says; name
    the first that is not.

    Works on a running node's file. Exit code 0: all of it holds; 1: a row does not; 2: it cannot be checked. Keep the head that
    it shows somewhere else: only that tells when the last rows, and all that counts them, were cut off together.
    """
    if head is not None and (start or end):
        raise Unusable("--head is compared with the whole log; leave --from and --to out")
    if tiles is not None:
        if start or end or path or head or signatures:
            raise Unusable("--tiles checks the whole of a folder: leave --from, --to, --file, --head and --signatures out")
        _verify_folder(tiles, trusted_keys(key_paths), as_json)
        return
    kept = None if head is None else _head(head)
    try:
        with record(path) as connection:
            first, last = rows_between(connection, start, end)
            proofs = NodeProofs(trusted_keys(key_paths))
            report = verify_log(
                connection, proofs, first_n=first, last_n=last, head=kept, each_signature=signatures, progress=_progress
            )
    except FreeholdError as error:
        raise Unusable(error.message) from error
    if as_json:
        click.echo(json.dumps(_document(report), indent=2))
    else:
        _tell(report)
    sys.exit(0 if report.broken is None else 1)


@click.command()
@click.option("--kind", help="Only rows of this kind: exchange, placement, policy_loaded, key_created, …")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many, newest first.")
@record_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
def show(kind: str | None, limit: int, path: Path | None, as_json: bool) -> None:
    """Show the log's last rows."""
    query = "SELECT * FROM audit WHERE ? IS NULL OR kind = ? ORDER BY n DESC LIMIT ?"
    with record(path) as connection:
        rows = connection.execute(query, (kind, kind, limit)).fetchall()
        if not rows:
            _tell_kinds(connection, kind)
    if as_json:
        click.echo(json.dumps([_shown(row) for row in rows], indent=2))
        return
    table = Rows("n", "time", "kind", "exchange", "facts", box=None, pad_edge=False)
    for row in rows:
        facts = row["facts"] or ("purged" if row["ledger_seq"] is None else f"ledger row {row['ledger_seq']}")
        table.add_row(str(row["n"]), time_text(row["at_ns"]), row["kind"], row["exchange_id"] or "", facts)
    print_table(table)


@click.command()
@click.option("--from", "start", metavar="ROW", help=f"Where to start. {RANGE}")
@click.option("--to", "end", metavar="ROW", help=f"Where to stop. {RANGE}")
@click.option("--kind", help="Only rows of this kind.")
@record_option
def export(start: str | None, end: str | None, kind: str | None, path: Path | None) -> None:
    """Write the log as JSON lines: every exchange with its findings, every decision with its facts. No content is in it."""
    with record(path) as connection:
        first, last = rows_between(connection, start, end)
        row = None
        for row in connection.execute(_EXPORTED, (first, _NO_END if last is None else last, kind, kind)):
            click.echo(json.dumps(_exported(connection, row), ensure_ascii=False))
        if row is None:
            _tell_kinds(connection, kind)


def _tell_kinds(connection: Connection, kind: str | None) -> None:
    """Why nothing is shown: a kind may be misspelt."""
    kinds = [row["kind"] for row in connection.execute("SELECT DISTINCT kind FROM audit ORDER BY kind")]
    if kind is not None and kind not in kinds:
        click.echo(f"The log has no row of kind {kind!r}; it has: {', '.join(kinds) or 'none'}.", err=True)


def _head(text: str) -> Head:
    n, _, link = text.partition(":")
    try:
        return Head(n=int(n), link=bytes.fromhex(link))
    except ValueError as exc:
        raise Unusable(f"{text[:100]!r} is no head; it looks like 1234:5f2a… as 'freehold log verify' shows it") from exc


def _verify_folder(folder: Path, keys: TrustedKeys, as_json: bool) -> None:
    if not (folder / CHECKPOINT).is_file():
        raise Unusable(f"{folder} holds no {CHECKPOINT}; 'freehold log publish' makes such a folder")
    try:
        head = verify_tiles(read_below(folder), keys, Chain().take)
    except (VerificationError, MalformedArtefact, DeviceError) as error:
        tell_failed(f"The log in {folder} does not hold", error, as_json=as_json)
    if as_json:
        click.echo(json.dumps({"holds": True, "log": head.origin, "rows": head.size}))
    else:
        click.echo(f"The log in {folder} holds: {head.size} rows of {head.origin}, as its node signed them.")


def _progress(rows: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{rows} rows", nl=False, err=True)


def _document(report: LogReport) -> dict[str, Any]:
    return {
        "holds": report.broken is None,
        "broken": None if report.broken is None else asdict(report.broken),
        "head": None if report.head is None else str(report.head),
        "first_row": report.first_n,
        "rows": report.rows,
        "exchanges": report.exchanges,
        "purged": report.purged,
        "exchanges_before_the_log": report.before_log,
        "sealed_through": report.sealed_through,
        "tree_rows": report.tree_size,
        "checkpoints": report.checkpoints,
        "holders": None if report.holders is None else asdict(report.holders),
    }


def _tell(report: LogReport) -> None:
    if report.broken is not None:
        broken = report.broken
        where = f"row {broken.n} of the log" if broken.n is not None else f"row {broken.ledger_seq} of the ledger"
        where = broken.holder or where
        whose = f", exchange {broken.exchange_id}" if broken.exchange_id else ""
        click.echo(f"The log does not hold. First broken: {where}{whose}: {broken.what}: {broken.detail}.", err=True)
        return
    click.echo(
        f"The log holds: {report.rows} rows, {report.exchanges} exchanges; nothing was changed, taken out, added or swapped."
    )
    if report.before_log:
        click.echo(f"  before the log   {report.before_log} exchanges, each held by its receipt")
    if report.purged:
        click.echo(f"  purged           {report.purged} rows: their digests hold, their facts are gone as the log says")
    for line in _holder_lines(report):
        click.echo(line)
    if report.tree_size is not None:
        click.echo(f"  tree             over {report.tree_size} rows, checkpoints: {report.checkpoints}, all of these rows")
    if report.head is not None:
        click.echo(f"  head             {report.head}")


def _holder_lines(report: LogReport) -> Iterator[str]:
    if (held := report.holders) is None:
        yield "  keys and teams   not compared: only the whole log tells how they came about"
        return
    yield f"  keys and teams   keys: {held.keys}, teams: {held.teams}, all as the log says"
    if held.older_keys or held.older_teams:
        older = f"keys: {held.older_keys}, teams: {held.older_teams}"
        yield f"  not vouched for  {older}, older than the log, which has no row of them"


def _shown(row: Row) -> dict[str, Any]:
    return {
        "n": row["n"],
        "at": time_text(row["at_ns"]),
        "kind": row["kind"],
        "exchange_id": row["exchange_id"],
        "facts": None if row["facts"] is None else json.loads(row["facts"]),
        "link": row["link"].hex(),
    }


def _exported(connection: Connection, row: Row) -> dict[str, Any]:
    if row["seq"] is None:
        return _shown(row)
    own = ("n", "at_ns", "kind", "exchange_id", "facts", "link", "seq")
    exchange = {name: row[name] for name in row.keys() if name not in own}  # noqa: SIM118 - sqlite3.Row
    findings = [dict(finding) for finding in connection.execute(_FINDINGS, (row["seq"],))]
    for finding in findings:
        del finding["ledger_seq"], finding["n"]
    return _shown(row) | {"facts": exchange | {"findings": findings}}
