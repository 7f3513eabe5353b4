"""An upstream whose answers are drawn by a toy model, and that can and cannot what a test says."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from freehold.core.errors import FreeholdError, InvalidRequest
from freehold.core.events import Event, FinishReason, MessageEnd, MessageStart, ServedBy, TextDelta, TokenLogprob, Usage
from freehold.core.exchange import Exchange
from freehold.core.ports import UpstreamStatus

_LETTERS = "abcdefghij"


@dataclass
class ToyUpstream:
    """`weights` chooses the model, `seed` its luck. `fails` are raised one by one, before anything else is done."""

    name: str = "toy"
    weights: int = 1
    seed: int = 1
    gives_several: bool = True
    refuses_several: bool = False
    tells_logprobs: bool = True
    fingerprint: str | None = "fp_1"
    extra_tokens: int = 5
    refused: frozenset[str] = frozenset()  # fields of a request
    fails: list[FreeholdError] = field(default_factory=list)
    is_silent: bool = False
    exchanges: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    @property
    def models(self) -> Sequence[str]:
        return ("toy-1",)

    def status(self) -> UpstreamStatus:
        return UpstreamStatus(ready=True, detail="ready")

    async def close(self) -> None:
        pass

    async def send(self, exchange: Exchange) -> AsyncIterator[list[Event]]:
        self.exchanges.append(exchange)
        if self.fails:
            raise self.fails.pop(0)
        if found := self.refused & exchange.document.keys():
            raise InvalidRequest(f"{min(found)} is not supported", param=min(found))
        if exchange.choices > 1 and self.refuses_several:
            raise InvalidRequest("n is not supported", param="n")
        if exchange.sampling.top_logprobs is not None and not self.tells_logprobs:
            raise InvalidRequest("logprobs are not supported", param="logprobs")
        yield [MessageStart(served=ServedBy(provider=self.name, model="toy-1", build=self.fingerprint))]
        choices = exchange.choices if self.gives_several else 1
        longest = exchange.sampling.max_tokens or 8
        chances = self._chances(exchange.messages[-1].text)
        for choice in range(choices):
            letters = self._rng.choice(list(_LETTERS), size=longest, p=chances)
            text = "" if self.is_silent else "".join(letters)
            yield [TextDelta(text=text, choice=choice, logprobs=self._logprobs(exchange, chances))]
        input_tokens = len(exchange.messages[-1].text.split()) + self.extra_tokens
        yield [Usage(input_tokens=input_tokens, output_tokens=choices * longest)]
        yield [MessageEnd(choice=choice, finish_reason=FinishReason.LENGTH) for choice in range(choices)]

    def _chances(self, prompt: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        seed = int.from_bytes(sha256(prompt.encode()).digest()[:4], "big")
        logits = np.random.default_rng([seed, self.weights]).normal(size=len(_LETTERS)) * 1.5
        weights = np.exp(logits)
        return weights / weights.sum()  # type: ignore[no-any-return]

    def _logprobs(self, exchange: Exchange, chances: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> tuple[TokenLogprob, ...]:
        count = exchange.sampling.top_logprobs
        if count is None:
            return ()
        order = np.argsort(-chances)[:count]
        top = tuple((_LETTERS[i], _LETTERS[i].encode(), float(np.log(chances[i]))) for i in order)
        return (TokenLogprob(token=top[0][0], token_bytes=top[0][1], logprob=top[0][2], top=top),)


class TimeIsUp(Exception):
    pass


class Clock:
    """Time that passes only where somebody sleeps, until it is up."""

    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        self.now_s = now_s
        self.end_s = float("inf")
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        if self.now_s + seconds > self.end_s:
            raise TimeIsUp
        self.slept.append(seconds)
        self.now_s += seconds

    def monotonic(self) -> float:
        return self.now_s

    def unix_ns(self) -> int:
        return round(self.now_s * 1e9)
