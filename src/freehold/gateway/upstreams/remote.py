"""A remote provider, in any dialect that a codec knows.

A client of one of the provider's own dialects is passed on: the same request, the provider's own payloads. Others are translated,
and the provider is then asked for a stream whatever the client asked for: silence can then be told from work. A provider that
answers in one body where a stream was asked for, or the other way round, is understood. The provider's key goes into one header
and nowhere else: redirects are not followed, and no message carries it.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from freehold.core.errors import (
    ConfigError,
    NotFound,
    UpstreamBroken,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from freehold.core.events import Event
from freehold.core.exchange import Exchange
from freehold.core.ports import UpstreamStatus
from freehold.gateway.attempt import KEY_REFUSED
from freehold.gateway.config import UpstreamConfig
from freehold.gateway.sse import SseParser
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.codec import Codec
from freehold.gateway.wire.leaves import faithful

_EVENT_LIMIT_BYTES = 16 << 20  # one delta; a whole file in one tool call fits
_ERROR_LIMIT_BYTES = 64 << 10
_MESSAGE_LIMIT_CHARS = 2000
_DRAIN_S = 0.05
_CODE = re.compile(r"[a-z0-9_.-]{1,64}", re.IGNORECASE)
_BUFFER_BYTES = 65536  # aiohttp stops reading from a provider at twice as much that nobody took
_KEPT_OPEN_S = 55  # while idle: a new one takes three round trips; AWS's balancers close theirs after 60 s, nginx after 75
_REASONS = (
    (aiohttp.ClientProxyConnectionError, "its proxy does not answer"),
    (aiohttp.ClientConnectorDNSError, "its name is not known"),
    (aiohttp.ClientConnectorCertificateError, "its certificate is not trusted"),
    (aiohttp.ClientSSLError, "it speaks no TLS that this node does"),
)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_OUR_FAULT = (401, 403, 407)  # what the provider says of this node's key, not of the client's
_LIMIT = "max_completion_tokens"
_GENERATES = ("chat", "generate_content")  # operations that any provider's dialect has
_HEADERS = {
    "content-type": "application/json",
    "accept": "text/event-stream, application/json",
    "accept-encoding": "identity",  # unpacking costs more than loopback or a data centre's network saves
}
_READY = UpstreamStatus(ready=True, detail="configured; asked when a request comes")


def read_key(config: UpstreamConfig, folder: Path = Path()) -> str | None:
    """The provider's key from where the configuration says, which lies in `folder`. Raises ConfigError naming where."""
    if config.api_key_env is not None:
        key = os.environ.get(config.api_key_env, "").strip()
        if not key:
            raise ConfigError(
                f"upstream {config.name}: the environment variable {config.api_key_env} is not set; set it to the key"
            )
    elif config.api_key_file is not None:
        path = folder / Path(config.api_key_file).expanduser()
        try:
            key = path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not ASCII text"
            raise ConfigError(f"upstream {config.name}: can't read api_key_file {path}: {reason}") from exc
        if not key:
            raise ConfigError(f"upstream {config.name}: api_key_file {path} is empty")
    else:
        return None
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"upstream {config.name}: the key holds characters that can't stand in a header")
    return key


def read_proxy(config: UpstreamConfig) -> str | None:
    """The proxy's URL. Raises ConfigError that does not show it."""
    if config.proxy_env is None:
        return None
    url = os.environ.get(config.proxy_env, "").strip()
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ConfigError(
            f"upstream {config.name}: the environment variable {config.proxy_env} holds no proxy's URL; set it to http://HOST:PORT"
        )
    return url


class RemoteUpstream:
    """One provider. Makes its connections on first use, inside the running event loop. `codecs`: its dialects, the first for
    clients who speak none of them."""

    def __init__(self, config: UpstreamConfig, codecs: Sequence[Codec], folder: Path = Path()) -> None:
        self._config = config
        self._codecs = {codec.dialect: codec for codec in codecs}
        self._main = codecs[0]
        self._key = read_key(config, folder)
        self._proxy = read_proxy(config)
        self._names = config.models if isinstance(config.models, dict) else {name: name for name in config.models}
        self._models = tuple(self._names)
        self._session: aiohttp.ClientSession | None = None
        self._stream_timeout, self._answer_timeout = (
            aiohttp.ClientTimeout(total=None, sock_connect=config.connect_timeout_s, sock_read=read_s)
            for read_s in (config.idle_timeout_s, config.answer_timeout_s)
        )

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def models(self) -> Sequence[str]:
        return self._models

    def status(self) -> UpstreamStatus:
        return _READY

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, exchange: Exchange) -> AsyncGenerator[list[Event], None]:
        """As the port says. Foreign exceptions end here."""
        asked = self._ask(exchange)
        try:
            async with self._open().post(
                asked.url, data=asked.body, headers=asked.headers, allow_redirects=False, timeout=asked.timeout
            ) as response:
                await self._check(response, asked.codec)
                _resume_once_a_read(response.content)
                is_stream = response.content_type == "text/event-stream"
                verbatim = exchange if asked.is_same and is_stream == exchange.stream else None
                if not is_stream:
                    whole = await self._read(response, self._config.answer_limit_bytes)
                    yield asked.codec.decode_answer(whole, provider=self.name, verbatim=verbatim)
                    return
                parser = SseParser(limit_bytes=_EVENT_LIMIT_BYTES)
                decoder = asked.codec.stream_decoder(provider=self.name, verbatim=verbatim)
                left_bytes = self._config.answer_limit_bytes
                while not decoder.done and (piece := await response.content.readany()):
                    left_bytes -= len(piece)
                    if left_bytes < 0:
                        raise self._too_long()
                    if events := decoder.decode(parser.feed(piece)):
                        yield events
                yield decoder.close()
                await _drain(response)
        except TimeoutError as exc:  # aiohttp's timeouts are TimeoutErrors too
            raise UpstreamTimeout(f"upstream {self.name} was silent for too long; try again later") from exc
        except aiohttp.ClientConnectorError as exc:
            why = _why(exc)
            raise UpstreamUnavailable(f"upstream {self.name} can't be reached: {why}; try again later", why=why) from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise UpstreamBroken(f"upstream {self.name} broke the connection off ({type(exc).__name__}); try again") from exc

    def _ask(self, exchange: Exchange) -> "_Asked":
        """What is posted where."""
        config, model = self._config, self._names[exchange.model]
        codec = self._codecs.get(exchange.dialect)
        if codec is not None:
            document = self._renamed(codec.same_document(exchange, model=model, ask_usage=config.ask_usage))
            is_untouched = document is exchange.document and not exchange.is_rewritten
            body = faithful(exchange.body, document) if is_untouched else orjson.dumps(document)
            stream, forwarded = exchange.stream, exchange.headers
        else:
            client, codec = CODECS[exchange.dialect], self._main
            if client.operation not in _GENERATES:
                raise NotFound(f"upstream {self.name} has no {client.operation}; ask a model of a provider that has")
            document = dict(self._renamed(codec.write_prompt(client.read_prompt(exchange), model=model)))
            if not config.ask_usage:
                document.pop("stream_options", None)
            body, stream = orjson.dumps(document), True
            forwarded = {name: value for name, value in exchange.headers.items() if name == "traceparent"}
        return _Asked(
            codec=codec,
            is_same=exchange.dialect in self._codecs,
            url=config.url.rstrip("/") + codec.target(model, stream=stream),
            body=body,
            headers={**_HEADERS, **codec.provider_headers(self._key), **forwarded},
            timeout=self._stream_timeout if stream else self._answer_timeout,
        )

    def _renamed(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """With the word for an answer's limit that the provider has, where that is the older one."""
        if self._config.max_tokens_name == _LIMIT or _LIMIT not in document:
            return document
        kept = {name: value for name, value in document.items() if name != _LIMIT}
        return {**kept, self._config.max_tokens_name: document[_LIMIT]}

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            config = self._config
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=config.max_connections, keepalive_timeout=_KEPT_OPEN_S),
                auto_decompress=False,
                read_bufsize=_BUFFER_BYTES,
                cookie_jar=aiohttp.DummyCookieJar(),
                proxy=self._proxy,
            )
        return self._session

    async def _check(self, response: aiohttp.ClientResponse, codec: Codec) -> None:
        if response.status != 200:
            raise await self._rejection(response, codec)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise UpstreamBroken(f"upstream {self.name} compresses its answer, which it was asked not to")
        if response.content_type not in ("text/event-stream", "application/json"):
            raise UpstreamBroken(f"upstream {self.name} answered with something that is neither an event stream nor JSON")

    async def _rejection(self, response: aiohttp.ClientResponse, codec: Codec) -> UpstreamError:
        """The provider's error in clean form: its status and message, without this node's key."""
        status = response.status
        if status in _OUR_FAULT:
            return UpstreamRejected(
                f"upstream {self.name} refused this node's own key ({status}); its operator must mend that",
                status=502,
                code=KEY_REFUSED,
            )
        if not 400 <= status <= 599:
            return UpstreamBroken(f"upstream {self.name} answered with status {status}, which no chat answer has")
        try:
            message, code = codec.decode_error(await self._read(response, _ERROR_LIMIT_BYTES))
        except UpstreamBroken:
            message, code = None, None
        text = (message or f"upstream {self.name} answered with status {status}")[:_MESSAGE_LIMIT_CHARS]
        if self._key:
            text = text.replace(self._key, "[provider key]")
        known = code if code is not None and _CODE.fullmatch(code) else None  # it goes into the record, which holds no content
        return UpstreamRejected(text, status=status, retry_after_s=_retry_after_s(response), code=known)

    async def _read(self, response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
        pieces: list[bytes] = []
        left_bytes = limit_bytes
        async for piece in response.content.iter_any():
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    codec: Codec
    is_same: bool  # as the client's
    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)  # with the provider's key
    timeout: aiohttp.ClientTimeout


def _why(error: aiohttp.ClientConnectorError) -> str:
    """In words that name no address."""
    for kind, words in _REASONS:
        if isinstance(error, kind):
            return words
    return os.strerror(error.errno).lower() if error.errno else "no connection"


def _resume_once_a_read(content: aiohttp.StreamReader) -> None:
    """Have aiohttp go back to its parser and its transport when all that came was read, not after each chunk of it.

    It does so, paused or not, whenever less than its low-water mark is left, and has no public word for that mark. Whoever reads
    all there is, as here, loses nothing by a mark of one byte; a release without the mark reads as it always did.
    """
    if hasattr(content, "_low_water"):
        content._low_water = 1


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read up to the end that should follow the last word, so that the connection can be used again; else it is closed."""
    if response.content.at_eof():
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            while await response.content.readany():
                pass


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """In seconds, or in OpenAI's `retry-after-ms`. A date is not read: it needs both clocks to agree."""
    for header, unit_s in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = response.headers.get(header, "")
        if _SECONDS.fullmatch(value):
            return float(value) * unit_s
    return None
