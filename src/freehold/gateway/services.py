"""What the gateway is given: the other rooms' capabilities, as ports."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, time_ns

from starlette.types import ASGIApp

from freehold.core.ports import (
    EngineLoadProbe,
    Guard,
    KeyRing,
    LedgerReader,
    Meter,
    MonotonicClock,
    Recorder,
    UnixClock,
    Upstream,
)
from freehold.gateway.config import GatewayConfig
from freehold.gateway.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    config: GatewayConfig
    upstreams: Sequence[Upstream]  # the first that answers to a model's name gets the request
    guard: Guard
    recorder: Recorder
    ledger: LedgerReader
    keys: KeyRing
    meter: Meter
    metrics: Metrics
    dashboard: ASGIApp | None = None  # mounted at /dashboard
    engine_load: EngineLoadProbe | None = None  # where this node runs an engine of its own
    monotonic_s: MonotonicClock = monotonic
    unix_ns: UnixClock = time_ns

    def find(self, model: str) -> Upstream | None:
        """Who serves a model."""
        return next((upstream for upstream in self.upstreams if model in upstream.models), None)

    def models(self) -> dict[str, Upstream]:
        """Every model and where it is served."""
        known: dict[str, Upstream] = {}
        for upstream in self.upstreams:
            for model in upstream.models:
                known.setdefault(model, upstream)
        return known
