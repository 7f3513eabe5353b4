"""A gateway with fakes for all other rooms, on a real uvicorn on loopback or called as an app."""

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import openai

from freehold.core.ports import EngineLoadProbe, KeyRing, Residency, Upstream
from freehold.gateway.admission import LimitKeeper
from freehold.gateway.approvals import HeldCalls
from freehold.gateway.attempt import Route
from freehold.gateway.config import GatewayConfig, LimitsConfig, RoutingConfig
from freehold.gateway.metrics import Metrics
from freehold.gateway.placement import Placer
from freehold.gateway.prices import PriceList
from freehold.gateway.router import Router
from freehold.gateway.serve import bind, serving
from freehold.gateway.server import create_app
from freehold.gateway.services import Services
from freehold.guard.residency import Unrestricted
from tests.fakes.guard import WordGuard
from tests.fakes.keys import CLIENT_KEY, PlainKeyRing
from tests.fakes.meter import TenWattMeter
from tests.fakes.oversight import AlarmBell, InMemoryAudit
from tests.fakes.recorder import InMemoryRecorder
from tests.fakes.upstream import ScriptedUpstream


@dataclass(slots=True)
class TestNode:
    __test__ = False

    upstream: Any = field(default_factory=ScriptedUpstream)
    others: list[Upstream] = field(default_factory=list)
    config: GatewayConfig = field(default_factory=lambda: GatewayConfig(port=0, shutdown_timeout_s=2))
    guard: WordGuard = field(default_factory=WordGuard)
    recorder: InMemoryRecorder = field(default_factory=InMemoryRecorder)
    keys: KeyRing = field(default_factory=PlainKeyRing)
    routing: RoutingConfig = field(default_factory=lambda: RoutingConfig(tries=1))
    residency: Residency = field(default_factory=Unrestricted)
    audit: InMemoryAudit = field(default_factory=InMemoryAudit)
    alarm: AlarmBell = field(default_factory=AlarmBell)
    approvals: HeldCalls = field(init=False)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    dashboard: Any = None
    engine_load: EngineLoadProbe | None = None
    url: str = ""

    def __post_init__(self) -> None:
        self.approvals = HeldCalls(self.audit, self.alarm, unix_ns=time.time_ns)

    def services(self) -> Services:
        metrics, prices = Metrics(), PriceList(())
        router = Router([Route(upstream=one, has_breaker=False) for one in (self.upstream, *self.others)], self.routing)
        return Services(
            config=self.config,
            router=router,
            admission=LimitKeeper(
                prices=prices, upstreams_for=router.upstreams_for, is_metered=lambda _upstream: True, config=self.limits
            ),
            prices=prices,
            placer=Placer(self.residency, self.audit, metrics, (), time.time_ns),
            alarm=self.alarm,
            approvals=self.approvals,
            guard=self.guard,
            recorder=self.recorder,
            ledger=self.recorder,
            keys=self.keys,
            meter=TenWattMeter(),
            metrics=metrics,
            dashboard=self.dashboard,
            engine_load=self.engine_load,
        )

    def sdk(self, key: str = CLIENT_KEY) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=20)

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)


@contextlib.asynccontextmanager
async def running(node: TestNode | None = None) -> AsyncIterator[TestNode]:
    node = node or TestNode()
    async with serving(create_app(node.services()), node.config, bind(node.config, has_keys=True)) as url:
        node.url = url
        yield node
