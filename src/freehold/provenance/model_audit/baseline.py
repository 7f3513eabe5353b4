"""A sample kept for later: one JSON document with the plan it was taken by, so that the same is asked again.

A stranger may have written the bytes that are read here: whatever they are, reading them gives a `Baseline` or raises
MalformedArtefact.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

import msgspec

from freehold.core.errors import ConfigError, MalformedArtefact
from freehold.provenance.model_audit.prompts import AuditPrompt
from freehold.provenance.model_audit.sample import AuditPlan, Replies, Sample

FORMAT = "freehold model baseline v1"
LIMIT_BYTES = 256 << 20
_Logprob = Annotated[float, msgspec.Meta(ge=-1e6, le=1e-3)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class _Prompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    text: str
    system: str | None = None


class _Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prompts: list[_Prompt]
    samples: int
    reference_samples: int | None
    max_tokens: int
    temperature: float
    chars: int
    draws: int
    top_logprobs: int
    tests: list[str]
    alpha: float
    permutations: int
    seed: int


class _Replies(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    answers: list[str]
    first: list[dict[str, _Logprob]]
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    upstream: str
    model: str
    taken_at_s: int
    plan: _Plan
    served: list[tuple[str, str | None]]
    replies: dict[str, _Replies]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A sample of `model` at `upstream`, taken at a Unix time."""

    upstream: str
    model: str
    taken_at_s: int
    plan: AuditPlan
    sample: Sample


def encode(baseline: Baseline) -> bytes:
    plan = baseline.plan
    numbers = {name: getattr(plan, name) for name in _Plan.__struct_fields__ if name not in ("prompts", "tests")}
    prompts = [_Prompt(prompt.id, prompt.text, prompt.system) for prompt in plan.prompts]
    replies = {
        id_: _Replies(list(reply.answers), [dict(draw) for draw in reply.first], reply.input_tokens, reply.output_tokens)
        for id_, reply in baseline.sample.replies.items()
    }
    document = _Document(
        format=FORMAT,
        upstream=baseline.upstream,
        model=baseline.model,
        taken_at_s=baseline.taken_at_s,
        plan=_Plan(prompts=prompts, tests=list(plan.tests), **numbers),
        served=sorted(baseline.sample.served, key=str),
        replies=replies,
    )
    return msgspec.json.encode(document)


def decode(raw: bytes) -> Baseline:
    """Raises MalformedArtefact."""
    try:
        document = msgspec.json.decode(raw, type=_Document)
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise MalformedArtefact(f"it is no baseline of a model: {exc}") from exc
    if document.format != FORMAT:
        raise MalformedArtefact(f"its format is {document.format!r:.80}; this release reads {FORMAT!r}")
    read = {id_: _replies(reply) for id_, reply in document.replies.items()}
    try:
        plan = _plan(document.plan)
    except ConfigError as exc:
        raise MalformedArtefact(f"the plan in it cannot be used: {exc.message}") from exc
    if read.keys() != {prompt.id for prompt in plan.prompts}:
        raise MalformedArtefact("its replies are not those to its plan's prompts")
    sample = Sample(replies=read, served=frozenset(document.served))
    return Baseline(upstream=document.upstream, model=document.model, taken_at_s=document.taken_at_s, plan=plan, sample=sample)


def plan_digest(plan: AuditPlan) -> str:
    """SHA-256 over all that a plan says, hex: evidence gathered by one plan is not continued by another."""
    return sha256(repr((plan, [(one.id, one.text, one.system) for one in plan.prompts])).encode()).hexdigest()


def _replies(reply: _Replies) -> Replies:
    return Replies(
        answers=tuple(reply.answers), first=tuple(reply.first), input_tokens=reply.input_tokens, output_tokens=reply.output_tokens
    )


def _plan(plan: _Plan) -> AuditPlan:
    given = {name: getattr(plan, name) for name in _Plan.__struct_fields__}
    given["prompts"] = tuple(AuditPrompt(id=one.id, text=one.text, system=one.system) for one in plan.prompts)
    given["tests"] = tuple(plan.tests)
    return AuditPlan(**given)
