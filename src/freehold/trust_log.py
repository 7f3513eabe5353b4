"""The trust store and its record: every change is a row of the log, and what is on the disk is compared with the last of them."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from freehold.core.errors import ConfigError, VerificationError
from freehold.provenance.keys import PUBLIC_NAME, key_directory, node_key, read_public
from freehold.provenance.trust import TRUST_NAME, TrustStore, read_trust, write_trust
from freehold.store import audit
from freehold.store.config import StoreConfig
from freehold.store.database import connected, open_reader, open_writer, transaction

TRUST_CHANGED = "trust_changed"
_LAST = f"SELECT facts FROM audit WHERE kind = '{TRUST_CHANGED}' ORDER BY n DESC LIMIT 1"  # noqa: S608 - our constant


class _Facts(msgspec.Struct):
    digest: str


def find_trust(home: Path, store: StoreConfig) -> TrustStore:
    """What this node trusts. Raises VerificationError where the file is not the one that the log knows, ConfigError for a home
    without a node's key."""
    directory, record = key_directory(home), home / store.file
    if not (directory / PUBLIC_NAME).exists():
        raise ConfigError(f"there is no node's key in {directory}, and so nobody is trusted: add a key, or name one with --key")
    found = read_trust(directory, read_public(directory / PUBLIC_NAME))
    if record.exists():
        with connected(open_reader, record, store.busy_timeout_s) as connection:
            _compare(found, connection, directory)
    return found


def change_trust(
    home: Path, store: StoreConfig, change: Callable[[TrustStore], TrustStore], facts: dict[str, object]
) -> TrustStore:
    """The store as `change` leaves it: row and file stand or fall together, but for a power cut between them, which is told."""
    directory, record = key_directory(home), home / store.file
    key = node_key(directory)
    with connected(open_writer, record, store.busy_timeout_s) as connection, transaction(connection):
        before = read_trust(directory, key.public)
        _compare(before, connection, directory)
        after = change(before)
        row = audit.decision(TRUST_CHANGED, {**facts, "serial": after.serial, "digest": after.digest}, time.time_ns())
        audit.append(connection, [row], key)
        write_trust(directory, after, key)
    return after


def _compare(found: TrustStore, connection: sqlite3.Connection, directory: Path) -> None:
    row = connection.execute(_LAST).fetchone()
    logged = found.digest if row is None else msgspec.json.decode(row["facts"], type=_Facts).digest
    if found.digest != logged:
        raise VerificationError(
            f"{directory / TRUST_NAME} is not the trust store that the log knows (last row: {logged[:16]}, here: "
            f"{found.digest[:16]}): an older one was put back, or it was removed. Put the right one back from a copy"
        )
