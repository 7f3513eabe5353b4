"""Spans as the real SDK makes and sends them."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from freehold.core.events import ServedBy
from freehold.core.ledger import Status
from freehold.gateway.report_config import TracesConfig
from freehold.gateway.traces import Traces, make_traces
from tests.store.drafts import FINDING, MODELLED, entry

pytest.importorskip("opentelemetry.sdk", reason="needs the extra: pip install 'freehold[otel]'")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from freehold.gateway.otel import OtelTraces

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01".encode()
PLANTED = "sk-live-planted-in-a-prompt"
CONFIG = TracesConfig(endpoint="http://127.0.0.1:9/v1/traces")
ADDRESSES = {"provider": ("api.provider.example", 443)}


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traces(exporter: InMemorySpanExporter) -> Iterator[OtelTraces]:
    traces = OtelTraces(CONFIG, {}, ADDRESSES, exporter)
    yield traces
    traces.close()


def finished(traces: OtelTraces, exporter: InMemorySpanExporter) -> dict[str, Any]:
    traces.close()
    return {span.name: span for span in exporter.get_finished_spans()}


def exchange(traces: Traces, parent: bytes | None = PARENT) -> str | None:
    """One exchange from top to bottom; what the upstream was told."""
    trace = traces.begin(parent, "openai.chat", "chat")
    with trace.screen():
        pass
    with trace.upstream() as hop:
        told = hop.traceparent
        hop.served(ServedBy(provider="provider", model="vendor-large-2"))
    trace.end(replace(entry("xc_1", findings=(FINDING,), energy=MODELLED), provider="provider", model="large"))
    return told


def test_an_exchange_is_three_spans_with_the_conventions_attributes(traces: OtelTraces, exporter: InMemorySpanExporter) -> None:
    exchange(traces)
    spans = finished(traces, exporter)
    assert set(spans) == {"chat large", "screen", "chat vendor-large-2"}
    root, screen, upstream = spans["chat large"], spans["screen"], spans["chat vendor-large-2"]
    assert dict(root.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "large",
        "gen_ai.response.model": "vendor-large-2",
        "gen_ai.response.id": "xc_1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.provider.name": "provider",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.request.stream": True,
        "freehold.dialect": "openai.chat",
        "freehold.status": "completed",
        "freehold.findings": 1,
        "freehold.policy_digest": "cd" * 32,
        "freehold.time_to_first_token_ms": 8.5,
        "freehold.energy.joules": 3.5,
        "freehold.energy.grade": "modelled",
    }
    assert dict(upstream.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "provider",
        "gen_ai.response.model": "vendor-large-2",
        "server.address": "api.provider.example",
        "server.port": 443,
    }
    assert (root.kind, screen.kind, upstream.kind) == (SpanKind.SERVER, SpanKind.INTERNAL, SpanKind.CLIENT)
    assert {span.parent.span_id for span in (screen, upstream)} == {root.context.span_id}


def test_the_clients_parent_is_ours_and_the_upstream_is_told_of_its_own_span(
    traces: OtelTraces, exporter: InMemorySpanExporter
) -> None:
    told = exchange(traces)
    spans = finished(traces, exporter)
    root, upstream = spans["chat large"], spans["chat vendor-large-2"]
    assert f"{root.parent.span_id:016x}" == SPAN
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {TRACE}
    assert told == f"00-{TRACE}-{upstream.context.span_id:016x}-01"


def test_a_client_that_is_not_traced_is_not_traced_here(traces: OtelTraces, exporter: InMemorySpanExporter) -> None:
    told = exchange(traces, f"00-{TRACE}-{SPAN}-00".encode())
    assert finished(traces, exporter) == {}
    assert told is not None
    assert told.startswith(f"00-{TRACE}-")
    assert told.endswith("-00")


def test_without_a_parent_a_new_trace_begins(traces: OtelTraces, exporter: InMemorySpanExporter) -> None:
    exchange(traces, b"nonsense")
    assert finished(traces, exporter)["chat large"].parent is None


def test_a_failure_is_told_by_its_code_and_never_by_its_words(traces: OtelTraces, exporter: InMemorySpanExporter) -> None:
    trace = traces.begin(None, "openai.chat", "chat")
    with pytest.raises(ValueError, match=PLANTED), trace.screen():
        raise ValueError(PLANTED)
    failed = replace(entry("xc_1", status=Status.FAILED), error_code="upstream_timeout", provider=None, model="unknown")
    trace.end(failed)
    spans = finished(traces, exporter)
    assert spans["screen"].attributes["error.type"] == "ValueError"
    assert spans["chat unknown"].attributes["error.type"] == "upstream_timeout"
    assert spans["chat unknown"].status.status_code is StatusCode.ERROR
    assert not any(span.events for span in spans.values())
    assert PLANTED not in "".join(span.to_json() for span in spans.values())


def test_a_record_that_was_not_written_still_ends_the_span(traces: OtelTraces, exporter: InMemorySpanExporter) -> None:
    traces.begin(None, "openai.chat", "chat").end(None)
    assert finished(traces, exporter)["chat"].attributes["error.type"] == "record_not_written"


def test_what_a_provider_calls_itself_is_cut_to_a_line(traces: OtelTraces, exporter: InMemorySpanExporter) -> None:
    trace = traces.begin(None, "openai.chat", "chat")
    with trace.upstream() as hop:
        hop.served(ServedBy(provider="provider", model="m" * 10_000))
    trace.end(entry("xc_1"))
    assert max(len(str(value)) for span in finished(traces, exporter).values() for value in span.attributes.values()) <= 256


class Collector:
    def __init__(self) -> None:
        self.got: list[tuple[Mapping[str, str], ExportTraceServiceRequest]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        raw = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
        self.got.append((request.headers.copy(), ExportTraceServiceRequest.FromString(raw)))
        return web.Response(body=b"", content_type="application/x-protobuf")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
    yield collector
    await runner.cleanup()


async def test_spans_reach_a_collector_over_http_with_its_secret(collector: Collector) -> None:
    config = TracesConfig(endpoint=collector.url, secret_env="TOKEN", service_name="node-1")
    traces = make_traces(config, ADDRESSES, environ={"TOKEN": "Bearer collector-secret"})
    exchange(traces)
    await asyncio.to_thread(traces.close)
    ((headers, request),) = collector.got
    assert headers["authorization"] == "Bearer collector-secret"
    (resource,) = request.resource_spans
    assert "node-1" in str(resource.resource)
    names = {span.name for scope in resource.scope_spans for span in scope.spans}
    assert names == {"chat large", "screen", "chat vendor-large-2"}


async def test_a_collector_that_is_away_costs_spans_and_nothing_else() -> None:
    traces = make_traces(TracesConfig(endpoint="http://127.0.0.1:9/v1/traces", queue=8, timeout_s=1), ADDRESSES)
    for _ in range(100):
        exchange(traces)
    await asyncio.to_thread(traces.close)
