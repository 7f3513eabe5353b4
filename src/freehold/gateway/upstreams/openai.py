"""A remote provider that speaks OpenAI's chat format.

It is always asked for a stream, whatever the client asked for: silence can then be told from work, and a client that leaves ends
it. A provider that answers with one body all the same is understood. The provider's key goes into one header and nowhere else:
redirects are not followed, and no message carries it.
"""

import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from freehold.core.errors import (
    ConfigError,
    UpstreamBroken,
    UpstreamError,
    UpstreamRejected,
)
from freehold.core.events import Event
from freehold.core.exchange import Exchange
from freehold.core.ports import UpstreamStatus
from freehold.gateway.config import UpstreamConfig
from freehold.gateway.sse import SseParser
from freehold.gateway.upstreams.http1 import Answer, HttpClient
from freehold.gateway.wire.codec import Codec

_EVENT_LIMIT_BYTES = 16 << 20  # one delta; a whole file in one tool call fits
_ERROR_LIMIT_BYTES = 64 << 10
_MESSAGE_LIMIT_CHARS = 2000
_OUR_FAULT = (401, 403, 407)  # what the provider says of this node's key, not of the client's
_READY = UpstreamStatus(ready=True, detail="configured; asked when a request comes")


def read_key(config: UpstreamConfig) -> str | None:
    """The provider's key from where the configuration says. Raises ConfigError naming the variable or file."""
    if config.api_key_env is not None:
        key = os.environ.get(config.api_key_env, "").strip()
        if not key:
            raise ConfigError(
                f"upstream {config.name}: the environment variable {config.api_key_env} is not set; set it to the key"
            )
    elif config.api_key_file is not None:
        try:
            key = Path(config.api_key_file).expanduser().read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"upstream {config.name}: can't read api_key_file {config.api_key_file}") from exc
        if not key:
            raise ConfigError(f"upstream {config.name}: api_key_file {config.api_key_file} is empty")
    else:
        return None
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"upstream {config.name}: the key holds characters that can't stand in a header")
    return key


class OpenAIUpstream:
    """One provider. Makes its client on first use, inside the running event loop."""

    def __init__(self, config: UpstreamConfig, codec: Codec) -> None:
        self._config = config
        self._codec = codec
        self._key = read_key(config)
        self._names = config.models if isinstance(config.models, dict) else {name: name for name in config.models}
        self._models = tuple(self._names)
        self._url = config.url.rstrip("/") + "/chat/completions"
        self._headers = {
            "content-type": "application/json",
            "accept": "text/event-stream, application/json",
            "accept-encoding": "identity",  # unpacking costs more than loopback or a data centre's network saves
            **({"authorization": f"Bearer {self._key}"} if self._key else {}),
        }
        self._client: HttpClient | None = None

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def models(self) -> Sequence[str]:
        return self._models

    def status(self) -> UpstreamStatus:
        return _READY

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    async def send(self, exchange: Exchange) -> AsyncGenerator[Event, None]:
        """As the port says."""
        body = self._codec.encode_request(exchange, model=self._names[exchange.model], ask_usage=self._config.ask_usage)
        client = self._open()
        answer = await client.post(body)
        try:
            await self._check(answer)
            if _content_type(answer) == "application/json":
                whole = await self._read(answer, self._config.answer_limit_bytes)
                for event in self._codec.decode_answer(whole, provider=self.name):
                    yield event
                return
            parser, decoder = SseParser(limit_bytes=_EVENT_LIMIT_BYTES), self._codec.stream_decoder(provider=self.name)
            left_bytes = self._config.answer_limit_bytes
            while not decoder.done and (piece := await answer.read()):
                left_bytes -= len(piece)
                if left_bytes < 0:
                    raise self._too_long()
                for event in decoder.decode(parser.feed(piece)):
                    yield event
            for event in decoder.close():
                yield event
            if not answer.is_reusable:
                await answer.drain()
        finally:
            client.release(answer)

    def _open(self) -> HttpClient:
        if self._client is None:
            config = self._config
            self._client = HttpClient(
                config.name,
                self._url,
                self._headers,
                connect_timeout_s=config.connect_timeout_s,
                idle_timeout_s=config.idle_timeout_s,
                max_connections=config.max_connections,
            )
        return self._client

    async def _check(self, answer: Answer) -> None:
        if answer.status != 200:
            raise await self._rejection(answer)
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise UpstreamBroken(f"upstream {self.name} compresses its answer, which it was asked not to")
        if _content_type(answer) not in ("text/event-stream", "application/json"):
            raise UpstreamBroken(f"upstream {self.name} answered with something that is neither an event stream nor JSON")

    async def _rejection(self, answer: Answer) -> UpstreamError:
        """The provider's error in clean form: its status and message, without this node's key."""
        status = answer.status
        if status in _OUR_FAULT:
            return UpstreamRejected(
                f"upstream {self.name} refused this node's own key ({status}); its operator must mend that", status=502
            )
        if not 400 <= status <= 599:
            return UpstreamBroken(f"upstream {self.name} answered with status {status}, which no chat answer has")
        try:
            message, code = self._codec.decode_error(await self._read(answer, _ERROR_LIMIT_BYTES))
        except UpstreamBroken:
            message, code = None, None
        text = (message or f"upstream {self.name} answered with status {status}")[:_MESSAGE_LIMIT_CHARS]
        if self._key:
            text = text.replace(self._key, "[provider key]")
        return UpstreamRejected(text, status=status, retry_after_s=_retry_after_s(answer), code=code)

    async def _read(self, answer: Answer, limit_bytes: int) -> bytes:
        pieces: list[bytes] = []
        left_bytes = limit_bytes
        while piece := await answer.read():
            left_bytes -= len(piece)
            if left_bytes < 0:
                raise self._too_long()
            pieces.append(piece)
        return b"".join(pieces)

    def _too_long(self) -> UpstreamBroken:
        limit_bytes = self._config.answer_limit_bytes
        return UpstreamBroken(
            f"upstream {self.name} sent more than {limit_bytes} bytes; raise its answer_limit_bytes if that was right"
        )


def _content_type(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _retry_after_s(answer: Answer) -> float | None:
    """The seconds form only: a date needs both clocks to agree."""
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 7 else None
