"""What one side answered, and what it was asked: the nouns of a comparison."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import TypeVar

from freehold.core.errors import ConfigError
from freehold.provenance.model_audit.config import TESTS, TestName
from freehold.provenance.model_audit.prompts import AuditPrompt, shipped

_T = TypeVar("_T")
MOST_ASKED = 100_000  # answers of one side in one run: more is a mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """All that one side said to one prompt.

    `first` has the likeliest first tokens of each draw: a token's bytes in hex -> its log-probability. The counts are the
    side's own: `input_tokens` of the prompt, `output_tokens` of all answers together; None is unknown.
    """

    answers: tuple[str, ...] = field(repr=False, default=())
    first: tuple[Mapping[str, float], ...] = field(repr=False, default=())
    input_tokens: int | None = None
    output_tokens: int | None = None
    recounted_tokens: int | None = None  # of all answers, by the reference's tokenizer, where it counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One side: prompt id -> what it said. `served` are the (model, fingerprint) pairs that it called itself."""

    replies: Mapping[str, Replies]
    served: frozenset[tuple[str, str | None]] = frozenset()

    def with_more(self, other: "Sample") -> "Sample":
        """Both samples of one side as one."""
        return Sample(
            replies={id_: _joined(reply, other.replies.get(id_)) for id_, reply in self.replies.items()},
            served=self.served | other.served,
        )

    def thinned(self, most: int, rng: Random) -> "Sample":
        """At most so many answers and draws a prompt, chosen by chance alone: what is left is as good a sample as all of it."""
        replies = {
            id_: replace(reply, answers=_some(reply.answers, most, rng), first=_some(reply.first, most, rng))
            for id_, reply in self.replies.items()
        }
        return replace(self, replies=replies)


def _some(values: tuple[_T, ...], most: int, rng: Random) -> tuple[_T, ...]:
    return values if len(values) <= most else tuple(rng.sample(values, most))


def _joined(one: Replies, other: Replies | None) -> Replies:
    if other is None:
        return one
    # Counts of several runs together would be of no use: the plan's limit is of one.
    answers, first = one.answers + other.answers, one.first + other.first
    return replace(one, answers=answers, first=first, output_tokens=None, recounted_tokens=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPlan:
    """What is asked of each side, and how it is judged. `tests` are those that count; `alpha` is for all of them together.

    `chars`: how much of an answer the kernel looks at. `draws` is how often a prompt's first token is asked for.
    """

    prompts: tuple[AuditPrompt, ...]
    samples: int = 40  # answers a prompt
    reference_samples: int | None = None  # of the reference; None is as many
    max_tokens: int = 32
    temperature: float = 1.0
    chars: int = 1000
    draws: int = 3
    top_logprobs: int = 5
    tests: tuple[TestName, ...] = TESTS
    alpha: float = 0.05
    permutations: int = 1999
    seed: int = 1

    def __post_init__(self) -> None:
        """Raises ConfigError for what cannot be asked or judged."""
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ConfigError(f"an audit's {name} is {value}; it must be from {low} to {high}")
        if not self.prompts or not self.tests or set(self.tests) - set(TESTS):
            raise ConfigError(f"an audit needs at least one prompt and one test of {', '.join(TESTS)}")
        most = len(self.prompts) * max(self.answers(of_reference=False), self.answers(of_reference=True))
        if most > MOST_ASKED:
            raise ConfigError(f"{most} answers of one side are more than {MOST_ASKED}; ask for fewer")
        if (self.permutations + 1) * self.alpha / len(self.tests) < 1:
            raise ConfigError(f"{self.permutations} permutations give no p-value as small as {self.alpha / len(self.tests):.2g}")

    def answers(self, *, of_reference: bool) -> int:
        """Answers to one prompt that are asked of one side."""
        if not self.has_answers:
            return 0
        return self.samples if self.reference_samples is None or not of_reference else self.reference_samples

    def draws_asked(self, *, of_reference: bool) -> int:
        """Draws of the first token of one prompt that are asked of one side: of the reference as many times more as answers."""
        if "logprobs" not in self.tests:
            return 0
        more = 1 if self.reference_samples is None or not of_reference else self.reference_samples // self.samples
        return self.draws * max(1, more)

    @property
    def has_answers(self) -> bool:
        return "mmd" in self.tests or "ranks" in self.tests


_RANGES = (
    ("samples", 1, 10_000),
    ("reference_samples", 2, 10_000),
    ("max_tokens", 1, 4096),
    ("temperature", 0, 2),
    ("chars", 1, 100_000),
    ("draws", 2, 100),
    ("top_logprobs", 1, 20),
    ("alpha", 1e-6, 0.5),
    ("permutations", 19, 1_000_000),
    ("seed", 0, 1 << 53),
)


def named_plan(name: str) -> AuditPlan:
    """A plan of ours by its name. Raises ConfigError that tells the names."""
    prompts = shipped()
    plans = {
        "standard": AuditPlan(prompts=prompts[:25]),
        "quick": AuditPlan(prompts=prompts[:10], samples=10),
        "logprobs": AuditPlan(prompts=prompts, samples=1, tests=("logprobs",)),
        "ranks": AuditPlan(prompts=prompts, samples=1, reference_samples=100, tests=("ranks",)),
    }
    if name not in plans:
        raise ConfigError(f"there is no plan {name!r:.80}; there are {', '.join(plans)}")
    return plans[name]
