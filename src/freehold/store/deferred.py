"""Exchanges that could wait, out of the ledger: when each had its turn, and what it took."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from freehold.core.deferral import Turn
from freehold.core.exchange import KeyId
from freehold.store.config import StoreConfig
from freehold.store.database import connected, open_reader

_DEFERRED = """
    SELECT received_at_ns, key_id, model, turn, energy_j FROM ledger WHERE turn IS NOT NULL AND received_at_ns >= ? ORDER BY seq
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    received_at_ns: int
    key_id: KeyId
    model: str
    turn: Turn
    energy_j: float | None


def deferred(path: Path, since_ns: int, config: StoreConfig | None = None) -> Iterator[Deferred]:
    """Oldest first. Raises DeviceError where the record cannot be read."""
    timeout_s = (config or StoreConfig()).busy_timeout_s
    with connected(open_reader, path, timeout_s) as connection:
        for row in connection.execute(_DEFERRED, (since_ns,)):
            yield Deferred(
                received_at_ns=row["received_at_ns"],
                key_id=KeyId(row["key_id"]),
                model=row["model"],
                turn=Turn(**orjson.loads(row["turn"])),
                energy_j=row["energy_j"],
            )
