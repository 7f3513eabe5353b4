"""What an operator may set about what the node reports of itself: alerts and traces."""

import ipaddress
from fnmatch import fnmatchcase
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

Severity = Literal["info", "warning", "critical"]
_KINDS = (
    "blocked nowhere_allowed record_failed circuit_open circuit_closed budget_reached policy_refused approval_asked"
    " call_not_held mcp_tool_changed mcp_tool_poisoned mcp_tool_shadowed mcp_server_failed log_broken log_not_published"
    " log_forked witness_failed"
)
KINDS = tuple(_KINDS.split())
Count = Annotated[int, msgspec.Meta(ge=1)]


def check_url(url: str, what: str) -> None:
    """Raises ValueError unless nobody on the way can read or answer it: https, or this machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{what} must start with https:// and name a host")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(f"{what} must be https: plain http goes to this machine only")
    if parts.username is not None or parts.fragment:
        raise ValueError(f"{what} carries credentials or a fragment; name the variable that holds them instead")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class AlertConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place that alerts are posted to. A URL that is itself a secret, as Slack's are, stands in the variable `url_env`."""

    url: str | None = None
    url_env: str | None = None
    format: Literal["json", "slack"] = "json"
    kinds: list[str] = []  # names, `*` stands for any part; none named is every kind
    min_severity: Severity = "info"
    header: str = "authorization"  # what `secret_env` is sent as
    secret_env: str | None = None
    repeat_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 300.0  # the same alert is not sent again for so long
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=600)] = 10  # of one kind
    tries: Annotated[int, msgspec.Meta(ge=1, le=20)] = 8
    queue: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 256

    def __post_init__(self) -> None:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("[[alerts]]: set url or url_env, and not both")
        if self.url is not None:
            check_url(self.url, "[[alerts]]: url")
        for kind in self.kinds:
            if not any(fnmatchcase(known, kind) for known in KINDS):
                raise ValueError(f"[[alerts]]: kinds has {kind[:60]!r}, which no alert is; there are {', '.join(KINDS)}")
        if not self.header.isascii() or not self.header.replace("-", "").isalnum():
            raise ValueError(f"[[alerts]]: header {self.header[:60]!r} is no header's name")


class TracesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """OpenTelemetry spans, sent over OTLP/HTTP. Needs the extra `otel`."""

    endpoint: str  # the collector, with its path: "http://127.0.0.1:4318/v1/traces"
    header: str = "authorization"
    secret_env: str | None = None
    service_name: str = "freehold"
    ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0  # of exchanges whose client does not say whether to trace
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 10.0
    queue: Count = 2048

    def __post_init__(self) -> None:
        check_url(self.endpoint, "[traces] endpoint")
