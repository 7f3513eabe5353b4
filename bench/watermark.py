"""What a watermark tells of real text, how often it lies, and what it costs.

The embedded model answers 20 prompts with up to 200 tokens each, without a watermark and with some, at its default sampling and
greedily, in prose and where little is open: a text to copy. Each text is cut into tokens anew before it is looked at, as
`freehold watermark detect` does. False alarms are of the unmarked texts, each looked at with many secrets. Costs are CPU time.
"""

import math
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np

from bench.engine import EMBEDDED, unsigned
from bench.report import Report
from freehold.core.exchange import Message, Sampling
from freehold.core.watermark import Watermark, watermark
from freehold.engine.config import EngineConfig
from freehold.engine.frames import Submit
from freehold.engine.green_list import Detection, Marker, detect
from freehold.engine.runtime import Runtime
from freehold.engine.sequence import Failed, Finished, Grown

TOKENS = 200
ALPHA = 1e-5
SECRETS = 100  # for false alarms: 20 texts with each
LENGTHS = (50, 100, 200)
SUBJECTS = (
    *("the sea", "a lighthouse keeper", "how bread rises", "moving to another country", "the history of chess", "a lost dog"),
    *("why the sky is blue", "a first day at school", "growing tomatoes", "the invention of the bicycle", "winter in a village"),
    *("how rivers change", "an old clock", "learning to swim", "trade in the Middle Ages", "a train at night", "good sleep"),
    *("what bees do", "a letter that came too late", "volcanoes"),
)
PROSE = tuple(f"Write a few paragraphs about {subject}." for subject in SUBJECTS)
_COPIED = "The committee met on Monday and agreed on four points: costs, dates, places and names. Nothing else was settled. "
COPY = tuple(
    f"Repeat this text word for word, and nothing else:\n\n{subject.capitalize()}. {_COPIED * 3}" for subject in SUBJECTS
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Answers, with the mean log-probability of their tokens by the model itself, and what a token took."""

    texts: tuple[str, ...]
    logprob: float
    token_s: float


def run(report: Report, models_dir: Path) -> None:
    model = models_dir / EMBEDDED
    if not model.exists():
        print(f"watermark: the embedded model is not at {model}; run: make models", file=sys.stderr)
        return
    made = Runtime(unsigned(model), EngineConfig(threads=1, context_tokens=1024, max_sequences=20), lambda *_: None)
    try:
        measure(report, made)
    finally:
        made.close()


def measure(report: Report, made: Runtime) -> None:
    plain = answers(made, PROSE, None)
    false_alarms(report, made, plain)
    for delta in (1.0, 2.0, 4.0):
        mark = secret(0, delta)
        marked = answers(made, PROSE, mark)
        name = f"watermark.prose.delta{delta:g}"
        for tokens in LENGTHS:
            found = [detected(made, text, mark, tokens) for text in marked.texts]
            report(f"{name}.found.{tokens}tokens", share(found), "of 20", peer="p <= 1e-5")
        report(f"{name}.z", median(one.z_score for one in found), "median")
        report(
            f"{name}.perplexity", math.exp(-marked.logprob), "", peer="unmarked", ratio=math.exp(plain.logprob - marked.logprob)
        )
        if delta == 2.0:
            report(
                "watermark.decode", marked.token_s * 1e3, "CPU ms/token", peer="unmarked", ratio=marked.token_s / plain.token_s
            )
            edited(report, made, marked, mark)
    mark = secret(0, 2.0)
    for name, prompts in (("prose", PROSE), ("copy", COPY)):
        greedy = answers(made, prompts, mark, temperature=0.0)
        found = [detected(made, text, mark, TOKENS) for text in greedy.texts]
        report(f"watermark.{name}.greedy.delta2.found", share(found), "of 20", peer="p <= 1e-5")
        report(f"watermark.{name}.greedy.delta2.z", median(one.z_score for one in found), "median")
    cost(report)


def false_alarms(report: Report, made: Runtime, plain: Texts) -> None:
    cut = [made.tokenizer.encode(text) for text in plain.texts]
    marks = [secret(number, 2.0) for number in range(1, SECRETS + 1)]
    found = [detect(tokens, mark, made.tokenizer.vocabulary).p_value for mark in marks for tokens in cut]
    for level in (0.05, 0.01, 0.001):
        report(f"watermark.false_alarms.p{level:g}", mean(p <= level for p in found), f"of {len(found):,}", limit=level)
    report("watermark.false_alarms.smallest_p", min(found), "", peer=f"{1 / len(found):g} expected")


def edited(report: Report, made: Runtime, marked: Texts, mark: Watermark) -> None:
    """Words left out at random: what is left of the watermark when a text is worked over."""
    rng = random.Random(1)
    for part in (0.2, 0.4):
        texts = [" ".join(word for word in text.split(" ") if rng.random() >= part) for text in marked.texts]
        found = [detected(made, text, mark, TOKENS) for text in texts]
        report(f"watermark.prose.delta2.without_{part:.0%}_of_words.found", share(found), "of 20", peer="p <= 1e-5")


def cost(report: Report) -> None:
    for vocabulary in (49_152, 151_936):
        marker, logits = Marker(secret(0, 2.0), (1, 2), vocabulary), np.zeros(vocabulary, np.float32)
        times = []
        for token in range(300):
            begun_s = time.process_time()
            marker.apply(logits)
            marker.count(token)
            times.append(time.process_time() - begun_s)
        report(f"watermark.marker.{vocabulary}", median(times) * 1e6, "CPU us/token")


def secret(number: int, delta: float) -> Watermark:
    return watermark(number.to_bytes(32), gamma=0.25, delta=delta, context_tokens=2)


def detected(made: Runtime, text: str, mark: Watermark, tokens: int) -> Detection:
    return detect(made.tokenizer.encode(text)[:tokens], mark, made.tokenizer.vocabulary)


def share(found: Sequence[Detection]) -> float:
    return sum(one.p_value <= ALPHA for one in found)


def answers(made: Runtime, prompts: Sequence[str], mark: Watermark | None, temperature: float | None = None) -> Texts:
    """All side by side."""
    sampling = Sampling(temperature=temperature, max_tokens=TOKENS, top_logprobs=0)
    for number, text in enumerate(prompts):
        messages = (Message(role="user", text=text),)
        asked = Submit(request=number, messages=messages, tools=(), sampling=sampling, seed=number, watermark=mark)
        made.scheduler.submit(made.prompts.request(asked))
    texts, logprobs, ended, count = [""] * len(prompts), list[float](), 0, 0
    begun_s = time.process_time()
    while ended < len(prompts):
        for output in made.scheduler.step():
            match output:
                case Grown():
                    texts[output.request] += output.piece.text
                    logprobs += [token.logprob for token in output.piece.logprobs]
                case Finished():
                    ended, count = ended + 1, count + output.output_tokens
                case Failed():
                    raise output.error
    return Texts(texts=tuple(texts), logprob=mean(logprobs), token_s=(time.process_time() - begun_s) / count)
