import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import ConfigError
from freehold.core.events import ServedBy
from freehold.gateway.config import UpstreamConfig
from freehold.gateway.report_config import TracesConfig
from freehold.gateway.traces import NoTraces, addresses, make_traces, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("header", "read"),
    [
        (GOOD, GOOD),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"00-{TRACE}-{SPAN}-ff", GOOD),  # flags that nobody knows are left out
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-holds", GOOD),
        (f" {GOOD} ", GOOD),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        (f"cc-{TRACE}-{SPAN}-01-" + "x" * 1000, None),
        ("", None),
    ],
)
def test_a_clients_traceparent_is_checked(header: str, read: str | None) -> None:
    parent = parse_traceparent(header.encode())
    assert (None if parent is None else str(parent)) == read


@given(st.none() | st.binary(max_size=80) | st.from_regex(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True))
def test_whatever_comes_what_goes_on_is_valid_or_nothing(header: bytes | None) -> None:
    with NoTraces().begin(header, "openai.chat", "chat").upstream() as hop:
        if hop.traceparent is not None:
            again = parse_traceparent(hop.traceparent.encode())
            assert str(again) == hop.traceparent


def test_without_traces_the_clients_parent_goes_on() -> None:
    trace = make_traces(None, {}).begin(GOOD.encode(), "openai.chat", "chat")
    with trace.screen():
        pass
    with trace.upstream() as hop:
        assert hop.traceparent == GOOD
        hop.served(ServedBy(provider="p", model="m"))
    trace.end(None)


def test_a_missing_sdk_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "freehold.gateway.otel", None)
    with pytest.raises(ConfigError, match=r"pip install 'freehold\[otel\]'"):
        make_traces(TracesConfig(endpoint="http://127.0.0.1:4318/v1/traces"), {})


def test_a_secret_that_is_not_set_is_told_at_the_start() -> None:
    config = TracesConfig(endpoint="https://collector.example/v1/traces", secret_env="COLLECTOR_TOKEN")
    with pytest.raises(ConfigError, match="COLLECTOR_TOKEN is not set"):
        make_traces(config, {}, environ={})


@pytest.mark.parametrize("endpoint", ["http://collector.example/v1/traces", "collector:4318", "https://u:p@collector.example"])
def test_spans_go_over_https_or_to_this_machine(endpoint: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="endpoint"):
        msgspec.convert({"endpoint": endpoint}, TracesConfig)


def test_addresses_are_hosts_and_ports() -> None:
    upstreams = [
        UpstreamConfig(name="a", url="https://a.example/v1", models=["m"]),
        UpstreamConfig(name="b", url="http://127.0.0.1:8080/v1", models=["n"]),
    ]
    assert addresses(upstreams) == {"a": ("a.example", 443), "b": ("127.0.0.1", 8080)}
