"""Prometheus metrics of the gateway, in base units. No content; labels have few values: a model nobody serves is "unknown"."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from freehold.core.ledger import LedgerEntry
from freehold.core.ports import EngineLoad, Recorder, Upstream
from freehold.gateway.account import UNKNOWN_MODEL

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_TTFT_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TOKEN_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._exchanges = Counter("freehold_exchanges", "Exchanges by outcome.", ["model", "status"], registry=registry)
        self._refused = Counter("freehold_refused", "Requests refused before they became exchanges.", ["code"], registry=registry)
        self._tokens = Counter("freehold_tokens", "Tokens, where counted.", ["model", "direction"], registry=registry)
        self._findings = Counter(
            "freehold_findings", "The guard's findings.", ["rule", "action", "mode", "direction"], registry=registry
        )
        self._ttft = Histogram(
            "freehold_time_to_first_token_seconds",
            "Request to first text.",
            ["model"],
            buckets=_TTFT_BUCKETS_S,
            registry=registry,
        )
        self._between = Histogram(
            "freehold_inter_token_seconds",
            "Mean time between deltas of an answer.",
            ["model"],
            buckets=_TOKEN_BUCKETS_S,
            registry=registry,
        )
        self._energy = Counter("freehold_energy_joules", "Energy, where known.", ["grade"], registry=registry)
        self._graded = Counter(
            "freehold_energy_exchanges", "Exchanges by how their energy is known.", ["grade"], registry=registry
        )
        self._record_failures = Counter("freehold_record_failures", "Records that could not be written.", registry=registry)
        self.active = Gauge("freehold_active_exchanges", "Exchanges under way.", registry=registry)
        self._upstream_ready = Gauge(
            "freehold_upstream_ready", "1 if an upstream takes requests.", ["upstream"], registry=registry
        )
        self._record_ready = Gauge("freehold_record_ready", "1 if records can be written.", registry=registry)

        self._engine_requests = Gauge("freehold_engine_requests", "Requests in our engine.", ["state"], registry=registry)
        self._engine_pages = Gauge("freehold_engine_kv_pages", "Pages of the KV cache.", ["state"], registry=registry)
        self._engine_rate = Gauge(
            "freehold_engine_tokens_per_second", "Tokens our engine computes, over a second.", ["direction"], registry=registry
        )

    def count(self, entry: LedgerEntry, *, between_s: float | None, is_served: bool) -> None:
        """Count one exchange that is over."""
        model = entry.model if is_served else UNKNOWN_MODEL
        self._exchanges.labels(model, entry.status).inc()
        if entry.input_tokens is not None:
            self._tokens.labels(model, "input").inc(entry.input_tokens)
        if entry.output_tokens is not None:
            self._tokens.labels(model, "output").inc(entry.output_tokens)
        if entry.ttft_ms is not None:
            self._ttft.labels(model).observe(entry.ttft_ms / 1e3)
        if between_s is not None:
            self._between.labels(model).observe(between_s)
        if entry.energy.energy_j is not None:
            self._energy.labels(entry.energy.grade).inc(entry.energy.energy_j)
        self._graded.labels(entry.energy.grade).inc()
        for finding in entry.findings:
            self._findings.labels(finding.rule, finding.action, finding.mode, finding.direction).inc()

    def count_refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    def count_record_failure(self) -> None:
        self._record_failures.inc()

    def expose(self, upstreams: Sequence[Upstream], recorder: Recorder, load: EngineLoad | None = None) -> bytes:
        """The page Prometheus reads. `load` is None where there is no engine."""
        if load is not None:
            self._engine_requests.labels("running").set(load.running)
            self._engine_requests.labels("waiting").set(load.waiting)
            self._engine_pages.labels("used").set(load.pages - load.free_pages)
            self._engine_pages.labels("free").set(load.free_pages)
            self._engine_rate.labels("input").set(load.input_tokens_per_s)
            self._engine_rate.labels("output").set(load.output_tokens_per_s)
        for upstream in upstreams:
            self._upstream_ready.labels(upstream.name).set(upstream.status().ready)
        self._record_ready.set(recorder.status().ready)
        return generate_latest(self._registry)
