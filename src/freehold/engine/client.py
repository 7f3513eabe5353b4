"""The node's side of the engine: starts its process, keeps it running, and answers exchanges through it.

Decided here: a process that ends is started again, after a wait that doubles from half a second to half a minute and is forgotten
after a minute of health; requests on their way when it ends are told so. One that refuses its model is not, before something of
what it refused is another: see `refusal`. What passes between the two is `link`, and the process itself `child`. Imports nothing
that computes: a gateway stays small.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from freehold import __version__
from freehold.core.errors import ConfigError, FreeholdError, InvalidRequest, ModelRefused, UpstreamUnavailable
from freehold.core.events import Event, FinishReason, MessageEnd, MessageStart, ServedBy, Usage
from freehold.core.exchange import Exchange, ModelId, Principal
from freehold.core.ports import EngineLoad, MonotonicClock, UpstreamStatus
from freehold.core.watermark import Watermark
from freehold.engine import frames
from freehold.engine.child import end, how, private_directory, spawn
from freehold.engine.link import STOP_TIMEOUT_S, Link
from freehold.engine.refusal import LOOK_EVERY_S, Refusal, Surroundings, refusal
from freehold.engine.telling import Telling

log = logging.getLogger("freehold.engine")

FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 30.0
HEALTHY_AFTER_S: Final = 60.0
HELLO_TIMEOUT_S: Final = 60.0  # a cold start of Python and its libraries on a busy machine
_ANSWERS: Final = ("chat", "generate_content")  # the GenAI semantic conventions' words, one of them Gemini's own
_COUNTS: Final = "count_tokens"
_CANNOT: Final = ("web_search_options",)  # each changes the answer; to ignore it would be a lie
_MAX_SOCKET_PATH_BYTES: Final = 107  # sockaddr_un.sun_path less its end


WatermarkFor: TypeAlias = Callable[[Principal], Watermark | None]


class EngineClient:
    """An `Upstream`. `command` starts the engine's process; `--socket PATH` is appended to it.

    `surroundings` tell when a model that was refused is worth another try, and with which command.
    """

    def __init__(
        self,
        command: Sequence[str],
        socket_dir: Path,
        model_name: str,
        *,
        clock: MonotonicClock = time.monotonic,
        first_wait_s: float = FIRST_WAIT_S,
        look_every_s: float = LOOK_EVERY_S,
        surroundings: Surroundings | None = None,
        watermark_for: WatermarkFor = lambda _: None,
    ) -> None:
        self._command, self._socket_path = tuple(command), socket_dir / "engine.sock"
        self._models = (model_name,)
        self._watermark_for = watermark_for
        self._clock, self._first_wait_s, self._look_every_s = clock, first_wait_s, look_every_s
        self._surroundings = surroundings
        self._refusal: Refusal | None = None
        self._asked_again = asyncio.Event()
        self._detail = "the engine has not been started"
        self._retry_after_s = 1.0
        self._trouble: str | None = None
        self._loading: frames.Loading | None = None
        self._link: Link | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._stats = frames.Stats()
        self._fit: frames.Fit | None = None
        self._closing = False

    @property
    def name(self) -> str:
        return "freehold"

    @property
    def models(self) -> Sequence[str]:
        return self._models

    @property
    def stats(self) -> frames.Stats:
        """The engine's last word on how busy it is; all zero while there is none."""
        return self._stats

    def load(self) -> EngineLoad:
        """As `core.ports.EngineLoadProbe`."""
        stats = self._stats
        return EngineLoad(
            running=stats.running,
            waiting=stats.waiting,
            pages=stats.pages,
            free_pages=stats.free_pages,
            input_tokens_per_s=stats.prompt_tokens_per_s,
            output_tokens_per_s=stats.output_tokens_per_s,
            cached_tokens=stats.cached_tokens,
            drafted_tokens=stats.drafted_tokens,
            accepted_tokens=stats.accepted_tokens,
            draft_model_s=stats.draft_model_s,
            token_s=stats.token_s or None,
            predicted_token_s=self._fit.token_s if self._fit else None,
            energy=stats.energy,
            model_id=self._ready.model_id if self._ready else None,
            build=self._ready.build if self._ready else None,
        )

    def status(self) -> UpstreamStatus:
        return UpstreamStatus(
            ready=self._ready is not None, detail=self._detail, code=ModelRefused.code if self._refusal else None
        )

    @property
    def trouble(self) -> str | None:
        """Why the engine's last life ended; None while it has had no trouble since it was last ready."""
        return self._trouble

    @property
    def refusal(self) -> Refusal | None:
        """Why the engine will not run its model; None while nobody knows that it won't."""
        return self._refusal

    def try_again(self) -> None:
        """Start an engine that waits to be started now: somebody has mended something."""
        self._asked_again.set()

    @property
    def loading(self) -> frames.Loading | None:
        """What is being loaded and how far it is; None before and after."""
        return self._loading

    @property
    def fit(self) -> Sequence[str]:
        """What the engine predicted of the model's speed before loading it, a fact a line; empty where it predicted nothing."""
        return self._fit.lines if self._fit else ()

    @property
    def process_id(self) -> int | None:
        return self._link.process.pid if self._link else None

    async def start(self) -> None:
        """Begin to run the engine; returns before it is ready. Raises ConfigError for a socket path that cannot be."""
        private_directory(self._socket_path.parent)
        if len(os.fsencode(self._socket_path)) > _MAX_SOCKET_PATH_BYTES:
            raise ConfigError(f"the path {self._socket_path} is too long for a socket; set TMPDIR to a shorter folder")
        self._detail = "the engine is starting"
        self._supervisor = asyncio.create_task(self._supervise())

    async def close(self) -> None:
        """Stop the engine and do not start it again."""
        if self._supervisor is None:
            return
        self._closing, self._detail = True, "the engine is stopped"
        if self._link is not None:
            await self._link.stop()
        self._supervisor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._supervisor
        self._supervisor = None

    async def send(self, exchange: Exchange) -> AsyncIterator[list[Event]]:
        """As `Upstream.send`. A count of tokens is an answer of nothing but its usage."""
        _check(exchange)
        link, ready = self._running()
        if exchange.operation == _COUNTS:
            input_tokens = await self.count_tokens(exchange)
            start = MessageStart(served=_served_by(exchange.model, ready, None))
            yield [start, Usage(input_tokens=input_tokens, output_tokens=0), MessageEnd(finish_reason=FinishReason.STOP)]
            return
        seed = exchange.sampling.seed
        seed = secrets.randbits(53) if seed is None else seed & ((1 << 64) - 1)  # 53 bits: whole in any JSON reader
        watermark = self._watermark_for(exchange.principal)
        answer = link.ask(exchange, seed, watermark)
        try:
            accepted = await answer.next()
            assert isinstance(accepted, frames.Accepted), "the engine accepts a request before anything else"
            yield [MessageStart(served=_served_by(exchange.model, ready, seed, watermark))]
            telling = Telling(exchange, ready.calls)
            while not telling.is_over:
                events: list[Event] = []
                for frame in await answer.rest():
                    assert isinstance(frame, frames.Text | frames.Ended), "an answer is text until it ends"
                    choice = frame.request - answer.request
                    events += telling.text(choice, frame) if isinstance(frame, frames.Text) else telling.end(choice, frame)
                yield events
        finally:
            link.forget(answer)

    async def count_tokens(self, exchange: Exchange) -> int:
        """How many tokens the exchange's prompt has, template included. Raises InvalidRequest for what has no prompt here."""
        _check(exchange)
        link, _ = self._running()
        answer = link.count(exchange)
        try:
            counted = await answer.next()
            assert isinstance(counted, frames.Counted), "a count is answered with a count"
            return counted.input_tokens
        finally:
            link.forget(answer)

    def _running(self) -> tuple[Link, frames.Ready]:
        if self._link is None or self._link.ready is None:
            if self._refusal is not None:
                raise ModelRefused(self._detail)
            raise UpstreamUnavailable(self._detail, retry_after_s=self._retry_after_s)
        return self._link, self._link.ready

    @property
    def _ready(self) -> frames.Ready | None:
        return self._link.ready if self._link else None

    async def _supervise(self) -> None:
        wait_s = self._first_wait_s
        while True:
            begun_s, seen = self._clock(), await self._look()
            self._asked_again.clear()
            try:
                cause = await self._run_once()
            except FreeholdError as exc:
                cause = exc.message
            except OSError as exc:
                cause = f"its socket {self._socket_path} cannot be made: {exc.strerror}"
            if self._closing:
                return
            self._trouble, self._loading = cause, None
            if self._refusal is not None:
                await self._stand_by(self._refusal, seen)
                wait_s = self._first_wait_s
                continue
            if self._clock() - begun_s > HEALTHY_AFTER_S:
                wait_s = self._first_wait_s
            log.error("engine_ended", extra={"cause": cause, "wait_s": wait_s})
            self._detail = f"the engine is starting again ({cause}); retry in a few seconds"
            self._retry_after_s = wait_s + 2
            await self._pause(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _stand_by(self, refused: Refusal, seen: Hashable) -> None:
        """Until another try may end otherwise. `seen` is how things looked before the one that was refused."""
        log.error("engine_refused", extra={"model": self._models[0], "cause": refused.message, "code": refused.code})
        until_s, before = self._clock() + refused.wait_s, seen
        while self._clock() < until_s and not await self._pause(self._look_every_s):
            now = await self._look()
            if before == now != seen:  # the same for two looks: nobody is writing still
                break
            before = now
        if self._surroundings is not None:
            self._command = tuple(await asyncio.to_thread(self._surroundings.command))

    async def _pause(self, seconds: float) -> bool:
        """Whether it was cut short by `try_again`."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self._asked_again.wait(), seconds)
        return False

    async def _look(self) -> Hashable:
        return None if self._surroundings is None else await asyncio.to_thread(self._surroundings.look)

    async def _run_once(self) -> str:
        """One life of the process. Returns in words why it ended."""
        self._detail, self._refusal = "the engine is starting", None
        self._socket_path.unlink(missing_ok=True)
        connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.get_running_loop().create_future()

        def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if connected.done():
                writer.close()  # there is one engine
            else:
                connected.set_result((reader, writer))

        server = await asyncio.start_unix_server(connect, self._socket_path)
        try:
            process = await spawn(self._command, self._socket_path)
            try:
                return await self._attend(process, connected)
            finally:
                await end(process)
        finally:
            self._link, self._stats, self._fit = None, frames.Stats(), None
            server.close()
            self._socket_path.unlink(missing_ok=True)

    async def _attend(
        self, process: asyncio.subprocess.Process, connected: "asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]"
    ) -> str:
        exited = asyncio.create_task(process.wait())
        try:
            either: set[asyncio.Future[Any]] = {exited, connected}
            await asyncio.wait(either, timeout=HELLO_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if not connected.done():
                return how(process) if exited.done() else f"it did not connect within {HELLO_TIMEOUT_S:.0f} s"
            reader, writer = connected.result()
            self._link = link = Link(process, writer)
            try:
                link.write(frames.Hello(protocol=frames.PROTOCOL, version=__version__))
                frames.check_hello(await frames.read_frame(reader))
                cause = await self._listen(reader, link)
                if cause is None:  # it closed the socket: it has ended or is about to
                    await asyncio.wait({exited}, timeout=STOP_TIMEOUT_S)
                    cause = how(process)
            finally:
                link.broken("the engine ended in the middle of the answer; it is starting again: send the request once more")
                writer.close()
            return cause
        finally:
            exited.cancel()

    async def _listen(self, reader: asyncio.StreamReader, link: Link) -> str | None:
        """Until the engine goes. Returns what it said of itself, if it did."""
        cause = None
        while (frame := await frames.read_frame(reader)) is not None:
            match frame:
                case frames.Loading(what=what, done=done, total=total):
                    self._loading = frame
                    share = f" {done / total:.0%}" if total else ""
                    self._detail = f"the engine is loading {self._models[0]}: {what}{share}"
                case frames.Fit():
                    self._fit = frame
                case frames.Ready():
                    link.ready = frame
                    self._trouble = self._loading = self._refusal = None
                    self._detail = f"the engine runs {self._models[0]} with a context of {frame.context_tokens} tokens"
                case frames.Stats():
                    self._stats = frame
                case frames.Refused(request=None):
                    cause, self._refusal = frame.message, refusal(frame)
                    if self._refusal is not None:
                        self._detail = self._refusal.words(self._models[0])
                case frames.Accepted() | frames.Counted() | frames.Text() | frames.Ended() | frames.Refused():
                    link.deliver(frame)
        return cause


def _check(exchange: Exchange) -> None:
    """What our engine cannot do, said before anything is sent to it."""
    if exchange.operation not in (*_ANSWERS, _COUNTS):
        raise InvalidRequest(f"the embedded engine answers chats; {exchange.operation} needs another model", param="model")
    if exchange.unsaid is not None:
        raise InvalidRequest(f"the embedded engine can't do this: {exchange.unsaid}", code="unsupported_parameter")
    if any(message.attachments for message in exchange.messages):
        raise InvalidRequest("this model reads text alone: leave images, audio and files out", param="messages")
    for param in _CANNOT:
        if exchange.document.get(param) not in (None, {}, {"type": "text"}):
            raise InvalidRequest(f"the embedded engine does not do `{param}` yet: leave it out", param=param)


def _served_by(model: str, ready: frames.Ready, seed: int | None, watermark: Watermark | None = None) -> ServedBy:
    return ServedBy(
        provider="freehold",
        model=model,
        model_id=ModelId(ready.model_id),
        template_digest=ready.template_digest,
        build=ready.build,
        seed=seed,
        kernels=ready.kernels or None,
        kv_type=ready.kv_type or None,
        libraries=ready.libraries or None,
        trust=ready.trust or None,
        context_tokens=ready.context_tokens,
        watermark=None if watermark is None else watermark.digest,
    )
