"""What an audit costs: told before anything is asked, and held to a limit while it is."""

from dataclasses import dataclass

from freehold.core.errors import LimitReached
from freehold.core.events import Usage
from freehold.core.ports import Prices
from freehold.provenance.model_audit.prompts import AuditPrompt
from freehold.provenance.model_audit.sample import AuditPlan

TEMPLATE_TOKENS = 64  # what a chat template puts around a prompt takes fewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The most that one side of a plan takes, if every answer is as long as it may be. Money is None where a price is unknown.

    `requests` is what it takes if the side gives `answers_per_request` at once; `most_requests` if one at a time. Tokens and
    money are those of the second. One answer more is asked for at the start, to learn what the side can do.
    """

    requests: int
    most_requests: int
    input_tokens: int
    output_tokens: int
    microusd: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """What an audit may spend on one upstream. None is no limit."""

    requests: int | None = None
    tokens: int | None = None
    microusd: int | None = None


def input_tokens_most(prompt: AuditPrompt) -> int:
    """No tokenizer makes more tokens than there are bytes."""
    return len((prompt.text + (prompt.system or "")).encode()) + TEMPLATE_TOKENS


def estimate(plan: AuditPlan, *, of_reference: bool, per_request: int, prices: Prices, model: str, upstream: str) -> Estimate:
    answers = plan.answers(of_reference=of_reference)
    draws = plan.draws_asked(of_reference=of_reference)
    count = len(plan.prompts)
    input_tokens = sum(map(input_tokens_most, plan.prompts)) * (answers + draws) + input_tokens_most(plan.prompts[0])
    output_tokens = count * (answers * plan.max_tokens + draws) + plan.max_tokens
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    return Estimate(
        requests=count * (-(-answers // per_request) + draws) + 1,
        most_requests=count * (answers + draws) + 1,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        microusd=prices.cost_microusd(model, upstream, usage),
    )


class Spending:
    """What was spent on one upstream, against its ceiling. What a provider did not count is taken to be as much as it can be."""

    def __init__(self, ceiling: Ceiling, prices: Prices, model: str, upstream: str) -> None:
        self._ceiling, self._prices, self._model, self._upstream = ceiling, prices, model, upstream
        self.requests = self.input_tokens = self.output_tokens = 0
        self.microusd: int | None = 0
        self._held = Usage(input_tokens=0, output_tokens=0)  # of requests under way

    def hold(self, most: Usage) -> None:
        """Before a request that takes at most so much. Raises LimitReached where that may be too much."""
        held = _sum(self._held, most)
        spent = _sum(Usage(input_tokens=self.input_tokens, output_tokens=self.output_tokens), held)
        ceiling = self._ceiling
        if ceiling.requests is not None and self.requests >= ceiling.requests:
            raise self._reached(f"{ceiling.requests} requests")
        if ceiling.tokens is not None and (spent.input_tokens or 0) + (spent.output_tokens or 0) > ceiling.tokens:
            raise self._reached(f"{ceiling.tokens} tokens")
        if ceiling.microusd is not None:
            cost = self._prices.cost_microusd(self._model, self._upstream, spent)
            if cost is None or cost > ceiling.microusd:
                raise self._reached(f"{ceiling.microusd / 1e6:g} USD" + ("" if cost is not None else ", and it has no price"))
        self.requests += 1
        self._held = held

    def settle(self, most: Usage, usage: Usage | None) -> None:
        """After it, whatever came of it."""
        self._held = _sum(self._held, most, sign=-1)
        told_input = usage.input_tokens if usage is not None else None
        told_output = usage.output_tokens if usage is not None else None
        self.input_tokens += (most.input_tokens or 0) if told_input is None else told_input
        self.output_tokens += (most.output_tokens or 0) if told_output is None else told_output
        spent = Usage(input_tokens=self.input_tokens, output_tokens=self.output_tokens)
        self.microusd = self._prices.cost_microusd(self._model, self._upstream, spent)

    def _reached(self, what: str) -> LimitReached:
        return LimitReached(
            f"the audit of {self._upstream} would go beyond its limit of {what}; raise the limit, or ask for fewer answers",
            code="audit_limit",
        )


def _sum(one: Usage, other: Usage, sign: int = 1) -> Usage:
    return Usage(
        input_tokens=(one.input_tokens or 0) + sign * (other.input_tokens or 0),
        output_tokens=(one.output_tokens or 0) + sign * (other.output_tokens or 0),
    )
