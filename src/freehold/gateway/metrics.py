"""Prometheus metrics of the gateway, in base units. No content.

Labels have few values: a model nobody serves is "unknown", and of words that others choose (rules of a policy that is written
anew again and again, kinds of alerts) the first some hundred are told apart, the rest are "other".
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from freehold.core.batches import ENDED, Batch, BatchStatus
from freehold.core.deferral import NOTHING_SAVED, Turn
from freehold.core.findings import Action
from freehold.core.ledger import LedgerEntry
from freehold.core.measurement import NOTHING_RAN
from freehold.core.ports import EngineLoad, LogState, Placement, Recorder, Upstream, UpstreamStatus
from freehold.gateway.account import UNKNOWN_MODEL
from freehold.gateway.meter_metrics import MeterMetrics, kinds

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_TTFT_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_DURATION_BUCKETS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_CIRCUITS = ("closed", "open", "half_open")
OTHER = "other"
_TOKEN_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Bounded:
    """The words of one label: the first so many as they are, any later one as "other"."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def __call__(self, word: str) -> str:
        if word in self._known:
            return word
        if len(self._known) >= self._limit:
            return OTHER
        self._known.add(word)
        return word


_Metric = TypeVar("_Metric", Counter, Histogram)


def _children(metric: _Metric) -> Callable[..., _Metric]:
    """The metric's children by their labels: as its `labels`, which checks and locks each time and so costs half of a count."""
    return cache(metric.labels)


class Metrics:
    def __init__(self) -> None:
        self._rule = Bounded(2000)  # as many rules as a policy may well have, of its own and ours
        self._kind = Bounded(100)
        self._registry = registry = CollectorRegistry()
        counter, gauge, histogram = kinds(registry)
        self._exchanges = _children(counter("freehold_exchanges", "Exchanges by outcome.", ["model", "status"]))
        self._refused = counter("freehold_refused", "Requests refused before they became exchanges.", ["code"])
        self._tokens = _children(counter("freehold_tokens", "Tokens, where counted.", ["model", "direction"]))
        self._findings = counter("freehold_findings", "The guard's findings.", ["rule", "action", "mode", "direction"])
        self._ttft = _children(
            histogram("freehold_time_to_first_token_seconds", "Request to first text.", ["model"], buckets=_TTFT_BUCKETS_S)
        )
        self._between = _children(
            histogram(
                "freehold_inter_token_seconds", "Mean time between deltas of an answer.", ["model"], buckets=_TOKEN_BUCKETS_S
            )
        )
        self._meter = MeterMetrics(registry)
        self._graded = _children(counter("freehold_energy_exchanges", "Exchanges by how their energy is known.", ["grade"]))
        self._record_failures = counter("freehold_record_failures", "Records that could not be written.")
        self.active = gauge("freehold_active_exchanges", "Exchanges under way.")
        self._waiting = gauge("freehold_waiting_exchanges", "Exchanges that wait for their turn.")
        self._upstream_ready = gauge("freehold_upstream_ready", "1 if an upstream takes requests.", ["upstream"])
        self._record_ready = gauge("freehold_record_ready", "1 if records can be written.")
        self._engine_requests = gauge("freehold_engine_requests", "Requests in our engine.", ["state"])
        self._engine_pages = gauge("freehold_engine_kv_pages", "Pages of the KV cache.", ["state"])
        self._engine_rate = gauge(
            "freehold_engine_tokens_per_second", "Tokens our engine computes, over a second.", ["direction"]
        )
        self._engine_spared = gauge(
            "freehold_engine_spared_tokens",
            "Tokens since our engine's start: of prompts, found computed; drafted ahead of answers; drafts that were right.",
            ["kind"],
        )
        self._engine_drafting = gauge(
            "freehold_engine_draft_model_seconds", "What a draft model has computed since our engine's start."
        )
        self._engine_token = gauge(
            "freehold_engine_token_seconds",
            "Time of one token of one answer in our engine, as measured of late and as predicted before loading.",
            ["kind"],
        )
        self._count_decisions(registry)

    def _count_decisions(self, registry: CollectorRegistry) -> None:
        """What the node decided about requests, beside answering them."""
        counter, gauge, histogram = kinds(registry)
        self._duration = _children(
            histogram(
                "freehold_exchange_duration_seconds", "Request to record.", ["dialect", "status"], buckets=_DURATION_BUCKETS_S
            )
        )
        self._cost = counter("freehold_cost_usd", "What exchanges cost, where it is known.", ["model"])
        self._tokenised = counter("freehold_values_tokenised", "Values replaced by tokens that are turned back.")
        self._tries = _children(
            counter("freehold_upstream_tries", "Tries of upstreams by how they ended.", ["upstream", "outcome"])
        )
        self._circuit = gauge("freehold_upstream_circuit", "1 for the state an upstream's circuit is in.", ["upstream", "state"])
        self._not_admitted = counter("freehold_admission_refused", "Requests that a key's or team's limits refused.", ["reason"])
        self._placements = counter("freehold_placements", "Decisions on where an exchange may be answered.", ["outcome"])
        self._rejections = counter(
            "freehold_placement_rejections", "Upstreams that were ruled out, by reason.", ["upstream", "reason"]
        )
        self._policy_ready = gauge("freehold_policy_ready", "1 if the policy file in place is in force.")
        self._policy_loads = counter("freehold_policy_loads", "Policy files read, by what came of it.", ["outcome"])
        self._approvals = counter("freehold_approvals", "Held tool calls, by what became of them.", ["outcome"])
        self._approvals_waiting = gauge("freehold_approvals_waiting", "Tool calls that wait for a person.")
        self._log_rows = gauge("freehold_log_signed_rows", "Rows that the last signed tree head is over.")
        self._log_ready = gauge("freehold_log_ready", "Whether the log's tree is signed, and each witness has cosigned.", ["of"])
        self._witnessed = counter("freehold_witness_requests", "Witnesses asked, by what came of it.", ["witness", "outcome"])
        self._audit_runs = counter(
            "freehold_model_audit_runs", "Runs of model audits, by what came of them.", ["audit", "outcome"]
        )
        self._audit_evidence = gauge(
            "freehold_model_audit_e_value", "Evidence of drift that an audit has gathered.", ["audit", "test"]
        )
        self._batches = gauge("freehold_batches", "Batches that are not over.", ["status"])
        self._batch_lines_left = gauge("freehold_batch_lines_left", "Lines of batches without an answer.")
        self._batch_lines = counter("freehold_batch_lines", "Lines of batches, by what came of them.", ["outcome"])
        self._deferred = counter("freehold_deferred_exchanges", "Exchanges that could wait, by whether there was time.", ["turn"])
        self._spared = gauge("freehold_spared_carbon_grams", "What waiting spared since the start; below 0 where it cost some.")
        self._alerts = counter("freehold_alerts", "Alerts by what became of them.", ["kind", "outcome"])

    def count(self, entry: LedgerEntry, *, between_s: float | None, is_served: bool) -> None:
        """Count one exchange that is over."""
        model = entry.model if is_served else UNKNOWN_MODEL
        self._exchanges(model, entry.status).inc()
        if entry.input_tokens is not None:
            self._tokens(model, "input").inc(entry.input_tokens)
        if entry.output_tokens is not None:
            self._tokens(model, "output").inc(entry.output_tokens)
        if entry.ttft_ms is not None:
            self._ttft(model).observe(entry.ttft_ms / 1e3)
        if between_s is not None:
            self._between(model).observe(between_s)
        self._meter.count(entry)
        self._graded(entry.energy.grade if entry.energy != NOTHING_RAN else NOTHING_RAN.source).inc()
        self._duration(entry.dialect, entry.status).observe(entry.duration_ms / 1e3)
        if entry.cost_microusd is not None:
            self._cost.labels(model).inc(entry.cost_microusd / 1e6)
        if entry.turn is not None:
            self._count_turn(entry.turn, entry.energy.energy_j)
        for finding in entry.findings:
            self._findings.labels(self._rule(finding.rule), finding.action, finding.mode, finding.direction).inc()
            if finding.enforced is Action.TOKENISE:
                self._tokenised.inc()

    def _count_turn(self, turn: Turn, energy_j: float | None) -> None:
        self._deferred.labels("late" if turn.is_late else "in_time").inc()
        self._spared.inc(NOTHING_SAVED.plus(turn, energy_j).carbon_spared_g)

    @contextlib.contextmanager
    def waits(self) -> Iterator[None]:
        """An exchange waits for its turn: meanwhile it is not under way."""
        self.active.dec()
        self._waiting.inc()
        try:
            yield
        finally:
            self._waiting.dec()
            self.active.inc()

    def count_refused(self, code: str) -> None:
        self._refused.labels(code).inc()

    def count_record_failure(self) -> None:
        self._record_failures.inc()

    def count_try(self, upstream: str, outcome: str) -> None:
        self._tries(upstream, outcome).inc()

    def count_not_admitted(self, reason: str) -> None:
        self._not_admitted.labels(reason).inc()

    def count_placement(self, placement: Placement) -> None:
        self._placements.labels("allowed" if placement.allowed else "denied").inc()
        for rejection in placement.rejected:
            for reason in rejection.reasons:
                self._rejections.labels(rejection.upstream, reason).inc()

    def count_policy_load(self, *, accepted: bool) -> None:
        self._policy_loads.labels("accepted" if accepted else "rejected").inc()

    def count_approval(self, outcome: str) -> None:
        self._approvals.labels(outcome).inc()

    def count_witnessed(self, witness: str, outcome: str) -> None:
        self._witnessed.labels(witness, outcome).inc()

    def note_model_audit(self, audit: str, outcome: str, e_values: Mapping[str, float]) -> None:
        """What a run came to; without an outcome, what earlier ones have left."""
        if outcome:
            self._audit_runs.labels(audit, outcome).inc()
        for test, e_value in e_values.items():
            self._audit_evidence.labels(audit, test).set(e_value)

    def count_batch_lines(self, outcome: str, count: int = 1) -> None:
        self._batch_lines.labels(outcome).inc(count)

    def show_batches(self, batches: Iterable[Batch]) -> None:
        """Those that are not over."""
        batches = list(batches)
        for status in BatchStatus:
            if status not in ENDED:
                self._batches.labels(status).set(sum(batch.status is status for batch in batches))
        self._batch_lines_left.set(sum(batch.left for batch in batches))

    def count_alert(self, kind: str, outcome: str) -> None:
        self._alerts.labels(self._kind(kind), outcome).inc()

    def expose(
        self,
        upstreams: Sequence[Upstream],
        recorder: Recorder,
        load: EngineLoad | None = None,
        *,
        circuits: Mapping[str, str] | None = None,
        policy: UpstreamStatus | None = None,
        waiting_approvals: int = 0,
        log: LogState | None = None,
    ) -> bytes:
        """The page Prometheus reads. `load` is None where there is no engine; `circuits` has each upstream's state by name."""
        self._meter.observe(load.energy if load is not None else None)
        if load is not None:
            self._engine_requests.labels("running").set(load.running)
            self._engine_requests.labels("waiting").set(load.waiting)
            self._engine_pages.labels("used").set(load.pages - load.free_pages)
            self._engine_pages.labels("free").set(load.free_pages)
            self._engine_rate.labels("input").set(load.input_tokens_per_s)
            self._engine_rate.labels("output").set(load.output_tokens_per_s)
            self._engine_spared.labels("cached").set(load.cached_tokens)
            self._engine_spared.labels("drafted").set(load.drafted_tokens)
            self._engine_spared.labels("accepted").set(load.accepted_tokens)
            self._engine_drafting.set(load.draft_model_s)
            for kind, token_s in (("measured", load.token_s), ("predicted", load.predicted_token_s)):
                if token_s is not None:  # what is not known is left out
                    self._engine_token.labels(kind).set(token_s)
        for upstream in upstreams:
            self._upstream_ready.labels(upstream.name).set(upstream.status().ready)
        for name, state in (circuits or {}).items():
            for known in _CIRCUITS:
                self._circuit.labels(name, known).set(state == known)
        if policy is not None:
            self._policy_ready.set(policy.ready)
        if log is not None:
            self._log_rows.set(log.size() or 0)
            for name, status in log.status().items():
                self._log_ready.labels(name).set(status.ready)
        self._approvals_waiting.set(waiting_approvals)
        self._record_ready.set(recorder.status().ready)
        return generate_latest(self._registry)
