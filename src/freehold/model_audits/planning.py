"""A plan out of what somebody set: a named one with changes, or a baseline's own."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from freehold.core.errors import ConfigError
from freehold.provenance.model_audit.baseline import Baseline
from freehold.provenance.model_audit.config import TESTS
from freehold.provenance.model_audit.prompts import read_prompts
from freehold.provenance.model_audit.sample import AuditPlan, named_plan

_JUDGING = ("alpha", "tests")  # what may change after the answers were given


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """None leaves it to the plan."""

    plan: str | None = None
    prompts_path: Path | None = None
    prompt_count: int | None = None
    samples: int | None = None
    reference_samples: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    tests: tuple[str, ...] | None = None
    alpha: float | None = None


def make_plan(asked: Asked, baseline: Baseline | None) -> AuditPlan:
    """Raises ConfigError."""
    given: dict[str, Any] = {one.name: value for one in fields(asked) if (value := getattr(asked, one.name)) is not None}
    if "tests" in given:
        given["tests"] = tuple(test for test in TESTS if test in given["tests"])
    if baseline is not None:
        if asking := [name for name in given if name not in _JUDGING]:
            raise ConfigError(
                f"a baseline is asked as it was taken: leave {', '.join(asking)} out, or take a new baseline with them"
            )
        return replace(baseline.plan, **given)
    plan = named_plan(given.pop("plan", "standard"))
    prompts = plan.prompts
    if (path := given.pop("prompts_path", None)) is not None:
        try:
            prompts = read_prompts(path.read_text("utf-8"), str(path))
        except OSError as exc:
            raise ConfigError(f"cannot read the prompts {path}: {exc.strerror}") from exc
        except UnicodeDecodeError as exc:
            raise ConfigError(f"the prompts {path} are no UTF-8 text (byte {exc.start})") from exc
    return replace(plan, prompts=prompts[: given.pop("prompt_count", None)], **given)
