"""When requests came and how long they were, of the busiest hour of a period: what capacity must be enough for."""

from pathlib import Path

from freehold.core.errors import InvalidRequest
from freehold.store.config import StoreConfig
from freehold.store.database import connected, open_reader

_HOUR_NS = 3_600 * 1_000_000_000
MOST_REQUESTS = 200_000
# What an upstream answered, and its tokens are known. Cached tokens are tokens: another machine has no such cache.
_ANSWERED = (
    "provider IS NOT NULL AND provider IS NOT ? AND input_tokens IS NOT NULL AND output_tokens > 0 "
    "AND received_at_ns >= ? AND received_at_ns < ?"
)
_BUSIEST = f"""
    SELECT received_at_ns / {_HOUR_NS} AS hour FROM ledger WHERE {_ANSWERED}
    GROUP BY hour ORDER BY sum(input_tokens + output_tokens) DESC, hour LIMIT 1
"""  # noqa: S608 - our constants
_REQUESTS = f"""
    SELECT received_at_ns, input_tokens, output_tokens FROM ledger WHERE {_ANSWERED}
    ORDER BY received_at_ns LIMIT {MOST_REQUESTS + 1}
"""  # noqa: S608 - our constants


class RecordedTraffic:
    """Raises DeviceError where the record cannot be read."""

    def __init__(self, path: Path, config: StoreConfig | None = None) -> None:
        self._path = path
        self._busy_timeout_s = (config or StoreConfig()).busy_timeout_s

    def busiest_hour(self, start_ns: int, end_ns: int, without: str | None = None) -> list[tuple[int, int, int]]:
        """(Unix nanoseconds, input tokens, output tokens) of all but the upstream `without`, oldest first, before the end."""
        with connected(open_reader, self._path, self._busy_timeout_s) as connection:
            hour = connection.execute(_BUSIEST, (without, start_ns, end_ns)).fetchone()
            if hour is None:
                return []
            begin_ns = max(start_ns, hour["hour"] * _HOUR_NS)
            rows = connection.execute(_REQUESTS, (without, begin_ns, min(end_ns, (hour["hour"] + 1) * _HOUR_NS))).fetchall()
        if len(rows) > MOST_REQUESTS:
            raise InvalidRequest(
                f"the busiest hour has more than {MOST_REQUESTS:,} requests; choose a quieter period", param="from"
            )
        return [(row["received_at_ns"], row["input_tokens"], row["output_tokens"]) for row in rows]
