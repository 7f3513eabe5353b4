"""How often audits of a model find what they should, and how often they cry wolf.

The embedded model stands for the unquantised one: its weights as float32 are converted by `models convert`, and rounded to Q4_0
as ggml does. Of each variant one large pool of answers is drawn once and kept beside the models (some 5 minutes of one core each,
10 for the reference). An audit of 25 prompts x 40 answers then takes 40 answers a prompt of each side's pool without putting
back. False alarms: both sides out of the reference's own pool, never the same answer twice in one audit. Different audits share
answers, so that their results depend on each other; each by itself is what an audit with fresh answers would be.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from tests.fakes.requantised import q4_0, rewrite, unquantised

from bench.engine import EMBEDDED, unsigned
from freehold.core.exchange import Message, Sampling
from freehold.engine.config import EngineConfig
from freehold.engine.convert import plan_conversion
from freehold.engine.frames import Submit
from freehold.engine.runtime import Runtime
from freehold.engine.sequence import Failed, Finished, Grown
from freehold.provenance.model_audit.evidence import Evidence
from freehold.provenance.model_audit.logprobs import logprob_test, table
from freehold.provenance.model_audit.mmd import likeness, mmd_test
from freehold.provenance.model_audit.prompts import AuditPrompt
from freehold.provenance.model_audit.ranks import Grams, rank_test
from freehold.provenance.model_audit.sample import named_plan

Report = Callable[..., None]
Pool = Mapping[str, list[str]]  # prompt id -> answers
Floats = npt.NDArray[np.float64]

PLAN = named_plan("standard")
SAMPLES = (10, 20, PLAN.samples)  # answers a prompt
RANK_REFERENCES = 100
AUDITS, NULL_AUDITS = 100, 400
PERMUTATIONS = 399
ALPHA = 0.05
LIVES, DAYS = 200, 60
OTHER = "qwen2.5-coder-0.5b.gguf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """`kind` is the file it is answered from; `answers` how many a prompt its pool has."""

    name: str
    kind: str
    answers: int
    seed: int
    temperature: float = 1.0


REFERENCE = Variant(name="q8_0", kind="q8_0", answers=240, seed=1)
VARIANTS = (
    Variant(name="q4_0", kind="q4_0", answers=120, seed=2),
    Variant(name="hot", kind="q8_0", answers=120, seed=3, temperature=1.2),
    Variant(name="other", kind="other", answers=50, seed=4),
    Variant(name="q4_1", kind="q4_1", answers=120, seed=5),
    Variant(name="q4_k_m", kind="q4_k_m", answers=120, seed=6),
    Variant(name="warm", kind="q8_0", answers=120, seed=7, temperature=1.1),
)


def run(report: Report, models_dir: Path) -> None:
    _days_without_change(report)
    if not (models_dir / EMBEDDED).exists():
        raise FileNotFoundError(f"{models_dir / EMBEDDED} is not there: `make models` fetches it")
    folder = models_dir / "bench" / "audit"
    folder.mkdir(parents=True, exist_ok=True)
    files = _Files(models_dir, folder)
    reference, reference_first = _pool(files, REFERENCE), _first(files, REFERENCE)
    _calibration(report, reference)
    for variant in VARIANTS:
        if variant.kind == "other" and not (models_dir / OTHER).exists():
            continue
        _power(report, variant, reference, _pool(files, variant))
        if variant.temperature == 1.0:  # told before the temperature is applied
            _logprobs(report, variant, reference_first, _first(files, variant))


# ---- pools -------------------------------------------------------------------------------------------------------


class _Files:
    """The model files, made when they are first asked for."""

    def __init__(self, models_dir: Path, folder: Path) -> None:
        self._models, self.folder = models_dir, folder

    def path(self, kind: str) -> Path:
        if kind in ("q4_1", "other"):
            return self._models / (EMBEDDED if kind == "q4_1" else OTHER)
        path = self.folder / f"{kind}.gguf"
        if path.exists():
            return path
        if kind == "q4_0":  # the embedding stays as it is, as quantisers have it
            rewrite(self._models / EMBEDDED, path, q4_0, lambda name: name.startswith("blk."))
            return path
        whole = self.folder / "float32.gguf"
        rewrite(self._models / EMBEDDED, whole, unquantised)
        plan_conversion(whole, kind.upper()).write(path, lambda *_: None)
        whole.unlink()
        return path


def _pool(files: _Files, variant: Variant) -> Pool:
    kept = files.folder / f"{variant.name}-{variant.answers}x{len(PLAN.prompts)}x{PLAN.max_tokens}.json"
    if kept.exists():
        return json.loads(kept.read_text("utf-8"))  # type: ignore[no-any-return]
    made = _loaded(files.path(variant.kind))
    pool = {prompt.id: _answers(made, variant, number, prompt) for number, prompt in enumerate(PLAN.prompts)}
    made.close()
    kept.write_text(json.dumps(pool), "utf-8")
    return pool


def _loaded(path: Path) -> Runtime:
    settings: dict[str, Any] = {"model": path.stem, "threads": 1, "device": "cpu", "context_tokens": 512, "kv_memory_mb": 700}
    config = EngineConfig(**settings, max_sequences=64, queue_limit=4096, speculation_tokens=0)
    return Runtime(unsigned(path), config, lambda *_: None)


def _answers(made: Runtime, variant: Variant, number: int, prompt: AuditPrompt) -> list[str]:
    sampling = Sampling(temperature=variant.temperature, top_p=1.0, max_tokens=PLAN.max_tokens)
    texts: dict[int, list[str]] = {}
    for output in _outputs(made, prompt, sampling, variant.seed * 1_000_003 + number * 10_007, variant.answers):
        if isinstance(output, Grown):
            texts.setdefault(output.request, []).append(output.piece.text)
        else:
            texts.setdefault(output.request, [])
    return ["".join(texts[request]) for request in sorted(texts)]


def _first(files: _Files, variant: Variant) -> Mapping[str, Mapping[str, float]]:
    """Each prompt's likeliest first tokens. Our engine gives the same each time."""
    made = _loaded(files.path(variant.kind))
    found = {}
    for prompt in PLAN.prompts:
        sampling = Sampling(temperature=0.0, max_tokens=1, top_logprobs=PLAN.top_logprobs)
        (grown,) = (
            output for output in _outputs(made, prompt, sampling, 1, 1) if isinstance(output, Grown) and output.piece.logprobs
        )
        found[prompt.id] = {token.hex(): logprob for _, token, logprob in grown.piece.logprobs[0].top}
    made.close()
    return found


def _outputs(made: Runtime, prompt: AuditPrompt, sampling: Sampling, seed: int, choices: int) -> "list[Grown | Finished]":
    messages = (Message(role="user", text=prompt.text),)
    submit = Submit(request=1, messages=messages, tools=(), sampling=sampling, seed=seed, choices=choices, key="bench")
    made.scheduler.submit(*made.prompts.requests(submit))
    found: list[Grown | Finished] = []
    while sum(isinstance(output, Finished) for output in found) < choices:
        for output in made.scheduler.step():
            if isinstance(output, Failed):
                raise output.error
            found.append(output)
    return found


# ---- audits out of pools -----------------------------------------------------------------------------------------


class _Pools:
    """All answers of two pools, by prompt: an audit is a choice of rows."""

    def __init__(self, reference: Pool, other: Pool | None) -> None:
        theirs = {prompt.id: [] for prompt in PLAN.prompts} if other is None else other
        self._counts = [(len(reference[prompt.id]), len(theirs[prompt.id])) for prompt in PLAN.prompts]
        texts = [[*reference[prompt.id], *theirs[prompt.id]] for prompt in PLAN.prompts]
        self.kernels = [likeness(one, PLAN.chars).astype(np.float32) for one in texts]
        self.grams = [Grams(one, PLAN.chars) for one in texts]

    def drawn(self, rng: np.random.Generator, ours: int, theirs: int) -> list[npt.NDArray[np.int64]]:
        """One audit, the reference's first. Without another pool both sides come out of the reference's."""
        found = []
        for all_ours, all_theirs in self._counts:
            if all_theirs:
                mine = rng.choice(all_ours, ours, replace=False)
                found.append(np.concatenate((mine, all_ours + rng.choice(all_theirs, theirs, replace=False))))
            else:
                found.append(rng.choice(all_ours, ours + theirs, replace=False))
        return found


def _mmd(samples: int) -> "Test":
    def p(pools: _Pools, rng: np.random.Generator) -> float:
        drawn = zip(pools.kernels, pools.drawn(rng, samples, samples), strict=True)
        return mmd_test([(kernel[np.ix_(rows, rows)].astype(np.float64), samples) for kernel, rows in drawn], PERMUTATIONS, rng).p

    return p


def _ranks(pools: _Pools, rng: np.random.Generator) -> float:
    drawn = zip(pools.grams, pools.drawn(rng, RANK_REFERENCES, 1), strict=True)
    scored = [grams.scores(rows) for grams, rows in drawn]
    return rank_test([(float(scores[-1]), scores[:-1]) for scores in scored], PERMUTATIONS, rng).p


Test = Callable[[_Pools, np.random.Generator], float]
_COUNT = len(PLAN.prompts)
TESTS: dict[str, Test] = {f"mmd.{_COUNT}x{samples}": _mmd(samples) for samples in SAMPLES}
TESTS[f"ranks.{_COUNT}x1"] = _ranks


def _calibration(report: Report, reference: Pool) -> None:
    pools = _Pools(reference, None)
    for name, test in TESTS.items():
        rng = np.random.default_rng(7)
        ps = [test(pools, rng) for _ in range(NULL_AUDITS)]
        report(name=f"audit.false_alarm.{name}", value=_share(ps), unit=f"of {NULL_AUDITS} audits", limit=ALPHA)


def _power(report: Report, variant: Variant, reference: Pool, pool: Pool) -> None:
    pools = _Pools(reference, pool)
    for name, test in TESTS.items():
        rng = np.random.default_rng(8)
        ps = [test(pools, rng) for _ in range(AUDITS)]
        report(name=f"audit.found.{variant.name}.{name}", value=_share(ps), unit=f"of {AUDITS} audits")
        days = [_days(ps, np.random.default_rng(n)) for n in range(20)]
        if max(days) < len(ps):
            report(name=f"audit.days.{variant.name}.{name}", value=median(days), unit="runs to an alarm at 1 %")


def _days(ps: Sequence[float], rng: np.random.Generator) -> int:
    """Runs against a live reference until the evidence of this one test passes its bound."""
    evidence = Evidence()
    for day, p in enumerate(rng.permutation(np.array(ps)), 1):
        evidence = evidence.after({"one": float(p)})
        if evidence.alarms(0.01, 1):
            return day
    return len(ps)


def _days_without_change(report: Report) -> None:
    """Against one stored baseline: each day compared with it and all days before, as the node does, and with it alone."""
    for name, joins in (("joined", True), ("fixed_baseline", False)):
        rng = np.random.default_rng(9)
        alarms = sum(_life(rng, joins=joins) for _ in range(LIVES))
        report(name=f"audit.false_alarm.{DAYS}_days.{name}", value=alarms / LIVES, unit=f"of {LIVES} lives", limit=ALPHA)


def _life(rng: np.random.Generator, *, joins: bool, draws: int = 8) -> bool:
    before, evidence = rng.normal(size=(draws, 1)), Evidence()
    for _ in range(DAYS):
        both = np.concatenate((before, rng.normal(size=(draws, 1))))
        evidence = evidence.after({"one": logprob_test([(both, len(before))], 199, ALPHA, rng).p})
        if evidence.alarms(ALPHA, 1):
            return True
        before = both if joins else before
    return False


def _logprobs(
    report: Report, variant: Variant, ours: Mapping[str, Mapping[str, float]], theirs: Mapping[str, Mapping[str, float]]
) -> None:
    draws = PLAN.draws
    tables = [(table([ours[id_]] * draws + [theirs[id_]] * draws), draws) for id_ in ours]
    began_s = time.thread_time()
    result = logprob_test(tables, PLAN.permutations, ALPHA, np.random.default_rng(1))
    report(name=f"audit.logprobs.{variant.name}.shift", value=result.shift, unit="nats")
    report(name=f"audit.logprobs.{variant.name}.p", value=result.p, unit=f"in {time.thread_time() - began_s:.2f} s")


def _share(ps: Sequence[float]) -> float:
    return sum(p <= ALPHA for p in ps) / len(ps)
