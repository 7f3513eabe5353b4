"""A question from outside an exchange: an agent's hook, or a wrapped tool server, asks a person through this node.

POST /v1/approvals   {"tool", "arguments", "words", "timeout_s", "reasons": [...]}
                     of which each is {"action", "kind", "place", "target", "because", "rule"}

The answer stays open until there is one: a blank now and then, and at its end {"id", "decision": "approve" | "deny"}; the header
x-freehold-approval has the id from the start. Decided here: the question lives as long as its request, and a client that
leaves withdraws it. What the call would do is the client's own word, of closed kinds, so that the log holds no content.
A key has a few questions open and puts some a minute, so that nobody drowns the others' in theirs.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Iterator
from time import monotonic
from typing import Annotated, Literal

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from freehold.core.approvals import Question
from freehold.core.effects import CallJudgement, Effect, EffectKind, Place, Reason
from freehold.core.errors import InvalidRequest, LimitReached, RecordNotWritten
from freehold.core.exchange import KeyId, Principal
from freehold.core.findings import Action
from freehold.core.ports import MonotonicClock
from freehold.gateway.approvals import HeldCalls
from freehold.gateway.body import left, read_body

ID_HEADER = "x-freehold-approval"
BODY_LIMIT_BYTES = 1 << 20
ARGUMENTS_LIMIT_CHARS = 128 << 10  # nobody reads more; what a judge reads of a call's code is as long
REASONS_LIMIT = 50
OPEN_LIMIT = 16  # of one key: agents ask one question at a time
PER_MINUTE = 30  # of one key: each is a row of the log and perhaps a message to a person
_BODY_TIMEOUT_S = 15.0
_BLANK_S = 10.0  # proxies close a silent connection after 30 to 60 s
_ACTIONS = {"tag": Action.TAG, "ask": Action.ASK}


class _Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    action: Literal["tag", "ask"]  # what policy stops is not asked about
    kind: EffectKind
    place: Place = Place.NOTHING
    target: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    because: Annotated[str, msgspec.Meta(max_length=500)] = ""
    rule: Annotated[str, msgspec.Meta(max_length=200)] = ""

    def reason(self) -> Reason:
        effect = Effect(kind=self.kind, place=self.place, target=self.target, because=self.because)
        return Reason(action=_ACTIONS[self.action], effect=effect, rule=self.rule)


class _Put(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tool: Annotated[str, msgspec.Meta(max_length=200)]
    arguments: Annotated[str, msgspec.Meta(max_length=ARGUMENTS_LIMIT_CHARS)]
    reasons: Annotated[list[_Reason], msgspec.Meta(min_length=1, max_length=REASONS_LIMIT)]
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)]
    words: Annotated[str, msgspec.Meta(max_length=4000)] = ""

    def judgement(self) -> CallJudgement:
        return CallJudgement(action=Action.ASK, reasons=tuple(one.reason() for one in self.reasons), words=self.words)


class Asking:
    def __init__(self, calls: HeldCalls, monotonic_s: MonotonicClock = monotonic) -> None:
        self._calls, self._pace = calls, _Pace(monotonic_s)

    async def asked(self, request: Request, principal: Principal) -> Response:
        """A response that asks as it is sent. Raises ClientError."""
        put = _parsed(
            await read_body(request.receive, announced_bytes=None, limit_bytes=BODY_LIMIT_BYTES, timeout_s=_BODY_TIMEOUT_S)
        )
        question = self._calls.question(put.tool, put.arguments, put.judgement(), principal, put.timeout_s)
        return _Waiting(question, self._calls, self._pace)


def _parsed(body: bytes) -> _Put:
    try:
        return msgspec.json.decode(body, type=_Put)
    except (msgspec.DecodeError, RecursionError) as exc:
        what = str(exc) if isinstance(exc, msgspec.ValidationError) else "it is not JSON in UTF-8"
        raise InvalidRequest(f"this is no question to a person: {what}; see the documentation of agents") from exc


class _Pace:
    """How many questions a key has open, and put in the last minute."""

    def __init__(self, monotonic_s: MonotonicClock) -> None:
        self._monotonic_s = monotonic_s
        self._open: dict[KeyId, int] = defaultdict(int)
        self._put: dict[KeyId, deque[float]] = defaultdict(deque)

    @contextlib.contextmanager
    def place(self, key: KeyId) -> Iterator[None]:
        """Raises LimitReached. What is refused leaves no row in the log: it would be a way to fill it."""
        now_s, put = self._monotonic_s(), self._put[key]
        while put and now_s - put[0] >= 60:
            put.popleft()
        if len(put) >= PER_MINUTE:
            raise LimitReached(
                f"this key put {PER_MINUTE} questions within a minute; people can't read more",
                retry_after_s=60 - (now_s - put[0]),
            )
        if self._open[key] >= OPEN_LIMIT:
            raise LimitReached(f"{OPEN_LIMIT} questions of this key wait already; have them answered first")
        put.append(now_s)
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1


class _Waiting(Response):
    """Puts its question, and ends with what became of it."""

    def __init__(self, question: Question, calls: HeldCalls, pace: _Pace) -> None:
        super().__init__(media_type="application/json", headers={"cache-control": "no-store", ID_HEADER: question.id})
        del self.headers["content-length"]  # nobody knows how long it takes
        self._question, self._calls, self._pace = question, calls, pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._pace.place(self._question.principal.key_id):
            opened = asyncio.Event()
            asking = asyncio.ensure_future(self._calls.put(self._question, opened.set))
            opening, leaving = asyncio.ensure_future(opened.wait()), asyncio.ensure_future(left(receive))
            try:
                await asyncio.wait((asking, opening, leaving), return_when=asyncio.FIRST_COMPLETED)
                if not opened.is_set() and asking.done():
                    asking.result()  # raises RecordNotWritten
                    raise LimitReached("too many calls wait for people on this node; try again later", retry_after_s=60)
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await self._answered(asking, leaving, send)
            finally:
                for task in (asking, opening, leaving):
                    task.cancel()
                await asyncio.gather(asking, opening, leaving, return_exceptions=True)

    async def _answered(self, asking: "asyncio.Future[bool]", leaving: "asyncio.Future[None]", send: Send) -> None:
        while not asking.done() and not leaving.done():
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.wait((asking, leaving), timeout=_BLANK_S, return_when=asyncio.FIRST_COMPLETED)
        if asking.done():
            document = {"id": self._question.id, "decision": "approve" if _is_yes(asking) else "deny"}
            await send({"type": "http.response.body", "body": orjson.dumps(document)})


def _is_yes(asking: "asyncio.Future[bool]") -> bool:
    """A yes that the log does not hold is none."""
    try:
        return asking.result()
    except RecordNotWritten:
        return False
