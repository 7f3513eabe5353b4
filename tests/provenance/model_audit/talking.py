"""Toy models for audits: each character of an answer is drawn given the one before it, by a table of the prompt's own."""

from collections.abc import Sequence

import numpy as np

from freehold.provenance.model_audit.prompts import AuditPrompt
from freehold.provenance.model_audit.sample import AuditPlan, Replies, Sample

_LETTERS = np.array(list("abcdefghij"))
_NOBODY = 987_654


def plan(prompts: int = 6, **changes: object) -> AuditPlan:
    asked = tuple(AuditPrompt(id=f"p{number}", text=f"prompt {number}") for number in range(prompts))
    settings: dict[str, object] = {"samples": 10, "permutations": 199, "tests": ("mmd",)}
    return AuditPlan(prompts=asked, **(settings | changes))  # type: ignore[arg-type]


class Talker:
    """`noise` is the standard deviation of what is added to its logits; `weights` chooses another model altogether."""

    def __init__(self, *, weights: int = 1, noise: float = 0.0, temperature: float = 1.0) -> None:
        self._weights, self._noise, self._temperature = weights, noise, temperature

    def sample(self, asked: AuditPlan, seed: int, count: int | None = None, chars: int = 16) -> Sample:
        rng = np.random.default_rng(seed)
        return Sample(
            replies={
                prompt.id: Replies(answers=tuple(self._answers(number, count or asked.samples, chars, rng)))
                for number, prompt in enumerate(asked.prompts)
            }
        )

    def _answers(self, prompt: int, count: int, chars: int, rng: np.random.Generator) -> Sequence[str]:
        size = len(_LETTERS)
        logits = np.random.default_rng([self._weights, prompt]).normal(size=(size, size)) * 1.5
        logits += np.random.default_rng([_NOBODY, prompt]).normal(size=(size, size)) * self._noise
        logits /= self._temperature
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        running = chances.cumsum(axis=1)
        at = np.zeros((count, chars), np.int64)
        for place in range(1, chars):
            points = rng.random(count)
            at[:, place] = np.minimum((running[at[:, place - 1]] < points[:, None]).sum(axis=1), size - 1)
        return ["".join(_LETTERS[row]) for row in at]
