"""Spans of an exchange, for whoever follows a request through many services.

One span an exchange, with a child for the guard's screening of the prompt and one for the upstream. They carry the GenAI semantic
conventions' attributes: names, counts and codes, never content. A client's W3C `traceparent` is the parent, and the upstream is
told ours. Without a [traces] table nothing is recorded, and the client's own `traceparent` goes on as it came; `tracestate` never
does: it is free text that nobody scanned.

`otel.py` makes the spans, with an SDK that is not part of the base install.
"""

import contextlib
import importlib
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from freehold.core.errors import ConfigError
from freehold.core.events import ServedBy
from freehold.core.ledger import LedgerEntry
from freehold.gateway.config import UpstreamConfig
from freehold.gateway.report_config import TracesConfig

Address = tuple[str, int]  # host and port
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_HEADER_LIMIT_BYTES = 512


class Hop(Protocol):
    """The span of what an upstream does."""

    @property
    def traceparent(self) -> str | None:
        """What the upstream is told: a header of this name; None is no header."""

    def served(self, served: ServedBy) -> None:
        """Who answered, as soon as it is known."""


class ExchangeTrace(Protocol):
    """The spans of one exchange. `end` is called once, with its record."""

    def screen(self) -> AbstractContextManager[object]: ...

    def upstream(self) -> AbstractContextManager[Hop]: ...

    def end(self, entry: LedgerEntry | None) -> None:
        """None where the record could not be written."""


class Traces(Protocol):
    def begin(self, traceparent: bytes | None, dialect: str, operation: str) -> ExchangeTrace: ...

    def close(self) -> None:
        """Send what is waiting. Blocks, so call it off the event loop."""


@dataclass(frozen=True, slots=True)
class Parent:
    """A client's `traceparent`, checked. W3C Trace Context, §3.2."""

    trace_id: str
    span_id: str
    flags: int

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def parse_traceparent(header: bytes | None) -> Parent | None:
    """None for one that is missing or wrong: then a new trace begins, as §3.3 asks. A later version is read as ours."""
    if header is None or len(header) > _HEADER_LIMIT_BYTES:
        return None
    match = _TRACEPARENT.fullmatch(header.strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == b"ff" or (version == b"00" and more) or not trace_id.strip(b"0") or not span_id.strip(b"0"):
        return None
    return Parent(trace_id.decode(), span_id.decode(), int(flags, 16) & 1)


_NOTHING = contextlib.nullcontext()


class NoTraces:
    """Records nothing."""

    def begin(self, traceparent: bytes | None, dialect: str, operation: str) -> "PassedOn":
        return PassedOn(parse_traceparent(traceparent))

    def close(self) -> None:
        pass


class PassedOn:
    """An exchange that nobody traces here: the client's parent is the upstream's, too."""

    __slots__ = ("traceparent",)

    def __init__(self, parent: Parent | None) -> None:
        self.traceparent = None if parent is None else str(parent)

    def served(self, served: ServedBy) -> None:
        pass

    def screen(self) -> AbstractContextManager[object]:
        return _NOTHING

    def upstream(self) -> "AbstractContextManager[PassedOn]":
        return contextlib.nullcontext(self)

    def end(self, entry: LedgerEntry | None) -> None:
        pass


def make_traces(config: TracesConfig | None, upstreams: Mapping[str, Address], environ: Mapping[str, str] = os.environ) -> Traces:
    """Raises ConfigError where the SDK is missing, or the secret."""
    if config is None:
        return NoTraces()
    headers = {}
    if config.secret_env is not None:
        secret = environ.get(config.secret_env, "").strip()
        if not secret:
            raise ConfigError(f"[traces]: the variable {config.secret_env} is not set; set it where the node is started")
        headers[config.header.lower()] = secret
    try:
        otel = importlib.import_module("freehold.gateway.otel")  # an extra: nothing of the base install needs it
    except ImportError as exc:
        raise ConfigError(
            "[traces] needs OpenTelemetry, which is not installed here: pip install 'freehold[otel]', or take the table out"
        ) from exc
    traces: Traces = otel.OtelTraces(config, headers, upstreams)
    return traces


def addresses(upstreams: Sequence[UpstreamConfig]) -> dict[str, Address]:
    """Where each upstream is, by its name."""
    found = {}
    for upstream in upstreams:
        parts = urlsplit(upstream.url)
        found[upstream.name] = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    return found
