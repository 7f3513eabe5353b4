"""Do the counts of tokens fit, and does the side still call itself what it did? Facts, not statistics: each is told by itself."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from freehold.provenance.model_audit.sample import AuditPlan, Sample

MismatchKind: TypeAlias = Literal["input_tokens", "output_tokens", "fingerprint", "model_name"]
# Told over cut anew by its own tokenizer was 1.004 over 9,000 answers of SmolLM2 at temperatures 1.0 and 1.2, and at most 1.015
# for a prompt; by Qwen's, 1.06 to 1.1. Beside that, an answer may count its end.
_OUTPUT_LEAST, _OUTPUT_MOST = 0.97, 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    kind: MismatchKind
    words: str


def token_mismatches(plan: AuditPlan, reference: Sample, now: Sample, *, is_same_service: bool) -> list[Mismatch]:
    """`is_same_service`: the reference is an earlier sample of the same service, whose template must not change either."""
    return [*_input(reference, now, is_same_service=is_same_service), *_output(plan, now)]


def _input(reference: Sample, now: Sample, *, is_same_service: bool) -> list[Mismatch]:
    """A template adds the same number of tokens to each prompt. What differs from prompt to prompt is another tokenizer."""
    added: dict[str, int] = {}
    for id_, reply in now.replies.items():
        before = reference.replies.get(id_)
        if before is not None and before.input_tokens is not None and reply.input_tokens is not None:
            added[id_] = reply.input_tokens - before.input_tokens
    if not added:
        return []
    usual, _ = Counter(added.values()).most_common(1)[0]
    others = [id_ for id_, tokens in added.items() if tokens != usual]
    if others:
        worst = max(others, key=lambda id_: abs(added[id_] - usual))
        words = (
            f"the counts of input tokens of {len(others)} of {len(added)} prompts do not fit the reference's tokenizer: "
            f"{worst} has {now.replies[worst].input_tokens}, {(reference.replies[worst].input_tokens or 0) + usual} would fit"
        )
        return [Mismatch(kind="input_tokens", words=words)]
    if usual and is_same_service:
        what = f"{abs(usual)} input tokens {'more' if usual > 0 else 'fewer'} than before"
        words = f"every prompt has {what}: another template, or a system prompt that was added or taken out"
        return [Mismatch(kind="input_tokens", words=words)]
    return []


def _output(plan: AuditPlan, now: Sample) -> list[Mismatch]:
    told = recounted = answers = 0
    for id_, reply in now.replies.items():
        if reply.output_tokens is None or not reply.answers:
            continue
        most = plan.max_tokens * len(reply.answers)
        if reply.output_tokens > most:
            words = f"{reply.output_tokens} output tokens were counted for {id_}, {most} were allowed"
            return [Mismatch(kind="output_tokens", words=words)]
        if reply.recounted_tokens is not None:
            told, recounted, answers = (
                told + reply.output_tokens,
                recounted + reply.recounted_tokens,
                answers + len(reply.answers),
            )
    if recounted and not _OUTPUT_LEAST * recounted <= told <= _OUTPUT_MOST * recounted + answers:
        words = f"{told} output tokens were counted for texts that have {recounted} by the reference's tokenizer"
        return [Mismatch(kind="output_tokens", words=words)]
    return []


def name_mismatches(before: Sample, now: Sample) -> list[Mismatch]:
    """What the same service calls itself now and did not before."""
    found = []
    for kind, what, old, new in (
        ("model_name", "model", _names(before, 0), _names(now, 0)),
        ("fingerprint", "system_fingerprint", _names(before, 1), _names(now, 1)),
    ):
        if old and (fresh := sorted(new - old)):
            words = f"its {what} is {_listed(fresh)}, and was {_listed(sorted(old))}"
            found.append(Mismatch(kind="model_name" if kind == "model_name" else "fingerprint", words=words))
    return found


def _names(sample: Sample, place: int) -> set[str]:
    return {str(name) for served in sample.served if (name := served[place])}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:100]) for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
