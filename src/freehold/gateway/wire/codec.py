"""What every dialect's codec can do, for the gateway and for upstreams that speak the dialect.

Client and provider of one dialect: the request's document goes on as it is, and the answer's payloads too, each text in them
scanned in its place (`verbatim.py`). Of two dialects: `read_prompt` of the one and `write_prompt` of the other carry the request
over, and the events carry the answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from freehold.core.errors import FreeholdError
from freehold.core.events import Event, MessageEnd, PartKind, PromptText, Slot, Usage
from freehold.core.exchange import Exchange, ExchangeId, Path, Principal
from freehold.core.findings import Channel
from freehold.gateway.sse import SseEvent
from freehold.gateway.wire.prompt import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One string of a request, or one object key (`is_key`: the last step of `path`), and the channel it belongs to.

    In an object of a tool's own a number is one, too, as JSON writes it; `before` is as a `PromptText` has it.
    """

    path: Path
    channel: Channel
    text: str = field(repr=False)
    is_key: bool = False
    before: str = field(repr=False, default="")

    def said(self, number: int, tool: str = "") -> PromptText:
        """As stages take it: leaf `number`."""
        return PromptText(leaf=number, channel=self.channel, text=self.text, tool=tool, before=self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request as the server took it apart. `path` is what its `PATHS` leave open: Gemini's model and method."""

    exchange_id: ExchangeId
    received_at_ns: int
    principal: Principal
    body: bytes = field(repr=False)
    document: Mapping[str, Any] = field(repr=False)
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # those named in the codec's `forwarded_headers`


class StreamEncoder(Protocol):
    """Events of one answer to server-sent events."""

    def encode(self, event: Event) -> list[SseEvent]:
        """What to send now. Nothing for MessageEnd and Usage: those wait for `finish`. A delta may be empty."""

    def finish(self, ends: Iterable[MessageEnd], usage: Usage | None) -> list[SseEvent]:
        """The last events. They are sent once the record is kept."""


class StreamDecoder(Protocol):
    """Server-sent events to events."""

    @property
    def done(self) -> bool:
        """Whether the dialect's last word came: what follows it is nothing of the answer's."""

    def decode(self, payloads: Iterable[SseEvent]) -> list[Event]:
        """Events of the payloads that came in one read; may join the deltas of one text. Raises nothing, whatever the bytes.

        In verbatim mode each payload's `Payload` goes before its events.
        """

    def close(self) -> list[Event]:
        """The stream is over: Usage and MessageEnds. Raises UpstreamError if a payload made no sense or it ended too early."""


TextKey: TypeAlias = tuple[PartKind, int, int]  # kind, choice, part
CallKey: TypeAlias = tuple[int, int]  # choice, part


class Refuser(Protocol):
    """Takes the refused calls of one answer out of its payloads: see `refusals.py`."""

    def refuse(self, call: CallKey, text: str) -> None:
        """From now on `text` stands for the call."""

    def rewrite(self, document: dict[str, Any], name: bytes, slots: Sequence[Slot], *, has_calls: bool) -> list[SseEvent]:
        """What is sent in place of one payload. `has_calls` tells whether any call of the answer was let through."""


class Codec(Protocol):
    """One dialect. Stateless; raises InvalidRequest for a request it can't read and UpstreamError for an answer it can't."""

    @property
    def dialect(self) -> str:
        """Provider and format: "anthropic.messages"."""

    @property
    def operation(self) -> str:
        """The GenAI semantic conventions' word: "chat", "embeddings"; `generate_content` is Gemini's "chat"."""

    @property
    def last_word(self) -> bytes:
        """What follows the last event of a stream, framed; empty where the dialect has none."""

    @property
    def forwarded_headers(self) -> frozenset[str]:
        """Request headers, lower case, that a provider of this dialect is sent as the client wrote them: `anthropic-beta`."""

    def decode_request(self, request: Incoming) -> Exchange: ...

    def leaves(self, document: Mapping[str, Any]) -> list[Leaf]: ...

    def read_prompt(self, exchange: Exchange) -> Prompt:
        """The request in no dialect's words, from `exchange.document`. Raises InvalidRequest for what no other dialect has."""

    def write_prompt(self, prompt: Prompt, *, model: str) -> dict[str, Any]:
        """The document for a provider of this dialect, streamed, with usage. Raises InvalidRequest for what the dialect lacks."""

    def same_document(self, exchange: Exchange, *, model: str, ask_usage: bool) -> Mapping[str, Any]:
        """The client's own document for a provider of the same dialect who calls the model `model`.

        `exchange.document` itself where nothing changes: the body then goes on byte for byte.
        """

    def target(self, model: str, *, stream: bool) -> str:
        """Path and query below an upstream's URL that take a request."""

    def provider_headers(self, key: str | None) -> dict[str, str]:
        """Headers a provider of this dialect wants beside those forwarded: its key, its version."""

    def stream_encoder(self, exchange: Exchange) -> StreamEncoder: ...

    def stream_decoder(self, *, provider: str, verbatim: Exchange | None = None) -> StreamDecoder:
        """`verbatim` is the exchange whose client gets the payloads themselves; None where the client speaks another dialect."""

    def encode_answer(self, exchange: Exchange, events: Iterable[Event]) -> bytes: ...

    def decode_answer(self, body: bytes, *, provider: str, verbatim: Exchange | None = None) -> list[Event]:
        """Events of a whole body, as of a stream with a single payload. Ends with Usage and MessageEnds."""

    def refuser(self) -> Refuser:
        """Takes refused calls out of one answer's payloads."""

    def scrub(self, document: dict[str, Any]) -> None:
        """Take out of a touched payload what tells its texts another way: log-probabilities."""

    def encode_error(self, error: FreeholdError) -> bytes:
        """The body of an error answer."""

    def error_event(self, error: FreeholdError) -> SseEvent:
        """What ends a stream that fails under way, so that nobody takes it for whole."""

    def decode_error(self, body: bytes) -> tuple[str | None, str | None]:
        """The message and the code of a provider's error body, where it has them."""
