"""One answer, from an upstream's events to what the client is sent: through the last door and the codec, noted on the way.

Knows nothing of requests, records and connections, so that an answer can be made again as it was, without a client.
"""

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager

from freehold.core.errors import UpstreamBroken
from freehold.core.events import Blocked, Event, MessageEnd, MessageStart, Payload, Refused, Usage
from freehold.core.exchange import Exchange
from freehold.core.ports import MonotonicClock
from freehold.gateway.account import Account
from freehold.gateway.flow import Flow
from freehold.gateway.gate import Ask, as_text, gated
from freehold.gateway.screen import blocked
from freehold.gateway.sse import SseEvent, frames
from freehold.gateway.wire.codec import Codec, StreamEncoder
from freehold.gateway.wire.verbatim import VerbatimEncoder

_SIGN_OF_LIFE_S = 15.0  # while a person is asked: proxies and clients give a silent stream up after 30 s or more
_STILL_HERE = b": a person is asked about a tool call\n\n"  # a comment, which every reader of event streams skips

SendFrames = Callable[[bytes], Awaitable[None]]


class Answering:
    """Of one exchange. `send` takes the frames of a stream."""

    def __init__(
        self, exchange: Exchange, codec: Codec, account: Account, ask: Ask, send: SendFrames, monotonic_s: MonotonicClock
    ) -> None:
        self._exchange, self._codec, self._account = exchange, codec, account
        self._ask, self._send, self._monotonic_s = ask, send, monotonic_s

    async def run(self, flow: Flow) -> list[SseEvent]:
        """Pass the answer on; give what ends it, the whole of it where it is no stream. The account has what was sent."""
        last = await (self._stream(flow) if self._exchange.stream else self._collect(flow))
        self._account.sent.extend(last)
        return last

    async def _stream(self, flow: Flow) -> list[SseEvent]:
        """Send what comes as it comes; give what ends the answer."""
        account, encoder = self._account, _Encoder(self._exchange, self._codec)
        async with self._gated(flow) as lists:
            async for events in lists:
                ready: list[SseEvent] = []
                for event in events:
                    account.note(event)
                    if isinstance(event, Blocked):
                        encoder.check_blocked(event)
                        break
                    ready += encoder.encode(event)
                if ready:
                    await self._send(frames(ready))
                    account.sent.extend(ready)
                    account.note_sent(self._monotonic_s())
                elif not events:
                    await self._send(_STILL_HERE)
                if account.blocked:
                    break
        self._check_ended()
        return encoder.finish(account.ends.values(), account.usage)

    def _gated(self, flow: Flow) -> AbstractAsyncContextManager[AsyncGenerator[list[Event]]]:
        """What the answer's last door lets through; an empty list while a person is asked. Nobody reads on once it is blocked."""
        return contextlib.aclosing(gated(flow, self._ask, patience_s=_SIGN_OF_LIFE_S))

    async def _collect(self, flow: Flow) -> list[SseEvent]:
        """Keep what comes; give the whole answer."""
        account, kept = self._account, list[Event]()
        async with self._gated(flow) as lists:
            async for events in lists:
                for event in events:
                    account.note(event)
                    if isinstance(event, Blocked):
                        break
                    kept.append(event)
                account.note_sent(self._monotonic_s())
                if account.blocked:
                    break
        self._check_ended()
        if not any(isinstance(event, Payload) for event in kept):
            said = [out for event in kept for out in (as_text(event) if isinstance(event, Refused) else (event,))]
            return [(self._codec.encode_answer(self._exchange, [*said, *account.ends.values()]), b"")]
        if account.blocked is not None:
            raise blocked(account.blocked)
        encoder = VerbatimEncoder(self._codec.scrub, self._codec.refuser)
        for event in kept:
            encoder.encode(event)
        return encoder.finish(account.ends.values(), account.usage)

    def _check_ended(self) -> None:
        if not self._account.ends:
            raise UpstreamBroken(f"the upstream of {self._exchange.model} stopped before the answer's end; try again")


class _Encoder:
    """Writes a stream: in the provider's own payloads where it gives them, else in the client's dialect anew."""

    def __init__(self, exchange: Exchange, codec: Codec) -> None:
        self._exchange = exchange
        self._codec = codec
        self._chosen: StreamEncoder | None = None
        self._early: list[Event] = []  # what comes before that can be told

    def encode(self, event: Event) -> list[SseEvent]:
        if self._chosen is not None:
            if isinstance(event, Refused) and not isinstance(self._chosen, VerbatimEncoder):
                return [ready for said in as_text(event) for ready in self._chosen.encode(said)]
            return self._chosen.encode(event)
        if isinstance(event, MessageStart):
            self._early.append(event)
            return []
        if isinstance(event, Refused):
            return [ready for said in as_text(event) for ready in self.encode(said)]
        is_verbatim = isinstance(event, Payload)
        self._chosen = (
            VerbatimEncoder(self._codec.scrub, self._codec.refuser) if is_verbatim else self._codec.stream_encoder(self._exchange)
        )
        return [ready for known in (*self._early, event) for ready in self._chosen.encode(known)]

    def check_blocked(self, event: Blocked) -> None:
        """An answer in a provider's own payloads can't be ended in its stead: it ends with an error that says why."""
        if isinstance(self._chosen, VerbatimEncoder):
            raise blocked(event.verdict)

    def finish(self, ends: Iterable[MessageEnd], usage: Usage | None) -> list[SseEvent]:
        encoder = self._chosen or self._codec.stream_encoder(self._exchange)
        return encoder.finish(ends, usage)
