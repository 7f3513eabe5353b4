"""Asks one side for its sample: through any upstream, side by side, at a pace, again where a try failed, within a ceiling.

A request is written as a client's would be, and goes through the upstream's own dialect. What a side cannot do is learnt by
asking: settings it does not take, several answers at once, log-probabilities. All that a model says counts, its thoughts too.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson

from freehold.core.errors import (
    FreeholdError,
    InvalidRequest,
    UpstreamBroken,
    UpstreamError,
    UpstreamRejected,
    UpstreamUnavailable,
)
from freehold.core.events import MessageEnd, MessageStart, ReasoningDelta, TextDelta, TokenLogprob, Usage
from freehold.core.exchange import Exchange, KeyId, Principal
from freehold.core.ports import MonotonicClock, Upstream
from freehold.gateway.account import new_exchange_id
from freehold.gateway.attempt import KEY_REFUSED
from freehold.gateway.wire import CODECS
from freehold.gateway.wire.codec import Incoming
from freehold.model_audits.spending import Spending, input_tokens_most
from freehold.provenance.model_audit.prompts import AuditPrompt
from freehold.provenance.model_audit.sample import AuditPlan, Replies, Sample

_AGAIN = (408, 409, 425, 429)  # and every 5xx
_CANNOT = (400, 404, 405, 415, 422, 501)  # what providers answer a parameter with that they do not know
_LONGEST_PAUSE_S = 60.0
_PRINCIPAL = Principal(key_id=KeyId("key_model_audit"), name="model audit")
_DIALECT = "openai.chat"

Sleep = Callable[[float], Awaitable[None]]
Told = Callable[[int, int], None]  # requests answered, prompts done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manner:
    """How a request is put: settings left out, and settings by another name."""

    left_out: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)


_LIMIT = {"max_tokens": "max_completion_tokens"}  # OpenAI's name of it since its models think
_MANNERS = (
    _Manner(),
    _Manner(left_out=frozenset({"top_p"})),  # Anthropic's later models take one of top_p and temperature
    _Manner(renamed=_LIMIT),
    _Manner(renamed=_LIMIT, left_out=frozenset({"top_p", "temperature"})),  # OpenAI's that think take neither
)


class Counting(Protocol):
    """An upstream with a tokenizer of its own."""

    async def count_tokens(self, exchange: Exchange) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    concurrency: int = 4
    per_minute: int | None = None
    tries: int = 5
    answers_per_request: int = 8


@dataclass(slots=True)
class _Reply:
    """One request's answers, by choice."""

    texts: dict[int, list[str]] = field(default_factory=dict)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    usage: Usage | None = None
    model: str = ""
    fingerprint: str | None = None


class Collector:
    """Of one model at one upstream. `cannot` tells after `collect` what it could not give, and why."""

    def __init__(
        self,
        upstream: Upstream,
        model: str,
        plan: AuditPlan,
        spending: Spending,
        pace: Pace,
        *,
        of_reference: bool = False,
        sleep: Sleep = asyncio.sleep,
        clock: MonotonicClock = time.monotonic,
        told: Told = lambda _requests, _prompts: None,
    ) -> None:
        self._upstream, self._model, self._plan, self._spending = upstream, model, plan, spending
        self._answers, self._draws_asked = plan.answers(of_reference=of_reference), plan.draws_asked(of_reference=of_reference)
        self._pace, self._sleep, self._clock, self._told = pace, sleep, clock, told
        self._at_once = pace.answers_per_request
        self._tells_logprobs = True  # until it is asked and does not
        self._manner = _MANNERS[0]
        self._places = asyncio.Semaphore(pace.concurrency)
        self._next_s = 0.0
        self._served: set[tuple[str, str | None]] = set()
        self._done = 0
        self.cannot: dict[str, str] = {}

    async def collect(self) -> Sample:
        """Raises UpstreamError for what still fails after all tries, LimitReached at the ceiling."""
        first, *others = self._plan.prompts
        await self._learn_manner(first)
        replies = {first.id: await self._ask_all(first)}  # alone: what it cannot do, the others need not try
        found = await _side_by_side([self._ask_all(prompt) for prompt in others])
        replies |= {prompt.id: reply for prompt, reply in zip(others, found, strict=True)}
        answers = [answer for reply in replies.values() for answer in reply.answers]
        silent = sum(not answer for answer in answers)
        if 2 * silent > len(answers) > 0:
            raise UpstreamBroken(
                f"{silent} of {len(answers)} answers of {self._upstream.name} are empty: a model that thinks first "
                f"needs more than {self._plan.max_tokens} tokens"
            )
        return Sample(replies=replies, served=frozenset(self._served))

    async def _learn_manner(self, prompt: AuditPrompt) -> None:
        """By one request each, until one is answered. Raises what the first of them failed with."""
        refused: FreeholdError | None = None
        for manner in _MANNERS:
            if self._plan.temperature != 1 and "temperature" in manner.left_out:
                continue  # the default of all providers is 1
            self._manner = manner
            try:
                await self._ask(prompt, {"max_tokens": self._plan.max_tokens}, 1)
            except FreeholdError as error:
                if not _is_unable(error):
                    raise
                refused = refused or error
            else:
                return
        assert refused is not None, "there is a manner"
        raise refused

    async def _ask_all(self, prompt: AuditPrompt) -> Replies:
        draws, counted = await self._draws(prompt)
        answers: list[str] = []
        output_tokens: int | None = 0
        while len(answers) < self._answers:
            reply = await self._several(prompt, self._answers - len(answers))
            answers += ["".join(reply.texts[choice]) for choice in sorted(reply.texts)]
            told = reply.usage.output_tokens if reply.usage is not None else None
            output_tokens = None if told is None or output_tokens is None else output_tokens + told
            counted = reply.usage.input_tokens if reply.usage is not None else counted
        self._done += 1
        self._told(self._spending.requests, self._done)
        return Replies(
            answers=tuple(answers), first=tuple(draws), input_tokens=counted, output_tokens=output_tokens if answers else None
        )

    async def _draws(self, prompt: AuditPrompt) -> tuple[list[Mapping[str, float]], int | None]:
        """The likeliest first tokens, as often as the plan says, and how many tokens the prompt has."""
        draws: list[Mapping[str, float]] = []
        counted = None
        asked = {"max_tokens": 1, "logprobs": True, "top_logprobs": self._plan.top_logprobs}
        while self._tells_logprobs and len(draws) < self._draws_asked:
            try:
                reply = await self._ask(prompt, asked, 1)
            except FreeholdError as error:
                if not _is_unable(error):
                    raise
                self._no_logprobs(error.message)
                break
            counted = reply.usage.input_tokens if reply.usage is not None else None
            top = reply.logprobs[0].top if reply.logprobs else ()
            if not top:
                self._no_logprobs("its answers carry none")
                break
            draws.append({token.hex(): logprob for _, token, logprob in top})
        return draws, counted

    def _no_logprobs(self, why: str) -> None:
        self._tells_logprobs = False
        self.cannot["logprobs"] = why

    async def _several(self, prompt: AuditPrompt, wanted: int) -> _Reply:
        """Up to `wanted` answers in one request: as many as the upstream gives at once. Raises UpstreamBroken for none."""
        count = min(wanted, self._at_once)
        asked = {"max_tokens": self._plan.max_tokens}
        try:
            reply = await self._ask(prompt, asked if count == 1 else asked | {"n": count}, count)
        except FreeholdError as error:
            if count == 1 or not _is_unable(error):
                raise
            self._at_once = 1
            reply = await self._ask(prompt, asked, 1)
        if not reply.texts:
            raise UpstreamBroken(f"upstream {self._upstream.name} ended without an answer")
        if len(reply.texts) < count:
            self._at_once = 1  # it takes `n` and gives one all the same
        return reply

    async def _ask(self, prompt: AuditPrompt, asked: Mapping[str, Any], count: int) -> _Reply:
        most = Usage(input_tokens=input_tokens_most(prompt) * count, output_tokens=asked["max_tokens"] * count)
        for number in range(1, self._pace.tries + 1):
            async with self._places:
                await self._wait_for_turn()
                self._spending.hold(most)
                reply = _Reply()
                try:
                    await self._read(prompt, asked, reply)
                except UpstreamError as error:
                    if number == self._pace.tries or not _may_pass(error):
                        raise
                    pause_s = _pause_s(error, number)
                else:
                    self._served.add((reply.model, reply.fingerprint))
                    return reply
                finally:
                    self._spending.settle(most, reply.usage)
            await self._sleep(pause_s)
        raise AssertionError("the last try raises or returns")

    async def _wait_for_turn(self) -> None:
        if self._pace.per_minute is None:
            return
        now_s = self._clock()
        self._next_s, wait_s = max(now_s, self._next_s) + 60 / self._pace.per_minute, self._next_s - now_s
        if wait_s > 0:
            await self._sleep(wait_s)

    async def _read(self, prompt: AuditPrompt, asked: Mapping[str, Any], reply: _Reply) -> None:
        async for events in self._upstream.send(self._exchange(prompt, asked)):
            for event in events:
                match event:
                    case MessageStart():
                        reply.model, reply.fingerprint = event.served.model, event.served.build
                    case TextDelta() | ReasoningDelta():
                        reply.texts.setdefault(event.choice, []).append(event.text)
                        reply.logprobs += event.logprobs if isinstance(event, TextDelta) else ()
                    case MessageEnd():
                        reply.texts.setdefault(event.choice, [])
                    case Usage():
                        reply.usage = event
                    case _:
                        pass

    def _exchange(self, prompt: AuditPrompt, asked: Mapping[str, Any]) -> Exchange:
        settings = {"temperature": self._plan.temperature, "top_p": 1.0, **asked}
        manner = self._manner
        said = {manner.renamed.get(name, name): value for name, value in settings.items() if name not in manner.left_out}
        return write_exchange(self._model, prompt, said)


def write_exchange(model: str, prompt: AuditPrompt, asked: Mapping[str, Any]) -> Exchange:
    """A chat request as a client would write it."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    document = {"model": model, "messages": [*system, {"role": "user", "content": prompt.text}], "stream": True, **asked}
    now_ns = time.time_ns()
    incoming = Incoming(
        exchange_id=new_exchange_id(now_ns),
        received_at_ns=now_ns,
        principal=_PRINCIPAL,
        body=orjson.dumps(document),
        document=document,
    )
    return CODECS[_DIALECT].decode_request(incoming)


async def recounted(sample: Sample, model: str, counter: Counting) -> Sample:
    """The sample with its answers' tokens counted by the reference's tokenizer."""

    async def count(text: str) -> int:
        return await counter.count_tokens(write_exchange(model, AuditPrompt(id="count", text=text), {}))

    around = await count("x") - 1  # the template and one token
    replies = {}
    for id_, reply in sample.replies.items():
        tokens = [await count(answer) - around if answer else 0 for answer in reply.answers]
        replies[id_] = replace(reply, recounted_tokens=sum(tokens) if tokens else None)
    return replace(sample, replies=replies)


async def _side_by_side(work: "list[Any]") -> list[Any]:
    """All of it, or the first error; what is then still under way is given up."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_unable(error: FreeholdError) -> bool:
    return isinstance(error, InvalidRequest) or (isinstance(error, UpstreamRejected) and error.status in _CANNOT)


def _may_pass(error: UpstreamError) -> bool:
    if error.code == KEY_REFUSED:
        return False
    return not isinstance(error, UpstreamRejected) or error.status in _AGAIN or error.status >= 500


def _pause_s(error: UpstreamError, number: int) -> float:
    asked = error.retry_after_s if isinstance(error, UpstreamUnavailable | UpstreamRejected) else None
    return min(_LONGEST_PAUSE_S, 2.0 ** (number - 1) if asked is None else max(asked, 0.1))
