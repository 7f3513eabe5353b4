"""What the proxy is given: the other rooms' capabilities as ports, and the bounds of what it reads."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, time_ns

from freehold.core.ledger import LedgerEntry
from freehold.core.ports import Alarm, Approvals, AuditLog, Guard, MonotonicClock, Recorder, UnixClock
from freehold.gateway.mcp.pins import PinBook
from freehold.gateway.paths import Paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a message may be at most."""

    size_bytes: int
    depth: int
    values: int


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServices:
    guard: Guard
    recorder: Recorder
    audit: AuditLog
    alarm: Alarm
    approvals: Approvals
    book: PinBook
    json_depth: int = 64
    json_values: int = 65_536
    paths: Paths = Paths()  # noqa: RUF009 - it does not change
    count: Callable[[LedgerEntry], None] = lambda entry: None  # for the metrics
    monotonic_s: MonotonicClock = monotonic
    unix_ns: UnixClock = time_ns

    def bounds(self, size_bytes: int) -> Bounds:
        return Bounds(size_bytes=size_bytes, depth=self.json_depth, values=self.json_values)
