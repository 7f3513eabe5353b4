"""One line of a batch as a request like any other: through the same door, under the key that made the batch.

What a server does around `handle` is done here in memory: the body is given, the answer is kept, and the work is stopped as by a
client that leaves.
"""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import orjson

from freehold.core.batches import Batch
from freehold.core.deferral import Turn
from freehold.core.exchange import Principal
from freehold.gateway.batches.lines import LineRequest
from freehold.gateway.handle import Call, answer
from freehold.gateway.placement import LABELS_HEADER
from freehold.gateway.services import Services
from freehold.gateway.wire import CODECS, PATHS

_PASSING: Final = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of it. `status` is None where it was stopped before there was an answer."""

    status: int | None
    body: bytes = field(repr=False)
    request_id: str | None  # of its receipt
    retry_after_s: float | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def waits(self) -> bool:
        """Refused for now, at no fault of the line: a rate that is used up, an engine that is starting, a disk that is full."""
        return self.status == 503 or (self.status == 429 and self._code == "rate_limit_exceeded")

    @property
    def may_pass(self) -> bool:
        """An upstream failed in a way that another try may mend."""
        return self.status in _PASSING

    @property
    def _code(self) -> object:
        try:
            error = orjson.loads(self.body).get("error")
        except (orjson.JSONDecodeError, AttributeError):
            return None
        return error.get("code") if isinstance(error, dict) else None


class _Details(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, frozen=True):
    """Of chat completions and embeddings, and of responses under names of their own."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Answer(msgspec.Struct, frozen=True):
    usage: _Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """As an answer tells them; 0 where it tells nothing."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0


_answers: Final = msgspec.json.Decoder(_Answer)
_NO_DETAILS: Final = _Details()


def tokens_of(body: bytes) -> Tokens:
    try:
        usage = _answers.decode(body).usage or _Usage()
    except msgspec.MsgspecError:
        return Tokens()
    read = usage.prompt_tokens_details or usage.input_tokens_details or _NO_DETAILS
    written = usage.completion_tokens_details or usage.output_tokens_details or _NO_DETAILS
    return Tokens(
        input=usage.prompt_tokens or usage.input_tokens or 0,
        cached=read.cached_tokens or 0,
        output=usage.completion_tokens or usage.output_tokens or 0,
        reasoning=written.reasoning_tokens or 0,
    )


async def ask(
    batch: Batch, request: LineRequest, principal: Principal, turn: Turn, stopped: asyncio.Event, services: Services
) -> Answered:
    """Have the line answered. Setting `stopped` ends it as if its client had left. Raises nothing."""
    given = False
    status: int | None = None
    headers: dict[bytes, bytes] = {}
    body = bytearray()

    async def receive() -> MutableMapping[str, Any]:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": request.body, "more_body": False}
        await stopped.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], dict(message["headers"])
        else:
            body.extend(message["body"])

    call = Call(
        codec=CODECS[PATHS[batch.endpoint]],
        path="",
        query={},
        headers={LABELS_HEADER: batch.labels.encode("latin-1")} if batch.labels else {},
        turn=turn,
    )
    await answer(call, principal, receive, send, services)
    retry_after = headers.get(b"retry-after", b"")
    return Answered(
        status=status,
        body=bytes(body),
        request_id=headers.get(b"x-freehold-receipt", b"").decode() or None,
        retry_after_s=float(retry_after) if retry_after.isdigit() else None,
    )
