"""The ledger added up by day, key, team, provider and model, and the log's rows that belong beside it: `core.totals`.

Sums are of what is known; `known_*` and the other counts say how much that is of all.
"""

from collections.abc import Iterator
from pathlib import Path
from sqlite3 import Row

import orjson

from freehold.core.limits import DAY_NS
from freehold.core.measurement import NOTHING_RAN
from freehold.core.totals import DayTotal, LogRow
from freehold.store.config import StoreConfig
from freehold.store.database import connected, open_reader

_TOTALS = f"""
    SELECT received_at_ns / {DAY_NS} AS day, key_id, team, provider, model, model_id, count(*) AS requests,
        coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
        sum(energy_source = '{NOTHING_RAN.source}') AS refused_requests, count(energy_j) AS known_requests,
        coalesce(sum(CASE WHEN energy_j IS NOT NULL THEN coalesce(input_tokens, 0) + coalesce(output_tokens, 0) END), 0)
            AS known_tokens,
        total(energy_j) AS energy_j,
        coalesce(group_concat(DISTINCT CASE WHEN energy_j IS NOT NULL THEN energy_grade END), '') AS grades,
        total(coalesce(energy_low_j, energy_j)) AS low_j, total(coalesce(energy_high_j, energy_j)) AS high_j,
        total(coalesce(energy_by_tokens_j, energy_j)) AS by_tokens_j, total(coalesce(energy_by_time_j, energy_j)) AS by_time_j,
        coalesce(sum(cost_microusd), 0) AS cost_microusd,
        sum(cost_microusd IS NULL AND provider IS NOT NULL) AS unknown_costs,
        count(electricity_microusd) AS electricity_requests, total(electricity_microusd) AS electricity_microusd,
        count(carbon_g) AS carbon_requests,
        coalesce(sum(CASE WHEN carbon_g IS NOT NULL THEN output_tokens END), 0) AS carbon_output_tokens,
        total(carbon_g) AS carbon_g,
        total(coalesce(carbon_low_g, carbon_g)) AS carbon_low_g, total(coalesce(carbon_high_g, carbon_g)) AS carbon_high_g,
        count(embodied_g) AS embodied_requests, total(embodied_g) AS embodied_g,
        count(water_l) AS water_requests, total(water_l) AS water_l
    FROM ledger WHERE received_at_ns >= ? AND received_at_ns < ?
    GROUP BY day, key_id, team, provider, model, model_id ORDER BY day, key_id, team, provider, model, model_id
"""  # noqa: S608 - our constants
_ROWS = "SELECT n, at_ns, facts FROM audit WHERE kind = ? AND at_ns >= ? AND at_ns < ? AND facts IS NOT NULL ORDER BY n"


class RecordedTotals:
    """Raises DeviceError where the record cannot be read. Times are Unix nanoseconds, the end not included."""

    def __init__(self, path: Path, config: StoreConfig | None = None) -> None:
        self._path = path
        self._busy_timeout_s = (config or StoreConfig()).busy_timeout_s

    def between(self, start_ns: int, end_ns: int) -> list[DayTotal]:
        return [DayTotal(**dict(row)) for row in self._rows(_TOTALS, (start_ns, end_ns))]

    def log_rows(self, kind: str, start_ns: int, end_ns: int) -> list[LogRow]:
        """Decisions of one kind with their facts, oldest first."""
        rows = self._rows(_ROWS, (kind, start_ns, end_ns))
        return [LogRow(n=row["n"], at_ns=row["at_ns"], facts=orjson.loads(row["facts"])) for row in rows]

    def _rows(self, query: str, parameters: tuple[object, ...]) -> Iterator[Row]:
        with connected(open_reader, self._path, self._busy_timeout_s) as connection:
            yield from connection.execute(query, parameters)
