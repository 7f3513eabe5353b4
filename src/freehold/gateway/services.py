"""What the gateway is given: the other rooms' capabilities, as ports."""

from dataclasses import dataclass
from time import monotonic, time_ns

from starlette.types import ASGIApp

from freehold.core.ports import (
    Admission,
    Alarm,
    EngineLoadProbe,
    Guard,
    KeyRing,
    LedgerReader,
    Meter,
    MonotonicClock,
    Prices,
    Recorder,
    UnixClock,
)
from freehold.gateway.approvals import HeldCalls
from freehold.gateway.batches.desk import BatchDesk
from freehold.gateway.batches.turns import Turns
from freehold.gateway.config import GatewayConfig
from freehold.gateway.keeping import Keeping
from freehold.gateway.log_routes import LogServices
from freehold.gateway.metrics import Metrics
from freehold.gateway.paths import Paths
from freehold.gateway.placement import Placer
from freehold.gateway.router import Router
from freehold.gateway.traces import NoTraces, Traces

_WHOLE_ANSWER_S = 3600.0  # beyond any sensible `answer_timeout_s`, which each upstream keeps itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    config: GatewayConfig
    router: Router
    admission: Admission
    prices: Prices
    placer: Placer
    guard: Guard
    recorder: Recorder
    alarm: Alarm
    approvals: HeldCalls
    ledger: LedgerReader
    keys: KeyRing
    meter: Meter
    metrics: Metrics
    paths: Paths = Paths()  # noqa: RUF009 - it does not change; of the folders that the node's files lie in
    keeping: Keeping = Keeping()  # noqa: RUF009 - it has no state
    traces: Traces = NoTraces()  # noqa: RUF009 - it has no state
    dashboard: ASGIApp | None = None  # mounted at /dashboard
    mcp: ASGIApp | None = None  # answers below /mcp/
    log: LogServices | None = None  # the audit log's tree and its witnesses
    turns: Turns | None = None  # when work that can wait runs
    batches: BatchDesk | None = None  # answers below /v1/files and /v1/batches
    engine_load: EngineLoadProbe | None = None  # where this node runs an engine of its own
    monotonic_s: MonotonicClock = monotonic
    unix_ns: UnixClock = time_ns

    def first_timeout_s(self, is_stream: bool) -> float:
        """How long nothing may come of an answer: the router may try several upstreams first, and one body takes its time."""
        return self.router.patience_s + (self.config.idle_timeout_s if is_stream else _WHOLE_ANSWER_S)
