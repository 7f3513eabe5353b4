"""More work per pass: what further columns cost, what drafts bring, what a known beginning saves, and what q8 costs.

Everything is CPU time of the one compute thread, and what is compared is asked in turns: other work on the machine then touches
neither. Drafts never change an answer, which is checked here too.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.engine import EMBEDDED, QWEN, Ours, unsigned
from bench.synthetic import synthetic_1b
from freehold.core.exchange import Message, ResponseFormat, Sampling
from freehold.engine.config import MAX_DRAFTS, EngineConfig
from freehold.engine.frames import Submit
from freehold.engine.models.llama import Batch, Llama
from freehold.engine.runtime import Runtime
from freehold.engine.scheduler import Limits, Scheduler
from freehold.engine.sequence import Failed, Finished, Grown

COLUMNS = (1, 2, 4, 8, 16, 64)
REPEATING_LIMIT, OTHER_LIMIT = 1.8, 0.97
CONTEXT = 2048
CODE = """class Account:
    def __init__(self, owner, balance=0):
        self.owner = owner
        self.balance = balance
        self.history = []

    def deposit(self, amount):
        if amount <= 0:
            raise ValueError("amount must be positive")
        self.balance += amount
        self.history.append(("deposit", amount))

    def withdraw(self, amount):
        if amount <= 0:
            raise ValueError("amount must be positive")
        if amount > self.balance:
            raise ValueError("balance is too low")
        self.balance -= amount
        self.history.append(("withdraw", amount))
"""
_AGAIN = f"Here is a file:\n```python\n{CODE}```\nWrite the whole file again with"
REPEATING = (
    f"{_AGAIN} `deposit` renamed to `pay_in`. Answer with the code alone.",
    f"{_AGAIN} the class named `Wallet`. Answer with the code alone.",
)
OTHER = (
    "Write a short story about a lighthouse keeper who finds a letter.",
    "Explain how bread rises, and why salt is added.",
    "What should one know before moving to another country?",
)

_PERSON = {
    "type": "object",
    "properties": {
        "first_name": {"type": "string"},
        "year_of_birth": {"type": "integer"},
        "favourite_programming_language": {"enum": ["python", "rust", "haskell"]},
        "has_driving_licence": {"type": "boolean"},
    },
    "required": ["first_name", "year_of_birth", "favourite_programming_language", "has_driving_licence"],
    "additionalProperties": False,
}
_PEOPLE = {"type": "array", "items": _PERSON, "minItems": 3, "maxItems": 3}
FORM = ResponseFormat(
    kind="json_schema",
    schema={"type": "object", "properties": {"people": _PEOPLE}, "required": ["people"], "additionalProperties": False},
)

Report = Callable[..., None]


def run(report: Report, models_dir: Path) -> None:
    small, mixed = models_dir / EMBEDDED, models_dir / QWEN
    if not small.exists():
        raise FileNotFoundError(f"{small} is not there: `make models` fetches it")
    _columns(report, "synthetic-1b", synthetic_1b(models_dir, small))
    if mixed.exists():
        _columns(report, mixed.stem, mixed)
        _drafts(report, mixed.stem, mixed)
        _form(report, mixed.stem, mixed)
        _prefix(report, mixed.stem, mixed)
        _bytes(report, mixed.stem, mixed)


def _loaded(path: Path, **changes: Any) -> Runtime:
    settings: dict[str, Any] = {
        "model": path.stem,
        "threads": 1,
        "device": "cpu",
        "context_tokens": CONTEXT,
        "kv_memory_mb": 512,
        "max_sequences": 4,
    }
    return Runtime(unsigned(path), EngineConfig(**(settings | changes)), lambda *_: None)


def _on_cpu(made: Runtime) -> Llama:
    if not isinstance(made.model, Llama):
        raise TypeError("this bench is of the CPU's engine")
    return made.model


# ---- columns -----------------------------------------------------------------------------------------------------


def _columns(report: Report, name: str, path: Path) -> None:
    model = Ours(path, 1).model
    sequence = model.cache.open()
    model.cache.reserve(sequence, 512)
    spent: dict[int, list[float]] = {}
    for i in range(4):
        for columns in COLUMNS:
            began_s = time.thread_time()
            model.step(_batch(sequence, columns))
            spent.setdefault(columns, []).extend([time.thread_time() - began_s] if i else [])
    one_s = median(spent[1])
    for columns, samples in spent.items():
        report(name=f"batching.columns.{name}.{columns}", value=1000 * median(samples), unit="ms", ratio=median(samples) / one_s)
    model.close()


def _batch(sequence: int, columns: int, first: int = 64) -> Batch:
    return Batch(
        tokens=np.arange(500, 500 + columns, dtype=np.int32),
        positions=np.arange(first, first + columns, dtype=np.int32),
        sequences=np.full(columns, sequence, np.int32),
        wants_logits=np.full(columns, columns <= MAX_DRAFTS),
    )


# ---- drafts ------------------------------------------------------------------------------------------------------


class _Asked:
    """One loaded model, asked with and without drafts."""

    def __init__(self, path: Path) -> None:
        self.made = _loaded(path)
        self._schedulers = {drafts: self._scheduler(drafts) for drafts in (0, MAX_DRAFTS)}

    def _scheduler(self, drafts: int) -> Scheduler:
        limits = Limits(
            context_tokens=CONTEXT, max_sequences=4, queue_limit=4, prefill_chunk_tokens=128, threads=1, max_drafts=drafts
        )
        model = _on_cpu(self.made)
        return Scheduler(model, model.cache, self.made.tokenizer, limits, clock=time.thread_time)

    def answer(
        self, text: str, drafts: int, key: str = "", form: ResponseFormat | None = None, **sampling: Any
    ) -> tuple[str, float, float]:
        """The answer, CPU seconds a token of it after the first, and CPU seconds up to the first."""
        scheduler, texts = self._schedulers[drafts], list[str]()
        message = Message(role="user", text=text)
        chosen = Sampling(**sampling)
        submit = Submit(request=1, messages=(message,), tools=(), sampling=chosen, seed=1, key=key, response_format=form)
        scheduler.submit(*self.made.prompts.requests(submit))
        while True:
            for output in scheduler.step():
                match output:
                    case Grown():
                        texts.append(output.piece.text)
                    case Finished():
                        worked = output.worked
                        return "".join(texts), worked.decode_s / max(1, output.output_tokens - 1), worked.prefill_s
                    case Failed():
                        raise output.error


def _drafts(report: Report, name: str, path: Path) -> None:
    asked = _Asked(path)
    for kind, texts, limit in (("repeating", REPEATING, REPEATING_LIMIT), ("other", OTHER, OTHER_LIMIT)):
        for temperature in (0.0, 0.8):
            speed = _compared(asked, texts, temperature)
            report(
                name=f"batching.drafts.{name}.{kind}.t{temperature:g}",
                value=1 / speed[MAX_DRAFTS],
                unit="tok/s of one core",
                peer="without drafts",
                ratio=speed[0] / speed[MAX_DRAFTS],
                limit=limit,
            )
    asked.made.close()


def _compared(asked: _Asked, texts: Sequence[str], temperature: float) -> dict[int, float]:
    """Seconds a token without and with drafts, over all texts."""
    spent: dict[int, list[float]] = {0: [], MAX_DRAFTS: []}
    for text in texts:
        found = {}
        for drafts in spent:
            answer, seconds, _ = asked.answer(text, drafts, temperature=temperature, max_tokens=220)
            spent[drafts].append(seconds)
            found[drafts] = answer
        if found[0] != found[MAX_DRAFTS]:
            raise AssertionError("drafts changed an answer")
    return {drafts: sum(seconds) / len(seconds) for drafts, seconds in spent.items()}


def _form(report: Report, name: str, path: Path) -> None:
    """Three people in JSON, held to a schema whose keys have to come."""
    asked, spent = _Asked(path), {0: list[float](), MAX_DRAFTS: list[float]()}
    for _ in range(2):
        found = set()
        for drafts, samples in spent.items():
            answer, seconds, _ = asked.answer("Invent three people.", drafts, form=FORM, temperature=0.0, max_tokens=250)
            samples.append(seconds)
            found.add(answer)
        if len(found) > 1:
            raise AssertionError("drafts changed an answer")
    asked.made.close()
    without, with_ = (median(samples) for samples in spent.values())
    report(
        name=f"batching.drafts.{name}.form",
        value=1 / with_,
        unit="tok/s of one core",
        peer="without drafts",
        ratio=without / with_,
    )


# ---- a known beginning, and keys and values of bytes -------------------------------------------------------------


def _prefix(report: Report, name: str, path: Path) -> None:
    """The same long prompt again, by the same key and by others: CPU seconds to the first token."""
    asked = _Asked(path)
    text = f"{CODE}\n" * 3 + "What does this do?"
    first, again = list[float](), list[float]()
    for i in range(3):
        for found in (first, again):
            found.append(asked.answer(text, 0, key=f"key {i}", temperature=0.0, max_tokens=1)[2])
    report(name=f"batching.prefix.{name}", value=median(again), unit="s to first token", ratio=median(first) / median(again))
    asked.made.close()


def _bytes(report: Report, name: str, path: Path) -> None:
    """A pass of one column far into a sequence, over keys and values of f16 and of q8."""
    spent = {}
    for kv_type in ("f16", "q8"):
        made = _loaded(path, kv_type=kv_type)
        model = _on_cpu(made)
        sequence = model.cache.open()
        model.cache.reserve(sequence, CONTEXT)
        samples = []
        for _ in range(8):
            began_s = time.thread_time()
            model.step(_batch(sequence, 1, CONTEXT - 1))
            samples.append(time.thread_time() - began_s)
        spent[kv_type] = median(samples[1:])
        made.close()
    report(name=f"batching.kv.q8.{name}", value=1000 * spent["q8"], unit="ms", peer="f16", ratio=spent["f16"] / spent["q8"])


if __name__ == "__main__":
    run(lambda **figure: print(figure, flush=True), Path(sys.argv[1]).expanduser())
