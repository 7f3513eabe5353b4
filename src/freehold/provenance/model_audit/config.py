"""Audits that a node repeats: one `[[model_audit]]` each."""

import re
from typing import Annotated, Literal, TypeAlias

import msgspec

TestName: TypeAlias = Literal["logprobs", "mmd", "ranks"]
TESTS: tuple[TestName, ...] = ("logprobs", "mmd", "ranks")
PLAN_NAMES = ("standard", "quick", "logprobs", "ranks")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_Count = Annotated[int, msgspec.Meta(ge=1)]


class ModelAuditConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str  # of its state in the home, in alerts and in metrics
    upstream: str
    model: str | None = None  # as this node calls it; none named is the upstream's only one
    reference: str  # a model on this machine, another upstream, or a baseline's file beside the configuration
    reference_model: str | None = None
    every_h: Annotated[float, msgspec.Meta(ge=0.1, le=8760)] = 24.0
    plan: str | None = None  # none named is "standard", or what the baseline was taken by
    prompts_file: str | None = None
    prompt_count: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    samples: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=4096)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    tests: tuple[str, ...] = ()  # none named is all of the plan's
    alpha: Annotated[float, msgspec.Meta(ge=1e-6, le=0.5)] = 0.01  # chance that this audit ever raises a false alarm of drift
    max_usd: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None  # of one run, on each side
    max_requests: _Count = 10_000  # likewise
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=256)] = 2
    per_minute: _Count | None = None
    answers_per_request: Annotated[int, msgspec.Meta(ge=1, le=128)] = 8

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"model_audit {self.name!r:.80}: a name has small letters, digits and . _ - alone")
        if self.plan is not None and self.plan not in PLAN_NAMES:
            raise ValueError(f"model_audit {self.name}: plan {self.plan!r:.80} is not one of {', '.join(PLAN_NAMES)}")
        if unknown := sorted(set(self.tests) - set(TESTS)):
            raise ValueError(f"model_audit {self.name}: there is no test {unknown[0]!r:.80}; there are {', '.join(TESTS)}")
