"""The gateway's settings: where it listens, what it tolerates, which providers stand behind it.

A value outside its range is refused when the file is read. Whether an address may be bound at all is decided in `serve.py`.
"""

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class UpstreamConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One remote provider. `models` lists the names it answers to, or maps our name to the provider's."""

    name: str
    url: str  # up to and without "/chat/completions"
    models: list[str] | dict[str, str]
    kind: Literal["openai", "anthropic", "gemini"] = "openai"
    dialects: list[str] | None = None  # those it speaks, the first for clients who speak none; None is what its kind has
    api_key_env: str | None = None
    api_key_file: str | None = None
    proxy_env: str | None = None  # the variable with the URL of a proxy on the way there, which may hold a password
    connect_timeout_s: Seconds = 10.0
    idle_timeout_s: Seconds = 120.0  # the longest silence between two reads
    answer_timeout_s: Seconds = 600.0  # for an answer in one body, of which nothing comes before its end
    max_connections: Count = 256
    answer_limit_bytes: Count = 64 << 20  # of one answer, as it comes over the wire
    ask_usage: bool = True  # asks for token counts in streams; a provider that refuses `stream_options` needs false
    max_tokens_name: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"  # as its chat completions take it
    weight: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1  # its share among upstreams of the same priority
    priority: Annotated[int, msgspec.Meta(ge=-100, le=100)] = 0  # the lowest that is available is asked first, as with MX records
    first_token_timeout_s: Seconds | None = None  # of a streamed answer: how long its first text may take, whatever else comes

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"upstream {self.name!r}: url must start with http:// or https:// and name a host")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(
                f"upstream {self.name!r}: url carries credentials, a query or a fragment; use api_key_env or api_key_file"
            )
        if not self.models:
            raise ValueError(f"upstream {self.name!r}: models is empty, so nothing would be sent there")
        if self.api_key_env is not None and self.api_key_file is not None:
            raise ValueError(f"upstream {self.name!r}: api_key_env and api_key_file are both set; keep one")


class RoutingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How hard the node tries before it gives an error back, and when it leaves a failing upstream alone."""

    tries: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3  # of one request, over all upstreams; each is asked once in any case
    backoff_s: Seconds = 0.25  # before the second try of one upstream, doubled for each one more; a random part of it is taken
    backoff_limit_s: Seconds = 8.0
    retry_after_limit_s: Annotated[float, msgspec.Meta(ge=0, le=600)] = 10.0  # a longer Retry-After goes to the client instead
    patience_s: Seconds = 180.0  # no new try begins later than this
    breaker_window_s: Seconds = 30.0
    breaker_failures: Count = 5  # failures in the window before an upstream is left alone,
    breaker_ratio: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5  # if they are this part of its tries
    breaker_open_s: Seconds = 15.0  # before one request probes it; doubled for each probe that fails, up to 16 times this


class PriceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model costs, in US dollars for a million tokens. The first entry that fits counts."""

    model: Annotated[str, msgspec.Meta(min_length=1)]  # a name or glob, as clients call it
    input_usd: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    output_usd: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    cached_input_usd: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None  # none: as the input
    cache_write_usd: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None  # none: as the input
    upstreams: tuple[str, ...] = ()  # where this is the price; none named is everywhere


class KeepConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which exchanges of our own engine are kept, encrypted, so that they can be run again. The first entry that fits counts.

    Names may be globs; none named is all of them.
    """

    days: Annotated[int, msgspec.Meta(ge=0, le=36_500)]  # 0 keeps none: for exceptions, before what they are exceptions to
    keys: tuple[str, ...] = ()  # by their names
    teams: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()  # that have one of these


class LimitsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for all keys and teams with limits. Their own limits are in the record: `freehold keys`, `freehold teams`."""

    unknown_price: Literal["refuse", "allow"] = "refuse"  # to a key with a money budget, of a model without a price
    unknown_energy: Literal["refuse", "allow"] = "refuse"  # to a key with an energy budget, of an upstream that is not metered
    expected_output_tokens: Count = 1024  # of a request that does not say max_tokens, until its answer is there
    waiting_per_key: Count = 64  # requests of one key that wait for their turn, each with its connection
    waiting: Count = 256  # of all keys: a quarter of the connections that the node takes


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 8400  # 0 takes any free one
    body_limit_bytes: Count = 32 << 20  # a long context with images; more is nearly always a mistake
    header_limit_bytes: Count = 32 << 10  # nginx 8 KiB, node 16 KiB; long bearer tokens need more
    json_depth: Annotated[int, msgspec.Meta(ge=8, le=512)] = 64  # JSON schemas in tools nest to about 20
    json_values: Count = 65_536  # each is walked and scanned in some 15 us; long chats with many tools have some thousands
    header_timeout_s: Seconds = 10.0
    body_timeout_s: Seconds = 60.0
    idle_timeout_s: Seconds = 120.0  # an upstream silent, or a client that takes nothing, for longer is given up
    keep_alive_s: Seconds = 75.0  # longer than common clients keep theirs, so they close first
    shutdown_timeout_s: Seconds = 30.0  # streams under way may take this long to finish
    max_connections: Count = 1024
    tls_certificate: str | None = None  # PEM files
    tls_key: str | None = None
    allow_insecure_bind: bool = False
    energy_headers: Literal["on_request", "always", "never"] = "on_request"  # whether answers tell what they took

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: set both or neither")
