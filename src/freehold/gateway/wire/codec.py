"""What every dialect's codec can do, for the gateway and for upstreams that speak the dialect."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from freehold.core.errors import FreeholdError
from freehold.core.events import Event, MessageEnd, Usage
from freehold.core.exchange import Exchange, ExchangeId, Principal
from freehold.core.findings import Channel
from freehold.gateway.sse import SseEvent

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One string of a request, or one object key (`is_key`: the last step of `path`), and the channel it belongs to."""

    path: Path
    channel: Channel
    text: str = field(repr=False)
    is_key: bool = False


class StreamEncoder(Protocol):
    """Events of one answer to payloads of server-sent events."""

    def encode(self, event: Event) -> list[bytes]:
        """Payloads to send now. Nothing for MessageEnd and Usage: those wait for `finish`."""
        ...

    def finish(self, ends: Iterable[MessageEnd], usage: Usage | None) -> list[bytes]:
        """The last payloads. They are sent once the record is kept."""
        ...


class StreamDecoder(Protocol):
    """Payloads of server-sent events to events."""

    @property
    def done(self) -> bool:
        """Whether the dialect's last word came: what follows it is nothing of the answer's."""
        ...

    def decode(self, payloads: Iterable[SseEvent]) -> list[Event]:
        """Events of the payloads that came in one read, the deltas of one text joined. Raises nothing, whatever the bytes."""
        ...

    def close(self) -> list[Event]:
        """The stream is over: Usage and MessageEnds. Raises UpstreamError if a payload made no sense or it ended too early."""
        ...


class Codec(Protocol):
    """One dialect. Stateless; raises InvalidRequest for a request it can't read and UpstreamError for an answer it can't."""

    @property
    def dialect(self) -> str: ...

    @property
    def operation(self) -> str:
        """The GenAI semantic conventions' word."""
        ...

    @property
    def path(self) -> str:
        """Where clients post requests."""
        ...

    @property
    def last_word(self) -> bytes:
        """What follows the last payload of a stream, framed; empty where the dialect has none."""
        ...

    def decode_request(
        self, document: Mapping[str, Any], *, exchange_id: ExchangeId, received_at_ns: int, principal: Principal, body: bytes
    ) -> Exchange: ...

    def leaves(self, document: Mapping[str, Any]) -> list[Leaf]: ...

    def encode_request(self, exchange: Exchange, *, model: str, ask_usage: bool) -> bytes:
        """The body to send to an upstream that speaks this dialect; it always asks for a stream."""
        ...

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder: ...

    def stream_decoder(self, *, provider: str) -> StreamDecoder: ...

    def encode_answer(self, exchange: Exchange, events: Iterable[Event]) -> bytes: ...

    def decode_answer(self, body: bytes, *, provider: str) -> list[Event]: ...

    def encode_error(self, error: FreeholdError) -> bytes: ...

    def decode_error(self, body: bytes) -> tuple[str | None, str | None]:
        """The message and the code of a provider's error body, where it has them."""
        ...
