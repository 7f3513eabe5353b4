"""Says how likely a text is an attack on the model that reads it, and why.

`judge` reads a text as what it is in the conversation: content that somebody else wrote, where hardly any order to an assistant
has its place; or a prompt, where orders are what it is for and only those against the rules count. The words go through the
classifier (`model.py`); what is hidden or encoded is read and judged, too; signs of structure add to it. Never raises, whatever
the text. What follows from a score is the stage's to say, by its settings.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from freehold.core.findings import Channel
from freehold.guard.injection import features
from freehold.guard.injection.concepts import Words, words_of
from freehold.guard.injection.encoded import decoded
from freehold.guard.injection.model import HEADS, Floats, Head, HeadName, facts_of
from freehold.guard.injection.patterns import Hit, Letters
from freehold.guard.injection.reading import Reading, read
from freehold.guard.injection.settings import ASKED
from freehold.guard.injection.structure import hidden, links, role_markers, unseen
from freehold.guard.injection.verdict import CLEAN, ENCODED, HIDDEN, INSTRUCTION, JAILBREAK, InjectionVerdict, Signal

LIMIT_CHARS = 1 << 20  # of one text; of a longer one the beginning and the end are read
SHORT_CHARS = 6  # nothing is ordered in fewer: "OK", an id, a number
NAMED_FROM = 0.3  # the likelihood from which on the sentences are named
NAMED_LIMIT = 8  # sentences
INNER_FROM = 0.4  # what is hidden needs to say less
_HIDDEN_WEIGHT = 0.8  # of an order that is hidden, whatever else there is


class _Said(NamedTuple):
    """What a text says in words alone."""

    likelihood: float
    signals: tuple[Signal, ...]


def judge(text: str, source: Channel) -> InjectionVerdict:
    """`source` is where it stands in a conversation: SYSTEM and USER are prompts, the rest is somebody else's content."""
    if len(text) < SHORT_CHARS:
        return CLEAN
    if len(text) > LIMIT_CHARS:
        return _judge_ends(text, source)
    is_prompt = source in ASKED
    reading = read(text)
    said = _said(reading, "prompt" if is_prompt else "content")
    signals = [*said.signals, *role_markers(text), *unseen(text, reading), *_inner(text, is_prompt)]
    if not is_prompt:
        signals += links(text)
    if not signals and said.likelihood < NAMED_FROM:
        return InjectionVerdict(score=said.likelihood)
    return InjectionVerdict(score=_joined(said, signals), signals=tuple(signals))


def _judge_ends(text: str, source: Channel) -> InjectionVerdict:
    half = LIMIT_CHARS // 2
    first, last = judge(text[:half], source), judge(text[-half:], source)
    shift = len(text) - half
    moved = tuple(
        Signal(rule=one.rule, weight=one.weight, start=one.start + shift, end=one.end + shift, words=one.words)
        for one in last.signals
    )
    return InjectionVerdict(score=max(first.score, last.score), signals=first.signals + moved)


def _joined(said: _Said, signals: Iterable[Signal]) -> float:
    """As if what the words say and each kind of sign were independent; of one kind the strongest counts."""
    strongest: dict[str, float] = {}
    for one in signals:
        if one not in said.signals:
            strongest[one.rule] = max(one.weight, strongest.get(one.rule, 0.0))
    clean = 1.0 - said.likelihood
    for weight in strongest.values():
        clean *= 1.0 - weight
    return 1.0 - clean


def _inner(text: str, is_prompt: bool) -> Iterator[Signal]:
    """What is hidden or encoded, where it says something to the model."""
    for one in decoded(text):
        likelihood = _likelihood(one.text)
        if likelihood >= INNER_FROM:
            yield Signal(rule=ENCODED, weight=max(_HIDDEN_WEIGHT, likelihood), start=one.start, end=one.end, words=one.words)
    if is_prompt:
        return  # people paste pages
    for stretch in hidden(text):
        likelihood = _likelihood(stretch.text)
        if likelihood >= INNER_FROM:
            yield Signal(
                rule=HIDDEN, weight=max(_HIDDEN_WEIGHT, likelihood), start=stretch.start, end=stretch.end, words=stretch.words
            )


def _likelihood(text: str) -> float:
    return _said(read(text), "content").likelihood


def _said(reading: Reading, name: HeadName) -> _Said:
    words = words_of(reading.text)
    if not words.words:
        return _Said(0.0, ())
    hashed = features.of_content(words, reading.text) if name == "content" else features.of_prompt(words)
    head = HEADS[name]
    odds = head.log_odds(hashed)
    hits = list(Letters(words.letters).hits())
    facts = facts_of(float(odds.max()), len(odds), ((hit.pattern.name, hit.is_quoted) for hit in hits), words.letters.count(b"Z"))
    likelihood = head.weighed(facts)
    if likelihood < NAMED_FROM:
        return _Said(likelihood, ())
    return _Said(likelihood, tuple(_named(reading, words, hashed, odds, hits, head, likelihood, name)))


def _named(
    reading: Reading,
    words: Words,
    hashed: features.Hashed,
    odds: Floats,
    hits: list[Hit],
    head: Head,
    likelihood: float,
    name: HeadName,
) -> Iterator[Signal]:
    """The patterns that spoke for an attack, and the sentences that did."""
    whole = JAILBREAK if name == "prompt" else INSTRUCTION
    for hit in hits:
        if not hit.is_quoted and head.evidence.get(hit.pattern.name, 0.0) > 0:
            start, end = _places(reading, words, hit.first, hit.last)
            yield Signal(rule=hit.pattern.rule, weight=likelihood, start=start, end=end, words=hit.pattern.words)
    worst = float(odds.max())
    for number in np.argsort(-odds, kind="stable")[:NAMED_LIMIT]:
        if odds[number] < min(0.0, worst):
            break
        start, end = _places(reading, words, int(hashed.starts[number]), int(hashed.ends[number]))
        yield Signal(rule=whole, weight=likelihood, start=start, end=end, words="reads like an order to an assistant")


def _places(reading: Reading, words: Words, first: int, last: int) -> tuple[int, int]:
    start, end = words.spans(first, last)
    return reading.place(start), reading.place(end)
