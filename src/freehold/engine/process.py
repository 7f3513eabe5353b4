"""The engine's own process: a socket to the node on one thread, compute on the others.

The node listens, this process connects, says `Hello`, loads while telling how far it is, says `Ready`, and answers until the node
says `Stop` or goes away: nothing outlives its node. A request whose prompt is bad fails alone; a model that cannot be opened or
loaded ends the process, after the node was told why.
"""

import asyncio
import ctypes
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold import __version__
from freehold.core.errors import FreeholdError, InternalError, os_errors
from freehold.core.models import VerifiedModel
from freehold.core.ports import StepMeter
from freehold.engine import frames
from freehold.engine.config import EngineConfig
from freehold.engine.fit import Prediction, lines
from freehold.engine.runtime import Runtime
from freehold.engine.sequence import Failed, Finished, Grown, Output

log = logging.getLogger("freehold.engine")

STATS_INTERVAL_S: Final = 1.0
TICK_S: Final = 1.0
EXIT_CANNOT_LOAD: Final = 3
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What an engine runs: models that were verified, and settings."""

    model: VerifiedModel
    config: EngineConfig
    draft: VerifiedModel | None = None
    meter: StepMeter | None = None


def serve_engine(opening: Callable[[], Opened], socket_path: Path) -> None:
    """Run until the node says stop or is gone. Exits with EXIT_CANNOT_LOAD where the model cannot be run.

    `opening` is called once the node can be told what it raises.
    """
    _die_with_parent()
    # Ctrl-C reaches the whole process group, and a supervisor's SIGTERM the whole unit: the node decides when we stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(asyncio.run(_Engine(opening).serve(socket_path)))


def _die_with_parent() -> None:
    """Where the kernel can, be killed when the node is; elsewhere, and as well, the socket's end tells."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)


class _Engine:
    def __init__(self, opening: Callable[[], Opened]) -> None:
        self._opening = opening
        self._meter: StepMeter | None = None
        self._preparing: dict[int, asyncio.Task[None]] = {}
        self._told = frames.Stats()
        # One thread: templates and tokenizers of all requests together never take more than one core from compute.
        self._prompts = ThreadPoolExecutor(1, "prompts")

    async def serve(self, socket_path: Path) -> int:
        """Returns the exit status."""
        self._loop = asyncio.get_running_loop()
        with os_errors(f"the engine cannot reach its node at {socket_path}"):
            reader, self._writer = await asyncio.open_unix_connection(socket_path)
        self._write(frames.Hello(protocol=frames.PROTOCOL, version=__version__))
        frames.check_hello(await frames.read_frame(reader))
        gone = asyncio.create_task(frames.read_frame(reader))
        ticking = asyncio.create_task(self._tick())
        loading = asyncio.create_task(asyncio.to_thread(self._load))
        done, _ = await asyncio.wait({gone, loading}, return_when=asyncio.FIRST_COMPLETED)
        if loading not in done:  # nothing may come before Ready but the end
            os._exit(0)  # the loading thread cannot be stopped otherwise
        try:
            self._runtime = loading.result()
        except FreeholdError as exc:
            return await self._cannot_load(exc)
        except Exception as exc:
            log.exception("engine_load_failed")
            return await self._cannot_load(InternalError(f"loading the model failed with {type(exc).__name__}; see the log"))
        self._write(self._runtime.ready)
        computing = threading.Thread(target=self._compute, name="scheduler", daemon=True)
        computing.start()
        telling = asyncio.create_task(self._tell_stats())
        frame = await gone
        while frame is not None and not isinstance(frame, frames.Stop):
            self._take(frame)
            frame = await frames.read_frame(reader)
        telling.cancel()
        ticking.cancel()
        self._runtime.scheduler.close()
        await asyncio.to_thread(computing.join, 5)
        self._runtime.close()
        if self._meter is not None:
            self._meter.close()
        return 0

    def _load(self) -> Runtime:
        opened = self._opening()
        self._meter = opened.meter
        return Runtime(opened.model, opened.config, self._tell_progress, self._foretell, opened.draft, opened.meter)

    def _take(self, frame: frames.Frame) -> None:
        match frame:
            case frames.Submit():
                self._begin(frame.request, lambda: self._accept(frame))
            case frames.Count():
                self._begin(frame.request, lambda: self._count(frame))
            case frames.Cancel(request=request):
                if task := self._preparing.get(request):
                    task.cancel()
                else:
                    self._runtime.scheduler.cancel(request)

    def _begin(self, request: int, prepare: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self._preparing[request] = asyncio.create_task(self._prepare(request, prepare))
        # One that is cancelled before it has begun never comes to its own end.
        task.add_done_callback(lambda _: self._preparing.pop(request, None))

    async def _prepare(self, request: int, prepare: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """See to it that a prompt that fails fails alone."""
        try:
            await prepare()
        except FreeholdError as exc:
            self._write(frames.refused(exc, request))
        except Exception as exc:
            log.exception("engine_prompt_failed")
            self._write(frames.refused(InternalError(f"the engine failed on this prompt with {type(exc).__name__}"), request))
        finally:
            self._preparing.pop(request, None)  # at once: what is cancelled from now on is the scheduler's

    async def _accept(self, submit: frames.Submit) -> None:
        requests = await self._loop.run_in_executor(self._prompts, self._runtime.prompts.requests, submit)
        # What the scheduler makes of them is written by this loop later, so `Accepted` comes first.
        self._runtime.scheduler.submit(*requests)
        self._write(frames.Accepted(request=submit.request, input_tokens=len(requests[0].prompt)))

    async def _count(self, count: frames.Count) -> None:
        tokens = await self._loop.run_in_executor(self._prompts, self._runtime.prompts.tokens, count.messages, count.tools)
        self._write(frames.Counted(request=count.request, input_tokens=len(tokens)))

    def _compute(self) -> None:
        """The scheduler's thread: step after step, never more than one step's output ahead of the socket."""
        scheduler = self._runtime.scheduler
        sent: Future[None] | None = None
        try:
            while scheduler.wait():
                outputs = scheduler.step()
                if sent is not None:
                    sent.result()
                sent = self._from_thread(self._send(outputs)) if outputs else None
        except ConnectionError:
            os._exit(0)  # the node is gone
        except BaseException:
            log.exception("engine_scheduler_failed")
            os._exit(1)  # the node starts us again; an engine that does not compute must not look alive

    async def _send(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Failed) and output.error.__cause__ is not None:
                log.error("engine_request_failed", exc_info=output.error.__cause__)
            self._write(_frame(output))
        if self._meter is not None and any(isinstance(output, Finished) for output in outputs):
            self._tell(msgspec.structs.replace(self._told, energy=self._meter.totals()))  # no record is ahead of the node's lines
        await self._writer.drain()

    async def _tick(self) -> None:
        """While loading, too: counters go round."""
        while True:
            await asyncio.sleep(TICK_S)
            if self._meter is not None:
                self._meter.tick()

    async def _tell_stats(self) -> None:
        before, then_s = self._runtime.scheduler.stats(), self._loop.time()
        while True:
            await asyncio.sleep(STATS_INTERVAL_S)
            if self._runtime.scheduler.is_stuck:
                log.error("engine_stuck")
                os._exit(1)  # the node starts us again
            now, now_s = self._runtime.scheduler.stats(), self._loop.time()
            rates = {
                "prompt_tokens_per_s": (now.prompt_tokens - before.prompt_tokens) / (now_s - then_s),
                "output_tokens_per_s": (now.output_tokens - before.output_tokens) / (now_s - then_s),
            }
            self._tell(msgspec.structs.replace(now, energy=self._meter.totals() if self._meter is not None else None, **rates))
            before, then_s = now, now_s

    def _tell(self, stats: frames.Stats) -> None:
        if stats != self._told:
            self._write(stats)
            self._told = stats

    async def _cannot_load(self, error: FreeholdError) -> int:
        self._write(frames.refused(error, None))
        await self._writer.drain()
        self._writer.close()
        await self._writer.wait_closed()
        return EXIT_CANNOT_LOAD

    def _tell_progress(self, what: str, done: int, total: int) -> None:
        self._loop.call_soon_threadsafe(self._write, frames.Loading(what=what, done=done, total=total))

    def _foretell(self, prediction: Prediction) -> None:
        said = lines(prediction)
        log.info("engine_fit", extra={"token_s": prediction.token_s, "lines": said})
        self._loop.call_soon_threadsafe(self._write, frames.Fit(lines=tuple(said), token_s=prediction.token_s))

    def _from_thread(self, sending: Coroutine[Any, Any, None]) -> "Future[None]":
        return asyncio.run_coroutine_threadsafe(sending, self._loop)

    def _write(self, frame: frames.Frame) -> None:
        self._writer.write(frames.encode(frame))


def _frame(output: Output) -> frames.Frame:
    match output:
        case Grown():
            return frames.Text(request=output.request, piece=output.piece, worked=output.worked)
        case Finished():
            return frames.Ended(
                request=output.request,
                reason=output.reason,
                input_tokens=output.input_tokens,
                output_tokens=output.output_tokens,
                worked=output.worked,
                cached_tokens=output.cached_tokens,
                tokens=output.tokens,
            )
        case Failed():
            return frames.refused(output.error, output.request)
