"""What each key has used, day by day, out of the ledger.

What is charged against a budget is the cost; where that is unknown, what was held for the exchange. An exchange that no upstream
answered cost nothing, unless its client left after one was asked: a provider may have begun by then.
"""

from pathlib import Path

from freehold.core.ledger import Status
from freehold.core.limits import DAY_NS, DayUse
from freehold.core.measurement import NOTHING_RAN
from freehold.store.config import StoreConfig
from freehold.store.database import connected, open_reader

_CHARGED = f"provider IS NOT NULL OR (status = '{Status.CANCELLED}' AND energy_source <> '{NOTHING_RAN.source}')"
_SINCE = f"""
    SELECT key_id, team, received_at_ns / {DAY_NS} AS day, count(*) AS exchanges,
        sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)) AS tokens,
        sum(coalesce(cost_microusd, CASE WHEN {_CHARGED} THEN reserved_microusd END, 0)) AS charged_microusd,
        sum(cost_microusd IS NULL AND ({_CHARGED})) AS unknown_costs,
        total(energy_j) AS energy_j,
        sum(energy_j IS NULL AND provider IS NOT NULL) AS unknown_energies
    FROM ledger WHERE received_at_ns >= ? GROUP BY key_id, team, day
"""  # noqa: S608 - our constants


class RecordedUsage:
    """Raises DeviceError where the record cannot be read."""

    def __init__(self, path: Path, config: StoreConfig | None = None) -> None:
        self._path = path
        self._busy_timeout_s = (config or StoreConfig()).busy_timeout_s

    def since(self, unix_ns: int) -> list[DayUse]:
        """What each key used on each day from then on. Blocks on the disk."""
        with connected(open_reader, self._path, self._busy_timeout_s) as connection:
            return [DayUse(**dict(row)) for row in connection.execute(_SINCE, (unix_ns,))]
