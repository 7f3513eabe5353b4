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
from freehold.gateway.config import GatewayConfig
from freehold.gateway.metrics import Metrics
from freehold.gateway.placement import Placer
from freehold.gateway.router import Router


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
    ledger: LedgerReader
    keys: KeyRing
    meter: Meter
    metrics: Metrics
    dashboard: ASGIApp | None = None  # mounted at /dashboard
    engine_load: EngineLoadProbe | None = None  # where this node runs an engine of its own
    monotonic_s: MonotonicClock = monotonic
    unix_ns: UnixClock = time_ns
