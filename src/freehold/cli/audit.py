"""`freehold log`: the tamper-evident log of exchanges and decisions; checked, shown, exported, offline or beside a running node.

Exit codes of `verify`: 0 all of it holds, 1 a row is not as it was written, 2 what was given cannot be used.
"""

import base64
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from sqlite3 import Connection, Row
from typing import Any

import click
import msgspec
from rich.table import Table

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.cli.terminal import print_table
from freehold.core.errors import FreeholdError, MalformedArtefact, VerificationError
from freehold.core.exchange import KeyId
from freehold.provenance import receipt as receipts
from freehold.provenance.envelope import open_envelope
from freehold.provenance.keys import PUBLIC_NAME, TrustedKeys, read_public, trusted
from freehold.provenance.local import key_directory
from freehold.store.audit import Head
from freehold.store.database import open_reader, translated
from freehold.store.exchanges import SignedReceipt
from freehold.store.verify import LogReport, verify_log

_RANGE = "A row's number, a day such as 2026-11-23, or a time such as 2026-11-23T14:00 (UTC)."
_EXPORTED = """
    SELECT audit.n, audit.at_ns, audit.kind, audit.exchange_id, audit.facts, audit.link, ledger.* FROM audit
    LEFT JOIN ledger ON ledger.seq = audit.ledger_seq WHERE audit.n BETWEEN ? AND ? AND (? IS NULL OR audit.kind = ?)
    ORDER BY audit.n
"""
_FINDINGS = "SELECT * FROM finding WHERE ledger_seq = ? ORDER BY n"
_NO_END = (1 << 63) - 1
_DAY_CHARS = len("2026-11-23")


@click.group()
def log() -> None:
    """Check, show and export the tamper-evident log."""


@log.command()
@click.option("--from", "start", metavar="ROW", help=f"Where to start. {_RANGE}")
@click.option("--to", "end", metavar="ROW", help=f"Where to stop: at the next seal. {_RANGE}")
@click.option(
    "--key", "key_paths", multiple=True, type=click.Path(path_type=Path), help="A node.pub to trust; default: this machine's."
)
@click.option("--file", "path", type=click.Path(path_type=Path), help="The record; default: this node's.")
@click.option("--head", metavar="N:LINK", help="A head that an earlier check showed: the log must still hold it.")
@click.option("--signatures", is_flag=True, help="Check each signature by itself, not only the last seal over them all. Slow.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def verify(
    start: str | None,
    end: str | None,
    key_paths: tuple[Path, ...],
    path: Path | None,
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
    kept = None if head is None else _head(head)
    try:
        with _record(path) as connection:
            first, last = _range(connection, start, end)
            proofs = NodeProofs(_keys(key_paths))
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


@log.command()
@click.option("--kind", help="Only rows of this kind: exchange, placement, policy_loaded, key_created, …")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many, newest first.")
@click.option("--file", "path", type=click.Path(path_type=Path), help="The record; default: this node's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for a program.")
def show(kind: str | None, limit: int, path: Path | None, as_json: bool) -> None:
    """Show the log's last rows."""
    query = "SELECT * FROM audit WHERE ? IS NULL OR kind = ? ORDER BY n DESC LIMIT ?"
    with _record(path) as connection:
        rows = connection.execute(query, (kind, kind, limit)).fetchall()
    if as_json:
        click.echo(json.dumps([_shown(row) for row in rows], indent=2))
        return
    table = Table("n", "time", "kind", "exchange", "facts", box=None, pad_edge=False)
    for row in rows:
        facts = row["facts"] or ("purged" if row["ledger_seq"] is None else f"ledger row {row['ledger_seq']}")
        table.add_row(str(row["n"]), _time(row["at_ns"]), row["kind"], row["exchange_id"] or "", facts)
    print_table(table)


@log.command()
@click.option("--from", "start", metavar="ROW", help=f"Where to start. {_RANGE}")
@click.option("--to", "end", metavar="ROW", help=f"Where to stop. {_RANGE}")
@click.option("--kind", help="Only rows of this kind.")
@click.option("--file", "path", type=click.Path(path_type=Path), help="The record; default: this node's.")
def export(start: str | None, end: str | None, kind: str | None, path: Path | None) -> None:
    """Write the log as JSON lines: every exchange with its findings, every decision with its facts. No content is in it."""
    with _record(path) as connection:
        first, last = _range(connection, start, end)
        for row in connection.execute(_EXPORTED, (first, _NO_END if last is None else last, kind, kind)):
            click.echo(json.dumps(_exported(connection, row), ensure_ascii=False))


class NodeProofs:
    """Implements `store.verify.Proofs` with what provenance knows of receipts and keys."""

    def __init__(self, keys: TrustedKeys) -> None:
        self._keys = keys

    def read(self, envelope: bytes) -> SignedReceipt:
        try:
            payload = base64.b64decode(msgspec.json.decode(envelope, type=_Payload).payload, validate=True)
        except ValueError as exc:  # msgspec's errors and binascii's are
            raise MalformedArtefact(f"the receipt is no envelope: {exc}") from exc
        claims, previous = receipts.decode(payload)
        return SignedReceipt(digest=sha256(payload).hexdigest(), previous=previous, claims=claims)

    def check(self, envelope: bytes) -> None:
        open_envelope(envelope, receipts.STATEMENT_MEDIA_TYPE, self._keys)

    def check_seal(self, key_id: KeyId, seal: bytes, message: bytes) -> None:
        key = self._keys.get(key_id)
        if key is None:
            raise VerificationError(f"it is by the key {key_id}, which is not trusted here; name its node.pub with --key")
        if not key.holds(seal, message):
            raise VerificationError(f"the signature by {key_id} does not hold")


class _Payload(msgspec.Struct):
    payload: str


@contextmanager
def _record(path: Path | None) -> Iterator[Connection]:
    store = configuration.load().store
    path = path or configuration.home() / store.file
    with closing(open_reader(path, store.busy_timeout_s)) as connection, translated(path):
        yield connection


def _keys(paths: tuple[Path, ...]) -> TrustedKeys:
    paths = paths or (key_directory(configuration.home()) / PUBLIC_NAME,)
    for path in paths:
        if not path.exists():
            raise Unusable(f"there is no public key at {path}; name the {PUBLIC_NAME} of the node that signed with --key")
    return trusted(*map(read_public, paths))


def _head(text: str) -> Head:
    n, _, link = text.partition(":")
    try:
        return Head(n=int(n), link=bytes.fromhex(link))
    except ValueError as exc:
        raise Unusable(f"{text[:100]!r} is no head; it looks like 1234:5f2a… as 'freehold log verify' shows it") from exc


def _range(connection: Connection, start: str | None, end: str | None) -> tuple[int, int | None]:
    first = 1 if start is None else _row_at(connection, start, "SELECT min(n) FROM audit WHERE at_ns >= ?", 0)
    last = None if end is None else _row_at(connection, end, "SELECT max(n) FROM audit WHERE at_ns < ?", 86_400)
    if last is not None and last < max(first, 1):
        raise Unusable(f"no row lies from {start or 1} to {end}: nothing would be looked at; see: freehold log show")
    return max(first, 1), last


def _row_at(connection: Connection, text: str, query: str, add_s: int) -> int:
    """A row's number as it is, or of a day the first row in it, or the last."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        day = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Unusable(f"{text[:60]!r} is neither a row's number nor a day such as 2026-11-23") from exc
    at_s = int(day.replace(tzinfo=day.tzinfo or UTC).timestamp()) + (add_s if len(text) == _DAY_CHARS else 0)
    found = connection.execute(query, (at_s * 1_000_000_000,)).fetchone()[0]
    if found is None:
        raise Unusable(f"the log has no row {'before the end of' if add_s else 'since'} {text}; see: freehold log show")
    return int(found)


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
        "at": _time(row["at_ns"]),
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


def _time(unix_ns: int) -> str:
    return datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
