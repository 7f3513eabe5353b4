"""Makes the spans of `traces.py` with the OpenTelemetry SDK, and sends them over OTLP/HTTP from a thread of the SDK's own.

The queue is bounded: a collector that is slow or away costs spans, never an exchange. Nothing here reads what was asked or
answered; what a provider says of itself is cut to a line's length.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from freehold import __version__
from freehold.core.events import ServedBy
from freehold.core.ledger import LedgerEntry
from freehold.core.ledger import Status as Outcome
from freehold.gateway.report_config import TracesConfig
from freehold.gateway.traces import Address, parse_traceparent

ATTRIBUTE_LIMIT_CHARS = 256
_FAILED = (Outcome.FAILED, Outcome.BLOCKED)


class OtelTraces:
    """Implements `traces.Traces`. `exporter` stands in for the one over HTTP."""

    def __init__(
        self,
        config: TracesConfig,
        headers: Mapping[str, str],
        upstreams: Mapping[str, Address],
        exporter: SpanExporter | None = None,
    ) -> None:
        self._upstreams = upstreams
        exporter = exporter or OTLPSpanExporter(
            endpoint=config.endpoint, headers=dict(headers), timeout=max(1, round(config.timeout_s))
        )
        self._provider = TracerProvider(
            resource=Resource({"service.name": config.service_name, "service.version": __version__}),
            sampler=ParentBased(TraceIdRatioBased(config.ratio)),
            span_limits=SpanLimits(max_span_attribute_length=ATTRIBUTE_LIMIT_CHARS),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=config.queue, max_export_batch_size=min(512, config.queue))
        )
        self._tracer = self._provider.get_tracer("freehold", __version__)

    def begin(self, traceparent: bytes | None, dialect: str, operation: str) -> "OtelExchange":
        parent = parse_traceparent(traceparent)
        context = None
        if parent is not None:
            remote = SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), True, TraceFlags(parent.flags))
            context = set_span_in_context(NonRecordingSpan(remote))
        attributes = {"gen_ai.operation.name": operation, "freehold.dialect": dialect}
        span = self._tracer.start_span(operation, context, SpanKind.SERVER, attributes)
        return OtelExchange(self._tracer, span, operation, self._upstreams)

    def close(self) -> None:
        self._provider.shutdown()


class OtelExchange:
    def __init__(self, tracer: Tracer, span: Span, operation: str, upstreams: Mapping[str, Address]) -> None:
        self._tracer = tracer
        self._span = span
        self._operation = operation
        self._upstreams = upstreams
        self._served: ServedBy | None = None

    @contextmanager
    def screen(self) -> Iterator[None]:
        with self._child("screen", SpanKind.INTERNAL):
            yield

    @contextmanager
    def upstream(self) -> Iterator["OtelHop"]:
        with self._child(self._operation, SpanKind.CLIENT) as span:
            span.set_attribute("gen_ai.operation.name", self._operation)
            hop = OtelHop(span, self._operation, self._upstreams)
            try:
                yield hop
            finally:
                self._served = hop.by

    @contextmanager
    def _child(self, name: str, kind: SpanKind) -> Iterator[Span]:
        """Ends with its block. Of an exception only the type is told: its words may quote content."""
        span = self._tracer.start_span(name, set_span_in_context(self._span), kind)
        try:
            yield span
        except BaseException as exc:
            span.set_attribute("error.type", type(exc).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            span.end()

    def end(self, entry: LedgerEntry | None) -> None:
        span = self._span
        if entry is None:
            span.set_attribute("error.type", "record_not_written")
            span.set_status(Status(StatusCode.ERROR))
        else:
            span.update_name(f"{self._operation} {entry.model}")
            span.set_attributes(_attributes(entry, self._served))
            if entry.status in _FAILED:
                span.set_status(Status(StatusCode.ERROR))
        span.end()


class OtelHop:
    def __init__(self, span: Span, operation: str, upstreams: Mapping[str, Address]) -> None:
        self._span = span
        self._operation = operation
        self._upstreams = upstreams
        self.by: ServedBy | None = None

    @property
    def traceparent(self) -> str:
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def served(self, served: ServedBy) -> None:
        self.by = served
        self._span.update_name(f"{self._operation} {served.model}"[:ATTRIBUTE_LIMIT_CHARS])
        self._span.set_attributes({"gen_ai.provider.name": served.provider, "gen_ai.response.model": served.model})
        if (address := self._upstreams.get(served.provider)) is not None:
            self._span.set_attributes({"server.address": address[0], "server.port": address[1]})


def _attributes(entry: LedgerEntry, served: ServedBy | None) -> dict[str, str | int | float | bool | list[str]]:
    """The exchange in the words of the GenAI semantic conventions; what they have no word for, in ours."""
    found: dict[str, str | int | float | bool | list[str] | None] = {
        "gen_ai.request.model": entry.model,
        "gen_ai.provider.name": entry.provider,
        "gen_ai.response.model": served.model if served else None,
        "gen_ai.response.id": entry.exchange_id,
        "gen_ai.response.finish_reasons": [entry.finish_reason] if entry.finish_reason else None,
        "gen_ai.usage.input_tokens": entry.input_tokens,
        "gen_ai.usage.output_tokens": entry.output_tokens,
        "gen_ai.request.stream": entry.stream,
        "error.type": entry.error_code,
        "freehold.status": str(entry.status),
        "freehold.findings": len(entry.findings),
        "freehold.policy_digest": entry.policy_digest,
        "freehold.time_to_first_token_ms": entry.ttft_ms,
        "freehold.energy.joules": entry.energy.energy_j,
        "freehold.energy.grade": str(entry.energy.grade),
        "freehold.carbon.grams": entry.footprint.carbon.g if entry.footprint.carbon is not None else None,
    }
    return {name: value for name, value in found.items() if value is not None}
