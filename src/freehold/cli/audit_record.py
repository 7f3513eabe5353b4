"""What the commands about the log share: opening a record, the keys to trust, and which rows are meant."""

import base64
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from sqlite3 import Connection
from typing import NoReturn

import click
import msgspec

from freehold import config as configuration
from freehold.cli import Unusable
from freehold.cli.record import record_at
from freehold.core.errors import FreeholdError, MalformedArtefact, VerificationError, os_errors
from freehold.core.exchange import KeyId
from freehold.provenance import checkpoint as checkpoints
from freehold.provenance import receipt as receipts
from freehold.provenance.envelope import open_envelope
from freehold.provenance.keys import PUBLIC_NAME, TrustedKeys, key_directory, read_public, trusted
from freehold.store.database import connected, open_reader
from freehold.store.exchanges import SignedReceipt

RANGE = "A row's number, a day such as 2026-11-23, or a time such as 2026-11-23T14:00 (UTC)."
_DAY_CHARS = len("2026-11-23")

record_option = click.option("--file", "path", type=click.Path(path_type=Path), help="The record; default: this node's.")
key_option = click.option(
    "--key", "key_paths", multiple=True, type=click.Path(path_type=Path), help="A node.pub to trust; default: this machine's."
)


class NodeProofs:
    """Implements `store.verify.Proofs` with what provenance knows of receipts and keys."""

    def __init__(self, keys: TrustedKeys) -> None:
        self._keys = keys

    def read(self, envelope: bytes) -> SignedReceipt:
        payload = payload_of(envelope)
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

    def head(self, note: str) -> tuple[int, bytes]:
        found = checkpoints.verify(note, self._keys)
        return found.size, found.root


class _Payload(msgspec.Struct):
    payload: str


def payload_of(envelope: bytes | str) -> bytes:
    """Of a receipt's envelope, unchecked."""
    try:
        return base64.b64decode(msgspec.json.decode(envelope, type=_Payload).payload, validate=True)
    except ValueError as exc:  # msgspec's errors and binascii's are
        raise MalformedArtefact(f"the receipt is no envelope: {exc}") from exc


@contextmanager
def record(path: Path | None) -> Iterator[Connection]:
    store = configuration.load().store
    path = record_at(path, store)
    with connected(open_reader, path, store.busy_timeout_s) as connection:
        yield connection


def trusted_keys(paths: tuple[Path, ...]) -> TrustedKeys:
    paths = paths or (key_directory(configuration.home()) / PUBLIC_NAME,)
    for path in paths:
        if not path.exists():
            raise Unusable(f"there is no public key at {path}; name the {PUBLIC_NAME} of the node that signed with --key")
    return trusted(*map(read_public, paths))


def rows_between(connection: Connection, start: str | None, end: str | None) -> tuple[int, int | None]:
    first = 1 if start is None else _row_at(connection, start, "SELECT min(n) FROM audit WHERE at_ns >= ?", is_end=False)
    last = None if end is None else _row_at(connection, end, "SELECT max(n) FROM audit WHERE at_ns < ?", is_end=True)
    if last is not None and last < max(first, 1):
        raise Unusable(f"no row lies from {start or 1} to {end}: nothing would be looked at; see: freehold log show")
    return max(first, 1), last


def time_given(text: str | None, *, is_end: bool) -> int | None:
    """Unix nanoseconds of a day's begin (or its end) or of a time; None for a row's number."""
    if text is None or (text.isascii() and text.isdigit()):
        return None
    try:
        day = datetime.fromisoformat(text)
    except ValueError as exc:
        raise Unusable(f"{text[:60]!r} is neither a row's number nor a day such as 2026-11-23") from exc
    add_s = 86_400 if is_end and len(text) == _DAY_CHARS else 0
    return (int(day.replace(tzinfo=day.tzinfo or UTC).timestamp()) + add_s) * 1_000_000_000


def _row_at(connection: Connection, text: str, query: str, *, is_end: bool) -> int:
    """A row's number as it is, or of a day the first row in it, or the last."""
    at_ns = time_given(text, is_end=is_end)
    if at_ns is None:
        return int(text)
    found = connection.execute(query, (at_ns,)).fetchone()[0]
    if found is None:
        raise Unusable(f"the log has no row {'before the end of' if is_end else 'since'} {text}; see: freehold log show")
    return int(found)


def tell_failed(words: str, error: FreeholdError, *, as_json: bool, name: str = "holds") -> NoReturn:
    """Ends the command with the exit code 1."""
    if as_json:
        click.echo(json.dumps({name: False, "reason": error.message}))
    else:
        click.echo(f"{words}: {error.message}", err=True)
    sys.exit(1)


def read_below(folder: Path) -> Callable[[str], bytes]:
    """Files by their paths in `folder`; what it gives raises DeviceError."""

    def read(path: str) -> bytes:
        with os_errors(f"cannot read {folder / path}"):
            return (folder / path).read_bytes()

    return read
