"""What passes between the node and one life of the engine: requests one way, and frames of their answers the other.

A consumer that does not keep up loses its own request: what waits for it is bounded, and nobody else waits.
"""

import asyncio
import contextlib
from collections import deque
from typing import Final

from freehold.core.errors import FreeholdError, UpstreamBroken
from freehold.core.exchange import Exchange, Tool
from freehold.core.watermark import Watermark
from freehold.engine.frames import (
    Accepted,
    Cancel,
    Count,
    Counted,
    Ended,
    Frame,
    Ready,
    Refused,
    Stop,
    Submit,
    Text,
    encode,
    error_of,
)
from freehold.engine.telling import may_call

STOP_TIMEOUT_S: Final = 5.0
MAX_WAITING_FRAMES: Final = 4096  # per request; at 50 tokens a second, 80 s behind, and some 2 MB


class Answer:
    """Frames of one exchange between the socket and their consumer. Its answers' numbers are `request` and those after it."""

    def __init__(self, request: int, choices: int = 1) -> None:
        self.request = request
        self.open = set(range(request, request + choices))  # those that have not ended
        self.numbers = tuple(self.open)
        self._frames: deque[Frame] = deque()
        self._failure: FreeholdError | None = None
        self._arrived = asyncio.Event()

    async def next(self) -> Frame:
        """What came first and was not taken yet. Raises what went wrong after it."""
        while not self._frames:
            if self._failure is not None:
                raise self._failure
            self._arrived.clear()
            await self._arrived.wait()
        return self._frames.popleft()

    async def rest(self) -> list[Frame]:
        """All that came and was not taken yet; at least one."""
        frames = [await self.next(), *self._frames]
        self._frames.clear()
        return frames

    def put(self, frame: Frame) -> bool:
        """False when the consumer is too far behind."""
        if len(self._frames) >= MAX_WAITING_FRAMES:
            return False
        self._frames.append(frame)
        self._arrived.set()
        return True

    def fail(self, error: FreeholdError) -> None:
        self.open.clear()
        self._failure = error
        self._arrived.set()


class Link:
    """One life of the engine's process: its socket, and the answers that are on their way over it."""

    def __init__(self, process: asyncio.subprocess.Process, writer: asyncio.StreamWriter) -> None:
        self.process = process
        self.ready: Ready | None = None
        self._writer = writer
        self._answers: dict[int, Answer] = {}
        self._asked = 0

    def write(self, frame: Frame) -> None:
        self._writer.write(encode(frame))

    def ask(self, exchange: Exchange, seed: int, watermark: Watermark | None) -> Answer:
        answer = self._numbered(exchange.choices)
        self.write(
            Submit(
                request=answer.request,
                messages=exchange.messages,
                tools=offered(exchange),
                sampling=exchange.sampling,
                seed=seed,
                choices=exchange.choices,
                response_format=exchange.response_format,
                tool_choice=exchange.tool_choice,
                parallel_tool_calls=exchange.parallel_tool_calls,
                key=exchange.principal.key_id,
                team=exchange.principal.team,
                watermark=watermark,
                can_wait=exchange.can_wait,
            )
        )
        return self._awaited(answer)

    def count(self, exchange: Exchange) -> Answer:
        answer = self._numbered(1)
        self.write(Count(request=answer.request, messages=exchange.messages, tools=offered(exchange)))
        return self._awaited(answer)

    def _numbered(self, choices: int) -> Answer:
        answer = Answer(self._asked + 1, choices)
        self._asked += choices
        return answer

    def _awaited(self, answer: Answer) -> Answer:
        self._answers |= dict.fromkeys(answer.numbers, answer)
        return answer

    def forget(self, answer: Answer) -> None:
        """The consumer has left: what is still being computed for it is not needed."""
        for number in answer.numbers:
            if self._answers.pop(number, None) is not None and number in answer.open:
                self.write(Cancel(request=number))

    def deliver(self, frame: Accepted | Counted | Text | Ended | Refused) -> None:
        answer = self._answers.get(frame.request) if frame.request is not None else None
        if answer is None or frame.request not in answer.open:
            return  # it was cancelled, and this crossed the word of it
        if isinstance(frame, Refused):
            self._fail(answer, error_of(frame), but=frame.request)
        elif not answer.put(frame):
            self._fail(
                answer, UpstreamBroken(f"the answer was read too slowly: {MAX_WAITING_FRAMES} pieces waited; it was stopped")
            )
        elif isinstance(frame, Ended | Counted):
            answer.open.discard(frame.request)

    def _fail(self, answer: Answer, error: FreeholdError, but: int | None = None) -> None:
        """End all answers of an exchange with the one that failed."""
        for number in answer.open - {but}:
            self.write(Cancel(request=number))
        answer.fail(error)

    def broken(self, why: str) -> None:
        self.ready = None
        for answer in self._answers.values():
            if answer.open:
                answer.fail(UpstreamBroken(why))
        self._answers.clear()

    async def stop(self) -> None:
        self.write(Stop())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)


def offered(exchange: Exchange) -> tuple[Tool, ...]:
    """A model that may not call is not told of the tools."""
    return exchange.tools if may_call(exchange) else ()
